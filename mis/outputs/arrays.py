"""Arrays in a file or a folder, read a piece at a time.

The values of an array lie one after the other in an ``.npz``, compressed or not, and in an ``.npy``. So they are read
as a stream, and an array may be larger than memory. What a header claims is held against the file before anything is
read.
"""

import math
import os
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.lib import format as npy

from mis.numerics.checks import InvalidInput
from mis.populations.files import DAMAGE

__all__ = ["Arrays", "open_arrays"]

# Values read at a time: 16 MiB of float32.
BLOCK = 2**22

NUMBERS, NAMES, ANY = "biuf", "iuUS", "biufUS"


@dataclass(frozen=True)
class Stored:
    """Where an array is and what its header says."""

    shape: tuple[int, ...]
    dtype: np.dtype
    fortran: bool
    start: int
    open: Callable[[], Any]


@dataclass(frozen=True)
class Arrays:
    """Arrays by name.

    Parameters
    ----------
    path
        The file or folder, as the user called it.
    stored
        Each of them, by name.
    """

    path: str
    stored: dict[str, Stored]

    def __contains__(self, name: str) -> bool:
        return name in self.stored

    def shape(self, name: str) -> tuple[int, ...]:
        """Return an array's shape, from its header."""
        return self.stored[name].shape

    def read(self, name: str, kinds: str = NUMBERS) -> np.ndarray:
        """Return a whole array of these kinds of types."""
        found = self.stored[name]
        self._refuse_kind(name, kinds)
        with _damage(self.path), found.open() as file:
            file.seek(found.start)
            content = _exactly(file, math.prod(found.shape) * found.dtype.itemsize)
            # The end of an archive's member is where its checksum is compared.
            file.read(1)
        order: Any = "F" if found.fortran else "C"
        return np.frombuffer(content, found.dtype).reshape(found.shape, order=order)

    def blocks(self, name: str, shape: tuple[int, ...]) -> Iterator[tuple[int, slice, np.ndarray]]:
        """Yield an array as of shape ``(T, N, …)`` in the order in which it lies: row, which of the N, their values.

        Raises
        ------
        InvalidInput
            For other than real numbers, for columns first (Fortran order) where there are several rows, and where the
            file ends early or its checksum is wrong.
        """
        found = self.stored[name]
        self._refuse_kind(name, NUMBERS)
        rows, records, *rest = shape
        if found.fortran and rows > 1:
            raise InvalidInput(
                f"{self.path}: expected {name} with the networks one after the other, got Fortran order; "
                "save numpy.ascontiguousarray of it."
            )
        if found.fortran:
            yield 0, slice(0, records), self.read(name).reshape(shape)[0]
            return
        size = max(1, BLOCK // max(1, math.prod(rest)))
        with _damage(self.path), found.open() as file:
            file.seek(found.start)
            for row in range(rows):
                for start in range(0, records, size):
                    part = slice(start, min(start + size, records))
                    extent = (part.stop - start, *rest)
                    content = _exactly(file, math.prod(extent) * found.dtype.itemsize)
                    yield row, part, np.frombuffer(content, found.dtype).reshape(extent)
            file.read(1)

    def _refuse_kind(self, name: str, kinds: str) -> None:
        dtype = self.stored[name].dtype
        if dtype.hasobject or dtype.names:
            kind = "Python objects" if dtype.hasobject else "records"
            raise InvalidInput(
                f"{self.path}: {name}: expected numbers, got {kind}; save it with a numeric dtype, all networks in one "
                "shape."
            )
        if dtype.kind not in kinds:
            what = "real numbers" if "f" in kinds else "integers or text"
            raise InvalidInput(f"{self.path}: expected {name} {what}, got an array of {dtype}.")


def open_arrays(path: str | os.PathLike[str]) -> Arrays:
    """Return the arrays of an ``.npz`` file, or of a folder of ``.npy`` files, without reading their values.

    Raises
    ------
    InvalidInput
        One line, for a file that is missing, unreadable, empty, damaged, no ``.npz``, and for an array of which less is
        there than its header claims. Python objects are never loaded, and refused where they are asked for.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     np.save(Path(folder, "labels.npy"), [0, 1, 2])
    ...     open_arrays(folder).shape("labels")
    (3,)
    """
    place = Path(path)
    with _damage(str(path)):
        return Arrays(str(path), _folder(place) if place.is_dir() else _archive(place))


def _folder(path):
    files = sorted(path.glob("*.npy"))
    if not files:
        raise InvalidInput(f"{path}: expected .npy files in this folder, got none.")
    return {
        file.stem: _header(f"{path}: {file.name}", partial(open, file, "rb"), file.stat().st_size)
        for file in files
    }


def _archive(path):
    with open(path, "rb") as file:
        start = file.read(2)
    if start != b"PK":
        kind = "another format" if start else "an empty file"
        raise InvalidInput(
            f"{path}: expected an .npz file (written by numpy.savez) or a folder of .npy, got {kind}."
        )
    with zipfile.ZipFile(path) as archive:
        members = [info for info in archive.infolist() if info.filename.endswith(".npy")]
    return {
        name: _header(f"{path}: {name}", partial(_member, path, info.filename), info.file_size)
        for info in members
        if (name := info.filename.removesuffix(".npy"))
    }


@contextmanager
def _member(path, name):
    with zipfile.ZipFile(path) as archive, archive.open(name) as file:
        yield file


def _header(where, opened, size):
    """Read an array's header and hold it against what is there."""
    with opened() as file:
        version = npy.read_magic(file)
        if version not in ((1, 0), (2, 0)):
            raise InvalidInput(f"{where}: expected NumPy's format 1.0 or 2.0, got {version}.")
        read = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
        shape, fortran, dtype = read(file)
        start = file.tell()
    if dtype.hasobject:
        # Never loaded, and refused where it is asked for.
        return Stored(shape, dtype, fortran, start, opened)
    claimed = math.prod(shape) * dtype.itemsize
    if any(n < 0 for n in shape) or claimed != size - start:
        raise InvalidInput(
            f"{where}: the file is damaged or truncated: its header claims {claimed} bytes, {size - start} are there."
        )
    return Stored(shape, dtype, fortran, start, opened)


def _exactly(file, count):
    content = bytearray(count)
    view, filled = memoryview(content), 0
    while filled < count:
        got = file.readinto(view[filled:])
        if not got:
            raise EOFError("it ends early")
        filled += got
    return content


@contextmanager
def _damage(path):
    """Say in a line what is wrong with a file; want of memory is not."""
    try:
        yield
    except (InvalidInput, MemoryError):
        raise
    except OSError as error:
        raise InvalidInput(f"{path}: cannot be read: {error.strerror or error}.") from None
    except (*DAMAGE, NotImplementedError, SyntaxError) as error:
        said = " ".join(str(error).split()).rstrip(".")
        raise InvalidInput(f"{path}: the file is damaged or truncated: {said or 'it ends early'}.") from None
