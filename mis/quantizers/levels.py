"""Any number of equally spaced levels, as gradients are quantized with."""

from dataclasses import dataclass
from typing import Any, ClassVar

from mis.quantizers.base import Quantizer
from mis.quantizers.channels import Grid, StochasticGrid, nearest
from mis.quantizers.fields import flag, integer_field
from mis.quantizers.scales import largest

__all__ = ["Levels"]


@dataclass(frozen=True, kw_only=True)
class Levels(Quantizer):
    """Nearest of equally spaced levels from minus to plus the largest magnitude, or one of the two around at random.

    ``Uniform`` has 2^bits - 1 levels; here it is any number, also an even one, which has no level at zero.

    Parameters
    ----------
    levels
        2 to 1024.
    stochastic
        Round to one of the two levels around an entry, at random so that the mean is the entry.

    References
    ----------
    Alistarh, Grubic, Li, Tomioka, Vojnovic (2017), QSGD: Communication-efficient SGD via gradient quantization,
    arXiv:1610.02132, with the largest magnitude for the norm.

    Examples
    --------
    >>> import numpy as np
    >>> Levels(levels=5)(np.array([-1.0, -0.2, 0.3, 0.6]))
    array([-1. ,  0. ,  0.5,  0.5])
    """

    family: ClassVar[str] = "levels"
    levels: int = integer_field(20, at_least=2, at_most=1024)  # type: ignore[assignment]
    stochastic: bool = flag("stochastic")

    @property
    def num_levels(self) -> float:
        """As asked for."""
        return self.levels

    @property
    def num_scales(self) -> int:
        """The largest magnitude."""
        return 1

    def _fit(self, weights: Any) -> Grid:
        xp = weights.__array_namespace__()
        # Shares of the range, not multiples of a step: the outermost levels are exactly its ends.
        shares = xp.asarray([(2 * k - (self.levels - 1)) / (self.levels - 1) for k in range(self.levels)])
        grid = nearest(largest(weights) * shares.astype(weights.dtype))
        return StochasticGrid(levels=grid.levels, edges=grid.edges) if self.stochastic else grid
