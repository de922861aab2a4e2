"""Function: what attacks reach with more shadow models, as a figure with the limits that few of them foretell."""

from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib.pyplot as plt

from mis.figures.style import styled

__all__ = ["shadows"]


def shadows(rows: Sequence[Mapping[str, Any]]) -> Any:
    """Draw the rows of the study ``shadows``, a panel a task.

    Points are attacks on networks they have not seen; lines what is expected of them, from the smallest number of
    networks alone; at the right the limit with its interval, and beside it as a bar the level predicted from the
    retained information.

    Parameters
    ----------
    rows
        ``task, quantizer, what, num_shadows, value, lower, upper``, with ``what`` one of ``attack``, ``expected``,
        ``limit``, ``predicted``, the last two without ``num_shadows``.

    Returns
    -------
    matplotlib.figure.Figure
    """
    tasks = list(dict.fromkeys(row["task"] for row in rows))
    names = list(dict.fromkeys(row["quantizer"] for row in rows))
    last = max(row["num_shadows"] for row in rows if row.get("num_shadows"))
    with styled():
        figure, panels = plt.subplots(
            1,
            len(tasks),
            figsize=(4.4 * len(tasks) + 0.6, 4.4),
            layout="constrained",
            sharey=True,
            squeeze=False,
        )
        cycle = plt.rcParams["axes.prop_cycle"].by_key()["color"]
        for axes, task in zip(panels[0], tasks, strict=True):
            for place, name in enumerate(names):
                own = [row for row in rows if row["task"] == task and row["quantizer"] == name]
                _series(
                    axes, own, cycle[place % len(cycle)], 2 * last * 4 ** (place / max(len(names) - 1, 1))
                )
            axes.set_xscale("log")
            axes.set(title=task, xlabel="shadow models", ylim=(0, None))
            axes.set_xticks(
                [*_decades(last), 4 * last], [f"{n:,}" for n in _decades(last)] + ["\N{INFINITY}"]
            )
            axes.minorticks_off()
        panels[0][0].set_ylabel("advantage of linear attacks on the weights")
        handles = [
            plt.Line2D([], [], color=cycle[place % len(cycle)], marker="o", label=name, markersize=4)
            for place, name in enumerate(names)
        ]
        handles += [
            plt.Line2D([], [], color="0.3", marker="D", linestyle="", markersize=4, label="limit"),
            plt.Line2D([], [], color="0.3", marker="_", linestyle="", markersize=9, label="predicted"),
        ]
        figure.legend(handles=handles, loc="outside lower center", ncols=5)
    plt.close(figure)
    return figure


def _decades(last: int) -> list[int]:
    return [10**power for power in range(2, len(str(last)))]


def _series(axes: Any, rows: Sequence[Mapping[str, Any]], colour: str, infinity: float):
    for row in rows:
        half = [[row["value"] - row["lower"]], [row["upper"] - row["value"]]]
        if row["what"] == "attack":
            axes.errorbar(
                [row["num_shadows"]], [row["value"]], yerr=half, fmt="o", color=colour, markersize=4
            )
        elif row["what"] == "limit":
            axes.errorbar([infinity], [row["value"]], yerr=half, fmt="D", color=colour, markersize=4)
        elif row["what"] == "predicted":
            axes.plot([infinity], [row["value"]], "_", color=colour, markersize=10, markeredgewidth=2)
    expected = [row for row in rows if row["what"] == "expected"]
    axes.plot([row["num_shadows"] for row in expected], [row["value"] for row in expected], color=colour)
