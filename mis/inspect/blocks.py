"""What a tensor of GGUF blocks was released as.

The package ``gguf`` turns blocks into numbers. The levels of a block are read off the same way: its codes are replaced
by a constant code, so that what comes back is a level, whatever scales of scales the type has.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from mis.inspect.coding import Coding, Layout, Levels
from mis.inspect.formats import Tensor
from mis.inspect.formats.gguf import package

__all__ = ["blocks"]


@dataclass(frozen=True)
class _Type:
    """Where the codes of a type stand, and between which levels.

    ``width`` weights share the levels of ``table``; ``codes`` are the bytes with their codes, from one to another,
    all ``low`` where all weights are at the first level of the table and all ``high`` at its last.
    """

    width: int
    table: Any
    codes: tuple[tuple[int, int], ...]
    low: int = 0x00
    high: int = 0xFF


NORMAL = (-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113)
FP4 = (-12, -8, -6, -4, -3, -2, -1, 0, 1, 2, 3, 4, 6, 8, 12)
TYPES = {
    "Q4_0": _Type(32, range(16), ((2, 18),)),
    "Q4_1": _Type(32, range(16), ((4, 20),)),
    "Q5_0": _Type(32, range(32), ((2, 22),)),
    "Q5_1": _Type(32, range(32), ((4, 24),)),
    "Q8_0": _Type(32, range(256), ((2, 34),), low=0x80, high=0x7F),
    "Q2_K": _Type(16, range(4), ((16, 80),)),
    "Q3_K": _Type(16, range(8), ((0, 96),)),
    "Q4_K": _Type(32, range(16), ((16, 144),)),
    "Q5_K": _Type(32, range(32), ((16, 176),)),
    "Q6_K": _Type(16, range(64), ((0, 192),)),
    "TQ1_0": _Type(256, range(3), ((0, 52),)),
    "TQ2_0": _Type(256, range(3), ((0, 64),), high=0xAA),
    "IQ4_NL": _Type(32, NORMAL, ((2, 18),)),
    "IQ4_XS": _Type(32, NORMAL, ((8, 136),)),
    "MXFP4": _Type(32, FP4, ((1, 17),), low=0xFF, high=0x77),
    "NVFP4": _Type(16, FP4, ((4, 36),), low=0xFF, high=0x77),
}


def blocks(where: str, tensor: Tensor) -> Coding:
    """Return what a tensor of blocks was released as; its values are read when they are asked for."""
    gguf = package(where)
    kind = gguf.GGMLQuantizationType[tensor.kind]
    per_block, _ = gguf.GGML_QUANT_SIZES[kind]
    raw = tensor.open()

    def values(array: np.ndarray) -> np.ndarray:
        # As one row: the package goes through sixteen rows at a time. Scales in half precision may be infinite.
        with np.errstate(all="ignore"):
            return gguf.dequantize(array.reshape(1, -1), kind).reshape(-1)

    known: dict[str, Any] = {"tensor": tensor, "quantizer": tensor.kind}
    known["bits"] = known["stored"] = 8 * tensor.num_bytes / max(tensor.size, 1)
    try:
        values(raw[:1])
    except NotImplementedError:
        return Coding(**known, read=None, note="the package gguf does not decode this type")

    def read(start: int, stop: int) -> np.ndarray:
        first, last = start // per_block, -(-stop // per_block)
        found = values(raw[first:last]).astype(np.float64)
        return found[start - first * per_block : stop - first * per_block]

    found = TYPES.get(tensor.kind)
    if found is None:
        return Coding(**known, read=read, note="codes stand for several weights at once: no cells")
    units = per_block // found.width

    def parameters(asked: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        needed, back = np.unique(asked // units, return_inverse=True)
        ends = []
        for code in (found.low, found.high):
            constant = raw[needed]
            for begin, end in found.codes:
                constant[:, begin:end] = code
            # All weights of a unit are at one level now: the first tells it.
            ends.append(
                values(constant).reshape(-1, units, found.width)[back, asked % units, 0].astype(np.float64)
            )
        first, last = found.table[0], found.table[-1]
        scale = (ends[1] - ends[0]) / (last - first)
        return ends[0] - first * scale, scale

    layout = Layout.groups(tensor.size, found.width)
    levels = Levels(layout=layout, table=np.array(found.table, np.float64), parameters=parameters)
    return Coding(**known, per=layout.name, levels=levels, read=read)
