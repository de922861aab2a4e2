"""Figures of published works done again on released networks: what attackers find, and the price of privacy."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from mis.figures.drawing import Drawing, drawing, legend, logarithmic, shape
from mis.figures.labels import label_points
from mis.figures.style import Style, Width, inches, look, plain

__all__ = ["attackers", "tradeoffs"]


def attackers(
    panels: Mapping[str, Sequence[Mapping[str, Any]]],
    series: Mapping[str, str],
    *,
    axis: str,
    caption: str,
    start: float = 0.0,
    width: Width = "double",
    style: Style = None,
) -> Drawing:
    """Draw what several attackers find in each release, a panel a task, a line a release, in the order of the rows.

    Parameters
    ----------
    panels
        By title rows with ``release`` and the columns, each with ``_lower`` and ``_upper`` beside it; None is left out.
    series
        Columns, and what the legend calls them.
    axis, caption
        What the columns measure; what the figure shows.
    start
        Where the axis starts: what guessing reaches.
    width, style
        As of ``ranking_figure``.
    """
    size = inches("attackers", width)
    lines, columns = shape(len(panels), size, 2.6)
    most = max(len(rows) for rows in panels.values())
    with drawing(size, (0.75 + 0.17 * most) * lines + 0.3, style) as figure:
        grid = figure.subplots(lines, columns, squeeze=False)
        for axes, (title, rows) in zip(grid.flat, panels.items(), strict=False):
            places = np.arange(len(rows))[::-1]
            found = [[row[name] for name in series if row.get(name) is not None] for row in rows]
            spans = [(place, min(v), max(v)) for place, v in zip(places, found, strict=True) if v]
            if spans:
                axes.hlines(*zip(*spans, strict=True), color="0.85", linewidth=2.5, zorder=1)
            for number, (name, label) in enumerate(series.items()):
                shown = [(p, row) for p, row in zip(places, rows, strict=True) if row.get(name) is not None]
                ends = np.array(
                    [[row[f"{name}{end}"] for end in ("_lower", "", "_upper")] for _, row in shown]
                )
                if not len(ends):
                    continue
                lower, value, upper = ends.T
                bars = np.maximum([value - lower, upper - value], 0.0)
                at = [place for place, _ in shown]
                axes.errorbar(value, at, xerr=bars, elinewidth=0.8, label=label, **look(number, line=False))
            axes.set_yticks(places, [plain(row["release"]) for row in rows])
            axes.set_title(plain(title))
            axes.set_xlabel(axis)
            axes.set_xlim(left=min(start, axes.get_xlim()[0]))
            axes.set_ylim(-0.6, len(rows) - 0.4)
            axes.axvline(start, color="0.6", linewidth=0.8, zorder=0)
        for axes in list(grid.flat)[len(panels) :]:
            axes.set_axis_off()
        legend(figure)
    figure.caption = caption
    return figure


def tradeoffs(
    panels: Mapping[str, Mapping[str, Sequence[Mapping[str, Any]]]],
    *,
    axes_labels: Mapping[str, tuple[str, str]],
    caption: str,
    joined: bool = True,
    scale: str = "linear",
    width: Width = "double",
    style: Style = None,
) -> Drawing:
    """Draw privacy against performance, theirs and ours in panels of their own.

    Parameters
    ----------
    panels
        By title, by series: points with ``x``, ``y``, ``label`` (may be empty) and, where there are intervals,
        ``x_lower``, ``x_upper``, ``y_lower`` and ``y_upper``.
    axes_labels
        By title what the two axes are.
    caption
        What the figure shows.
    joined
        Whether a line leads through the points of a series.
    scale
        Of the vertical axis: ``linear`` or ``log``.
    width, style
        As of ``ranking_figure``.
    """
    size = inches("tradeoffs", width)
    lines, columns = shape(len(panels), size, 2.3)
    names = list(dict.fromkeys(name for series in panels.values() for name in series))
    with drawing(size, 2.7 * lines + 0.3, style) as figure:
        grid = figure.subplots(lines, columns, squeeze=False)
        points = []
        for axes, (title, series) in zip(grid.flat, panels.items(), strict=False):
            for name, of_series in series.items():
                if not of_series:
                    continue
                x, y = ([one[which] for one in of_series] for which in "xy")
                bars: dict[str, Any] = {
                    f"{which}err": [
                        [one[which] - one.get(f"{which}_lower", one[which]) for one in of_series],
                        [one.get(f"{which}_upper", one[which]) - one[which] for one in of_series],
                    ]
                    for which in "xy"
                }
                bars = {which: np.maximum(ends, 0.0) for which, ends in bars.items()}
                looks = look(names.index(name), line=joined and len(of_series) > 1)
                axes.errorbar(x, y, **bars, elinewidth=0.8, label=plain(name), **looks)
            if scale == "log":
                axes.set_yscale("log")
                logarithmic(axes.yaxis)
            across, up = axes_labels[title]
            axes.set(xlabel=across, ylabel=up)
            axes.set_title(plain(title))
            axes.margins(x=0.15, y=0.15)
            named = [one for of_series in series.values() for one in of_series if one.get("label")]
            points.append((axes, [(one["x"], one["y"], one["label"]) for one in named]))
        for axes in list(grid.flat)[len(panels) :]:
            axes.set_axis_off()
        legend(figure)
        points = [panel for panel in points if panel[1]]
        missing = label_points(points) if points else []
    figure.caption = caption + (
        f" Without room for a label: {', '.join(map(plain, missing))}." if missing else ""
    )
    return figure
