"""Rows of a study, taken apart for a figure."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

__all__ = ["POINTWISE", "Rows", "column_values", "error_bars", "grouped"]

Rows = Sequence[Mapping[str, Any]]

# Of captions.
POINTWISE = "Bars are 95% intervals, pointwise."


def grouped(rows: Rows, name: str) -> Iterator[tuple[Any, list[Mapping[str, Any]]]]:
    """Yield each value of a column with its rows, in order of first appearance."""
    for value in dict.fromkeys(row[name] for row in rows):
        yield value, [row for row in rows if row[name] == value]


def column_values(rows: Rows, *names: str) -> list[list[Any]]:
    """Return columns, each as a list."""
    return [[row[name] for row in rows] for name in names]


def error_bars(lower: list[float], value: list[float], upper: list[float]) -> list[list[float]]:
    """Return how far the ends of intervals are from their values, as ``errorbar`` wants it."""
    return [
        [v - low for low, v in zip(lower, value, strict=True)],
        [high - v for v, high in zip(value, upper, strict=True)],
    ]
