"""The smallest weights set to zero, the others released as they are; and the threshold between them."""

from dataclasses import dataclass
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import numpy as np
from scipy import stats

from mis.quantizers.base import Quantizer
from mis.quantizers.channels import FULL_BITS, DeadZone
from mis.quantizers.fields import share_field

__all__ = ["Prune", "least_survivor", "num_zeroed", "order_statistic"]


@dataclass(frozen=True, kw_only=True)
class Prune(Quantizer):
    """Zero for the smallest weights, the others as they are, or on a grid of their own: ``prune-90+uniform-4``.

    At least one weight survives unless all are zero; where magnitudes tie with the smallest survivor, all of them do.
    A weight released as 0 lies in a dead zone between minus and plus that magnitude, a survivor is what it is. With a
    quantizer after it, see ``Chain``.

    Parameters
    ----------
    zeros
        Share of the weights set to zero, in (0, 1); ``round(zeros * size)`` of them, more where more are zero already.

    References
    ----------
    Han, Pool, Tran, Dally (2015), Learning both weights and connections, arXiv:1506.02626, with the threshold chosen
    by the share of zeros.

    Examples
    --------
    >>> import numpy as np
    >>> Prune(zeros=0.5)(np.array([0.1, -0.2, 3.0, -5.0]))
    array([ 0.,  0.,  3., -5.])
    """

    family: ClassVar[str] = "prune"
    zeros: float = share_field(0.9)

    @property
    def num_levels(self) -> float:
        """Infinitely many."""
        return float("inf")

    @property
    def bits(self) -> float:
        """Full precision for each survivor, and the entropy of which they are."""
        return FULL_BITS * (1 - self.zeros) + float(stats.entropy([self.zeros, 1 - self.zeros], base=2))

    def _fit(self, weights: Any) -> DeadZone:
        """Return the dead zone up to the smallest survivor."""
        return DeadZone(threshold=least_survivor(weights, self.zeros))


def num_zeroed(size: int, zeros: float) -> int:
    """Return how many of ``size`` weights are set to zero; at least one survives."""
    return min(round(zeros * size), size - 1)


def least_survivor(weights: Any, zeros: float) -> Any:
    """Return the least magnitude that survives pruning, > 0: a zero stays a zero, however many there are."""
    xp = weights.__array_namespace__()
    threshold = order_statistic(xp.abs(weights), num_zeroed(weights.size, zeros))
    return xp.maximum(threshold, np.finfo(weights.dtype).tiny)


def order_statistic(magnitude: Any, rank: int) -> Any:
    """Return the entry of a nonnegative array that ``rank`` others precede in ascending order, exactly.

    In JAX by bisection on the bits, whose order as integers is that of nonnegative floats: one count of the
    array per bit, on a CPU nine times faster than a sort.
    """
    if not isinstance(magnitude, jax.Array):
        return np.partition(magnitude, rank, axis=None)[rank]
    integers = {2: jnp.int16, 4: jnp.int32, 8: jnp.int64}[magnitude.dtype.itemsize]
    bits = jax.lax.bitcast_convert_type(magnitude, integers)
    highest = 8 * magnitude.dtype.itemsize - 2

    def settle_bit(i, found):
        trial = found | (jnp.ones((), integers) << (highest - i).astype(integers))
        return jnp.where(jnp.sum(bits < trial) <= rank, trial, found)

    found = jax.lax.fori_loop(0, highest + 1, settle_bit, jnp.zeros((), integers))
    return jax.lax.bitcast_convert_type(found, magnitude.dtype)
