"""Figures on disk, and a ranking read back from there to be drawn anew."""

import contextlib
import json
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mis.figures.drawing import Drawing
from mis.figures.ranking import ranking_figure, ranking_sentence
from mis.numerics.checks import InvalidInput, UnsupportedSetting

__all__ = ["QUICK", "SUFFIXES", "FigureError", "RecordedRanking", "recorded_ranking", "refuse_other", "save"]

SUFFIXES = (".pdf", ".png", ".svg")
# In a caption; and how rows of fewer points are told from others.
QUICK = "Drawn from fewer points (--quick)."


class FigureError(RuntimeError):
    """A figure could not be drawn; the numbers it was to show are not lost."""


def save(
    draw: Callable[[], Drawing],
    folder: Path,
    name: str,
    suffixes: Sequence[str] = SUFFIXES,
    *,
    note: str = "",
) -> list[str]:
    """Draw a figure and write it, with its caption beside it; return the names of the files.

    Every file is written whole or not at all.

    Parameters
    ----------
    draw
        Makes the figure.
    folder, name, suffixes
        ``folder/name.pdf`` and so on; the caption is ``folder/name.txt``.
    note
        A sentence more for the caption.

    Raises
    ------
    FigureError
        Where that fails. Older pictures of that name are removed: they would show other numbers.
    """
    names = [*(f"{name}{suffix}" for suffix in suffixes), f"{name}.txt"]
    try:
        with tempfile.TemporaryDirectory(dir=folder, prefix=".") as draft:
            figure = draw()
            for file, suffix in zip(names, suffixes, strict=False):
                figure.savefig(Path(draft) / file, format=suffix[1:])
            caption = " ".join(filter(None, [figure.caption, note]))
            (Path(draft) / names[-1]).write_text(caption + "\n", encoding="utf-8")
            for file in names:
                (Path(draft) / file).replace(folder / file)
    except (InvalidInput, UnsupportedSetting):
        raise
    except Exception as error:
        for file in names:
            with contextlib.suppress(OSError):
                (folder / file).unlink(missing_ok=True)
        reason = f"{type(error).__name__}: {' '.join(str(error).split())}"
        raise FigureError(f"{folder / name}: the figure could not be drawn ({reason}).") from error
    return names


def refuse_other(folder: Path, name: str, *, quick: bool, sentence: str | None = None) -> None:
    """Refuse to replace files of a figure by another one, or quick rows by full ones and the reverse.

    Parameters
    ----------
    folder, name
        As of ``save``.
    quick
        Whether the new figure is drawn from fewer points.
    sentence
        How the caption begins if it is the same ranking; None where it is a study, whose rows stand beside it.
    """
    suffixes = (".csv", *SUFFIXES, ".txt") if sentence is None else (*SUFFIXES, ".txt")
    there = [path for suffix in suffixes if (path := folder / f"{name}{suffix}").exists()]
    if not there:
        return
    caption = folder / f"{name}.txt"
    kept = caption.read_text(encoding="utf-8", errors="replace") if caption.exists() else ""
    if sentence is None:
        same = bool(kept) and there[0].suffix == ".csv" and (QUICK in kept) == quick
    else:
        same = kept.startswith(sentence)
    if not same:
        raise InvalidInput(
            f"figure: expected out a folder without another run's {there[0].name}, got out={str(folder)!r}; "
            "choose another one, or remove that file first."
        )


@dataclass(frozen=True)
class RecordedRanking:
    """A ranking as ``mis rank`` wrote it to ``ranking.json``.

    Parameters
    ----------
    name
        Of its figure: that of the file, and of its folder where all are called alike.
    document
        What the file holds.
    """

    name: str
    document: Mapping[str, Any]

    @property
    def sentence(self) -> str:
        """Return what tells its figure from others."""
        return ranking_sentence(self.document["rows"], self.document)

    def draw(self, **looks: Any) -> Drawing:
        """Draw it, with ``width`` and ``style`` of ``ranking_figure``."""
        return ranking_figure(self.document["rows"], self.document["agreement"], self.document, **looks)


def _flat(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return a row with its intervals spread over columns, as ``ranking.csv`` has them."""
    flat = dict(row)
    for name, value in row.items():
        if isinstance(value, dict) and {"lower", "value", "upper"} <= set(value):
            flat |= {name: value["value"], f"{name}_lower": value["lower"], f"{name}_upper": value["upper"]}
    return flat


def recorded_ranking(path: Path) -> RecordedRanking:
    """Read ``ranking.json``, or refuse what is none."""
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
        rows, _ = [_flat(row) for row in document["rows"]], document["agreement"]
        document["rows"] = rows
        complete = bool(rows) and all({"release", "advantage"} <= set(row) for row in rows)
    except OSError as error:
        raise InvalidInput(f"figure: {path}: {error.strerror}.") from None
    except (ValueError, KeyError, TypeError, AttributeError):
        complete = False
    if not complete:
        raise InvalidInput(f"figure: expected a ranking.json written by `mis rank`, got {str(path)!r}.")
    return RecordedRanking(
        path.stem if path.stem != "ranking" else f"ranking-{path.resolve().parent.name}", document
    )
