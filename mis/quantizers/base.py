"""Spec and value: what a quantizer is, and the grid it fits.

To add a quantizer: copy ``sign.py``, write ``_fit``, ``num_levels`` and ``family`` (fields from ``names.py``
spell its name by themselves); add it to ``QUANTIZERS`` in ``__init__.py``; add one row to ``CASES`` in
``tests/contracts/test_quantizers.py``. Theory, attacks and rankings then meet it by themselves.

Ties, once and everywhere: a weight that equals a cell edge belongs to the cell above.

Precision, once and everywhere: grids are fitted and weights released in float32, or in float64 if the weights
have more digits than float32, never in less: a level is a code times a scale, and which levels half precision
could tell apart depends on the weights, while a type may not. Integers are taken for the same floats.
"""

import abc
import math
from dataclasses import dataclass, field, fields
from typing import Any, ClassVar

import jax
import numpy as np

from mis.numerics.checks import UnsupportedSetting, refuse
from mis.quantizers.fields import check, written
from mis.quantizers.weights import floats, traced, wide

__all__ = ["Grid", "Quantizer", "nearest", "select"]

# Edges up to which an unrolled chain of comparisons compiles in a fraction of a second; 2^k - 1.
LONGEST_CHAIN = 31


@jax.tree_util.register_dataclass
@dataclass(frozen=True, kw_only=True)
class Grid:
    """The released values of one tensor and the cells that map to them.

    Works on NumPy and on JAX arrays alike. A weight that is NaN or infinite is refused; inside ``jit``, where
    that is not known, it is released as NaN, its code is -1, and a grid fitted to it is NaN throughout.

    Parameters
    ----------
    levels
        Released values in ascending order, shape ``(L,)``, or ``(C, L)`` with one row for each of the C channels,
        the last axis of the weights: outputs, in matrices ``(inputs, outputs)`` and in convolution kernels
        ``(height, width, inputs, outputs)``. None releases the weights as they are.
    edges
        Cell edges in ascending order, shape ``(L - 1,)`` or ``(C, L - 1)``: level k is released on ``[edge_{k-1},
        edge_k)``. On a stochastic grid the midpoints between levels, where both neighbours are equally
        likely.
    stochastic
        Whether a weight between two levels goes to the upper one with probability equal to its share of the
        way.
    """

    levels: Any
    edges: Any
    stochastic: bool = field(default=False, metadata={"static": True})

    def codes(self, weights: Any, *, key: Any = None) -> Any:
        """Return the index of the level that each weight is released as, same shape as ``weights``."""
        if self.levels is None:
            raise UnsupportedSetting("Grid.codes", "full precision has no cells; use the weights themselves.")
        return self._release("Grid.codes", weights, np.arange(self.levels.shape[-1]), -1, key)

    def apply(self, weights: Any, *, key: Any = None) -> Any:
        """Return the released weights, in the precision of the levels.

        Parameters
        ----------
        weights
            Finite; of any shape, or with C entries along the last axis where the grid has C channels.
        key
            A JAX key; needed on a stochastic grid only.
        """
        if self.levels is None:
            return floats("Grid.apply", weights)
        return self._release("Grid.apply", weights, self.levels, np.nan, key)

    def _release(self, where, weights, values, undefined, key):
        weights = wide(floats(where, weights))
        channels = self.levels.shape[:-1]
        if channels and weights.shape[-1:] != channels:
            raise refuse(where, "weights", f"with {channels[0]} channels along the last axis", weights.shape)
        if self.stochastic and key is None:
            raise refuse(where, "key", "a JAX key, because rounding is stochastic", key)
        xp = weights.__array_namespace__()
        rounded = self._rounded if self.stochastic else self._sorted
        released = rounded(weights, values, key)
        return xp.where(xp.isfinite(weights), released, undefined) if traced(weights) else released

    def _sorted(self, weights, values, _):
        return select(weights, self.edges, values)

    def _rounded(self, weights, values, key):
        xp = weights.__array_namespace__()
        between = self.levels[..., 1:-1]
        low = select(weights, between, self.levels[..., :-1])
        high = select(weights, between, self.levels[..., 1:])
        share = (weights - low) / xp.where(high > low, high - low, 1)
        up = xp.asarray(jax.random.uniform(key, weights.shape)) < share
        return xp.where(
            up, select(weights, between, values[..., 1:]), select(weights, between, values[..., :-1])
        )


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


@dataclass(frozen=True, kw_only=True)
class Quantizer(abc.ABC):
    """A rule that fits a grid to one tensor of weights and releases the nearest allowed values.

    A spec: frozen, hashable, numbers and strings only, validated in ``__post_init__``.
    """

    family: ClassVar[str]

    def __post_init__(self):
        check(self)

    @property
    def name(self) -> str:
        """The registry name, e.g. ``"ternary-90"``; ``parse(name)`` gives the spec back."""
        return "-".join([self.family, *written(self)])

    @property
    @abc.abstractmethod
    def num_levels(self) -> float:
        """Number of released values per weight; infinite for full precision."""

    @property
    def num_scales(self) -> int:
        """Numbers fitted to the weights and released in full precision with each tensor (or channel)."""
        return sum(f.metadata["kind"] == "scale" and getattr(self, f.name) == "fit" for f in fields(self))

    @property
    def bits(self) -> float:
        """Bits per weight, scale not counted: of the format, or log2 of its levels; full precision 32."""
        return math.log2(self.num_levels) if math.isfinite(self.num_levels) else 32.0

    def fit(self, weights: Any) -> Grid:
        """Return the grid for one tensor of weights; jit-able and vmap-able.

        Parameters
        ----------
        weights
            Of any shape, not empty; finite floats of any precision, or integers.

        Raises
        ------
        InvalidInput
            Where they are not.
        """
        weights = wide(floats(type(self).__name__, weights))
        if traced(weights):
            xp = weights.__array_namespace__()
            # What cannot be refused shows: every statistic of these weights is NaN.
            weights = xp.where(xp.isfinite(weights).all(), weights, np.nan)
        return self._fit(weights)

    @abc.abstractmethod
    def _fit(self, weights: Any) -> Grid:
        """Return the grid for finite weights in float32 or float64, NumPy or JAX."""

    def __call__(self, weights: Any, *, key: Any = None) -> Any:
        """Fit a grid to ``weights`` and release them on it."""
        return self.fit(weights).apply(weights, key=key)
