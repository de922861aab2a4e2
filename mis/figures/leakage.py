"""Figures of gradient leakage: pictures, errors against bits, training curves, the trade-off."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from mis.figures.drawing import Drawing, drawing, legend, logarithmic
from mis.figures.rows import POINTWISE
from mis.figures.style import Style, Width, inches, look, plain

__all__ = ["leakage_curves", "leakage_errors", "leakage_pictures", "leakage_tradeoff"]

Rows = Sequence[Mapping[str, Any]]
SHOWN = ("naive", "adapted", "rounded")
MEASURES = {"squared_error": "squared error", "psnr": "PSNR (dB)", "ssim": "SSIM"}


def leakage_pictures(
    pictures: Mapping[tuple[str, str], Any], task: str, *, width: Width = "double", style: Style = None
) -> Drawing:
    """Draw what attackers see: a row a defence, a block of columns an attacker, the originals above.

    Parameters
    ----------
    pictures
        By defence and attacker ``(2, K, H, W, C)``: originals and reconstructions of K images, in [0, 1].
    task
        Name of the set of images.
    width, style
        As of ``ranking_figure``.
    """
    defences = list(dict.fromkeys(defence for defence, _ in pictures))
    attackers = [name for name in SHOWN if any(attacker == name for _, attacker in pictures)]
    first = next(iter(pictures.values()))
    num, size = first.shape[1], inches("leakage", width)
    # Names take up to an inch and a quarter; a row is as high as a picture is wide.
    high = (size - 1.4) / (num * len(attackers)) * (len(defences) + 1) + 0.5
    with drawing(size, high, style) as figure:
        panels = figure.subplots(1, len(attackers), squeeze=False, sharey=True)[0]
        for axes, attacker in zip(panels, attackers, strict=True):
            lines = [first[0], *(pictures.get((name, attacker), [None, None])[1] for name in defences)]
            sheet, places = _sheet(lines, first.shape[1:])
            axes.imshow(sheet, interpolation="nearest")
            axes.set_title(attacker, fontsize="small")
            axes.set_yticks(places, ["original", *map(plain, defences)], fontsize="small")
            axes.set_xticks([])
            axes.tick_params(length=0, labelleft=axes is panels[0])
            axes.grid(False)
            axes.spines[:].set_visible(False)
    figure.caption = (
        f"Images of {plain(task)} (above) and what is reconstructed from one released gradient of LeNet "
        "with sigmoids, a row a defence (full is none). naive: the attacker takes the release for the "
        "gradient; adapted: matches what it says of the gradient; rounded: quantizes the dummy gradient. "
        "Of several starts the one with the attacker's own least objective; the images are "
        "drawn, not chosen. Empty where an attacker has nothing to adapt."
    )
    return figure


def _sheet(lines: Sequence[Any], shape: tuple[int, ...]) -> tuple[np.ndarray, list[float]]:
    """Return lines of pictures ``(K, H, W, C)`` on a white sheet in colours, and the middle of each line."""
    num, height, width, _ = shape
    gap = max(1, height // 8)
    sheet = np.ones((len(lines) * (height + gap) - gap, num * (width + gap) - gap, 3))
    for i, line in enumerate(lines):
        for k in range(num if line is not None else 0):
            down, across = i * (height + gap), k * (width + gap)
            sheet[down : down + height, across : across + width] = line[k]
    return sheet, [i * (height + gap) + (height - 1) / 2 for i in range(len(lines))]


def leakage_errors(rows: Rows, task: str, *, width: Width = "double", style: Style = None) -> Drawing:
    """Draw squared error, PSNR and SSIM against the bits that a release takes.

    Parameters
    ----------
    rows
        Of one task: ``defence, attacker, bits`` and the measures with their intervals.
    task, width, style
        As of ``leakage_pictures``.
    """
    size = inches("leakage", width)
    names = list(dict.fromkeys(row["defence"] for row in rows))
    with drawing(size, 3.3, style) as figure:
        panels = figure.subplots(1, len(MEASURES))
        for axes, (measure, label) in zip(panels, MEASURES.items(), strict=True):
            for row in rows:
                if row["attacker"] not in SHOWN:
                    continue
                colour = look(names.index(row["defence"]))
                filled = row["attacker"] != "naive"
                value = row[measure]
                axes.errorbar(
                    [row["bits"]], [value],
                    yerr=[[value - row[f"{measure}_lower"]], [row[f"{measure}_upper"] - value]],
                    **colour | {"linestyle": "none"},
                    markerfacecolor=colour["color"] if filled else "none",
                    alpha=0.55 if row["attacker"] == "rounded" else 1.0,
                )  # fmt: skip
            axes.set_xscale("log")
            axes.set_xticks([1, 2, 4, 8, 16, 32], ["1", "2", "4", "8", "16", "32"])
            axes.minorticks_off()
            axes.set(xlabel="bits per coordinate", ylabel=label)
            if measure == "squared_error":
                axes.set_yscale("log")
                logarithmic(axes.yaxis)
        handles: dict[str, Any] = {
            plain(name): Line2D([], [], **look(place) | {"linestyle": "none"})
            for place, name in enumerate(names)
        }
        legend(figure, handles)
    figure.caption = (
        f"Reconstruction of {plain(task)} from one released gradient against what the release takes, all "
        "that is published counted: squared error, peak signal-to-noise ratio and structural similarity. "
        "Open marks: naive attacker; filled: adapted; pale: straight-through rounding. Medians over "
        f"images of the start with the attacker's least objective. {POINTWISE}"
    )
    return figure


def leakage_curves(
    curves: Mapping[str, Mapping[str, Any]],
    task: str,
    *,
    defences: Sequence[str] = (),
    width: Width = "double",
    style: Style = None,
) -> Drawing:
    """Draw loss and test accuracy by epoch, a line a defence.

    Parameters
    ----------
    curves
        By defence ``loss`` and ``accuracy``, each ``(runs, epochs + 1)``.
    defences
        Those of the other figures in their order: each keeps its colour.
    task, width, style
        As of ``leakage_pictures``.
    """
    size = inches("leakage", width)
    names = list(dict.fromkeys((*defences, *curves)))
    with drawing(size, 3.4, style) as figure:
        panels = figure.subplots(1, 2)
        for axes, (name, label) in zip(
            panels, (("loss", "test loss (nats)"), ("accuracy", "test accuracy")), strict=True
        ):
            for defence, both in curves.items():
                values = np.asarray(both[name])
                epochs = np.arange(values.shape[1])
                looks = look(names.index(defence), marker=False)
                axes.plot(epochs, values.mean(axis=0), label=plain(defence), **looks)
                axes.fill_between(
                    epochs,
                    values.min(axis=0),
                    values.max(axis=0),
                    color=looks["color"],
                    alpha=0.12,
                    linewidth=0,
                )
            axes.set(xlabel="epoch", ylabel=label)
            axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        panels[0].set_yscale("log")
        logarithmic(panels[0].yaxis)
        legend(figure)
    runs = len(next(iter(curves.values()))["loss"])
    figure.caption = (
        f"LeNet on {plain(task)}, each step with the gradient that the defence releases: test loss and "
        f"accuracy after each epoch, means of {runs} runs; bands from the lowest to the highest. full is "
        "no defence."
    )
    return figure


def leakage_tradeoff(
    rows: Rows,
    accuracy: Mapping[str, Any],
    task: str,
    *,
    none: str,
    width: Width = "single",
    style: Style = None,
) -> Drawing:
    """Draw the reconstruction error of the strongest attacker against the test accuracy that a defence leaves.

    Parameters
    ----------
    rows
        As of ``leakage_errors``.
    accuracy
        By defence the last test accuracies, ``(runs,)``.
    task, width, style
        As of ``leakage_pictures``.
    none
        Name of no defence.
    """
    size = inches("leakage", width)
    # Each keeps the look that it has where all are drawn.
    names = dict.fromkeys(row["defence"] for row in rows)
    with drawing(size, size + 0.6, style) as figure:
        axes = figure.subplots()
        for place, name in enumerate(names):
            if name not in accuracy:
                continue
            row = min((r for r in rows if r["defence"] == name), key=lambda r: r["squared_error"])
            values = np.asarray(accuracy[name])
            error = row["squared_error"]
            axes.errorbar(
                [values.mean()], [error], label=plain(name if name != none else f"{name} (no defence)"),
                xerr=[[values.mean() - values.min()], [values.max() - values.mean()]],
                yerr=[[error - row["squared_error_lower"]], [row["squared_error_upper"] - error]],
                **look(place) | {"linestyle": "none"},
            )  # fmt: skip
        axes.set_yscale("log")
        logarithmic(axes.yaxis)
        axes.set(xlabel="test accuracy after training", ylabel="squared error of the strongest attack")
        legend(figure)
    figure.caption = (
        f"Squared error of the strongest attack on one gradient of {plain(task)} against the test "
        "accuracy of LeNet trained with such gradients; up and right is better for who shares. The strongest "
        "is the attacker with the least error of those drawn. Bars: 95% intervals of the error, pointwise; "
        "accuracy from the lowest to the highest run."
    )
    return figure
