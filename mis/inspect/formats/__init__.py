"""Read files of weights, tensor by tensor, one reader a format.

To add a format: copy ``safetensors.py``, write ``read(path) -> list[Tensor]``; add it to ``READERS`` by its suffix; add
one row to ``WRITERS`` in ``tests/inspect/test_formats.py``.
"""

import importlib
from pathlib import Path
from typing import Any

from mis.inspect.formats.base import Tensor
from mis.numerics.checks import InvalidInput

__all__ = ["READERS", "Tensor", "read"]

# Suffix and module: what is not asked for is not loaded.
READERS = {f".{name}": f"mis.inspect.formats.{name}" for name in ("safetensors", "npz", "gguf", "onnx")}


def read(path: Any) -> list[Tensor]:
    """Return the tensors of a file, by its suffix; none of them is loaded yet.

    Raises
    ------
    InvalidInput
        One line, where the file is not what its name says.

    Examples
    --------
    >>> import numpy as np, tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     np.savez(f"{folder}/w.npz", w=np.ones((2, 3), np.float32))
    ...     [(tensor.name, tensor.shape, tensor.kind) for tensor in read(f"{folder}/w.npz")]
    [('w', (2, 3), 'float32')]
    """
    suffix = Path(path).suffix.lower()
    if suffix not in READERS:
        raise InvalidInput(f"{path}: expected a file that ends in {', '.join(READERS)}.")
    tensors = importlib.import_module(READERS[suffix]).read(path)
    if not tensors:
        raise InvalidInput(f"{path}: expected tensors, got none.")
    return tensors
