"""The grids that are looked for, their levels up to an offset and a scale.

To add one: a ``Family`` in ``_families``; a row in ``tests/inspect/test_recognise.py``.
"""

import math
from dataclasses import dataclass

import ml_dtypes
import numpy as np

from mis.quantizers.floats import levels_of
from mis.quantizers.nf4 import LEVELS as NORMAL_FLOAT

__all__ = ["FAMILIES", "Family", "Found", "by_levels"]

SCALE_BITS = 32.0
# Least evidence in bits that distinct values are on a grid by no accident: some twenty are tried.
EVIDENCE = 16.0


@dataclass(frozen=True, kw_only=True)
class Family:
    """A grid whose offset and scale follow from the least and the largest weight.

    Parameters
    ----------
    name
        Of `mis.quantizers` where it has one.
    table
        Levels, ascending.
    anchor
        ``largest``: the largest magnitude is at the largest magnitude of the table, at the same sign if the table is
        lopsided; ``both``: the least weight is at its first level and the largest at its last.
    code_bits, side_bits
        Bits of a code, and of what is published once a unit.
    halfway
        Whether the nearest level is released.
    """

    name: str
    table: np.ndarray
    anchor: str
    code_bits: float
    side_bits: float = SCALE_BITS
    halfway: bool = True

    @property
    def closest(self) -> float:
        """Least distance of two levels."""
        return float(np.diff(self.table).min())

    def parameters(self, low: np.ndarray, high: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return offset and scale of units from their least and largest weights."""
        if self.anchor == "both":
            scale = (high - low) / (self.table[-1] - self.table[0])
            return low - self.table[0] * scale, scale
        largest = np.where(np.abs(low) >= np.abs(high), low, high)
        scale = np.abs(largest) / np.abs(self.table).max()
        lopsided = -self.table[0] != self.table[-1]
        # The largest magnitude of a lopsided table is its first level, negative.
        return np.zeros_like(scale), np.where(largest > 0, -scale, scale) if lopsided else scale

    def distance(self, x: np.ndarray) -> np.ndarray:
        """Return the distance of numbers from the nearest level."""
        place = np.clip(np.searchsorted(self.table, x), 1, len(self.table) - 1)
        return np.minimum(np.abs(x - self.table[place - 1]), np.abs(self.table[place] - x))


def _families() -> tuple[Family, ...]:
    def symmetric(bits):
        m = 2 ** (bits - 1) - 1
        return Family(name=f"uniform-{bits}", table=np.arange(-m, m + 1.0), anchor="largest",
                      code_bits=math.log2(2 * m + 1))  # fmt: skip

    def two_complement(bits):
        m = 2.0 ** (bits - 1)
        return Family(
            name=f"uniform-{bits}-asymmetric", table=np.arange(-m, m), anchor="largest", code_bits=bits
        )

    def affine(bits):
        return Family(name=f"uniform-{bits}-asymmetric", table=np.arange(2.0**bits), anchor="both",
                      code_bits=bits, side_bits=SCALE_BITS + bits)  # fmt: skip

    few = (
        Family(name="sign", table=np.array([-1.0, 1.0]), anchor="largest", code_bits=1.0),
        # The threshold does not show in the levels.
        Family(name="ternary", table=np.array([-1.0, 0.0, 1.0]), anchor="largest", code_bits=math.log2(3),
               halfway=False),
    )  # fmt: skip
    floats = (
        Family(name="nf4", table=np.array(NORMAL_FLOAT), anchor="largest", code_bits=4.0),
        Family(
            name="fp4-e2m1", table=6 * levels_of(ml_dtypes.float4_e2m1fn), anchor="largest", code_bits=4.0
        ),
        Family(
            name="fp8-e4m3", table=448 * levels_of(ml_dtypes.float8_e4m3fn), anchor="largest", code_bits=8.0
        ),
    )
    uniform = [make(bits) for bits in range(2, 9) for make in (symmetric, two_complement, affine) if bits > 2 or
               make is not symmetric]  # fmt: skip
    # A coarse grid is part of a finer one, fp4 of uniform-5: fewer levels first.
    return tuple(sorted((*few, *uniform, *floats), key=lambda family: len(family.table)))


FAMILIES = _families()


@dataclass(frozen=True, kw_only=True)
class Found:
    """The grid of one unit: levels ``offset + scale * table``."""

    name: str
    table: np.ndarray
    code_bits: float
    offset: float = 0.0
    scale: float = 1.0
    side_bits: float = SCALE_BITS
    halfway: bool = True


def by_levels(distinct: np.ndarray, rounding: float, *, few: bool) -> Found | None:
    """Return the grid that a tensor's distinct values, ascending, belong to; None where none is seen.

    Parameters
    ----------
    distinct
        At most 256.
    rounding
        Relative error of a value.
    few
        Whether there are many weights for each of them, so that whatever they are they are levels.
    """
    top = float(np.abs(distinct).max())
    if len(distinct) == 1:
        return Found(name="constant", table=distinct, code_bits=0.0, halfway=False)
    if len(distinct) == 2 and few and -distinct[0] == distinct[1]:
        return Found(name="sign", table=np.array([-1.0, 1.0]), scale=top, code_bits=1.0)
    if len(distinct) == 3 and few and distinct[1] == 0 and -distinct[0] == distinct[2]:
        table = np.array([-1.0, 0.0, 1.0])
        return Found(name="ternary", table=table, scale=top, code_bits=math.log2(3), halfway=False)
    seen = [look(distinct, top, rounding) for look in (_powers, _evenly_spaced, _scaled)]
    grids = [found for found in seen if found is not None]
    # A coarse grid is part of a finer one, fp4 of uniform-5: the one of fewest levels.
    if grids and (few or len(distinct) >= 8):
        return min(grids, key=lambda found: len(found.table))
    if few:
        count = len(distinct)
        return Found(name=f"codebook-{count}", table=distinct, code_bits=math.log2(count),
                     side_bits=SCALE_BITS * count)  # fmt: skip
    return None


def _powers(distinct: np.ndarray, top: float, rounding: float) -> Found | None:  # noqa: ARG001
    mantissa, exponent = np.frexp(np.abs(distinct[distinct != 0]))
    span = int(exponent.max() - exponent.min())
    # Three powers at least: 0, 1, 2 and 4 are evenly spaced but for 3.
    if (mantissa != 0.5).any() or len(np.unique(exponent)) < 3 or span > 30:
        return None
    bits = max(2, math.ceil(math.log2(span + 2)) + 1)
    powers = 2.0 ** np.arange(-(2 ** (bits - 1) - 2), 1)
    table = np.concatenate([-powers[::-1], [0.0], powers])
    # Fitted is an exponent, of eight bits.
    return Found(
        name=f"power-of-two-{bits}", table=table, scale=top, code_bits=math.log2(len(table)), side_bits=8.0
    )


def _evenly_spaced(distinct: np.ndarray, top: float, rounding: float) -> Found | None:
    if len(distinct) < 3:
        return None
    span, gap = float(distinct[-1] - distinct[0]), float(np.diff(distinct).min())
    # By the least gap, which rounding may have moved, or with the ends of the grid at both ends or at the largest.
    steps = [gap / part for part in (1, 2, 3)]
    for bits in range(2, 9):
        steps += [top / (2 ** (bits - 1) - 1), span / (2**bits - 1)]
    for step in steps:
        count = round(span / step)
        if not 2 <= count < 256 or 2 * top * rounding * count > span / 4:
            continue
        # Rounding of a gap spreads over all steps: the span tells the step.
        step = span / count
        tolerance = 2 * top * rounding / step
        x = (distinct - distinct[0]) / step
        evidence = (len(distinct) - 2) * -math.log2(2 * tolerance)
        if evidence >= EVIDENCE and (np.abs(x - np.rint(x)) <= tolerance).all():
            return _uniform(distinct, step, count + 1, tolerance)
    return None


def _uniform(distinct: np.ndarray, step: float, num_levels: int, tolerance: float) -> Found:
    zero, largest = -distinct[0] / step, round(float(np.abs(distinct).max()) / step)
    has_zero = abs(zero - round(zero)) <= tolerance
    bits = math.ceil(math.log2(num_levels))
    # An affine grid is fitted to both ends, hence full; of a symmetric one its ends may not be seen.
    if has_zero and 0 < round(zero) < num_levels - 1 and num_levels != 2**bits and largest < 128:
        bits = math.ceil(math.log2(largest + 1)) + 1
        m = 2 ** (bits - 1) - 1
        return Found(
            name=f"uniform-{bits}", table=np.arange(-m, m + 1.0), scale=step, code_bits=math.log2(2 * m + 1)
        )
    offset = -round(zero) * step if has_zero else float(distinct[0])
    return Found(name=f"uniform-{bits}-asymmetric", table=np.arange(float(num_levels)), offset=offset, scale=step,
                 code_bits=bits, side_bits=SCALE_BITS + bits)  # fmt: skip


def _scaled(distinct: np.ndarray, top: float, rounding: float) -> Found | None:
    for family in FAMILIES:
        tolerance = rounding * family.table[-1]
        if not family.name.startswith(("nf", "fp")) or tolerance > family.closest / 4:
            continue
        scale = top / family.table[-1]
        evidence = (len(distinct) - 1) * math.log2(family.closest / (2 * tolerance))
        if evidence >= EVIDENCE and (family.distance(distinct / scale) <= tolerance).all():
            return Found(name=family.name, table=family.table, scale=scale, code_bits=family.code_bits)
    return None
