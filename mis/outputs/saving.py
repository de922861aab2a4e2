"""What attacks on outputs found, in a folder; scores as they come, then tables, pictures last."""

import csv
import json
import os
import uuid
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from mis.numerics.checks import InvalidInput
from mis.outputs.result import Result
from mis.outputs.run import Keep
from mis.provenance import made
from mis.store import make_folder

__all__ = ["FILES", "document", "keeping", "prepare", "save_tables"]

SCORES = "scores.npz"
FILES = (
    SCORES,
    "table.csv",
    "table.json",
    "records.csv",
    "roc.csv",
    "roc.pdf",
    "roc.png",
    "roc.svg",
    "roc.txt",
)


# Records most at risk that table.json holds; records.csv has all.
LISTED = 10


def prepare(folder: Path, source: str | os.PathLike[str], *, replace: bool) -> None:
    """Make the folder, and refuse it where something would be replaced or the input is in it.

    Raises
    ------
    InvalidInput
        Naming the file and what to do.
    """
    where = Path(source)
    if where.is_dir() and folder.exists() and folder.samefile(where):
        raise InvalidInput(f"attack: expected out another folder than the input, got out={str(folder)!r}.")
    there = [name for name in FILES if (folder / name).exists()]
    for name in there:
        if where.exists() and (folder / name).samefile(where):
            raise InvalidInput(f"attack: expected out without the input, which is {folder / name}.")
    if there and not replace:
        raise InvalidInput(
            f"attack: expected out a folder without results, got out={str(folder)!r} with {there[0]}; "
            "use another one, or --replace."
        )
    make_folder("attack", folder)


@contextmanager
def keeping(folder: Path) -> Iterator[Keep]:
    """Give what writes arrays into ``scores.npz`` one by one; the file is there when all are."""
    part = folder / f"{SCORES}.{uuid.uuid4().hex}.part"
    try:
        with zipfile.ZipFile(part, "x", zipfile.ZIP_STORED, allowZip64=True) as archive:

            def keep(name: str, values: np.ndarray) -> None:
                with archive.open(f"{name}.npy", "w", force_zip64=True) as file:
                    np.lib.format.write_array(file, np.ascontiguousarray(values), allow_pickle=False)

            yield keep
        os.replace(part, folder / SCORES)
    finally:
        part.unlink(missing_ok=True)


def document(found: Result) -> dict[str, Any]:
    """Return what ``table.json`` holds."""
    return {
        "made": made("attack"),
        **found.to_json(),
        "rocs": found.rocs,
        "most_at_risk": {name: column[:LISTED].tolist() for name, column in found.risks.items()},
        "num_at_risk": len(found.risks["id"]) if found.risks else 0,
    }


def save_tables(found: Result, folder: Path) -> None:
    """Write ``table.csv``, ``table.json``, ``records.csv`` and ``roc.csv``; what is not known is empty or absent."""
    (folder / "table.json").write_text(json.dumps(document(found), indent=1) + "\n", encoding="utf-8")
    if not found.rows:
        return
    rows = [row.columns() for row in found.rows]
    if found.strongest is not None:
        ends = found.strongest
        named = {"attack": "strongest", "advantage": ends.value, "advantage_lower": ends.lower}
        named |= {"advantage_upper": ends.upper, "advantage_kind": ends.kind, "level": ends.level}
        rows.insert(0, dict.fromkeys(rows[0], "") | named)
    _write(folder / "table.csv", list(rows[0]), (row.values() for row in rows))
    rocs = [{"attack": name, **point} for name, roc in found.rocs.items() for point in roc]
    _write(folder / "roc.csv", list(rocs[0]), (point.values() for point in rocs))
    if found.risks:
        columns = [column.tolist() for column in found.risks.values()]
        _write(folder / "records.csv", list(found.risks), zip(*columns, strict=True))


def _write(path: Path, header: list[str], rows: Any) -> None:
    with open(path, "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(header)
        writer.writerows(rows)
