import numpy as np
import pytest
from scipy.special import softmax
from scipy.stats import entropy, norm

from mis.attacks import (
    Entropy,
    Gap,
    LabelOnly,
    LossThreshold,
    MaxConfidence,
    ModifiedEntropy,
    audit,
    statistics,
)
from mis.attacks.class_thresholds import class_margins
from mis.numerics.checks import InvalidInput


def test_gap_is_the_difference_of_accuracies(rng):
    logits, labels = rng.normal(size=(500, 4)), rng.integers(0, 4, 500)
    membership = np.arange(500) < 250
    logits[membership, labels[membership]] += 2
    scores = Gap().scores(target_logits=logits, labels=labels)
    correct = logits.argmax(axis=1) == labels
    gap = correct[membership].mean() - correct[~membership].mean()
    found = audit(scores=scores, membership=membership)
    np.testing.assert_allclose(found.advantage.value, gap, rtol=1e-12)
    np.testing.assert_allclose(found.balanced_accuracy.value, 0.5 + gap / 2, rtol=1e-12)


def test_gap_counts_a_tie_as_a_mistake():
    np.testing.assert_array_equal(
        Gap().scores(target_logits=[[1.0, 1.0], [-np.inf, 0.0]], labels=[0, 1]), [0, 1]
    )


def test_scores_are_the_statistics(rng):
    logits, labels = rng.normal(size=(2, 30, 3)) * 4, rng.integers(0, 3, 30)
    p = softmax(logits, axis=-1)
    np.testing.assert_allclose(Entropy().scores(target_logits=logits), -entropy(p, axis=-1), rtol=1e-12)
    largest = MaxConfidence().scores(target_logits=logits)
    np.testing.assert_allclose(1 / (1 + np.exp(-largest)), p.max(axis=-1), rtol=1e-12)
    modified = ModifiedEntropy().scores(target_logits=logits, labels=labels)
    np.testing.assert_array_equal(modified, statistics.negative_modified_entropy(logits, labels))
    np.testing.assert_array_equal(LossThreshold().scores(target_losses=[0.5, np.inf]), [-0.5, -np.inf])


def best_by_trying(scores, membership):
    """Largest TPR - FPR over thresholds between all neighbours."""
    values = np.unique(scores)
    middles = (values[1:] + values[:-1]) / 2
    advantages = [np.mean(scores[membership] >= t) - np.mean(scores[~membership] >= t) for t in middles]
    return max(advantages)


def test_class_thresholds_are_the_best_of_their_class(rng):
    labels = rng.integers(0, 3, 200)
    shadow_membership = rng.random((5, 200)) < 0.5
    shadow = rng.normal(size=(5, 200)) + 10 * labels + shadow_membership
    zero = np.zeros((1, 3))
    thresholds = -class_margins(zero, np.arange(3), shadow, shadow_membership, labels)[0]
    for label, threshold in enumerate(thresholds):
        of_class = shadow[:, labels == label], shadow_membership[:, labels == label]
        advantage = np.mean(of_class[0][of_class[1]] >= threshold) - np.mean(
            of_class[0][~of_class[1]] >= threshold
        )
        np.testing.assert_allclose(advantage, best_by_trying(*of_class), rtol=1e-12)


def test_class_thresholds_find_what_a_global_one_misses(rng):
    """Classes of different difficulty: one threshold cannot serve them, three can."""
    labels = rng.integers(0, 3, 600)
    membership = rng.random((4, 600)) < 0.5
    logits = np.zeros((4, 600, 3))
    logits[:, np.arange(600), labels] = 3.0 * labels + membership + 0.3 * rng.normal(size=(4, 600))
    shadow = {"shadow_logits": logits[1:], "shadow_membership": membership[1:], "shadow_labels": labels}
    target = {"target_logits": logits[0], "labels": labels}
    one = audit(scores=ModifiedEntropy().scores(**target), membership=membership[0]).advantage
    many = ModifiedEntropy(thresholds="per-class").scores(**target, **shadow)
    assert audit(scores=many, membership=membership[0]).advantage.lower > one.upper


def test_a_class_without_shadow_members_takes_the_common_threshold():
    shadow, membership = np.array([[0.0, 1.0, 5.0]]), np.array([[False, True, False]])
    margins = class_margins(np.zeros((1, 3)), np.array([0, 1, 2]), shadow, membership, np.array([0, 0, 1]))
    # Class 0 by itself and all together are both best told apart half way between 0 and 1.
    np.testing.assert_array_equal(margins, [[-0.5, -0.5, -0.5]])


def test_sure_thresholds_make_no_nan():
    shadow, membership = np.array([[-np.inf, np.inf]]), np.array([[False, True]])
    margins = class_margins(
        np.array([[np.inf, -np.inf]]), np.zeros(2, int), shadow, membership, np.zeros(2, int)
    )
    np.testing.assert_array_equal(margins, [[np.inf, -np.inf]])


def test_label_only_measures_the_distance():
    """Behind a linear boundary at distance d a copy with noise s survives with probability Phi(d / s)."""
    distances = np.array([0.1, 0.5, 1.0, 3.0, -1.0])
    attack = LabelOnly(noise=2.0, num_draws=4000, seed=1)
    scores = attack.scores(
        predict=lambda x: (x @ [0.6, 0.8] > 0).astype(int),
        features=np.outer(distances, [0.6, 0.8]),
        labels=np.ones(5, int),
    )
    scales = 2.0 * np.arange(1, 4001) / 4000
    expected = np.where(distances > 0, norm.cdf(distances[:, None] / scales).mean(axis=1), 0)
    np.testing.assert_allclose(scores, expected, atol=5 * 0.5 / np.sqrt(4000))
    assert np.all(np.diff(scores[:4]) > 0)


def test_label_only_of_several_targets(rng):
    """Each target by itself, and the same noise for all."""
    targets = [lambda x, w=w: (x @ w > 0).astype(int) for w in rng.normal(size=(3, 2))]
    examples = {"features": rng.normal(size=(20, 2)), "labels": rng.integers(0, 2, 20)}
    attack = LabelOnly(num_draws=10)
    rows = attack.scores(predict=[*targets, targets[0]], **examples)
    np.testing.assert_array_equal(
        rows, [attack.scores(predict=f, **examples) for f in [*targets, targets[0]]]
    )


def test_label_only_refusals():
    good = {"predict": lambda x: x[:, 0] > 0, "features": [[1.0], [2.0]], "labels": [1, 0]}
    with pytest.raises(InvalidInput, match=r"predict to return 2 classes, got shape \(2, 1\)"):
        LabelOnly().scores(**(good | {"predict": lambda x: x}))
    with pytest.raises(InvalidInput, match="predict callable or a list of callables, got a int"):
        LabelOnly().scores(**(good | {"predict": 3}))
    with pytest.raises(InvalidInput, match="noise a finite number > 0"):
        LabelOnly(noise=0)
    with pytest.raises(InvalidInput, match="num_draws an integer >= 1"):
        LabelOnly(num_draws=0)


@pytest.mark.parametrize("attack", [Entropy, ModifiedEntropy])
def test_thresholds_are_known(attack):
    with pytest.raises(InvalidInput, match="thresholds one of global, per-class, got thresholds='class'"):
        attack(thresholds="class")
