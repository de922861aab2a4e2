"""The values of small floating-point formats, scaled to the largest magnitude."""

from dataclasses import dataclass
from typing import Any, ClassVar

import ml_dtypes
import numpy as np

from mis.quantizers.base import Quantizer
from mis.quantizers.channels import Grid, nearest
from mis.quantizers.fields import scale_field
from mis.quantizers.scales import stretched

__all__ = ["FP4", "FP8"]


def levels_of(dtype: Any) -> np.ndarray:
    """Return the finite values of a format with few bits over the largest of them, ascending, zero once."""
    width = ml_dtypes.finfo(dtype).bits
    values = np.arange(2**width, dtype=np.uint8).view(dtype).astype(np.float64)
    values = np.unique(values[np.isfinite(values)] + 0.0)
    return values / values[-1]


@dataclass(frozen=True, kw_only=True)
class FP8(Quantizer):
    """Eight-bit floats: sign, 4 bits of exponent, 3 of mantissa (OCP E4M3), scaled to the largest magnitude.

    253 distinct finite values, ±448 times the scale the outermost; NaN and the second zero are no levels.

    Parameters
    ----------
    scale
        The largest level: ``"fit"``, ``"power-of-two"`` (rounded up to one), or a number > 0 fixed in
        advance.

    References
    ----------
    Micikevicius et al. (2022), FP8 formats for deep learning, arXiv:2209.05433, table 1.

    Examples
    --------
    >>> import numpy as np
    >>> FP8(scale=448.0)(np.array([17.1, 2.2, -0.3]))
    array([18.    ,  2.25  , -0.3125])
    """

    family: ClassVar[str] = "fp8-e4m3"
    by_extremes: ClassVar[bool] = True
    scale: str | float = scale_field()

    @property
    def num_levels(self) -> float:
        """Distinct finite values of the format."""
        return 253

    @property
    def bits(self) -> float:
        """Bits of the format."""
        return 8.0

    def _fit(self, weights: Any) -> Grid:
        """Return the scaled values of the format with their midpoints as edges."""
        return nearest(stretched(levels_of(ml_dtypes.float8_e4m3fn), self.scale, weights))


@dataclass(frozen=True, kw_only=True)
class FP4(Quantizer):
    """Four-bit floats: sign, 2 bits of exponent, 1 of mantissa (OCP E2M1), scaled to the largest magnitude.

    Levels 0, ±0.5, ±1, ±1.5, ±2, ±3, ±4, ±6 times the scale.

    Parameters
    ----------
    scale
        The largest level: ``"fit"``, ``"power-of-two"`` (rounded up to one), or a number > 0 fixed in
        advance.

    References
    ----------
    Open Compute Project (2023), Microscaling Formats (MX) Specification 1.0, section 5.3.3.

    Examples
    --------
    >>> import numpy as np
    >>> FP4()(np.array([6.0, 2.4, -0.3]))
    array([ 6. ,  2. , -0.5])
    """

    family: ClassVar[str] = "fp4-e2m1"
    by_extremes: ClassVar[bool] = True
    scale: str | float = scale_field()

    @property
    def num_levels(self) -> float:
        """Distinct finite values of the format."""
        return 15

    @property
    def bits(self) -> float:
        """Bits of the format."""
        return 4.0

    def _fit(self, weights: Any) -> Grid:
        """Return the scaled values of the format with their midpoints as edges."""
        return nearest(stretched(levels_of(ml_dtypes.float4_e2m1fn), self.scale, weights))
