"""The sandwich on networks, a panel a task: black box, strongest attack, predicted level."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from mis.figures.drawing import Drawing, drawing, legend, shape
from mis.figures.style import Style, Width, inches, look, plain

__all__ = ["sandwich"]

SERIES = (("lira", "black box (LiRA)"), ("advantage", "strongest attack"), ("predicted", "predicted"))


def sandwich(rows: Sequence[Mapping[str, Any]], *, width: Width = "double", style: Style = None) -> Drawing:
    """Draw the rows of the study ``sandwich``: for each task and quantizer what is seen, found and predicted.

    Parameters
    ----------
    rows
        With ``label``, ``quantizer`` and ``lira``, ``advantage``, ``predicted`` with their ends.
    width, style
        As of ``ranking_figure``.
    """
    tasks = list(dict.fromkeys(row["label"] for row in rows))
    size = inches("sandwich", width)
    lines, columns = shape(len(tasks), size, 1.65)
    most = max(sum(row["label"] == task for row in rows) for task in tasks)
    with drawing(size, (0.65 + 0.13 * most) * lines + 0.25, style) as figure:
        grid = figure.subplots(lines, columns, squeeze=False)
        for axes, task in zip(grid.flat, tasks, strict=False):
            of_task = sorted((row for row in rows if row["label"] == task), key=lambda row: row["advantage"])
            places = np.arange(len(of_task))
            ends = [[row[name] for row in of_task] for name in ("lira", "advantage")]
            axes.hlines(places, *ends, color="0.8", linewidth=2.5, zorder=1)
            for place, (name, label) in enumerate(SERIES):
                values, lower, upper = (
                    np.array([row[f"{name}{end}"] for row in of_task]) for end in ("", "_lower", "_upper")
                )
                bars = np.maximum([values - lower, upper - values], 0.0)
                marks = look(place, line=False)
                if name == "predicted":
                    marks |= {"marker": "|", "markersize": 8, "markeredgewidth": 1.6}
                axes.errorbar(values, places, xerr=bars, elinewidth=0.8, label=label, **marks)
            axes.set_yticks(places, [plain(row["release"]) for row in of_task])
            axes.set_title(plain(task))
            axes.set_xlim(left=min(0.0, *(row[f"{name}_lower"] for row in of_task for name, _ in SERIES)))
        for axes in list(grid.flat)[len(tasks) :]:
            axes.set_axis_off()
        for axes in (
            grid[-1] if len(tasks) == grid.size else list(grid.flat)[len(tasks) - columns : len(tasks)]
        ):
            axes.set_xlabel("advantage")
        legend(figure)
    figure.caption = (
        f"Membership advantage on {len(tasks)} tasks, a line a release: what black boxes see (LiRA on "
        "outputs), what the strongest attack finds, and the level that the information the quantizer "
        "retains predicts from full precision. Bars are 95% intervals, pointwise."
    )
    return figure
