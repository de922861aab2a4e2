"""Tilted simulation against exact values from 1 to 1e-280; its interval, its warnings, its plain counterpart."""

import importlib
import itertools
import math
import time
from fractions import Fraction

import jax
import numpy as np
import pytest
from scipy import stats

from mis import theory
from mis.numerics.checks import InvalidInput, UnsupportedSetting
from mis.theory.minimisers import PairMinimisers, TableMinimisers
from mis.theory.tilting import draw, first_above, guide_table, rival_tilts


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


def test_a_tie_up_to_rounding_is_a_win_that_is_drawn():
    law = theory.DiscreteLosses(losses=[[0.1 + 0.2, 1.0], [0.3, 0.0]][::-1], probs=[0.3, 0.7])
    swapped = theory.DiscreteLosses(losses=[[0.1 + 0.2, 1.0], [0.3, 0.0]], probs=[0.3, 0.7])
    assert theory.simulate(0, law, 5, 2000).upper == pytest.approx(0, abs=1e-9)
    found = theory.simulate(0, swapped, 5, 2000)
    assert found.lower <= 2 * 0.3**5 * 0.7 <= found.upper
    assert found.width < 0.1 * found.value


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


def test_few_effective_samples_are_said_and_the_interval_holds():
    with pytest.warns(theory.FewEffectiveSamples):
        result = theory.simulate(0, FIVE, 40, 200, tilted=False)
    assert result.lower <= theory.exact(FIVE, 40).value <= result.upper
    assert result.width > 3 * theory.exact(FIVE, 40).value


# Losses of three or four candidates whose wins Chernoff's bounds order wrongly, and the exact advantage.
RARE_ATOM = ([[0, 0, 0], [3, -1, 1], [0, 5, -4]], [0.98 - 1e-12, 0.02, 1e-12], 5, 1.2293e-06)
NO_RARE_ATOM = (
    [[0, 0.3, 0.2, -0.2], [0.2, -0.3, 0.1, 0], [-0.3, -0.3, 0, -0.2], [0.1, 0, 0, 0.3]],
    np.array([9, 9, 9, 1]) / 28,
    3,
    0.0450984,
)


@pytest.mark.parametrize(("losses", "probs", "n", "truth"), [RARE_ATOM, NO_RARE_ATOM])
def test_a_rival_with_a_small_bound_that_wins_most_often_is_drawn(losses, probs, n, truth):
    law = theory.DiscreteLosses(losses=losses, probs=probs)
    exact = theory.exact(law, n).value
    assert exact == pytest.approx(truth, rel=2e-5, abs=0)
    for key in range(40):
        found = theory.simulate(key, law, n, 2000)
        assert found.lower <= exact <= found.upper
        assert found.width < 0.7 * exact
    assert theory.simulate(0, law, n).width < 0.05 * exact


def test_what_was_not_seen_is_in_the_interval():
    """In no plain draw does anything win: 0 of N is no proof of 0."""
    law = theory.DiscreteLosses(losses=[[0, 0], [1, -1.5]], probs=[1 - 1e-5, 1e-5])
    with pytest.warns(theory.FewEffectiveSamples, match="0 effective samples"):
        found = theory.simulate(0, law, 3, 2000, tilted=False)
    assert found.lower == found.value == 0
    assert found.upper > theory.exact(law, 3).value > 0


def random_law(rng):
    """Two to four candidates on two to four atoms down to 1e-12; half with ties of sums, some of expected losses."""
    num_losses, num_atoms = rng.integers(2, 5, size=2)
    n = int(rng.choice([1, 2, 3, 4, 5, 8, 12]))
    weights = np.exp(rng.uniform(math.log(10.0 ** -rng.choice([1, 2, 4, 8, 12])), 0, num_atoms))
    counts = [int(w) for w in np.maximum(np.round(weights * 1e14), 1)]
    kind = rng.integers(4)
    size = 3 if kind < 2 else 40
    losses = rng.integers(-size, size + 1, size=(num_losses, num_atoms))
    if kind == 1:
        losses *= rng.random(losses.shape) < 0.6
    if kind == 3:
        counts = [1, 1, 2, 4][:num_atoms]
        losses[1] = rng.permutation(losses[0])
    return losses, [Fraction(count, sum(counts)) for count in counts], n


def advantage(losses, probs, n):
    """By rational arithmetic over all counts of the atoms; losses are integers."""
    joint = np.full(losses.shape, Fraction(0))
    for counts in itertools.product(range(n), repeat=len(probs)):
        if sum(counts) == n - 1:
            chance = Fraction(math.factorial(n - 1))
            for count, prob in zip(counts, probs, strict=True):
                chance *= prob**count / math.factorial(count)
            for z, prob in enumerate(probs):
                joint[np.argmin(losses @ counts + losses[:, z]), z] += chance * prob
    chosen = joint.sum(axis=1)
    product = np.array([[p * q for q in probs] for p in chosen])
    return abs(joint - product).sum() / 2


@pytest.mark.filterwarnings("ignore::mis.theory.FewEffectiveSamples")
@pytest.mark.parametrize("num_laws", [60, pytest.param(2000, marks=pytest.mark.slow)], ids=["few", "many"])
def test_intervals_of_random_laws_hold(sweep_seed, num_laws):
    rng = np.random.default_rng([sweep_seed, 1])
    missed, tight = {0.6: [], 0.95: [], 1 - 1e-9: []}, []
    for key in range(num_laws):
        losses, probs, n = random_law(rng)
        law = theory.DiscreteLosses(losses=losses, probs=[float(p) for p in probs])
        if all(law.difference(k, law.best()).constant for k in range(len(losses))):
            continue
        truth = float(advantage(losses, probs, n))
        for level, misses in missed.items():
            found = theory.simulate(key, law, n, 2000, level=level)
            misses.append(not found.lower <= truth * (1 + 1e-11) or not found.upper >= truth * (1 - 1e-11))
            if level == 0.95 and truth > 0:
                tight.append(found.width < truth)
    assert len(missed[0.95]) > 0.9 * num_laws
    for level, misses in missed.items():
        assert np.mean(misses) <= 1 - level + 5 * math.sqrt(level * (1 - level) / len(misses))
    # Not by saying nothing.
    assert np.mean(tight) > 0.7


@pytest.mark.parametrize("seed", range(4))
def test_a_draw_adds_no_more_than_its_range(seed):
    """The bound on what was not seen: weight times probability of a win, over all draws."""
    rng = np.random.default_rng(seed)
    losses, probs, n = random_law(rng)
    law = theory.DiscreteLosses(losses=losses, probs=[float(p) for p in probs])
    tilts = rival_tilts(law, n)
    drawn = draw(rng, law, tilts, tilts, n - 1, 4000)
    by_index = np.argsort([tilt.candidate for tilt in tilts])
    examples = np.stack([tilt.difference.values for tilt in tilts])[by_index]
    winners = TableMinimisers(drawn.sums[by_index], examples, [tilts[i].wins_ties for i in by_index], 1e-9)
    wins = winners.scores(np.tile(law.probs, (len(tilts), 1)))
    most = max(math.exp(tilt.log_bound) / tilt.share for tilt in tilts)
    added = np.exp(drawn.log_weights) * wins
    assert 0 < added.max() <= most * (1 + 1e-9)
    # The shares that the draws have are those asked for up to a multiple of four draws.
    assert added.mean() <= most


def test_a_gain_is_asked_of_the_draws_where_wins_are_rare(rng):
    difference = theory.DiscreteLosses(losses=[[0, 0, 0], [0, 5, -4]], probs=[0.98 - 1e-12, 0.02, 1e-12])
    (tilt,) = rival_tilts(difference, 5)
    assert math.exp(tilt.log_bound) == pytest.approx(5e-12, rel=0.02, abs=0)
    sums = draw(rng, difference, [tilt], [tilt], 4, 40_000).sums[0]
    # A gain is one of five, so it is among the four others in four of five draws.
    assert np.mean(sums % 5 != 0) == pytest.approx(0.8, abs=5 * 0.4 / 200)


def test_apart_bounds_what_two_draws_add_over_all_signs(rng):
    examples = rng.integers(-4, 5, size=(1, 6)).astype(float)
    shares = rng.dirichlet(np.ones(6))
    sums, weights = rng.integers(-4, 5, size=(1, 40)).astype(float), rng.random(40)
    wins = (sums[0][:, None] + examples[0] < 0) * weights[:, None]
    signs = np.array(list(itertools.product([-1, 1], repeat=6)))
    added = wins @ (shares * (signs - (signs @ shares)[:, None])).T
    most = np.abs(added[::2] - added[1::2]).max(axis=1)
    pair, table = (kind(sums, examples, [False], 1e-9) for kind in (PairMinimisers, TableMinimisers))
    assert pair.apart(weights, shares) == pytest.approx(most, rel=1e-9, abs=1e-12)
    squares = (added**2).max(axis=1).reshape(-1, 2).sum(axis=1)
    assert (table.apart(weights, shares) ** 2 >= squares - 1e-12).all()


@pytest.mark.filterwarnings("ignore::mis.theory.FewEffectiveSamples")
@pytest.mark.parametrize("n", [2, 20])
def test_intervals_hold_where_examples_are_drawn(monkeypatch, n):
    monkeypatch.setattr(importlib.import_module("mis.theory.simulate"), "MOST_EXAMPLES", 256)
    law = theory.GaussianLosses(mean=[0.0, 0.4, 0.5], cov=[[1.0, 0.3, 0.2], [0.3, 1.5, 0.4], [0.2, 0.4, 0.8]])
    truth = theory.exact(law, n)
    found = [theory.simulate(key, law, n, 1000) for key in range(40)]
    covered = np.mean([r.lower <= truth.upper and r.upper >= truth.lower for r in found])
    assert covered >= 0.95 - 5 * math.sqrt(0.95 * 0.05 / len(found))


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
        pair, full = (kind(sums, examples, [wins_ties], 1e-9) for kind in (PairMinimisers, TableMinimisers))
        assert pair.probabilities(weights) == pytest.approx(full.probabilities(weights), rel=1e-12, abs=0)
        assert pair.scores(table) == pytest.approx(full.scores(table), rel=1e-9, abs=1e-12)


def test_winners_break_ties_by_index(rng):
    losses = rng.integers(0, 3, size=(4, 200)).astype(float)
    for best in range(4):
        rivals = [k for k in range(4) if k != best]
        sums = (losses - losses[best])[rivals]
        found = TableMinimisers(sums, np.zeros((3, 1)), [k < best for k in rivals], 1e-9).winner[0]
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
