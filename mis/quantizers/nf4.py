"""The sixteen NormalFloat levels, scaled to the largest magnitude."""

from dataclasses import dataclass
from typing import Any, ClassVar

from mis.quantizers.base import Quantizer
from mis.quantizers.channels import Grid, nearest
from mis.quantizers.fields import scale_field
from mis.quantizers.scales import stretched

__all__ = ["NF4"]

# Dettmers et al. (2023), appendix E; to the digits published there.
LEVELS = (
    -1.0, -0.6961928009986877, -0.5250730514526367, -0.39491748809814453,
    -0.28444138169288635, -0.18477343022823334, -0.09105003625154495, 0.0,
    0.07958029955625534, 0.16093020141124725, 0.24611230194568634, 0.33791524171829224,
    0.44070982933044434, 0.5626170039176941, 0.7229568362236023, 1.0,
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class NF4(Quantizer):
    """Four-bit NormalFloat: 16 levels near the quantiles of a normal law, scaled to the largest magnitude.

    One scale a tensor (the original takes one for each block of 64 weights).

    Parameters
    ----------
    scale
        The largest level: ``"fit"``, ``"power-of-two"`` (rounded up to one), or a number > 0 fixed in
        advance.

    References
    ----------
    Dettmers, Pagnoni, Holtzman, Zettlemoyer (2023), QLoRA, arXiv:2305.14314, section 3 and appendix E.

    Examples
    --------
    >>> import numpy as np
    >>> NF4()(np.array([1.0, 0.1, -0.6])).round(3)
    array([ 1.   ,  0.08 , -0.525])
    """

    family: ClassVar[str] = "nf4"
    by_extremes: ClassVar[bool] = True
    scale: str | float = scale_field()

    @property
    def num_levels(self) -> float:
        """Sixteen."""
        return 16

    def _fit(self, weights: Any) -> Grid:
        """Return the scaled levels with their midpoints as edges."""
        return nearest(stretched(LEVELS, self.scale, weights))
