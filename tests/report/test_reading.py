"""Folders that hold no result, and files that are damaged or of another version: one line, exit 2, nothing written."""

import copy
import json
import os
from xml.etree import ElementTree

import pytest

from mis.cli import main
from mis.numerics.checks import InvalidInput
from mis.provenance import FORMAT
from mis.report import READERS
from mis.report.html import html
from mis.report.kinds import section as kinds
from mis.report.latex import latex
from mis.report.markdown import markdown
from mis.report.opinion import section as opinion
from mis.report.reading import one_part


@pytest.fixture
def refused(capsys, tmp_path):
    """Ask for a report, and return the one line in which it is refused."""

    def ask(*tokens):
        before = sorted(path for path in tmp_path.rglob("*"))
        with pytest.raises(SystemExit) as stop:
            main(["report", *map(str, tokens)])
        said = capsys.readouterr()
        assert stop.value.code == 2
        assert said.out == ""
        assert said.err.startswith("mis: ")
        assert said.err.count("\n") == 1
        assert sorted(path for path in tmp_path.rglob("*")) == before
        return said.err

    return ask


def test_no_results(refused, tmp_path):
    assert "does not exist" in refused(tmp_path / "nowhere")
    (tmp_path / "empty").mkdir()
    assert "expected a folder of results (of mis rank, mis attack or mis run, or what --json" in refused(
        tmp_path / "empty"
    )
    (tmp_path / "empty" / "a.txt").write_text("{}")
    assert "which holds none" in refused(tmp_path / "empty")
    (tmp_path / "empty" / "config.json").write_text('{"layers": 3}')
    assert "which holds none" in refused(tmp_path / "empty")
    assert "expected a file of results" in refused(tmp_path / "empty" / "config.json")
    assert "Unknown option" in refused("--nothing")


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b'{"made": {"result":', b"\xff\xfe\x00", b"[" * 100_000, b'{"a": ' + b"9" * 5000 + b"}"],
    ids=["empty", "open", "cut", "no text", "deep", "long number"],
)  # fmt: skip
def test_no_json(refused, folders, tmp_path, content):
    (tmp_path / "x.json").write_bytes(content)
    assert "x.json' is damaged: no JSON" in refused(tmp_path)
    # Also beside a good one: a page that leaves a result out would be wrong.
    (tmp_path / "audit.json").write_bytes((folders / "audit/audit.json").read_bytes())
    assert "x.json' is damaged: no JSON" in refused(tmp_path)


def test_other_versions(refused, folders, tmp_path):
    document = json.loads((folders / "ranking/ranking.json").read_text())
    path = tmp_path / "ranking.json"
    for made in (
        {**document["made"], "format": FORMAT + 1},
        {**document["made"], "format": str(FORMAT)},
        {**document["made"], "result": "something"},
        {**document["made"], "result": ["ranking"]},
        {},
    ):
        path.write_text(json.dumps({**document, "made": made}))
        assert "was written by another version of mis" in refused(tmp_path)
    assert f"({document['made']['version']};" in refused(
        write(path, {**document, "made": {**document["made"], "format": 9}})
    )
    # Before there was anything that said so.
    assert "it does not say what made it" in refused(
        write(path, {k: v for k, v in document.items() if k != "made"})
    )


def write(path, document):
    path.write_text(json.dumps(document))
    return path.parent


def paths_in(value, path=()):
    """Every place in a JSON, but the insides of what stands there many times."""
    yield path
    items = [*value.items()] if isinstance(value, dict) else []
    if isinstance(value, list):
        items = [*enumerate(value[:1])]
    for name, one in items[:2] if path[:1] in (("columns",), ("spec",)) else items:
        yield from paths_in(one, (*path, name))


WRONG = ("gone", None, "text", True, float("nan"), [], {}, 10**400, -1e308)


def survives(document, path, wrong):
    """Whether a document with one thing wrong still makes a page; else it is refused in a line."""
    damaged = copy.deepcopy(document)
    inside = damaged
    for step in path[:-1]:
        inside = inside[step]
    if wrong == "gone":
        del inside[path[-1]]
    else:
        inside[path[-1]] = wrong
    try:
        part = one_part("x", damaged, READERS)
    except InvalidInput as error:
        said = str(error)
    else:
        said = ""
    assert "\n" not in said
    if said:
        return False
    # What was read can be written, in every way.
    ElementTree.fromstring(html([part], [kinds([part]), opinion([part])]).removeprefix("<!DOCTYPE html>"))
    markdown([part], [])
    latex(part.tables())
    return True


@pytest.mark.parametrize("name", ["ranking/ranking", "audit/audit", "inspection/inspect", "attack/table"])
@pytest.mark.parametrize(
    "shift", [0, *(pytest.param(k, marks=pytest.mark.slow) for k in range(1, len(WRONG)))]
)
def test_damage_anywhere(folders, name, shift):
    """Whatever is put wherever: a page or one line, never a traceback."""
    document = json.loads((folders / f"{name}.json").read_text())
    places = [path for path in paths_in(document) if len(path) > 1 or (path and path[0] != "made")]
    found = {survives(document, path, WRONG[(k + shift) % len(WRONG)]) for k, path in enumerate(places)}
    assert found == {True, False}


def test_files_of_others_stay(refused, folders, tmp_path, capsys):
    (tmp_path / "report.md").write_text("mine")
    assert "that is no report" in refused(folders / "audit", "--out", tmp_path)
    assert (tmp_path / "report.md").read_text() == "mine"
    (tmp_path / "report.md").unlink()
    main(["report", str(folders / "audit"), "--out", str(tmp_path)])
    first = (tmp_path / "report.html").read_bytes()
    # Its own page is made anew.
    main(["report", str(folders / "audit/audit.json"), "--out", str(tmp_path)])
    assert (tmp_path / "report.html").read_bytes() == first
    assert sorted(path.name for path in tmp_path.iterdir()) == ["report.html", "report.md"]
    capsys.readouterr()


def test_input_is_never_written_to(folders, tmp_path, capsys):
    source = folders / "audit/audit.json"
    (tmp_path / "audit.json").write_bytes(source.read_bytes())
    os.symlink("report.html", tmp_path / "link")
    main(["report", str(tmp_path)])
    assert (tmp_path / "audit.json").read_bytes() == source.read_bytes()
    assert "Written: " in capsys.readouterr().out


def test_a_file_or_a_folder_that_cannot_be_used(refused, folders, tmp_path):
    (tmp_path / "file").write_text("")
    assert "expected out a folder that can be written" in refused(
        folders / "audit", "--out", tmp_path / "file"
    )
    (tmp_path / "results").mkdir()
    (tmp_path / "results" / "folder.json").mkdir()
    assert "which holds none" in refused(tmp_path / "results")


def test_what_is_said_of_resistance_in_theory_rests_on_the_levels(folders):
    document = json.loads((folders / "ranking/ranking.json").read_text())
    levels = {
        row["release"]: row["predicted"]["value"] for row in document["rows"] if row["release"] != "full"
    }
    answered, said = one_part("x", document, READERS).opinion["resistance"]
    assert answered == "in part"
    assert f"for 4 of 4 releases, the highest {max(levels.values()):.3f}" in said
    for row in document["rows"]:
        row["predicted"] = None
    answered, said = one_part("x", document, READERS).opinion["resistance"]
    assert answered == "no"
    assert "no level" in said
