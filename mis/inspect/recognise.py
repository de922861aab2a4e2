"""Which quantizer a tensor was released by, recognised by its levels."""

import math
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import ml_dtypes
import numpy as np

from mis.inspect.blocks import TYPES as GGUF_BLOCKS
from mis.inspect.blocks import blocks
from mis.inspect.coding import Coding, Layout, Levels, chunks, plain, unit_extremes
from mis.inspect.families import FAMILIES, Family, by_levels
from mis.inspect.formats import Tensor
from mis.inspect.integers import integers

__all__ = ["recognise"]

# Most levels of what is called quantized; fewer weights than so many a level tell nothing.
MOST_LEVELS, WEIGHTS_A_LEVEL = 256, 4
# Of the sample that rules out what cannot be, in runs and units: exact, it only ever rules out.
RUNS, RUN, UNITS, WIDEST = 16, 256, 64, 4096
GROUPS = (256, 128, 64, 32, 16)
# Evidence that values fall on levels by no accident, in bits.
EVIDENCE = 40.0
# Share of zeros from which on weights count as pruned.
PRUNED = 0.01
FLOATS = {"float64": 2.0**-53, "float32": 2.0**-24, "float16": 2.0**-11, "bfloat16": 2.0**-8}
BITS = {"float64": 64.0, "float32": 32.0, "float16": 16.0, "bfloat16": 16.0}


def recognise(where: str, tensor: Tensor, companions: dict[str, Tensor]) -> Coding:
    """Return what a tensor was released as, as far as its own values tell.

    Parameters
    ----------
    where
        Who asks, for messages.
    tensor
        Of any kind.
    companions
        What is published with it, by role: ``scale``, ``zero_point``.
    """
    stored = 8 * tensor.num_bytes / max(tensor.size, 1)
    unknown = Coding(tensor=tensor, quantizer="not recognised", bits=math.nan, stored=stored, read=None)
    if tensor.size == 0:
        return replace(unknown, quantizer="empty", bits=0.0)
    if tensor.kind in FLOATS:
        array = tensor.open()
        flat = array.reshape(-1)
        if not _all_finite(flat):
            return replace(unknown, note="NaN or infinite values")
        return _floats(tensor, flat, stored)
    if tensor.kind in GGUF_BLOCKS or tensor.kind.startswith(("IQ", "Q", "TQ")):
        return blocks(where, tensor)
    return integers(tensor, companions, unknown)


def _all_finite(flat: np.ndarray) -> bool:
    return all(bool(np.isfinite(flat[start:stop]).all()) for start, stop in chunks(len(flat)))


def _floats(tensor: Tensor, flat: np.ndarray, stored: float) -> Coding:
    read = plain(flat)
    kind = _narrowest(tensor.kind, flat)
    # Twice the rounding of the type, for a value and its scale, and what computing them adds.
    rounding = 2 * FLOATS[kind] + 8 * min(FLOATS[kind], FLOATS["float32"])
    found = _one_unit(tensor, flat, rounding)
    # The levels of a few rows together look like a codebook.
    if found is None or found[0].startswith("codebook"):
        for layout in _layouts(tensor.shape, tensor.size):
            several = _several_units(flat, layout, rounding)
            if several is not None:
                found = several
                break
    if found is None:
        return _full(tensor, kind, flat, stored, read)
    quantizer, levels, code_bits, numbers = found
    layout = levels.layout
    bits = code_bits + numbers * layout.num_units / tensor.size
    return Coding(
        tensor=tensor,
        quantizer=quantizer,
        per=layout.name,
        bits=bits,
        stored=stored,
        levels=levels,
        read=read,
    )


def _full(tensor: Tensor, kind: str, flat: np.ndarray, stored: float, read: Any) -> Coding:
    """Return what no quantizer was recognised in: the weights as they are, but for zeros."""
    zeros = _count_zeros(flat) / len(flat)
    pruned = zeros >= PRUNED and zeros * len(flat) > 1
    name = kind if kind == tensor.kind else f"{kind} in {tensor.kind}"
    return Coding(
        tensor=tensor,
        quantizer=f"pruned {name}" if pruned else name,
        bits=BITS[kind],
        stored=stored,
        is_full=not pruned,
        is_pruned=pruned,
        read=read,
    )


def _count_zeros(flat: np.ndarray) -> int:
    return len(flat) - sum(int(np.count_nonzero(flat[start:stop])) for start, stop in chunks(len(flat)))


def _narrowest(kind: str, flat: np.ndarray) -> str:
    """Return the shortest type that all values are numbers of: some files hold more digits than the weights have."""
    for fewer in ("bfloat16", "float16", "float32"):
        if BITS[fewer] < BITS[kind]:
            dtype = np.dtype(ml_dtypes.bfloat16 if fewer == "bfloat16" else fewer)
            if all(_survives(flat[start:stop], dtype) for start, stop in ((0, RUN), *chunks(len(flat)))):
                return fewer
    return kind


def _survives(block: np.ndarray, dtype: Any) -> bool:
    with np.errstate(over="ignore"):
        return bool((block.astype(dtype).astype(block.dtype) == block).all())


def _one_unit(tensor: Tensor, flat: np.ndarray, rounding: float) -> tuple[str, Levels, float, float] | None:
    """Return name, levels, bits of a code and of what is published once a unit, where the tensor has few levels."""
    distinct = _distinct(flat)
    if distinct is None:
        return None
    zeros = _count_zeros(flat)
    # Zeros may have been pruned: they are no evidence of levels.
    some = (
        (int(np.count_nonzero(distinct)), tensor.size - zeros)
        if len(distinct) > 3
        else (len(distinct), tensor.size)
    )
    few = some[0] * WEIGHTS_A_LEVEL <= some[1]
    found = by_levels(distinct, rounding, few=few)
    if found is None:
        return None
    if found.name == "ternary":
        found = replace(found, name=f"ternary-{100 * zeros / tensor.size:.0f}")
    offset, scale = np.array([found.offset]), np.array([found.scale])
    levels = Levels(
        layout=Layout.tensor(tensor.size),
        table=found.table,
        parameters=lambda units: (offset[units], scale[units]),
        halfway=found.halfway,
    )
    return found.name, levels, found.code_bits, found.side_bits


def _distinct(flat: np.ndarray) -> np.ndarray | None:
    """Return the distinct values, ascending, float64; None where they are more than a quantizer has."""
    step = max(1, (len(flat) - RUN) // RUNS)
    sample = np.concatenate([flat[start : start + RUN] for start in range(0, len(flat), step)][: RUNS + 1])
    distinct = np.unique(sample.astype(np.float64) + 0.0)
    for start, stop in chunks(len(flat)):
        if len(distinct) > MOST_LEVELS:
            return None
        values = np.unique(flat[start:stop].astype(np.float64) + 0.0)
        distinct = np.union1d(distinct, values)
    return distinct if len(distinct) <= MOST_LEVELS else None


def _layouts(shape: tuple[int, ...], size: int) -> Iterator[Layout]:
    if len(shape) > 1:
        for layout in (Layout.rows(shape), Layout.columns(shape)):
            if layout.width > 1 and layout.num_units > 1:
                yield layout
    yield from (Layout.groups(size, width) for width in GROUPS if size % width == 0 and size > width)


def _several_units(
    flat: np.ndarray, layout: Layout, rounding: float
) -> tuple[str, Levels, float, float] | None:
    """Return the same where each unit of a layout has levels of its own."""
    chosen = np.unique(np.linspace(0, layout.num_units - 1, UNITS).astype(np.int64))
    width = min(layout.width, WIDEST)
    if layout.strided:
        sample = flat.reshape(-1, layout.num_units)[:width, chosen].T
    else:
        sample = flat.reshape(layout.num_units, -1)[chosen, :width]
    sample = np.sort(sample.astype(np.float64), axis=1)
    if np.count_nonzero(np.diff(sample, axis=1), axis=1).max() >= MOST_LEVELS:
        return None
    low, high = sample[:, 0], sample[:, -1]
    candidates = [
        family for family in FAMILIES if width < layout.width or _fits(family, sample, low, high, rounding)
    ]
    if not candidates:
        return None
    low, high = unit_extremes(flat, layout)
    for family in candidates:
        offset, scale = family.parameters(low, high)
        levels = Levels(
            layout=layout,
            table=family.table,
            parameters=lambda units, offset=offset, scale=scale: (offset[units], scale[units]),  # type: ignore[misc]
            halfway=family.halfway,
        )
        tolerance = (
            np.maximum(np.abs(low), np.abs(high)) * rounding / np.where(scale == 0, 1.0, np.abs(scale))
        )
        if tolerance.max() <= family.closest / 4 and _all_fit(flat, levels, tolerance):
            return family.name, levels, family.code_bits, family.side_bits
    return None


def _fits(family: Family, sample: np.ndarray, low: np.ndarray, high: np.ndarray, rounding: float) -> bool:
    """Return whether whole units, sorted, fall on the levels of a family, and by no accident."""
    offset, scale = (x[:, None] for x in family.parameters(low, high))
    x = (sample - offset) / np.where(scale == 0, 1.0, scale)
    tolerance = (
        np.maximum(np.abs(low), np.abs(high))[:, None] * rounding / np.where(scale == 0, 1.0, np.abs(scale))
    )
    if (tolerance > family.closest / 4).any() or not (family.distance(x) <= tolerance).all():
        return False
    # Each further value that is none of the extremes, nor repeats one, had so little room.
    new = np.diff(sample, axis=1) > 0
    surprise = np.log2(family.closest / (2 * np.maximum(tolerance, 2.0**-40)))
    repeated = (~new).sum() * math.log2(1 / (2 * 0.25))
    return float(((new[:, 1:]) * surprise).sum()) + repeated >= EVIDENCE


def _all_fit(flat: np.ndarray, levels: Levels, tolerance: np.ndarray) -> bool:
    for start, stop in chunks(len(flat)):
        x = levels.standardised(flat[start:stop].astype(np.float64), start)
        near = levels.table[levels.codes(flat[start:stop].astype(np.float64), start)]
        unit = levels.layout.unit(np.arange(start, stop))
        single = levels.at(start, stop)[1] == 0
        if not ((np.abs(x - near) <= tolerance[unit]) | single).all():
            return False
    return True
