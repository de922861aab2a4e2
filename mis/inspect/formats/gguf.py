"""Read a ``.gguf`` file.

The header is read here, within bounds: what a stranger's file claims must never be believed before it is checked. The
package ``gguf`` (extra ``formats``) knows the block types; files without blocks are read without it.
"""

import math
from typing import Any

import ml_dtypes
import numpy as np

from mis.inspect.formats.base import Tensor, apart, mapped, shown
from mis.numerics.checks import InvalidInput

__all__ = ["package", "read"]

MAGIC, VERSIONS = b"GGUF", (2, 3)
# Of tensors and of nested arrays of metadata.
MOST_AXES, DEEPEST = 8, 8
# Bytes of metadata values by type; 8 is text and 9 an array.
SCALARS = {0: 1, 1: 1, 2: 2, 3: 2, 4: 4, 5: 4, 6: 4, 7: 1, 10: 8, 11: 8, 12: 8}
TEXT, ARRAY, UINT32 = 8, 9, 4
PLAIN: dict[int, Any] = {
    0: np.dtype("<f4"),
    1: np.dtype("<f2"),
    24: np.dtype("i1"),
    25: np.dtype("<i2"),
    26: np.dtype("<i4"),
    27: np.dtype("<i8"),
    28: np.dtype("<f8"),
    30: np.dtype(ml_dtypes.bfloat16),
}


def package(where: Any) -> Any:
    """Return the package ``gguf``, or say how to get it."""
    try:
        import gguf
    except ImportError:
        raise InvalidInput(
            f'{where}: quantized GGUF blocks need the package gguf: python -m pip install "mis[formats]", or gguf.'
        ) from None
    return gguf


def read(path: Any) -> list[Tensor]:
    """Return the tensors of a ``.gguf`` file.

    Raises
    ------
    InvalidInput
        One line, for a file that is truncated, of another format, or whose header claims what is not there.

    References
    ----------
    the GGUF specification of ggml
    """
    data = mapped(path)
    if bytes(data[:4]) != MAGIC:
        raise InvalidInput(f"{path}: expected a .gguf file, which begins with GGUF, got another format.")
    at = _Cursor(path, data)
    at.skip(4)
    version = at.number(4)
    if version not in VERSIONS:
        raise InvalidInput(
            f"{path}: expected GGUF of version 2 or 3, little-endian, got version {version & 0xFFFFFFFF:#x}."
        )
    num_tensors, num_values = at.number(8), at.number(8)
    alignment = 32
    for _ in range(num_values):
        key, kind = at.text(), at.number(4)
        if key == b"general.alignment" and kind == UINT32:
            alignment = at.number(4)
        else:
            at.value(kind)
    if alignment < 1 or alignment & (alignment - 1):
        raise InvalidInput(f"{path}: expected an alignment that is a power of two, got {alignment}.")
    entries = [_entry(at) for _ in range(num_tensors)]
    begin = -(-at.place // alignment) * alignment
    tensors, spans = [], []
    for name, shape, kind, offset in entries:
        tensor = _tensor(path, data, name, shape, kind, begin + offset)
        tensors.append(tensor)
        spans.append((begin + offset, begin + offset + tensor.num_bytes, name))
    if len({tensor.name for tensor in tensors}) < len(tensors):
        raise InvalidInput(f"{path}: expected names that differ, got one twice.")
    apart(path, spans)
    return tensors


class _Cursor:
    """A place in the header; never beyond the end of the file."""

    def __init__(self, path: Any, data: np.ndarray):
        self.path, self.bytes, self.place = path, memoryview(data), 0  # type: ignore[arg-type]

    def skip(self, length: int) -> int:
        start, self.place = self.place, self.place + length
        if self.place > len(self.bytes):
            raise InvalidInput(
                f"{self.path}: the file is truncated or damaged: its header goes on beyond its {len(self.bytes)} bytes."
            )
        return start

    def number(self, length: int) -> int:
        start = self.skip(length)
        return int.from_bytes(self.bytes[start : start + length], "little")

    def text(self) -> bytes:
        length = self.number(8)
        start = self.skip(length)
        return bytes(self.bytes[start : start + length])

    def value(self, kind: int, depth: int = 0) -> None:
        if kind in SCALARS:
            self.skip(SCALARS[kind])
        elif kind == TEXT:
            self.skip(self.number(8))
        elif kind == ARRAY and depth < DEEPEST:
            of, length = self.number(4), self.number(8)
            if of in SCALARS:
                self.skip(SCALARS[of] * length)
            else:
                for _ in range(length):
                    self.value(of, depth + 1)
        else:
            raise InvalidInput(f"{self.path}: the file is damaged: metadata of type {kind}.")


def _entry(at: _Cursor) -> tuple[str, tuple[int, ...], int, int]:
    name = at.text().decode("utf-8", "replace")
    num_axes = at.number(4)
    if num_axes > MOST_AXES:
        raise InvalidInput(
            f"{at.path}: tensor {shown(name)}: expected at most {MOST_AXES} axes, got {num_axes}."
        )
    shape = tuple(at.number(8) for _ in range(num_axes))[::-1]
    return name, shape, at.number(4), at.number(8)


def _tensor(path: Any, data: np.ndarray, name: str, shape: tuple[int, ...], kind: int, start: int) -> Tensor:
    where = f"{path}: tensor {shown(name)}"
    if kind in PLAIN:
        title, per_block, block_bytes = PLAIN[kind].name, 1, PLAIN[kind].itemsize
    else:
        title, per_block, block_bytes = _block_type(where, kind)
    size = math.prod(shape)
    if per_block > 1 and (not shape or shape[-1] % per_block):
        raise InvalidInput(
            f"{where}: expected rows of whole {title} blocks of {per_block}, got shape {shown(shape)}."
        )
    num_bytes = size // per_block * block_bytes
    if start + num_bytes > len(data):
        raise InvalidInput(
            f"{where}: the file is truncated or damaged: shape {shown(shape)} of {title} ends at byte "
            f"{start + num_bytes} of {len(data)}."
        )
    found = data[start : start + num_bytes]
    found = found.view(PLAIN[kind]).reshape(shape) if kind in PLAIN else found.reshape(-1, block_bytes)
    return Tensor(name=name, shape=shape, kind=title, num_bytes=num_bytes, open=lambda: found)


def _block_type(where: str, kind: int) -> tuple[str, int, int]:
    """Return name, weights and bytes of a type of blocks."""
    gguf = package(where)
    try:
        found = gguf.GGMLQuantizationType(kind)
        return (found.name, *gguf.GGML_QUANT_SIZES[found])
    except (ValueError, KeyError):
        raise InvalidInput(f"{where}: expected a type that is known, got type {kind}.") from None
