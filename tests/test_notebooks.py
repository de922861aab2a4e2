"""Every theory notebook runs, so that every number its prose quotes is one that an assertion checked."""

import pathlib
import re
import runpy

import pytest

NOTEBOOKS = sorted((pathlib.Path(__file__).parents[1] / "theory_notebooks").glob("[0-9]_*.py"))


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_runs_at_small_size(path, monkeypatch):
    monkeypatch.setenv("MIS_NOTEBOOK_SIZE", "small")
    monkeypatch.setenv("MPLBACKEND", "Agg")
    left = runpy.run_path(str(path))
    assert left["figure"].axes, "a notebook ends with its figure"


def test_reading_order():
    assert [int(path.stem[0]) for path in NOTEBOOKS] == list(range(1, len(NOTEBOOKS) + 1))
    for path in NOTEBOOKS:
        title = re.search(r"^# # (\d)\. ", path.read_text(), flags=re.MULTILINE)
        assert title is not None
        assert title.group(1) == path.stem[0]


def test_percent_format():
    """Read as jupytext does: cells, the first of them prose, no output committed."""
    jupytext = pytest.importorskip("jupytext")
    for path in NOTEBOOKS:
        cells = jupytext.read(path).cells
        assert cells[0].cell_type == "markdown"
        assert sum(cell.cell_type == "code" for cell in cells) >= 4
