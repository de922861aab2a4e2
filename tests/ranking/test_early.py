import pytest

from mis.ranking.early import early, early_stops
from mis.results import Interval
from mis.training import Learner


def stop(steps, performance, advantage):
    ends = {"lower": advantage - 0.01, "upper": advantage + 0.02}
    return steps, performance, Interval(value=advantage, kind="attack", level=0.9, **ends)


# Performance rises, then falls as the network overfits; leakage only rises.
STOPS = [stop(10, 0.1, 0.0), stop(20, 0.5, 0.1), stop(40, 0.8, 0.3), stop(80, 0.7, 0.6)]


def test_the_first_stop_that_performs_as_well():
    found, steps = early(0.65, STOPS)
    assert found.value == pytest.approx(0.2)
    assert found.lower == pytest.approx(0.19)
    assert found.upper == pytest.approx(0.22)
    assert (found.kind, found.level) == ("attack", 0.9)
    assert steps == pytest.approx(30.0)
    # The overfitted end performs as well, too, and leaks three times as much: never compared to it.
    assert early(0.7, STOPS)[0].value < 0.3


def test_worse_than_every_stop_takes_the_first():
    assert early(-1.0, STOPS)[1] == 10


def test_better_than_every_stop_has_none():
    assert early(0.9, STOPS) is None


def test_stops_are_halvings_without_repeats():
    assert [learner.num_steps for learner in early_stops(Learner(num_steps=600))] == [9, 18, 37, 75, 150, 300]
    assert early_stops(Learner(num_steps=1)) == []
    assert all(
        learner.learning_rate == 0.5 for learner in early_stops(Learner(num_steps=8, learning_rate=0.5))
    )
