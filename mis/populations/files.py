"""Find and read the file of a data set; never download one."""

import lzma
import os
import pathlib
import zipfile
import zlib
from collections.abc import Sequence

import numpy as np

from mis.numerics.checks import InvalidInput

__all__ = ["locate", "read_npz"]

PACKAGED = pathlib.Path(__file__).parent / "data"
DAMAGE = (zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError, ValueError, RuntimeError, MemoryError)


def locate(
    name: str, filename: str, *, directory: str = "", system: str = "", remedy: str = ""
) -> pathlib.Path:
    """Return the path of a data set's file.

    Looked for, in this order: among the package's own files; in ``directory``, or where that is empty the one
    that the environment variable ``MIS_DATA`` names; in ``system``, where a distribution installs it.

    Parameters
    ----------
    name
        The set, as the user called it.
    filename
        The file, relative to each of those directories.
    directory, system
        Directories; empty for none.
    remedy
        The command or step that brings the file, said in the error.

    Raises
    ------
    InvalidInput
        Where none has it: names the set, the paths tried and the remedy.

    Examples
    --------
    >>> locate("freesolv", "freesolv.npz").name
    'freesolv.npz'
    """
    places = [str(PACKAGED), directory or os.environ.get("MIS_DATA", ""), system]
    tried = [pathlib.Path(place).expanduser() / filename for place in places if place]
    for path in tried:
        if path.is_file():
            return path
    hint = f" {remedy}" if remedy else " Set MIS_DATA to the directory that has it."
    raise InvalidInput(f"{name}: expected a data file, found none of {', '.join(map(str, tried))}.{hint}")


def read_npz(
    path: str | os.PathLike, required: Sequence[str], optional: Sequence[str] = ()
) -> dict[str, np.ndarray]:
    """Return the named arrays of an ``.npz`` file; optional ones only where it has them.

    Raises
    ------
    InvalidInput
        One line, for a file that is missing, a directory, unreadable, damaged or truncated, not an ``.npz``,
        that lacks a required array, or holds Python objects in one of those read.

    Examples
    --------
    >>> sorted(read_npz(locate("freesolv", "freesolv.npz"), ["features", "target"]))
    ['features', 'target']
    """
    try:
        with open(path, "rb") as file:
            if file.read(4)[:2] != b"PK":
                raise InvalidInput(
                    f"{path}: expected an .npz file (written by numpy.savez), got another format."
                )
            file.seek(0)
            with np.load(file, allow_pickle=False) as arrays:
                missing = [name for name in required if name not in arrays.files]
                if missing:
                    raise InvalidInput(
                        f"{path}: expected arrays {', '.join(required)}, lacks {', '.join(missing)}; "
                        f"it has {_line(', '.join(arrays.files)) or 'none'}."
                    )
                wanted = [*required, *(name for name in optional if name in arrays.files)]
                return {name: _member(path, arrays, name) for name in wanted}
    except InvalidInput:
        raise
    except OSError as error:
        raise InvalidInput(f"{path}: cannot be read: {error.strerror or error}.") from None
    except DAMAGE as error:
        raise InvalidInput(
            f"{path}: the file is damaged or truncated: {_line(error) or 'it ends early'}."
        ) from None


def _member(path, arrays, name):
    try:
        array = arrays[name]
    except ValueError as error:
        if "pickle" not in str(error):
            raise
        raise InvalidInput(
            f"{path}: expected {name} numeric, got Python objects; save it with a numeric dtype, "
            "all examples in one shape."
        ) from None
    # What is not in NumPy's format comes back as bytes.
    if not isinstance(array, np.ndarray):
        raise ValueError(f"{name} is not an array")
    return array


def _line(error):
    return " ".join(str(error).split()).rstrip(".")
