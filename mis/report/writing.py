"""Write the page of a folder of results."""

import json
import os
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mis.numerics.checks import InvalidInput
from mis.report import READERS
from mis.report.html import GENERATOR as OF_HTML
from mis.report.html import html
from mis.report.kinds import section as kinds
from mis.report.latex import latex
from mis.report.markdown import GENERATOR as OF_MARKDOWN
from mis.report.markdown import markdown
from mis.report.opinion import section as opinion
from mis.report.page import Part
from mis.report.reading import of_path, one_part
from mis.store import make_folder

__all__ = ["latex_of", "parts_of", "report"]

MARKS = {"report.html": OF_HTML, "report.md": OF_MARKDOWN}


def parts_of(path: str | os.PathLike[str]) -> list[Part]:
    """Return what the results in a folder, or in one file, say."""
    return of_path(Path(path), READERS)


def latex_of(document: Mapping[str, Any]) -> str:
    """Return the tables of one result in LaTeX, from what its file holds."""
    plain = json.loads(json.dumps(document, default=float))
    return latex(one_part("the result", plain, READERS).tables())


def report(path: str | os.PathLike[str], out: str | os.PathLike[str] | None = None) -> list[Path]:
    """Write ``report.html`` and ``report.md`` of the results in a folder.

    Parameters
    ----------
    path
        A folder with what ``mis rank`` wrote, or with what ``--json`` of other commands wrote; or one such file.
    out
        Folder they are written to; that of the results if None.

    Returns
    -------
    list of Path
        The files.

    Raises
    ------
    InvalidInput
        Where there is no result, or one that cannot be read, or a file of that name that is no report.
    """
    parts = parts_of(path)
    path = Path(path)
    folder = Path(out) if out is not None else path if path.is_dir() else path.parent
    make_folder("report", folder)
    for name, mark in MARKS.items():
        _refuse_other(folder / name, mark)
    closing = [opinion(parts), kinds(parts)]
    return [
        _write(folder / name, text)
        for name, text in (("report.html", html(parts, closing)), ("report.md", markdown(parts, closing)))
    ]


def _refuse_other(path: Path, mark: str) -> None:
    """Refuse to write over a file that is no report."""
    if not os.path.lexists(path):
        return
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            ours = mark in file.read(2000)
    except OSError:
        ours = False
    if not ours:
        raise InvalidInput(
            f"report: expected out without a file {str(path)!r} that is no report; use another out."
        )


def _write(path: Path, text: str) -> Path:
    """Write a file whole or not at all."""
    draft = path.with_name(f".{path.name}.{uuid.uuid4().hex}.part")
    try:
        draft.write_text(text, encoding="utf-8")
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)
    return path
