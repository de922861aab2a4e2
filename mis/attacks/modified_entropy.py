"""The modified entropy attack, with one threshold or one for each class."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from mis.attacks.base import Attack, Input
from mis.attacks.class_thresholds import SHADOW_INPUTS, THRESHOLDS, class_margins
from mis.attacks.statistics import negative_modified_entropy
from mis.numerics.checks import known

__all__ = ["ModifiedEntropy"]


@dataclass(frozen=True, kw_only=True)
class ModifiedEntropy(Attack):
    """Minus the modified entropy, which unlike the entropy knows the true class.

    Parameters
    ----------
    thresholds
        ``"global"``, or ``"per-class"``: the score less the best threshold of its class on shadow models.

    References
    ----------
    Song, Mittal (2021), Systematic Evaluation of Privacy Risks of Machine Learning Models, arXiv:2003.10595.

    Examples
    --------
    >>> ModifiedEntropy().scores(target_logits=[[0.0, 0.0], [0.0, 9.0]], labels=[0, 0]).round(3)
    array([ -0.693, -17.998])
    """

    thresholds: str = "global"

    def __post_init__(self):
        known("ModifiedEntropy", "thresholds", self.thresholds, THRESHOLDS)

    @property
    def needs(self) -> Mapping[str, Input]:
        """The target's logits and the true classes; for thresholds by class also a shadow model's outputs."""
        own = {"target_logits": Input("T N C"), "labels": Input("N", int)}
        return own if self.thresholds == "global" else {**own, **SHADOW_INPUTS}

    def evaluate(
        self, *, target_logits, labels, shadow_logits=None, shadow_membership=None, shadow_labels=None
    ) -> np.ndarray:
        """Take the statistic, and measure it from the threshold of the class where asked."""
        scores = negative_modified_entropy(target_logits, labels)
        if self.thresholds == "global":
            return scores
        shadow_scores = negative_modified_entropy(shadow_logits, shadow_labels)
        return class_margins(scores, labels, shadow_scores, shadow_membership, shadow_labels)
