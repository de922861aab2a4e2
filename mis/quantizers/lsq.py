"""Equal steps whose size is learned with the weights."""

import math
from dataclasses import dataclass
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import numpy as np

from mis.quantizers.base import Quantizer
from mis.quantizers.channels import Grid, nearest
from mis.quantizers.fields import integer_field
from mis.quantizers.scales import mean_magnitude

__all__ = ["LSQ"]


@dataclass(frozen=True, kw_only=True)
class LSQ(Quantizer):
    """Nearest of 2^bits multiples of a step, which training through it learns: ``qat:lsq-4``.

    ``s round(clip(w / s, -2^(B-1), 2^(B-1) - 1))``. The step s of each tensor starts at ``2 mean|w| / sqrt(2^(B-1) -
    1)``, where it stays without such training; the learned one is released with the codes.

    Parameters
    ----------
    bits
        2 to 8.

    Notes
    -----
    Gradients pass the rounding as if it were not there: that of a weight is kept inside the clip and 0 outside, and
    ``d released / d s`` is ``round(w / s) - w / s`` inside, the end of the range outside. The gradient of s is divided
    by ``sqrt(N (2^(B-1) - 1))`` for N weights, so that steps and weights learn at like speeds; under Adam, which
    divides by the size of gradients, that changes nothing. A step that crosses 0 counts by its magnitude.

    References
    ----------
    Esser, McKinstry, Bablani, Appuswamy, Modha (2020), Learned step size quantization, arXiv:1902.08153, eq. 1 to 5.

    Examples
    --------
    >>> LSQ(bits=2)(np.array([-1.0, 0.2, 0.4, 0.4]))
    array([-1.,  0.,  0.,  0.])
    """

    family: ClassVar[str] = "lsq"
    learns: ClassVar[bool] = True
    bits: int = integer_field(4, at_least=2, at_most=8)  # type: ignore[assignment]

    @property
    def num_levels(self) -> float:
        """One more below zero than above."""
        return 2**self.bits

    @property
    def num_scales(self) -> int:
        """The step."""
        return 1

    @property
    def _top(self) -> int:
        return 2 ** (self.bits - 1) - 1

    def _fit(self, weights: Any) -> Grid:
        """Return the multiples of the step where it starts."""
        codes = weights.__array_namespace__().arange(-self._top - 1, self._top + 1, dtype=weights.dtype)
        return nearest(self._start(weights) * codes)

    def _start(self, weights: Any) -> Any:
        share, mean = 2 / math.sqrt(self._top), mean_magnitude(weights)
        # So that no level overflows.
        most = float(np.finfo(weights.dtype).max) / (self._top + 1) / share
        return share * mean.__array_namespace__().minimum(mean, np.asarray(most, weights.dtype))

    def begin(self, weights: Any) -> Any:
        """Return the step that training starts with; 1 for weights that are all zero."""
        start = self._start(weights)
        return jnp.where(start > 0, start, 1)

    def learned(self, weights: Any, numbers: Any) -> Any:
        """Return the weights on multiples of a step, with the gradients of the paper in both."""
        share = 1 / math.sqrt(weights.size * self._top)
        step = jnp.abs(share * numbers + jax.lax.stop_gradient((1 - share) * numbers))
        inside = jnp.clip(weights / step, -self._top - 1, self._top)
        return step * (inside + jax.lax.stop_gradient(jnp.round(inside) - inside))
