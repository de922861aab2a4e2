"""The weights of DoReFa networks: between -1 and 1 on equal steps, of their hyperbolic tangents."""

from dataclasses import dataclass
from typing import Any, ClassVar

import jax.numpy as jnp
import numpy as np

from mis.quantizers.base import Quantizer
from mis.quantizers.channels import Grid
from mis.quantizers.fields import integer_field
from mis.quantizers.scales import mean_magnitude

__all__ = ["Dorefa"]


@dataclass(frozen=True, kw_only=True)
class Dorefa(Quantizer):
    """Equal steps from -1 to 1, rounded to from the hyperbolic tangent of the weights; made to be trained through.

    ``2 round((2^B - 1) r) / (2^B - 1) - 1`` with ``r = tanh(w) / (2 max |tanh w|) + 1/2``; for one bit the sign
    times the mean magnitude. Made to be trained through, ``qat:dorefa-4``: gradients pass the rounding as if it
    were not there, and the tangent and the scaling as they are. The largest weight of a tensor is 1 whatever it
    was, so without such training, and without a normalisation after the layer, a network does not survive it.

    Parameters
    ----------
    bits
        1 to 16.

    Notes
    -----
    The tangent ascends, so each level is released on an interval of weights, whose ends are
    ``artanh((2 (k + 1/2) / (2^B - 1) - 1) max |tanh w|)``: cells as of any other grid.

    References
    ----------
    Zhou, Wu, Ni, Zhou, Wen, Zou (2016), DoReFa-Net, arXiv:1606.06160, eq. 7 to 9.

    Examples
    --------
    >>> Dorefa(bits=2)(np.array([-1.0, -0.2, 0.3, 0.5])).round(3)
    array([-1.   , -0.333,  0.333,  0.333])
    """

    family: ClassVar[str] = "dorefa"
    bits: int = integer_field(4, at_least=1, at_most=16)  # type: ignore[assignment]

    @property
    def num_levels(self) -> float:
        """All that the bits can write."""
        return 2**self.bits

    @property
    def num_scales(self) -> int:
        """The mean magnitude of one bit; else none, the levels are the same whatever the weights are."""
        return int(self.bits == 1)

    def _fit(self, weights: Any) -> Grid:
        """Return the grid of the tensor."""
        xp = weights.__array_namespace__()
        if self.bits == 1:
            level = mean_magnitude(weights)
            return Grid(levels=xp.stack([-level, level]), edges=xp.zeros(1, weights.dtype))
        steps = 2**self.bits - 1
        top = xp.max(xp.abs(xp.tanh(weights)))
        top = xp.where(top > 0, top, 1)
        middles = xp.asarray((2 * np.arange(steps) + 1 - steps) / steps, dtype=weights.dtype)
        return Grid(
            levels=xp.asarray((2 * np.arange(steps + 1) - steps) / steps, dtype=weights.dtype),
            edges=xp.arctanh(middles * top),
        )

    def differentiable(self, weights: Any) -> Any:
        """Return the weights before they are rounded, whose gradient training through this takes."""
        if self.bits == 1:
            return weights
        tangent = jnp.tanh(weights)
        largest = jnp.max(jnp.abs(tangent))
        return tangent / jnp.where(largest > 0, largest, 1.0)
