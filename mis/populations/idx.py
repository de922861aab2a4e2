"""Read idx files, the format of MNIST and its relatives."""

import gzip
import math
import os
import struct
import zlib

import numpy as np

from mis.numerics.checks import InvalidInput

__all__ = ["read_idx"]

GZIP = b"\x1f\x8b"
UNSIGNED_BYTES = 8


def read_idx(path: str | os.PathLike, ndim: int) -> np.ndarray:
    """Return the bytes of an idx file, plain or compressed by gzip, as a uint8 array of ``ndim`` axes.

    Such a file is two zero bytes, the type (8 for unsigned bytes), the number of axes, their lengths as big-endian
    32-bit integers, and the values.

    Raises
    ------
    InvalidInput
        One line, for a file that is missing, unreadable, damaged, truncated, too long, or of another format.

    References
    ----------
    LeCun, Cortes, Burges, The MNIST database of handwritten digits, section "File formats".

    Examples
    --------
    >>> import pathlib, tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = pathlib.Path(folder, "labels-idx1-ubyte")
    ...     _ = path.write_bytes(bytes([0, 0, 8, 1, 0, 0, 0, 3]) + bytes([9, 0, 4]))
    ...     read_idx(path, 1).tolist()
    [9, 0, 4]
    """
    try:
        with open(path, "rb") as file:
            content = file.read()
        if content.startswith(GZIP):
            content = gzip.decompress(content)
    except (gzip.BadGzipFile, zlib.error, EOFError, MemoryError) as error:
        raise InvalidInput(
            f"{path}: the file is damaged or truncated: {str(error).rstrip('.') or 'it ends early'}."
        ) from None
    except OSError as error:
        raise InvalidInput(f"{path}: cannot be read: {error.strerror or error}.") from None
    begin = 4 + 4 * ndim
    magic = bytes([0, 0, UNSIGNED_BYTES, ndim])
    if content[:4] != magic:
        got = content[:4].hex(" ") or "an empty file"
        raise InvalidInput(
            f"{path}: expected an idx file of bytes with {ndim} axes ({magic.hex(' ')} first), got {got}."
        )
    if len(content) < begin:
        raise InvalidInput(f"{path}: the file is damaged or truncated: it ends within its head.")
    shape = struct.unpack(f">{ndim}I", content[4:begin])
    if len(content) - begin != math.prod(shape):
        raise InvalidInput(
            f"{path}: the file is damaged or truncated: expected {math.prod(shape)} values of shape {shape}, "
            f"got {len(content) - begin}."
        )
    return np.frombuffer(content, dtype=np.uint8, offset=begin).reshape(shape)
