"""Labels beside points, held against the boxes that are drawn: none can be taken for another point's."""

import csv
import itertools
import math
import re
from pathlib import Path

import numpy as np
import pytest
from matplotlib.text import Text

from mis.figures import ranking_figure
from mis.figures.drawing import drawing
from mis.figures.labels import label_points

RESULTS = Path(__file__).parents[2] / "benchmarks/results"
# In points, as everything below: what no reader tells from one place.
ONE_PLACE = 3.1


def read(path):
    def number(text):
        try:
            return float(text)
        except ValueError:
            return text or None

    with open(path, newline="", encoding="utf-8") as file:
        return [{name: number(text) for name, text in row.items()} for row in csv.DictReader(file)]


TASKS = {
    task: list(rows) for task, rows in itertools.groupby(read(RESULTS / "sandwich.csv"), lambda r: r["label"])
}
RECORDS = {path.stem: read(path) for path in sorted(RESULTS.glob("ranking-*.csv"))}


def markers(axes):
    scale = 72 / axes.figure.dpi
    for line in axes.lines:
        if line.get_marker() not in ("None", "none", "", " "):
            for place in line.get_transform().transform(line.get_xydata()) * scale:
                yield place, line.get_markersize() / 2


def apart(box, place):
    """Distance of a point from a box."""
    return math.hypot(
        max(box.x0 - place[0], 0, place[0] - box.x1), max(box.y0 - place[1], 0, place[1] - box.y1)
    )


def along(line):
    start, end = line
    return [start + share * (end - start) for share in np.linspace(0, 1, 200)]


def check_labels(axes, points):
    """Return the names that are written, having checked where."""
    axes.figure.draw_without_rendering()
    scale = 72 / axes.figure.dpi
    drawn = list(markers(axes))
    places = {}
    for x, y, name in points:
        places.setdefault(name, []).append(axes.transData.transform((x, y)) * scale)
    frame = axes.get_window_extent().transformed(axes.figure.dpi_scale_trans.inverted())
    labels = []
    for label in axes.texts:
        box = Text.get_window_extent(label)
        box = type(box)(box.get_points() * scale)
        own = axes.transData.transform(label.xy) * scale
        line = None
        if label.arrow_patch is not None:
            vertices = label.arrow_patch.get_transform().transform_path(label.arrow_patch.get_path()).vertices
            line = vertices[[0, -1]] * scale
        labels.append((label.get_text(), box, own, line))

    for text, box, own, line in labels:
        assert frame.x0 * 72 <= box.x0, text
        assert box.x1 <= frame.x1 * 72, text
        assert frame.y0 * 72 <= box.y0, text
        assert box.y1 <= frame.y1 * 72, text
        foreign = [(place, radius) for place, radius in drawn if math.dist(place, own) > ONE_PLACE]
        assert any(math.dist(place, own) < 0.1 for place, _ in drawn), text
        assert all(apart(box, place) > radius for place, radius in drawn), f"{text} covers a point"
        if line is None:
            # It may only be taken for its own point's.
            assert apart(box, own) < 6, text
            assert all(apart(box, place) > apart(box, own) + 1 for place, _ in foreign), text
        else:
            ends = sorted((math.dist(end, own), apart(box, end)) for end in line)
            assert ends[0][0] < 3, text
            assert ends[1][1] < 3, text
            for place, radius in foreign:
                # A marker over the point's own cannot be avoided.
                least = min(radius, 0.9 * math.dist(place, own) - 0.1)
                assert min(math.dist(place, step) for step in along(line)) > least, (
                    f"{text}'s line meets a point"
                )
    for (one, box, _, line), (other, box_2, _, line_2) in itertools.combinations(labels, 2):
        assert not box.overlaps(box_2), f"{one} over {other}"
        assert line is None or all(apart(box_2, step) > 0 for step in along(line)), (
            f"{one}'s line over {other}"
        )
        assert line_2 is None or all(apart(box, step) > 0 for step in along(line_2)), (
            f"{other}'s line over {one}"
        )

    written = []
    for name, text, own in names_of(axes, labels):
        assert any(math.dist(place, own) <= ONE_PLACE for place in places[name]), f"{text} is elsewhere"
        written.append(name)
    return written


def names_of(axes, labels):
    """Yield each name that a label says, also by its number."""
    key = axes.figure.get_supxlabel()
    numbered = dict(re.findall(r"(\d+) (\S+)", key))
    for text, _, own, _ in labels:
        if not key:
            for name in re.split(r",\s+", text):
                yield name, text, own
            continue
        for part in text.split(","):
            first, _, last = part.partition("–")
            for number in range(int(first), int(last or first) + 1):
                yield numbered[str(number)], text, own


def check_ranking(rows, width, about=None):
    figure = ranking_figure(rows, [], {"task": "a task", **(about or {})}, width=width)
    columns = [
        c for c in ("performance", "indicator", "predicted") if any(r.get(c) is not None for r in rows)
    ]
    assert len(figure.axes) == len(columns)
    for axes, column in zip(figure.axes, columns, strict=True):
        points = [(r[column], r["advantage"], r["release"]) for r in rows if r.get(column) is not None]
        assert sorted(check_labels(axes, points)) == sorted(name for *_, name in points)
    return figure


@pytest.mark.parametrize("width", ["single", pytest.param("double", marks=pytest.mark.slow)])
@pytest.mark.parametrize("task", TASKS)
def test_every_task(task, width):
    figure = check_ranking(TASKS[task], width)
    # There is room for the names of ten quantizers.
    assert not figure.get_supxlabel()


def test_all_eight_tasks_are_there():
    assert len(TASKS) == 8
    assert all(len(rows) == 10 for rows in TASKS.values())


@pytest.mark.parametrize("width", ["single", pytest.param("double", marks=pytest.mark.slow)])
@pytest.mark.parametrize(
    "record", [pytest.param(name, marks=[pytest.mark.slow] if "-seed1" in name else []) for name in RECORDS]
)
def test_every_recorded_ranking(record, width):
    check_ranking(RECORDS[record], width)


def row(name, performance, advantage, predicted):
    return {"release": name, "performance": performance, "advantage": advantage, "predicted": predicted}


rng = np.random.default_rng(20251125)
CROWDS = {
    "one": [row("full", 0.5, 0.5, 0.5)],
    "all equal": [row(f"quantizer-{i}", 0.5, 0.5, 0.5) for i in range(30)],
    "thirty": [row(f"uniform-{i}", *rng.random(3)) for i in range(30)],
    "on a line": [row(f"uniform-{i}", i / 20, i / 20, i / 20) for i in range(20)],
    "in two heaps": [row(f"uniform-{i}", *(i % 2 + 0.01 * rng.random(3))) for i in range(12)],
    "overlapping": [row(f"uniform-{i}", 0.5 + 0.012 * i, 0.5, 0.5) for i in range(5)] + [row("f", 0, 0, 0)],
    "long names": [row(f"codebook-16-per-channel-and-more-{i}-of-it", *rng.random(3)) for i in range(12)],
    "names longer than the figure": [row(f"{'very' * 30}-{i}", *rng.random(3)) for i in range(4)],
    "a column": [row(f"ternary-{i}", 0.5, i / 12, i / 12) for i in range(12)],
}


@pytest.mark.parametrize("width", [2.5, pytest.param("double", marks=pytest.mark.slow)])
@pytest.mark.parametrize("crowd", [name for name in CROWDS if "longer" not in name])
def test_crowds(crowd, width):
    check_ranking(CROWDS[crowd], width)


def test_a_name_longer_than_the_figure_is_written_whole():
    figure = ranking_figure(CROWDS["names longer than the figure"], [], {}, width="single")
    key = figure.get_supxlabel().replace("\n", "").replace(" ", "")
    assert all(row["release"] in key for row in CROWDS["names longer than the figure"])


def test_what_finds_no_room_is_said_in_the_caption():
    rows = [row(f"uniform-{i}", *rng.random(3)) for i in range(50)]
    figure = ranking_figure(rows, [], {}, width=2.5)
    missing = set(re.search(r"Without room for a label: (.*)\.$", figure.caption)[1].split(", "))
    for axes, column in zip(figure.axes, ("performance", "predicted"), strict=True):
        written = check_labels(axes, [(r[column], r["advantage"], r["release"]) for r in rows])
        assert missing >= {r["release"] for r in rows} - set(written)
    assert len(missing) < 20


def test_the_same_points_are_labelled_alike():
    def places():
        figure = ranking_figure(TASKS["digits"], [], {}, width="single")
        return [(text.get_text(), text.xyann) for axes in figure.axes for text in axes.texts]

    assert places() == places()


def test_ties_share_a_label_and_lines_lead_where_nothing_else_tells():
    points = [(0.5, 0.5, "a"), (0.5, 0.5, "b"), (0.1, 0.1, "alone")]
    points += [
        (0.5 + 0.06 * x, 0.5 + 0.06 * y, f"{x} {y}")
        for x, y in itertools.product((-1, 0, 1), repeat=2)
        if x or y
    ]
    with drawing(3.0, 3.0) as figure:
        axes = figure.subplots()
        axes.plot(*zip(*[point[:2] for point in points], strict=True), "o", markersize=6)
        axes.set(xlim=(0, 1), ylim=(0, 1))
        assert label_points([(axes, points)]) == []
    led = {text.get_text(): text.arrow_patch is not None for text in axes.texts}
    assert led["a, b"]
    assert not led["alone"]
    assert sorted(check_labels(axes, points)) == sorted(name for *_, name in points)
