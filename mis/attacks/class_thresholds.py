"""A threshold for each class, learnt from shadow models, and scores measured from it."""

from collections.abc import Mapping

import numpy as np

from mis.attacks.base import Input

__all__ = ["SHADOW_INPUTS", "THRESHOLDS", "class_margins"]

THRESHOLDS = ("global", "per-class")

SHADOW_INPUTS: Mapping[str, Input] = {
    "shadow_logits": Input("M S C"),
    "shadow_membership": Input("M S", bool),
    "shadow_labels": Input("S", int),
}


def class_margins(scores, labels, shadow_scores, shadow_membership, shadow_labels) -> np.ndarray:
    """Return scores less the threshold of their class.

    The threshold of a class has the largest TPR - FPR on the shadow models' scores of that class, pooled over
    models; a class without shadow members or without non-members takes the threshold of all classes together.
    A global threshold needs no shadow model: subtracting it would not change the order.

    Parameters
    ----------
    scores, labels
        The target's, shapes ``(T, N)`` and ``(N,)``.
    shadow_scores, shadow_membership, shadow_labels
        Shapes ``(M, S)``, ``(M, S)`` and ``(S,)``.
    """
    shadow_labels = np.broadcast_to(shadow_labels, shadow_scores.shape)
    thresholds = np.full(max(labels.max(), shadow_labels.max()) + 1, _best(shadow_scores, shadow_membership))
    for label in np.unique(shadow_labels):
        of_class = shadow_labels == label
        member = shadow_membership[of_class]
        if member.any() and not member.all():
            thresholds[label] = _best(shadow_scores[of_class], member)
    # A threshold at a sure score would make inf - inf.
    return scores - np.clip(thresholds, -1e300, 1e300)[labels]


def _best(scores, membership):
    """Threshold half way between the neighbours that ``score >= threshold`` best tells apart; 0 with one side."""
    member, nonmember = np.sort(scores[membership]), np.sort(scores[~membership])
    if not len(member) or not len(nonmember):
        return 0.0
    below = np.searchsorted(nonmember, member, "left")
    advantage = below / len(nonmember) - np.searchsorted(member, member, "left") / len(member)
    best = np.argmax(advantage)
    neighbour = nonmember[below[best] - 1] if below[best] else member[best]
    return np.clip(neighbour, -1e300, 1e300) / 2 + np.clip(member[best], -1e300, 1e300) / 2
