"""Function: where local asymptotics hold, as a figure of attacked over predicted advantages."""

from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib.pyplot as plt

from mis.figures.style import styled

__all__ = ["local_map"]

# Title and labels of the abscissa.
PANELS = {
    "examples": ("Few examples", "number of examples (21 weights)"),
    "angle": ("Flat Hessian", "angle between two units of the teacher, degrees"),
    "activation": ("Activation", "activation"),
    "steps": ("Early stopping", "steps of gradient descent"),
}
MARKERS = ["o", "s", "^", "D"]


def local_map(rows: Sequence[Mapping[str, Any]]) -> Any:
    """Draw the attack's advantage over the predicted one, with a band of plus or minus 10%.

    Along the bottom the share of refits that are not where the expansion has them: in another basin, or too far for it.
    Open symbols are predictions by the sandwich at a point that is no minimum, where the filled ones follow the path;
    a cross where there is no prediction, since the Hessian is indefinite.

    Parameters
    ----------
    rows
        ``panel, at, route, quantizer, predicted, advantage, lower, upper, away``; without ``predicted`` where theory
        refuses.

    Returns
    -------
    matplotlib.figure.Figure
    """
    with styled():
        figure, grid = plt.subplots(2, 2, figsize=(8.6, 6.2), layout="constrained", sharey=True)
        colours = plt.rcParams["axes.prop_cycle"].by_key()["color"]
        names = list(dict.fromkeys(row["quantizer"] for row in rows))
        for axes, (panel, (title, label)) in zip(grid.flat, PANELS.items(), strict=True):
            shown = [row for row in rows if row["panel"] == panel]
            places = list(dict.fromkeys(row["at"] for row in shown))
            axes.axhspan(0.9, 1.1, color="0.92", zorder=0)
            axes.axhline(1, color="0.5", linewidth=0.8, zorder=0)
            routes = list(dict.fromkeys(row["route"] for row in shown))
            for row in shown:
                which, route = names.index(row["quantizer"]), routes.index(row["route"])
                x = places.index(row["at"]) + 0.15 * (which - (len(names) - 1) / 2) + 0.06 * route
                colour = colours[which]
                if "predicted" not in row:
                    axes.plot([x], [0.12], "x", color=colour, markersize=4)
                    continue
                ratio, lower, upper = (
                    row[name] / row["predicted"] for name in ("advantage", "lower", "upper")
                )
                axes.errorbar(
                    [x],
                    [ratio],
                    yerr=[[ratio - lower], [upper - ratio]],
                    fmt=MARKERS[which],
                    color=colour,
                    markersize=4,
                    elinewidth=0.8,
                    markerfacecolor="white" if route else colour,
                    label=row["quantizer"] if row["at"] == places[0] and not route else None,
                )
            for place, at in enumerate(places):
                away = next(row["away"] for row in shown if row["at"] == at)
                text = f"{away:.0%}" if place else f"away: {away:.0%}"
                axes.text(place, 0.02, text, ha="center", color="0.4", fontsize=7)
            axes.set_xticks(range(len(places)), [at if isinstance(at, str) else f"{at:.0f}" for at in places])
            axes.set(title=title, xlabel=label, xlim=(-0.6, len(places) - 0.4), ylim=(0, 1.5))
            axes.grid(visible=False, axis="x")
        for axes in grid[:, 0]:
            axes.set_ylabel("advantage of the attack / predicted")
        grid[0, 0].legend(loc="upper left", ncols=2)
    plt.close(figure)
    return figure
