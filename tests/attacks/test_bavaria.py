"""BaVarIA against SciPy's Student t, integration over mean and variance, sequential updating and LiRA's limit."""

import numpy as np
import pytest
from scipy import stats

from mis.attacks import BaVarIA, LiRA, audit, bavaria
from mis.attacks.bavaria import Prior
from mis.numerics.checks import InvalidInput, UnsupportedSetting

PRIOR = Prior(mean=0.3, weight=1.5, degrees=5.0, variance=0.7)


def moments(scores):
    """Count, mean and squared deviations of each column."""
    mean = scores.mean(axis=0)
    return np.full(scores.shape[1], float(len(scores))), mean, np.square(scores - mean).sum(axis=0)


def drawn(rng, prior, models, examples):
    """Scores of a side whose examples follow the prior."""
    alpha = prior.degrees / 2
    variance = prior.variance * alpha / rng.gamma(alpha, size=examples)
    mean = prior.mean + np.sqrt(variance / prior.weight) * rng.normal(size=examples)
    return lambda count: mean + np.sqrt(variance) * rng.normal(size=(count, examples)), models


def test_prediction_integrates_mean_and_variance():
    """The predictive density as the double integral that it is, over the unnormalised posterior on a fine grid."""
    seen = np.array([0.2, 1.9, -0.4])
    alpha, beta = PRIOR.degrees / 2, PRIOR.variance * PRIOR.degrees / 2
    variance, mean = np.exp(np.linspace(-5, 7, 241))[:, None], np.linspace(-50, 50, 2001)
    posterior = stats.invgamma.pdf(variance, alpha, scale=beta) * variance
    posterior = posterior * stats.norm.pdf(mean, PRIOR.mean, np.sqrt(variance / PRIOR.weight))
    for score in seen:
        posterior = posterior * stats.norm.pdf(score, mean, np.sqrt(variance))
    df, centre, scale = (float(x[0]) for x in PRIOR.predict(*moments(seen[:, None])))
    for score in (-1.0, 2.5):
        density = (stats.norm.pdf(score, mean, np.sqrt(variance)) * posterior).sum() / posterior.sum()
        np.testing.assert_allclose(stats.t.pdf(score, df, centre, scale), density, rtol=1e-5)


def test_all_at_once_is_one_after_the_other(rng):
    """A posterior is the prior of the next score: conjugacy, exactly."""
    scores, prior = rng.normal(size=(6, 1)), PRIOR
    for score in scores[:, 0]:
        weight, degrees = prior.weight + 1, prior.degrees + 1
        moved = prior.degrees * prior.variance + prior.weight / weight * (score - prior.mean) ** 2
        prior = Prior((prior.weight * prior.mean + score) / weight, weight, degrees, moved / degrees)
    df, centre, scale = PRIOR.predict(*moments(scores))
    none = [np.zeros(1)] * 3
    np.testing.assert_allclose([df, centre, scale], prior.predict(*none), rtol=1e-12)


@pytest.mark.parametrize("online", [True, False])
def test_scores_are_ratios_of_students_t(online, rng, monkeypatch):
    """Of SciPy, far into the tails; an offset common to all scores changes nothing."""
    monkeypatch.setattr(Prior, "fit", lambda *_: PRIOR)
    membership = rng.random((12, 30)) < 0.5
    membership[:2] = [[True], [False]]
    shadow, target = rng.normal(size=(12, 30)), 5 * rng.standard_cauchy(size=(3, 30))
    shadow -= np.median(shadow)
    found = BaVarIA(online=online).scores(
        shadow_scores=shadow, shadow_membership=membership, target_scores=target)  # fmt: skip
    for i in range(30):
        laws = []
        for side in (membership[:, i], ~membership[:, i]):
            x, n = shadow[side, i], side.sum()
            weight, degrees = 1.5 + n, 5 + n
            total = 5 * 0.7 + np.sum((x - x.mean()) ** 2) + 1.5 * n / weight * (x.mean() - 0.3) ** 2
            scale = np.sqrt(total / degrees * (weight + 1) / weight)
            laws.append(stats.t(degrees, (1.5 * 0.3 + x.sum()) / weight, scale))
        score = target[:, i]
        expected = laws[0].logpdf(score) - laws[1].logpdf(score) if online else -laws[1].logsf(score)
        np.testing.assert_allclose(found[:, i], expected, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("models", [2, 5, 20])
def test_the_prior_is_found_again(models, rng):
    """From 40 000 examples; five times the spread seen over repetitions."""
    sample, _ = drawn(rng, PRIOR, models, 40_000)
    found = Prior.fit(*moments(sample(models)), 1e-20)
    assert found.degrees == pytest.approx(5, rel=0.2)
    assert found.variance == pytest.approx(0.7, rel=0.08)
    assert found.mean == pytest.approx(0.3, abs=0.05)
    # From quartiles, as if means were normal.
    assert 0.6 < found.weight / 1.5 < 1.8


def test_equal_variances_are_pooled(rng):
    """Then the prior is worth many models, and the score is that of pooled variances where means differ much."""
    membership = np.arange(10)[:, None] % 2 < np.ones(4000)
    hard = 30 * rng.normal(size=4000)
    scores = hard + rng.normal(size=(20, 4000)) + membership[[*range(10)] * 2]
    given = {"shadow_scores": scores[:10], "shadow_membership": membership, "target_scores": scores[10:]}
    found, pooled = BaVarIA().scores(**given), LiRA(variance="pooled").scores(**given)
    assert np.corrcoef(found.ravel(), pooled.ravel())[0, 1] > 0.99


def test_with_ever_more_models_it_is_lira(rng):
    membership = rng.random((6000, 4)) < 0.5
    scores = rng.normal(size=(6010, 4)) * [1.0, 2.0, 0.5, 1.0]
    given = {"shadow_scores": scores[:6000], "shadow_membership": membership, "target_scores": scores[6000:]}
    np.testing.assert_allclose(BaVarIA().scores(**given), LiRA().scores(**given), atol=0.05)


def test_few_models_find_more_than_lira_does(rng):
    """Examples of different variances, two models a side: the ratio that integrates them out is the best there is."""
    sample = {side: drawn(rng, prior, 2, 1500)[0] for side, prior in
              (("out", PRIOR), ("in", Prior(1.8, 1.5, 5.0, 0.4)))}  # fmt: skip
    shadow = np.concatenate([sample["in"](2), sample["out"](2)])
    target = np.concatenate([sample["in"](8), sample["out"](8)])
    membership = np.arange(4)[:, None] < np.full(1500, 2)
    given = {"shadow_scores": shadow, "shadow_membership": membership, "target_scores": target}
    truth = np.arange(16)[:, None] < np.full(1500, 8)
    # Rows of members and of non-members: as one sample of independent records.
    aucs = [audit(scores=attack.scores(**given).ravel(), membership=truth.ravel()).auc for attack in
            (BaVarIA(), LiRA(variance="pooled"), LiRA())]  # fmt: skip
    assert aucs[0].lower > aucs[1].value
    assert aucs[0].lower > aucs[2].upper + 0.05


def test_one_wild_example_leaves_the_others(rng):
    membership = np.arange(8)[:, None] % 2 < np.ones(1000)
    scores = rng.normal(size=(10, 1000)) + membership[[*range(8), 0, 1]]
    given = {"shadow_membership": membership, "target_scores": scores[8:]}
    before = BaVarIA().scores(shadow_scores=scores[:8], **given)
    scores[3, 0] = 1e30
    after = BaVarIA().scores(shadow_scores=scores[:8], **given)
    np.testing.assert_allclose(after[:, 1:], before[:, 1:], atol=0.1)


def test_constant_scores_tell_nothing():
    scores = np.full((6, 10), 0.7)
    found = BaVarIA().scores(
        shadow_scores=scores[:4], shadow_membership=np.arange(4)[:, None] < np.full(10, 2), target_scores=scores[4:]
    )  # fmt: skip
    np.testing.assert_array_equal(found, 0.0)


def test_refusals(rng):
    scores, membership = rng.normal(size=(4, 3)), np.ones((4, 3), bool)
    with pytest.raises(UnsupportedSetting, match="BaVarIA: 3 of 3 examples have no 'out' shadow model"):
        BaVarIA().scores(shadow_scores=scores, shadow_membership=membership, target_scores=scores[0])
    with pytest.raises(UnsupportedSetting, match="no example has two 'in' shadow models"):
        BaVarIA().scores(
            shadow_scores=scores,
            shadow_membership=np.arange(4)[:, None] < np.ones(3),
            target_scores=scores[0],
        )
    with pytest.raises(InvalidInput, match="expected online True or False, got online=1"):
        BaVarIA(online=1)
    assert bavaria.MOST > bavaria.FEWEST
