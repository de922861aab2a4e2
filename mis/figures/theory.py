"""Functions: the figures of the theory, one for each notebook. Rows in, figure out; nothing is computed here."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from mis.figures.drawing import Drawing, drawing, legend, logarithmic, shape
from mis.figures.labels import label_points
from mis.figures.style import Style, Width, inches, look, plain

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

ROUND = [
    [digit * 10.0**-k for k in range(6, -1, -1) for digit in digits]
    for digits in ((1, 2, 3, 4, 6, 8), (1, 2, 5), (1, 3), (1,))
]
POINTWISE = "Bars are 95% intervals, pointwise."


def optimal_rocs(rows: Rows, *, width: Width = "single", style: Style = None) -> Drawing:
    """Draw optimal ROCs on logarithmic axes, each between its bounds.

    Parameters
    ----------
    rows
        ``release, fpr, lower, upper``.
    width, style
        As of ``ranking_figure``.
    """
    smallest = min(row["fpr"] for row in rows)
    size = inches("optimal_rocs", width)
    with drawing(size, 0.95 * min(size, 4.5), style) as figure:
        axes = figure.subplots()
        for i, (release, group) in enumerate(_groups(rows, "release")):
            fprs, lower, upper = _columns(group, "fpr", "lower", "upper")
            line = look(i, marker=False)
            axes.fill_between(fprs, lower, upper, alpha=0.3, linewidth=0, color=line["color"])
            axes.plot(fprs, lower, label=release, **line)
        axes.plot([smallest, 1], [smallest, 1], linewidth=0.8, color="0.5", label="guessing")
        axes.set(xscale="log", yscale="log", xlim=(smallest, 1), ylim=(smallest, 1.1))
        axes.set(xlabel="false positive rate", ylabel="true positive rate of the best attack")
        logarithmic(axes.xaxis, axes.yaxis)
        legend(figure)
    figure.caption = (
        "True against false positive rate of the best possible attack, on logarithmic axes, each between "
        "certified bounds: lines are the lower ones. These are bounds, not estimates."
    )
    return figure


def exact_cases(rows: Rows, *, width: Width = "single", style: Style = None) -> Drawing:
    """Draw exact advantages against n: powers of n are straight lines, exponentials fall away from them.

    Parameters
    ----------
    rows
        ``law, n, value``.
    width, style
        As of ``ranking_figure``.
    """
    size = inches("exact_cases", width)
    with drawing(size, 3.0, style) as figure:
        axes = figure.subplots()
        for i, (law, group) in enumerate(_groups(rows, "law")):
            ns, values = _columns(group, "n", "value")
            axes.plot(ns, values, markersize=3, label=law, **look(i))
        axes.set(xscale="log", yscale="log", ylim=(1e-6, 1.2))
        axes.set(xlabel="n", ylabel="exact advantage Δₙ")
        logarithmic(axes.xaxis, axes.yaxis)
        legend(figure)
    figure.caption = (
        "Exact membership advantage against the number n of training examples. Powers of n are straight "
        "lines, exponentials fall away from them. Values are exact: no intervals."
    )
    return figure


def delta_against_n(rows: Rows, *, width: Width = "double", style: Style = None) -> Drawing:
    """Draw every route to the advantage against n, and below the relative error of each.

    Parameters
    ----------
    rows
        ``law, route, n, lower, value, upper, error``; routes ``exact``, ``first order``, ``sharp``,
        ``saddlepoint`` and ``simulated``.
    width, style
        As of ``ranking_figure``.
    """
    laws = list(_groups(rows, "law"))
    size = inches("delta_against_n", width)
    _, columns = shape(len(laws), size, 2.0)
    lines = 2 * -(-len(laws) // columns)
    with drawing(size, (2.1 if columns > 1 else 1.8) * lines + 0.3, style) as figure:
        looks = {
            "exact": {"color": "black", "linewidth": 1.0},
            "first order": look(1, marker=False),
            "sharp": look(2, marker=False),
            "saddlepoint": look(3, marker=False) | {"linewidth": 2.0},
            "simulated": look(0, line=False),
        }
        grid = figure.subplots(lines, columns, squeeze=False)
        for i, (law, group) in enumerate(laws):
            top, bottom = (grid[2 * (i // columns) + part, i % columns] for part in (0, 1))
            for route, line in _groups(group, "route"):
                ns, lower, values, upper, errors = _columns(line, "n", "lower", "value", "upper", "error")
                if route == "simulated":
                    top.errorbar(ns, values, yerr=_bars(lower, values, upper), label=route, **looks[route])
                else:
                    top.plot(ns, values, label=route, **looks[route])
                if route != "exact":
                    bottom.plot(ns, errors, label=route, **looks[route])
            top.set(yscale="log", title=law, xlabel="n")
            bottom.set(xscale="log", yscale="log", xlabel="n", ylim=(1e-6, 1e3))
            logarithmic(top.yaxis, bottom.xaxis, bottom.yaxis)
            if i % columns == 0:
                top.set_ylabel("advantage Δₙ")
                bottom.set_ylabel("relative error")
        for axes in grid.flat:
            axes.set_axis_on() if axes.has_data() else axes.set_axis_off()
        legend(figure)
    figure.caption = (
        f"Membership advantage against the number n of training examples by every route, for {len(laws)} "
        f"laws of losses, and below each the relative error against the exact value. {POINTWISE}"
    )
    return figure


def rare_events(rows: Rows, *, width: Width = "single", style: Style = None) -> Drawing:
    """Draw simulated over exact advantage against the exact one: tilted sampling beside plain Monte Carlo.

    Parameters
    ----------
    rows
        ``law, method, exact, ratio, lower, upper``; methods ``tilted`` and ``plain``. Plain Monte Carlo that
        saw nothing has ratio 0.
    width, style
        As of ``ranking_figure``.
    """
    size = inches("rare_events", width)
    with drawing(size, 3.0, style) as figure:
        axes = figure.subplots()
        for i, (law, group) in enumerate(_groups(rows, "law")):
            for method, points in _groups(group, "method"):
                exact, lower, ratio, upper = _columns(points, "exact", "lower", "ratio", "upper")
                tilted, marks = method == "tilted", look(i, line=False)
                axes.errorbar(
                    exact,
                    ratio,
                    yerr=_bars(lower, ratio, upper),
                    elinewidth=1.0 if tilted else 0.6,
                    markerfacecolor=marks["color"] if tilted else "white",
                    label=f"{law}, {method}",
                    **marks,
                )
        axes.axhline(1, color="0.5", linewidth=0.8, zorder=0)
        axes.set(xscale="log", ylim=(-0.1, 2.1))
        axes.invert_xaxis()
        axes.set(xlabel="exact advantage Δₙ", ylabel="simulated / exact")
        logarithmic(axes.xaxis)
        legend(figure)
    figure.caption = (
        "Simulated over exact membership advantage against the exact one: tilted sampling (filled) and "
        f"plain Monte Carlo (open), which sees nothing of rare events. {POINTWISE}"
    )
    return figure


def edge_leakage(rows: Rows, *, width: Width = "double", style: Style = None) -> Drawing:
    """Draw what leaks against the distance to a cell edge, and what a quantizer retains against edge density.

    Parameters
    ----------
    rows
        ``panel``: ``distance`` with ``label, distance, value`` (distance 0 on an edge), or
        ``density`` with ``quantizer, weights, density, retained, law`` (``law`` what the boundary law says).
    width, style
        As of ``ranking_figure``.
    """
    distance = [row for row in rows if row["panel"] == "distance"]
    density = [row for row in rows if row["panel"] == "density"]
    size = inches("edge_leakage", width)
    lines, columns = shape(2, size, 2.6)
    with drawing(size, 2.6 * lines + 0.6, style) as figure:
        left, right = figure.subplots(lines, columns, squeeze=False).flat
        for i, (label, group) in enumerate(_groups(distance, "label")):
            xs, values = _columns(group, "distance", "value")
            left.plot(xs, values, label=label, **look(i, marker=False))
        left.set(yscale="log", ylim=(1e-45, 1), xlabel="distance to the nearest edge, sd of an example")
        left.set(ylabel="advantage Δₙ, one coordinate", title="A weight leaks if it is near an edge")
        first = len({row["label"] for row in distance})
        for i, (weights, group) in enumerate(_groups(density, "weights")):
            xs, ys = _columns(group, "density", "retained")
            right.plot(xs, ys, label=weights, **look(first + i, line=False))
        line = sorted((row["density"], row["law"]) for row in density)
        right.plot(*zip(*line, strict=True), color="0.5", linewidth=0.8, zorder=0, label="boundary law")
        right.set(xscale="log", yscale="log", xlabel="density of weights at edges, summed over edges")
        right.set(ylabel="information retained", title="What a quantizer retains is that density")
        right.margins(x=0.15, y=0.1)
        logarithmic(left.yaxis, right.xaxis, right.yaxis)
        legend(figure)
        missing = label_points(
            [(right, list(zip(*_columns(density, "density", "retained", "quantizer"), strict=True)))]
        )
    figure.caption = (
        "Left or above: exact membership advantage that one released coordinate of a mean gives, against "
        "the distance of the mean from the nearest edge of its cell. Right or below: share of the "
        "information that a quantizer retains, against the density of the weights at its edges, with "
        "what the boundary law says. Values are exact: no intervals."
        + (f" Without room for a label: {', '.join(map(plain, missing))}." if missing else "")
    )
    return figure


def certified_bands(rows: Rows, *, width: Width = "double", style: Style = None) -> Drawing:
    """Draw certified bounds on the advantage against dimension and against bits.

    Parameters
    ----------
    rows
        ``panel, release, x, lower, upper``; panel ``dimension`` (x the dimension) or ``bits`` (x the bits).
    width, style
        As of ``ranking_figure``.
    """
    panels = {"dimension": "A mean on a grid", "bits": "Every weight in a cell of its own"}
    places = {release: i for i, release in enumerate(dict.fromkeys(row["release"] for row in rows))}
    size = inches("certified_bands", width)
    lines, columns = shape(2, size, 2.6)
    with drawing(size, 2.4 * lines + 0.6, style) as figure:
        grid = figure.subplots(lines, columns, squeeze=False).flat
        for axes, (panel, title) in zip(grid, panels.items(), strict=True):
            shown = [row for row in rows if row["panel"] == panel]
            for release, group in _groups(shown, "release"):
                xs, lower, upper = _columns(group, "x", "lower", "upper")
                if len(xs) == 1:
                    middle = (lower[0] + upper[0]) / 2
                    bars = _bars(lower, [middle], upper)
                    axes.errorbar(xs, [middle], yerr=bars, label=release, **look(places[release], line=False))
                else:
                    line = look(places[release], marker=False)
                    axes.fill_between(xs, lower, upper, alpha=0.35, linewidth=0, color=line["color"])
                    axes.plot(xs, lower, label=release, **line)
                    axes.plot(xs, upper, **line)
            axes.set_title(title)
        first, second = figure.axes
        first.set(xscale="log", xlabel="dimension", ylabel="advantage Δₙ, certified", ylim=(0, 1.02))
        second.set(xlabel="bits per weight", ylim=(0, None))
        logarithmic(first.xaxis)
        legend(figure)
    figure.caption = (
        "Certified lower and upper bounds on the membership advantage of the best possible attack, "
        "against the dimension of a mean on a grid, and against bits per weight where every weight has a "
        "cell of its own. These are bounds, not estimates."
    )
    return figure


def predicted_against_empirical(rows: Rows, *, width: Width = "double", style: Style = None) -> Drawing:
    """Draw the advantage that an attack reached against the one predicted, with the band of plus or minus 10%.

    Parameters
    ----------
    rows
        ``model, n, quantizer, predicted, advantage, lower, upper``; not drawn where either advantage is below 0.001.
    width, style
        As of ``ranking_figure``.
    """
    rows = [row for row in rows if min(row["predicted"], row["advantage"]) > 1e-3]
    models, sizes = list(_groups(rows, "model")), sorted({row["n"] for row in rows})
    size = inches("predicted_against_empirical", width)
    lines, columns = shape(len(models), size, 1.6 if size < 5.0 else 2.1)
    with drawing(size, 0.95 * size / columns * lines + 0.25, style) as figure:
        grid = figure.subplots(lines, columns, squeeze=False)
        for axes, (model, points) in zip(grid.flat, models, strict=False):
            for n, group in _groups(points, "n"):
                xs, lower, ys, upper = _columns(group, "predicted", "lower", "advantage", "upper")
                bars = _bars(lower, ys, upper)
                axes.errorbar(xs, ys, yerr=bars, label=f"n = {n}", **look(sizes.index(n), line=False))
            low = 0.8 * min(min(row["predicted"], row["advantage"]) for row in points)
            high = 1.2 * max(max(row["predicted"], row["advantage"]) for row in points)
            band = [[share * low, share * high] for share in (0.9, 1.1)]
            axes.fill_between([low, high], *band, color="0.92", zorder=0)
            axes.plot([low, high], [low, high], color="0.5", linewidth=0.8, zorder=0)
            axes.set(xscale="log", yscale="log", xlim=(low, high), ylim=(low, high))
            axes.set_title(plain(model), fontsize="small")
            inside = [[tick for tick in ticks if low <= tick <= high] for ticks in ROUND]
            # As many as have room.
            shown = next((ticks for ticks in inside if len(ticks) <= 2.4 * size / columns), inside[-1])
            for axis in (axes.xaxis, axes.yaxis):
                axis.set_ticks(shown, [f"{tick:g}" for tick in shown])
                axis.set_ticks([], minor=True)
            axes.set_xlabel("predicted advantage")
        for axes in list(grid.flat)[len(models) :]:
            axes.set_axis_off()
        for axes in grid[:, 0]:
            axes.set_ylabel("advantage of the attack")
        legend(figure)
    figure.caption = (
        "Membership advantage that an attack reached against the one predicted by local asymptotics, for "
        f"{', '.join(plain(model) for model, _ in models)} and {len(rows)} releases; the band is plus or "
        f"minus 10%. Training sets of n = {', '.join(f'{n:g}' for n in sizes)}. {POINTWISE} Advantages "
        "below 0.001 are not drawn."
    )
    return figure


def indicators(rows: Rows, agreement: Rows, *, width: Width = "double", style: Style = None) -> Drawing:
    """Draw the advantage of the strongest attack against every indicator of it.

    Parameters
    ----------
    rows
        As those of a ranking, with ``task``.
    agreement
        As ``Ranking.agreement()`` returns it, with ``task``; the taus that condition on nothing are shown.
    width, style
        As of ``ranking_figure``.
    """
    panels = {
        "indicator_naive": "plain r_Q",
        "indicator": "r_Q",
        "retained": "information retained",
        "predicted": "level predicted from it",
        "weight_error": "relative weight error",
        "code_entropy": "entropy of the codes, bits",
    }
    tasks = list(dict.fromkeys(row["task"] for row in rows))
    size = inches("indicators", width)
    lines, columns = shape(len(panels), size, 1.6)
    with drawing(size, (1.9 + 0.12 * len(tasks)) * lines + 0.2, style) as figure:
        grid = figure.subplots(lines, columns, squeeze=False, sharey=True)
        for axes, (column, title) in zip(grid.flat, panels.items(), strict=True):
            taus = []
            for i, (task, group) in enumerate(_groups(rows, "task")):
                shown = [r for r in group if r[column] is not None and r["quantizer"] != "full"]
                xs, ys = _columns(shown, column, "advantage")
                bars = _bars(*_columns(shown, "advantage_lower", "advantage", "advantage_upper"))
                sides = None
                if f"{column}_lower" in group[0]:
                    sides = _bars(*_columns(shown, f"{column}_lower", column, f"{column}_upper"))
                marks = look(i, line=False) | {"markersize": 3.5, "elinewidth": 0.8}
                axes.errorbar(xs, ys, xerr=sides, yerr=bars, label=plain(task), **marks)
                taus += [
                    f"{plain(task)}: τ = {found['tau']:.2f}"
                    for found in agreement
                    if found["task"] == task and found["indicator"] == column and not found["given"]
                ]
            axes.set_title("\n".join(taus), fontsize="small")
            axes.set_xlabel(title)
            if column in ("retained", "weight_error"):
                axes.set_xscale("log")
                logarithmic(axes.xaxis)
            else:
                axes.locator_params(axis="x", nbins=4)
                axes.ticklabel_format(axis="x", scilimits=(-2, 4))
            if column == "predicted":
                axes.plot([0, 1], [0, 1], color="0.5", linewidth=0.8, zorder=0)
        for axes in grid[:, 0]:
            axes.set_ylabel("strongest attack's advantage")
        legend(figure)
    figure.caption = (
        "Membership advantage of the strongest attack against six indicators of it, on "
        f"{' and '.join(map(plain, tasks))}, without full precision. τ is Kendall's rank correlation with "
        f"the advantage. {POINTWISE}"
    )
    return figure


def limits(rows: Rows, *, width: Width = "single", style: Style = None) -> Drawing:
    """Draw the largest advantage that any learner can leave, its bound and its asymptote, against n.

    Parameters
    ----------
    rows
        ``population, n, value, bound, asymptote``.
    width, style
        As of ``ranking_figure``.
    """
    size = inches("limits", width)
    with drawing(size, 2.9, style) as figure:
        axes = figure.subplots()
        for i, (population, group) in enumerate(_groups(rows, "population")):
            ns, values, bounds, asymptotes = _columns(group, "n", "value", "bound", "asymptote")
            marks = look(i, line=False)
            axes.plot(ns, values, label=population, **marks)
            first = i == 0
            line = {"color": marks["color"]}
            axes.plot(ns, bounds, "--", linewidth=0.9, label="bound" if first else None, **line)
            axes.plot(ns, asymptotes, ":", label="asymptote" if first else None, **line)
        axes.set(xscale="log", yscale="log", xlabel="n", ylabel="largest advantage of any learner")
        axes.set_ylim(top=3)
        logarithmic(axes.xaxis, axes.yaxis)
        legend(figure)
    figure.caption = (
        "Largest membership advantage that any learner can leave against the number n of training "
        "examples (points), its bound and its asymptote. Values are exact: no intervals."
    )
    return figure


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
