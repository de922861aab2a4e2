"""No ranking silently replaces another's results."""

import json
from pathlib import Path

import pytest

from mis.numerics.checks import InvalidInput
from mis.ranking.saving import refuse_replacing

ASKED = {"task": "digits", "data": "ab", "num_networks": 512, "level": 0.95, "releases": ["full", "sign"]}


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "ranking.json").write_text(json.dumps({"asked": ASKED}))
    return tmp_path


@pytest.mark.parametrize(
    "change",
    [{}, {"task": "copy"}, {"releases": ["full", "uniform-4", "sign"]}, {"releases": ("sign", "full")}],
)
def test_the_same_or_more_is_written_over(folder, change):
    refuse_replacing("rank", folder, ASKED | change, replace=False)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"num_networks": 64},
            r"\(num_networks 512, not 64\); use another out, or replace=True \(--replace\)",
        ),
        ({"num_networks": 1024, "level": 0.9}, "num_networks 512, not 1024; level 0.95, not 0.9"),
        (
            {"releases": ["full", "uniform-4"]},
            r"releases \['full', 'sign'\], not \['full', 'uniform-4'\]",
        ),
        ({"data": "cd"}, "of task digits, with other data or seed"),
        ({"data": "cd", "task": "modes", "num_networks": 64}, r"\(of task digits\)"),
        ({"new": 1}, "new None, not 1"),
    ],
)
def test_another_is_refused_unless_asked_for(folder, change, message):
    with pytest.raises(
        InvalidInput, match=rf"^rank: expected out without the results of another ranking.*{message}"
    ):
        refuse_replacing("rank", folder, ASKED | change, replace=False)
    refuse_replacing("rank", folder, ASKED | change, replace=True)


@pytest.mark.parametrize("content", ["{}", "[]", "", "{", '{"asked": 3}', None])
def test_results_that_do_not_say_whose_they_are(folder, content):
    if content is None:
        (folder / "ranking.json").rename(folder / "ranking.csv")
    else:
        (folder / "ranking.json").write_text(content)
    with pytest.raises(InvalidInput, match="it does not say what was asked of it"):
        refuse_replacing("rank", folder, ASKED, replace=False)


def test_a_ranking_without_a_spec_is_like_no_other(folder):
    with pytest.raises(InvalidInput, match="it does not say what was asked of it"):
        refuse_replacing("rank", folder, None, replace=False)


def test_an_empty_or_missing_folder_is_free(tmp_path):
    refuse_replacing("rank", tmp_path, ASKED, replace=False)
    refuse_replacing("rank", tmp_path / "none", ASKED, replace=False)


def test_results_that_may_not_be_read(folder, monkeypatch):
    def refuse(*_, **__):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "read_text", refuse)
    with pytest.raises(InvalidInput, match=r"^rank: '.*ranking\.json' cannot be read: Permission denied\.$"):
        refuse_replacing("rank", folder, ASKED, replace=False)
