"""What a work found, on disk; no run silently replaces another one in its folder."""

import json
import math
import os
import uuid
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from mis.numerics.checks import InvalidInput
from mis.results import Interval
from mis.studies.rows import write_rows

if TYPE_CHECKING:
    from mis.works.base import Study

__all__ = ["document", "flat", "plain", "refuse_other", "write"]

FILES = ("table.csv", "table.json", "study.json")
ENDS = ("lower", "value", "upper", "kind", "level")


def plain(value: Any) -> Any:
    """Return what JSON can hold: an interval as an object, arrays as lists, no number (NaN) as null.

    Examples
    --------
    >>> plain({"a": np.float64("nan"), "b": (1, np.zeros(2))})
    {'a': None, 'b': [1, [0.0, 0.0]]}
    """
    if isinstance(value, Interval):
        return {end: plain(getattr(value, end)) for end in ENDS}
    if isinstance(value, Mapping):
        return {str(name): plain(each) for name, each in value.items()}
    if isinstance(value, np.ndarray | np.generic):
        return plain(value.tolist())
    if isinstance(value, list | tuple):
        return [plain(each) for each in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def flat(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return a row as CSV has it: an interval's value, then its other ends, kind and level in columns of their own.

    Examples
    --------
    >>> flat({"release": "sign", "advantage": Interval.point(0.5, "exact")})["advantage_kind"]
    'exact'
    """
    found: dict[str, Any] = {}
    for name, value in row.items():
        if isinstance(value, Interval):
            found |= {name if end == "value" else f"{name}_{end}": getattr(value, end) for end in ENDS}
        else:
            found[name] = value
    return found


def document(about: Mapping[str, Any], study: "Study") -> dict[str, Any]:
    """Return what ``study.json`` holds: what was asked, verdicts, theirs beside ours, rows and the rest."""
    parts = {"verdicts": study.verdicts, "published": study.published, "rows": study.rows}
    return plain({**about, **parts, **study.details})


def refuse_other(folder: Path, asked: Mapping[str, Any], *, replace: bool) -> None:
    """Refuse a folder with results of a run that was asked for otherwise, or that does not say how."""
    if replace or not any((folder / name).exists() for name in FILES):
        return
    try:
        found = json.loads((folder / "study.json").read_text(encoding="utf-8"))
        differs = _difference({name: found.get(name) for name in asked}, asked)
    except (OSError, ValueError, AttributeError):
        differs = "it does not say what was asked"
    if differs:
        raise InvalidInput(
            f"run: expected out without the results of another run, got out={str(folder)!r} ({differs}); use another "
            "out, or --replace."
        )


def _difference(found: Mapping[str, Any], asked: Mapping[str, Any]) -> str:
    if found["work"] != asked["work"]:
        return f"work {found['work']!r}, not {asked['work']!r}"
    old, new = found["settings"] or {}, asked["settings"]
    names = [name for name in {**old, **new} if old.get(name) != new.get(name)]
    return "; ".join(f"{name} {old.get(name)!r}, not {new.get(name)!r}" for name in names[:3])


def write(folder: Path, rows: Sequence[Mapping[str, Any]], whole: Mapping[str, Any]) -> list[str]:
    """Write table.csv, table.json and study.json, each whole or not at all; return their names."""
    _place(folder / FILES[0], lambda path: write_rows([flat(row) for row in rows], path))
    for name, content in zip(FILES[1:], (plain(rows), whole), strict=True):
        text = json.dumps(content, indent=1, allow_nan=False) + "\n"
        _place(folder / name, lambda path, text=text: path.write_text(text, encoding="utf-8"))
    return list(FILES)


def _place(path: Path, fill: Any) -> None:
    draft = path.with_name(f".{path.name}.{uuid.uuid4().hex}")
    try:
        fill(draft)
        os.replace(draft, path)
    finally:
        draft.unlink(missing_ok=True)
