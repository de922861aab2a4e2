"""Functions: the style of all figures, and labels that keep out of each other's way."""

from importlib.resources import files
from typing import Any

import matplotlib
import matplotlib.style

__all__ = ["label_points", "styled"]

STYLE = str(files("mis.figures") / "mis.mplstyle")

# Where a label may stand around its point, in points, nearest choice first.
OFFSETS = [(6, 3), (6, -9), (-6, 3), (-6, -9), (6, 12), (-6, 12), (6, -18), (-6, -18), (6, 21), (-6, -27)]


def styled() -> Any:
    """Return a context in which figures have the project's style."""
    return matplotlib.style.context(STYLE)


def label_points(axes: Any, xs: list[float], ys: list[float], names: list[str]) -> None:
    """Write a name beside each point, at the first place where it covers no other label and no other point."""
    figure = axes.figure
    renderer = figure.canvas.get_renderer()
    points = axes.transData.transform(list(zip(xs, ys, strict=True)))
    taken = [matplotlib.transforms.Bbox.from_bounds(px - 4, py - 4, 8, 8) for px, py in points]
    frame = axes.get_window_extent(renderer)
    for x, y, name in zip(xs, ys, names, strict=True):
        for dx, dy in OFFSETS:
            text = axes.annotate(
                name,
                (x, y),
                (dx, dy),
                textcoords="offset points",
                fontsize=7,
                ha="left" if dx > 0 else "right",
            )
            box = text.get_window_extent(renderer)
            inside = (
                frame.x0 <= box.x0 and box.x1 <= frame.x1 and frame.y0 <= box.y0 and box.y1 <= frame.y1 + 5
            )
            if inside and not any(box.overlaps(other) for other in taken):
                break
            if (dx, dy) != OFFSETS[-1]:
                text.remove()
        taken.append(box)
