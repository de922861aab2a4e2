"""Functions: a ranking as a figure, privacy against performance and indicators against advantage."""

from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib.pyplot as plt
import numpy as np

from mis.figures.style import label_points, styled

__all__ = ["ranking_figure"]


def ranking_figure(
    rows: Sequence[Mapping[str, Any]], agreement: Sequence[Mapping[str, Any]], about: Mapping[str, Any]
) -> Any:
    """Draw a ranking.

    Parameters
    ----------
    rows
        One mapping per quantizer, as in ``ranking.csv``.
    agreement
        As ``Ranking.agreement()`` returns it; its taus stand in the titles.
    about
        ``task`` and ``performance`` (the name of the measure) are used.

    Returns
    -------
    matplotlib.figure.Figure
    """
    taus = {found["indicator"]: found for found in agreement if not found["given"]}
    level = f"{100 * about.get('level', 0.95):g}%"
    with styled():
        figure, (left, middle, right) = plt.subplots(1, 3, figsize=(10.5, 3.5), layout="constrained")
        _errors(left, rows, "performance", 0)
        left.set_title(f"Privacy against performance, {about.get('task', '')}")
        left.set_xlabel(f"held-out {about.get('performance', 'performance')}")
        left.set_ylabel(f"advantage of the strongest attack ({level})")

        _errors(middle, [r for r in rows if r.get("indicator") is not None], "indicator", 1)
        middle.set_xscale("symlog", linthresh=1e-6)
        middle.set_title(f"Indicator $r_Q$: {_tau(taus, 'indicator')}")
        middle.set_xlabel("$r_Q$ (nats), larger should leak less")

        _errors(right, rows, "predicted", 2, label="retained information")
        local = [r for r in rows if r.get("local") is not None]
        ends = [r[name] for r in rows for name in ("advantage_upper", "predicted_upper")]
        top = max(ends + [r["local_upper"] for r in local])
        right.plot([0, top], [0, top], color="0.6", linewidth=0.8, zorder=0)
        right.set_title(f"Retained information: {_tau(taus, 'predicted')}")
        right.set_xlabel("advantage predicted from it")
        if local:
            _errors(right, local, "local", 3, label="local asymptotics", marker="s")
            right.set_title("Prediction against attack")
            right.set_xlabel("predicted advantage")
            right.legend(loc="upper left")
        for axes in (left, middle, right):
            axes.set_ylim(bottom=min(0.0, *[r["advantage_lower"] for r in rows]))
            axes.margins(x=0.12)
        figure.draw_without_rendering()
        for axes, column in ((left, "performance"), (middle, "indicator"), (right, "predicted")):
            shown = [r for r in rows if r.get(column) is not None]
            label_points(
                axes,
                [r[column] for r in shown],
                [r["advantage"] for r in shown],
                [r["quantizer"] for r in shown],
            )
    plt.close(figure)
    return figure


def _errors(axes, rows, column, colour, *, marker="o", label=None):
    x, y = (np.array([r[name] for r in rows], dtype=float) for name in (column, "advantage"))
    bars = [
        np.abs([[r[name] - r[f"{name}_lower"] for r in rows], [r[f"{name}_upper"] - r[name] for r in rows]])
        for name in (column, "advantage")
    ]
    # Looked up now: a name like "C0" would be resolved when the figure is drawn, in whatever style is then on.
    palette = plt.rcParams["axes.prop_cycle"].by_key()["color"]
    axes.errorbar(x, y, *bars[::-1], fmt=marker, color=palette[colour], elinewidth=0.9, label=label)


def _tau(taus, name):
    if name not in taus:
        return "too few quantizers for an order"
    found = taus[name]
    return rf"$\tau$ = {found['tau']:.2f} [{found['lower']:.2f}, {found['upper']:.2f}]"
