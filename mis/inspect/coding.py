"""What one tensor was released as, and the cells that its codes stand for.

Weights that share their levels are a unit: the tensor, a row, a column, or so many weights in a row (a group). The
levels of unit u are ``offset[u] + scale[u] * table``: one table a tensor, two numbers a unit.
"""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from mis.inspect.formats import Tensor
from mis.quantizers.channels import nearest

__all__ = ["CHUNK", "Coding", "Layout", "Levels", "chunks", "plain", "unit_extremes"]

# Weights held at a time, in float64: a multiple of every block size.
CHUNK = 2**19


@dataclass(frozen=True, kw_only=True)
class Layout:
    """Which weights of a tensor share a unit, by their place in it (slowest axis first).

    Parameters
    ----------
    name
        ``tensor``, ``row``, ``column`` or ``group of N``.
    num_units
        U.
    width
        Weights a unit.
    strided
        Whether a unit is a column; else it is so many weights in a row.

    Examples
    --------
    >>> Layout.columns((2, 3)).unit(np.arange(6)), Layout.rows((2, 3)).unit(np.arange(6))
    (array([0, 1, 2, 0, 1, 2]), array([0, 0, 0, 1, 1, 1]))
    """

    name: str
    num_units: int
    width: int
    strided: bool = False

    @classmethod
    def tensor(cls, size: int) -> "Layout":
        return cls(name="tensor", num_units=1, width=size)

    @classmethod
    def rows(cls, shape: tuple[int, ...]) -> "Layout":
        return cls(name="row", num_units=shape[0], width=math.prod(shape[1:]))

    @classmethod
    def columns(cls, shape: tuple[int, ...]) -> "Layout":
        return cls(name="column", num_units=shape[-1], width=math.prod(shape[:-1]), strided=True)

    @classmethod
    def groups(cls, size: int, width: int) -> "Layout":
        return cls(name=f"group of {width}", num_units=size // width, width=width)

    def unit(self, place: np.ndarray) -> np.ndarray:
        """Return the unit of each place."""
        return place % self.num_units if self.strided else place // self.width


@dataclass(frozen=True, kw_only=True)
class Levels:
    """Levels of every unit of a tensor.

    Parameters
    ----------
    layout
        Which weights share a unit.
    table
        Ascending, ``(L,)``.
    parameters
        Offset and scale of units, each of the shape of their numbers; a scale of 0 is one level.
    halfway
        Whether cells may be taken to end halfway between levels: the nearest level is released.
    edges
        Cell edges of each unit, ``(U, L - 1)``, where they are known otherwise.
    """

    layout: Layout
    table: np.ndarray
    parameters: Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]
    halfway: bool = True
    edges: np.ndarray | None = None

    @property
    def middles(self) -> np.ndarray:
        """Halfway between neighbours of the table."""
        return nearest(np.asarray(self.table, np.float64)).edges

    def at(self, start: int, stop: int) -> tuple[np.ndarray, np.ndarray]:
        """Return offset and scale of each weight from ``start`` to ``stop``."""
        layout = self.layout
        if layout.num_units == 1:
            return self.parameters(np.zeros(1, np.int64))
        first, last = (
            (0, layout.num_units - 1)
            if layout.strided
            else (start // layout.width, (stop - 1) // layout.width)
        )
        offset, scale = self.parameters(np.arange(first, last + 1))
        unit = layout.unit(np.arange(start, stop)) - first
        return offset[unit], scale[unit]

    def standardised(self, values: np.ndarray, start: int) -> np.ndarray:
        """Return values from place ``start`` on in units of the table; 0 where a unit has one level."""
        offset, scale = self.at(start, start + len(values))
        single = scale == 0
        return np.where(single, 0.0, (values - offset) / np.where(single, 1.0, scale))

    def codes(self, values: np.ndarray, start: int) -> np.ndarray:
        """Return the index in the table of the level nearest to each value, from place ``start`` on."""
        x = self.standardised(values, start)
        if len(self.table) > 1 and np.array_equal(self.table, np.arange(len(self.table)) + self.table[0]):
            return np.clip(np.rint(x - self.table[0]), 0, len(self.table) - 1).astype(np.int64)
        return np.searchsorted(self.middles, x, side="right")

    def edges_of(self, units: np.ndarray) -> np.ndarray:
        """Return the cell edges of units, ascending, ``(len(units), L - 1)``; infinite where a unit has one level."""
        if self.edges is not None:
            return self.edges[units]
        offset, scale = (x[:, None] for x in self.parameters(units))
        return np.where(scale == 0, np.inf, np.sort(offset + scale * self.middles, axis=1))


@dataclass(frozen=True, kw_only=True)
class Coding:
    """What one tensor was released as.

    Parameters
    ----------
    tensor
        It.
    quantizer
        Name of what was recognised, in words of `mis.quantizers` where it has them.
    per
        Which weights share a scale; empty where there is none.
    bits
        Least bits a weight that publish the same: of its code, with scales, zero points and codebooks; NaN where
        unknown.
    stored
        Bits a weight that the file spends, with those.
    is_full
        Whether the weights are released as they are, but for rounding in their type.
    is_pruned
        The same, but for those that are exactly zero.
    is_weights
        Whether it is counted: not where it holds indices, text, or codes in a packing that is not decoded.
    is_scaled
        Whether released values are known, not only up to scales that the file lacks.
    levels
        Of its units; None at full precision, or where weights have no cells of their own.
    read
        Released values from one place to another, float64; None where the file does not tell them.
    note
        What else is to be said.
    """

    tensor: Tensor
    quantizer: str
    per: str = ""
    bits: float
    stored: float
    is_full: bool = False
    is_pruned: bool = False
    is_weights: bool = True
    is_scaled: bool = True
    levels: Levels | None = None
    read: Callable[[int, int], np.ndarray] | None
    note: str = ""


def chunks(size: int) -> Iterator[tuple[int, int]]:
    """Return the places where blocks of a tensor begin and end."""
    return ((start, min(start + CHUNK, size)) for start in range(0, size, CHUNK))


def plain(array: np.ndarray) -> Callable[[int, int], np.ndarray]:
    """Return a reader of an array's values, float64."""
    flat = array.reshape(-1)
    return lambda start, stop: flat[start:stop].astype(np.float64)


def unit_extremes(flat: Any, layout: Layout) -> tuple[np.ndarray, np.ndarray]:
    """Return the least and the largest value of each unit of a flat array, ``(U,)`` each, float64."""
    low, high = np.full(layout.num_units, np.inf), np.full(layout.num_units, -np.inf)
    if layout.strided:
        rows = max(1, CHUNK // layout.num_units)
        for start in range(0, layout.width, rows):
            block = flat[start * layout.num_units : (start + rows) * layout.num_units]
            block = block.reshape(-1, layout.num_units).astype(np.float64)
            low, high = np.minimum(low, block.min(axis=0)), np.maximum(high, block.max(axis=0))
        return low, high
    for start, stop in chunks(len(flat)):
        block = flat[start:stop].astype(np.float64)
        first = start // layout.width
        # Where units begin within the block; the first may have begun before.
        begin = np.maximum(np.arange(first, (stop - 1) // layout.width + 1) * layout.width - start, 0)
        units = slice(first, first + len(begin))
        low[units] = np.minimum(low[units], np.minimum.reduceat(block, begin))
        high[units] = np.maximum(high[units], np.maximum.reduceat(block, begin))
    return low, high
