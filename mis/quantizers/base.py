"""Spec and value: what a quantizer is, and the grid it fits.

To add a quantizer: copy ``sign.py``, write ``fit`` and ``num_levels``; add its family to ``QUANTIZERS`` in
``__init__.py``; add one row to ``CASES`` in ``tests/contracts/test_quantizers.py``. Theory, attacks and rankings then
meet it by themselves.

Ties, once and everywhere: a weight that equals a cell edge belongs to the cell above.
"""

import abc
import math
from dataclasses import dataclass, field
from typing import Any

import jax

__all__ = ["Grid", "Quantizer"]

# Up to here one vectorised comparison per edge is faster than a binary search.
FEW_EDGES = 32


@jax.tree_util.register_dataclass
@dataclass(frozen=True, kw_only=True)
class Grid:
    """The released values of one tensor and the cells that map to them.

    Works on NumPy arrays (in their own precision) and on JAX arrays alike.

    Parameters
    ----------
    levels
        Ascending released values, shape ``(L,)``, or ``(C, L)`` with one row for each of the C channels, the last
        axis of the weights. None releases the weights as they are.
    edges
        Ascending cell edges, shape ``(L - 1,)`` or ``(C, L - 1)``: level k is released on ``[edge_{k-1}, edge_k)``.
        On a stochastic grid the midpoints between levels, where both neighbours are equally likely.
    stochastic
        Whether a weight between two levels goes to the upper one with probability equal to its share of the way.
    """

    levels: Any
    edges: Any
    stochastic: bool = field(default=False, metadata={"static": True})

    def codes(self, weights: Any, *, key: Any = None) -> Any:
        """Return the index of the level that each weight is released as, same shape as ``weights``."""
        xp = weights.__array_namespace__()
        if not self.stochastic:
            return xp.sum(weights[..., None] >= self.edges, axis=-1)
        below = xp.sum(weights[..., None] >= self.levels[..., 1:-1], axis=-1)
        low, high = self._at(xp, below), self._at(xp, below + 1)
        share = (weights - low) / xp.where(high > low, high - low, 1)
        return below + (jax.random.uniform(key, weights.shape, weights.dtype) < share)

    def apply(self, weights: Any, *, key: Any = None) -> Any:
        """Return the released weights; ``key`` (a JAX key) is needed on a stochastic grid only."""
        if self.levels is None:
            return weights
        return self._at(weights.__array_namespace__(), self.codes(weights, key=key))

    def _at(self, xp, codes):
        if self.levels.ndim == 1:
            return self.levels[codes]
        return xp.take_along_axis(self.levels, codes.reshape(-1, codes.shape[-1]).T, axis=1).T.reshape(codes.shape)


@dataclass(frozen=True, kw_only=True)
class Quantizer(abc.ABC):
    """A rule that fits a grid to one tensor of weights and releases the nearest allowed values.

    A spec: frozen, hashable, numbers and strings only, validated in ``__post_init__``.
    """

    @property
    @abc.abstractmethod
    def name(self) -> str:
        """The registry name, e.g. ``"ternary-90"``; ``parse(name)`` gives the spec back."""

    @property
    @abc.abstractmethod
    def num_levels(self) -> float:
        """Number of released values per weight; infinite for full precision."""

    @property
    def bits(self) -> float:
        """Bits per released weight, log2 of the number of levels; the scale is not counted. 32 at full precision."""
        return math.log2(self.num_levels) if math.isfinite(self.num_levels) else 32.0

    @abc.abstractmethod
    def fit(self, weights: Any) -> Grid:
        """Return the grid for one tensor of weights; jit-able and vmap-able."""

    def __call__(self, weights: Any, *, key: Any = None) -> Any:
        """Fit a grid to ``weights`` and release them on it."""
        return self.fit(weights).apply(weights, key=key)
