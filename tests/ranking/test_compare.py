import numpy as np
import pytest
import statsmodels.api as sm
from scipy import stats
from statsmodels.stats.multitest import multipletests

from mis.attacks.crossfit import cross_fit
from mis.numerics.checks import InvalidInput
from mis.ranking.compare import given_performance, pairwise, tied
from mis.ranking.whitebox import calibrated


def test_pairs_are_paired_t_tests_with_holm_by_hand(rng):
    shared = rng.normal(size=60)
    advantages = np.stack([shared + shift + 0.3 * rng.normal(size=60) for shift in (0.0, 0.02, 0.25, 0.8)])
    rows = pairwise(list("abcd"), advantages)
    expected = [
        stats.ttest_rel(advantages[i], advantages[j]).pvalue for i in range(4) for j in range(i + 1, 4)
    ]
    np.testing.assert_allclose([r["p_value"] for r in rows], expected, rtol=1e-9)
    by_hand = multipletests(expected, method="holm")[1]
    np.testing.assert_allclose([r["p_holm"] for r in rows], by_hand, rtol=1e-9)
    assert [r["tied"] for r in rows] == [p > 0.05 for p in by_hand]


def test_no_false_difference_beyond_the_level(rng):
    """Five equal quantizers: some pair is called different in at most 5% of repetitions, within 5 standard errors."""
    wrong = 0
    for _ in range(200):
        common = rng.normal(size=40)
        advantages = common + 0.5 * rng.normal(size=(5, 40))
        wrong += any(not row["tied"] for row in pairwise(list("abcde"), advantages))
    assert wrong / 200 <= 0.05 + 5 * np.sqrt(0.05 * 0.95 / 200)


def test_no_false_difference_where_folds_share_what_moves_them(rng):
    """As above with a common shift for each fold and quantizer, that networks as units would miss."""
    wrong = {None: 0, 8: 0}
    for _ in range(400):
        of_fold = 0.25 * rng.normal(size=(5, 8))
        advantages = rng.normal(size=(5, 64)) + of_fold[:, np.arange(64) % 8]
        for folds in wrong:
            wrong[folds] += any(not r["tied"] for r in pairwise(list("abcde"), advantages, num_folds=folds))
    bound = 0.05 + 5 * np.sqrt(0.05 * 0.95 / 400)
    assert wrong[8] / 400 <= bound < wrong[None] / 400


def test_identical_releases_are_tied_and_constant_gaps_are_not():
    same = np.array([[0.1, 0.2, 0.3]] * 2)
    assert tied(pairwise(["a", "b"], same)) == {"a": ["b"], "b": ["a"]}
    assert tied(pairwise(["a", "b"], np.stack([same[0], same[0] + 1.0]))) == {"a": [], "b": []}


def equal_releases(rng, num_networks, count=6, examples=64):
    """Advantages ``(count, M)`` of LiRA, cross-fitted, on networks released in ways that are different but equal."""
    offset, leak, spread = (
        rng.normal(size=examples),
        rng.gamma(1.0, size=examples),
        rng.gamma(4.0, size=examples) / 4,
    )
    membership = np.argsort(rng.random((num_networks, examples)), axis=1) < examples // 2
    common = rng.normal(size=membership.shape)
    found = []
    for _ in range(count):
        noise = np.sqrt(0.5) * (common + rng.normal(size=membership.shape))
        scores = offset + spread * noise + leak * membership

        def features(fold, is_shadow, scores=scores):  # noqa: ARG001
            return {"lira": calibrated(scores, membership, is_shadow)}

        found.append(cross_fit(features, membership, {"lira": ["lira"]})["lira"].advantage)
    return np.array(found)


@pytest.mark.parametrize("num_networks", [32, pytest.param(128, marks=pytest.mark.slow)])
def test_no_false_difference_of_attacks_that_share_shadows(num_networks, sweep_seed):
    """Six equal releases: some pair is called different in at most 5% of whole experiments; without, in twice that."""
    count, wrong = 120, {None: 0, 8: 0}
    rng = np.random.default_rng(sweep_seed)
    for _ in range(count):
        advantages = equal_releases(rng, num_networks)
        for folds in wrong:
            wrong[folds] += any(not r["tied"] for r in pairwise(list("abcdef"), advantages, num_folds=folds))
    assert wrong[8] <= 0.05 * count
    assert wrong[None] > 0.05 * count


def test_a_real_difference_is_still_found(rng):
    advantages = equal_releases(rng, 64, count=2)
    assert pairwise(["a", "b"], advantages, num_folds=8)[0]["tied"]
    advantages[1] += 0.1
    assert not pairwise(["a", "b"], advantages, num_folds=8)[0]["tied"]


def test_one_quantizer_has_no_pairs():
    assert pairwise(["a"], np.zeros((1, 20)), num_folds=4) == []


def test_a_line_through_the_others_by_loops(rng):
    performance = rng.uniform(size=9)
    advantage = 0.5 * performance + 0.1 * rng.normal(size=9)
    found = np.array(given_performance(performance, advantage, level=0.9))
    for i in range(9):
        others = np.arange(9) != i
        fit = sm.OLS(advantage[others], sm.add_constant(performance[others])).fit()
        predicted = fit.get_prediction([[1.0, performance[i]]]).summary_frame(alpha=0.1)
        assert found[i, 1] == pytest.approx(advantage[i] - predicted["mean"].item(), abs=1e-12)
        ends = advantage[i] - predicted[["obs_ci_upper", "obs_ci_lower"]].to_numpy()[0]
        np.testing.assert_allclose(found[i, [0, 2]], ends, atol=1e-12)


@pytest.mark.parametrize("place", [0, 4, 8])
def test_a_known_outlier_is_found_and_no_other(place, rng):
    """Nine quantizers on a line up to .01, one of them .1 above or below it."""
    performance = np.linspace(0.4, 0.9, 9)
    for shift in (0.1, -0.1):
        advantage = 0.1 + 0.5 * performance + 0.01 * rng.normal(size=9)
        advantage[place] += shift
        found = np.array(given_performance(performance, advantage))
        excludes = (found[:, 0] > 0.0) | (found[:, 2] < 0.0)
        assert np.flatnonzero(excludes).tolist() == [place]
        assert found[place, 1] == pytest.approx(shift, abs=0.05)


@pytest.mark.parametrize("count", [4, 9])
def test_without_an_outlier_zero_is_covered_at_the_level(count, sweep_seed):
    rng = np.random.default_rng(sweep_seed)
    performance, repetitions = rng.uniform(size=count), 400
    for level in (0.8, 0.95):
        inside = []
        for _ in range(repetitions):
            found = np.array(
                given_performance(performance, performance + 0.1 * rng.normal(size=count), level=level)
            )
            inside.append(found[0, 0] <= 0.0 <= found[0, 2])
        assert abs(np.mean(inside) - level) < 5 * np.sqrt(level * (1 - level) / repetitions)


def test_what_a_line_explains_is_gone(rng):
    performance = rng.uniform(size=6)
    found = np.array(given_performance(performance, 1.0 - 0.3 * performance))
    np.testing.assert_allclose(found, 0.0, atol=1e-7)


def test_units_and_offsets_of_performance_do_not_matter(rng):
    performance, advantage = rng.uniform(size=7), rng.uniform(size=7)
    plain = given_performance(performance, advantage)
    np.testing.assert_allclose(given_performance(1e6 + 1e-3 * performance, advantage), plain, rtol=1e-5)


def test_a_quantizer_that_alone_makes_the_slope_has_no_line_to_be_held_against():
    found = np.array(
        given_performance(np.array([0.5, 0.9, 0.9, 0.9, 0.9]), np.array([0.1, 0.3, 0.31, 0.29, 0.3]))
    )
    assert np.isnan(found[0]).all()
    assert np.isfinite(found[1:]).all()


@pytest.mark.parametrize("performance", [np.ones(5), np.arange(3.0)])
def test_too_little_to_fit_a_line(performance):
    assert np.isnan(given_performance(performance, np.arange(len(performance)) * 1.0)).all()


@pytest.mark.parametrize("level", [0.0, 1.0, 1 - 1e-16, 1 - 1e-13, np.nan, "high"])
def test_levels_without_an_interval_are_refused(level):
    for compare in (
        lambda: pairwise(["a", "b"], np.eye(2, 9), level=level),
        lambda: given_performance(np.arange(5.0), np.arange(5.0) ** 2, level=level),
    ):
        with pytest.raises(InvalidInput, match="expected level"):
            compare()
