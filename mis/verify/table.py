"""Functions: the rows of a verification as text."""

from collections.abc import Mapping, Sequence
from io import StringIO
from typing import Any

from rich.console import Console
from rich.table import Table

__all__ = ["table"]

WIDTH = 150


def table(rows: Sequence[Mapping[str, Any]]) -> str:
    """Return one line a claim and the count of those that failed.

    Examples
    --------
    >>> row = {"statement": "1 + 1 = 2", "source": "Peano", "setting": "", "predicted": 2.0, "value": 2.0,
    ...        "lower": 2.0, "upper": 2.0, "discrepancy": 0.0, "verdict": "pass"}
    >>> print(table([row]).splitlines()[-1])
    1 of 1 claims hold.
    """
    out = StringIO()
    console = Console(file=out, width=WIDTH, force_terminal=False, highlight=False, markup=False, emoji=False)
    grid = Table(box=None, pad_edge=False)
    for name in ("statement", "setting", "source"):
        grid.add_column(name, overflow="fold", ratio=3)
    for name in ("predicted", "found", "off by", "verdict"):
        grid.add_column(name, justify="right", no_wrap=True)
    for row in rows:
        exact = row["lower"] == row["upper"]
        found = (
            f"{row['value']:.6g}" if exact else f"{row['value']:.4g} [{row['lower']:.4g}, {row['upper']:.4g}]"
        )
        grid.add_row(
            row["statement"],
            row["setting"],
            row["source"],
            f"{row['predicted']:.6g}",
            found,
            f"{row['discrepancy']:.1e}",
            row["verdict"],
        )
    console.print(grid)
    held = sum(row["verdict"] == "pass" for row in rows)
    console.print(f"{held} of {len(rows)} claims hold.")
    return out.getvalue()
