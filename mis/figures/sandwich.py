"""Function: the sandwich on networks, a panel a task: black box, strongest attack, predicted level."""

from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib.pyplot as plt
import numpy as np

from mis.figures.style import styled

__all__ = ["sandwich"]

SERIES = (
    ("lira", "black box (LiRA)", "o"),
    ("advantage", "strongest attack", "s"),
    ("predicted", "predicted", "|"),
)


def sandwich(rows: Sequence[Mapping[str, Any]]) -> Any:
    """Draw the rows of the study ``sandwich``: for each task and quantizer what is seen, found and predicted.

    Parameters
    ----------
    rows
        With ``label``, ``quantizer`` and ``lira``, ``advantage``, ``predicted`` with their ends.

    Returns
    -------
    matplotlib.figure.Figure
    """
    tasks = list(dict.fromkeys(row["label"] for row in rows))
    columns = min(4, len(tasks))
    lines = -(-len(tasks) // columns)
    with styled():
        figure, grid = plt.subplots(
            lines,
            columns,
            figsize=(2.7 * columns + 0.5, 2.6 * lines + 0.4),
            layout="constrained",
            squeeze=False,
        )
        palette = plt.rcParams["axes.prop_cycle"].by_key()["color"]
        for axes, task in zip(grid.flat, tasks, strict=False):
            of_task = sorted((row for row in rows if row["label"] == task), key=lambda row: row["advantage"])
            places = np.arange(len(of_task))
            axes.hlines(
                places,
                [row["lira"] for row in of_task],
                [row["advantage"] for row in of_task],
                color="0.75",
                linewidth=2.5,
                zorder=1,
            )
            for colour, (name, label, marker) in zip(palette, SERIES, strict=False):
                values, lower, upper = (
                    np.array([row[f"{name}{end}"] for row in of_task]) for end in ("", "_lower", "_upper")
                )
                axes.errorbar(
                    values,
                    places,
                    xerr=np.maximum([values - lower, upper - values], 0.0),
                    fmt=marker,
                    color=colour,
                    markersize=10 if marker == "|" else 4,
                    markeredgewidth=2 if marker == "|" else 1,
                    elinewidth=0.9,
                    label=label,
                )
            axes.set_yticks(places, [row["quantizer"] for row in of_task], fontsize=7)
            axes.set_title(task)
            axes.set_xlim(left=0.0)
            axes.set_xlabel("advantage")
        for axes in list(grid.flat)[len(tasks) :]:
            axes.set_axis_off()
        figure.legend(*grid[0, 0].get_legend_handles_labels(), loc="outside lower center", ncols=len(SERIES))
    plt.close(figure)
    return figure
