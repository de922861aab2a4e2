"""Exact advantages against closed forms, enumeration of all data sets, and quadrature of the definition."""

import itertools
import math
from fractions import Fraction

import numpy as np
import pytest
from scipy import integrate, special, stats

from mis import theory
from mis.numerics.checks import InvalidInput, UnsupportedSetting
from mis.theory.enumeration import choices, compositions


def pair(delta, sigma=1.0):
    return theory.GaussianLosses(mean=[0.0, delta], cov=[[0.0, 0.0], [0.0, sigma**2]])


def by_definition(delta, n):
    """E|p(D) - p| for D ~ N(delta, 1) by adaptive quadrature, each probability relative to p."""
    log_p = special.log_ndtr(-math.sqrt(n) * delta)

    def relative_shift(u):
        log_given = special.log_ndtr(-(u + n * delta) / math.sqrt(n - 1))
        return abs(math.expm1(log_given - log_p)) * stats.norm.pdf(u)

    crossing = -math.sqrt(n) * delta / (math.sqrt(n) + math.sqrt(n - 1))
    points = [-40, -delta - 2, -delta - 0.5, crossing, 2, 40]
    parts = [
        integrate.quad(relative_shift, a, b, epsrel=1e-11, limit=200)[0]
        for a, b in itertools.pairwise(sorted(points))
    ]
    return math.log(sum(parts)) + log_p


def naive(losses, probs, n):
    """Go through every data set, up to the order of all examples but the first, in rational numbers."""
    num_losses, num_atoms = len(losses), len(probs)
    given = [[Fraction(0)] * num_losses for _ in range(num_atoms)]
    for data in itertools.combinations_with_replacement(range(num_atoms), n - 1):
        counts = [data.count(j) for j in range(num_atoms)]
        weight = Fraction(math.factorial(n - 1), math.prod(map(math.factorial, counts)))
        weight *= math.prod((p**c for p, c in zip(probs, counts, strict=True)), start=Fraction(1))
        others = [sum(x * c for x, c in zip(row, counts, strict=True)) for row in losses]
        for j in range(num_atoms):
            sums = [total + row[j] for total, row in zip(others, losses, strict=True)]
            given[j][sums.index(min(sums))] += weight
    overall = [sum(probs[j] * given[j][k] for j in range(num_atoms)) for k in range(num_losses)]
    return (
        sum(probs[j] * abs(given[j][k] - overall[k]) for j in range(num_atoms) for k in range(num_losses)) / 2
    )


def discrete(losses, probs):
    """Law of losses given as rational numbers; also its probabilities, rational and summing to one."""
    law = theory.DiscreteLosses(losses=[[float(x) for x in row] for row in losses], probs=probs)
    held = [Fraction(p) for p in law.probs.tolist()]
    return law, [p / sum(held) for p in held]


def random_law(rng):
    """Decimals, decimals beside an offset, floats, near ties, or one atom of large losses; some atoms rare."""
    kind, shape = rng.integers(5), (int(rng.integers(2, 5)), int(rng.integers(2, 5)))
    whole = rng.integers(-5, 6, shape).tolist()
    losses = [[Fraction(x, 10) for x in row] for row in whole]
    if kind == 1:
        losses = [[x + Fraction(7, 10) for x in row] for row in losses]
    if kind == 2:
        losses = [[Fraction(x) for x in row] for row in rng.normal(size=shape).tolist()]
    if kind == 3:
        moved, size = rng.integers(-2, 3, shape).tolist(), Fraction(1, 10 ** int(rng.integers(8, 13)))
        losses = [
            [5 * x + m * size for x, m in zip(*rows, strict=True)] for rows in zip(losses, moved, strict=True)
        ]
    if kind == 4:
        losses = [[row[0] * 10**6, *row[1:]] for row in losses]
    probs = rng.dirichlet(np.ones(shape[1]))
    rare = rng.random(shape[1]) < 0.5
    probs = np.where(rare, 10.0 ** -rng.uniform(1, 12, shape[1]), probs)
    return losses, probs / probs.sum(), int(rng.integers(1, 9))


@pytest.mark.parametrize(
    ("delta", "n", "value"),
    [(0.3, 10, 0.06504830), (0.3, 100, 3.5287282e-4), (0.3, 300, 2.5114645e-8), (1.0, 100, 5.9017399e-24)],
)
def test_checked_numbers(delta, n, value):
    assert theory.exact(pair(delta), n).value == pytest.approx(value, rel=1e-7, abs=0)


@pytest.mark.parametrize(
    ("delta", "n"),
    [(0.3, 2), (0.3, 10), (1.0, 100), (1.0, 450), (3.0, 40), (1.0, 1370), (0.01, 5), (20.0, 2)],
)
def test_gaussian_pair_against_its_definition(delta, n):
    result = theory.exact(pair(delta), n)
    truth = by_definition(delta, n)
    assert result.details["log_value"] == pytest.approx(truth, abs=1e-9)
    assert result.lower <= math.exp(truth) * (1 + 1e-9)
    assert result.upper >= math.exp(truth) * (1 - 1e-9)


@pytest.mark.parametrize("n", [1, 2, 7, 100, 10**6])
def test_an_exact_tie_leaks_arcsine(n):
    assert theory.exact(pair(0.0), n).value == pytest.approx(
        math.asin(1 / math.sqrt(n)) / math.pi, rel=1e-13, abs=0
    )


@pytest.mark.parametrize("delta", [0.0, 0.3, 3.0, 37.0])
def test_one_example_is_remembered_whole(delta):
    p = stats.norm.sf(delta)
    assert theory.exact(pair(delta), 1).value == pytest.approx(2 * p * (1 - p), rel=1e-12, abs=0)


def test_only_the_standardised_difference_matters():
    reference = theory.exact(pair(0.4), 30).value
    assert theory.exact(pair(-0.4), 30).value == reference
    assert theory.exact(pair(1.2, sigma=3.0), 30).value == pytest.approx(reference, rel=1e-12, abs=0)
    correlated = theory.GaussianLosses(mean=[5.0, 5.4], cov=[[2.0, 1.0], [1.0, 1.0]])
    assert theory.exact(correlated, 30).value == pytest.approx(reference, rel=1e-12, abs=0)


def test_a_value_that_underflows_keeps_its_logarithm():
    result = theory.exact(pair(3.0), 1000)
    assert result.value == 0.0
    assert result.details["log_value"] == pytest.approx(by_definition(3.0, 1000), rel=1e-12, abs=0)


TABLES = [
    ([[0, 0, 0], [-6, 1, 4]], [2, 5, 3]),
    ([[-6, 1, 4], [0, 0, 0]], [2, 5, 3]),
    ([[0, 3, 1], [2, 0, 1], [1, 1, 1]], [1, 1, 2]),
    ([[1, 1, 1], [2, 0, 1], [0, 3, 1]], [1, 1, 2]),
    ([[0, 2], [1, 1], [1, 1], [2, 0]], [1, 3]),
    ([[3, 0, 1, 2], [0, 3, 2, 1], [1, 1, 1, 1], [2, 2, 0, 2]], [1, 2, 3, 4]),
]


@pytest.mark.parametrize(("losses", "weights"), TABLES)
@pytest.mark.parametrize("n", [1, 2, 3, 5])
def test_discrete_against_every_data_set(losses, weights, n):
    probs = [Fraction(w, sum(weights)) for w in weights]
    truth = naive(losses, probs, n)
    law = theory.DiscreteLosses(losses=losses, probs=[float(p) for p in probs])
    result = theory.exact(law, n)
    assert result.value == pytest.approx(float(truth), rel=1e-13, abs=1e-15)
    assert result.lower <= truth <= result.upper


@pytest.mark.parametrize("num_laws", [60, pytest.param(3000, marks=pytest.mark.slow)])
def test_random_laws_against_every_data_set(sweep_seed, num_laws):
    for i in range(num_laws):
        losses, probs, n = random_law(np.random.default_rng([sweep_seed, i]))
        law, rational = discrete(losses, probs)
        if all(len({x - y for x, y in zip(row, losses[0], strict=True)}) == 1 for row in losses):
            continue
        truth, result = naive(losses, rational, n), theory.exact(law, n)
        assert result.lower <= truth <= result.upper, (sweep_seed, i)
        assert result.width <= 1e-10 * truth + 1e-299, (sweep_seed, i)
        curve = result.roc().advantage()
        assert curve.lower <= truth <= curve.upper, (sweep_seed, i)


def test_rare_atoms_keep_their_digits():
    # The rival wins by the second atom twice or beside the third: far below what a transform resolves.
    law, rational = discrete([[0, 0, 0], [4, -4, 1]], np.array([1, 1e-12, 1e-12]) / (1 + 2e-12))
    for n in (2, 3, 4, 8, 40):
        truth = naive([[0, 0, 0], [4, -4, 1]], rational, min(n, 8)) if n <= 8 else None
        result = theory.exact(law, n)
        assert result.width <= 1e-10 * result.value
        assert truth is None or result.lower <= truth <= result.upper


NEAR = Fraction(1, 10**9)


@pytest.mark.parametrize(
    ("losses", "weights", "n", "truth"),
    [
        ([[0, 0], [-1, 1 - NEAR]], [2, 3], 4, 0.20736),
        ([[0, 0], [-1, 1 - NEAR], [9, 9]], [2, 3], 4, 0.20736),
        ([[0, 0], [-1, 1 - NEAR], [10**7, 10**7]], [2, 3], 4, 0.20736),
        ([[0, 0], [-1, 1 + NEAR]], [2, 3], 4, 0.13824),
        ([[0, 0], [-1, 1]], [2, 3], 4, 0.13824),
        ([[-1, 1], [0, 0]], [2, 3], 4, 0.20736),
        ([[-1, 1 + NEAR], [0, 0]], [2, 3], 4, 0.13824),
    ],
)
def test_near_ties_are_no_ties(losses, weights, n, truth):
    law, _ = discrete(losses, np.array(weights) / sum(weights))
    assert theory.exact(law, n).value == pytest.approx(truth, rel=1e-12, abs=0)
    simulated = theory.simulate(0, law, n, 4000)
    assert abs(simulated.value - truth) < 5 * simulated.details["standard_error"] + 1e-9


@pytest.mark.parametrize("n", [3, 6, 30])
@pytest.mark.parametrize("offset", [0.0, 0.7, -1.1])
@pytest.mark.parametrize("minimiser_first", [True, False])
def test_decimals_that_sum_to_zero_are_tied(n, offset, minimiser_first):
    whole, probs = np.array([[0, 0, 0], [1, -3, 2]]), [0.3, 0.25, 0.45]
    decimal = np.array([[0.0, 0.0, 0.0], [0.1, -0.3, 0.2]]) + offset
    order = slice(None, None, 1 if minimiser_first else -1)
    truth = theory.exact(theory.DiscreteLosses(losses=whole[order], probs=probs), n).value
    for extra in (np.empty((0, 3)), np.full((1, 3), 9.0)):
        law = theory.DiscreteLosses(losses=np.concatenate([decimal[order], extra]), probs=probs)
        assert theory.exact(law, n).value == pytest.approx(truth, rel=1e-12, abs=0)


@pytest.mark.parametrize(
    "cov", [[[1, 1], [1, 1 + 5e-14]], [[3, 3], [3, 3 + 2e-13]], [[0.3, 0.3], [0.3, 0.3 + 1e-11]]]
)
def test_covariances_that_all_but_cancel(cov):
    variance = sum(s * Fraction(x) for s, x in zip((1, -1, -1, 1), np.ravel(cov).tolist(), strict=True))
    mean = [0.0, 0.4 * math.sqrt(variance)]
    result = theory.exact(theory.GaussianLosses(mean=mean, cov=cov), 10)
    plain = theory.exact(theory.GaussianLosses(mean=mean, cov=[[0, 0], [0, float(variance)]]), 10)
    assert result.value == pytest.approx(plain.value, rel=1e-12, abs=0)
    # Entries that round to these floats change the variance by up to half a unit in the last place each.
    unknown = float(np.finfo(float).eps / 2 * np.abs(cov).sum())
    for moved in (-unknown, unknown):
        other = theory.GaussianLosses(mean=mean, cov=[[0, 0], [0, float(variance) + moved]])
        assert result.lower <= theory.exact(other, 10).value * (1 + 1e-12)
        assert result.upper >= theory.exact(other, 10).value * (1 - 1e-12)
    assert result.width < 8 * unknown / variance * result.value + 1e-10


@pytest.mark.parametrize(("losses", "weights"), TABLES[:4])
def test_sums_within_rounding_are_tied(losses, weights):
    probs = np.array(weights) / sum(weights)
    whole = theory.exact(theory.DiscreteLosses(losses=losses, probs=probs), 9).value
    decimal = theory.exact(theory.DiscreteLosses(losses=np.array(losses) * 0.1 + 0.7, probs=probs), 9).value
    assert decimal == pytest.approx(whole, rel=1e-13, abs=0)


@pytest.mark.parametrize(("p", "n"), [(0.3, 11), (0.2, 1000), (0.05, 800), (0.01, 300), (0.4, 20_000)])
@pytest.mark.parametrize("minimiser_first", [True, False])
def test_two_atoms_against_the_binomial(p, n, minimiser_first):
    # The rare candidate wins if more than half (from half on, if it comes first) of the examples favour it.
    losses = [[0.0, 1.0], [1.0, 0.0]] if minimiser_first else [[1.0, 0.0], [0.0, 1.0]]
    law = theory.DiscreteLosses(losses=losses, probs=[1 - p, p])
    needed = n // 2 + 1 if minimiser_first else (n + 1) // 2
    log_given = [stats.binom.logsf(needed - 1, n - 1, p), stats.binom.logsf(needed - 2, n - 1, p)]
    truth = 2 * p * (1 - p) * math.exp(log_given[1]) * -math.expm1(log_given[0] - log_given[1])
    assert theory.exact(law, n).value == pytest.approx(truth, rel=1e-9, abs=0)


def test_enumeration_keeps_its_digits_at_large_n():
    p, n = 0.4, 100_001
    law = theory.DiscreteLosses(losses=[[0.0, 1.0], [1.0, 0.0]], probs=[1 - p, p])
    truth = stats.binom.sf([n // 2, n // 2 - 1], n - 1, p)
    assert choices(law, n).given[1] == pytest.approx(truth, rel=1e-10, abs=0)
    near = theory.DiscreteLosses(losses=law.losses, probs=[0.501, 0.499])
    truth = stats.binom.sf([n // 2, n // 2 - 1], n - 1, 0.499)
    assert choices(near, n).given[1] == pytest.approx(truth, rel=1e-11, abs=0)


@pytest.mark.parametrize("n", [1, 20, 1_000_000])
def test_the_curve_states_the_error_of_the_value(n):
    found = theory.exact(theory.DiscreteLosses(losses=[[0.0, 0.0], [-1.0, 1.0]], probs=[0.4999, 0.5001]), n)
    curve = found.roc().advantage()
    assert curve.lower <= found.lower <= found.upper <= curve.upper


def test_order_of_candidates_matters_only_on_ties(rng):
    losses, probs = rng.normal(size=(4, 4)), rng.dirichlet(np.ones(4))
    reference = theory.exact(theory.DiscreteLosses(losses=losses, probs=probs), 12).value
    shuffled = theory.DiscreteLosses(losses=losses[[2, 0, 3, 1]], probs=probs)
    doubled = theory.DiscreteLosses(losses=losses[[0, 1, 1, 2, 3, 3]], probs=probs)
    assert theory.exact(shuffled, 12).value == pytest.approx(reference, rel=1e-12, abs=0)
    assert theory.exact(doubled, 12).value == pytest.approx(reference, rel=1e-12, abs=0)


def test_splitting_an_atom_changes_nothing():
    whole = theory.DiscreteLosses(losses=[[0, 0, 0], [-6, 1, 4]], probs=[0.2, 0.5, 0.3])
    split = theory.DiscreteLosses(losses=[[0, 0, 0, 0], [-6, 1, 1, 4]], probs=[0.2, 0.1, 0.4, 0.3])
    assert theory.exact(split, 20).value == pytest.approx(theory.exact(whole, 20).value, rel=1e-12, abs=0)


@pytest.mark.parametrize(("total", "parts"), [(0, 3), (4, 1), (5, 2), (6, 4), (3, 9)])
@pytest.mark.parametrize("chunk", [1, 7, 10**6])
def test_compositions_are_all_there_once(total, parts, chunk):
    blocks = list(compositions(total, parts, chunk))
    assert max(len(block) for block in blocks) <= chunk
    found = {tuple(row) for block in blocks for row in block.tolist()}
    assert found == {c for c in itertools.product(range(total + 1), repeat=parts) if sum(c) == total}
    assert sum(len(block) for block in blocks) == math.comb(total + parts - 1, parts - 1)


def test_compositions_keep_their_ranks_apart_where_binomials_overflow():
    blocks = list(compositions(2, 150, 10**5))
    rows = np.concatenate(blocks)
    assert len(np.unique(rows, axis=0)) == len(rows) == math.comb(151, 2)
    assert (rows.sum(axis=1) == 2).all()
    assert rows.min() == 0


@pytest.mark.parametrize("n", [0, -1, 2.5, True])
def test_refuses_a_bad_sample_size(n):
    with pytest.raises(InvalidInput, match=r"theory.exact: expected n an integer >= 1, got n="):
        theory.exact(pair(0.3), n)


@pytest.mark.parametrize(
    ("law", "n", "reason"),
    [
        (theory.GaussianLosses(mean=[0, 1], cov=np.ones((2, 2))), 5, "never varies"),
        (theory.DiscreteLosses(losses=[[0, 1], [1, 2]], probs=[0.5, 0.5]), 5, "never varies"),
        (theory.DiscreteLosses(losses=[[0, 1], [0, 1]], probs=[0.5, 0.5]), 5, "never varies"),
        (theory.SampledLosses(losses=[[0, 1], [1, 0]]), 5, "itself an estimate"),
        (theory.DiscreteLosses(losses=np.eye(8), probs=np.full(8, 1 / 8)), 100, "more than the 5e\\+06"),
    ],
)
def test_refuses_what_has_no_exact_route(law, n, reason):
    with pytest.raises(UnsupportedSetting, match=f"theory.exact: .*{reason}"):
        theory.exact(law, n)
