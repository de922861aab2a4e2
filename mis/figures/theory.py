"""The figures of the studies of theory. Rows in, figure out; nothing is computed here."""

from mis.figures.drawing import Drawing, drawing, legend, logarithmic, shape
from mis.figures.labels import label_points
from mis.figures.rows import POINTWISE, Rows, column_values, error_bars, grouped
from mis.figures.style import Style, Width, inches, look, plain

__all__ = ["certified_bands", "delta_against_n", "edge_leakage", "predicted_against_empirical"]

ROUND = [
    [digit * 10.0**-k for k in range(6, -1, -1) for digit in digits]
    for digits in ((1, 2, 3, 4, 6, 8), (1, 2, 5), (1, 3), (1,))
]


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
    laws = list(grouped(rows, "law"))
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
            for route, line in grouped(group, "route"):
                ns, lower, values, upper, errors = column_values(
                    line, "n", "lower", "value", "upper", "error"
                )
                if route == "simulated":
                    top.errorbar(
                        ns, values, yerr=error_bars(lower, values, upper), label=route, **looks[route]
                    )
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
        for i, (label, group) in enumerate(grouped(distance, "label")):
            xs, values = column_values(group, "distance", "value")
            left.plot(xs, values, label=label, **look(i, marker=False))
        left.set(yscale="log", ylim=(1e-45, 1), xlabel="distance to the nearest edge, sd of an example")
        left.set(ylabel="advantage Δₙ, one coordinate", title="A weight leaks if it is near an edge")
        first = len({row["label"] for row in distance})
        for i, (weights, group) in enumerate(grouped(density, "weights")):
            xs, ys = column_values(group, "density", "retained")
            right.plot(xs, ys, label=weights, **look(first + i, line=False))
        line = sorted((row["density"], row["law"]) for row in density)
        right.plot(*zip(*line, strict=True), color="0.5", linewidth=0.8, zorder=0, label="boundary law")
        right.set(xscale="log", yscale="log", xlabel="density of weights at edges, summed over edges")
        right.set(ylabel="information retained", title="What a quantizer retains is that density")
        right.margins(x=0.15, y=0.1)
        logarithmic(left.yaxis, right.xaxis, right.yaxis)
        legend(figure)
        missing = label_points(
            [(right, list(zip(*column_values(density, "density", "retained", "quantizer"), strict=True)))]
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
            for release, group in grouped(shown, "release"):
                xs, lower, upper = column_values(group, "x", "lower", "upper")
                if len(xs) == 1:
                    middle = (lower[0] + upper[0]) / 2
                    bars = error_bars(lower, [middle], upper)
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
    models, sizes = list(grouped(rows, "model")), sorted({row["n"] for row in rows})
    size = inches("predicted_against_empirical", width)
    lines, columns = shape(len(models), size, 1.6 if size < 5.0 else 2.1)
    with drawing(size, 0.95 * size / columns * lines + 0.25, style) as figure:
        grid = figure.subplots(lines, columns, squeeze=False)
        for axes, (model, points) in zip(grid.flat, models, strict=False):
            for n, group in grouped(points, "n"):
                xs, lower, ys, upper = column_values(group, "predicted", "lower", "advantage", "upper")
                bars = error_bars(lower, ys, upper)
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
