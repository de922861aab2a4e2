"""Minus, zero, plus, with a given share of the weights set to zero."""

from dataclasses import dataclass
from typing import Any, ClassVar

from mis.quantizers.base import Quantizer
from mis.quantizers.channels import Grid
from mis.quantizers.fields import share_field
from mis.quantizers.prune import least_survivor
from mis.quantizers.scales import mean_magnitude

__all__ = ["Ternary"]


@dataclass(frozen=True, kw_only=True)
class Ternary(Quantizer):
    """Zero for the smallest weights, plus or minus one level for the rest: log2(3) = 1.58 bits.

    The threshold t is the magnitude of the smallest weight that survives, the level the mean magnitude of the
    survivors. At least one weight survives unless all are zero; where magnitudes tie at t, all of them do. The
    cell edges are t and the next floating-point number above -t, so that magnitude t survives on both sides.

    Parameters
    ----------
    zeros
        Share of the weights set to zero, in (0, 1); ``round(zeros * size)`` of them, more where more are zero already.

    References
    ----------
    Li, Liu, Wang, Zhang, Yan (2016), Ternary Weight Networks, arXiv:1605.04711, eq. 3 and 4: their level,
    with the threshold chosen by the share of zeros.

    Examples
    --------
    >>> import numpy as np
    >>> Ternary(zeros=0.5)(np.array([0.1, -0.2, 3.0, -5.0]))
    array([ 0.,  0.,  4., -4.])
    """

    family: ClassVar[str] = "ternary"
    zeros: float = share_field(0.9)

    @property
    def num_levels(self) -> float:
        """Three."""
        return 3

    @property
    def num_scales(self) -> int:
        """One, the level; the threshold shows only in the codes."""
        return 1

    def _fit(self, weights: Any) -> Grid:
        """Return the three levels that the order of the magnitudes asks for."""
        xp = weights.__array_namespace__()
        threshold = least_survivor(weights, self.zeros)
        # Rounding may carry the mean of equal magnitudes below them, out of its own cell.
        level = xp.maximum(mean_magnitude(weights, xp.abs(weights) >= threshold), threshold)
        above_minus = xp.nextafter(-threshold, xp.zeros_like(threshold))
        return Grid(
            levels=xp.stack([-level, xp.zeros_like(level), level]), edges=xp.stack([above_minus, threshold])
        )
