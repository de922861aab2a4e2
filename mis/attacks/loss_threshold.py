"""The loss threshold attack."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from mis.attacks.base import Attack, Input

__all__ = ["LossThreshold"]


@dataclass(frozen=True, kw_only=True)
class LossThreshold(Attack):
    """Minus the target's loss, of any kind: one threshold for all examples, no shadow models.

    References
    ----------
    Yeom, Giacomelli, Fredrikson, Jha (2018), Privacy Risk in Machine Learning, arXiv:1709.01604.

    Examples
    --------
    >>> LossThreshold().scores(target_losses=[0.1, 2.0])
    array([-0.1, -2. ])
    """

    @property
    def needs(self) -> Mapping[str, Input]:
        """The target's losses."""
        return {"target_losses": Input("T N")}

    def evaluate(self, *, target_losses) -> np.ndarray:
        """Turn the sign."""
        return -target_losses
