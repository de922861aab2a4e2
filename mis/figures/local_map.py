"""Where local asymptotics hold, as a figure of attacked over predicted advantages."""

from collections.abc import Mapping, Sequence
from typing import Any

from mis.figures.drawing import Drawing, drawing, legend, shape
from mis.figures.style import Style, Width, inches, look, plain

__all__ = ["local_map"]

# Title and labels of the abscissa.
PANELS = {
    "examples": ("Few examples", "examples (21 weights)"),
    "angle": ("Flat Hessian", "angle between two units, degrees"),
    "activation": ("Activation", "activation"),
    "steps": ("Early stopping", "steps of gradient descent"),
}


def local_map(rows: Sequence[Mapping[str, Any]], *, width: Width = "double", style: Style = None) -> Drawing:
    """Draw the attack's advantage over the predicted one, with a band of plus or minus 10%.

    Below each place the share of refits that are not where the expansion has them: in another basin, or too far for it.
    Open symbols are predictions by the sandwich at a point that is no minimum, where the filled ones follow the path;
    a cross where there is no prediction, since the Hessian is indefinite.

    Parameters
    ----------
    rows
        ``panel, at, route, quantizer, predicted, advantage, lower, upper, away``; without ``predicted`` where theory
        refuses.
    width, style
        As of ``ranking_figure``.
    """
    names = list(dict.fromkeys(row["quantizer"] for row in rows))
    size = inches("local_map", width)
    lines, columns = shape(len(PANELS), size, 2.6)
    with drawing(size, 2.2 * lines + 0.3, style) as figure:
        grid = figure.subplots(lines, columns, sharey=True, squeeze=False)
        for axes, (panel, (title, label)) in zip(grid.flat, PANELS.items(), strict=True):
            _panel(axes, [row for row in rows if row["panel"] == panel], names)
            axes.set(title=title, xlabel=f"{label}\nand share of refits away")
        for axes in grid[:, 0]:
            axes.set_ylabel("advantage / predicted")
        legend(figure)
    figure.caption = (
        f"Membership advantage of the attack over that predicted by local asymptotics, for {len(names)} "
        "releases of small networks, with a band of plus or minus 10%. Percentages: refits that are not "
        "where the expansion has them. Open symbols: the sandwich at a point that is no minimum; filled "
        "ones follow the path; a cross where there is no prediction, since the Hessian is indefinite. "
        "Bars are 95% intervals, pointwise."
    )
    return figure


def _panel(axes: Any, shown: Sequence[Mapping[str, Any]], names: list[str]) -> None:
    places = list(dict.fromkeys(row["at"] for row in shown))
    routes = list(dict.fromkeys(row["route"] for row in shown))
    axes.axhspan(0.9, 1.1, color="0.92", zorder=0)
    axes.axhline(1, color="0.5", linewidth=0.8, zorder=0)
    for row in shown:
        which, route = names.index(row["quantizer"]), routes.index(row["route"])
        x = places.index(row["at"]) + 0.15 * (which - (len(names) - 1) / 2) + 0.06 * route
        marks = look(which, line=False) | {"markersize": 3.5}
        if "predicted" not in row:
            axes.plot([x], [0.1], **marks | {"marker": "x"})
            continue
        ratio, lower, upper = (row[name] / row["predicted"] for name in ("advantage", "lower", "upper"))
        axes.errorbar(
            [x],
            [ratio],
            yerr=[[ratio - lower], [upper - ratio]],
            elinewidth=0.8,
            markerfacecolor="white" if route else marks["color"],
            label=None if route else plain(row["quantizer"]),
            **marks,
        )
    away = [next(row["away"] for row in shown if row["at"] == at) for at in places]
    ticks = [at if isinstance(at, str) else f"{at:.0f}" for at in places]
    axes.set_xticks(
        range(len(places)), [f"{tick}\n{share:.0%}" for tick, share in zip(ticks, away, strict=True)]
    )
    axes.set(xlim=(-0.6, len(places) - 0.4), ylim=(0, 1.5))
    axes.grid(visible=False, axis="x")
