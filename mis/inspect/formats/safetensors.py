"""Read a ``.safetensors`` file.

Eight bytes with the length of a header, a header in JSON, and the numbers: NumPy maps them as they lie. The package of
that name would add a dependency and refuse no file that this refuses not.
"""

import json
import math
from typing import Any

import ml_dtypes
import numpy as np

from mis.inspect.formats.base import Tensor, apart, mapped, shown, whole_number
from mis.numerics.checks import InvalidInput

__all__ = ["read"]

# As the format's own library has it.
LONGEST_HEADER = 100_000_000

DTYPES: dict[str, Any] = {
    "BOOL": np.bool_,
    **{f"{sign}{bits}": np.dtype(f"<{sign.lower()}{bits // 8}") for sign in "IU" for bits in (8, 16, 32, 64)},
    **{f"F{bits}": np.dtype(f"<f{bits // 8}") for bits in (16, 32, 64)},
    "BF16": ml_dtypes.bfloat16,
    "F8_E4M3": ml_dtypes.float8_e4m3fn,
    "F8_E5M2": ml_dtypes.float8_e5m2,
    "F8_E8M0": ml_dtypes.float8_e8m0fnu,
    "C64": np.dtype("<c8"),
}
# Packed several to a byte: bits each; listed, not decoded.
PACKED = {"F4": 4, "F6_E2M3": 6, "F6_E3M2": 6}


def read(path: Any) -> list[Tensor]:
    """Return the tensors of a ``.safetensors`` file in the order in which they lie.

    Raises
    ------
    InvalidInput
        One line, for a file that is truncated, of another format, or whose header claims what is not there.

    References
    ----------
    https://huggingface.co/docs/safetensors: the header indexes all of the bytes, without holes.
    """
    data = mapped(path)
    header, body = _header(path, data)
    tensors, spans = [], []
    for name, entry in header.items():
        if name == "__metadata__":
            continue
        tensor, start, stop = _tensor(path, name, entry, data, body)
        tensors.append((start, tensor))
        spans.append((start, stop, name))
    apart(path, spans)
    claimed, there = sum(stop - start for start, stop, _ in spans), len(data) - body
    if claimed != there:
        raise InvalidInput(
            f"{path}: expected tensors that fill its {there} bytes, got {claimed} bytes of them."
        )
    return [tensor for _, tensor in sorted(tensors, key=lambda pair: pair[0])]


def _header(path: Any, data: np.ndarray) -> tuple[dict[str, Any], int]:
    """Return the header and where the numbers begin."""
    foreign = InvalidInput(
        f"{path}: expected a .safetensors file, which begins with the length of a JSON header, got another format."
    )
    if len(data) < 10:
        raise foreign
    length = int.from_bytes(data[:8].tobytes(), "little")
    if bytes(data[8:9]) != b"{":
        raise foreign
    if length > min(len(data) - 8, LONGEST_HEADER):
        raise InvalidInput(
            f"{path}: the file is truncated or damaged: a header of {length} bytes in a file of {len(data)}."
        )
    try:
        header = json.loads(data[8 : 8 + length].tobytes().decode("utf-8"), object_pairs_hook=_no_duplicates)
    except (ValueError, RecursionError) as error:
        raise InvalidInput(f"{path}: its header is damaged: {shown(error) or 'no JSON'}.") from None
    if not isinstance(header, dict):
        raise foreign
    return header, 8 + length


def _no_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a name stands there twice")
    return found


def _tensor(path: Any, name: str, entry: Any, data: np.ndarray, body: int) -> tuple[Tensor, int, int]:
    where = f"{path}: tensor {shown(name)}"
    if not isinstance(entry, dict) or not {"dtype", "shape", "data_offsets"} <= set(entry):
        raise InvalidInput(f"{where}: expected dtype, shape and data_offsets in the header.")
    kind, shape, offsets = entry["dtype"], entry["shape"], entry["data_offsets"]
    if not isinstance(kind, str) or kind not in {*DTYPES, *PACKED}:
        raise InvalidInput(f"{where}: expected a dtype that is known, got {shown(kind)}.")
    if not isinstance(shape, list) or len(shape) > 32 or not all(map(whole_number, shape)):
        raise InvalidInput(f"{where}: expected a shape of integers >= 0, got {shown(shape)}.")
    if not isinstance(offsets, list) or len(offsets) != 2 or not all(map(whole_number, offsets)):
        raise InvalidInput(f"{where}: expected two data_offsets, got {shown(offsets)}.")
    start, stop = offsets
    if not start <= stop <= len(data) - body:
        raise InvalidInput(
            f"{where}: the file is truncated or damaged: bytes {shown(start)} to {shown(stop)} of {len(data) - body}."
        )
    bits = PACKED[kind] if kind in PACKED else 8 * np.dtype(DTYPES[kind]).itemsize
    if math.prod(shape) * bits != 8 * (stop - start):
        raise InvalidInput(f"{where}: shape {shown(shape)} of {kind} does not fit its {stop - start} bytes.")
    found = data[body + start : body + stop]
    if kind in DTYPES:
        found = found.view(DTYPES[kind]).reshape(shape)
    tensor = Tensor(
        name=name,
        shape=tuple(shape),
        kind=found.dtype.name if kind in DTYPES else kind,
        num_bytes=stop - start,
        open=lambda: found,
    )
    return tensor, start, stop
