"""Read the batches of CIFAR-10, in its binary or in its Python form, without trusting either."""

import os
import pickle
from typing import Any

import numpy as np

from mis.numerics.checks import InvalidInput

__all__ = ["read_binary", "read_pickled"]

SIDE, CHANNELS, CLASSES = 32, 3, 10
VALUES = CHANNELS * SIDE * SIDE


def read_binary(path: str | os.PathLike) -> tuple[np.ndarray, np.ndarray]:
    """Return images ``(N, 32, 32, 3)`` and labels ``(N,)``, uint8, of a binary batch.

    Such a file is records of 3073 bytes: a label, then 32x32 red, green and blue values.

    Raises
    ------
    InvalidInput
        One line, for a file that cannot be read, is not records of that length, or has other labels than 0..9.
    """
    content = np.frombuffer(_content(path), dtype=np.uint8)
    if content.size == 0 or content.size % (1 + VALUES):
        raise InvalidInput(
            f"{path}: the file is damaged or truncated: expected records of {1 + VALUES} bytes, got {content.size} "
            "bytes."
        )
    records = content.reshape(-1, 1 + VALUES)
    return _images(records[:, 1:]), _labels(path, records[:, 0])


def read_pickled(path: str | os.PathLike) -> tuple[np.ndarray, np.ndarray]:
    """Return images ``(N, 32, 32, 3)`` and labels ``(N,)``, uint8, of a pickled batch.

    Such a file is a dictionary with ``data``, bytes ``(N, 3072)``, and ``labels``, a list of integers. A pickle may
    call whatever it names: here it can name the few things that an array is written with, and stand-ins take their
    place, so that nothing is called at all.

    Raises
    ------
    InvalidInput
        One line, for a file that cannot be read, is no pickle, names anything else, or holds something else.
    """
    try:
        with open(path, "rb") as file:
            batch = _Unpickler(file, encoding="bytes").load()
    except _Refused as refused:
        raise InvalidInput(
            f"{path}: expected a batch of CIFAR-10, refused to load {refused.args[0]!r}, which none needs."
        ) from None
    except OSError as error:
        raise InvalidInput(f"{path}: cannot be read: {error.strerror or error}.") from None
    except Exception as error:
        # Damage raises nearly anything.
        said = " ".join(str(error).split()).rstrip(".") or type(error).__name__
        raise InvalidInput(f"{path}: the file is damaged, truncated or no pickle: {said[:100]}.") from None
    if not isinstance(batch, dict):
        raise InvalidInput(
            f"{path}: expected a dictionary with data and labels, got a {type(batch).__name__}."
        )
    named = {key.decode("latin1") if isinstance(key, bytes) else key: value for key, value in batch.items()}
    data, labels = named.get("data"), named.get("labels")
    values = data.values() if isinstance(data, _Array) else None
    if values is None or values.shape[1:] != (VALUES,) or len(values) == 0:
        raise InvalidInput(f"{path}: expected data to be bytes of shape (N, {VALUES}).")
    if not isinstance(labels, list) or not all(type(label) is int for label in labels):
        raise InvalidInput(f"{path}: expected labels to be a list of integers.")
    if len(labels) != len(values):
        raise InvalidInput(f"{path}: expected {len(values)} labels, one for each image, got {len(labels)}.")
    return _images(values), _labels(path, labels)


def _content(path):
    try:
        with open(path, "rb") as file:
            return file.read()
    except OSError as error:
        raise InvalidInput(f"{path}: cannot be read: {error.strerror or error}.") from None


def _images(values):
    return np.ascontiguousarray(values.reshape(-1, CHANNELS, SIDE, SIDE).transpose(0, 2, 3, 1))


def _labels(path, labels):
    # Python's own, of any size: an array of them could overflow.
    low, high = min(labels), max(labels)
    if low < 0 or high >= CLASSES:
        raise InvalidInput(f"{path}: expected labels 0..{CLASSES - 1}, got {low if low < 0 else high}.")
    return np.asarray(labels, dtype=np.uint8)


class _Refused(Exception):
    """A name that no batch needs."""


class _Array:
    """What a pickle says of an array: a version, shape, type, order and content."""

    def __init__(self, *_: Any):
        self.state: Any = None

    def __setstate__(self, state: Any) -> None:
        self.state = state

    def values(self) -> np.ndarray | None:
        """Return it as an array ``(N, D)`` of bytes, None where it is not one."""
        if not isinstance(self.state, tuple) or len(self.state) != 5:
            return None
        _, shape, kind, fortran, content = self.state
        right = (
            isinstance(kind, _Type) and kind.code in (b"u1", "u1") and isinstance(content, bytes | bytearray)
        )
        if not right or not isinstance(shape, tuple) or not all(type(size) is int for size in shape):
            return None
        if len(shape) != 2 or min(shape) < 0 or shape[0] * shape[1] != len(content):
            return None
        return np.frombuffer(content, dtype=np.uint8).reshape(shape, order="F" if fortran else "C")


class _Frombuffer(_Array):
    """An array as protocol 5 writes it."""

    def __init__(self, content: Any, kind: Any, shape: Any, order: Any):
        self.state = (1, shape, kind, order == "F", content)


class _Type:
    """What a pickle says of the type of an array's values."""

    def __init__(self, code: Any, *_: Any):
        self.code = code

    def __setstate__(self, state: Any) -> None:
        """Take byte order and the like, which bytes do not have."""


class _Encoded:
    """Bytes as protocol 2 writes them: a string and its encoding."""

    def __new__(cls, text: str, _: Any) -> Any:
        return text.encode("latin1")

    def __setstate__(self, state: Any) -> None:
        """Nothing to set."""


NEEDED = {
    ("numpy", "ndarray"): _Array,
    ("numpy", "dtype"): _Type,
    ("numpy.core.multiarray", "_reconstruct"): _Array,
    ("numpy._core.multiarray", "_reconstruct"): _Array,
    ("numpy.core.numeric", "_frombuffer"): _Frombuffer,
    ("numpy._core.numeric", "_frombuffer"): _Frombuffer,
    ("_codecs", "encode"): _Encoded,
}


class _Unpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        """Return a stand-in for what arrays are written with, and refuse all else."""
        if (module, name) not in NEEDED:
            raise _Refused(f"{module}.{name}")
        return NEEDED[module, name]
