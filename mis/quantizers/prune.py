"""The smallest weights set to zero, or some at random, the others released as they are; and what survives."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import numpy as np
from scipy import stats

from mis.numerics.checks import UnsupportedSetting
from mis.quantizers.base import Quantizer
from mis.quantizers.channels import FULL_BITS, Channel, DeadZone, Exact
from mis.quantizers.fields import flag, integer_field, share_field
from mis.quantizers.masked import Masked

__all__ = ["Prune", "least_survivor", "least_survivors", "num_zeroed", "order_statistic"]


@dataclass(frozen=True, kw_only=True)
class Prune(Quantizer):
    """Zero for the smallest weights, the others as they are, or on a grid of their own: ``prune-90+uniform-4``.

    The share is that of each tensor, or of the whole network, whose tensors then have one threshold. At least one
    weight of a tensor survives unless all are zero; where magnitudes tie with the smallest survivor, all of them do.
    A weight released as 0 lies in a dead zone between minus and plus that magnitude, a survivor is what it is. As a
    control the zeros may be drawn at random: then one says nothing of the weight that was there. With a quantizer
    after it, see ``Chain``; gradually, in rounds, see ``mis.training.Tuning``.

    Parameters
    ----------
    zeros
        Share of the weights set to zero, in (0, 1); ``round(zeros * size)`` of them, more where more are zero already.
    globally
        Whether ``size`` is that of the network. Of a tensor whose weights are all below the threshold the largest
        survives, so that no layer is empty. A tensor by itself is a network of one.
    random
        Whether the zeros are drawn at random, as many of each tensor as otherwise; with a larger share the same ones
        and more.
    seed
        Of the draw, which depends on nothing else but the tensor's place and size: it is the same for all networks of
        an architecture, as a mask that is published lets an attacker make it for networks of his own.

    References
    ----------
    Han, Pool, Tran, Dally (2015), Learning both weights and connections, arXiv:1506.02626, with the threshold chosen
    by the share of zeros. Blalock, Gonzalez Ortiz, Frankle, Guttag (2020), What is the state of neural network
    pruning?, arXiv:2003.03033, for the other two.

    Examples
    --------
    >>> import numpy as np
    >>> Prune(zeros=0.5)(np.array([0.1, -0.2, 3.0, -5.0]))
    array([ 0.,  0.,  3., -5.])
    >>> [channel.threshold for channel in Prune(zeros=0.5, globally=True).fit_network(
    ...     [np.array([0.1, -0.2]), np.array([3.0, -5.0])])]
    [np.float64(0.2), np.float64(3.0)]
    """

    family: ClassVar[str] = "prune"
    zeros: float = share_field(0.9)
    globally: bool = flag("global")
    random: bool = flag("random")
    seed: int = integer_field(0, "seed", at_least=0, at_most=2**31 - 1)

    def __post_init__(self):
        super().__post_init__()
        if self.globally and self.random:
            raise UnsupportedSetting("Prune", "a random choice has no threshold; leave global or random.")
        if self.seed and not self.random:
            raise UnsupportedSetting("Prune", "only a random choice has a seed; leave it, or say random.")

    @property
    def num_levels(self) -> float:
        """Infinitely many."""
        return float("inf")

    @property
    def bits(self) -> float:
        """Full precision for each survivor, and the entropy of which they are, unless a seed tells that."""
        places = 0.0 if self.random else float(stats.entropy([self.zeros, 1 - self.zeros], base=2))
        return FULL_BITS * (1 - self.zeros) + places

    def _fit(self, weights: Any) -> Channel:
        """Return the dead zone up to the smallest survivor, or the mask."""
        return self._after(weights, 0)

    def fit_network(self, tensors: Sequence[Any], calibration: Any = None) -> list[Channel]:  # noqa: ARG002
        """Return what each tensor goes through; with one threshold for all if asked."""
        tensors = [self.taken(weights) for weights in tensors]
        if not self.globally:
            return [self._after(weights, place) for place, weights in enumerate(tensors)]
        return [DeadZone(threshold=threshold) for threshold in least_survivors(tensors, self.zeros)]

    def _after(self, weights: Any, place: int) -> Channel:
        if not self.random:
            return DeadZone(threshold=least_survivor(weights, self.zeros))
        return Masked(survives=self.drawn(weights, place), inner=Exact())

    def drawn(self, weights: Any, place: int) -> np.ndarray:
        """Return which weights of the tensor at a place survive a draw at random, of its shape."""
        order = np.random.default_rng([self.seed, place]).permutation(weights.size)
        survives = np.ones(weights.size, bool)
        survives[order[: num_zeroed(weights.size, self.zeros)]] = False
        return survives.reshape(weights.shape)


def num_zeroed(size: int, zeros: float) -> int:
    """Return how many of ``size`` weights are set to zero; at least one survives."""
    return min(round(zeros * size), size - 1)


def least_survivor(weights: Any, zeros: float) -> Any:
    """Return the least magnitude that survives pruning, > 0: a zero stays a zero, however many there are."""
    xp = weights.__array_namespace__()
    threshold = order_statistic(xp.abs(weights), num_zeroed(weights.size, zeros))
    return xp.maximum(threshold, np.finfo(weights.dtype).tiny)


def least_survivors(tensors: Sequence[Any], zeros: float) -> list[Any]:
    """Return for each tensor the least magnitude that survives a share of all their weights being set to zero.

    One number for all, but of a tensor with no weight as large its largest.
    """
    xp = tensors[0].__array_namespace__()
    together = least_survivor(xp.concatenate([weights.ravel() for weights in tensors]), zeros)
    tiny = np.finfo(together.dtype).tiny
    return [xp.minimum(together, xp.maximum(xp.max(xp.abs(weights)), tiny)) for weights in tensors]


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
