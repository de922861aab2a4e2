"""Equally spaced levels, rounded to at random without bias."""

from dataclasses import dataclass
from typing import Any, ClassVar

from mis.quantizers.base import Quantizer
from mis.quantizers.channels import StochasticGrid
from mis.quantizers.fields import integer_field, scale_field
from mis.quantizers.uniform import Uniform

__all__ = ["Stochastic"]


@dataclass(frozen=True, kw_only=True)
class Stochastic(Quantizer):
    """One of the two nearest levels of the symmetric uniform grid, at random so that the mean is the weight.

    Its cells have no sharp edges: the listed edges are the midpoints, where both levels are equally likely.

    Parameters
    ----------
    bits
        2 to 8; 2^bits - 1 levels.
    scale
        The largest level: ``"fit"``, ``"power-of-two"`` (rounded up to one), or a number > 0 fixed in
        advance.

    References
    ----------
    Gupta, Agrawal, Gopalakrishnan, Narayanan (2015), Deep learning with limited numerical precision,
    arXiv:1502.02551, section 3.1.

    Examples
    --------
    >>> import jax
    >>> import numpy as np
    >>> Stochastic(bits=2)(np.array([-1.0, 0.0, 1.0]), key=jax.random.key(0))
    array([-1.,  0.,  1.])
    """

    family: ClassVar[str] = "stochastic"
    bits: int = integer_field(4, at_least=2, at_most=8)  # type: ignore[assignment]
    scale: str | float = scale_field()

    @property
    def num_levels(self) -> float:
        """Those of the symmetric uniform grid."""
        return 2**self.bits - 1

    def _fit(self, weights: Any) -> StochasticGrid:
        """Return the levels of the uniform grid with their midpoints."""
        grid: Any = Uniform(bits=self.bits, scale=self.scale)._fit(weights)
        return StochasticGrid(levels=grid.levels, edges=grid.edges)
