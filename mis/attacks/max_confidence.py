"""The maximum confidence attack."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from mis.attacks import statistics
from mis.attacks.base import Attack, Input

__all__ = ["MaxConfidence"]


@dataclass(frozen=True, kw_only=True)
class MaxConfidence(Attack):
    """The largest class probability, as its log-odds, which do not saturate; the true class is not used.

    References
    ----------
    Salem, Zhang, Humbert, Berrang, Fritz, Backes (2019), ML-Leaks, arXiv:1806.01246, adversary 3.

    Examples
    --------
    >>> MaxConfidence().scores(target_logits=[[3.0, 0.0], [0.0, 1.0]])
    array([3., 1.])
    """

    @property
    def needs(self) -> Mapping[str, Input]:
        """The target's logits."""
        return {"target_logits": Input("T N C")}

    def evaluate(self, *, target_logits) -> np.ndarray:
        """Take the statistic as it is."""
        return statistics.max_confidence(target_logits)
