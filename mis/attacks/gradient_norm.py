"""The gradient norm attack, which calls a member what the released model would hardly move for."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from mis.attacks.base import Attack, Input
from mis.numerics.checks import finite

__all__ = ["GradientNorm"]


@dataclass(frozen=True, kw_only=True)
class GradientNorm(Attack):
    """Minus the Euclidean norm of the gradient of the example's loss at the released parameters.

    Notes
    -----
    Input of ``scores``: ``target_gradients (N, P)`` or ``(T, N, P)``, taken at the target's released parameters.

    References
    ----------
    Nasr, Shokri, Houmansadr (2019), Comprehensive Privacy Analysis of Deep Learning, arXiv:1812.00910. Rezaei, Liu
    (2021), On the Difficulty of Membership Inference Attacks, arXiv:2005.13702.

    Examples
    --------
    >>> GradientNorm().scores(target_gradients=[[3.0, 4.0], [0.0, 1.0]])
    array([-5., -1.])
    """

    @property
    def needs(self) -> Mapping[str, Input]:
        """Gradients of the examples at the target."""
        return {"target_gradients": Input("T N P")}

    def evaluate(self, *, target_gradients) -> np.ndarray:
        """Take the norm over parameters."""
        return -np.linalg.norm(finite("GradientNorm", "target_gradients", target_gradients), axis=-1)
