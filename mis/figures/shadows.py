"""What attacks reach with more shadow models, as a figure with the limits that few of them foretell."""

from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.lines import Line2D

from mis.figures.drawing import Drawing, drawing, legend, shape
from mis.figures.style import Style, Width, inches, look, plain

__all__ = ["shadows"]


def shadows(rows: Sequence[Mapping[str, Any]], *, width: Width = "double", style: Style = None) -> Drawing:
    """Draw the rows of the study ``shadows``, a panel a task.

    Points are attacks on networks they have not seen; lines what is expected of them, from the smallest number of
    networks alone; at the right the limit with its interval, and beside it as a bar the level predicted from the
    retained information.

    Parameters
    ----------
    rows
        ``task, quantizer, what, num_shadows, value, lower, upper``, with ``what`` one of ``attack``, ``expected``,
        ``limit``, ``predicted``, the last two without ``num_shadows``.
    width, style
        As of ``ranking_figure``.
    """
    tasks = list(dict.fromkeys(row["task"] for row in rows))
    names = list(dict.fromkeys(row["release"] for row in rows))
    last = max(int(row["num_shadows"]) for row in rows if row.get("num_shadows"))
    size = inches("shadows", width)
    lines, columns = shape(len(tasks), size, 2.6)
    with drawing(size, 2.7 * lines + 0.45, style) as figure:
        grid = figure.subplots(lines, columns, sharey=True, squeeze=False)
        for axes, task in zip(grid.flat, tasks, strict=False):
            for place, name in enumerate(names):
                own = [row for row in rows if row["task"] == task and row["release"] == name]
                _series(axes, own, place, 2 * last * 4 ** (place / max(len(names) - 1, 1)))
            axes.set_xscale("log")
            axes.set(title=plain(task), xlabel="shadow models", ylim=(0, None))
            decades = _decades(last)
            axes.set_xticks([*decades, 4 * last], [f"{n:,}" for n in decades] + ["\N{INFINITY}"])
            axes.minorticks_off()
        for axes in list(grid.flat)[len(tasks) :]:
            axes.set_axis_off()
        for axes in grid[:, 0]:
            axes.set_ylabel("advantage, linear attacks on weights")
        handles = {plain(name): Line2D([], [], **look(place)) for place, name in enumerate(names)}
        grey: dict[str, Any] = {"color": "0.3", "linestyle": ""}
        handles["limit"] = Line2D([], [], marker="*", markersize=6, **grey)
        handles["predicted"] = Line2D([], [], marker="_", markersize=9, **grey)
        legend(figure, handles)
    nums = [int(row["num_shadows"]) for row in rows if row["what"] == "attack"]
    figure.caption = (
        "Membership advantage of linear attacks on the released weights against the number of shadow "
        f"models, on {' and '.join(map(plain, tasks))}. Points are attacks with {min(nums):,} to "
        f"{max(nums):,} shadow models on networks they have not seen; lines what {min(nums):,} networks "
        "alone foretell; at the right (∞) the limit with its interval, and as a dash the level predicted "
        "from the information that the quantizer retains. Bars are 95% intervals, pointwise."
    )
    return figure


def _decades(last: int) -> list[int]:
    return [10**power for power in range(2, len(str(last)))]


def _series(axes: Any, rows: Sequence[Mapping[str, Any]], place: int, infinity: float) -> None:
    marks, dashes = look(place, line=False), look(place, marker=False)
    for row in rows:
        half = [[row["value"] - row["lower"]], [row["upper"] - row["value"]]]
        if row["what"] == "attack":
            axes.errorbar([row["num_shadows"]], [row["value"]], yerr=half, **marks)
        elif row["what"] == "limit":
            axes.errorbar([infinity], [row["value"]], yerr=half, **marks | {"marker": "*", "markersize": 6})
        elif row["what"] == "predicted":
            dash = marks | {"marker": "_", "markersize": 9}
            axes.plot([infinity], [row["value"]], markeredgewidth=1.6, **dash)
    expected = [row for row in rows if row["what"] == "expected"]
    axes.plot([row["num_shadows"] for row in expected], [row["value"] for row in expected], **dashes)
