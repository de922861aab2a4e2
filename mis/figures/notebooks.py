"""Figures that only theory notebooks end with. Rows in, figure out; nothing is computed here."""

from mis.figures.drawing import Drawing, drawing, legend, logarithmic, shape
from mis.figures.rows import POINTWISE, Rows, column_values, error_bars, grouped
from mis.figures.style import Style, Width, inches, look, plain

__all__ = ["exact_cases", "indicators", "limits", "optimal_rocs", "rare_events"]


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
        for i, (release, group) in enumerate(grouped(rows, "release")):
            fprs, lower, upper = column_values(group, "fpr", "lower", "upper")
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
        for i, (law, group) in enumerate(grouped(rows, "law")):
            ns, values = column_values(group, "n", "value")
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
        for i, (law, group) in enumerate(grouped(rows, "law")):
            for method, points in grouped(group, "method"):
                exact, lower, ratio, upper = column_values(points, "exact", "lower", "ratio", "upper")
                tilted, marks = method == "tilted", look(i, line=False)
                axes.errorbar(
                    exact,
                    ratio,
                    yerr=error_bars(lower, ratio, upper),
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
            for i, (task, group) in enumerate(grouped(rows, "task")):
                shown = [r for r in group if r[column] is not None and r["release"] != "full"]
                xs, ys = column_values(shown, column, "advantage")
                bars = error_bars(*column_values(shown, "advantage_lower", "advantage", "advantage_upper"))
                sides = None
                if f"{column}_lower" in group[0]:
                    sides = error_bars(*column_values(shown, f"{column}_lower", column, f"{column}_upper"))
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
        for i, (population, group) in enumerate(grouped(rows, "population")):
            ns, values, bounds, asymptotes = column_values(group, "n", "value", "bound", "asymptote")
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
