"""A ranking, releases in the order of what the strongest attack on each finds; its tables, figure and files."""

import csv
import json
import os
import tempfile
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from mis.numerics.checks import known
from mis.provenance import made
from mis.ranking.agreement import agreement
from mis.ranking.answer import Answer, answer
from mis.ranking.columns import described, header
from mis.ranking.compare import pairwise
from mis.ranking.measure import Measurement
from mis.ranking.performance import Performance
from mis.ranking.row import Row
from mis.ranking.saving import refuse_replacing
from mis.ranking.table import table
from mis.store import make_folder

__all__ = ["Ranking"]


@dataclass(frozen=True, kw_only=True, eq=False)
class Ranking(Sequence[Row]):
    """Releases in the order of what the strongest attack on each finds, least first: a sequence of rows.

    ``ranking["sign"]`` and ``ranking[0]`` are rows, ``ranking["sign"].advantage`` is an ``Interval``.

    Parameters
    ----------
    rows
        One record per quantizer.
    advantages
        The strongest attack's advantage on each network, ``(quantizers, M)``, in the order of ``rows``.
    performances
        Performance of each, by network and by held-out example, in the order of ``rows``.
    stops
        Steps and measurement of full precision stopped early, fewest steps first; none if not asked for.
    about
        Spec, versions, device, times, excluded networks.
    """

    rows: tuple[Row, ...]
    advantages: np.ndarray
    performances: tuple[Performance, ...]
    stops: tuple[tuple[int, Measurement], ...] = ()
    about: dict[str, Any] = field(default_factory=dict)

    def __repr__(self) -> str:
        found = ", ".join(f"{row.release} {row.advantage.value:.3f}" for row in self.rows)
        return f"Ranking({self.about.get('task', '')}: {found})"

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, place: Any) -> Any:
        if not isinstance(place, str):
            return self.rows[place]
        known("Ranking", "release", place, [row.release for row in self.rows])
        return next(row for row in self.rows if row.release == place)

    def __contains__(self, item: object) -> bool:
        return item in self.rows or item in [row.release for row in self.rows]

    def table(self, width: int | None = None) -> str:
        """Return the tables and the answer as text, in lines of ``width``; that of the terminal if None, else 80."""
        return table(self.rows, self.agreement(), self.about, self.choice(), width=width)

    def answer(self, within: float | None = None) -> str:
        """Return in words what somebody can do who has to release a model; see ``choice``."""
        return str(self.choice(within))

    def choice(self, within: float | None = None) -> Answer:
        """Return the answer as a record: the least leaking release within a loss of performance, and what else holds.

        Parameters
        ----------
        within
            Loss of performance against full precision that is accepted; that of ``rank`` if None.
        """
        return answer(
            [row.release for row in self.rows],
            self.advantages,
            self.performances,
            [(steps, one.row.performance.value, one.advantages) for steps, one in self.stops],
            num_folds=self.about["num_folds"],
            within=self.about["within"] if within is None else within,
            at_most=self.about.get("at_most"),
            level=self.about["level"],
        )

    def agreement(self) -> list[dict[str, Any]]:
        """Return how far each indicator orders the quantizers as the advantage does; see ``mis.ranking.agreement``."""
        return self._agreement

    @cached_property
    def _agreement(self) -> list[dict[str, Any]]:
        records = [row.record() for row in self.rows]
        return agreement(records, self.advantages, level=self.about.get("level", 0.95))

    def pairs(self) -> list[dict[str, Any]]:
        """Return which quantizers can be told apart, paired by network; see ``mis.ranking.compare.pairwise``."""
        names = [row.release for row in self.rows]
        return pairwise(
            names, self.advantages, num_folds=self.about.get("num_folds"), level=self.about.get("level", 0.95)
        )

    def figure(self, *, width: str | float = "double", style: str | Path | None = None) -> Any:
        """Return a matplotlib figure: privacy against performance, and indicators against advantage.

        Parameters
        ----------
        width
            ``"single"`` or ``"double"``, of a journal's columns; a number with its unit, as ``"84mm"``; or inches.
        style
            A matplotlib style sheet to be used on top of the project's.
        """
        from mis.figures import ranking_figure

        rows = [row.record() for row in self.rows]
        return ranking_figure(rows, self.agreement(), self.about, width=width, style=style)

    def save(self, folder: str | os.PathLike[str], replace: bool = False) -> None:
        """Write ``ranking`` as .csv and .json into a folder, then as figure (.pdf, .png, .svg, caption in .txt).

        Where the figure fails there is a warning; the numbers are written by then.

        Raises
        ------
        InvalidInput
            Where the folder holds another ranking, unless ``replace``.
        """
        folder = Path(folder)
        refuse_replacing("Ranking.save", folder, self.about.get("asked"), replace=replace)
        make_folder("Ranking.save", folder)
        # Each file whole or not at all, also where two shards end at once.
        with tempfile.TemporaryDirectory(dir=folder, prefix=".") as draft:
            self._write(Path(draft))
            for path in Path(draft).iterdir():
                path.replace(folder / path.name)
        try:
            from mis.figures import save

            save(self.figure, folder, "ranking")
        except Exception as error:
            # Whatever it is, also a matplotlib that cannot be imported: hours of computing must not end in it.
            warnings.warn(f"{error} ranking.csv and ranking.json are written.", RuntimeWarning, stacklevel=2)

    def _write(self, folder):
        with open(folder / "ranking.csv", "w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, header())
            writer.writeheader()
            writer.writerows(
                [{k: "" if v is None else v for k, v in row.record().items()} for row in self.rows]
            )
        text = json.dumps(self.to_json(), indent=1, default=float) + "\n"
        (folder / "ranking.json").write_text(text, encoding="utf-8")

    def to_json(self) -> dict[str, Any]:
        """Return what ``ranking.json`` holds."""
        rows = [row.to_json() for row in self.rows]
        return {
            "made": made("ranking"),
            **self.about,
            "agreement": self.agreement(),
            "pairs": self.pairs(),
            "answer": {**self.choice().to_json(), "text": self.answer()},
            "columns": described(name for name in header() if any(row.get(name) is not None for row in rows)),
            "rows": rows,
        }
