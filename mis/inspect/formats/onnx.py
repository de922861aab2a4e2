"""Read the initializers of an ``.onnx`` file.

A foreign schema of protocol buffers is left to the package ``onnx`` (extra ``formats``). Nothing outside the file is
read: what it says lies elsewhere is refused.
"""

import math
from typing import Any

import numpy as np

from mis.inspect.formats.base import Tensor, mapped, shown
from mis.numerics.checks import InvalidInput

__all__ = ["read"]


def read(path: Any) -> list[Tensor]:
    """Return the initializers of the graph: its weights.

    Raises
    ------
    InvalidInput
        One line, for a file that is truncated or of another format, whose weights lie in another file, and where the
        package ``onnx`` is missing.
    """
    data = mapped(path)
    try:
        import onnx
        from onnx import numpy_helper
    except ImportError:
        raise InvalidInput(
            f'{path}: .onnx files need the package onnx: python -m pip install "mis[formats]", or onnx.'
        ) from None
    try:
        model = onnx.load_model_from_string(data.tobytes())
    # DecodeError of whichever implementation of protocol buffers there is.
    except Exception as error:
        raise InvalidInput(
            f"{path}: expected an .onnx file, got another format, or it is truncated: {shown(error).rstrip('.')}."
        ) from None
    if not model.HasField("graph"):
        raise InvalidInput(f"{path}: expected an .onnx file, got another format: no graph is in it.")
    return [_tensor(path, weight, onnx, numpy_helper) for weight in model.graph.initializer]


def _tensor(path: Any, weight: Any, onnx: Any, helper: Any) -> Tensor:
    where, shape = f"{path}: tensor {shown(weight.name)}", tuple(weight.dims)
    if weight.data_location == onnx.TensorProto.EXTERNAL:
        raise InvalidInput(f"{where}: lies in another file; save the model as one.")
    if any(n < 0 for n in shape):
        raise InvalidInput(f"{where}: expected a shape of integers >= 0, got {shown(shape)}.")
    try:
        found = helper.to_array(weight)
    except (ValueError, TypeError, KeyError, RuntimeError, MemoryError) as error:
        raise InvalidInput(f"{where}: the file is damaged: {shown(error).rstrip('.')}.") from None
    if found.size != math.prod(shape):
        raise InvalidInput(f"{where}: the file is damaged: its numbers do not fit shape {shown(shape)}.")
    found = np.asarray(found)
    found.flags.writeable = False
    kind = found.dtype.name if found.dtype.kind in "biufcV" else f"text ({shown(found.dtype.str)})"
    return Tensor(name=weight.name, shape=shape, kind=kind, num_bytes=found.nbytes, open=lambda: found)
