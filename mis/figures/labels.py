"""Names beside points that can be taken for no other point's."""

import itertools
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from mis.figures.drawing import SMALL, extent, settle
from mis.figures.style import plain

__all__ = ["label_points"]

# In points: what counts as one place, the space around a label, how far from its marker it may be without a line, how
# much farther other markers are then, and where the search ends.
TIED, SPACE, NEAR, APART, FARTHEST = 3.0, 1.5, 3.0, 4.0, 110.0
# Width of a label beyond which it is broken, as a share of its panel.
BROKEN = 0.45
# To the right of the point first.
ANGLES = 2.0 * np.pi * np.array(sorted(np.arange(-16, 16) / 32.0, key=lambda turn: (abs(turn), -turn)))
# Labels that are placed in all, in order after order; share of a panel beyond which labels cannot fit.
TRIES, FULL = 120, 0.4
# How much of a detour an error bar under a label, or a line to its point, is worth.
COVERS, LED = 1.2, 8.0

Point = tuple[float, float, str]


class _Label(NamedTuple):
    """Text, place in data coordinates, offset of the centre in points, and whether a line leads to the point."""

    text: str
    place: tuple[float, float]
    offset: tuple[float, float]
    led: bool


class _Spot(NamedTuple):
    """Offset of the centre of a label from its point, whether a line leads there, and how bad that is."""

    offset: np.ndarray
    led: bool
    cost: float


class _Placed(NamedTuple):
    """What is taken: boxes of labels (x0, y0, x1, y1), and lines, each from a point to the middle of its label."""

    boxes: list[np.ndarray]
    lines: list[np.ndarray]


def label_points(panels: Sequence[tuple[Any, Sequence[Point]]]) -> list[str]:
    """Name the points of some panels of one figure.

    Points at one place share a label. Each label is nearest to its own point, or a line leads from it there; it covers
    no other label, no marker and no line to a label. Where names do not find room they are numbered, in all the panels,
    and written below. The same points are always labelled alike.

    Parameters
    ----------
    panels
        Axes, on which all is drawn and whose limits are final, with ``x, y, name`` of each point.

    Returns
    -------
    list of str
        Names that found no room even as numbers: not written in at least one panel.
    """
    # The whole, also where panels stand in a part of it.
    figure = panels[0][0].figure.figure
    settle(figure)
    placed = [_place(axes, points, _joined(axes), FULL) for axes, points in panels]
    missing: list[str] = []
    if any(absent for _, absent in placed):
        numbers = {
            name: i for i, name in enumerate(dict.fromkeys(n for _, points in panels for *_, n in points), 1)
        }
        _write_key(figure, numbers)
        placed = [
            _place(axes, points, lambda names: _ranges([numbers[name] for name in names]))
            for axes, points in panels
        ]
        missing = list(dict.fromkeys(name for _, absent in placed for name in absent))
    for (axes, _), (labels, _) in zip(panels, placed, strict=True):
        for label in labels:
            _write(axes, label)
    return missing


def _write(axes: Any, label: _Label) -> None:
    line = {"arrowstyle": "-", "linewidth": 0.5, "color": "0.45", "shrinkA": 0.0, "shrinkB": 2.0}
    axes.annotate(
        label.text,
        label.place,
        label.offset,
        textcoords="offset points",
        fontsize=SMALL,
        ha="center",
        va="center",
        linespacing=1.05,
        bbox={"boxstyle": "square,pad=0.05", "facecolor": "none", "edgecolor": "none"},
        arrowprops=line if label.led else None,
        zorder=4,
    )


def _joined(axes: Any) -> Callable[[list[str]], str]:
    """Return a function that joins names with commas (semicolons if they have such), on lines that are not too wide."""
    widest = BROKEN * axes.get_window_extent().width / axes.figure.figure.dpi

    def join(names: list[str]) -> str:
        lines: list[str] = []
        mark = ";" if any("," in name for name in names) else ","
        for name in [*(f"{plain(name)}{mark}" for name in names[:-1]), plain(names[-1])]:
            longer = f"{lines[-1]} {name}" if lines else ""
            if longer and extent(axes.figure.figure, longer)[0] <= widest:
                lines[-1] = longer
            else:
                lines.append(name)
        return "\n".join(lines)

    return join


def _ranges(numbers: list[int]) -> str:
    """Write numbers as ``1–3, 7``."""
    runs = [
        [number for _, number in run]
        for _, run in itertools.groupby(enumerate(sorted(numbers)), lambda pair: pair[1] - pair[0])
    ]
    return ",".join(f"{run[0]}–{run[-1]}" if len(run) > 2 else ",".join(map(str, run)) for run in runs)


def _write_key(figure: Any, numbers: dict[str, int]) -> None:
    """Write which name has which number below the panels, and lay them out anew."""
    widest = 0.97 * figure.get_figwidth()
    lines = [""]
    for name, number in numbers.items():
        entry = f"{number} {plain(name)}"
        while entry:
            longer = f"{lines[-1]}   {entry}" if lines[-1] else entry
            if extent(figure, longer)[0] <= widest:
                lines[-1], entry = longer, ""
            elif lines[-1]:
                lines.append("")
            else:
                # A name longer than the figure is wide.
                fits = next(k for k in range(len(entry), 0, -1) if extent(figure, entry[:k])[0] <= widest)
                lines[-1], entry = entry[:fits], entry[fits:]
                lines.append("")
    figure.supxlabel("\n".join(line for line in lines if line), fontsize=SMALL, x=0.01, ha="left")
    added = 9.5 * sum(1 for line in lines if line) / 72.0
    figure.set_figheight(figure.get_figheight() + added)
    figure.set_layout_engine("constrained")
    settle(figure)


def _points(axes: Any, pixels: Any) -> Any:
    return pixels * 72.0 / axes.figure.figure.dpi


def _place(
    axes: Any, points: Sequence[Point], join: Callable[[list[str]], str], full: float = np.inf
) -> tuple[list[_Label], list[str]]:
    """Find a place for the label of each point, one after another; the order that succeeds best is kept."""
    own = _points(axes, axes.transData.transform([(x, y) for x, y, _ in points]))
    groups = _tied(own)
    texts = [join([points[i][2] for i in group]) for group in groups]
    sizes = [72.0 * np.array(extent(axes.figure.figure, text)) for text in texts]
    scene = _scene(axes)
    first = [own[group[0]] for group in groups]
    crowds = [np.hypot(*(own - place).T) for place in first]
    keys = [
        [-np.sum(crowd < 40.0) for crowd in crowds],
        [-np.sum(crowd < 20.0) for crowd in crowds],
        *([sign * place[axis] for place in first] for axis in (0, 1) for sign in (1.0, -1.0)),
    ]
    best: dict[int, _Spot] = {}
    if sum(size.prod() for size in sizes) > full * (scene[0][2:] - scene[0][:2]).prod():
        return [], [name for *_, name in points]
    orders = [np.argsort(key, kind="stable").tolist() for key in keys]
    for _ in range(max(2, TRIES // len(groups))):
        placed, found = _Placed([], []), {}
        for i in orders[0]:
            if spot := _spot(own[groups[i]], sizes[i], placed, *scene):
                found[i] = spot
        best = max(best, found, key=lambda found: (len(found), -sum(spot.cost for spot in found.values())))
        if len(found) == len(groups) and not any(spot.led for spot in found.values()):
            break
        # Once all orders were tried, those that found none come first.
        order = orders.pop(0)
        orders.append([i for i in order if i not in found] + [i for i in order if i in found])
    labels = [
        _Label(texts[i], points[groups[i][0]][:2], tuple(spot.offset), spot.led)
        for i, spot in sorted(best.items())
    ]
    return labels, [points[k][2] for i, group in enumerate(groups) if i not in best for k in group]


def _tied(own: np.ndarray) -> list[list[int]]:
    """Put points into groups of one place each: all within a hair of the group's first."""
    groups: list[list[int]] = []
    for i, point in enumerate(own):
        near = [group for group in groups if np.hypot(*(own[group[0]] - point)) < TIED]
        if near:
            near[0].append(i)
        else:
            groups.append([i])
    return groups


def _scene(axes: Any) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the frame, all markers (x, y, radius) and samples of all lines of a panel, in points."""
    frame = _points(axes, np.array(axes.get_window_extent().extents))
    markers, samples = [np.empty((0, 3))], [np.empty((0, 2))]
    for line in axes.lines:
        drawn = _points(axes, line.get_transform().transform(line.get_xydata()))
        if line.get_marker() not in ("", " ", "None", "none", None):
            radius = np.full((len(drawn), 1), line.get_markersize() / 2.0)
            markers.append(np.hstack([drawn, radius]))
        if line.get_linestyle() not in ("", " ", "None", "none"):
            samples += [_along(*pair) for pair in itertools.pairwise(drawn)]
    for collection in axes.collections:
        if hasattr(collection, "get_segments"):
            for segment in collection.get_segments():
                drawn = _points(axes, collection.get_transform().transform(segment))
                samples += [_along(*pair) for pair in itertools.pairwise(drawn)]
    return frame, np.concatenate(markers), np.concatenate(samples)


def _along(start: np.ndarray, end: np.ndarray) -> np.ndarray:
    """Return points of a line, three points apart."""
    num = min(max(int(np.hypot(*(end - start)) / 3.0), 1), 1000)
    return start + np.linspace(0.0, 1.0, num + 1)[:, None] * (end - start)


def _spot(
    own: np.ndarray,
    size: np.ndarray,
    placed: _Placed,
    frame: np.ndarray,
    markers: np.ndarray,
    samples: np.ndarray,
) -> _Spot | None:
    """Return the best place of a label; None if there is none.

    What is found is added to ``placed``.
    """
    half, point = size / 2.0, own[0]
    same = _distance(np.hstack([own, own]), markers[:, :2]).min(axis=0) <= 0.25
    radius = markers[same, 2].max(initial=0.0)
    offsets, far = _offsets(half, radius)
    inside = np.all((point + offsets - half > frame[:2]) & (point + offsets + half < frame[2:]), axis=1)
    offsets, far = offsets[inside], far[inside]
    boxes = np.hstack([point + offsets - half, point + offsets + half])

    to_markers = _distance(boxes, markers[:, :2]) - markers[:, 2]
    nearest = to_markers[:, ~same].min(axis=1, initial=np.inf)
    free = to_markers.min(axis=1, initial=np.inf) >= 1.0
    taken, lines = np.array(placed.boxes).reshape(-1, 4), np.array(placed.lines).reshape(-1, 2, 2)
    free &= ~_overlap(boxes, taken).any(axis=1)
    on_lines = np.concatenate([np.empty((0, 2)), *(_along(*line) for line in lines)])
    free &= _distance(boxes, on_lines).min(axis=1, initial=np.inf) >= 1.0
    beside = _distance(boxes, point[None])[:, 0] - radius
    direct = free & (beside <= NEAR) & (nearest >= beside + APART)
    led = free & (beside >= NEAR + 2.0) & (nearest >= 2.0)

    best, cheapest = None, np.inf
    for i in np.flatnonzero(direct | led):
        if far[i] > cheapest:
            break
        if not direct[i] and not _clear(point, point + offsets[i], taken, lines, markers[~same]):
            continue
        covered = (_distance(boxes[i : i + 1], samples) < 0.5).sum()
        cost = far[i] + COVERS * covered + (0.0 if direct[i] else LED)
        if cost < cheapest:
            best, cheapest = i, cost
    if best is None:
        return None
    placed.boxes.append(boxes[best])
    if not direct[best]:
        placed.lines.append(np.array([point, point + offsets[best]]))
    return _Spot(offsets[best], not direct[best], cheapest)


def _offsets(half: np.ndarray, radius: float) -> tuple[np.ndarray, np.ndarray]:
    """Return where the middle of a label may be against its point, nearest first, and how far its edge is then."""
    towards = np.stack([np.cos(ANGLES), np.sin(ANGLES)], axis=1)
    radii = radius + np.concatenate([[NEAR - 1.0, NEAR - 0.1], np.arange(NEAR + 3.0, FARTHEST, 4.0)])
    # Half of the box is on the side that faces the point.
    inner = np.clip(towards * np.sqrt(2.0), -1.0, 1.0) * half
    return (radii[:, None, None] * towards + inner).reshape(-1, 2), np.repeat(radii, len(ANGLES))


def _clear(
    point: np.ndarray, centre: np.ndarray, taken: np.ndarray, lines: np.ndarray, foreign: np.ndarray
) -> bool:
    """Say whether a line from a point to its label passes no other marker, label or line to a label."""
    line = _along(point, centre)
    apart = np.hypot(*(line[:, None] - foreign[None, :, :2]).transpose(2, 0, 1))
    # A marker that overlaps the point's own cannot be avoided; the line then leaves on the other side.
    allowed = np.minimum(foreign[:, 2] + 1.0, 0.97 * apart[0])
    if np.any(apart < allowed) or np.any(_distance(taken, line) <= 1.0):
        return False
    starts, ends = lines[:, 0], lines[:, 1]
    straddled = _side(point, centre, starts) != _side(point, centre, ends)
    return not np.any(straddled & (_side(starts, ends, point) != _side(starts, ends, centre)))


def _side(start: np.ndarray, end: np.ndarray, point: np.ndarray) -> np.ndarray:
    """Return on which side of a line a point is, for many of either."""
    (dx, dy), (px, py) = (end - start).T, (point - start).T
    return np.sign(dx * py - dy * px)


def _overlap(boxes: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Return which boxes overlap which others, with the space around them, ``(B, O)``."""
    left, right = boxes[:, None], others[None]
    return np.all(
        (left[..., :2] <= right[..., 2:] + SPACE) & (left[..., 2:] >= right[..., :2] - SPACE), axis=-1
    )


def _distance(boxes: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Return the distance of each box from each point, ``(B, P)``, 0 inside."""
    low, high = boxes[:, None, :2] - points[None], points[None] - boxes[:, None, 2:]
    return np.hypot(*np.maximum(np.maximum(low, high), 0.0).transpose(2, 0, 1))
