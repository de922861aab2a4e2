"""Figures of what was recorded and of adversarial names: readable, within their width, nothing over anything else."""

import csv
import itertools
import json
from pathlib import Path

import numpy as np
import pytest
from matplotlib.text import Text

from mis.figures import ranking_figure
from mis.figures.audit import audit_roc
from mis.figures.local_map import PANELS, local_map
from mis.figures.notebooks import exact_cases, indicators, limits, optimal_rocs, rare_events
from mis.figures.sandwich import sandwich
from mis.figures.shadows import shadows
from mis.figures.theory import predicted_against_empirical

RESULTS = Path(__file__).parents[2] / "benchmarks/results"
BOTH = pytest.mark.parametrize(
    ("width", "inches"), [("single", 3.4), pytest.param("double", 7.0, marks=pytest.mark.slow)]
)


def read(name):
    def number(text):
        try:
            return float(text)
        except ValueError:
            return text or None

    with open(RESULTS / f"{name}.csv", newline="", encoding="utf-8") as file:
        return [{name: number(text) for name, text in row.items()} for row in csv.DictReader(file)]


@BOTH
@pytest.mark.parametrize("draw", [sandwich, shadows], ids=["sandwich", "shadows"])
def test_recorded_studies(draw, width, inches, check_drawn):
    check_drawn(draw(read(draw.__name__), width=width), inches)


@BOTH
@pytest.mark.parametrize("record", ["solubility", pytest.param("linear-depth0", marks=pytest.mark.slow)])
def test_recorded_rankings(record, width, inches, check_drawn):
    about = json.loads((RESULTS / "ranking-solubility.json").read_text(encoding="utf-8"))
    figure = ranking_figure(read(f"ranking-{record}"), about["agreement"], about, width=width)
    check_drawn(figure, inches)
    assert "95% intervals" in figure.caption
    assert "512 networks" in figure.caption
    found = next(one for one in about["agreement"] if (one["indicator"], one["given"]) == ("indicator", ""))
    expected = f"τ = {found['tau']:.2f} [{found['lower']:.2f}, {found['upper']:.2f}]"
    assert expected in figure.axes[1].get_title(loc="left")


@pytest.mark.parametrize(
    "width", [2.5, *(pytest.param(w, marks=pytest.mark.slow) for w in (3.4, 5.5, 7.0, 12.0))]
)
@pytest.mark.parametrize("columns", [("performance",), ("performance", "indicator", "predicted", "local")])
def test_a_ranking_of_any_width_and_names(width, columns, check_drawn):
    names = [
        "cost_$5_vs_$10",
        "a\nb",
        "<b>sign</b>",
        r"\frac",
        "量化",
        "_x",
        "x" * 60,
        "a\udcff",
        "10%",
        "#&{}~^",
    ]
    rows = [
        {"release": name, "advantage": 0.1 * i, **dict.fromkeys(columns, 0.02 * i**2)}
        for i, name in enumerate(names)
    ]
    figure = ranking_figure(rows, [], {"task": r"$\alpha_{1}$ " * 20, "performance": "R2"}, width=width)
    check_drawn(figure, width)
    written = "".join(text.get_text() for text in figure.findobj(Text))
    assert "cost_$5_vs_$10" in written
    assert r"\frac" in written


def test_series_of_a_ranking_are_told_apart_without_colour():
    figure = ranking_figure(read("ranking-linear-depth0"), [], {})
    lines = [line for line in figure.axes[2].lines if line.get_marker() not in ("None", "none")]
    assert len({line.get_marker() for line in lines}) == len({line.get_color() for line in lines}) == 2


def test_series_of_shadows_are_told_apart_without_colour():
    figure = shadows(read("shadows"))
    looks = {(handle.get_linestyle(), handle.get_marker()) for handle in figure.legends[0].legend_handles}
    assert len(looks) == len(figure.legends[0].legend_handles)


N = [10.0, 100.0, 1000.0, 10000.0]
SMALL = {
    "optimal rocs": lambda **looks: optimal_rocs(
        [
            {
                "release": f"release {r}",
                "fpr": f,
                "lower": f ** (0.3 * r),
                "upper": min(1.0, 1.1 * f ** (0.3 * r)),
            }
            for r, f in itertools.product((1, 2, 3), (1e-4, 1e-3, 1e-2, 0.1, 1.0))
        ],
        **looks,
    ),
    "exact cases": lambda **looks: exact_cases(
        [{"law": f"law {k}", "n": n, "value": n**-k} for k, n in itertools.product((0.5, 1.0, 2.0), N)],
        **looks,
    ),
    "limits": lambda **looks: limits(
        [
            {"population": p, "n": n, "value": k / n, "bound": 2 * k / n, "asymptote": k / n}
            for (p, k), n in itertools.product((("one", 1), ("other", 3)), N)
        ],
        **looks,
    ),
    "rare events": lambda **looks: rare_events(
        [
            {"law": law, "method": m, "exact": 10.0**-k, "ratio": 1.0, "lower": 0.9, "upper": 1.1}
            for law, m, k in itertools.product(("normal", "lattice"), ("tilted", "plain"), (2, 30, 95))
        ],
        **looks,
    ),
    "indicators": lambda **looks: indicators(
        [{"task": task} | row for task in ("solubility", "digits") for row in read("ranking-solubility")],
        [
            {"task": task, "indicator": name, "given": "", "tau": 0.5}
            for task in ("solubility", "digits")
            for name in (
                "indicator_naive",
                "indicator",
                "retained",
                "predicted",
                "weight_error",
                "code_entropy",
            )
        ],
        **looks,
    ),
    "local map": lambda **looks: local_map(
        [
            {
                "panel": panel,
                "at": at,
                "route": route,
                "quantizer": name,
                "advantage": 0.1,
                "lower": 0.08,
                "upper": 0.13,
                "away": 0.123,
            }
            | ({"predicted": 0.1} if at != 5 else {})
            for panel in PANELS
            for at in (5, 20, 50, 100, 400, 1600)
            for route in ("path", "sandwich")
            for name in ("full", "ternary-66", "sign")
        ],
        **looks,
    ),
    "predicted": lambda **looks: predicted_against_empirical(
        [
            {
                "model": f"model {m}",
                "n": n,
                "release": "sign",
                "predicted": p,
                "advantage": p,
                "lower": p,
                "upper": p,
            }
            for m, n, p in itertools.product(range(5), (100, 1000), (0.002, 0.1, 0.8))
        ],
        **looks,
    ),
    "audit": lambda **looks: audit_roc(
        [
            {"fpr": f, "lower": 0.0, "value": f**0.5, "upper": min(1.0, 2 * f**0.5)}
            for f in np.geomspace(1e-5, 1, 50).tolist()
        ],
        **looks,
    ),
}


@BOTH
@pytest.mark.parametrize("name", SMALL)
def test_other_figures(name, width, inches, check_drawn):
    check_drawn(SMALL[name](width=width), inches)
