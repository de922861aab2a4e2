"""The entropy attack, with one threshold or one for each class."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from mis.attacks.base import Attack, Input
from mis.attacks.class_thresholds import SHADOW_INPUTS, THRESHOLDS, class_margins
from mis.attacks.statistics import negative_entropy
from mis.numerics.checks import known

__all__ = ["Entropy"]


@dataclass(frozen=True, kw_only=True)
class Entropy(Attack):
    """Minus the entropy of the predicted probabilities.

    Parameters
    ----------
    thresholds
        ``"global"``, or ``"per-class"``: the score less the best threshold of its class on shadow models.

    References
    ----------
    Salem et al. (2019), ML-Leaks, arXiv:1806.01246. Song, Mittal (2021), arXiv:2003.10595 (thresholds by
    class).

    Examples
    --------
    >>> Entropy().scores(target_logits=[[0.0, 0.0], [0.0, 50.0]]).round(3)
    array([-0.693, -0.   ])
    """

    thresholds: str = "global"

    def __post_init__(self):
        known("Entropy", "thresholds", self.thresholds, THRESHOLDS)

    @property
    def needs(self) -> Mapping[str, Input]:
        """The target's logits; for thresholds by class also the true classes and a shadow model's outputs."""
        if self.thresholds == "global":
            return {"target_logits": Input("T N C")}
        return {"target_logits": Input("T N C"), "labels": Input("N", int), **SHADOW_INPUTS}

    def evaluate(
        self, *, target_logits, labels=None, shadow_logits=None, shadow_membership=None, shadow_labels=None
    ) -> np.ndarray:
        """Take the statistic, and measure it from the threshold of the class where asked."""
        scores = negative_entropy(target_logits)
        if self.thresholds == "global":
            return scores
        shadow_scores = negative_entropy(shadow_logits)
        return class_margins(scores, labels, shadow_scores, shadow_membership, shadow_labels)
