"""What a page holds, whichever way it is written: numbers, tables, figures, and what is said of them."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

__all__ = [
    "Answers",
    "Block",
    "Cell",
    "Code",
    "Column",
    "Estimate",
    "Facts",
    "Forest",
    "Items",
    "Part",
    "Roc",
    "Section",
    "Table",
    "percent",
]


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """A number with its ends, as a file has it.

    Parameters
    ----------
    value, lower, upper
        The number and its interval.
    kind
        As of ``mis.Interval``; empty where the file does not say.
    level
        Level of the interval, None where there is none.
    """

    value: float
    lower: float
    upper: float
    kind: str = ""
    level: float | None = None

    @property
    def has_ends(self) -> bool:
        """Whether there is an interval besides the value."""
        return self.lower < self.upper

    @property
    def read_as(self) -> str:
        """What it is, in a word or two: ``attack, 95%``."""
        covers = percent(self.level) if self.level and self.has_ends else ""
        return ", ".join(filter(None, (self.kind, covers)))


def percent(share: float) -> str:
    """Return a level as text, never all of what is not.

    Examples
    --------
    >>> percent(0.95), percent(1 - 0.05 / 24), percent(0.999999)
    ('95%', '99.79%', '99.9999%')
    """
    text = f"{100 * share:.4g}"
    return f"{text if share == 1.0 or text != '100' else f'{100 * share:.8g}'}%"


Cell = Estimate | float | int | str | None


@dataclass(frozen=True, kw_only=True)
class Column:
    """One column of a table.

    Parameters
    ----------
    name
        Its heading.
    what
        What it is, in a sentence; empty where the heading says it.
    digits
        Digits behind the point.
    end
        ``"lower"`` or ``"upper"`` where only that end of an interval says something: at least, at most.
    significant
        Whether ``digits`` counts significant ones.
    small
        Whether a positive number that has none of these digits is said to be below the last one, as a p-value is.
    """

    name: str
    what: str = ""
    digits: int = 3
    end: str = ""
    significant: bool = False
    small: bool = False

    def of(self, found: Estimate) -> float:
        """Return the end of an estimate that the column shows, or its value."""
        return {"lower": found.lower, "upper": found.upper}.get(self.end, found.value)

    def number(self, value: float) -> str:
        """Return a number as text, with a hyphen for a minus."""
        if isinstance(value, int):
            return str(value)
        if value in (float("inf"), float("-inf")):
            return "∞" if value > 0 else "-∞"
        if self.small and 0 < value < 10.0**-self.digits:
            return f"<{10.0**-self.digits:.{self.digits}f}"
        text = f"{value:.{self.digits}{'g' if self.significant else 'f'}}"
        return text.removeprefix("-") if float(text) == 0.0 else text


@dataclass(frozen=True, kw_only=True)
class Table:
    """Rows under columns; the first column names the row.

    Parameters
    ----------
    title
        What it shows, a line.
    columns, rows
        One cell for each column; None where there is no number.
    notes
        Why numbers are missing, what holds together: sentences.
    """

    title: str
    columns: Sequence[Column]
    rows: Sequence[Sequence[Cell]]
    notes: Sequence[str] = ()

    def is_text(self, place: int) -> bool:
        """Whether a column holds words, not numbers."""
        cells = [row[place] for row in self.rows if row[place] is not None]
        return bool(cells) and all(isinstance(cell, str) for cell in cells)

    def read_as(self, place: int) -> str:
        """Return what the estimates of a column are where all are one thing, else nothing: then each says it."""
        cells = [cell for row in self.rows if isinstance(cell := row[place], Estimate)]
        found = {cell.read_as for cell in cells if cell.has_ends} or {cell.read_as for cell in cells}
        return found.pop() if len(found) == 1 and len({cell.kind for cell in cells}) == 1 else ""


@dataclass(frozen=True, kw_only=True)
class Forest:
    """A figure: estimates with their intervals, a line for each label.

    Parameters
    ----------
    title, axis
        What it shows, and what stands along the axis.
    marks
        For each label, its estimates by the name of their series.
    reference
        Where a line is drawn through all, and what it means.
    """

    title: str
    axis: str
    marks: Sequence[tuple[str, dict[str, Estimate]]]
    reference: tuple[float, str] | None = None


@dataclass(frozen=True, kw_only=True)
class Roc:
    """A figure: true against false positive rates, both logarithmic, with a band.

    Parameters
    ----------
    title
        What it shows.
    points
        ``fpr, lower, value, upper`` of each point, by false positive rate.
    level
        Level of the band, at each point.
    """

    title: str
    points: Sequence[tuple[float, float, float, float]]
    level: float


@dataclass(frozen=True)
class Items:
    """Sentences in a list."""

    sentences: Sequence[str]


@dataclass(frozen=True)
class Facts:
    """What was asked for and what ran: names with what belongs to them."""

    pairs: Sequence[tuple[str, Any]]


@dataclass(frozen=True)
class Code:
    """A command, as it was typed."""

    text: str


Block = str | Items | Facts | Code | Table | Forest | Roc


@dataclass(frozen=True, kw_only=True)
class Section:
    """A heading and what is below it."""

    title: str
    blocks: Sequence[Block]


@dataclass(frozen=True, kw_only=True)
class Answers:
    """What somebody asks first, in sentences.

    Parameters
    ----------
    released
        What was released?
    attacker
        Who is the attacker, what does it see?
    gain
        How much does the best known attack gain?
    theory
        What does theory predict?
    untested
        What was not tested?
    """

    released: Sequence[str]
    attacker: Sequence[str]
    gain: Sequence[str]
    theory: Sequence[str]
    untested: Sequence[str]


@dataclass(frozen=True, kw_only=True)
class Part:
    """What one file of results has to say.

    Parameters
    ----------
    title
        What it is, of what.
    made
        What made the file, as ``mis.provenance.made`` heads it.
    answers
        First of all.
    opinion
        What it says of the questions in ``mis.report.opinion``, by their names; the others are not spoken to.
    sections
        The detail.
    """

    title: str
    made: dict[str, str]
    answers: Answers
    opinion: dict[str, tuple[str, str]] = field(default_factory=dict)
    sections: Sequence[Section]

    def tables(self) -> list[Table]:
        """Return the tables of its sections."""
        return [block for section in self.sections for block in section.blocks if isinstance(block, Table)]

    def figures(self) -> list[Forest | Roc]:
        """Return the figures of its sections."""
        return [
            block for section in self.sections for block in section.blocks if isinstance(block, Forest | Roc)
        ]
