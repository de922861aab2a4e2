"""What several releases of one tensor tell together."""

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import permutations

import numpy as np
from scipy import stats

from mis.inspect.coding import Coding, Levels, chunks

__all__ = ["Union", "union"]

# Edges compared at a time.
COMPARED = 2**22
# Of two edges that are one, relative to the largest edge: what float32 leaves of them.
ROUNDING = 4 * 2.0**-24


@dataclass(frozen=True, kw_only=True)
class Union:
    """What several releases of one tensor tell together.

    Parameters
    ----------
    inside
        For each ordered pair of releases whether each cell of the first lies inside a cell of the second, which then
        tells nothing that the first does not; None where the cells are not known.
    entropy
        Of the codes together, bits a weight; None where they are not known.
    apart
        Share of weights whose cells do not meet: those two were not released from one weight.
    """

    inside: dict[tuple[int, int], bool | None]
    entropy: float | None
    apart: float | None


def union(codings: Sequence[Coding]) -> Union:
    """Return what releases of one tensor, two or more, tell together.

    Cells are compared by their edges. Where these are not halfway between levels, and so not known exactly, by codes:
    the second is a function of the first on all weights of this tensor.
    """
    counts = _joint_codes(codings)
    inside = {
        (i, j): _inside(codings[i], codings[j], i, j, counts) for i, j in permutations(range(len(codings)), 2)
    }
    full = [coding.bits for coding in codings if coding.is_full]
    entropy = float(stats.entropy(list(counts.values()), base=2)) + 0.0 if counts else None
    return Union(inside=inside, entropy=max(full) if full else entropy, apart=_apart(codings))


def _joint_codes(codings: Sequence[Coding]) -> Counter:
    """Return how often each tuple of codes comes; empty where a release has none."""
    levels = [coding.levels for coding in codings]
    if any(one is None for one in levels) or math.prod(len(one.table) for one in levels if one) >= 2**62:
        return Counter()
    sizes = [len(one.table) for one in levels if one]
    counts: Counter = Counter()
    for start, stop in chunks(codings[0].tensor.size):
        joint = np.zeros(stop - start, np.int64)
        for coding, size in zip(codings, sizes, strict=True):
            joint = joint * size + coding.levels.codes(coding.read(start, stop), start)  # type: ignore[union-attr,misc]
        for code, count in zip(*np.unique(joint, return_counts=True), strict=True):
            counts[tuple(int(x) for x in np.unravel_index(code, sizes))] += int(count)
    return counts


def _inside(one: Coding, other: Coding, i: int, j: int, counts: Counter) -> bool | None:
    if other.is_full:
        return one.is_full and one.bits >= other.bits and _same_values(one, other)
    if one.levels is not None and other.levels is not None:
        exact = all(levels.halfway and levels.edges is None for levels in (one.levels, other.levels))
        if exact and one.is_scaled and other.is_scaled:
            return _edges_inside(one.levels, other.levels, one.tensor.size)
        if counts and one.levels.layout.num_units == other.levels.layout.num_units == 1:
            pairs = {(codes[i], codes[j]) for codes in counts}
            return len(pairs) == len({code for code, _ in pairs})
        return None
    if one.is_full and other.levels is not None and other.levels.halfway and other.is_scaled:
        return _releases(other, one)
    return None


def _same_values(one: Coding, other: Coding) -> bool:
    """Return whether the second holds the rounded values of the first: a full release inside one of fewer digits."""
    import ml_dtypes

    kind = other.quantizer.partition(" ")[0]
    dtype = np.dtype(ml_dtypes.bfloat16 if kind == "bfloat16" else kind)
    with np.errstate(over="ignore"):
        return all(
            bool((one.read(a, b).astype(dtype).astype(np.float64) == other.read(a, b)).all())  # type: ignore[misc]
            for a, b in chunks(one.tensor.size)
        )


def _releases(coding: Coding, full: Coding) -> bool:
    """Return whether a release is that of these weights, by its own cells."""
    from mis.inspect.measure import Measured, against

    found, _ = against(coding, Measured(), full.read)  # type: ignore[arg-type]
    return found.outside == 0


def _edges_inside(one: Levels, other: Levels, size: int) -> bool:
    """Return whether each edge of the second is an edge of the first, wherever they share a weight."""
    if len(other.table) < 2:
        return True
    for start, stop in chunks(size):
        place = np.arange(start, stop)
        pairs = np.unique(np.stack([one.layout.unit(place), other.layout.unit(place)]), axis=1)
        step = max(1, COMPARED // (len(one.table) * len(other.table)))
        for first in range(0, pairs.shape[1], step):
            mine, theirs = (
                x.edges_of(units[first : first + step]) for x, units in zip((one, other), pairs, strict=True)
            )
            if not _contained(theirs, mine):
                return False
    return True


def _contained(edges: np.ndarray, among: np.ndarray) -> bool:
    """Return whether each finite edge is one of a row of others, but for rounding."""
    finite = np.isfinite(edges)
    if not finite.any():
        return True
    largest = np.abs(np.where(finite, edges, 0.0)).max(axis=1, keepdims=True)
    if among.shape[1] == 0:
        return False
    with np.errstate(invalid="ignore"):
        away = np.abs(edges[:, :, None] - among[:, None, :])
    nearest = np.where(np.isnan(away), np.inf, away).min(axis=2)
    return bool((~finite | (nearest <= ROUNDING * largest)).all())


def _apart(codings: Sequence[Coding]) -> float | None:
    known = [
        coding
        for coding in codings
        if coding.is_scaled and coding.levels is not None and coding.levels.halfway
    ]
    if len(known) < 2:
        return None
    size, count = codings[0].tensor.size, 0
    for start, stop in chunks(size):
        low, high = np.full(stop - start, -np.inf), np.full(stop - start, np.inf)
        for coding in known:
            below, above = _cell(coding, start, stop)
            low, high = np.maximum(low, below), np.minimum(high, above)
        count += int(np.sum(low > high + ROUNDING * np.abs(high)))
    return count / size


def _cell(coding: Coding, start: int, stop: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the ends of the cell that each weight was released as."""
    levels, released = coding.levels, coding.read(start, stop)  # type: ignore[misc]
    codes = levels.codes(released, start)  # type: ignore[union-attr]
    if levels.edges is not None:  # type: ignore[union-attr]
        ends = np.pad(levels.edges, ((0, 0), (1, 1)), constant_values=np.inf)  # type: ignore[union-attr]
        ends[:, 0] = -np.inf
        units = levels.layout.unit(np.arange(start, stop))  # type: ignore[union-attr]
        return ends[units, codes], ends[units, codes + 1]
    offset, scale = levels.at(start, stop)  # type: ignore[union-attr]
    middles = np.concatenate([[-np.inf], levels.middles, [np.inf]])  # type: ignore[union-attr]
    single = scale == 0
    with np.errstate(invalid="ignore"):
        one, other = (np.where(single, offset, offset + scale * middles[codes + k]) for k in (0, 1))
    low, high = np.minimum(one, other), np.maximum(one, other)
    return np.where(single, -np.inf, low), np.where(single, np.inf, high)
