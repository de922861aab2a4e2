"""Functions: the figures of the theory, one for each notebook. Rows in, figure out; nothing is computed here."""

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import matplotlib
import matplotlib.pyplot as plt

from mis.figures.style import STYLE, label_points, styled

__all__ = [
    "certified_bands",
    "delta_against_n",
    "edge_leakage",
    "exact_cases",
    "indicators",
    "limits",
    "optimal_rocs",
    "predicted_against_empirical",
    "rare_events",
]

Rows = Sequence[Mapping[str, Any]]

# The style's, by value: a name like "C0" is looked up when the figure is drawn, outside the style.
COLOURS = matplotlib.rc_params_from_file(STYLE, use_default_template=False)["axes.prop_cycle"].by_key()[
    "color"
]
# Beside colour, so that lines and points can be told apart without it.
DASHES = ["-", "--", "-.", ":", (0, (5, 1, 1, 1, 1, 1)), (0, (1, 1)), (0, (8, 2))]
ROUND = [digit * 10.0**-k for k in range(6, -1, -1) for digit in (1, 2, 5)]
MARKERS = ["o", "s", "^", "D", "v", "P", "X"]


def optimal_rocs(rows: Rows) -> Any:
    """Draw optimal ROCs on logarithmic axes, each between its bounds.

    Parameters
    ----------
    rows
        ``release, fpr, lower, upper``.
    """
    smallest = min(row["fpr"] for row in rows)
    with styled():
        figure, axes = plt.subplots(figsize=(4.6, 4.0), layout="constrained")
        for i, (release, group) in enumerate(_groups(rows, "release")):
            fprs, lower, upper = _columns(group, "fpr", "lower", "upper")
            axes.fill_between(fprs, lower, upper, alpha=0.3, linewidth=0, color=COLOURS[i])
            axes.plot(fprs, lower, linestyle=DASHES[i], color=COLOURS[i], label=release)
        axes.plot([smallest, 1], [smallest, 1], linewidth=0.8, color="0.5", label="guessing")
        axes.set(xscale="log", yscale="log", xlim=(smallest, 1), ylim=(smallest, 1.1))
        axes.set(xlabel="false positive rate", ylabel="true positive rate of the best attack")
        axes.legend(loc="lower right")
    return _closed(figure)


def exact_cases(rows: Rows) -> Any:
    """Draw exact advantages against n: powers of n are straight lines, exponentials fall away from them.

    Parameters
    ----------
    rows
        ``law, n, value``.
    """
    with styled():
        figure, axes = plt.subplots(figsize=(5.4, 3.6), layout="constrained")
        for i, (law, group) in enumerate(_groups(rows, "law")):
            ns, values = _columns(group, "n", "value")
            style = {"color": COLOURS[i], "linestyle": DASHES[i], "marker": MARKERS[i]}
            axes.plot(ns, values, markersize=3, label=law, **style)
        axes.set(xscale="log", yscale="log", ylim=(1e-6, 1.2))
        axes.set(xlabel="n", ylabel=r"exact advantage $\Delta_n$")
        axes.legend(loc="lower left")
    return _closed(figure)


def delta_against_n(rows: Rows) -> Any:
    """Draw every route to the advantage against n, and below the relative error of each.

    Parameters
    ----------
    rows
        ``law, route, n, lower, value, upper, error``; routes ``exact``, ``first order``, ``sharp``,
        ``saddlepoint`` and ``simulated``.
    """
    looks = {
        "exact": {"color": "k", "linewidth": 1.0},
        "first order": {"color": COLOURS[1], "linestyle": "--"},
        "sharp": {"color": COLOURS[0], "linestyle": "-."},
        "saddlepoint": {"color": COLOURS[2], "linestyle": ":", "linewidth": 2.2},
        "simulated": {"color": COLOURS[3], "linestyle": "none", "marker": "o", "markersize": 4},
    }
    laws = list(_groups(rows, "law"))
    with styled():
        figure, grid = plt.subplots(2, len(laws), figsize=(3.8 * len(laws), 5.6), squeeze=False)
        for (top, bottom), (law, group) in zip(grid.T, laws, strict=True):
            for route, line in _groups(group, "route"):
                ns, lower, values, upper, errors = _columns(line, "n", "lower", "value", "upper", "error")
                if route == "simulated":
                    top.errorbar(ns, values, yerr=_bars(lower, values, upper), label=route, **looks[route])
                else:
                    top.plot(ns, values, label=route, **looks[route])
                if route != "exact":
                    bottom.plot(ns, errors, label=route, **looks[route])
            top.set(yscale="log", title=law, xlabel="n", yticks=[10.0**-k for k in range(0, 101, 20)])
            bottom.set(xscale="log", yscale="log", xlabel="n", ylim=(1e-6, 1e3))
        grid[0, 0].set_ylabel(r"advantage $\Delta_n$")
        grid[1, 0].set_ylabel("relative error")
        grid[0, 0].legend(loc="lower left")
    return _closed(figure)


def rare_events(rows: Rows) -> Any:
    """Draw simulated over exact advantage against the exact one: tilted sampling beside plain Monte Carlo.

    Parameters
    ----------
    rows
        ``law, method, exact, ratio, lower, upper``; methods ``tilted`` and ``plain``. Plain Monte Carlo that
        saw nothing has ratio 0.
    """
    with styled():
        figure, axes = plt.subplots(figsize=(5.8, 3.4), layout="constrained")
        for i, (law, group) in enumerate(_groups(rows, "law")):
            for method, points in _groups(group, "method"):
                exact, lower, ratio, upper = _columns(points, "exact", "lower", "ratio", "upper")
                tilted = method == "tilted"
                axes.errorbar(
                    exact,
                    ratio,
                    yerr=_bars(lower, ratio, upper),
                    fmt=MARKERS[i],
                    markersize=4,
                    elinewidth=1.0 if tilted else 0.6,
                    color=COLOURS[i],
                    markerfacecolor=COLOURS[i] if tilted else "white",
                    label=f"{law}, {method}",
                )
        axes.axhline(1, color="0.5", linewidth=0.8, zorder=0)
        axes.set(xscale="log", ylim=(-0.1, 2.1), xticks=[10.0**-k for k in range(0, 101, 20)])
        axes.invert_xaxis()
        axes.set(xlabel=r"exact advantage $\Delta_n$", ylabel="simulated / exact, 95%")
        axes.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=2)
    return _closed(figure)


def edge_leakage(rows: Rows) -> Any:
    """Draw what leaks against the distance to a cell edge, and what a quantizer retains against edge density.

    Parameters
    ----------
    rows
        ``panel``: ``distance`` with ``label, distance, value`` (distance 0 on an edge), or
        ``density`` with ``quantizer, weights, density, retained, law`` (``law`` what the boundary law says).
    """
    distance = [row for row in rows if row["panel"] == "distance"]
    density = [row for row in rows if row["panel"] == "density"]
    with styled():
        figure, (left, right) = plt.subplots(1, 2, figsize=(8.6, 3.7), layout="constrained")
        for i, (label, group) in enumerate(_groups(distance, "label")):
            xs, values = _columns(group, "distance", "value")
            left.plot(xs, values, color=COLOURS[i], linestyle=DASHES[i], label=label)
        left.set(
            yscale="log",
            ylim=(1e-45, 1),
            xlabel="distance to the nearest edge, sd of an example",
        )
        left.set(ylabel=r"advantage $\Delta_n$, one coordinate", title="A weight leaks if it is near an edge")
        left.legend(loc="lower right", frameon=True, framealpha=1, edgecolor="none")

        for i, (weights, group) in enumerate(_groups(density, "weights")):
            xs, ys = _columns(group, "density", "retained")
            right.plot(xs, ys, MARKERS[i], color=COLOURS[i], label=weights)
        line = sorted((row["density"], row["law"]) for row in density)
        right.plot(*zip(*line, strict=True), color="0.5", linewidth=0.8, zorder=0, label="boundary law")
        right.set(xscale="log", yscale="log")
        right.set(
            xlabel="density of weights at the edges, summed over edges",
            ylabel=r"information retained $\bar J$",
        )
        right.set_title("What a quantizer retains is that density")
        right.legend(loc="upper left")
        right.margins(x=0.15)
        figure.draw_without_rendering()
        label_points(right, *_columns(density, "density", "retained", "quantizer"))
    return _closed(figure)


def certified_bands(rows: Rows) -> Any:
    """Draw certified bounds on the advantage against dimension and against bits.

    Parameters
    ----------
    rows
        ``panel, release, x, lower, upper``; panel ``dimension`` (x the dimension) or ``bits`` (x the bits).
    """
    panels = {"dimension": "A mean on a grid", "bits": "Every weight in a cell of its own"}
    with styled():
        figure, grid = plt.subplots(1, 2, figsize=(8.6, 3.7), layout="constrained")
        for axes, (panel, title) in zip(grid, panels.items(), strict=True):
            shown = [row for row in rows if row["panel"] == panel]
            for i, (release, group) in enumerate(_groups(shown, "release")):
                xs, lower, upper = _columns(group, "x", "lower", "upper")
                style = {"color": COLOURS[i], "label": release}
                if len(xs) == 1:
                    middle = (lower[0] + upper[0]) / 2
                    bars = _bars(lower, [middle], upper)
                    axes.errorbar(xs, [middle], yerr=bars, fmt=MARKERS[i], **style)
                else:
                    axes.fill_between(xs, lower, upper, alpha=0.35, linewidth=0, color=COLOURS[i])
                    axes.plot(xs, lower, linestyle=DASHES[i], **style)
                    axes.plot(xs, upper, linestyle=DASHES[i], color=COLOURS[i])
            axes.set_title(title)
            axes.legend(loc="best")
        grid[0].set(
            xscale="log", xlabel="dimension", ylabel=r"advantage $\Delta_n$, certified", ylim=(0, 1.02)
        )
        grid[1].set(xlabel="bits per weight", ylim=(0, None))
    return _closed(figure)


def predicted_against_empirical(rows: Rows) -> Any:
    """Draw the advantage that an attack reached against the one predicted, with the band of plus or minus 10%.

    Parameters
    ----------
    rows
        ``model, n, quantizer, predicted, advantage, lower, upper``; not drawn where either advantage is below 0.001.
    """
    rows = [row for row in rows if min(row["predicted"], row["advantage"]) > 1e-3]
    models = list(_groups(rows, "model"))
    shape = (1, len(models)) if len(models) < 4 else (math.ceil(len(models) / 2), 2)
    with styled():
        figure, grid = plt.subplots(
            *shape, figsize=(3.9 * shape[1], 3.9 * shape[0]), layout="constrained", squeeze=False
        )
        for axes, (model, points) in zip(grid.flat, models, strict=False):
            for i, (n, group) in enumerate(_groups(points, "n")):
                xs, lower, ys, upper = _columns(group, "predicted", "lower", "advantage", "upper")
                bars = _bars(lower, ys, upper)
                axes.errorbar(
                    xs, ys, yerr=bars, fmt=MARKERS[i], color=COLOURS[i], markersize=4, label=f"n = {n}"
                )
            low = 0.8 * min(min(row["predicted"], row["advantage"]) for row in points)
            high = 1.2 * max(max(row["predicted"], row["advantage"]) for row in points)
            axes.fill_between(
                [low, high], [0.9 * low, 0.9 * high], [1.1 * low, 1.1 * high], color="0.92", zorder=0
            )
            axes.plot([low, high], [low, high], color="0.5", linewidth=0.8, zorder=0)
            axes.set(xscale="log", yscale="log", xlim=(low, high), ylim=(low, high), title=model)
            shown = [tick for tick in ROUND if low <= tick <= high]
            for axis in (axes.xaxis, axes.yaxis):
                axis.set_ticks(shown, [f"{tick:g}" for tick in shown])
                axis.set_ticks([], minor=True)
            axes.set_xlabel("predicted advantage")
            axes.legend(loc="upper left")
        for axes in grid[:, 0]:
            axes.set_ylabel("advantage of the attack, 95%")
    return _closed(figure)


def indicators(rows: Rows, agreement: Rows) -> Any:
    """Draw the advantage of the strongest attack against every indicator of it.

    Parameters
    ----------
    rows
        As those of a ranking, with ``task``.
    agreement
        As ``Ranking.agreement()`` returns it, with ``task``; the taus that condition on nothing are shown.
    """
    panels = {
        "indicator_naive": "$r_Q$, plain minimum",
        "indicator": "$r_Q$, cross-fitted",
        "retained": r"$\bar J$ from one run",
        "predicted": r"level predicted from $\bar J$",
        "weight_error": "relative weight error",
        "code_entropy": "entropy of the codes, bits",
    }
    with styled():
        figure, grid = plt.subplots(2, 3, figsize=(9.6, 6.0), layout="constrained", sharey=True)
        for axes, (column, title) in zip(grid.flat, panels.items(), strict=True):
            taus = []
            for i, (task, group) in enumerate(_groups(rows, "task")):
                shown = [r for r in group if r[column] is not None and r["quantizer"] != "full"]
                xs, ys = _columns(shown, column, "advantage")
                bars = _bars(*_columns(shown, "advantage_lower", "advantage", "advantage_upper"))
                style = {"fmt": MARKERS[i], "color": COLOURS[i], "markersize": 3.5, "elinewidth": 0.8}
                sides = None
                if f"{column}_lower" in group[0]:
                    sides = _bars(*_columns(shown, f"{column}_lower", column, f"{column}_upper"))
                axes.errorbar(xs, ys, xerr=sides, yerr=bars, label=task, **style)
                taus += [
                    rf"{task}: $\tau$ = {found['tau']:.2f}"
                    for found in agreement
                    if found["task"] == task and found["indicator"] == column and not found["given"]
                ]
            axes.set_title("\n".join(taus), fontsize=8)
            axes.set_xlabel(title)
            if column in ("retained", "weight_error"):
                axes.set_xscale("log")
        grid[1, 0].plot([0, 1], [0, 1], color="0.5", linewidth=0.8, zorder=0)
        for axes in grid[:, 0]:
            axes.set_ylabel("advantage of the strongest attack")
        grid[0, 0].legend(loc="best")
    return _closed(figure)


def limits(rows: Rows) -> Any:
    """Draw the largest advantage that any learner can leave, its bound and its asymptote, against n.

    Parameters
    ----------
    rows
        ``population, n, value, bound, asymptote``.
    """
    with styled():
        figure, axes = plt.subplots(figsize=(5.2, 3.7), layout="constrained")
        for i, (population, group) in enumerate(_groups(rows, "population")):
            ns, values, bounds, asymptotes = _columns(group, "n", "value", "bound", "asymptote")
            axes.plot(ns, values, MARKERS[i], color=COLOURS[i], markersize=4, label=population)
            first = i == 0
            axes.plot(ns, bounds, "--", color=COLOURS[i], linewidth=0.9, label="bound" if first else None)
            axes.plot(
                ns, asymptotes, ":", color=COLOURS[i], linewidth=1.2, label="asymptote" if first else None
            )
        axes.set(xscale="log", yscale="log", xlabel="n", ylabel="largest advantage of any learner")
        axes.set_ylim(top=3)
        axes.legend(loc="lower left")
    return _closed(figure)


def _groups(rows: Rows, name: str) -> Iterator[tuple[Any, list[Mapping[str, Any]]]]:
    """Yield each value of a column with its rows, in order of first appearance."""
    for value in dict.fromkeys(row[name] for row in rows):
        yield value, [row for row in rows if row[name] == value]


def _columns(rows: Rows, *names: str) -> list[list[Any]]:
    return [[row[name] for row in rows] for name in names]


def _bars(lower: list[float], value: list[float], upper: list[float]) -> list[list[float]]:
    return [
        [v - low for low, v in zip(lower, value, strict=True)],
        [high - v for v, high in zip(value, upper, strict=True)],
    ]


def _closed(figure: Any) -> Any:
    """Leave it to the caller to show a figure: nothing stays open."""
    plt.close(figure)
    return figure
