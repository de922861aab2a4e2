"""Tilted simulation against exact values from 1 to 1e-280; its interval, its warnings, its plain counterpart."""

import math
import time

import jax
import numpy as np
import pytest
from scipy import stats

from mis import theory
from mis.numerics.checks import InvalidInput, UnsupportedSetting
from mis.theory.tilting import draw, first_above, guide_table, rival_tilts
from mis.theory.winners import PairWinners, TableWinners


def gaussian(delta):
    return theory.GaussianLosses(mean=[0.0, delta], cov=[[0.0, 0.0], [0.0, 1.0]])


FIVE = theory.DiscreteLosses(
    losses=[[0, 2, 1, 3], [2, 1, 0, 1], [3, 0, 2, 1], [1, 3, 3, 0], [1, 2, 3, 1]],
    probs=[0.45, 0.2, 0.25, 0.1],
)


def within(result, truth):
    """Five achieved standard errors."""
    return abs(result.value - truth) <= 5 * result.details["standard_error"] + 1e-11 * truth


@pytest.mark.parametrize(("n", "size"), [(100, 5.9e-24), (450, 2.8e-100), (1300, 4.3e-285)])
def test_rare_events_of_two_normal_candidates(n, size):
    truth = theory.exact(gaussian(1.0), n).value
    assert truth == pytest.approx(size, rel=0.02, abs=0)
    result = theory.simulate(0, gaussian(1.0), n)
    assert result.value == pytest.approx(truth, rel=0.03, abs=0)
    assert within(result, truth)
    assert result.details["standard_error"] < 0.01 * truth
    assert result.effective_samples > 1000


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("n", [1, 2, 5, 20, 100])
def test_five_candidates_against_enumeration(n, reverse):
    law = theory.DiscreteLosses(losses=FIVE.losses[::-1], probs=FIVE.probs) if reverse else FIVE
    truth = theory.exact(law, n).value
    result = theory.simulate(1, law, n)
    assert result.value == pytest.approx(truth, rel=0.03, abs=0)
    assert within(result, truth)


@pytest.mark.slow
def test_five_candidates_at_extreme_rarity():
    losses = (
        np.array([[0, 2, 1], [2, 1, 0], [3, 0, 2], [1, 3, 3], [1, 2, 3]], float)
        + np.array([-1.6, 0, 0, 0, 0])[:, None]
    )
    law = theory.DiscreteLosses(losses=losses, probs=[0.5, 0.2, 0.3])
    for n in (200, 1000):
        truth = theory.exact(law, n).value
        assert theory.simulate(1, law, n).value == pytest.approx(truth, rel=0.05, abs=0)


@pytest.mark.parametrize(("delta", "n"), [(0.0, 50), (0.3, 1), (0.3, 2), (0.3, 10), (3.0, 5)])
def test_common_events_of_two_normal_candidates(delta, n):
    truth = theory.exact(gaussian(delta), n).value
    result = theory.simulate(2, gaussian(delta), n, 20_000)
    assert within(result, truth)
    assert result.lower <= truth <= result.upper


@pytest.mark.parametrize("minimiser_first", [True, False])
@pytest.mark.parametrize("n", [6, 60, 600])
def test_ties_on_a_lattice(minimiser_first, n):
    losses = [[0.0] * 3, [-0.9, 0.15, 0.6]] if minimiser_first else [[-0.9, 0.15, 0.6], [0.0] * 3]
    law = theory.DiscreteLosses(losses=losses, probs=[0.2, 0.5, 0.3])
    assert within(theory.simulate(3, law, n, 40_000), theory.exact(law, n).value)


def test_a_rival_that_wins_by_ties_only():
    law = theory.DiscreteLosses(losses=[[0.0, 1.0], [0.0, 0.0]], probs=[0.3, 0.7])
    result = theory.simulate(0, law, 30, 4000)
    assert result.value == pytest.approx(2 * 0.3**30 * 0.7, rel=1e-9, abs=0)
    reverse = theory.DiscreteLosses(losses=[[0.0, 0.0], [0.0, 1.0]], probs=[0.3, 0.7])
    assert theory.simulate(0, reverse, 30, 4000).upper == 0.0


def test_coverage():
    truths = {n: theory.exact(FIVE, n).value for n in (5, 30)}
    results = [(n, theory.simulate(key, FIVE, n, 1000)) for n in truths for key in range(150)]
    covered = np.mean([r.lower <= truths[n] <= r.upper for n, r in results])
    assert covered > 0.95 - 5 * math.sqrt(0.95 * 0.05 / len(results))


def test_the_two_signs_bracket_the_advantage():
    # With few draws, signs from the same draws overstate and signs from the others understate.
    truth = theory.exact(FIVE, 30).value
    few = np.array([theory.simulate(key, FIVE, 30, 1000).value for key in range(200)])
    assert abs(few.mean() - truth) < 5 * few.std() / math.sqrt(200)


def test_three_normal_candidates_against_orthant_probabilities():
    mean, cov, n = np.array([0.2, 0.35]), np.array([[1.0, 0.3], [0.3, 1.5]]), 12
    law = theory.GaussianLosses(mean=[0.0, *mean], cov=np.pad(cov, ((1, 0), (1, 0))))
    grid = stats.norm.ppf((np.arange(60) + 0.5) / 60)
    z = mean + np.stack(np.meshgrid(grid, grid), -1).reshape(-1, 2) @ np.linalg.cholesky(cov).T

    # Candidate 1 wins if S1 + d1 < 0 and S1 + d1 < S2 + d2; candidate 2 alike; the minimiser otherwise.
    def wins(contrast):
        center, spread = contrast @ mean * (n - 1), contrast @ cov @ contrast.T * (n - 1)
        return stats.multivariate_normal(center, spread).cdf(-(z @ contrast.T))

    first, second = wins(np.array([[1.0, 0.0], [1.0, -1.0]])), wins(np.array([[0.0, 1.0], [-1.0, 1.0]]))
    given = np.stack([first, second, 1 - first - second])
    truth = 0.5 * np.abs(given - given.mean(axis=1, keepdims=True)).sum(axis=0).mean()
    result = theory.simulate(4, law, n, 40_000)
    assert abs(result.value - truth) < 5 * result.details["standard_error"] + 0.003 * truth
    assert result.details["standard_error"] < 0.03 * truth


def test_a_duplicate_or_distant_rival_changes_nothing():
    one = theory.exact(gaussian(0.5), 40).value
    twin = theory.GaussianLosses(mean=[0, 0.5, 0.5], cov=[[0, 0, 0], [0, 1, 1], [0, 1, 1]])
    far = theory.GaussianLosses(mean=[0, 0.5, 9.0], cov=np.diag([0.0, 1.0, 1.0]))
    assert within(theory.simulate(5, twin, 40, 10_000), one)
    assert within(theory.simulate(5, far, 40, 10_000), one)


def test_measured_losses():
    quantiles = 0.5 + stats.norm.ppf((np.arange(2000) + 0.5) / 2000)
    law = theory.SampledLosses(losses=[np.zeros(2000), quantiles])
    saddle = theory.saddlepoint(law, 40).value
    result = theory.simulate(6, law, 40, 20_000)
    assert abs(result.value - saddle) < 5 * result.details["standard_error"] + 0.01 * saddle
    third = theory.SampledLosses(losses=[np.zeros(2000), quantiles, quantiles + 1e-3])
    few = theory.simulate(6, third, 40, 4000)
    assert abs(few.value - saddle) < 5 * few.details["standard_error"] + 0.02 * saddle


def test_plain_monte_carlo_sees_nothing_and_says_so():
    with pytest.warns(theory.FewEffectiveSamples, match="0 effective samples are too few"):
        result = theory.simulate(0, gaussian(1.0), 100, 10_000, tilted=False)
    truth = theory.exact(gaussian(1.0), 100).value
    assert result.value == 0.0
    assert result.lower <= truth <= result.upper
    common = theory.simulate(0, gaussian(0.3), 10, 10_000, tilted=False)
    assert within(common, theory.exact(gaussian(0.3), 10).value)


def test_few_effective_samples_widen_to_the_proved_bound():
    with pytest.warns(theory.FewEffectiveSamples):
        result = theory.simulate(0, FIVE, 40, 200, tilted=False)
    assert result.lower <= theory.exact(FIVE, 40).value <= result.upper
    exponents = [t.exponent for t in rival_tilts(FIVE, 40)]
    assert result.upper == pytest.approx(min(1.0, 2 * sum(math.exp(-40 * i) for i in exponents)))


def test_weights_undo_the_tilts(rng):
    tilts = rival_tilts(FIVE, 20)
    drawn = draw(rng, FIVE, tilts, tilts, 20, 40_000)
    weights = np.exp(drawn.log_weights)
    assert weights.mean() == pytest.approx(1.0, abs=5 * weights.std() / 200)
    means = [20 * t.difference.mean for t in tilts]
    estimates = drawn.sums * weights
    error = 5 * estimates.std(axis=1) / 200
    assert (np.abs(estimates.mean(axis=1) - means) < error).all()


def test_winners_of_pair_and_table_agree(rng):
    sums, examples = (
        rng.integers(-4, 5, size=(1, 300)).astype(float),
        rng.integers(-4, 5, size=(1, 40)).astype(float),
    )
    weights, table = rng.random(300), rng.normal(size=(1, 40))
    for wins_ties in (True, False):
        pair, full = (kind(sums, examples, [wins_ties], 1e-9) for kind in (PairWinners, TableWinners))
        assert pair.probabilities(weights) == pytest.approx(full.probabilities(weights), rel=1e-12, abs=0)
        assert pair.scores(table) == pytest.approx(full.scores(table), rel=1e-9, abs=1e-12)


def test_winners_break_ties_by_index(rng):
    losses = rng.integers(0, 3, size=(4, 200)).astype(float)
    for best in range(4):
        rivals = [k for k in range(4) if k != best]
        sums = (losses - losses[best])[rivals]
        found = TableWinners(sums, np.zeros((3, 1)), [k < best for k in rivals], 1e-9).winner[0]
        assert [[best, *rivals][w] for w in found] == losses.argmin(axis=0).tolist()


def test_the_key_decides():
    first = theory.simulate(7, gaussian(0.3), 10, 1000)
    assert theory.simulate(7, gaussian(0.3), 10, 1000) == first
    assert theory.simulate(8, gaussian(0.3), 10, 1000) != first
    key = jax.random.key(7)
    assert theory.simulate(key, gaussian(0.3), 10, 1000) == theory.simulate(
        jax.random.key_data(key), gaussian(0.3), 10, 1000
    )


def test_speed():
    times = []
    for _ in range(3):
        start = time.process_time()
        theory.simulate(0, gaussian(1.0), 100, 100_000)
        times.append(time.process_time() - start)
    assert min(times) < 1.0  # 0.1 s on an idle core


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (
            lambda: theory.simulate(0, gaussian(0.3), 0),
            InvalidInput,
            "theory.simulate: expected n an integer >= 1",
        ),
        (lambda: theory.simulate(0, gaussian(0.3), 5, 50), InvalidInput, "num_samples an integer >= 200"),
        (lambda: theory.simulate(0, gaussian(0.3), 5, level=0.0), InvalidInput, "level a finite number > 0"),
        (lambda: theory.simulate(-1, gaussian(0.3), 5), InvalidInput, "key an int >= 0 or a single JAX key"),
        (
            lambda: theory.simulate(0, theory.GaussianLosses(mean=[0, 1], cov=np.ones((2, 2))), 5),
            UnsupportedSetting,
            "theory.simulate: every loss differs from the best by a constant",
        ),
    ],
)
def test_refuses(call, error, message):
    with pytest.raises(error, match=message):
        call()


@pytest.mark.parametrize(
    ("num", "concentration"), [(1, 1.0), (2, 1.0), (7, 0.05), (1000, 0.01), (20_000, 1.0)]
)
def test_the_guide_finds_what_a_search_finds(rng, num, concentration):
    """Also at the ends of the steps, where rounding would tell."""
    upper = np.minimum(np.cumsum(rng.dirichlet(np.full(num, concentration))), 1.0)
    upper[-1] = 1.0
    uniform = np.concatenate([[0.0], rng.random(50_000), upper[:-1][:1000], np.nextafter(upper[:1000], 0)])
    uniform = uniform[uniform < 1]
    found = first_above(upper, guide_table(upper), uniform)
    np.testing.assert_array_equal(found, np.searchsorted(upper, uniform, side="right"))
