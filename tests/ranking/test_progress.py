import sys

import pytest

from mis.ranking import progress
from mis.ranking.progress import track


@pytest.fixture
def clock(monkeypatch):
    """A clock that the test moves."""
    now = [100.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    return now


def lines(capsys, clock, num, seconds):
    for _ in track(range(num), "networks", True):
        clock[0] += seconds
    printed, errors = capsys.readouterr()
    assert printed == ""
    return errors.splitlines()


def test_a_line_every_tenth(capsys, clock):
    found = lines(capsys, clock, 40, 2.0)
    assert found[0] == "networks: 4 of 40, 10%, 8 s"
    assert found[-1] == "networks: 40 of 40, 100%, 80 s"
    assert len(found) == 10


def test_a_line_every_ten_seconds_where_a_tenth_takes_long(capsys, clock):
    assert len(lines(capsys, clock, 100, 5.0)) == 50


def test_what_is_there_already_takes_one_line(capsys, clock):
    assert lines(capsys, clock, 100, 0.001) == ["networks: 100 of 100, 100%, 0 s"]


def test_nothing_where_nobody_asked_or_nothing_is_to_be_done(capsys, clock):
    assert list(track(range(3), "networks", False)) == [0, 1, 2]
    assert lines(capsys, clock, 0, 1.0) == []


def test_a_bar_in_a_terminal(capsys, monkeypatch):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    assert list(track(range(3), "networks", True)) == [0, 1, 2]
    assert "3 of 3" not in capsys.readouterr().err
