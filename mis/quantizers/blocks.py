"""Grids with a scale for every block of so many weights, as files of large models have them."""

import math
from dataclasses import dataclass, field
from typing import Any, ClassVar

import jax
import numpy as np
from scipy import stats

from mis.numerics.checks import UnsupportedSetting, refuse
from mis.quantizers.channels import Channel, Grid, nearest, select
from mis.quantizers.observations import Cell, Observation
from mis.quantizers.weights import floats, traced, wide

__all__ = ["Blocks", "blocked", "edges_between", "inverse"]


@jax.tree_util.register_dataclass
@dataclass(frozen=True, kw_only=True)
class Blocks(Channel):
    """The values of one table, times a scale for each block of weights that lie together.

    A block runs along the inputs of one output, the last axis of the weights, then goes on with the next output: as
    files hold matrices, row by row. The last block of a tensor is filled up with zeros.

    Parameters
    ----------
    table
        Values in ascending order, ``(L,)``, 0 among them.
    edges
        Between them, ``(L - 1,)``, in the unit that weights are rounded in: those of at least ``edges[k]`` of them get
        value k + 1 or later.
    inverses, scales
        Of each block, ``(1, B)``: what weights are multiplied with before they are rounded, and what values are
        multiplied with after it, which is published. They are not quite reciprocal where the scale is rounded too; of
        one sign, or 0.
    threshold
        Weights of smaller magnitude are released as 0; 0 is none.
    size
        Weights in a block.
    """

    is_sharp: ClassVar[bool] = True
    has_free_levels: ClassVar[bool] = False

    table: Any
    edges: Any
    inverses: Any
    scales: Any
    threshold: Any = 0.0
    size: int = field(metadata={"static": True})

    def apply(self, weights: Any, *, key: Any = None) -> Any:  # noqa: ARG002
        return self._release("apply", weights, self.table, self.scales, np.nan)

    def codes(self, weights: Any) -> Any:
        """Return the number in the table of the value that each weight is released as."""
        return self._release("codes", weights, np.arange(len(self.table)), 1, -1)

    def _release(self, asked, weights, values, scales, undefined):
        weights = wide(floats(f"Blocks.{asked}", weights))
        xp, shape = weights.__array_namespace__(), weights.shape
        blocks = blocked(weights, self.size)
        if blocks.shape[1:] != self.inverses.shape[1:]:
            wanted = f"of {self.inverses.shape[1]} blocks of {self.size}"
            raise refuse(f"Blocks.{asked}", "weights", wanted, shape)
        # Not by the rounded weight alone: a pruned one has the code of 0.
        rounded = xp.where(abs(blocks) < self.threshold, 0, blocks * self.inverses)
        released = unblocked(select(rounded, self.edges, values) * scales, shape)
        known = unblocked(xp.isfinite(blocks) & xp.isfinite(self.scales), shape)
        return xp.where(known, released, undefined) if traced(weights) else released

    def observation(self, released: Any) -> Observation:
        xp, shape = released.__array_namespace__(), released.shape
        blocks = blocked(released, self.size)
        code = select(blocks * inverse(self.scales), nearest(self.table).edges, np.arange(len(self.table)))
        ends = xp.asarray([-np.inf, np.inf], dtype=self.edges.dtype)
        sides = xp.concatenate([ends[:1], self.edges, ends[1:]])
        # A block of scale 0 is released as zeros whatever it was.
        known = (self.scales != 0) & (self.inverses != 0)
        unit = xp.where(known, self.inverses, 1)
        one, other = sides[code] / unit, sides[code + 1] / unit
        lower = xp.where(known, xp.minimum(one, other), -xp.inf)
        upper = xp.where(known, xp.maximum(one, other), xp.inf)
        lower = xp.where(blocks == 0, xp.minimum(lower, -self.threshold), lower)
        upper = xp.where(blocks == 0, xp.maximum(upper, self.threshold), upper)
        lower = xp.where(blocks > 0, xp.maximum(lower, self.threshold), lower)
        upper = xp.where(blocks < 0, xp.minimum(upper, -self.threshold), upper)
        return Cell(lower=unblocked(lower, shape), upper=unblocked(upper, shape))

    def edges_of(self, weights: Any) -> np.ndarray:
        """Return the edges of each weight's cells, ``(*shape, L - 1)``."""
        edges = np.asarray(self._grid().edges)
        each = np.broadcast_to(edges.T[:, None], (edges.shape[1], self.size, len(edges)))
        return np.stack([unblocked(one, np.shape(weights)) for one in each], axis=-1)

    def information(self, weights: Any, spread: Any) -> np.ndarray:
        shape = np.shape(weights)
        blocks, spreads = (blocked(np.asarray(x, np.float64), self.size) for x in (weights, spread))
        return unblocked(self._grid().information(blocks, spreads), shape)

    def _grid(self) -> Grid:
        """Return the same with every level of every block written out, in NumPy."""
        inverses, scales = (np.asarray(x, np.float64).T for x in (self.inverses, self.scales))
        known = (scales != 0) & (inverses != 0)
        levels = np.sort(np.asarray(self.table, np.float64) * scales, axis=-1)
        edges = np.sort(np.asarray(self.edges, np.float64) / np.where(known, inverses, 1), axis=-1)
        # Where nothing is told no weight comes to an edge.
        grid = Grid(levels=levels, edges=np.where(known, edges, np.inf))
        return grid.pruned(np.float64(self.threshold)) if self.threshold else grid

    def entropy(self, weights: Any) -> float:
        return float(stats.entropy(np.bincount(np.asarray(self.codes(weights)).ravel()), base=2))

    def pruned(self, threshold: Any) -> "Blocks":
        """Return the same blocks with weights below the threshold as 0."""
        return Blocks(
            table=self.table,
            edges=self.edges,
            inverses=self.inverses,
            scales=self.scales,
            threshold=threshold,
            size=self.size,
        )

    def followed(self, released: Any, slopes: Any) -> Any:  # noqa: ARG002
        raise UnsupportedSetting("Blocks.followed", "levels that move by themselves leave the format.")


def blocked(weights: Any, size: int) -> Any:
    """Return weights by their place in the block and their block, ``(size, B)``, zeros after the last.

    Examples
    --------
    >>> blocked(np.array([[1, 4], [2, 5], [3, 6]]), 4).T
    array([[1, 2, 3, 4],
           [5, 6, 0, 0]])
    """
    xp = weights.__array_namespace__()
    flat = (xp.moveaxis(weights, -1, 0) if weights.ndim else weights).ravel()
    count = -(-len(flat) // size)
    missing = xp.zeros(count * size - len(flat), flat.dtype)
    return xp.concatenate([flat, missing]).reshape(count, size).T


def unblocked(blocks: Any, shape: tuple[int, ...]) -> Any:
    """Undo ``blocked`` for weights of a shape."""
    flat = blocks.T.ravel()[: math.prod(shape)]
    if not shape:
        return flat.reshape(())
    return flat.__array_namespace__().moveaxis(flat.reshape(shape[-1], *shape[:-1]), 0, -1)


def inverse(scales: Any) -> Any:
    """Return the reciprocals of scales; 0 where there is none."""
    xp = scales.__array_namespace__()
    known = abs(scales) >= np.finfo(scales.dtype).tiny
    return xp.where(known, 1 / xp.where(known, scales, 1), 0)


def edges_between(table: Any, dtype: Any, *, ties: str) -> np.ndarray:
    """Return edges midway between values, where weights halfway go to a neighbour by a rule.

    Parameters
    ----------
    table
        Values in ascending order; those of a format, whose midpoints are numbers of any precision.
    dtype
        Of the edges.
    ties
        ``up``, ``away`` from zero, to ``zero``, or to ``even``: that of an even number of values from zero.

    Examples
    --------
    >>> edges_between([-1, 0, 1], np.float64, ties="away") > [-0.5, 0.0]
    array([ True,  True])
    """
    values = np.asarray(table, dtype)
    middles = values[:-1] + (values[1:] - values[:-1]) / 2
    places = np.arange(len(values)) - int(np.flatnonzero(values == 0)[0])
    up = {
        "up": np.full(len(middles), True),
        "away": middles > 0,
        "zero": middles < 0,
        "even": places[1:] % 2 == 0,
    }[ties]
    return np.where(up, middles, np.nextafter(middles, np.asarray(np.inf, dtype)))
