"""Each study's rows against a truth that it did not use, and each figure drawn from them."""

import csv
import functools
import itertools
import json
import math
from pathlib import Path

import numpy as np
import pytest
from matplotlib.text import Text
from scipy import special, stats

from mis.figures import FIGURES
from mis.ranking.row import Row
from mis.studies import STUDIES, write_rows

RESULTS = Path(__file__).parents[2] / "benchmarks/results"

# What a row is called in its figure.
SHOWN = {
    "delta-vs-n": lambda row: row["route"],
    "certified-bands": lambda row: row["release"],
    "edge-leakage": lambda row: row.get("label", row.get("weights")),
    "boundary": lambda row: "ternary, certified" if row["panel"] == "leak" else "weight (normal weights)",
    "predicted-vs-empirical": lambda row: f"n = {row['n']}",
    "local-map": lambda row: row["quantizer"],
    "sandwich": lambda row: row["label"],
    "shadows": lambda row: row["task"],
}


@functools.cache
def rows_of(name):
    if name != "sandwich":
        return STUDIES[name](True)
    # Of a recorded ranking; a ranking of its own is the slow test.
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("mis.ranking.rank", recorded)
        return STUDIES[name](True)


def recorded(_, names, **__):
    rows = json.loads((RESULTS / "ranking-solubility.json").read_text())["rows"]
    return [row for row in map(Row.from_json, rows) if row.release in ("full", *names)]


@pytest.fixture(params=sorted(SHOWN))
def study(request):
    return request.param, rows_of(request.param)


def test_every_figure_has_its_study():
    assert set(FIGURES) == set(STUDIES)


def test_first_line_describes(study):
    assert STUDIES[study[0]].__doc__.splitlines()[0].endswith(".")


def test_rows_survive_the_disk(study, tmp_path):
    name, rows = study
    write_rows(rows, tmp_path / f"{name}.csv")
    with open(tmp_path / f"{name}.csv", newline="") as file:
        back = list(csv.DictReader(file))
    assert len(back) == len(rows)
    for row, read in zip(rows, back, strict=True):
        for column, value in row.items():
            assert read[column] == str(value) if isinstance(value, str) else float(read[column]) == value


@pytest.mark.parametrize(("width", "inches"), [("single", 3.4), ("double", 7.0)])
def test_figure_shows_every_group(study, width, inches, check_drawn):
    name, rows = study
    figure = FIGURES[name](rows, width=width)
    check_drawn(figure, inches)
    shown = {text.get_text() for text in figure.findobj(Text)}
    for row in rows:
        assert SHOWN[name](row) in shown


def test_delta_vs_n_against_closed_forms():
    rows = rows_of("delta-vs-n")
    for row in rows:
        if row["law"].startswith("normal") and row["route"] == "sharp":
            n = row["n"]
            by_hand = 2 * (2 * stats.norm.cdf(0.5) - 1) * math.exp(-n / 2) / math.sqrt(2 * math.pi * n)
            assert math.isclose(row["value"], by_hand, rel_tol=1e-9)
        if row["route"] == "exact":
            assert row["error"] == 0
        if row["route"] == "simulated":
            assert row["lower"] <= row["value"] <= row["upper"]
            assert row["error"] < 0.2
    assert min(row["value"] for row in rows) < 1e-99


def test_edge_leakage_against_quadrature():
    rows = [row for row in rows_of("edge-leakage") if row.get("label") == "one edge, n = 100"]
    z, step = np.linspace(-12, 12, 20_001, retstep=True)
    for row in rows[:4]:
        beyond = special.ndtr((-10 * row["distance"] - 0.1 * z) / math.sqrt(0.99))
        usual = special.ndtr(-10 * row["distance"])
        assert math.isclose(row["value"], np.abs(beyond - usual) @ stats.norm.pdf(z) * step, rel_tol=1e-5)


def test_bounds_rise_with_dimension():
    rows = rows_of("certified-bands")
    for release in {row["release"] for row in rows if row["panel"] == "dimension"}:
        line = [row for row in rows if row["panel"] == "dimension" and row["release"] == release]
        assert all(a["lower"] <= b["upper"] for a, b in itertools.pairwise(line))
        assert all(row["lower"] <= row["value"] <= row["upper"] for row in line)


def test_the_boundary_law_meets_certified_advantages():
    """Where cells are wide; and in the order of the share of zeros."""
    rows = [row for row in rows_of("boundary") if row["panel"] == "leak"]
    for weights in ("normal weights", "Laplace weights"):
        own = {row["quantizer"]: row for row in rows if row["weights"] == weights}
        zeros = sorted((row for row in own.values() if "zeros" in row), key=lambda row: row["zeros"])
        assert all(few["lower"] > many["upper"] for few, many in itertools.pairwise(zeros))
        assert own["ternary-10"]["lower"] > own["sign"]["upper"] > own["ternary-95"]["upper"]
        for row in own.values():
            assert row["lower"] <= row["upper"] <= row["lower"] + 1e-3
            assert row["law"] == pytest.approx(row["lower"], rel=0.25)
    by_hand = {row["edge"]: row["density"] for row in rows_of("boundary") if row["panel"] == "edge"}
    for edge, density in by_hand.items():
        assert density == pytest.approx(math.exp(-(edge**2) / 2) / math.sqrt(2 * math.pi))


def test_prediction_meets_the_attack():
    rows = rows_of("predicted-vs-empirical")
    for row in rows:
        error = (row["upper"] - row["lower"]) / 2 / 1.96
        assert abs(row["advantage"] - row["predicted"]) < 0.1 * row["predicted"] + 5 * error
        assert row["lower"] > 0


@pytest.mark.parametrize(
    "rows", [rows_of, pytest.param(lambda name: STUDIES[name](True), marks=pytest.mark.slow)]
)
def test_sandwich_is_that_of_the_rankings(rows):
    """Strongest and predicted agree in full precision, and no attack is beaten by its own part but by chance."""
    rows = rows("sandwich")
    assert {row["label"] for row in rows} == {"breast-cancer"}
    assert {row["release"] for row in rows} == {"full", "sign", "ternary-90", "uniform-4"}
    for row in rows:
        if row["release"] == "full":
            assert row["predicted"] == pytest.approx(max(row["advantage"], 0.0), rel=1e-6, abs=1e-9)
        assert row["advantage_upper"] > row["lira_lower"]
        assert row["predicted_lower"] <= row["predicted"] <= row["predicted_upper"]


def test_few_networks_foretell_what_more_shadows_bring():
    """Attacks on networks that the forecast has not seen, with up to four times the networks it has."""
    rows = rows_of("shadows")
    attacks = [row for row in rows if row["what"] == "attack"]
    for name in {row["release"] for row in rows}:
        own = [row for row in rows if row["release"] == name]
        expected = [row for row in own if row["what"] == "expected"]
        nums, values = zip(*((row["num_shadows"], row["value"]) for row in expected), strict=True)
        limit = next(row for row in own if row["what"] == "limit")
        assert list(values) == sorted(values)
        assert values[-1] == pytest.approx(limit["value"], abs=0.01)
        for row in attacks:
            if row["release"] == name:
                # The forecast's error is that of its limit.
                margin = limit["upper"] - limit["lower"] + row["upper"] - row["lower"]
                assert abs(np.interp(row["num_shadows"], nums, values) - row["value"]) < margin
    assert max(row["value"] for row in attacks) > 0.1


def test_the_map_holds_where_it_should_and_fails_where_it_should():
    """Quick rows are few refits: a fifth is within what the attack loses by learning from two hundred of them."""
    rows = {(row["panel"], row["at"], row["route"], row["quantizer"]): row for row in rows_of("local-map")}
    many, few = (rows["examples", n, "sandwich", "full"] for n in (200, 25))
    assert 0.8 < many["advantage"] / many["predicted"] < 1.1
    assert many["away"] < 0.05
    assert few["advantage"] < 0.6 * few["predicted"]
    assert few["away"] > 0.5
    flat = rows["angle", 10.0, "sandwich", "full"]
    assert 0.1 < flat["away"] < 0.5
    assert flat["advantage"] < 0.9 * flat["predicted"]
    stopped = rows["steps", 20, "path", "full"]
    assert 0.8 < stopped["advantage"] / stopped["predicted"] < 1.1
    assert stopped["minima"] == 0.0
    assert many["minima"] == 1.0
    # Where the Hessian is indefinite there is no sandwich.
    assert "predicted" not in rows["steps", 5, "sandwich", "full"]
