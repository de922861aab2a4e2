"""What one pass over a tensor tells: zeros, entropy, error, and weights outside their cells."""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from scipy import stats

from mis.inspect.coding import Coding, Levels, chunks

__all__ = ["ROUNDING", "Measured", "against", "measure"]

# Cells whose ends are looked for among the weights.
MOST_CELLS = 2**20
# Share of weights outside their cells up to which the rounding of published scales may explain them.
ROUNDING = 0.01


@dataclass(frozen=True, kw_only=True)
class Measured:
    """Numbers of one tensor; None where they are not known.

    Parameters
    ----------
    zeros
        Share of released weights, or of codes, that are zero.
    entropy
        Of the codes, bits a weight; of weights that are released as they are, the bits of their type.
    error, norm
        Sum of squared errors and of squares of the weights given.
    outside
        Share of the weights given that lie outside the cell halfway to the levels beside the one released.
    """

    zeros: float | None = None
    entropy: float | None = None
    error: float | None = None
    norm: float | None = None
    outside: float | None = None


def measure(coding: Coding) -> tuple[Measured, Coding]:
    """Return what a release tells by itself; where it holds NaN or infinite values, a coding that says so."""
    if coding.read is None or not coding.is_weights:
        return Measured(), coding
    size, levels = coding.tensor.size, coding.levels
    zeros, counts = 0, np.zeros(0 if levels is None else len(levels.table), np.int64)
    for start, stop in chunks(size):
        if coding.is_full:
            # No need of float64 to see a zero.
            zeros += stop - start - int(np.count_nonzero(coding.tensor.open().reshape(-1)[start:stop]))
            continue
        values = coding.read(start, stop)
        if not np.isfinite(values).all():
            return Measured(), replace(coding, read=None, levels=None, note="NaN or infinite values")
        zeros += stop - start - int(np.count_nonzero(values))
        if levels is not None:
            counts += np.bincount(levels.codes(values, start), minlength=len(counts))
    share = zeros / size
    entropy: float | None = None
    if levels is not None:
        entropy = float(stats.entropy(counts, base=2)) + 0.0
    elif coding.is_full:
        entropy = coding.bits
    elif coding.is_pruned:
        entropy = float(stats.entropy([share, 1 - share], base=2)) + coding.bits * (1 - share)
    return Measured(zeros=share, entropy=entropy), coding


def against(
    coding: Coding, measured: Measured, weights: Callable[[int, int], np.ndarray]
) -> tuple[Measured, Coding]:
    """Return the numbers with those that the weights before the release add, and the coding with its cells.

    Cells are taken to end halfway between levels where all weights, or all but as many as the rounding of a published
    scale explains, lie in them; else wherever codes follow the order of the weights, between the outermost weights of
    neighbouring codes; and where they do not, the release has no cells.

    Parameters
    ----------
    coding, measured
        Of the release.
    weights
        Reads them, finite.
    """
    if coding.read is None or not coding.is_scaled or not coding.is_weights:
        return measured, coding
    size, levels = coding.tensor.size, coding.levels
    error = norm = 0.0
    outside, ends = 0, _Ends(levels) if levels is not None else None
    for start, stop in chunks(size):
        released, given = coding.read(start, stop), weights(start, stop)
        error += float(np.sum(np.square(released - given)))
        norm += float(np.sum(np.square(given)))
        if levels is None or ends is None:
            continue
        codes = levels.codes(released, start)
        outside += _count_outside(levels, codes, given, start)
        ends.see(levels.layout.unit(np.arange(start, stop)), codes, given)
    if levels is None or ends is None:
        return replace(measured, error=error, norm=norm), coding
    if len(levels.table) == 1:
        # Released as it is, if the weights given are constant too; else nothing of them passes.
        measured = replace(measured, error=error, norm=norm)
        if error == 0:
            return measured, replace(coding, is_full=True, levels=None, bits=coding.stored)
        return measured, replace(coding, levels=replace(levels, halfway=True))
    share = outside / size
    measured = replace(measured, error=error, norm=norm, outside=share if levels.halfway else None)
    if levels.halfway and share == 0:
        return measured, coding
    edges = ends.edges()
    if edges is not None:
        return measured, replace(coding, levels=replace(levels, halfway=True, edges=edges))
    if levels.halfway and share <= ROUNDING:
        return measured, coding
    said = "its codes do not follow the order of the weights given"
    return measured, replace(
        coding, levels=replace(levels, halfway=False), note="; ".join(filter(None, (coding.note, said)))
    )


def _count_outside(levels: Levels, codes: np.ndarray, given: np.ndarray, start: int) -> int:
    if len(levels.table) < 2:
        return 0
    middles = np.concatenate([[-np.inf], levels.middles, [np.inf]])
    x = levels.standardised(given, start)
    # A weight on an edge belongs to either side, and rounding may move it there.
    slack = 1e-5 * np.maximum(1.0, np.abs(levels.table[codes])) * float(np.diff(levels.table).min())
    return int(np.sum((x < middles[codes] - slack) | (x > middles[codes + 1] + slack)))


class _Ends:
    """The least and the largest weight of each code of each unit, where they are not too many."""

    def __init__(self, levels: Levels):
        self.levels = levels
        self.shape = (levels.layout.num_units, len(levels.table))
        self.kept = math.prod(self.shape) <= MOST_CELLS and len(levels.table) > 1
        if self.kept:
            self.low, self.high = np.full(self.shape, np.inf), np.full(self.shape, -np.inf)

    def see(self, units: np.ndarray, codes: np.ndarray, given: np.ndarray) -> None:
        if self.kept:
            place = units * self.shape[1] + codes
            # Sorted, a cell's weights lie side by side: faster than minimum.at.
            order = np.lexsort((given, place))
            place, given = place[order], given[order]
            first = np.flatnonzero(np.diff(place, prepend=-1))
            last = np.append(first[1:], len(place)) - 1
            low, high = self.low.reshape(-1), self.high.reshape(-1)
            low[place[first]] = np.minimum(low[place[first]], given[first])
            high[place[last]] = np.maximum(high[place[last]], given[last])

    def edges(self) -> np.ndarray | None:
        """Return cell edges that separate the codes of every unit; None where none do."""
        if not self.kept:
            return None
        offset, scale = (x[:, None] for x in self.levels.parameters(np.arange(self.shape[0])))
        if (scale < 0).any():
            return None
        below = np.maximum.accumulate(self.high, axis=1)[:, :-1]
        above = np.minimum.accumulate(self.low[:, ::-1], axis=1)[:, ::-1][:, 1:]
        if (below > above).any():
            return None
        middles = offset + scale * self.levels.middles
        seen = np.isfinite(below) & np.isfinite(above)
        between = np.where(seen, np.where(seen, below, 0.0) / 2 + np.where(seen, above, 0.0) / 2, middles)
        edges = np.where((below < middles) & (middles <= above), middles, between)
        # Beyond all weights an edge stays halfway, unless weights are there: then the level beyond it is no level.
        edges = np.where(np.isfinite(above) | (below < middles), edges, np.inf)
        edges = np.where(np.isfinite(below) | (middles <= above), edges, -np.inf)
        return np.where(scale == 0, np.inf, np.maximum.accumulate(edges, axis=1))
