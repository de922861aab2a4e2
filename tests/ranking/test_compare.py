import numpy as np
import pytest
import statsmodels.api as sm
from scipy import stats
from statsmodels.stats.multitest import multipletests

from mis.ranking.compare import given_performance, pairwise, tied


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


def test_residuals_and_slope_are_those_of_statsmodels(rng):
    performance = rng.uniform(size=9)
    advantage = 0.5 * performance + 0.1 * rng.normal(size=9)
    found = np.array(given_performance(performance, advantage))
    fit = sm.OLS(advantage, sm.add_constant(performance)).fit(cov_type="HC3")
    np.testing.assert_allclose(found[:, 1], fit.resid, atol=1e-12)
    # A residual is y less the fit at its point: where a point has no noise of its own left, its error is the line's.
    hat = fit.get_influence().hat_matrix_diag
    scaled = (fit.resid / (1 - hat)) ** 2
    line = np.einsum("ij,jk,ik->i", fit.model.exog, fit.cov_params(), fit.model.exog)
    own = (1 - 2 * hat) * scaled
    half = stats.t.ppf(0.975, 7) * np.sqrt(line + own)
    np.testing.assert_allclose(found[:, 2] - found[:, 1], half, rtol=1e-9)


def test_what_a_line_explains_is_gone(rng):
    performance = rng.uniform(size=6)
    found = np.array(given_performance(performance, 1.0 - 0.3 * performance))
    np.testing.assert_allclose(found, 0.0, atol=1e-12)


@pytest.mark.parametrize("performance", [np.ones(5), np.arange(3.0)])
def test_too_little_to_fit_a_line(performance):
    assert np.isnan(given_performance(performance, np.arange(len(performance)) * 1.0)).all()
