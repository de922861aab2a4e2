"""A user's own file."""

import hashlib
import os
from dataclasses import dataclass, field
from typing import Any

from mis.numerics.checks import InvalidInput
from mis.populations.files import read_npz
from mis.populations.table import Table, Tabulated

__all__ = ["Npz"]


@dataclass(frozen=True, kw_only=True)
class Npz(Tabulated):
    """Examples of a user's ``.npz``: ``features`` (N, d), ``target`` (N,), optionally ``test`` (N,) booleans.

    A target of integers, booleans or strings is classes, renumbered ``0..C-1`` in ascending order
    (``Split.labels`` keeps what they were); a target of floats is regression. Two files of one content are equal,
    wherever they lie.

    Parameters
    ----------
    path
        The file.
    digest
        First 16 hexadecimal digits of its SHA-256. Empty: taken from the file, so that results stored under
        this spec are never those of another content. Given: the file must have it.
    regression
        Integers are values, not classes.
    classification
        Floats are classes, not values.

    Examples
    --------
    >>> import numpy as np, pathlib, tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = pathlib.Path(folder, "my.npz")
    ...     np.savez(path, features=np.arange(200.0).reshape(100, 2), target=np.arange(100) % 3 + 1)
    ...     Npz(path=path).split(seed=0, pool=64).labels
    array([1, 2, 3])
    """

    # Text once made, whatever it was given as.
    path: Any = field(compare=False)
    digest: str = ""
    regression: bool = False
    classification: bool = False

    def __post_init__(self):
        object.__setattr__(self, "path", os.fsdecode(self.path))
        if self.regression and self.classification:
            raise InvalidInput(f"{self.path}: expected regression or classification, got both.")
        found = _digest(self.path)
        if self.digest not in ("", found):
            raise InvalidInput(f"{self.path}: expected content of digest {self.digest}, got {found}.")
        object.__setattr__(self, "digest", found)

    @property
    def name(self) -> str:
        return os.path.splitext(os.path.basename(self.path))[0]

    def read(self) -> Table:
        if _digest(self.path) != self.digest:
            raise InvalidInput(f"{self.path}: the file changed since it was named.")
        arrays = read_npz(self.path, ["features", "target"], ["test"])
        regression = self.regression if self.regression or self.classification else None
        return Table.prepare(
            self.path, *map(arrays.get, ("features", "target", "test")), regression=regression
        )


def _digest(path):
    try:
        with open(path, "rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()[:16]
    except OSError as error:
        raise InvalidInput(f"{path}: cannot be read: {error.strerror or error}.") from None
    except ValueError as error:  # a NUL byte
        raise InvalidInput(f"{path!r}: cannot be read: {error}.") from None
