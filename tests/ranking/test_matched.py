import pytest

from mis.ranking.matched import early_stops, matched
from mis.training import Learner


def stop(steps, performance, advantage):
    ends = {"advantage_lower": advantage - 0.01, "advantage_upper": advantage + 0.02}
    return {"steps": steps, "performance": performance, "advantage": advantage, **ends}


# Performance rises, then falls as the network overfits; leakage only rises.
STOPS = [stop(10, 0.1, 0.0), stop(20, 0.5, 0.1), stop(40, 0.8, 0.3), stop(80, 0.7, 0.6)]


def test_the_first_stop_that_performs_as_well():
    found = matched(0.65, STOPS)
    assert found["matched"] == pytest.approx(0.2)
    assert found["matched_lower"] == pytest.approx(0.19)
    assert found["matched_upper"] == pytest.approx(0.22)
    assert found["matched_steps"] == pytest.approx(30.0)
    # The overfitted end performs as well, too, and leaks three times as much: never matched to it.
    assert matched(0.7, STOPS)["matched"] < 0.3


def test_worse_than_every_stop_takes_the_first():
    assert matched(-1.0, STOPS)["matched_steps"] == 10


def test_better_than_every_stop_is_not_matched():
    assert matched(0.9, STOPS)["matched"] is None


def test_stops_are_halvings_without_repeats():
    assert [learner.steps for learner in early_stops(Learner(steps=600))] == [9, 18, 37, 75, 150, 300]
    assert early_stops(Learner(steps=1)) == []
    assert all(learner.rate == 0.5 for learner in early_stops(Learner(steps=8, rate=0.5)))
