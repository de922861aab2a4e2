"""The style of all figures, and the widths they are laid out for."""

import math
import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.resources import files
from pathlib import Path
from typing import Any

import matplotlib
import matplotlib.style

from mis.numerics.checks import InvalidInput, refuse

__all__ = ["Style", "Width", "check_style", "inches", "look", "plain", "styled"]

Style = str | Path | None
Width = str | float

STYLE = str(files("mis.figures") / "mis.mplstyle")

# Whatever the user's style says: a name is text, never TeX or mathematics, and a figure is as wide as was asked for.
FIXED = {
    "text.usetex": False,
    "text.parse_math": False,
    "axes.formatter.use_mathtext": False,
    "savefig.bbox": "standard",
    "svg.hashsalt": "mis",
    # Letters are then as wide at every resolution, and labels that were measured at one fit at all.
    "text.hinting": "none",
}

# Inches. A column and a page of most journals in two columns.
WIDTHS = {"single": 3.4, "double": 7.0}
NARROWEST, WIDEST = 2.5, 20.0
# A point is TeX's, which is what LaTeX says of \columnwidth.
UNITS = {"in": 1.0, "cm": 1 / 2.54, "mm": 1 / 25.4, "pt": 1 / 72.27}

# Beside colour, so that lines and points can be told apart without it.
DASHES = ["-", "--", "-.", ":", (0, (5, 1, 1, 1, 1, 1)), (0, (1, 1)), (0, (8, 2))]
MARKERS = ["o", "s", "^", "D", "v", "P", "X"]


@contextmanager
def styled(style: Style = None) -> Iterator[None]:
    """Have the project's style in force, and a user's style sheet on top of it; not what matplotlibrc says.

    Parameters
    ----------
    style
        Path of an ``.mplstyle`` file, or the name of one of matplotlib's styles.
    """
    sheets: list[Any] = [STYLE, *([] if style is None else [str(style)]), FIXED]
    with matplotlib.style.context(sheets, after_reset=True), warnings.catch_warnings():
        # What a font lacks is drawn as a box; it stands as text in the caption and in the SVG.
        warnings.filterwarnings("ignore", "Glyph .* missing from font")
        # Letters that a user's font lacks are taken from one that has most.
        families = matplotlib.rcParams["font.family"]
        matplotlib.rcParams["font.family"] = list(dict.fromkeys([*families, "DejaVu Sans"]))
        yield


def check_style(where: str, style: Style) -> None:
    """Refuse a style sheet that cannot be read."""
    try:
        if style is not None and Path(style).exists():
            matplotlib.rc_params_from_file(style, fail_on_error=True, use_default_template=False)
        with styled(style):
            pass
    except (OSError, ValueError) as error:
        reason = " ".join(str(error).split())
        raise InvalidInput(
            f"{where}: expected style a matplotlib style sheet, got style={str(style)!r} ({reason})."
        ) from None


def inches(where: str, width: Width) -> float:
    """Return a width in inches, or refuse it.

    Parameters
    ----------
    where
        Who asks, for the message.
    width
        ``"single"``, ``"double"``, a number with its unit (in, cm, mm, or TeX's pt), or a number of inches.

    Examples
    --------
    >>> inches("figure", "single"), inches("figure", "8.636cm")
    (3.4, 3.4)
    """
    condition = f"single, double, or {NARROWEST}in to {WIDEST:g}in with its unit (in, cm, mm, pt)"
    if isinstance(width, str):
        found = re.fullmatch(r"(\d+\.?\d*|\.\d+) ?(in|cm|mm|pt)", width.strip())
        if width.strip() in WIDTHS:
            size = WIDTHS[width.strip()]
        elif found:
            size = round(float(found[1]) * UNITS[found[2]], 6)
        else:
            raise refuse(where, "width", condition, width)
    else:
        try:
            size = math.nan if isinstance(width, bool) else float(width)
        except (TypeError, ValueError):
            raise refuse(where, "width", condition, width) from None
    if not NARROWEST <= size <= WIDEST:
        raise refuse(where, "width", condition, width)
    return size


def look(place: int, *, marker: bool = True, line: bool = True) -> dict[str, Any]:
    """Return colour, marker and dashes of a series, by value: a name like "C0" is looked up when it is drawn."""
    colours = matplotlib.rcParams["axes.prop_cycle"].by_key().get("color", ["black"])
    # Once all colours were used, each comes with another marker.
    shifted = place + place // len(colours)
    return {
        "color": colours[place % len(colours)],
        "marker": MARKERS[shifted % len(MARKERS)] if marker else "none",
        "linestyle": DASHES[shifted % len(DASHES)] if line else "none",
    }


def plain(name: Any) -> str:
    r"""Return a user's name as it can be drawn: what does not print is replaced.

    Examples
    --------
    >>> plain("two\nlines") == "two\N{REPLACEMENT CHARACTER}lines"
    True
    """
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in str(name))
