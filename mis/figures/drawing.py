"""A figure with its caption, drawn and saved in one style, and what all figures are made of."""

import contextlib
from collections.abc import Iterator, Mapping
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.ticker import FixedLocator, FuncFormatter, MaxNLocator, NullFormatter

from mis.figures.style import Style, styled

__all__ = ["Drawing", "drawing", "extent", "legend", "logarithmic", "settle", "shape", "shortened"]

SMALL, TITLE = "small", "medium"
# No dates: equal rows make equal files.
UNDATED: dict[str, dict[str, Any]] = {".pdf": {"CreationDate": None}, ".svg": {"Date": None}}
SUPERSCRIPTS = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


class Drawing(Figure):
    """A matplotlib figure that knows its caption, and is drawn and saved in its own style.

    It belongs to no window and no list of open figures, and does not depend on the backend.

    Parameters
    ----------
    size
        Width and height in inches.
    style
        As of ``styled``.
    """

    caption = ""

    def __init__(self, size: tuple[float, float], style: Style = None):
        self.style = style
        with styled(style):
            super().__init__(figsize=size, layout="constrained")
        FigureCanvasAgg(self)

    def draw(self, renderer: Any) -> None:
        """Draw in the style of the figure: some of what it shows is made only then."""
        with styled(self.style):
            super().draw(renderer)

    def savefig(self, fname: Any, **options: Any) -> None:
        """Save in the style of the figure; see ``matplotlib.figure.Figure.savefig``."""
        kind = f".{options['format']}" if "format" in options else Path(str(fname)).suffix
        with styled(self.style):
            super().savefig(fname, **{"metadata": UNDATED.get(kind)} | options)

    def _repr_png_(self) -> bytes:
        """For notebooks."""
        picture = BytesIO()
        self.savefig(picture, format="png", dpi=self.dpi)
        return picture.getvalue()


@contextlib.contextmanager
def drawing(width: float, height: float, style: Style = None) -> Iterator[Drawing]:
    """Yield an empty figure, with its style in force until all is on it and has its place."""
    with styled(style):
        figure = Drawing((width, height), style)
        yield figure
        settle(figure)


def settle(figure: Any) -> None:
    """Lay a figure out for good: at another resolution, or for another file, nothing moves."""
    if isinstance(figure.get_layout_engine(), ConstrainedLayoutEngine):
        # Ticks depend on the layout, and the layout on their labels: once more.
        figure.draw_without_rendering()
        figure.draw_without_rendering()
        figure.set_layout_engine("none")


def shape(num: int, width: float, least: float) -> tuple[int, int]:
    """Return rows and columns for so many panels, none narrower than ``least`` inches where that can be.

    Examples
    --------
    >>> shape(3, 7.0, 2.0), shape(3, 3.4, 2.0), shape(4, 7.0, 2.0)
    ((1, 3), (3, 1), (2, 2))
    """
    most = max(1, min(num, int(width / least)))
    rows = -(-num // most)
    return rows, -(-num // rows)


def legend(figure: Figure, more: Mapping[str, Any] | None = None) -> None:
    """Write one legend of all panels, with ``more`` handles, below them: it covers nothing there. Equal labels once."""
    found: dict[str, Any] = {}
    for axes in figure.axes:
        for handle, label in zip(*axes.get_legend_handles_labels(), strict=True):
            found.setdefault(label, handle)
    found |= more or {}
    most = figure.get_figwidth() * figure.dpi
    for lines in range(1, len(found) + 1):
        columns = -(-len(found) // lines)
        box = figure.legend(found.values(), found.keys(), loc="outside lower center", ncols=columns)
        if columns == 1 or box.get_window_extent().width < most:
            return
        box.remove()


def extent(figure: Figure, text: str, size: str = SMALL) -> tuple[float, float]:
    """Return width and height of a text in inches."""
    drawn = figure.text(0.0, 0.0, text, fontsize=size, linespacing=1.05)
    box = drawn.get_window_extent()
    drawn.remove()
    return box.width / figure.dpi, box.height / figure.dpi


def shortened(figure: Figure, text: str, width: float) -> str:
    """Return a title without its middle, if it would be wider than so many inches."""
    if extent(figure, text, TITLE)[0] <= width:
        return text
    halves = ((text[: (k + 1) // 2], text[len(text) - k // 2 :]) for k in range(len(text) - 1, 0, -1))
    shorter = (f"{start}…{end}" for start, end in halves)
    return next((found for found in shorter if extent(figure, found, TITLE)[0] <= width), "…")


def logarithmic(*several: Any) -> None:
    """Label logarithmic axes, their limits final, in plain text: decades as 10⁻³; on less than two of them numbers."""
    for axis in several:
        axis.set_minor_formatter(NullFormatter())
        low, high = sorted(axis.get_view_interval())
        if axis.get_scale() != "log":
            # Zero and both signs.
            axis.get_major_locator().set_params(numticks=6)
            axis.set_major_formatter(FuncFormatter(lambda value, _: _power(value)))
            continue
        decades = np.arange(np.floor(np.log10(low) + 1e-9), np.ceil(np.log10(high) - 1e-9) + 1)
        if high < 100.0 * low:
            ticks = np.multiply.outer(10.0**decades, [1.0, 2.0, 5.0]).ravel()
            inside = ticks[(ticks >= low) & (ticks <= high)]
            axis.set_major_locator(FixedLocator(inside) if len(inside) > 1 else MaxNLocator(3))
            axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        else:
            step = next((step for step in (1, 2, 5, 10, 20, 50, 100) if len(decades) <= 6 * step), 200)
            axis.set_major_locator(FixedLocator(10.0 ** decades[decades % step == 0]))
            axis.set_major_formatter(FuncFormatter(lambda value, _: _power(value)))


def _power(value: float) -> str:
    if value in (0.0, 1.0, 10.0):
        return f"{value:g}"
    digit, power = f"{value:.0e}".split("e")
    power = f"10{str(int(power)).translate(SUPERSCRIPTS)}"
    return {"1": power, "-1": f"-{power}"}.get(digit, f"{digit}·{power}")
