"""The gap attack, which calls a member what the model classifies correctly."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from mis.attacks.base import Attack, Input
from mis.attacks.statistics import logit_confidence

__all__ = ["Gap"]


@dataclass(frozen=True, kw_only=True)
class Gap(Attack):
    """Score 1 where the true class has the largest logit, else 0; a tie for the largest is a mistake.

    Its advantage is training accuracy minus test accuracy, its accuracy on balanced sides ``1/2`` plus half
    of that.

    References
    ----------
    Yeom, Giacomelli, Fredrikson, Jha (2018), Privacy Risk in Machine Learning, arXiv:1709.01604.

    Examples
    --------
    >>> Gap().scores(target_logits=[[0.0, 1.0], [2.0, 1.0]], labels=[1, 1])
    array([1., 0.])
    """

    @property
    def needs(self) -> Mapping[str, Input]:
        """The target's logits and the true classes."""
        return {"target_logits": Input("T N C"), "labels": Input("N", int)}

    def evaluate(self, *, target_logits, labels) -> np.ndarray:
        """Compare the true class with the others."""
        logit_confidence(target_logits, labels)
        true = np.take_along_axis(target_logits, labels[None, :, None], axis=-1)
        beaten = (target_logits < true).sum(axis=-1)
        return (beaten == target_logits.shape[-1] - 1).astype(np.float64)
