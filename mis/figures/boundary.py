"""Function: why sparsity can protect more than few bits do, as a figure of cell edges in the law of the weights."""

from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib.pyplot as plt

from mis.figures.style import styled

__all__ = ["boundary"]


def boundary(rows: Sequence[Mapping[str, Any]]) -> Any:
    """Draw where quantizers have their edges, and what they leak against the share of weights they set to zero.

    Left, the density of the weights, one strip a quantizer: the weights that fluctuate across an edge are those in the
    coloured bands, and the bands' heights, added, are the boundary law. Right, certified advantages as points, the
    boundary law as lines: ternary quantizers against their zeros, the others as levels.

    Parameters
    ----------
    rows
        ``panel``: ``density`` with ``weights, weight, density``; ``edge`` with ``weights, quantizer, bits, edge,
        density, reach``; ``leak`` with ``weights, quantizer, bits, lower, upper, law`` and, on ternary ones, ``zeros``.

    Returns
    -------
    matplotlib.figure.Figure
    """
    edges = [row for row in rows if row["panel"] == "edge"]
    names = list(dict.fromkeys(row["quantizer"] for row in edges))
    laws = list(dict.fromkeys(row["weights"] for row in rows if row["panel"] == "leak"))
    with styled():
        figure = plt.figure(figsize=(8.6, 4.4), layout="constrained")
        # By value: a name like "C0" is looked up when the figure is drawn, outside the style.
        colours = plt.rcParams["axes.prop_cycle"].by_key()["color"]
        left, right = figure.subfigures(1, 2, squeeze=False, width_ratios=[1, 1.35])[0]
        strips = left.subplots(len(names), 1, sharex=True, sharey=True, squeeze=False)[:, 0]
        shown = [row for row in rows if row["panel"] == "density" and row["weights"] == edges[0]["weights"]]
        for axes, name in zip(strips, names, strict=True):
            own = [row for row in edges if row["quantizer"] == name]
            _strip(axes, shown, own, colours[0])
            total = sum(row["density"] for row in own)
            plural = "edge" if len(own) == 1 else "edges"
            axes.set_title(f"{name}, {_bits(own[0])}: {len(own)} {plural}, density {total:.2f}")
        strips[-1].set_xlabel(f"weight ({edges[0]['weights']})")
        panels = right.subplots(1, len(laws), sharey=True, squeeze=False)[0]
        for axes, law, colour in zip(panels, laws, colours, strict=False):
            _against_zeros(axes, [r for r in rows if r["panel"] == "leak" and r["weights"] == law], colour)
            axes.set(title=law, xlabel="share of weights set to zero")
        panels[0].set_ylim(0, 1.08 * max(row["upper"] for row in rows if row["panel"] == "leak"))
        panels[0].set_ylabel("advantage of the best attack, certified")
        panels[0].legend(loc="lower left")
    plt.close(figure)
    return figure


def _strip(axes: Any, density: Sequence[Mapping[str, Any]], edges: Sequence[Mapping[str, Any]], colour: Any):
    weights, heights = [row["weight"] for row in density], [row["density"] for row in density]
    axes.fill_between(weights, heights, color="0.88", linewidth=0)
    for row in edges:
        within = [abs(weight - row["edge"]) <= row["reach"] for weight in weights]
        axes.fill_between(weights, heights, where=within, color=colour, alpha=0.6, linewidth=0)
        axes.plot([row["edge"]] * 2, [0, row["density"]], color=colour, linewidth=1.5)
    axes.set(xlim=(min(weights), max(weights)), ylim=(0, None), yticks=[])
    axes.grid(visible=False)
    axes.spines["left"].set_visible(False)


def _against_zeros(axes: Any, rows: Sequence[Mapping[str, Any]], colour: Any):
    ternary = sorted((row for row in rows if "zeros" in row), key=lambda row: row["zeros"])
    zeros = [row["zeros"] for row in ternary]
    axes.plot(zeros, [row["law"] for row in ternary], color=colour, label="ternary, boundary law")
    middle = [(row["lower"] + row["upper"]) / 2 for row in ternary]
    half = [(row["upper"] - row["lower"]) / 2 for row in ternary]
    axes.errorbar(zeros, middle, yerr=half, fmt="o", color=colour, markersize=4, label="ternary, certified")
    for row in rows:
        if "zeros" in row:
            continue
        level = (row["lower"] + row["upper"]) / 2
        axes.axhline(level, color="0.4", linestyle="--", linewidth=0.9, zorder=1)
        text = f"{row['quantizer']}, {_bits(row)}"
        axes.annotate(text, (0.0, level), (3, 2), textcoords="offset points", fontsize=7.5)
    axes.set_xlim(0, 1)


def _bits(row: Mapping[str, Any]) -> str:
    return "1 bit" if row["bits"] == 1 else f"{row['bits']:.3g} bits"
