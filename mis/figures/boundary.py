"""Function: why sparsity can protect more than few bits do, as a figure of cell edges in the law of the weights."""

from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib.pyplot as plt

from mis.figures.style import styled

__all__ = ["boundary"]


def boundary(
    density: Sequence[Mapping[str, float]],
    edges: Sequence[Mapping[str, Any]],
    leakage: Sequence[Mapping[str, Any]],
) -> Any:
    """Draw where quantizers have their edges, and what they leak against the share of weights they zero.

    Left, the density of the weights with a stem at each edge, as high as the density there: a quantizer leaks by the
    sum of its stems. Right, the boundary law as a line through the quantizers with a share of zeros, as a level for
    the others, and the retained information as points.

    Parameters
    ----------
    density
        ``weight, density``, in the order of the weight.
    edges
        ``quantizer, edge, density``, one row an edge.
    leakage
        ``quantizer, zeros, predicted, retained``; ``zeros`` is None where the share of zeros is not chosen.

    Returns
    -------
    matplotlib.figure.Figure
    """
    with styled():
        figure, (left, right) = plt.subplots(1, 2, figsize=(8.4, 3.6), layout="constrained")
        weights, heights = [row["weight"] for row in density], [row["density"] for row in density]
        left.fill_between(weights, heights, color="0.85", linewidth=0)
        # By value: a name like "C0" is looked up when the figure is drawn, outside the style.
        colours = plt.rcParams["axes.prop_cycle"].by_key()["color"]
        for i, name in enumerate(dict.fromkeys(row["quantizer"] for row in edges)):
            own = [row for row in edges if row["quantizer"] == name]
            at, height = [row["edge"] for row in own], [row["density"] for row in own]
            colour = colours[i % len(colours)]
            left.vlines(at, 0, height, color=colour, linewidth=2, label=name)
            left.plot(at, height, "os^Dv"[i % 5], color=colour, markersize=4)
        left.set(xlabel="weight", ylabel="density of the weights", ylim=(0, None))
        left.legend(title="cell edges of")
        line = sorted((row for row in leakage if row["zeros"] is not None), key=lambda row: row["zeros"])
        zeros = [row["zeros"] for row in line]
        right.plot(zeros, [row["predicted"] for row in line], color="0.3", label="ternary, boundary law")
        right.plot(zeros, [row["retained"] for row in line], "o", color="0.3", markersize=4, label="ternary")
        for row in (row for row in leakage if row["zeros"] is None):
            right.axhline(row["predicted"], color="0.6", linestyle="--", linewidth=1)
            right.plot([0.02], [row["retained"]], "s", color="0.3", markersize=4)
            right.annotate(
                row["quantizer"], (0.98, row["predicted"]), (0, 2), textcoords="offset points", ha="right"
            )
        right.set(xlabel="share of weights set to zero", ylabel="share of information retained")
        right.set(xlim=(0, 1), ylim=(0, None))
        right.legend(loc="lower left")
    plt.close(figure)
    return figure
