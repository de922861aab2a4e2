"""What was fitted to one tensor, and what it does to a weight.

A channel turns weights into released ones and, the other way, a released value into what it says of the weight, an
observation. All that theory and attacks ask of a release they ask of these two.

Ties, once and everywhere: a weight that equals a cell edge belongs to the cell above.
"""

import abc
import math
from dataclasses import dataclass
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import numpy as np
from scipy import stats

from mis.numerics.checks import UnsupportedSetting, refuse
from mis.quantizers.information import through_cells, through_dead_zone, through_hats
from mis.quantizers.observations import Cell, Hat, Normal, Observation
from mis.quantizers.weights import floats, traced, wide

__all__ = ["Channel", "DeadZone", "Exact", "Grid", "Noisy", "StochasticGrid", "nearest", "select"]

# Edges up to which an unrolled chain of comparisons compiles in a fraction of a second; 2^k - 1.
LONGEST_CHAIN = 31
# Of a weight that is released as it is.
FULL_BITS = 32.0


class Channel(abc.ABC):
    """What happens to the weights of one tensor on their way out.

    Works on NumPy and on JAX arrays alike. A weight that is NaN or infinite is refused; inside ``jit``, where that is
    not known, it is released as NaN, its code is -1, and what is fitted to it is NaN throughout.
    """

    is_sharp: ClassVar[bool] = False
    """Whether every weight is released as the code of its cell, or every weight as it is."""

    is_random: ClassVar[bool] = False
    """Whether the release takes a key."""

    has_free_levels: ClassVar[bool] = True
    """Whether fine-tuning may follow it: each level moves by itself, which some formats cannot write."""

    @abc.abstractmethod
    def apply(self, weights: Any, *, key: Any = None) -> Any:
        """Return the released weights; ``key`` is a JAX key, needed where the release is random."""

    @abc.abstractmethod
    def observation(self, released: Any) -> Observation:
        """Return what released values say of the weights, arrays of their shape."""

    @abc.abstractmethod
    def information(self, weights: Any, spread: Any) -> np.ndarray:
        """Return the share of Fisher information about w that the release of ``N(w, spread**2)`` passes, in [0, 1].

        Parameters
        ----------
        weights, spread
            Of one shape; a spread of 0 gives the limit.
        """

    def squared_error(self, weights: Any) -> np.ndarray:
        """Return the squared error of each released weight, expected where the release is random."""
        return np.square(np.asarray(self.apply(weights), np.float64) - np.asarray(weights, np.float64))

    @abc.abstractmethod
    def entropy(self, weights: Any) -> float:
        """Return the entropy of what is released, in bits per weight; 32 for a weight that is released as it is."""

    def followed(self, released: Any, slopes: Any) -> Any:  # noqa: ARG002
        """Return the slopes that fine-tuning may follow without leaving what was released, in JAX.

        Each weight moves by itself; on a grid those of one level move together, by the sum of their slopes, so that
        the codes stay and the levels are trained. What was released as 0 stays 0.

        Parameters
        ----------
        released, slopes
            Where fine-tuning starts, and the gradient of a loss; of one shape.
        """
        return slopes

    def pruned(self, threshold: Any) -> "Channel":  # noqa: ARG002
        """Return this channel for weights of magnitude ``threshold`` and more, with all others released as 0."""
        raise UnsupportedSetting(
            "Channel.pruned", "only cells can follow pruning: a deterministic quantizer."
        )


@jax.tree_util.register_dataclass
@dataclass(frozen=True, kw_only=True)
class Exact(Channel):
    """Every weight is released as it is."""

    is_sharp: ClassVar[bool] = True

    def apply(self, weights: Any, *, key: Any = None) -> Any:  # noqa: ARG002
        return floats("Exact.apply", weights)

    def observation(self, released: Any) -> Observation:
        return Cell(lower=released, upper=released)

    def information(self, weights: Any, spread: Any) -> np.ndarray:  # noqa: ARG002
        return np.ones(np.shape(weights))

    def entropy(self, weights: Any) -> float:  # noqa: ARG002
        return FULL_BITS


@jax.tree_util.register_dataclass
@dataclass(frozen=True, kw_only=True)
class Grid(Channel):
    """The released values of one tensor and the cells that map to them.

    Parameters
    ----------
    levels
        Released values in ascending order, shape ``(L,)``, or ``(C, L)`` with one row for each of the C channels,
        the last axis of the weights: outputs, in matrices ``(inputs, outputs)`` and in convolution kernels
        ``(height, width, inputs, outputs)``.
    edges
        Cell edges in ascending order, shape ``(L - 1,)`` or ``(C, L - 1)``: level k is released on ``[edge_{k-1},
        edge_k)``.
    """

    is_sharp: ClassVar[bool] = True

    levels: Any
    edges: Any

    def apply(self, weights: Any, *, key: Any = None) -> Any:
        """Return the released weights, in the precision of the levels.

        Parameters
        ----------
        weights
            Finite; of any shape, or with C entries along the last axis where the grid has C channels.
        key
            A JAX key; needed on a stochastic grid only.
        """
        return self._release("apply", weights, self.levels, np.nan, key)

    def codes(self, weights: Any, *, key: Any = None) -> Any:
        """Return the index of the level that each weight is released as, same shape as ``weights``."""
        return self._release("codes", weights, np.arange(self.levels.shape[-1]), -1, key)

    def _release(self, asked, weights, values, undefined, key):
        where = f"{type(self).__name__}.{asked}"
        weights = wide(floats(where, weights))
        channels = self.levels.shape[:-1]
        if channels and weights.shape[-1:] != channels:
            raise refuse(where, "weights", f"with {channels[0]} channels along the last axis", weights.shape)
        released = self._map(where, weights, values, key)
        xp = weights.__array_namespace__()
        return xp.where(xp.isfinite(weights), released, undefined) if traced(weights) else released

    def _map(self, where, weights, values, key):  # noqa: ARG002
        return select(weights, self.edges, values)

    def observation(self, released: Any) -> Observation:
        xp = self.edges.__array_namespace__()
        ends = xp.full((*self.edges.shape[:-1], 1), xp.inf, self.edges.dtype)
        # By the nearest level: after pruning a level may lie outside its own cell.
        middles = nearest(self.levels).edges
        return Cell(
            lower=select(released, middles, xp.concatenate([-ends, self.edges], axis=-1)),
            upper=select(released, middles, xp.concatenate([self.edges, ends], axis=-1)),
        )

    def edges_of(self, weights: Any) -> Any:
        """Return the edges of each weight's cells, ``(*shape, L - 1)``."""
        return np.broadcast_to(self.edges, (*np.shape(weights), self.edges.shape[-1]))

    def followed(self, released: Any, slopes: Any) -> Any:
        num_levels, num_channels = self.levels.shape[-1], math.prod(self.levels.shape[:-1])
        codes = select(released, nearest(self.levels).edges, np.arange(num_levels)).ravel()
        # A channel's levels are its own.
        groups = codes + num_levels * (jnp.arange(codes.size) % num_channels)
        sums = jax.ops.segment_sum(slopes.ravel(), groups, num_levels * num_channels)
        return jnp.where(released == 0, 0, sums[groups].reshape(released.shape))

    def information(self, weights: Any, spread: Any) -> np.ndarray:
        return through_cells(weights, spread, self.edges)

    def entropy(self, weights: Any) -> float:
        return float(stats.entropy(np.bincount(np.asarray(self.codes(weights)).ravel()), base=2))

    def pruned(self, threshold: Any) -> "Grid":
        """Return the grid with one more level, 0, whose cell is the dead zone.

        A survivor keeps its sign: one whose level had another is released as 0. Where 0 is a level already, the two
        cells are one and the other is empty, so the grid has the levels of this one, 0 twice.
        """
        xp = self.levels.__array_namespace__()
        ends = xp.full((*self.edges.shape[:-1], 1), xp.inf, self.edges.dtype)
        below, above = (xp.concatenate(sides, axis=-1) for sides in ((-ends, self.edges), (self.edges, ends)))
        # The number above -threshold, so that its magnitude survives on both sides.
        start = xp.nextafter(-threshold, xp.zeros_like(threshold))
        # Negative levels end, and positive ones begin, outside the zone.
        edges = xp.where(
            self.levels < 0,
            xp.minimum(above, start),
            xp.where(self.levels > 0, xp.maximum(below, threshold), xp.minimum(below, start)),
        )
        # Of levels that are NaN no 0 is left.
        zero = xp.abs(0 * self.levels[..., :1])
        return Grid(levels=xp.sort(xp.concatenate([self.levels, zero], axis=-1), axis=-1), edges=edges)


@jax.tree_util.register_dataclass
@dataclass(frozen=True, kw_only=True)
class StochasticGrid(Grid):
    """A grid where a weight goes to the upper neighbour with probability its share of the way there.

    Parameters
    ----------
    levels
        As of ``Grid``.
    edges
        The midpoints between levels, where both neighbours are equally likely.
    """

    is_sharp: ClassVar[bool] = False
    is_random: ClassVar[bool] = True

    def _map(self, where, weights, values, key):
        if key is None:
            raise refuse(where, "key", "a JAX key, because rounding is stochastic", key)
        xp = weights.__array_namespace__()
        low, high = (self._neighbour(weights, self.levels, k) for k in (0, 1))
        share = (weights - low) / xp.where(high > low, high - low, 1)
        up = xp.asarray(jax.random.uniform(key, weights.shape)) < share
        return xp.where(up, self._neighbour(weights, values, 1), self._neighbour(weights, values, 0))

    def _neighbour(self, weights, values, k):
        """Return what belongs to the lower (0) or upper (1) of the two levels around each weight."""
        num = self.levels.shape[-1]
        return select(weights, self.levels[..., 1:-1], values[..., k : num - 1 + k])

    def observation(self, released: Any) -> Observation:
        xp = self.levels.__array_namespace__()
        ends = xp.full((*self.levels.shape[:-1], 1), xp.inf, self.levels.dtype)
        lower, upper = [-ends, self.levels[..., :-1]], [self.levels[..., 1:], ends]
        return Hat(
            lower=select(released, self.edges, xp.concatenate(lower, axis=-1)),
            centre=select(released, self.edges, self.levels),
            upper=select(released, self.edges, xp.concatenate(upper, axis=-1)),
        )

    def information(self, weights: Any, spread: Any) -> np.ndarray:
        return through_hats(weights, spread, self.levels)

    def squared_error(self, weights: Any) -> np.ndarray:
        _, share, low, high = self._between(weights)
        return (1 - share) * (weights - low) ** 2 + share * (high - weights) ** 2

    def entropy(self, weights: Any) -> float:
        """Return the entropy of the mean code distribution, in bits."""
        code, share, _, _ = (x.ravel() for x in self._between(weights))
        num = self.levels.shape[-1]
        counts = np.bincount(code, 1 - share, num) + np.bincount(code + 1, share, num)
        return float(stats.entropy(counts, base=2))

    def _between(self, weights):
        """Return the lower code a weight may get, the probability of the upper one, and both levels; in float64."""
        grid = StochasticGrid(levels=np.asarray(self.levels, np.float64), edges=None)
        low, high = (grid._neighbour(weights, grid.levels, k) for k in (0, 1))
        step = np.where(high > low, high - low, 1.0)
        share = np.clip((weights - low) / step, 0.0, 1.0)
        return grid._neighbour(weights, np.arange(grid.levels.shape[-1]), 0), share, low, high

    pruned = Channel.pruned  # type: ignore[assignment]


@jax.tree_util.register_dataclass
@dataclass(frozen=True, kw_only=True)
class DeadZone(Channel):
    """Weights of magnitude below a threshold are released as 0, the others as they are.

    Parameters
    ----------
    threshold
        The least magnitude that survives, > 0.
    """

    threshold: Any

    def apply(self, weights: Any, *, key: Any = None) -> Any:  # noqa: ARG002
        weights = wide(floats("DeadZone.apply", weights))
        xp = weights.__array_namespace__()
        released = xp.where(xp.abs(weights) < self.threshold, 0, weights)
        # Without a threshold nothing is released.
        known = xp.isfinite(weights) & xp.isfinite(self.threshold)
        return xp.where(known, released, np.nan) if traced(weights) else released

    def observation(self, released: Any) -> Observation:
        xp = released.__array_namespace__()
        return Cell(
            lower=xp.where(released == 0, -self.threshold, released),
            upper=xp.where(released == 0, self.threshold, released),
        )

    def followed(self, released: Any, slopes: Any) -> Any:
        return jnp.where(released == 0, 0, slopes)

    def information(self, weights: Any, spread: Any) -> np.ndarray:
        return through_dead_zone(weights, spread, self.threshold)

    def entropy(self, weights: Any) -> float:
        """Return the entropy of which weights survive, and 32 bits for each of them."""
        kept = float(np.mean(np.abs(np.asarray(weights)) >= np.asarray(self.threshold)))
        return float(stats.entropy([kept, 1 - kept], base=2)) + FULL_BITS * kept


@jax.tree_util.register_dataclass
@dataclass(frozen=True, kw_only=True)
class Noisy(Channel):
    """Every weight is released with normal noise of its own.

    Parameters
    ----------
    sd
        Standard deviation of the noise.
    """

    is_random: ClassVar[bool] = True

    sd: Any

    def apply(self, weights: Any, *, key: Any = None) -> Any:
        weights = wide(floats("Noisy.apply", weights))
        if key is None:
            raise refuse("Noisy.apply", "key", "a JAX key, because the noise is random", key)
        xp = weights.__array_namespace__()
        released = weights + self.sd * xp.asarray(jax.random.normal(key, weights.shape), dtype=weights.dtype)
        return xp.where(xp.isfinite(weights), released, np.nan) if traced(weights) else released

    def observation(self, released: Any) -> Observation:
        xp = released.__array_namespace__()
        return Normal(centre=released, sd=xp.broadcast_to(self.sd, released.shape))

    def information(self, weights: Any, spread: Any) -> np.ndarray:
        """Return ``s**2 / (s**2 + sd**2)``; without any noise 1, of a weight that does not move else 0."""
        spread, sd = np.asarray(spread, np.float64), float(self.sd)
        total = np.hypot(spread, sd)
        share = np.divide(spread, total, out=np.ones_like(total), where=total > 0)
        return np.broadcast_to(share**2, np.shape(weights)).copy()

    def squared_error(self, weights: Any) -> np.ndarray:
        return np.full(np.shape(weights), float(self.sd) ** 2)

    def entropy(self, weights: Any) -> float:  # noqa: ARG002
        return FULL_BITS


def select(weights: Any, edges: Any, values: Any) -> Any:
    """Return for each weight the value of the cell it lies in.

    One comparison and one choice per edge: XLA fuses a chain of them into a single pass over the weights. Where
    a chain would take seconds to compile, one over every so many edges comes first and bisection after it.
    """
    xp = weights.__array_namespace__()
    per_weight = (1,) * (weights.ndim - 1) + (-1,)

    def of_cell(array, k):
        return array[..., k] if array.ndim == 1 else array[..., k].reshape(per_weight)

    def at(array, position):
        return (
            array[position] if array.ndim == 1 else array[xp.arange(len(array)).reshape(per_weight), position]
        )

    num_edges = edges.shape[-1]
    if xp is np or num_edges <= LONGEST_CHAIN:
        out = xp.broadcast_to(xp.asarray(of_cell(values, 0)), weights.shape)
        for k in range(num_edges):
            out = xp.where(weights >= of_cell(edges, k), of_cell(values, k + 1), out)
        return out
    # Past the last edge no weight goes.
    size = 2 ** num_edges.bit_length()
    beyond = xp.full((*edges.shape[:-1], size - 1 - num_edges), xp.inf, edges.dtype)
    padded = xp.concatenate([edges, beyond], axis=-1)
    stride = size // (LONGEST_CHAIN + 1)
    position = select(weights, padded[..., stride - 1 :: stride], np.arange(0, size, stride))
    while stride > 1:
        stride //= 2
        position = position + xp.where(weights >= at(padded, position + (stride - 1)), stride, 0)
    return at(xp.asarray(values), position)


def nearest(levels: Any) -> Grid:
    """Return the grid that releases the nearest of ascending levels: its edges are the midpoints."""
    lower, upper = levels[..., :-1], levels[..., 1:]
    # Halved first: a sum could overflow. Where no number lies between two levels, the edge is the upper one.
    middle = lower / 2 + upper / 2
    return Grid(levels=levels, edges=levels.__array_namespace__().where(middle <= lower, upper, middle))
