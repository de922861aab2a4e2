import json
import math
from dataclasses import replace

import numpy as np
import pytest

from mis import theory, verify
from mis.results import Interval
from mis.verify.registry import Claim

KEYS = ["statement", "source", "setting", "predicted", "value", "lower", "upper", "discrepancy", "verdict"]


@pytest.fixture(scope="module")
def table():
    told = []
    return verify.run(quick=True, progress=lambda *at: told.append(at)), told


def test_every_claim_of_the_theory_holds(table):
    rows, _ = table
    assert [row for row in rows if row["verdict"] != "pass"] == []
    assert len(rows) >= 40


def test_rows_are_plain_and_say_what_they_compare(table):
    rows, told = table
    for row in json.loads(json.dumps(rows, allow_nan=False)):
        assert list(row) == KEYS
        assert row["lower"] <= row["value"] <= row["upper"]
        assert all(row[key] for key in ("statement", "source"))
    assert told == [(done, len(rows)) for done in range(len(rows) + 1)]
    assert len({(row["statement"], row["setting"]) for row in rows}) == len(rows)


def test_the_full_table_has_the_quick_one_and_more():
    assert sum(c.quick for c in verify.CLAIMS) < len(verify.CLAIMS)


@pytest.mark.slow
def test_the_full_table_holds():
    assert {row["verdict"] for row in verify.claims()} == {"pass"}


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
    "exact": (1.001, "exact_gaussian"),
    "rate": (2.0, "rate"),
    "sharp": (2.0, "sharp"),
    "saddlepoint": (1.05, "saddlepoint"),
    "simulate": (1.1, "rare_events"),
    "indicator": (0.5, "indicator"),
    "quantized_mean": (1.001, "on_an_edge"),
    "full_precision_mean": (1.01, "full_precision"),
    "product": (1.1, "local"),
    "local": (1.2, "local"),
    "sandwich": (1.01, "influence"),
    "retained_information": (1.01, "information_of_a_sign"),
    "boundary_information": (1.01, "boundary"),
    "finite_support_limit": (1.001, "finite_support"),
    "finite_support_bound": (0.5, "support_bound"),
    "enumerate_learner": (1.01, "counts_attain_the_limit"),
    "private_advantage": (0.99, "private"),
    "bayes_security": (0.8, "bayes"),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_formula_fails_a_row(monkeypatch, name):
    factor, noticing = WRONG[name]
    right = getattr(theory, name)
    monkeypatch.setattr(theory, name, lambda *args, **kwargs: scaled(right(*args, **kwargs), factor))
    rows = [c.row() for c in verify.CLAIMS if c.quick and c.check.__name__ == noticing]
    assert "fail" in {row["verdict"] for row in rows}


def test_a_wrong_formula_fails_the_run(monkeypatch):
    right = theory.sharp
    monkeypatch.setattr(theory, "sharp", lambda law, n: right(law, n) / 2)
    chosen = [c for c in verify.CLAIMS if c.check.__name__ in ("sharp", "saddlepoint", "rate")]
    monkeypatch.setattr("mis.verify.registry.CLAIMS", chosen)
    failed = [row for row in verify.run(quick=True) if row["verdict"] == "fail"]
    assert {row["statement"] for row in failed} == {
        "Sharp asymptotics, constant included, against the exact value"
    }


def interval(lower, upper):
    return Interval(lower=lower, value=(lower + upper) / 2, upper=upper, kind="certified")


@pytest.mark.parametrize(
    ("relation", "check", "verdict"),
    [
        ("=", (0.5, 0.5), "pass"),
        ("=", (0.5, 0.51), "fail"),
        ("=", (0.5, 0.51, 0.02), "pass"),
        ("=", (interval(0.4, 0.5), interval(0.5, 0.6)), "pass"),
        ("=", (interval(0.4, 0.5), interval(0.51, 0.6)), "fail"),
        ("=", (0.0, 0.0), "pass"),
        ("=", (math.nan, 0.5), "fail"),
        ("<=", (0.2, 0.5), "pass"),
        ("<=", (0.6, interval(0.4, 0.5)), "fail"),
        ("<=", (interval(0.45, 0.6), interval(0.4, 0.5)), "pass"),
        (">=", (0.6, 0.5), "pass"),
        (">=", (0.3, interval(0.4, 0.5)), "fail"),
        (">=", (np.float64("nan"), 0.5), "fail"),
    ],
)
def test_verdicts(relation, check, verdict):
    row = Claim("s", "t", {}, lambda: check, relation, True).row()
    assert row["verdict"] == verdict
    assert row["discrepancy"] == 0 or relation == "=" or verdict == "fail" or math.isnan(row["discrepancy"])
