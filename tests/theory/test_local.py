"""Quantized local asymptotics against closed forms, exact laws of small problems, and other packages."""

import math

import numpy as np
import pytest
from scipy import integrate, optimize, stats

from mis.numerics.checks import InvalidInput, UnsupportedSetting
from mis.quantizers import Codebook, Full, Grid, Sign, Stochastic, Ternary, Uniform
from mis.theory.full_precision import full_precision_mean
from mis.theory.local import local
from mis.theory.product import quantized_mean
from mis.theory.retained import retained_information

NORMAL = stats.norm.ppf((np.arange(4000)[:, None] + 0.5) / 4000)


class Fixed:
    """A quantizer that ignores what it is fitted to."""

    def __init__(self, edges):
        self.edges = np.asarray(edges, float)

    def fit(self, _):
        return Grid(levels=np.arange(self.edges.shape[-1] + 1.0), edges=self.edges)


def with_covariance(rng, num, dim):
    """Influences whose law has the covariance returned."""
    root = rng.standard_normal((dim, dim)) / math.sqrt(dim) + np.eye(dim)
    return rng.standard_normal((num, dim)) @ root.T, root @ root.T


def test_one_edge_under_the_mean_leaks_one_over_pi_root_n():
    found = local(influence=NORMAL, covariance=[1.0], mean=[0.0], quantizer=Sign(), n=100, method="cells")
    assert found.lower < 1 / (10 * math.pi) < found.upper
    # Small against the spread over examples, of which the interval speaks.
    assert found.value == pytest.approx(1 / (10 * math.pi), rel=0.01, abs=0)


def test_one_edge_by_the_normal_limit():
    """I = (2 / pi) z^2 / n, so the limit formula is E[2 Phi(z / sqrt(2 pi n)) - 1]; 20% low with one coordinate."""
    found = local(influence=NORMAL, covariance=[1.0], mean=[0.0], quantizer=Sign(), n=100).value
    exact = integrate.quad(
        lambda z: stats.norm.pdf(z) * (2 * stats.norm.cdf(abs(z) / math.sqrt(200 * math.pi)) - 1),
        -9,
        9,
        points=[0],
    )[0]
    assert found == pytest.approx(exact, rel=1e-3, abs=0)


@pytest.mark.parametrize("distance", [0.0, 0.5, 1.0, 2.0])
def test_leakage_falls_with_the_distance_to_the_edge(distance):
    """E_z |Phi(a - t) - Phi(a)| for one edge a standard deviations away, t = z / sqrt(n)."""
    setting = {"covariance": [4.0], "mean": [0.2 * distance], "quantizer": Sign(), "n": 100}
    found = local(influence=2 * NORMAL, method="cells", num_samples=10**6, **setting)
    exact = integrate.quad(
        lambda z: stats.norm.pdf(z) * abs(stats.norm.cdf(-distance - z / 10) - stats.norm.cdf(-distance)),
        -9,
        9,
    )[0]
    # The advantage is a mean of |tanh(log ratio / 2)|, whose mean square is I / 4 to first order.
    error = math.sqrt(found.details["retained"] / 400 / 10**6)
    assert abs(found.value - exact) < 5 * error
    assert error < 0.01 * exact


def test_full_precision_is_the_mean_of_a_sample(rng):
    n, dim = 10**6, 12
    psi = rng.standard_normal((20_000, dim))
    exact = full_precision_mean(dim, n).value
    for method in ("diagonal", "linear", "cells"):
        covariance = np.eye(dim) if method == "linear" else np.ones(dim)
        found = local(
            influence=psi,
            covariance=covariance,
            mean=np.ones(dim),
            quantizer=Full(),
            n=n,
            method=method,
            level=0.999999,
        )
        assert found.lower < exact < found.upper
        assert found.width < 0.03 * exact


def test_full_precision_sees_the_whole_quadratic_form(rng):
    psi, covariance = with_covariance(rng, 300, 6)
    found = local(influence=psi, covariance=covariance, mean=np.ones(6), quantizer=Full(), n=50)
    form = np.einsum("ni,ij,nj->n", psi, np.linalg.inv(covariance), psi) / 50
    assert found.details["information"] == pytest.approx(form.mean(), rel=1e-12, abs=0)
    assert found.value == pytest.approx((2 * stats.norm.cdf(np.sqrt(form) / 2) - 1).mean(), rel=1e-12, abs=0)
    cells = local(
        influence=psi, covariance=covariance, mean=np.ones(6), quantizer=Full(), n=50, method="cells"
    )
    assert abs(cells.value - found.value) < 5 * 0.5 / math.sqrt(100_000)


@pytest.mark.parametrize(("dim", "offset"), [(1, 0.5), (4, 0.5), (4, 0.2), (10, 0.5)])
def test_cells_agree_with_the_certified_quantized_mean(dim, offset, rng):
    """``offset`` is the distance of theta* from the lower edge in cells of width h; the rest is of order 1/n."""
    n, width = 2000, 0.1
    edges = width * (np.arange(-40, 41) - offset)
    certified = quantized_mean(n, dim, width, offset)
    psi = rng.standard_normal((20_000, dim))
    found = local(
        influence=psi, covariance=np.ones(dim), mean=np.zeros(dim), quantizer=Fixed(edges), n=n, method="cells",
        level=0.999999,
    )  # fmt: skip
    assert found.lower < certified.upper + 1e-4
    assert found.upper > certified.lower - 1e-4
    assert found.value == pytest.approx(certified.value, rel=0.03, abs=0)


def test_linear_score_is_below_the_information_of_two_codes(rng):
    """Never above the Fisher information of a pair of codes, taken by differences of their cells, and near it."""
    edges, rho, step = np.array([-0.7, 0.4]), 0.6, 1e-3
    correlation = np.array([[1.0, rho], [rho, 1.0]])
    law = stats.multivariate_normal([0, 0], correlation)

    def mass(shift):
        ends = np.array([-9.0, *edges, 9.0])
        below = np.array([[law.cdf([x - shift[0], y - shift[1]]) for y in ends] for x in ends])
        return np.diff(np.diff(below, axis=0), axis=1)

    slopes = [(mass(step * e) - mass(-step * e)) / (2 * step) for e in np.eye(2)]
    information = np.array([[(a * b / mass([0, 0])).sum() for a in slopes] for b in slopes])
    psi = rng.standard_normal((50, 2))
    quantizer = Fixed(edges / math.sqrt(10**6))
    for z in psi:
        found = local(
            influence=np.stack([z, z]), covariance=correlation, mean=np.zeros(2), quantizer=quantizer, n=10**6
        ).details["information"]
        truth = z @ information @ z / 10**6
        assert found <= truth * (1 + 1e-4)
        assert found >= 0.97 * truth


def test_cells_with_covariance_stay_below_the_exact_total_variation():
    """Two codes of a correlated pair: the linear score's advantage against the enumerated total variation."""
    edges, rho, n = np.array([-0.5, 0.6]), 0.5, 25
    law = stats.multivariate_normal([0, 0], [[1.0, rho], [rho, 1.0]])
    ends = np.array([-9.0, *edges, 9.0])

    def mass(shift):
        below = np.array([[law.cdf([x - shift[0], y - shift[1]]) for y in ends] for x in ends])
        return np.diff(np.diff(below, axis=0), axis=1)

    z = np.array([1.5, -0.5])
    truth = np.abs(mass(z / 5) - mass([0, 0])).sum() / 2
    found = local(
        influence=np.stack([z, z]), covariance=[[1.0, rho], [rho, 1.0]], mean=np.zeros(2),
        quantizer=Fixed(edges / 5), n=n, method="cells", num_samples=400_000,
    )  # fmt: skip
    error = 0.3 / math.sqrt(400_000)
    assert found.value < truth + 5 * error
    assert found.value > 0.95 * truth


def test_independent_weights_make_linear_diagonal(rng):
    psi = rng.standard_normal((200, 7)) * np.arange(1, 8)
    mean = rng.standard_normal(7)
    for quantizer in (Sign(), Ternary(zeros=0.5), Uniform(bits=3)):
        both = [
            local(influence=psi, covariance=v, mean=mean, quantizer=quantizer, n=30).value
            for v in (np.arange(1, 8.0) ** 2, np.diag(np.arange(1, 8.0) ** 2))
        ]
        assert both[0] == pytest.approx(both[1], rel=1e-10, abs=0)


def test_many_correlated_weights_at_a_coarse_and_a_fine_grid(rng):
    """Finer cells let more through, the finest all: data processing along nested grids."""
    psi, covariance = with_covariance(rng, 100, 20)
    mean = rng.standard_normal(20)
    grids = [Fixed(np.arange(-5, 5.01, 5 / 2**k)) for k in range(10)]
    found = [local(influence=psi, covariance=covariance, mean=mean, quantizer=g, n=50).value for g in grids]
    full = local(influence=psi, covariance=covariance, mean=mean, quantizer=Full(), n=50).value
    assert np.all(np.diff(found) > 0)
    assert found[-1] == pytest.approx(full, rel=1e-3, abs=0)
    assert found[-1] < full


def test_effective_weights_count_those_near_an_edge():
    """Five weights on an edge, five far away, influences alike."""
    mean = np.repeat([0.0, 9.0], 5)
    psi = np.array([np.ones(10), -np.ones(10)])
    for method in ("diagonal", "cells"):
        setting = {"covariance": np.ones(10), "mean": mean, "quantizer": Sign(), "n": 100, "method": method}
        assert local(influence=psi, **setting).details["effective_weights"] == pytest.approx(
            5, rel=1e-6, abs=0
        )
    nowhere = local(influence=psi, covariance=np.ones(10), mean=np.full(10, 9.0), quantizer=Sign(), n=10**4)
    assert nowhere.details["effective_weights"] == 0
    assert nowhere.value == 0


@pytest.mark.parametrize("method", ["diagonal", "linear"])
def test_units_of_the_weights_do_not_matter(method, rng):
    psi, covariance = with_covariance(rng, 100, 4)
    mean = rng.standard_normal(4)
    found = [
        local(influence=c * psi, covariance=c * c * covariance, mean=c * mean, quantizer=Uniform(bits=3), n=40,
              method=method).value
        for c in (1.0, 1e-3)
    ]  # fmt: skip
    assert found[0] == pytest.approx(found[1], rel=1e-9, abs=0)


def test_layers_have_grids_of_their_own(rng):
    psi = rng.standard_normal((50, 10))
    layers = [rng.standard_normal((3, 2)), 100 * rng.standard_normal((4, 1))]
    setting = {"covariance": np.ones(10), "n": 30}
    both = local(influence=psi, mean=layers, quantizer=Uniform(bits=4), **setting)
    shares = [
        local(
            influence=psi[:, part], mean=w, quantizer=Uniform(bits=4), covariance=np.ones(w.size), n=30
        ).details
        for w, part in zip(layers, (slice(0, 6), slice(6, 10)), strict=True)
    ]
    expected = (6 * shares[0]["retained"] + 4 * shares[1]["retained"]) / 10
    assert both.details["retained"] == pytest.approx(expected, rel=1e-12, abs=0)
    one_grid = local(
        influence=psi, mean=np.concatenate([w.ravel() for w in layers]), quantizer=Uniform(bits=4), **setting
    )
    assert one_grid.value != pytest.approx(both.value, rel=1e-3, abs=0)


def test_channels_have_grids_of_their_own(rng):
    psi = rng.standard_normal((50, 12))
    weights = rng.standard_normal((6, 2)) * [1.0, 50.0]
    retained = [
        local(influence=psi, covariance=np.ones(12), mean=[weights], quantizer=Uniform(bits=3, channel=True), n=30,
              method=method, num_samples=1000).details["retained"]
        for method in ("diagonal", "cells")
    ]  # fmt: skip
    assert retained[0] == pytest.approx(retained[1], rel=1e-12, abs=0)
    apart = [
        retained_information(w, 1 / math.sqrt(30), Uniform(bits=3)).value
        for w in (weights[:, 0], weights[:, 1])
    ]
    assert retained[0] == pytest.approx(np.mean(apart), rel=1e-12, abs=0)


def test_stochastic_rounding_goes_by_the_diagonal(rng):
    psi, covariance = with_covariance(rng, 50, 5)
    mean = rng.standard_normal(5)
    setting = {"influence": psi, "mean": mean, "n": 40, "quantizer": Stochastic(bits=4)}
    found = local(covariance=np.diag(covariance), **setting)
    sharp = local(influence=psi, mean=mean, n=40, quantizer=Uniform(bits=4), covariance=np.diag(covariance))
    assert 0 < found.value < sharp.value
    with pytest.raises(UnsupportedSetting, match="method='linear' needs sharp cells"):
        local(covariance=covariance, **setting)


def test_codebook_levels_as_far_as_the_eye_sees(rng):
    """A grid much wider than the fluctuation, and one with cells that no weight ever enters."""
    psi, covariance = with_covariance(rng, 50, 6)
    for quantizer in (Codebook(levels=4), Uniform(bits=8, scale=1e6), Uniform(bits=2, scale=1e-6)):
        for method in ("diagonal", "linear", "cells"):
            found = local(influence=psi, covariance=covariance, mean=np.ones(6), quantizer=quantizer, n=10**4,
                          method=method, num_samples=1000)  # fmt: skip
            assert 0 <= found.value < 0.1


def test_roc_of_one_shift_is_the_normal_one():
    psi = np.array([[3.0], [3.0]])
    found = local(influence=psi, covariance=[1.0], mean=[0.0], quantizer=Full(), n=9)
    for fpr in (0.001, 0.1, 0.5):
        exact = stats.norm.cdf(stats.norm.ppf(fpr) + 1)
        assert found.roc().tpr(fpr).value == pytest.approx(exact, abs=2e-4)
    assert found.roc().advantage().value == pytest.approx(found.value, abs=1e-6)


@pytest.mark.parametrize("method", ["diagonal", "linear", "cells"])
def test_roc_has_the_advantage_of_the_interval(method, rng):
    psi, covariance = with_covariance(rng, 500, 5)
    covariance = np.diag(covariance) if method != "linear" else covariance
    found = local(
        influence=psi, covariance=covariance, mean=np.full(5, 0.1), quantizer=Sign(), n=50, method=method
    )
    roc = found.roc()
    assert roc.kind == "asymptotic"
    assert roc.advantage().value == pytest.approx(found.value, rel=2e-3, abs=0)
    with pytest.raises(UnsupportedSetting, match="carries no ROC"):
        local(
            influence=psi,
            covariance=np.eye(5),
            mean=np.ones(5),
            quantizer=Sign(),
            n=50,
            method="cells",
            num_samples=2000,
        ).roc()


def test_mixture_roc_against_an_average_over_examples(rng):
    """One threshold for all examples: TPR at a given FPR found by root search in the two averages."""
    psi = rng.standard_normal((40, 1)) * 2
    found = local(influence=psi, covariance=[1.0], mean=[0.0], quantizer=Full(), n=4)
    mu = np.abs(psi.ravel()) / 2

    def rate(threshold, sign):
        return stats.norm.cdf(-threshold / mu + sign * mu / 2).mean()

    for fpr in (0.01, 0.2):
        threshold = optimize.brentq(lambda t: rate(t, -1) - fpr, -50, 50)  # noqa: B023
        assert found.roc().tpr(fpr).value == pytest.approx(rate(threshold, 1), abs=1e-3)


def test_bounds_cover_the_mean_over_the_population(rng):
    """Over 200 sets of 100 examples, the 95% bounds hold the population's value; binomial limits at five errors."""
    setting = {"covariance": np.ones(3), "mean": [0.1, -0.2, 0.4], "quantizer": Sign(), "n": 50}
    truth = local(influence=rng.standard_normal((10**6, 3)), **setting).value
    found = [local(influence=rng.standard_normal((100, 3)), **setting) for _ in range(200)]
    covered = np.mean([f.lower <= truth <= f.upper for f in found])
    assert abs(covered - 0.95) < 5 * math.sqrt(0.95 * 0.05 / 200)


@pytest.mark.parametrize("method", ["diagonal", "linear", "cells"])
def test_an_example_that_moves_weights_without_bound_is_told_with_certainty(method):
    influence, covariance = 1e250 * np.eye(5, 3), np.eye(3) if method == "linear" else np.ones(3)
    setting = {"covariance": covariance, "mean": np.zeros(3), "quantizer": Full(), "n": 9}
    found = local(influence=influence[:3], method=method, **setting)
    assert (found.value, found.details["effective_weights"]) == (1.0, pytest.approx(3.0))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"n": 1}, r"theory\.local: expected n an integer >= 2, got n=1\."),
        ({"influence": np.ones(3)}, r"expected influence with 2 axes"),
        ({"influence": np.ones((1, 3))}, r"expected influence of at least two examples"),
        ({"influence": np.full((5, 3), np.nan)}, r"expected influence finite"),
        ({"covariance": np.ones(2)}, r"expected covariance\.shape \(3, 3\) or \(3,\)"),
        (
            {"covariance": np.array([1.0, 0.0, 1.0])},
            r"expected covariance with positive variances, got covariance=0\.0",
        ),
        ({"covariance": np.ones((3, 3))}, r"expected covariance positive definite; it is not\. Damping"),
        ({"covariance": np.eye(3) + np.triu(np.ones((3, 3)), 1)}, r"expected covariance symmetric"),
        ({"mean": np.ones(2)}, r"expected mean of 3 weights, as influence has, got mean=2"),
        ({"method": "exact"}, r"expected method one of diagonal, linear, cells, got method='exact'"),
        (
            {"quantizer": "sign"},
            r"expected quantizer a quantizer, as mis.quantizers.parse returns it, got .*'sign'",
        ),
        ({"quantizer": Sign}, r"expected quantizer a quantizer, as mis.quantizers.parse returns it"),
        ({"level": 2.0}, r"expected level a finite number > 0 and < 1, got level=2\.0"),
        ({"method": "cells", "seed": -1}, r"expected seed an integer >= 0, got seed=-1"),
        ({"method": "cells", "num_samples": 3}, r"expected num_samples an integer >= 10"),
    ],
)
def test_refusals(change, message):
    setting = {
        "influence": np.eye(5, 3),
        "covariance": np.ones(3),
        "mean": np.ones(3),
        "quantizer": Sign(),
        "n": 9,
    }
    with pytest.raises(InvalidInput, match=message):
        local(**(setting | change))


def test_unsupported_settings():
    setting = {"mean": np.ones(3), "quantizer": Sign(), "n": 9}
    with pytest.raises(UnsupportedSetting, match="method='linear' needs the full covariance"):
        local(influence=np.ones((5, 3)), covariance=np.ones(3), method="linear", **setting)
    large = np.broadcast_to(1.0, (5000, 5000))
    with pytest.raises(UnsupportedSetting, match="5000 > 4000 parameters is too large; give its diagonal"):
        local(influence=np.ones((2, 5000)), covariance=large, mean=np.ones(5000), quantizer=Sign(), n=9)
