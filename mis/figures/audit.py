"""Function: the ROC of an audit on logarithmic axes, where the low false positive rates can be seen."""

from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib.pyplot as plt

from mis.figures.style import styled

__all__ = ["audit_roc"]


def audit_roc(rows: Sequence[Mapping[str, float]], *, level: float = 0.95) -> Any:
    """Draw TPR against FPR with its pointwise band.

    Where the lower end of the band is 0 the records cannot resolve the rate, and the band runs off the
    figure.

    Parameters
    ----------
    rows
        ``fpr, lower, value, upper``, as ``Audit.roc()`` returns them.
    level
        Of the band, for the legend.

    Returns
    -------
    matplotlib.figure.Figure
    """
    fprs = [row["fpr"] for row in rows]
    smallest = min(fprs)
    # A logarithmic axis has no zero: what is below it is drawn at its foot.
    lower, value, upper = ([max(row[k], smallest) for row in rows] for k in ("lower", "value", "upper"))
    with styled():
        figure, axes = plt.subplots(figsize=(4.2, 4.0), layout="constrained")
        band = f"{100 * level:g}% pointwise"
        axes.fill_between(fprs, lower, upper, alpha=0.25, linewidth=0, label=band)
        axes.plot(fprs, value, label="attack")
        axes.plot([smallest, 1], [smallest, 1], linestyle=":", color="0.4", label="guessing")
        axes.set(xscale="log", yscale="log", xlim=(smallest, 1), ylim=(smallest, 1))
        axes.set(xlabel="false positive rate", ylabel="true positive rate")
        axes.legend(loc="lower right", frameon=False)
    plt.close(figure)
    return figure
