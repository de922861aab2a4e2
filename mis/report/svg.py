"""Figures as SVG inside a page, in its colours, light or dark."""

import math
from html import escape

from mis.report.page import Column, Estimate, Forest, Roc

__all__ = ["figure"]

# In the units of a view box that a phone shows at nearly its own size.
WIDTH, ROW, TOP, BOTTOM, LABELS = 460.0, 24.0, 30.0, 44.0, 150.0
RIGHT = 14.0
LONGEST = 20
TICKS = 5
# What lies beyond ends at the edge of a figure; the least rate drawn.
FARTHEST, LEAST = 1e12, 1e-6


def figure(shown: Forest | Roc, number: int) -> str:
    """Return a figure as an ``svg`` element, its ids made from the number of the figure on the page."""
    if isinstance(shown, Forest):
        body, height = _forest(shown)
    else:
        body, height = _roc(shown)
    name = f"figure-{number}"
    described = escape(_in_words(shown))
    return (
        f'<svg viewBox="0 0 {WIDTH:g} {height:g}" role="img" aria-labelledby="{name}-title {name}-text">'
        f'<title id="{name}-title">{escape(shown.title)}</title><desc id="{name}-text">{described}</desc>'
        f"{body}</svg>"
    )


def _in_words(shown: Forest | Roc) -> str:
    if isinstance(shown, Roc):
        return "; ".join(f"at {fpr:.3g} {value:.3g}" for fpr, _, value, _ in shown.points[::10])
    lines = (
        f"{label}, {series}: {found.value:.3g} [{found.lower:.3g}, {found.upper:.3g}]"
        for label, ends in shown.marks
        for series, found in ends.items()
    )
    return "; ".join(lines)


def _forest(shown: Forest) -> tuple[str, float]:
    ends = [found for _, marks in shown.marks for found in marks.values()]
    series = list(dict.fromkeys(name for _, marks in shown.marks for name in marks))
    low, high = _range(ends, shown.reference)
    height = TOP + ROW * len(shown.marks) + BOTTOM
    floor = height - BOTTOM

    def across(value: float) -> float:
        inside = min(max(value, low), high)
        return LABELS + (WIDTH - RIGHT - LABELS) * (inside - low) / (high - low)

    parts = [_legend(series)]
    column = Column(name="", digits=4, significant=True)
    for tick in _ticks(low, high):
        parts.append(_line(across(tick), TOP, across(tick), floor, "grid"))
        parts.append(_text(across(tick), floor + 16, column.number(tick), "middle"))
    if shown.reference is not None:
        x = across(shown.reference[0])
        parts.append(_line(x, TOP, x, floor, "reference"))
    for k, (label, marks) in enumerate(shown.marks):
        y = TOP + ROW * (k + 0.5)
        cut = label if len(label) <= LONGEST else f"{label[: LONGEST - 1]}…"
        parts.append(_text(LABELS - 10, y + 4, cut, "end"))
        for i, found in enumerate(marks.values()):
            place = series.index([*marks][i])
            level = y + (place - (len(series) - 1) / 2) * 8
            parts.append(_mark(across, found, level, place))
    parts.append(_text((LABELS + WIDTH - RIGHT) / 2, height - 8, shown.axis, "middle"))
    return "".join(parts), height


def _range(ends: list[Estimate], reference: tuple[float, str] | None) -> tuple[float, float]:
    values = [end for one in ends for end in (one.lower, one.value, one.upper) if abs(end) < FARTHEST]
    values += [reference[0]] if reference is not None else []
    low, high = (min(values), max(values)) if values else (0.0, 1.0)
    space = max(0.05 * (high - low), 1e-9) if high > low else 0.5 * abs(high) + 1e-9
    return low - space, high + space


def _ticks(low: float, high: float) -> list[float]:
    """Return round numbers between two ends."""
    step = 10.0 ** math.floor(math.log10((high - low) / TICKS))
    step *= next(k for k in (1, 2, 5, 10) if (high - low) / (k * step) <= TICKS)
    return [k * step for k in range(math.ceil(low / step), math.floor(high / step) + 1)]


def _mark(across, found: Estimate, y: float, place: int) -> str:
    bar = _line(across(found.lower), y, across(found.upper), y, f"bar series-{place % 2}")
    x = across(found.value)
    if place % 2:
        return bar + f'<rect class="mark series-1" x="{x - 3.5:.1f}" y="{y - 3.5:.1f}" width="7" height="7"/>'
    return bar + f'<circle class="mark series-0" cx="{x:.1f}" cy="{y:.1f}" r="4"/>'


def _legend(series: list[str]) -> str:
    if len(series) < 2:
        return ""
    parts = []
    x = LABELS
    for place, name in enumerate(series):
        parts.append(_mark(lambda value: value, Estimate(value=x, lower=x - 8, upper=x + 8), 14, place))
        parts.append(_text(x + 14, 18, name, "start"))
        x += 34 + 7.5 * len(name)
    return "".join(parts)


def _roc(shown: Roc) -> tuple[str, float]:
    height, left = WIDTH * 0.9, 58.0
    floor, right, top = height - 46, WIDTH - RIGHT, 12.0
    first = min([fpr for fpr, *_ in shown.points if 0 < fpr < 1] or [0.1])
    least = 10.0 ** math.floor(math.log10(max(first, LEAST)))

    def along(rate: float) -> float:
        return 1 - math.log10(min(max(rate, least), 1.0)) / math.log10(least)

    def x(rate: float) -> float:
        return left + (right - left) * along(rate)

    def y(rate: float) -> float:
        return floor - (floor - top) * along(rate)

    parts = []
    for power in range(round(math.log10(least)), 1):
        tick = 10.0**power
        parts.append(_line(x(tick), top, x(tick), floor, "grid"))
        parts.append(_line(left, y(tick), right, y(tick), "grid"))
        parts.append(_text(x(tick), floor + 16, f"{tick:g}", "middle"))
        parts.append(_text(left - 8, y(tick) + 4, f"{tick:g}", "end"))
    band = [(x(fpr), y(upper)) for fpr, _, _, upper in shown.points]
    band += [(x(fpr), y(lower)) for fpr, lower, _, _ in reversed(shown.points)]
    parts.append(f'<polygon class="band" points="{_points(band)}"/>')
    parts.append(_line(x(least), y(least), x(1), y(1), "reference"))
    curve = _points([(x(fpr), y(value)) for fpr, _, value, _ in shown.points])
    parts.append(f'<polyline class="curve" points="{curve}"/>')
    parts.append(_text((left + right) / 2, height - 8, "false positive rate", "middle"))
    middle = (top + floor) / 2
    parts.append(
        f'<text transform="translate(14 {middle:.1f}) rotate(-90)" text-anchor="middle">true positive rate</text>'
    )
    return "".join(parts), height


def _points(points) -> str:
    return " ".join(f"{x:.1f},{y:.1f}" for x, y in points)


def _line(x1: float, y1: float, x2: float, y2: float, kind: str) -> str:
    return f'<line class="{kind}" x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}"/>'


def _text(x: float, y: float, text: str, anchor: str) -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(text)}</text>'
