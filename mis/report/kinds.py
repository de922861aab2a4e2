"""What the kinds of the numbers on a page mean."""

from collections.abc import Sequence

from mis.report.page import Estimate, Forest, Items, Part, Section

__all__ = ["section"]

MEANS = {
    "exact": "equal to the quantity, but for rounding.",
    "certified": "the quantity lies between the bounds, proved, rounding included.",
    "asymptotic": "a limit formula, no guarantee at a finite number of examples; an interval carries the "
    "uncertainty of what went in.",
    "monte-carlo": "the quantity lies between the bounds with the probability given.",
    "bootstrap": "the quantity lies between the bounds with about the probability given.",
    "attack": "what one attack reaches, with the probability given: a lower bound on what the best attack reaches.",
}


def section(parts: Sequence[Part]) -> Section:
    """Return the kinds that occur, each with its meaning."""
    cells = [cell for part in parts for table in part.tables() for row in table.rows for cell in row]
    drawn = [end for part in parts for shown in part.figures() if isinstance(shown, Forest)
             for _, marks in shown.marks for end in marks.values()]  # fmt: skip
    found = {cell.kind for cell in [*cells, *drawn] if isinstance(cell, Estimate)}
    said = [f"{kind}: {meaning}" for kind, meaning in MEANS.items() if kind in found]
    first = "A number in brackets behind another, [lower, upper], is its interval; what kind it is stands beside it."
    return Section(title="How to read the numbers", blocks=[first, Items(said)])
