"""Codes with scales published beside them, found by their names."""

from dataclasses import replace
from typing import Any

import numpy as np

from mis.inspect.coding import Coding, Layout, Levels
from mis.inspect.formats import Tensor
from mis.quantizers.floats import levels_of

__all__ = ["companions", "integers"]

# What follows the name of a tensor, or its name less ".weight", by role.
SCALES = ("_scale", "_scales", ".scale", ".scales", ".weight_scale", ".SCB")
ZERO_POINTS = ("_zero_point", "_zero_points", ".zero_point", ".zero_points", ".weight_zero_point")
# Of bitsandbytes: the largest magnitude, at code 127.
LARGEST, LARGEST_CODE = ".SCB", 127.0
# Beside codes of which several share a number: of bitsandbytes, GPTQ, AWQ.
PACKING = (".absmax", ".quant_map", ".qzeros", ".g_idx")
PACKED_IN = {"int32", "uint8", "int8"}
CODES = {"int8", "uint8", "float8_e4m3fn", "float8_e5m2"}


def companions(tensors: dict[str, Tensor]) -> dict[str, dict[str, Tensor]]:
    """Return what is published beside each tensor of codes, by role.

    Examples
    --------
    >>> tensors = {n: Tensor(name=n, shape=(4,), kind=k, num_bytes=4, open=None)
    ...            for n, k in (("a.weight", "int8"), ("a.weight_scale", "float32"), ("b", "float32"))}
    >>> {name: sorted(found) for name, found in companions(tensors).items()}
    {'a.weight': ['scale']}
    """
    found: dict[str, dict[str, Tensor]] = {}
    for name, tensor in tensors.items():
        stems = (name, name.removesuffix(".weight"), name.removesuffix(".qweight"))
        packing = [tensors[stem + ending] for stem in stems for ending in PACKING if stem + ending in tensors]
        if tensor.kind in PACKED_IN and packing and not any(name.endswith(ending) for ending in PACKING):
            found[name] = {"packing": packing[0]}
            continue
        if tensor.kind not in CODES:
            continue
        roles = {}
        for role, endings in (("scale", SCALES), ("zero_point", ZERO_POINTS)):
            names = [stem + ending for stem in (name, name.removesuffix(".weight")) for ending in endings]
            beside = next((tensors[other] for other in names if other in tensors and other != name), None)
            if beside is not None:
                roles[role] = beside
        if roles:
            found[name] = roles
    return found


def integers(tensor: Tensor, beside: dict[str, Tensor], unknown: Coding) -> Coding:
    """Return what codes were released as: levels where scales of a shape that fits stand beside them."""
    if "packing" in beside:
        return replace(
            unknown, quantizer="packed codes", is_weights=False, note="several share a number: not decoded"
        )
    if tensor.kind not in CODES:
        packed = tensor.kind.startswith(("int", "uint"))
        note = "indices, or codes that are packed" if packed else "not decoded"
        return replace(unknown, quantizer=tensor.kind, is_weights=False, note=note)
    size = tensor.size
    side = sum(8 * other.num_bytes for other in beside.values()) / size
    stored = unknown.stored + side
    table = _table(tensor.kind)
    if "scale" not in beside:
        # Levels in units of a step that the file does not tell: codes, but no values.
        layout = Layout.tensor(size)
        one, zero = np.ones(1), np.zeros(1)
        levels = Levels(layout=layout, table=table, parameters=lambda units: (zero[units], one[units]))
        return replace(unknown, quantizer=_title(tensor.kind), bits=stored, stored=stored, levels=levels,
                       is_scaled=False,
                       read=_reader(tensor.open(), None), note="no scales beside it")  # fmt: skip
    scale = beside["scale"]
    fitting = _layout(tensor.shape, scale.shape)
    if fitting is None:
        return replace(unknown, quantizer=_title(tensor.kind), bits=stored, stored=stored,
                       note=f"scales of shape {scale.shape} that do not fit {tensor.shape}")  # fmt: skip
    scales = scale.open().reshape(-1).astype(np.float64)
    if scale.name.endswith(LARGEST):
        scales = scales / LARGEST_CODE
    zero_points = np.zeros(1)
    if "zero_point" in beside:
        zero_points = beside["zero_point"].open().reshape(-1).astype(np.float64)
    if len(zero_points) not in (1, len(scales)) or not np.isfinite(scales).all():
        return replace(unknown, quantizer=_title(tensor.kind), bits=stored, stored=stored,
                       note="scales or zero points that do not fit")  # fmt: skip
    offsets = np.broadcast_to(-zero_points * scales, scales.shape)
    levels = Levels(layout=fitting, table=table, parameters=lambda units: (offsets[units], scales[units]))
    return Coding(tensor=tensor, quantizer=_title(tensor.kind), per=fitting.name, bits=stored, stored=stored,
                  levels=levels, read=_reader(tensor.open(), levels))  # fmt: skip


def _title(kind: str) -> str:
    return {"float8_e4m3fn": "fp8-e4m3", "float8_e5m2": "fp8-e5m2"}.get(kind, kind)


def _table(kind: str) -> np.ndarray:
    if kind.startswith("float8"):
        import ml_dtypes

        dtype = getattr(ml_dtypes, kind)
        return levels_of(dtype) * float(ml_dtypes.finfo(dtype).max)
    limits = np.iinfo(kind)
    return np.arange(limits.min, limits.max + 1.0)


def _reader(array: np.ndarray, levels: Levels | None) -> Any:
    flat = array.reshape(-1)

    def read(start: int, stop: int) -> np.ndarray:
        codes = flat[start:stop].astype(np.float64)
        if levels is None:
            return codes
        offset, scale = levels.at(start, stop)
        return offset + scale * codes

    return read


def _layout(shape: tuple[int, ...], scales: tuple[int, ...]) -> Layout | None:
    """Return which weights share a scale, by the shapes; of a square matrix with one axis of scales, its rows."""
    size, count = int(np.prod(shape)), int(np.prod(scales))
    if count == 1:
        return Layout.tensor(size)
    if len(shape) < 2:
        return None
    lone = [n for n in scales if n != 1]
    last = len(scales) > 1 and scales[-1] == count
    if lone == [shape[0]] and not (last and shape[0] == shape[-1]):
        return Layout.rows(shape)
    if lone == [shape[-1]]:
        return Layout.columns(shape)
    if len(scales) == len(shape) and scales[:-1] == shape[:-1] and scales[-1] and shape[-1] % scales[-1] == 0:
        return Layout.groups(size, shape[-1] // scales[-1])
    return None
