"""Why sparsity can protect more than few bits do, as a figure of cell edges in the law of the weights."""

from collections.abc import Mapping, Sequence
from typing import Any

from mis.figures.drawing import Drawing, drawing, legend
from mis.figures.labels import label_points
from mis.figures.style import Style, Width, inches, look

__all__ = ["boundary"]


def boundary(rows: Sequence[Mapping[str, Any]], *, width: Width = "double", style: Style = None) -> Drawing:
    """Draw where quantizers have their edges, and what they leak against the share of weights they set to zero.

    Left or above, the density of the weights, one strip a quantizer: the weights that fluctuate across an edge are
    those in the coloured bands, and the bands' heights, added, are the boundary law. Right or below, certified
    advantages as points, the boundary law as lines: ternary quantizers against their zeros, the others as levels.

    Parameters
    ----------
    rows
        ``panel``: ``density`` with ``weights, weight, density``; ``edge`` with ``weights, quantizer, bits, edge,
        density, reach``; ``leak`` with ``weights, quantizer, bits, lower, upper, law`` and, on ternary ones, ``zeros``.
    width, style
        As of ``ranking_figure``.
    """
    edges = [row for row in rows if row["panel"] == "edge"]
    leaks = [row for row in rows if row["panel"] == "leak"]
    names = list(dict.fromkeys(row["quantizer"] for row in edges))
    laws = list(dict.fromkeys(row["weights"] for row in leaks))
    size = inches("boundary", width)
    beside = size > 5.0
    height = 3.4 if beside else 0.62 * len(names) + 0.3 + 2.6
    with drawing(size, height, style) as figure:
        if beside:
            parts: Any = figure.subfigures(1, 2, width_ratios=[1, 1.35])
        else:
            parts = figure.subfigures(2, 1, height_ratios=[0.62 * len(names) + 0.3, 2.6])
        one, other = parts
        strips = one.subplots(len(names), 1, sharex=True, sharey=True, squeeze=False)[:, 0]
        shown = [row for row in rows if row["panel"] == "density" and row["weights"] == edges[0]["weights"]]
        for axes, name in zip(strips, names, strict=True):
            own = [row for row in edges if row["quantizer"] == name]
            _strip(axes, shown, own, look(0)["color"])
            total = sum(row["density"] for row in own)
            plural = "edge" if len(own) == 1 else "edges"
            title = f"{name}, {_bits(own[0])}: {len(own)} {plural}, density {total:.2f}"
            axes.set_title(title, fontsize="small", pad=2)
        strips[-1].set_xlabel(f"weight ({edges[0]['weights']})")
        panels = other.subplots(1, len(laws), sharey=True, squeeze=False)[0]
        levels = []
        for axes, law in zip(panels, laws, strict=True):
            levels.append((axes, _against_zeros(axes, [row for row in leaks if row["weights"] == law])))
            axes.set(title=law, xlabel="share of weights at zero")
        panels[0].set_ylim(0, 1.08 * max(row["upper"] for row in leaks))
        panels[0].set_ylabel("advantage of best attack, certified")
        legend(figure)
        label_points(levels)
    figure.caption = (
        f"Left or above: density of {edges[0]['weights']}, with the edges of each quantizer's cells "
        "(lines) and the weights that fluctuate across them (bands). Right or below: certified "
        "membership advantage of the best attack against the share of weights that are set to zero, with "
        "what the boundary law says. Bars are certified bounds, not confidence intervals. Dashed levels: "
        + "; ".join(
            f"{row['quantizer']}, {_bits(row)}"
            for row in leaks
            if "zeros" not in row and row["weights"] == laws[0]
        )
        + "."
    )
    return figure


def _strip(
    axes: Any, density: Sequence[Mapping[str, Any]], edges: Sequence[Mapping[str, Any]], colour: Any
) -> None:
    weights, heights = [row["weight"] for row in density], [row["density"] for row in density]
    axes.fill_between(weights, heights, color="0.88", linewidth=0)
    for row in edges:
        within = [abs(weight - row["edge"]) <= row["reach"] for weight in weights]
        axes.fill_between(weights, heights, where=within, color=colour, alpha=0.6, linewidth=0)
        axes.plot([row["edge"]] * 2, [0, row["density"]], color=colour, linewidth=1.5)
    axes.set(xlim=(min(weights), max(weights)), ylim=(0, None), yticks=[])
    axes.grid(visible=False)
    axes.spines["left"].set_visible(False)


def _against_zeros(axes: Any, rows: Sequence[Mapping[str, Any]]) -> list[tuple[float, float, str]]:
    """Draw ternary quantizers as points and the others as levels; return where these are to be named."""
    ternary = sorted((row for row in rows if "zeros" in row), key=lambda row: row["zeros"])
    zeros = [row["zeros"] for row in ternary]
    marks = look(0, line=False)
    axes.plot(zeros, [row["law"] for row in ternary], color=marks["color"], label="ternary, boundary law")
    middle = [(row["lower"] + row["upper"]) / 2 for row in ternary]
    half = [(row["upper"] - row["lower"]) / 2 for row in ternary]
    axes.errorbar(zeros, middle, yerr=half, label="ternary, certified", **marks)
    levels = []
    for row in rows:
        if "zeros" not in row:
            level = (row["lower"] + row["upper"]) / 2
            axes.axhline(level, color="0.4", linestyle="--", linewidth=0.8, zorder=1)
            levels.append((0.0, level, f"{row['quantizer']}, {_bits(row)}"))
    axes.set_xlim(0, 1)
    return levels


def _bits(row: Mapping[str, Any]) -> str:
    return "1 bit" if row["bits"] == 1 else f"{row['bits']:.3g} bits"
