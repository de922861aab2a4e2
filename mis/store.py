"""Results on disk, one folder for each spec, one file for each part, written whole or not at all."""

import dataclasses
import hashlib
import io
import json
import os
import shutil
import tempfile
import uuid
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from mis.numerics.checks import InvalidInput
from mis.provenance import source_of

__all__ = ["Store", "fingerprint"]

# Raised whenever the meaning of a stored number changes: older files are then never read.
FORMAT = 3


def fingerprint(*parts: Any) -> str:
    """Return a hash of specs (dataclasses, numbers, strings, dicts) and arrays: equal only for equal content.

    Examples
    --------
    >>> fingerprint({"a": 1, "b": 2}) == fingerprint({"b": 2, "a": 1})
    True
    >>> fingerprint(np.zeros(2)) == fingerprint(np.zeros(3))
    False
    >>> fingerprint(1, 23) == fingerprint(12, 3)
    False
    """
    digest = hashlib.sha256(str(FORMAT).encode())
    for part in parts:
        if isinstance(part, np.ndarray):
            kind, content = f"{part.dtype} {part.shape}", np.ascontiguousarray(part).tobytes()
        else:
            kind, content = "spec", json.dumps(part, sort_keys=True, default=_plain).encode()
        # The length first: no two sequences of parts may read the same when joined.
        digest.update(f"|{kind} {len(content)}|".encode() + content)
    return digest.hexdigest()[:16]


def _plain(spec: Any) -> Any:
    if dataclasses.is_dataclass(spec) and not isinstance(spec, type):
        # Field by field: ``asdict`` would drop the types of specs within specs.
        kind = type(spec)
        if hasattr(spec, "identity"):
            return {"type": f"{kind.__module__}.{kind.__qualname__}", **spec.identity}
        return {
            "type": f"{kind.__module__}.{kind.__qualname__}",
            "source": source_of(kind),
            **{f.name: getattr(spec, f.name) for f in dataclasses.fields(spec)},
        }
    if isinstance(spec, np.generic):
        return spec.item()
    raise TypeError(f"fingerprint: expected specs and arrays, got a {type(spec).__name__}.")


class Store:
    """A folder of arrays by name; without a folder, a dictionary that is forgotten.

    Parameters
    ----------
    folder
        Where the files go, whose permissions follow the umask; made if missing. None keeps everything in memory.
    fresh
        Forget what the folder holds.
    """

    def __init__(self, folder: str | os.PathLike[str] | None, *, fresh: bool = False):
        folder = None if folder is None else Path(folder)
        self.folder = folder
        self._memory: dict[str, dict[str, np.ndarray]] = {}
        if folder is None:
            return
        make_folder("store", folder)
        if fresh:
            shutil.rmtree(folder)
            make_folder("store", folder)

    def _path(self, name: str) -> Path:
        assert self.folder is not None
        return self.folder / f"{name}.npz"

    def write(self, name: str, **arrays: np.ndarray) -> None:
        """Store arrays under a name: a reader sees all of them or nothing, whenever the writer is killed."""
        if self.folder is None:
            self._memory[name] = arrays
            return
        path = self._path(name)
        # Not ``tempfile``, whose files only their owner may read.
        temporary = path.with_name(f"{path.name}.{uuid.uuid4().hex}.part")
        try:
            with open(temporary, "xb") as file:
                np.savez(file, allow_pickle=False, **arrays)
            os.replace(temporary, path)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise

    def read(self, name: str, keys: Iterable[str]) -> dict[str, np.ndarray] | None:
        """Return the arrays of these keys stored under a name; None where one is missing or the file is damaged.

        Raises
        ------
        InvalidInput
            Where there is a file that may not be read: it is neither missing nor damaged, and nothing replaces it.
        """
        if self.folder is None:
            return self._memory.get(name)
        path = self._path(name)
        try:
            content = path.read_bytes()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise InvalidInput(
                f"store: expected a file that can be read, got {str(path)!r} ({error.strerror}); "
                "let its owner change that, or use another out."
            ) from None
        try:
            with np.load(io.BytesIO(content), allow_pickle=False) as arrays:
                return {key: arrays[key] for key in keys}
        except Exception:
            # Damage raises nearly anything, and a damaged part is as good as none: it is computed again and replaced.
            return None


def make_folder(where: str, folder: Path) -> None:
    """Make a folder and see that files can be written in it, or say why not."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise InvalidInput(
            f"{where}: expected out a folder that can be written, got out={str(folder)!r} ({error.strerror})."
        ) from None
