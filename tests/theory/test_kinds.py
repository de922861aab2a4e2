"""Every function of the theory that says something about privacy says of what kind its number is."""

import inspect
import typing

import pytest

from mis import theory
from mis.results import KINDS, Interval
from mis.theory.product import Cells
from mis.theory.sandwich import Sandwich

# Statistics of the weights themselves, what `theory.local` is given, and closed forms of differential privacy.
OTHERS = {
    **dict.fromkeys(("code_entropy", "weight_error", "gaussian_delta", "gaussian_epsilon"), float),
    "sandwich": Sandwich,
    # What several releases are together, for functions that say.
    "common_refinement": Cells,
}
FUNCTIONS = {name: f for name in theory.__all__ if inspect.isfunction(f := getattr(theory, name))}


@pytest.mark.parametrize("name", sorted(FUNCTIONS))
def test_privacy_numbers_are_intervals(name):
    returned = typing.get_type_hints(FUNCTIONS[name])["return"]
    assert returned is OTHERS.get(name, Interval)


@pytest.mark.parametrize("name", sorted(FUNCTIONS.keys() - OTHERS.keys()))
def test_docstrings_say_the_kind(name):
    text = inspect.getdoc(FUNCTIONS[name]) or ""
    assert any(f"``{kind}``" in text for kind in KINDS) or "kind" in text


def test_a_point_is_its_own_bounds():
    found = Interval.point(0.25, "asymptotic")
    assert (found.lower, found.value, found.upper, found.kind) == (0.25, 0.25, 0.25, "asymptotic")
    with pytest.raises(ValueError, match="Interval: expected kind one of"):
        Interval.point(0.25, "certain")
    with pytest.raises(ValueError, match="Interval: expected lower <= value <= upper"):
        Interval.point(float("nan"), "exact")
