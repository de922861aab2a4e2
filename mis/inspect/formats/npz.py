"""Read an ``.npz`` file, array by array."""

import math
import struct
import zipfile
import zlib
from typing import Any

import numpy as np

from mis.inspect.formats.base import Tensor, apart, mapped, shown
from mis.numerics.checks import InvalidInput

__all__ = ["read"]

# What one byte can unpack to, and what an array that has to be unpacked may take in memory.
DEFLATE, LARGEST_UNPACKED = 1032, 2**32
DAMAGE = (
    zipfile.BadZipFile,
    zlib.error,
    EOFError,
    ValueError,
    RuntimeError,
    NotImplementedError,
    struct.error,
)


def read(path: Any) -> list[Tensor]:
    """Return the arrays of an ``.npz`` file: mapped where they are stored, unpacked when asked for elsewhere.

    Raises
    ------
    InvalidInput
        One line, for a file that is truncated, of another format, or holds Python objects, which are never loaded.
    """
    data = mapped(path)
    if bytes(data[:2]) != b"PK":
        raise InvalidInput(f"{path}: expected an .npz file (written by numpy.savez), got another format.")
    try:
        with zipfile.ZipFile(path) as archive:
            members = archive.infolist()
            names = [info.filename for info in members]
            if len(set(names)) < len(names):
                raise InvalidInput(f"{path}: expected names that differ, got one twice.")
            spans = [
                (info.header_offset, info.header_offset + info.compress_size, info.filename)
                for info in members
            ]
            apart(path, spans)
            return [_tensor(path, data, archive, info) for info in members]
    except InvalidInput:
        raise
    except OSError as error:
        raise InvalidInput(f"{path}: cannot be read: {error.strerror or error}.") from None
    except DAMAGE as error:
        raise InvalidInput(
            f"{path}: the file is damaged or truncated: {shown(error).rstrip('.') or 'it ends early'}."
        ) from None


def _tensor(path: Any, data: np.ndarray, archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> Tensor:
    name = info.filename.removesuffix(".npy")
    where = f"{path}: array {shown(name)}"
    if info.file_size > DEFLATE * info.compress_size + 1024:
        raise InvalidInput(
            f"{where}: claims {info.file_size} bytes, more than its {info.compress_size} can unpack to."
        )
    with archive.open(info) as file:
        version = np.lib.format.read_magic(file)
        header = {
            (1, 0): np.lib.format.read_array_header_1_0,
            (2, 0): np.lib.format.read_array_header_2_0,
        }.get(version)
        if header is None:
            raise InvalidInput(f"{where}: expected version 1 or 2 of NumPy's format, got {version}.")
        shape, fortran, dtype = header(file)
        begin = file.tell()
    if dtype.hasobject:
        raise InvalidInput(f"{where}: expected numbers, got Python objects, which are not loaded.")
    size = math.prod(shape) * dtype.itemsize
    if size != info.file_size - begin or any(n < 0 for n in shape):
        raise InvalidInput(
            f"{where}: the file is damaged: shape {shown(shape)} of {dtype} does not fit its "
            f"{info.file_size - begin} bytes."
        )

    def stored() -> np.ndarray:
        return _stored(where, data, info)[begin:]

    def unpacked() -> np.ndarray:
        return _unpacked(where, path, info)[begin:]

    opened = stored if info.compress_type == zipfile.ZIP_STORED else unpacked
    if opened is stored:
        stored()

    def open_() -> np.ndarray:
        flat = opened().view(dtype)
        return flat.reshape(shape[::-1]).T if fortran else flat.reshape(shape)

    kind = dtype.name if dtype.kind in "biufc" else f"text or records ({shown(dtype.str)})"
    return Tensor(name=name, shape=tuple(shape), kind=kind, num_bytes=size, open=open_)


def _stored(where: str, data: np.ndarray, info: zipfile.ZipInfo) -> np.ndarray:
    """Return the bytes of a member that is not compressed."""
    local = data[info.header_offset : info.header_offset + 30].tobytes()
    name, extra = struct.unpack("<HH", local[26:30])
    begin = info.header_offset + 30 + name + extra
    if info.flag_bits & 1 or info.compress_size != info.file_size or begin + info.file_size > len(data):
        raise InvalidInput(f"{where}: the file is damaged or truncated: its bytes are not all there.")
    return data[begin : begin + info.file_size]


def _unpacked(where: str, path: Any, info: zipfile.ZipInfo) -> np.ndarray:
    if info.file_size > LARGEST_UNPACKED:
        raise InvalidInput(
            f"{where}: would unpack to {info.file_size} bytes; save it with numpy.savez, which does not compress."
        )
    try:
        with zipfile.ZipFile(path) as archive:
            return np.frombuffer(archive.read(info), np.uint8)
    except DAMAGE as error:
        raise InvalidInput(
            f"{where}: the file is damaged: {shown(error).rstrip('.') or 'it ends early'}."
        ) from None
