"""Zero and plus or minus powers of two."""

from dataclasses import dataclass
from typing import Any, ClassVar

from mis.quantizers.base import Quantizer
from mis.quantizers.channels import Grid, nearest
from mis.quantizers.fields import integer_field
from mis.quantizers.scales import largest, power_of_two

__all__ = ["PowerOfTwo"]


@dataclass(frozen=True, kw_only=True)
class PowerOfTwo(Quantizer):
    """Nearest of zero and plus or minus powers of two, dense near zero: a product becomes a shift of bits.

    Levels 0 and ±2^(e-i) for i = 0..2^(bits-1) - 2, where 2^e is the power of two nearest to the largest
    magnitude. All that is fitted is the integer e.

    Parameters
    ----------
    bits
        2 to 6; 2^bits - 1 levels.

    References
    ----------
    Zhou, Yao, Guo, Xu, Chen (2017), Incremental Network Quantization, arXiv:1702.03044, eq. 1 to 4.

    Examples
    --------
    >>> import numpy as np
    >>> PowerOfTwo(bits=3)(np.array([-1.1, 0.1, 0.3, 0.7, 0.8]))
    array([-1.  ,  0.  ,  0.25,  0.5 ,  1.  ])
    """

    family: ClassVar[str] = "power-of-two"
    by_extremes: ClassVar[bool] = True
    bits: int = integer_field(4, at_least=2, at_most=6)  # type: ignore[assignment]

    @property
    def num_levels(self) -> float:
        """As many on both sides of zero."""
        return 2**self.bits - 1

    def _fit(self, weights: Any) -> Grid:
        """Return zero and the powers below the one nearest the largest magnitude."""
        xp = weights.__array_namespace__()
        # mantissa * 2^exponent with mantissa in [1/2, 1): from 3/4 on the upper power is the nearer one.
        mantissa, exponent = xp.frexp(largest(weights))
        top = power_of_two(xp.sign(mantissa), exponent - (mantissa < 0.75))
        count = 2 ** (self.bits - 1) - 1
        powers = xp.ldexp(top, xp.arange(1 - count, 1))
        return nearest(xp.concatenate([-powers[::-1], xp.zeros_like(powers[:1]), powers]))
