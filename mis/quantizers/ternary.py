"""Minus, zero, plus, with a given share of the weights set to zero."""

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from mis.quantizers.base import Quantizer
from mis.quantizers.channels import Grid
from mis.quantizers.fields import flag, share_field
from mis.quantizers.prune import least_survivor
from mis.quantizers.scales import largest, mean_magnitude

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
    peak
        The number is no share of the weights but of the largest magnitude, below which all weights are set to zero:
        ``ternary-33-peak``. Of normal weights, whose largest is some four standard deviations, these are far more.

    References
    ----------
    Li, Liu, Wang, Zhang, Yan (2016), Ternary Weight Networks, arXiv:1605.04711, eq. 3 and 4: their level,
    with the threshold chosen by the share of zeros.

    Examples
    --------
    >>> import numpy as np
    >>> Ternary(zeros=0.5)(np.array([0.1, -0.2, 3.0, -5.0]))
    array([ 0.,  0.,  4., -4.])
    >>> Ternary(zeros=0.7, peak=True)(np.array([0.1, -0.2, 3.0, -5.0]))
    array([ 0.,  0.,  0., -5.])
    """

    family: ClassVar[str] = "ternary"
    zeros: float = share_field(0.9)
    peak: bool = flag("peak")

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
        threshold = self._threshold(weights)
        # Rounding may carry the mean of equal magnitudes below them, out of its own cell.
        level = xp.maximum(mean_magnitude(weights, xp.abs(weights) >= threshold), threshold)
        above_minus = xp.nextafter(-threshold, xp.zeros_like(threshold))
        return Grid(
            levels=xp.stack([-level, xp.zeros_like(level), level]), edges=xp.stack([above_minus, threshold])
        )

    def _threshold(self, weights: Any) -> Any:
        """Return the magnitude from which weights survive, > 0."""
        if not self.peak:
            return least_survivor(weights, self.zeros)
        top = largest(weights)
        # The share as the weights' own kind of number; the largest survives, however its share is rounded.
        threshold = weights.__array_namespace__().minimum(top * weights.dtype.type(self.zeros), top)
        return weights.__array_namespace__().maximum(threshold, np.finfo(weights.dtype).tiny)
