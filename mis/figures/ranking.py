"""A ranking as a figure, privacy against performance and indicators against advantage."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from mis.figures.drawing import Drawing, drawing, legend, logarithmic, shape, shortened
from mis.figures.labels import label_points
from mis.figures.style import Style, Width, inches, look, plain

__all__ = ["ranking_figure", "ranking_sentence"]

Row = Mapping[str, Any]

# Column, title, label of the axis; a panel each.
PANELS = (
    ("performance", "Privacy against performance", "held-out {performance}"),
    ("indicator", "Indicator r_Q", "r_Q (nats)"),
    ("predicted", "Retained information", "advantage predicted from it"),
)


def ranking_figure(
    rows: Sequence[Row],
    agreement: Sequence[Row],
    about: Mapping[str, Any],
    *,
    width: Width = "double",
    style: Style = None,
) -> Drawing:
    """Draw a ranking.

    Parameters
    ----------
    rows
        One mapping per quantizer, as in ``ranking.csv``.
    agreement
        As ``Ranking.agreement()`` returns it; its taus stand in the titles.
    about
        ``task``, ``performance`` (the name of the measure), ``level``, and for the caption the sizes of the experiment.
    width
        ``"single"``, ``"double"``, a number with its unit, or a number of inches.
    style
        A matplotlib style sheet to be used on top of the project's.

    Returns
    -------
    Drawing
        A ``matplotlib.figure.Figure`` with a ``caption``.
    """
    size = inches("ranking_figure", width)
    panels = [panel for panel in PANELS if any(_ends(row, panel[0]) for row in rows)]
    local = [row for row in rows if _ends(row, "local")]
    lines, columns = shape(len(panels), size, 2.0)
    lowest = min(0.0, *(_advantage(row).lower for row in rows))
    with drawing(size, 2.45 * lines + (0.25 if local else 0.0), style) as figure:
        grid = figure.subplots(lines, columns, squeeze=False)
        points = []
        for axes, (column, title, label) in zip(grid.flat, panels, strict=False):
            shown = [row for row in rows if _ends(row, column)]
            _errors(axes, shown, column, 0, "by retained information" if column == "predicted" else None)
            if column == "predicted":
                _errors(axes, local, "local", 1, "by local asymptotics")
                ends = [_ends(row, name) for row in rows for name in (column, "local", "advantage")]
                top = max(end.upper for end in ends if end)
                axes.plot([0, top], [0, top], color="0.6", linewidth=0.8, zorder=0)
            if column == "indicator":
                axes.set_xscale("symlog", linthresh=1e-6)
                logarithmic(axes.xaxis)
            below = about.get("task", "") if column == "performance" else _tau(agreement, column)
            if column == "predicted" and local:
                title, below, label = "Prediction against attack", "", "predicted advantage"
            axes.set_title(f"{title}\n{shortened(figure, plain(below), 0.75 * size / columns)}")
            axes.set_xlabel(label.format(performance=about.get("performance", "performance")))
            axes.margins(x=0.18, y=0.18)
            # Room for markers at zero.
            axes.set_ylim(bottom=lowest - 0.03 * (axes.get_ylim()[1] - lowest))
            points.append(
                (axes, [(_ends(row, column).value, _advantage(row).value, row["release"]) for row in shown])
            )
        for axes in grid.flat[len(panels) :]:
            axes.set_axis_off()
        for axes in grid[:, 0]:
            axes.set_ylabel("advantage, strongest attack")
        if local:
            legend(figure)
        missing = label_points(points)
    figure.caption = _caption(rows, about, panels, bool(local), missing)
    return figure


class _Ends(NamedTuple):
    lower: float
    value: float
    upper: float


def _ends(row: Row, name: str) -> Any:
    """Read a number with its interval off a row, None where there is none: all that knows how rows hold them."""
    value = row.get(name)
    if value is None:
        return None
    lower, upper = (row.get(f"{name}{end}") for end in ("_lower", "_upper"))
    return _Ends(value if lower is None else lower, value, value if upper is None else upper)


def _advantage(row: Row) -> _Ends:
    return _ends(row, "advantage")


def _errors(axes: Any, rows: Sequence[Row], column: str, place: int, label: str | None) -> None:
    across, up = ([_ends(row, name) for row in rows] for name in (column, "advantage"))
    # An end may lie on the wrong side of its value by rounding.
    bars = [
        [[max(end.value - end.lower, 0.0) for end in ends], [max(end.upper - end.value, 0.0) for end in ends]]
        for ends in (up, across)
    ]
    values = ([end.value for end in ends] for ends in (across, up))
    axes.errorbar(*values, *bars, elinewidth=0.8, label=label, **look(place, line=False))


def _tau(agreement: Sequence[Row], name: str) -> str:
    for found in agreement:
        if found["indicator"] == name and not found["given"]:
            return f"τ = {found['tau']:.2f} [{found['lower']:.2f}, {found['upper']:.2f}]"
    return "" if agreement else "too few quantizers for an order"


def ranking_sentence(rows: Sequence[Row], about: Mapping[str, Any]) -> str:
    """Return the first sentence of the caption: what was measured, and how much of it."""
    spec = about.get("spec", {})
    counts = [
        f"{len(rows)} releases",
        *([f"{about['num_networks']} networks"] if "num_networks" in about else []),
        *([f"each trained on half of a pool of {spec['pool']} examples"] if "pool" in spec else []),
        *([f"{about['heldout']} examples held out"] if "heldout" in about else []),
        *([f"seed {spec['seed']}"] if "seed" in spec else []),
    ]
    task = plain(about.get("task", "one task"))
    return f"Membership advantage of the strongest attack on {task}: {', '.join(counts)}."


def _caption(
    rows: Sequence[Row], about: Mapping[str, Any], panels: Sequence[Any], local: bool, missing: Sequence[str]
) -> str:
    level = f"{100 * about.get('level', 0.95):g}%"
    against = {
        "performance": f"held-out {about.get('performance', 'performance')}",
        "indicator": "the indicator r_Q",
        "predicted": "the advantage predicted from the information that the release retains"
        + (" (circles) and by local asymptotics (squares)" if local else "")
        + ", with the line on which prediction and attack agree",
    }
    sentences = [
        ranking_sentence(rows, about),
        f"It is drawn against {'; '.join(against[column] for column, *_ in panels)}.",
        f"Bars are {level} intervals, pointwise; those of the advantage are for networks trained on this pool.",
    ]
    if any(column != "performance" for column, *_ in panels):
        sentences.append(f"τ is Kendall's rank correlation with the advantage, with its {level} interval.")
    sentences.append("Points at one place share a label.")
    if missing:
        sentences.append(f"Without room for a label: {', '.join(map(plain, missing))}.")
    return " ".join(sentences)
