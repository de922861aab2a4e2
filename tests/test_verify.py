import inspect
import json
import math
import pathlib
import re
from dataclasses import replace

import numpy as np
import pytest

from mis import theory, verify
from mis.cli import main
from mis.results import KINDS, Interval
from mis.verify.registry import Claim

ROOT = pathlib.Path(__file__).parents[1]
GROUPS = ["exact", "rate", "rare-events", "indicator", "cells", "product", "several", "local", "limits"]
ABOUT = ["id", "group", "statement", "source", "setting", "relation", "kind"]
NUMBERS = {
    "=": ["value", "truth", "error", "within"],
    "~": ["value", "truth", "error", "within"],
    "<=": ["bound", "truth", "slack"],
    "covers": ["lower", "upper", "truth", "truth_lower", "truth_upper"],
}
TITLES = {
    number: re.search(rf"^# # {number}\. (.*)$", path.read_text(), flags=re.MULTILINE).group(1)
    for path in sorted((ROOT / "theory_notebooks").glob("[0-9]_*.py"))
    for number in path.name[0]
}


@pytest.fixture(scope="module")
def table():
    told = []
    return verify.run(quick=True, progress=lambda *at: told.append(at)), told


def test_every_claim_of_the_theory_holds(table):
    rows, _ = table
    assert [row for row in rows if row["verdict"] != "pass"] == []
    assert len(rows) >= 80


def test_rows_say_what_they_compare(table):
    rows, told = table
    for row in json.loads(json.dumps(rows, allow_nan=False)):
        assert list(row) == [*ABOUT, *NUMBERS[row["relation"]], "verdict"]
        assert row["kind"] in (None, *KINDS)
        assert row["statement"]
        if row["relation"] == "=":
            assert row["within"] <= 1e-6, "two routes to one number, or else it is ~"
        if row["relation"] == "covers":
            assert row["truth_lower"] <= row["truth"] <= row["truth_upper"]
            assert row["kind"] is not None
    assert told == [(done, len(rows)) for done in range(len(rows) + 1)]
    assert {row["relation"] for row in rows} == set(NUMBERS)


def test_ids_are_short_words_with_hyphens_and_stand_for_one_row():
    ids = [entry.id for entry in verify.CLAIMS]
    assert len(set(ids)) == len(ids)
    for word in {*ids, *GROUPS, *(entry.name for entry in verify.CLAIMS)}:
        assert re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", word)
        assert len(word) <= 32
    assert verify.groups() == GROUPS
    # One name, one meaning: claims of a name stand together and share their statement.
    for name in {entry.name for entry in verify.CLAIMS}:
        same = [entry for entry in verify.CLAIMS if entry.name == name]
        assert len({(entry.statement, entry.group, entry.source) for entry in same}) == 1


@pytest.mark.parametrize("name", sorted({entry.name for entry in verify.CLAIMS}))
def test_sources_can_be_opened(name):
    """By a paper alone nobody can trace a number: each names a function of the theory or a notebook, too."""
    source = next(entry.source for entry in verify.CLAIMS if entry.name == name)
    functions = re.findall(r"\btheory\.([\w.]+\w)", source)
    for path in functions:
        if "." in path:
            module, function = path.split(".")
            found = getattr(__import__(f"mis.theory.{module}", fromlist=[function]), function)
        else:
            found = getattr(theory, path)
        assert len(inspect.getdoc(found)) > 100
    notebooks = re.findall(r"notebook (\d)", source)
    assert all(f"notebook {number}, {TITLES[number]}" in source for number in notebooks)
    assert functions or notebooks
    assert not re.search(r"\w\.(md|py|txt|pdf|ipynb)\b|\bsections? \d", source)


def test_nothing_refers_to_a_file_that_is_not_there():
    texts = [ROOT / "README.md", *(ROOT / "theory_notebooks").iterdir()]
    texts += [path for folder in ("mis", "tests", "benchmarks") for path in (ROOT / folder).rglob("*.py")]
    for path in texts:
        if path.is_dir():
            continue
        for reference in re.findall(
            r"[\w/.-]*\w\.md\b|\b(?:mis|tests|benchmarks)/[\w/.-]+\.py\b", path.read_text()
        ):
            if reference.endswith("report.md"):
                # What `mis report` writes.
                continue
            assert (ROOT / reference).exists() or (path.parent / reference).exists(), f"{path}: {reference}"


def test_the_full_table_has_the_quick_one_and_more():
    assert sum(c.quick for c in verify.CLAIMS) < len(verify.CLAIMS)
    assert len(verify.select(quick=True)) == sum(c.quick for c in verify.CLAIMS)


@pytest.mark.slow
def test_the_full_table_holds():
    assert {row["verdict"] for row in verify.claims()} == {"pass"}


def test_selection_by_group_claim_and_row():
    assert {entry.group for entry in verify.select(["rare-events"])} == {"rare-events"}
    assert [entry.id for entry in verify.select(["tie"])] == ["tie-1", "tie-10", "tie-1000"]
    assert [entry.id for entry in verify.select(["tie-10", "bayes-even", "tie-10"])] == [
        "tie-10",
        "bayes-even",
    ]
    assert verify.select(["exact", "tie-10"]) == verify.select(["exact"])
    assert verify.select(GROUPS) == verify.select()
    assert [row["id"] for row in verify.run(["tie-10", "counts"])] == ["tie-10", "counts"]


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (
            ["nothing"],
            r"verify: expected name one of the groups exact, rate, rare-events, .*limits.* got name='nothing'",
        ),
        (["exact", "rare-event"], r"--list shows \(the nearest is rare-events\), got name='rare-event'"),
        (["Limits"], r"the nearest is limits"),
    ],
)
def test_unknown_names_are_refused(names, message):
    with pytest.raises(ValueError, match=message):
        verify.select(names)


def test_a_selection_without_quick_settings_is_refused():
    with pytest.raises(
        ValueError, match="expected a quick setting among tilted-normal-1300; leave --quick out"
    ):
        verify.select(["tilted-normal-1300"], quick=True)


def scaled(number, factor):
    if isinstance(number, tuple):
        return type(number)(*(factor * part for part in number))
    if not isinstance(number, Interval):
        return number * factor
    lower, value, upper = (factor * x for x in (number.lower, number.value, number.upper))
    details = {k: v + math.log(factor) if k == "log_value" else v for k, v in number.details.items()}
    return replace(number, lower=lower, value=value, upper=upper, details=details)


# Factor by which a formula would be wrong, and a claim that has to notice.
WRONG = {
    "exact": (1.001, "exact-normal"),
    "rate": (1.001, "rate"),
    "sharp": (1.1, "sharp"),
    "saddlepoint": (1.05, "saddlepoint"),
    "simulate": (1.1, "tilted"),
    "indicator": (0.999, "indicator-known"),
    "quantized_mean": (1.001, "on-an-edge"),
    "full_precision_mean": (1.01, "full-precision"),
    "product": (1.1, "local"),
    "local": (1.2, "local"),
    "sandwich": (1.01, "influence"),
    "retained_information": (1.01, "sign-information"),
    "boundary_information": (1.01, "boundary-law"),
    "finite_support_limit": (1.001, "finite-support"),
    "finite_support_bound": (1.001, "support-bound-attained"),
    "enumerate_learner": (1.01, "counts"),
    "private_advantage": (1.001, "private-response"),
    "predicted_advantage": (1.001, "predicted-level"),
    "finite_support_asymptote": (1.01, "support-asymptote"),
    "bayes_security": (0.999, "bayes-even"),
    "offset_releases": (1.2, "offset-releases"),
    "offset_information": (1.001, "offset-information"),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_formula_fails_a_row(monkeypatch, name):
    factor, noticing = WRONG[name]
    right = getattr(theory, name)
    monkeypatch.setattr(theory, name, lambda *args, **kwargs: scaled(right(*args, **kwargs), factor))
    rows = [c.row() for c in verify.CLAIMS if c.quick and c.name == noticing]
    assert "fail" in {row["verdict"] for row in rows}


def test_a_wrong_bound_fails_too(monkeypatch):
    """Half the bound is below the truth."""
    right = theory.finite_support_bound
    monkeypatch.setattr(theory, "finite_support_bound", lambda *args: scaled(right(*args), 0.5))
    assert [row["verdict"] for row in verify.run(["support-bound"])] == ["fail", "fail"]


def test_a_wrong_formula_fails_the_run(monkeypatch):
    right = theory.sharp
    monkeypatch.setattr(theory, "sharp", lambda law, n: scaled(right(law, n), 0.5))
    failed = [row for row in verify.run(["rate"], quick=True) if row["verdict"] == "fail"]
    assert {row["statement"] for row in failed} == {
        "Sharp asymptotics, constant included, against the exact value"
    }


def interval(lower, upper, value=None):
    value = (lower + upper) / 2 if value is None else value
    return Interval(lower=lower, value=value, upper=upper, kind="certified")


def compared(relation, *check, **changes):
    return Claim(
        **{
            "name": "made-up",
            "label": "",
            "group": "made",
            "statement": "A statement",
            "source": "A source",
            "setting": {},
            "check": lambda: check,
            "relation": relation,
            "quick": True,
        }
        | changes
    ).row()


@pytest.mark.parametrize(
    ("relation", "check", "verdict"),
    [
        ("=", (0.5, 0.5), "pass"),
        ("=", (0.5, 0.5 + 1e-9), "fail"),
        ("=", (0.5, 0.5 + 1e-9, 1e-8), "pass"),
        ("=", (-0.5, -0.5, 1e-8), "pass"),
        ("=", (0.0, 0.0), "pass"),
        # An interval is no excuse for a value that differs.
        ("=", (interval(0.4, 0.6), 0.45, 1e-3), "fail"),
        ("=", (math.nan, 0.5), "fail"),
        ("=", (0.5, math.nan, 1.0), "fail"),
        ("~", (0.5, 0.51, 0.02), "pass"),
        ("~", (0.5, 0.52, 0.02), "fail"),
        ("~", (math.nan, 0.5, 0.1), "fail"),
        ("<=", (0.5, 0.2), "pass"),
        ("<=", (0.5, 0.5), "pass"),
        ("<=", (interval(0.4, 0.5), 0.6), "fail"),
        ("<=", (interval(0.4, 0.5), interval(0.45, 0.6)), "pass"),
        ("<=", (0.3, interval(0.4, 0.5)), "fail"),
        ("<=", (math.nan, 0.5), "fail"),
        ("<=", (0.5, np.float64("nan")), "fail"),
        ("covers", (interval(0.4, 0.5), 0.45), "pass"),
        ("covers", (interval(0.4, 0.5), 0.5), "pass"),
        ("covers", (interval(0.4, 0.5), 0.51), "fail"),
        ("covers", (interval(0.4, 0.5), 0.39), "fail"),
        ("covers", (interval(0.4, 0.5), interval(0.5, 0.6)), "pass"),
        ("covers", (interval(0.4, 0.5), interval(0.51, 0.6)), "fail"),
        ("covers", (interval(0.4, 0.5), interval(0.3, 0.39)), "fail"),
        ("covers", (interval(0.4, 0.5), math.nan), "fail"),
    ],
)
def test_verdicts(relation, check, verdict):
    row = compared(relation, *check)
    assert row["verdict"] == verdict
    json.dumps(row, allow_nan=False)


def test_numbers_of_a_row():
    assert compared("~", 0.5, 0.4, 0.3)["error"] == pytest.approx(0.25)
    assert compared("<=", interval(0.4, 0.6), interval(0.1, 0.3))["slack"] == pytest.approx(0.3)
    covering = compared("covers", interval(0.4, 0.5), interval(0.3, 0.6))
    assert [covering[key] for key in NUMBERS["covers"]] == pytest.approx([0.4, 0.5, 0.45, 0.3, 0.6])
    assert compared("=", math.inf, 0.5)["value"] is None


def test_a_route_that_raises_fails_its_row_and_no_other():
    def broken():
        raise ZeroDivisionError("nothing to divide by")

    row = compared("=", check=broken)
    assert (row["verdict"], row["reason"]) == ("fail", "ZeroDivisionError: nothing to divide by")
    printed = verify.table([row, compared("=", 0.5, 0.5)])
    assert "ZeroDivisionError: nothing to divide by  fail" in printed
    assert printed.endswith("1 of 2 rows holds. Failed: made-up.")


@pytest.mark.parametrize("width", [60, 80, 150])
def test_the_table_fits_and_cuts_nothing(table, width):
    rows, _ = table
    lines = verify.table(rows, width).splitlines()
    # What cannot be broken may be longer: an id, an interval's word.
    assert all(len(line) <= width for line in lines)
    words = " ".join(" ".join(lines).split())
    for row in rows:
        assert row["statement"] in words
        assert row["source"] in words
        assert f"{row['id']} " in words
        numbers = [key for key in NUMBERS[row["relation"]] if key not in ("error", "slack", "within")]
        assert all(
            f"{row[key]:.6g}" in words
            for key in numbers
            if not (row["relation"] == "covers" and key == "truth")
        )
    assert lines[-1] == f"{len(rows)} of {len(rows)} rows hold."


def test_a_wide_table_has_a_line_a_row(table):
    rows, _ = table
    lines = verify.table(rows, 200).splitlines()
    for row in rows:
        (line,) = (line for line in lines if line.startswith(f"  {row['id']} "))
        assert line.endswith("pass")


@pytest.mark.parametrize("width", [60, 80])
def test_the_listing_has_every_id(width):
    lines = verify.listing(verify.CLAIMS, width).splitlines()
    assert all(len(line) <= width for line in lines)
    assert [line for line in lines if not line.startswith(" ")] == GROUPS
    ids = [line.split()[0] for line in lines if re.match(r" {4}\S", line)]
    assert ids == [entry.id for entry in verify.CLAIMS]


def typed(capsys, *tokens):
    """Return exit code, stdout and stderr."""
    code = 0
    try:
        main(["verify", *tokens])
    except SystemExit as stop:
        code = stop.code
    return code, *capsys.readouterr()


def test_command_verifies_what_is_named(capsys, tmp_path):
    code, printed, errors = typed(
        capsys, "rare-events", "counts", "--quick", "--json", str(tmp_path / "v.json")
    )
    rows = json.loads((tmp_path / "v.json").read_text())
    assert code == 0
    assert {row["group"] for row in rows} == {"rare-events", "limits"}
    assert printed.rstrip().endswith(f"{len(rows)} of {len(rows)} rows hold.")
    # Without a terminal progress comes in lines.
    assert errors.splitlines() == [f"mis: {done} of {len(rows)} rows verified" for done in (0, len(rows))]


def test_command_fails_where_a_row_does(capsys, monkeypatch):
    right = theory.finite_support_limit
    monkeypatch.setattr(theory, "finite_support_limit", lambda *args: scaled(right(*args), 1.01))
    code, printed, _ = typed(capsys, "finite-support-40", "tie-10")
    assert code == 1
    assert printed.rstrip().endswith("1 of 2 rows holds. Failed: finite-support-40.")


def test_command_lists(capsys):
    code, printed, errors = typed(capsys, "--list", "rare-events")
    assert (code, errors) == (0, "")
    assert printed.splitlines()[0] == "rare-events"
    assert "    tilted-normal-1300  law=normal, delta=1, n=1300  (not with --quick)" in printed.splitlines()


def test_command_refuses_unknown_names(capsys):
    code, printed, errors = typed(capsys, "everything")
    assert (code, printed, errors.count("\n")) == (2, "", 1)
    assert all(group in errors for group in GROUPS)
