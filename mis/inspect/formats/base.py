"""One tensor of a file, where it lies; functions that refuse files which are not what they say."""

import math
import os
import stat
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from mis.numerics.checks import InvalidInput

__all__ = ["Tensor", "apart", "mapped", "shown", "whole_number"]

# Of a name in a message or a table.
LONGEST_NAME = 80


@dataclass(frozen=True, kw_only=True)
class Tensor:
    """One tensor of a file; nothing of it is read before ``open`` is called.

    Parameters
    ----------
    name
        As the file has it.
    shape
        Slowest axis first, as in NumPy, whatever the file's own order.
    kind
        Type of the numbers: the name of a NumPy or ml_dtypes type, of a type of GGUF blocks, or what the file says.
    num_bytes
        That the file spends on it.
    open
        Returns the numbers, memory-mapped where the file has them plain: an array of ``shape``, or of blocks
        their bytes, ``(num_blocks, bytes)``.
    """

    name: str
    shape: tuple[int, ...]
    kind: str
    num_bytes: int
    open: Callable[[], np.ndarray]

    @property
    def size(self) -> int:
        """Number of entries."""
        return math.prod(self.shape)


def mapped(path: str | os.PathLike[str]) -> np.ndarray:
    """Return the bytes of a file, mapped into memory to read only.

    Raises
    ------
    InvalidInput
        One line, where there is no such file, it is no file, is empty or may not be read.
    """
    try:
        found = os.stat(path)
        if stat.S_ISDIR(found.st_mode):
            raise InvalidInput(f"{path}: expected a file, got a folder; name the files in it.")
        if not stat.S_ISREG(found.st_mode):
            raise InvalidInput(f"{path}: expected a file on disk, got a device or a pipe.")
        if found.st_size == 0:
            raise InvalidInput(f"{path}: expected a file of tensors, got an empty one.")
        return np.memmap(Path(path), np.uint8, "r")
    except OSError as error:
        raise InvalidInput(f"{path}: cannot be read: {error.strerror or error}.") from None
    except ValueError as error:
        if isinstance(error, InvalidInput):
            raise
        raise InvalidInput(f"{path!r}: cannot be read: {error}.") from None


def shown(name: Any) -> str:
    """Return a name from a stranger's file as it may be printed: no control characters, not without end.

    Examples
    --------
    >>> shown("a" + chr(27) + "[2Jb"), shown("x" * 99)[-4:]
    ('a?[2Jb', 'x...')
    """
    text = "".join(
        character if character.isprintable() else "?" for character in str(name)[: LONGEST_NAME + 1]
    )
    return text if len(text) <= LONGEST_NAME else text[: LONGEST_NAME - 3] + "..."


def whole_number(value: Any) -> bool:
    """Return whether a value is an integer that can be a size; a boolean is none."""
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def apart(path: Any, spans: Iterable[tuple[int, int, str]]) -> None:
    """Refuse spans of bytes ``(start, stop, name)`` that overlap.

    Raises
    ------
    InvalidInput
        Names the two.
    """
    end, before = 0, ""
    for start, stop, name in sorted(span for span in spans if span[1] > span[0]):
        if start < end:
            raise InvalidInput(
                f"{path}: expected tensors that do not overlap, got {shown(before)} and {shown(name)} in the same "
                "bytes."
            )
        end, before = stop, name
