"""What was asked of a ranking, and that no ranking silently replaces another in its folder."""

import json
from collections.abc import Mapping
from os import PathLike
from pathlib import Path
from typing import Any

from mis.numerics.checks import InvalidInput

__all__ = ["refuse_replacing"]


def refuse_replacing(
    where: str, folder: str | PathLike[str], asked: Mapping[str, Any] | None, *, replace: bool
) -> None:
    """Refuse a folder with the results of another ranking, unless it is to be replaced.

    The same ranking again, or with more quantizers, loses nothing.

    Parameters
    ----------
    where
        Who asks.
    folder
        Where ``ranking.*`` are to be written; need not exist.
    asked
        What decides the numbers, by name, as ``ranking.json`` keeps it; None is like no other.
    replace
        Whether to write over another ranking.

    Raises
    ------
    InvalidInput
        Naming what differs, and the ways out.
    """
    folder = Path(folder)
    if replace or not any(folder.glob("ranking.*")):
        return
    differs = _difference(_found(where, folder / "ranking.json"), json.loads(json.dumps(asked, default=str)))
    if differs:
        raise InvalidInput(
            f"{where}: expected out without the results of another ranking, got out={str(folder)!r} ({differs}); "
            "use another out, or replace=True (--replace)."
        )


def _found(where: str, path: Path) -> dict[str, Any] | None:
    """Return what was asked of the ranking in a file; None where it does not say."""
    try:
        return json.loads(path.read_text(encoding="utf-8")).get("asked")
    except FileNotFoundError:
        return None
    except OSError as error:
        raise InvalidInput(f"{where}: {str(path)!r} cannot be read: {error.strerror}.") from None
    except (ValueError, AttributeError):
        return None


def _difference(found: Any, asked: Any) -> str:
    """Return in words what of two rankings differs, empty where the second has all that the first has."""
    if not isinstance(found, dict) or not isinstance(asked, dict):
        return "it does not say what was asked of it"
    names = [name for name in {**asked, **found} if name != "task" and found.get(name) != asked.get(name)]
    if "releases" in names and set(found.get("releases") or ()) <= set(asked["releases"]):
        names.remove("releases")
    if "data" in names:
        tasks = found.get("task"), asked.get("task")
        return (
            f"of task {tasks[0]}" if tasks[0] != tasks[1] else f"of task {tasks[0]}, with other data or seed"
        )
    told = [f"{name} {found.get(name)!r}, not {asked.get(name)!r}" for name in names]
    return "; ".join(told[:3]) + ("; …" if len(told) > 3 else "")
