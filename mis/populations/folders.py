"""Find the folder of a set of several files that a user or a distribution put somewhere."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mis.numerics.checks import InvalidInput, refuse

__all__ = ["find"]


def find(
    name: str,
    folder: Any,
    *,
    marks: Sequence[str],
    subfolders: Sequence[str],
    system: str = "",
    remedy: str,
) -> str:
    """Return the folder that has the files of a set.

    Looked for in ``folder`` where one is given, and nowhere else: what a user names is what is read. Otherwise in the
    one that the environment variable ``MIS_DATA`` names, then in ``system``.

    Parameters
    ----------
    name
        The set, as the user called it.
    folder
        What the user named; empty for nothing.
    marks
        Names of files: one that has any of them is the folder.
    subfolders
        Folders within the first two where the set may lie as well.
    system
        Where a distribution installs it.
    remedy
        What brings the set, said in the error.

    Raises
    ------
    InvalidInput
        Where none has it: names the set, the places tried and the remedy.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> with tempfile.TemporaryDirectory() as place:
    ...     pathlib.Path(place, "set").mkdir()
    ...     pathlib.Path(place, "set", "a.bin").touch()
    ...     found = find("s", place, marks=["a.bin"], subfolders=["set"], remedy="")
    >>> pathlib.Path(found).name
    'set'
    """
    if not isinstance(folder, str | os.PathLike):
        raise refuse(name, "folder", "a path", folder)
    named = os.fsdecode(folder) or os.environ.get("MIS_DATA", "")
    root = Path(named).expanduser().absolute()
    places = [root, *(root / sub for sub in subfolders)] if named else []
    if system and not os.fsdecode(folder):
        places.append(Path(system))
    for place in places:
        if any((place / mark).is_file() for mark in marks):
            return str(place)
    tried = (
        f"looked in {', '.join(map(str, places))}" if places else "neither folder nor MIS_DATA names a place"
    )
    raise InvalidInput(f"{name}: expected a folder with {' or '.join(marks)}, found none: {tried}. {remedy}")
