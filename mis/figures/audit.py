"""The ROC of an audit, and those of several attacks, on logarithmic axes, where the low rates can be seen."""

from collections.abc import Mapping, Sequence

from mis.figures.drawing import Drawing, drawing, legend, logarithmic
from mis.figures.style import Style, Width, inches, look, plain

__all__ = ["attack_rocs", "audit_roc"]

# Bands beyond these would hide each other.
MOST = 3


def audit_roc(
    rows: Sequence[Mapping[str, float]],
    *,
    level: float = 0.95,
    width: Width = "single",
    style: Style = None,
) -> Drawing:
    """Draw TPR against FPR with its pointwise band.

    Where the lower end of the band is 0 the records cannot resolve the rate, and the band runs off the
    figure.

    Parameters
    ----------
    rows
        ``fpr, lower, value, upper``, as ``Audit.roc()`` returns them.
    level
        Of the band, for the legend.
    width, style
        As of ``ranking_figure``.
    """
    fprs = [row["fpr"] for row in rows]
    smallest = min(fprs)
    # A logarithmic axis has no zero: what is below it is drawn at its foot.
    lower, value, upper = ([max(row[k], smallest) for row in rows] for k in ("lower", "value", "upper"))
    size = inches("audit_roc", width)
    with drawing(size, min(size, 4.5) * 0.95, style) as figure:
        axes = figure.subplots()
        band = f"{100 * level:g}% pointwise"
        colour = look(0)["color"]
        axes.fill_between(fprs, lower, upper, alpha=0.25, linewidth=0, color=colour, label=band)
        axes.plot(fprs, value, color=colour, label="attack")
        axes.plot([smallest, 1], [smallest, 1], linestyle=":", color="0.4", label="guessing")
        axes.set(xscale="log", yscale="log", xlim=(smallest, 1), ylim=(smallest, 1))
        axes.set(xlabel="false positive rate", ylabel="true positive rate")
        logarithmic(axes.xaxis, axes.yaxis)
        legend(figure)
    figure.caption = (
        f"True positive rate of the attack against its false positive rate, at {len(rows)} false positive "
        f"rates from {smallest:.2g} to {max(fprs):.2g}, on logarithmic axes. The band is the {band} "
        "confidence interval; what is below the axes is drawn at their foot. The dotted line is guessing."
    )
    return figure


def attack_rocs(
    rocs: Mapping[str, Sequence[Mapping[str, float]]],
    *,
    level: float = 0.95,
    width: Width = "single",
    style: Style = None,
) -> Drawing:
    """Draw the ROC of the first three attacks, each with its pointwise band, on logarithmic axes.

    Parameters
    ----------
    rocs
        Of each attack by name ``fpr, lower, value, upper``, as ``Audit.roc()`` returns them.
    level
        Of the bands.
    width, style
        As of ``ranking_figure``.
    """
    drawn = dict(list(rocs.items())[:MOST])
    smallest = min(row["fpr"] for rows in drawn.values() for row in rows)
    size = inches("attack_rocs", width)
    with drawing(size, min(size, 4.5) * 0.95, style) as figure:
        axes = figure.subplots()
        for place, (name, rows) in enumerate(drawn.items()):
            fprs, colour = [row["fpr"] for row in rows], look(place)["color"]
            # A logarithmic axis has no zero: what is below it is drawn at its foot.
            lower, value, upper = (
                [max(row[k], smallest) for row in rows] for k in ("lower", "value", "upper")
            )
            axes.fill_between(fprs, lower, upper, alpha=0.2, linewidth=0, color=colour)
            axes.plot(fprs, value, color=colour, label=plain(name))
        axes.plot([smallest, 1], [smallest, 1], linestyle=":", color="0.4", label="guessing")
        axes.set(xscale="log", yscale="log", xlim=(smallest, 1), ylim=(smallest, 1))
        axes.set(xlabel="false positive rate", ylabel="true positive rate")
        logarithmic(axes.xaxis, axes.yaxis)
        legend(figure)
    figure.caption = (
        f"True positive rate of {', '.join(drawn)} against the false positive rate, on logarithmic axes, each with its "
        f"{100 * level:g}% pointwise band; what is below the axes is drawn at their foot. The dotted line is guessing."
    )
    return figure
