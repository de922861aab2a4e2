import numpy as np
import pytest
from scipy.stats import norm
from sklearn.linear_model import QuantileRegressor
from sklearn.metrics import roc_auc_score

from mis.attacks import CalibratedLoss, QuantileRegression, Trained, audit
from mis.numerics.checks import InvalidInput, UnsupportedSetting


def gaussian_outputs(rng, num_networks, num_examples, shift):
    """Two classes; a member's log-odds are moved towards its class: the optimal AUC is Phi(shift / sqrt 2)."""
    labels = rng.integers(0, 2, num_examples)
    membership = rng.random((num_networks, num_examples)) < 0.5
    odds = (rng.normal(size=membership.shape) + shift * membership) * (2 * labels - 1)
    return np.stack([-odds / 2, odds / 2], axis=-1), membership, labels


@pytest.mark.parametrize("classifier", ["logistic", "forest", "network"])
def test_comes_near_the_optimum_that_it_is_not_told(rng, classifier):
    logits, membership, labels = gaussian_outputs(rng, 4, 2000, shift=1.5)
    scores = Trained(classifier=classifier, with_label=True).scores(
        shadow_logits=logits[:3],
        shadow_membership=membership[:3],
        shadow_labels=labels,
        target_logits=logits[3],
        labels=labels,
    )
    auc = roc_auc_score(membership[3], scores)
    best = norm.cdf(1.5 / np.sqrt(2))
    assert best - 0.03 - 5 * 0.01 < auc < best + 5 * 0.01


def test_without_the_label_it_sees_only_confidence(rng):
    """The label is what tells the sign: without it the attack is weaker."""
    logits, membership, labels = gaussian_outputs(rng, 4, 2000, shift=1.5)
    common = {"shadow_logits": logits[:3], "shadow_membership": membership[:3], "target_logits": logits[3]}
    blind = audit(scores=Trained().scores(**common), membership=membership[3])
    told = Trained(with_label=True).scores(**common, shadow_labels=labels, labels=labels)
    assert audit(scores=told, membership=membership[3]).auc.lower > blind.auc.upper


def test_order_of_classes_does_not_matter_without_label(rng):
    logits, membership, _ = gaussian_outputs(rng, 2, 300, shift=1.5)
    given = {"shadow_logits": logits[0], "shadow_membership": membership[0]}
    mirrored = Trained().scores(**given, target_logits=logits[1][:, ::-1])
    np.testing.assert_allclose(mirrored, Trained().scores(**given, target_logits=logits[1]), rtol=1e-9)


def test_trained_refusals(rng):
    logits, membership, _ = gaussian_outputs(rng, 2, 30, shift=1.5)
    with pytest.raises(InvalidInput, match="shadow members and non-members, got one kind only"):
        Trained().scores(
            shadow_logits=logits[0], shadow_membership=np.ones_like(membership[0]), target_logits=logits[1]
        )
    with pytest.raises(
        InvalidInput, match="classifier one of logistic, forest, network, got classifier='tree'"
    ):
        Trained(classifier="tree")
    with pytest.raises(InvalidInput, match="with_label True or False"):
        Trained(with_label="yes")


def test_calibration_removes_difficulty(rng):
    """Losses differ by example much more than by membership; subtracting the expected loss leaves the latter."""
    membership = rng.random((21, 800)) < 0.5
    difficulty = 5 * rng.normal(size=800)
    losses = difficulty - membership + 0.5 * rng.normal(size=membership.shape)
    scores = CalibratedLoss().scores(
        target_losses=losses[0], shadow_losses=losses[1:], shadow_membership=membership[1:]
    )
    out = [loss[~m].mean() for loss, m in zip(losses[1:].T, membership[1:].T, strict=True)]
    np.testing.assert_allclose(scores, out - losses[0], rtol=1e-12)
    assert audit(scores=-losses[0], membership=membership[0]).auc.upper < 0.65
    assert audit(scores=scores, membership=membership[0]).auc.lower > 0.85


def test_calibrated_loss_needs_out_models():
    with pytest.raises(
        UnsupportedSetting, match="CalibratedLoss: 1 of 1 examples have no 'out' shadow model"
    ):
        CalibratedLoss().scores(target_losses=[1.0], shadow_losses=[[1.0]], shadow_membership=[[True]])


def test_quantile_regression_keeps_its_false_positive_rate(rng):
    """Non-members above the regressed quantile: as many as asked for, at either end of the features."""
    features = rng.normal(size=(12_000, 1))
    scores = 3 * np.abs(features[:, 0]) + rng.normal(size=12_000) * (1 + np.abs(features[:, 0]))
    public, fresh = slice(None, 6000), slice(6000, None)
    found = QuantileRegression(quantile=0.9).scores(
        public_features=features[public],
        public_scores=scores[public],
        features=features[fresh],
        target_scores=scores[fresh],
    )
    for part in (np.abs(features[fresh, 0]) < 0.5, np.abs(features[fresh, 0]) > 1):
        assert abs(np.mean(found[part] >= 0) - 0.1) < 0.03
    # One threshold for all would have called the second part far more often.
    common = scores[fresh] >= np.quantile(scores[public], 0.9)
    assert np.mean(common[np.abs(features[fresh, 0]) > 1]) > 0.2


def test_quantile_regression_against_a_linear_one(rng):
    features = rng.random((3000, 1))
    scores = 2 * features[:, 0] + rng.exponential(size=3000)
    linear = QuantileRegressor(quantile=0.8, alpha=0).fit(features, scores)
    grid = np.linspace(0.02, 0.98, 300)[:, None]
    found = QuantileRegression(quantile=0.8).scores(
        public_features=features, public_scores=scores, features=grid, target_scores=np.zeros(300)
    )
    # A quantile of 100 records, about what a leaf has, has a standard error of 0.2.
    assert np.mean(np.abs(-found - linear.predict(grid))) < 0.3
    assert abs(np.mean(-found - linear.predict(grid))) < 0.15


def test_quantile_regression_refusals():
    with pytest.raises(InvalidInput, match="quantile a finite number > 0 and < 1"):
        QuantileRegression(quantile=1)
    with pytest.raises(InvalidInput, match="finite features, got infinite"):
        QuantileRegression().scores(
            public_features=[[np.inf]], public_scores=[0.0], features=[[0.0]], target_scores=[0.0]
        )


@pytest.mark.parametrize("wild", [65504.0, 3.4e38, 1e300, np.inf])
def test_one_wild_loss_is_its_own_examples_matter(rng, wild):
    given = {
        "target_losses": rng.random(9),
        "shadow_losses": rng.random((6, 9)),
        "shadow_membership": np.zeros((6, 9), dtype=bool),
    }
    before = CalibratedLoss().scores(**given)
    given["shadow_losses"][0, 0] = wild
    after = CalibratedLoss().scores(**given)
    np.testing.assert_array_equal(after[1:], before[1:])
    assert after[0] >= before[0]


def test_of_several_releases_it_sees_what_tells_them_apart(rng):
    """Log-odds with one large common error: alone each release hides the shift, their difference shows it."""
    labels = rng.integers(0, 2, 1500)
    membership = rng.random((2, 1500)) < 0.5
    common = 3 * rng.normal(size=membership.shape)
    odds = np.stack([common, common + 0.5 * rng.normal(size=common.shape) + membership], axis=-1)
    odds = odds * (2 * labels - 1)[:, None]
    logits = np.stack([-odds / 2, odds / 2], axis=-1).reshape(2, 1500, 4)
    given = {"shadow_membership": membership[0], "shadow_labels": labels, "labels": labels}

    def auc(seen, releases):
        attack = Trained(with_label=True, releases=releases)
        scores = attack.scores(shadow_logits=seen[0], target_logits=seen[1], **given)
        return roc_auc_score(membership[1], scores)

    best, error = norm.cdf(1 / 0.5 / np.sqrt(2)), 5 * 0.01
    assert auc(logits, 2) == pytest.approx(best, abs=error)
    assert max(auc(logits[..., :2], 1), auc(logits[..., 2:], 1)) < norm.cdf(1 / 3 / np.sqrt(2)) + error
    # One release twice is that release.
    twice = auc(np.concatenate([logits[..., 2:]] * 2, axis=-1), 2)
    assert twice == pytest.approx(auc(logits[..., 2:], 1), abs=1e-3)


def test_several_releases_have_as_many_classes(rng):
    logits, membership, labels = gaussian_outputs(rng, 2, 30, shift=1.5)
    given = {"shadow_membership": membership[0], "shadow_labels": labels, "labels": labels}
    with pytest.raises(InvalidInput, match="as many classes for each of 2 releases, got 2"):
        Trained(with_label=True, releases=2).scores(shadow_logits=logits[0], target_logits=logits[1], **given)
    four = np.concatenate([logits, logits], axis=-1)
    with pytest.raises(InvalidInput, match="labels below the classes of a release, got 3"):
        Trained(with_label=True, releases=2).scores(
            shadow_logits=four[0], target_logits=four[1], **given | {"shadow_labels": labels + 2}
        )
    with pytest.raises(InvalidInput, match="releases"):
        Trained(releases=0)
