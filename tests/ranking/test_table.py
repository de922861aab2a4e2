"""Tables: at any width every line fits and every number is whole."""

import re

import numpy as np
import pytest
from rich.cells import cell_len

from mis import theory
from mis.ranking.answer import answer
from mis.ranking.columns import ATTACKS as ALL
from mis.ranking.performance import Performance
from mis.ranking.row import Row
from mis.ranking.table import indicator_table, table
from mis.ranking.text import fit, grid
from mis.results import Interval

WIDTHS = (60, 80, 120, 200)
NAMES = [
    "full",
    "sign",
    "ternary-90",
    "uniform-3-channel-asymmetric-offset-50-clip-30-pow2",
    "a_name with_spaces",
]


# As many as a default run has, and a few more.
ATTACKS = ("lira", "lira_loss", "rmia", "loss", "calibrated_loss", "lira_decoded", "whitebox", "combined")
assert set(ATTACKS) < set(ALL)


def interval(rng, kind="attack", scale=1.0):
    lower, value, upper = np.sort(scale * rng.normal(size=3))
    return Interval(lower=lower, value=value, upper=upper, kind=kind, level=0.95)


def made(rng, name, **fields):
    """A row with every column there is; numbers of all signs and sizes."""
    return Row(
        **{
            "release": name,
            "bits": 1.584962500721156,
            "zeros": rng.random(),
            "performance": interval(rng, "monte-carlo", 12.0),
            "train_performance": -12.3456,
            "indicator": interval(rng, "bootstrap", 1e-5),
            "num_candidates": 1234567,
            "indicator_naive": 1e-9,
            "retained": interval(rng, "bootstrap", 1e-3),
            "retained_ensemble": interval(rng, "bootstrap"),
            "local": interval(rng, "asymptotic"),
            "weight_error": 1e3 * rng.random(),
            "code_entropy": 32.0,
            "attacks": {attack: interval(rng) for attack in ATTACKS},
            "advantage": interval(rng),
            "tpr_at_fpr_01": interval(rng),
            "fpr_realised": 0.01,
            "limit": interval(rng, "asymptotic"),
            "level": 0.95,
            "predicted": interval(rng, "asymptotic"),
            "early": interval(rng),
            "early_steps": 37.5,
            "given_performance": interval(rng, "asymptotic"),
            "tied_with": tuple(other for other in NAMES if other != name),
            **fields,
        }
    )


ABOUT = {
    "task": "task",
    "spec": {
        "learner": {"num_steps": 600, "optimiser": "adam"},
        "pool": 512,
        "width": 32,
        "depth": 2,
        "seed": 7,
    },
    "num_networks": 512,
    "num_folds": 8,
    "level": 0.95,
    "excluded": ["network 3", "network 40"],
    "classes": 9,
    "model": "mlp, 2 hidden layers of 32",
    "heldout": 505,
    "performance": "accuracy",
}
TAUS = [
    {"indicator": name, "given": given, "tau": -0.5, "lower": -1.0, "upper": 0.25, "p_value": 0.0125}
    for name in ("retained_ensemble", "bits")
    for given in ("", "performance", "weight_error")
]


def printed(rows, width, rng, about=ABOUT):
    advantages = rng.normal(size=(len(rows), 64))
    performances = [
        Performance(of_networks=rng.normal(size=64), of_examples=rng.normal(size=64)) for _ in rows
    ]
    choice = answer([row.release for row in rows], advantages, performances, num_folds=8)
    return table(rows, TAUS, about, choice, width=width)


def short(value):
    return re.sub(r"^(-?)0\.", r"\1.", f"{value:.3f}")


def expected(row):
    """Every cell of a row, by hand."""
    both = [row.performance, row.advantage, row.tpr_at_fpr_01, row.limit, row.early, *row.attacks.values()]
    yield from (f"{short(x.value)} ±{short((x.upper - x.lower) / 2)}" for x in both)
    yield from (f"{x.value:.2g} [{x.lower:.2g}, {x.upper:.2g}]" for x in (row.indicator, row.retained))
    yield from (f"{x.value:.3f}" for x in (row.retained_ensemble, row.local))
    yield from ("1.58", f"{row.zeros:.2f}", "-12.346", "1234567", f"{row.weight_error:.3f}", "32.00")
    yield from (short(row.predicted.value), f"≤{short(row.mis.upper)}")


@pytest.mark.parametrize("width", WIDTHS)
def test_every_number_is_whole_and_every_line_fits(width, rng):
    rows = [made(rng, name) for name in NAMES]
    text = printed(rows, width, rng)
    assert max(cell_len(line) for line in text.splitlines()) <= width
    assert "…" not in text
    for row in rows:
        for cell in expected(row):
            assert re.search(rf"(?<!\S){re.escape(cell)}(?!\S)", text), cell
    assert text.count("-0.50 [-1.00, 0.25] 0.013") + text.count("-0.50 [-1.00, 0.25] 0.012") == len(TAUS)
    for name in ("full", "sign", "ternary-90"):
        # Each block of each table repeats whose numbers these are.
        assert len(re.findall(rf"^{name} ", text, flags=re.MULTILINE)) >= 3


@pytest.mark.parametrize("width", [40, *WIDTHS])
def test_long_names_stand_whole_or_in_pieces_that_make_them_up(width):
    text = grid(["release", "lira", "advantage"], [[name, ".123 ±.456", ".1"] for name in NAMES], width)
    assert max(map(cell_len, text.splitlines())) <= width
    first = "".join(line[: width - 12].split("  ")[0].strip() for line in text.splitlines())
    assert all("".join(name.split()) in "".join(first.split()) for name in NAMES)


def test_a_narrow_gap_where_it_spares_a_block():
    rows = [["a", "1", "2"]]
    assert grid(["name", "one", "two"], rows, 14).splitlines()[0] == "name  one  two"
    assert grid(["name", "one", "two"], rows, 12).splitlines()[0] == "name one two"
    assert grid(["name", "one", "two"], rows, 11).splitlines()[0] == "name  one"


def test_lines_are_wide_enough_for_wide_letters():
    text = grid(["名前", "x"], [["量子化", "1"], ["a", "22"]], 40)
    assert [cell_len(line) for line in text.splitlines()] == [10, 10, 10]


def test_a_wide_terminal_takes_one_block(rng):
    text = printed([made(rng, "full"), made(rng, "sign")], 200, rng)
    assert len(re.findall(r"^sign ", text, flags=re.MULTILINE)) == 3


def test_paragraphs_never_break_inside_a_word():
    assert fit("between ternary-90 and uniform-3", 18) == "between ternary-90\nand uniform-3"


def test_the_head_says_what_was_run(rng):
    rows = [made(rng, "full"), made(rng, "sign")]
    head = printed(rows, 400, rng).split("\n\n")[0]
    for part in (
        *(
            "task: 9 classes",
            "512 networks",
            "mlp, 2 hidden layers of 32, 600 steps of adam",
            "n = 256 of a pool of 512",
        ),
        *("505 held out", "seed 7", "Performance is accuracy", "lower bound", "382 shadow networks"),
        *(
            "more shadow networks",
            "95% intervals",
            "this attack fitted to them anew",
            "network 3, network 40",
        ),
    ):
        assert part in head, part
    other = {"classes": None, "model": "mlp, no hidden layer", "excluded": []}
    head = printed(rows, 400, rng, ABOUT | other).split("\n\n")[0]
    assert "task: a regression; 512 networks (mlp, no hidden layer" in head
    assert "Excluded" not in head


def test_legends_and_reasons_stand_below_their_table(rng):
    reasons = {"indicator": "no two differ", "limit": "too few networks", "early": "measured with --early"}
    rows = [
        made(rng, "full", early=None, early_steps=None, missing={"early": reasons["early"]}),
        made(rng, "sign", early=None, early_steps=None, indicator=None, limit=None, missing=reasons),
    ]
    leaks, attacks, theory_, *_ = printed(rows, 200, rng).split("\n\n")[1:]
    assert "no limit of sign: too few networks." in leaks
    assert "no early: measured with --early." in leaks
    assert "  early: " not in leaks
    assert "–" in leaks
    assert "no indicator of sign: no two differ." in theory_
    assert "  mis: Membership inference security, at most 1 - advantage_lower" in leaks
    assert all(f"  {name}: " in attacks for name in ATTACKS)
    # What needs an attack does not stand where none is said to be needed.
    assert not re.search(r"^  (predicted|advantage|mis|limit): ", theory_, flags=re.MULTILINE)


@pytest.mark.parametrize(("columns", "width"), [("60", 60), ("120", 120), (None, 80), ("7", 40)])
def test_the_width_is_that_of_the_terminal(columns, width, rng, monkeypatch):
    monkeypatch.delenv("COLUMNS", raising=False)
    if columns:
        monkeypatch.setenv("COLUMNS", columns)
    # As where the output is piped.
    monkeypatch.setattr("os.get_terminal_size", lambda *_: (_ for _ in ()).throw(OSError))
    rows = [made(rng, "full"), made(rng, "sign")]
    longest = max(map(cell_len, printed(rows, None, rng).splitlines()))
    assert width - 8 < longest <= width


def test_names_of_candidates_are_printed_as_they_are(rng):
    names = ["resnet[int8]", "resnet[fp8]", "a" * 70, "resnet"]
    law = theory.SampledLosses(losses=rng.normal(size=(4, 50)) + np.arange(4)[:, None], names=names)
    text = indicator_table(law, theory.indicator(law), width=60)
    assert "resnet[fp8]" in text
    assert "competitors of resnet[int8]" in text
    assert max(map(cell_len, text.splitlines())) <= 60
