"""Retained information against the definition of Fisher information, quadrature, and limits."""

import itertools
import math
import time

import jax
import numpy as np
import pytest
from scipy import integrate, special, stats

from mis import theory
from mis.numerics.checks import InvalidInput
from mis.quantizers import Sign
from mis.quantizers.base import Grid
from mis.results import Interval
from mis.theory.retained import retained_shares


class Fixed:
    """A quantizer that ignores what it is fitted to."""

    bits = 32.0

    def __init__(self, levels, *, edges=None, stochastic=False):
        self.levels = None if levels is None else np.asarray(levels, float)
        self.edges = (
            edges
            if edges is not None or levels is None
            else (self.levels[..., 1:] + self.levels[..., :-1]) / 2
        )
        self.stochastic = stochastic

    def fit(self, _):
        return Grid(levels=self.levels, edges=self.edges, stochastic=self.stochastic)


LEVELS = np.array([-1.0, -0.3, 0.2, 1.4])


def code_probabilities(w, s, grid):
    """P(code = q) for a weight N(w, s**2), by quadrature for a stochastic grid."""
    if not grid.stochastic:
        return np.diff(stats.norm.cdf([-np.inf, *np.ravel(grid.edges), np.inf], w, s))
    kinks = [-8.0, *(k for k in (grid.levels - w) / s if abs(k) < 8), 8.0]

    def prob(hat):
        def density(u):
            return np.interp(w + s * u, grid.levels, hat) * stats.norm.pdf(u)

        return sum(integrate.quad(density, a, b, epsabs=1e-13)[0] for a, b in itertools.pairwise(kinks))

    return np.array([prob(hat) for hat in np.eye(len(grid.levels))])


@pytest.mark.parametrize("stochastic", [False, True])
@pytest.mark.parametrize("s", [0.1, 0.5, 3.0])
@pytest.mark.parametrize("w", [-1.2, -0.3, 0.05, 0.9, 1.5])
def test_share_is_the_fisher_information_of_the_code(w, s, stochastic):
    grid = Fixed(LEVELS, stochastic=stochastic).fit(None)
    step = 1e-3
    low, mid, high = (code_probabilities(w + h * s, s, grid) for h in (-step, 0, step))
    slope = (high - low) / (2 * step)
    truth = np.sum(slope[mid > 1e-11] ** 2 / mid[mid > 1e-11])
    assert retained_shares(np.array([w]), np.array([s]), grid)[0] == pytest.approx(truth, rel=1e-4, abs=1e-7)


def test_one_edge_in_closed_form():
    a = np.linspace(-30, 30, 13)
    truth = np.exp(stats.norm.logpdf(a) * 2 - stats.norm.logcdf(a) - stats.norm.logsf(a))
    found = retained_shares(a, np.ones(13), Fixed([-1.0, 1.0]).fit(None))
    assert found == pytest.approx(truth, rel=1e-12, abs=1e-150)
    assert found[6] == pytest.approx(2 / math.pi, rel=1e-14, abs=0)


def test_far_cells_keep_their_relative_accuracy():
    grid = Fixed([0.0, 1.0, 2.0]).fit(None)
    # 20 spreads below the first edge: everything comes from two tiny cells.
    a, b = 20.0, 30.0
    tails = special.ndtr(-a) - special.ndtr(-b), special.ndtr(-b)
    densities = stats.norm.pdf(a) - stats.norm.pdf(b), stats.norm.pdf(b)
    truth = densities[0] ** 2 / tails[0] + densities[1] ** 2 / tails[1] + stats.norm.pdf(a) ** 2
    for w, sign in ((0.5 - 2.0, 1), (1.5 + 2.0, -1)):
        assert sign * (1.0 - w) > 0
        assert retained_shares(np.array([w]), np.array([0.1]), grid)[0] == pytest.approx(
            truth, rel=1e-10, abs=0
        )


@pytest.mark.parametrize("width", [0.02, 0.2, 0.5])
@pytest.mark.parametrize("stochastic", [False, True])
def test_fine_grids_lose_what_their_noise_adds(width, stochastic):
    # Rounding adds the variance of a uniform error, h**2/12; stochastic rounding to a random neighbour
    # h**2/6.
    grid = Fixed(np.arange(-12, 12 + width, width), stochastic=stochastic).fit(None)
    shares = retained_shares(np.linspace(-0.1, 0.1, 7), np.ones(7), grid)
    assert shares == pytest.approx(1 / (1 + width**2 / (6 if stochastic else 12)), rel=0.1 * width**2, abs=0)


def test_coarser_codes_keep_less(rng):
    w, s = rng.normal(size=200), rng.uniform(0.01, 1, size=200)
    edges = np.sort(rng.normal(size=15))
    fine, coarse = (
        retained_shares(w, s, Grid(levels=np.zeros(len(e) + 1), edges=e)) for e in (edges, edges[::3])
    )
    assert (coarse <= fine + 1e-12).all()
    assert (fine <= 1).all()
    rounded = retained_shares(w, s, Fixed(LEVELS, stochastic=True).fit(None))
    assert (rounded >= 0).all()
    assert (rounded <= 1).all()


def test_mirror_image(rng):
    w, s = rng.normal(size=50), rng.uniform(0.01, 1, size=50)
    for stochastic in (False, True):
        here = retained_shares(w, s, Fixed(LEVELS, stochastic=stochastic).fit(None))
        there = retained_shares(-w, s, Fixed(-LEVELS[::-1], stochastic=stochastic).fit(None))
        assert there == pytest.approx(here, rel=1e-9, abs=1e-15)


@pytest.mark.parametrize("stochastic", [False, True])
def test_mirror_image_far_out(stochastic):
    w, s = np.array([-4.0, -3.0, -2.5]), np.full(3, 0.3)
    here = retained_shares(w, s, Fixed(LEVELS, stochastic=stochastic).fit(None))
    there = retained_shares(-w, s, Fixed(-LEVELS[::-1], stochastic=stochastic).fit(None))
    assert (here > 0).all()
    assert there == pytest.approx(here, rel=1e-9, abs=0)


def test_channels_are_the_last_axis(rng):
    w, s = rng.normal(size=(6, 5, 3)), rng.uniform(0.1, 1, size=(6, 5, 3))
    levels = np.sort(rng.normal(size=(3, 4)), axis=1)
    for stochastic in (False, True):
        together = retained_shares(w, s, Fixed(levels, stochastic=stochastic).fit(None))
        for c in range(3):
            alone = retained_shares(w[..., c], s[..., c], Fixed(levels[c], stochastic=stochastic).fit(None))
            assert together[..., c] == pytest.approx(alone, rel=1e-12, abs=0)


def test_blocks_change_nothing(rng):
    w = rng.normal(size=20_000)
    grid = Fixed(np.linspace(-1, 1, 8)).fit(None)
    together = retained_shares(w, np.full(20_000, 0.1), grid)
    apart = [retained_shares(w[i : i + 1], np.array([0.1]), grid)[0] for i in range(0, 20_000, 997)]
    assert together[::997] == pytest.approx(apart, rel=1e-13, abs=0)


def test_weights_that_do_not_move():
    weights, spread = np.array([-0.5, 0.0, 0.5]), np.zeros(3)
    assert retained_shares(weights, spread, Fixed([-1.0, 1.0]).fit(None)).tolist() == [0, 2 / math.pi, 0]
    assert retained_shares(weights, spread + 1e-9, Fixed([-1.0, 1.0]).fit(None)) == pytest.approx(
        [0, 2 / math.pi, 0]
    )
    assert retained_shares(weights, spread, Fixed(LEVELS, stochastic=True).fit(None)).tolist() == [0, 0, 0]
    assert (
        retained_shares(np.array([0.1]), np.array([1e-12]), Fixed(LEVELS, stochastic=True).fit(None)) < 1e-11
    )


def test_full_precision_keeps_everything(rng):
    result = theory.retained_information(rng.normal(size=(3, 4)), 0.0, Fixed(None))
    assert (result.lower, result.value, result.upper) == (1.0, 1.0, 1.0)


def test_a_network_is_its_layers_each_with_its_own_grid(rng):
    layers = [rng.normal(size=(4, 3)), 7 * rng.normal(size=5)]
    spreads = [np.full((4, 3), 0.3), np.full(5, 0.1)]
    whole = theory.retained_information(layers, spreads, Sign())
    shares = [retained_shares(w, s, Sign().fit(w)) for w, s in zip(layers, spreads, strict=True)]
    assert whole.value == pytest.approx(np.concatenate([x.ravel() for x in shares]).mean(), rel=1e-12, abs=0)
    scalar = theory.retained_information(layers, 0.3, Sign())
    full = theory.retained_information(layers, [np.full((4, 3), 0.3), np.full(5, 0.3)], Sign())
    assert scalar == full


def test_interval_is_the_bootstraps(rng):
    weights = rng.normal(size=2000)
    result = theory.retained_information(weights, 0.2, Sign())
    shares = retained_shares(weights, np.full(2000, 0.2), Sign().fit(weights))
    resampled = stats.bootstrap((shares,), np.mean, method="percentile", n_resamples=2000, rng=rng)
    assert result.kind == "bootstrap"
    assert [result.lower, result.upper] == pytest.approx(
        list(resampled.confidence_interval), abs=0.1 * result.width
    )


def test_sixteen_thousand_weights_and_255_edges(rng):
    weights = rng.normal(size=16_000)
    quantizer = Fixed(np.linspace(-3, 3, 256))
    times = []
    for _ in range(3):
        start = time.process_time()
        theory.retained_information(weights, 0.02, quantizer)
        times.append(time.process_time() - start)
    assert min(times) < 0.6  # 0.2 s on an idle core


def interval(lower, value, upper, level=0.95):
    return Interval(lower=lower, value=value, upper=upper, kind="attack", level=level)


@pytest.mark.parametrize("full", [0.0, 0.3, 0.9, 1.0])
@pytest.mark.parametrize("kept", [0.0, 0.2, 1.0])
def test_predicted_advantage_is_that_of_a_smaller_gaussian_shift(full, kept):
    shift = 2 * stats.norm.ppf((1 + full) / 2)
    truth = 2 * stats.norm.cdf(shift * math.sqrt(kept) / 2) - 1 if kept > 0 else 0.0
    assert theory.predicted_advantage(kept, full).value == pytest.approx(truth, abs=1e-15)


def test_predicted_advantage_of_numbers_has_no_bounds():
    found = theory.predicted_advantage(0.2, 0.5)
    assert found.kind == "asymptotic"
    assert found.lower == found.value == found.upper


def test_predicted_advantage_of_a_shift_seen_through_one_edge():
    # One weight on an edge, seen n small shifts of size mu: the code keeps 2/pi of mu**2.
    mu = 0.01
    full = 2 * stats.norm.cdf(mu / 2) - 1
    seen = stats.norm.cdf(mu / 2) - stats.norm.cdf(-mu / 2)
    one = theory.retained_information(np.zeros(2), 1.0, Sign()).value
    assert theory.predicted_advantage(one, full).value == pytest.approx(
        seen * math.sqrt(2 / math.pi), rel=1e-4, abs=0
    )


def test_predicted_advantage_carries_intervals():
    full, kept = interval(-0.1, 0.5, 0.6), interval(0.1, 0.2, 0.3, level=0.9)
    result = theory.predicted_advantage(kept, full)
    assert result.kind == "asymptotic"
    assert result.level == pytest.approx(0.85)
    assert result.lower == 0.0
    assert result.value == theory.predicted_advantage(0.2, 0.5).value
    assert result.upper == theory.predicted_advantage(0.3, 0.6).value
    assert theory.predicted_advantage(0.2, full).level == 0.95


def test_weight_error_and_entropy_of_a_network(rng):
    layers = [rng.normal(size=(30, 3)), 7 * rng.normal(size=50)]
    squared = [np.sum((Sign()(w) - w) ** 2) for w in layers], [np.sum(w**2) for w in layers]
    assert theory.weight_error(layers, Sign()) == pytest.approx(
        sum(squared[0]) / sum(squared[1]), rel=1e-12, abs=0
    )
    assert theory.weight_error(layers, Fixed(None)) == 0.0
    entropies = [stats.entropy([np.sum(w < 0), np.sum(w >= 0)], base=2) for w in layers]
    assert theory.code_entropy(layers, Sign()) == pytest.approx((90 * entropies[0] + 50 * entropies[1]) / 140)
    assert theory.code_entropy(layers, Fixed(None)) == 32.0


@pytest.mark.parametrize("channels", [False, True])
def test_stochastic_baselines_against_simulation(rng, channels):
    levels = np.stack([LEVELS, 2 * LEVELS]) if channels else LEVELS
    quantizer = Fixed(levels, stochastic=True)
    weights = rng.normal(size=(40, 2))
    grid = quantizer.fit(weights)
    keys = jax.random.split(jax.random.key(0), 100)
    codes = np.stack([np.asarray(grid.codes(weights, key=key)) for key in keys])
    released = np.stack([levels[c, codes[..., c]] for c in range(2)], -1) if channels else levels[codes]
    errors = ((released - weights) ** 2).sum(axis=(1, 2)) / (weights**2).sum()
    assert theory.weight_error(weights, quantizer) == pytest.approx(errors.mean(), abs=5 * errors.std() / 10)
    entropy = stats.entropy(np.bincount(codes.ravel()), base=2)
    assert theory.code_entropy(weights, quantizer) == pytest.approx(entropy, abs=0.01)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: theory.retained_information([], 1.0, Sign()), "weights not empty"),
        (
            lambda: theory.retained_information(np.ones(3), np.ones(2), Sign()),
            "spread one number or shaped like",
        ),
        (lambda: theory.retained_information(np.ones(3), -1.0, Sign()), "spread >= 0, got spread=-1.0"),
        (lambda: theory.retained_information(np.array([1.0, np.nan]), 1.0, Sign()), "weights finite"),
        (lambda: theory.retained_information(np.ones(3), np.inf, Sign()), "spread finite"),
        (lambda: theory.retained_information(np.ones(3), 1.0, Sign(), level=2.0), "level a finite number"),
        (lambda: theory.predicted_advantage(1.5, 0.5), r"retained in \[0, 1\], got retained=1.5"),
        (lambda: theory.predicted_advantage(0.5, 1.5), "full_advantage at most 1"),
        (lambda: theory.predicted_advantage(float("nan"), 0.5), "retained a finite number"),
        (lambda: theory.predicted_advantage("a", 0.5), "retained a finite number, got retained='a'"),
        (
            lambda: theory.predicted_advantage(0.5, None),
            "full_advantage a finite number, got full_advantage=None",
        ),
        (lambda: theory.weight_error(np.zeros(3), Sign()), "not all zero"),
        (lambda: theory.weight_error(np.array([1e300, 1.0]), Sign()), "squares sum to a finite number"),
        (lambda: theory.weight_error(np.ones(3), "sign"), "weight_error: expected quantizer a quantizer"),
        (lambda: theory.code_entropy(np.ones(3), None), "code_entropy: expected quantizer a quantizer"),
        (
            lambda: theory.retained_information(np.ones(3), 1.0, Sign),
            "information: expected quantizer a quantizer",
        ),
    ],
)
def test_refuses(call, message):
    with pytest.raises(InvalidInput, match=message):
        call()
