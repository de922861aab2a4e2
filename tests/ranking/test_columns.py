"""One data dictionary: rows, files, options and README know the same columns by the same names."""

import dataclasses

import pytest

from mis.numerics.checks import InvalidInput
from mis.ranking.agreement import INDICATORS
from mis.ranking.asked import ATTACKS as OPTIONS
from mis.ranking.columns import ATTACKS, COLUMNS, explain, header
from mis.ranking.row import Row
from mis.results import KINDS, Interval


def test_columns_are_the_fields_of_a_row():
    fields = {field.name for field in dataclasses.fields(Row)} - {"attacks", "missing", "tpr_of"}
    assert fields | set(ATTACKS) | {"mis"} == set(COLUMNS)
    assert not fields & set(ATTACKS)
    intervals = {field.name for field in dataclasses.fields(Row) if "Interval" in str(field.type)} - {
        "attacks",
        "tpr_of",
    }
    assert intervals | set(ATTACKS) | {"mis"} == {name for name, column in COLUMNS.items() if column.kind}


def test_options_and_indicators_are_columns():
    assert set(OPTIONS) == set(ATTACKS)
    assert {"lira", "gap", "trained", "influence", "optimal"} < set(ATTACKS)
    assert set(INDICATORS) < set(COLUMNS)


def test_every_column_says_what_it_is_in_one_sentence():
    for name, column in COLUMNS.items():
        assert column.what.endswith("."), name
        assert ". " not in column.what, name
        assert column.unit, name
        assert column.errs, name
        assert column.kind is None or column.kind in KINDS


@pytest.mark.parametrize("name", header())
def test_every_column_of_the_file_is_explained(name):
    lines = explain(name).splitlines()
    assert lines[0].startswith(f"{name}: ")
    assert any(line.startswith("  unit: ") for line in lines)
    assert any(line.startswith("  errs: ") for line in lines)


def test_ends_are_said_to_be_ends():
    assert explain("mis_upper").splitlines()[0].endswith("Here: the upper end of the interval.")
    assert explain("early_steps").startswith("early_steps: Training steps")


def test_no_such_column():
    with pytest.raises(
        InvalidInput, match=r"explain: expected column one of .* got column='advantge'\. Nearest: advantage"
    ):
        explain("advantge")


def test_a_header_has_no_name_twice():
    assert len(set(header())) == len(header())


def test_mis_is_bounded_from_above_only():
    row = {"kind": "attack", "level": 0.9}
    for lower, value, upper, bound in ((0.2, 0.3, 0.4, 0.8), (-0.2, -0.1, 0.1, 1.0), (0.9, 1.0, 1.1, 0.1)):
        found = Row.mis.fget(
            type("", (), {"advantage": Interval(lower=lower, value=value, upper=upper, **row)})
        )
        assert found.lower == 0.0
        assert found.upper == pytest.approx(bound)
        assert 0.0 <= found.value <= found.upper
        assert (found.kind, found.level) == ("attack", 0.9)
