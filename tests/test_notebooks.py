"""Every theory notebook runs, so that every number its prose quotes is one that an assertion checked."""

import pathlib
import re
import runpy

import pytest

FOLDER = pathlib.Path(__file__).parents[1] / "theory_notebooks"


def number(path):
    return int(path.stem.split("_")[0])


NOTEBOOKS = sorted(FOLDER.glob("[0-9]*.py"), key=number)


@pytest.mark.parametrize(
    "path",
    # The longest by far, even when small.
    [pytest.param(p, marks=pytest.mark.slow) if number(p) in (7, 8) else p for p in NOTEBOOKS],
    ids=lambda path: path.stem,
)
def test_runs_at_small_size(path, monkeypatch):
    monkeypatch.setenv("MIS_NOTEBOOK_SIZE", "small")
    monkeypatch.setenv("MPLBACKEND", "Agg")
    left = runpy.run_path(str(path))
    assert left["figure"].axes, "a notebook ends with its figure"


def test_reading_order():
    assert [number(path) for path in NOTEBOOKS] == list(range(1, len(NOTEBOOKS) + 1))
    listed = re.findall(r"^\| (\d+) \|", (FOLDER / "README.md").read_text(), flags=re.MULTILINE)
    for path, place in zip(NOTEBOOKS, listed, strict=True):
        title = re.search(r"^# # (\d+)\. ", path.read_text(), flags=re.MULTILINE)
        assert title is not None
        assert int(title.group(1)) == int(place) == number(path)


def test_percent_format():
    """Read as jupytext does: cells, the first of them prose, no output committed."""
    jupytext = pytest.importorskip("jupytext")
    for path in NOTEBOOKS:
        cells = jupytext.read(path).cells
        assert cells[0].cell_type == "markdown"
        assert sum(cell.cell_type == "code" for cell in cells) >= 4


def test_the_lines_for_pytorch_run(monkeypatch):
    pytest.importorskip("torch")
    monkeypatch.setenv("MIS_NOTEBOOK_SIZE", "small")
    monkeypatch.setenv("MPLBACKEND", "Agg")
    path = FOLDER / "10_own_models.py"
    [lines] = re.findall(r"^# ```python\n(.*?)^# ```", path.read_text(), flags=re.DOTALL | re.MULTILINE)
    left = runpy.run_path(str(path))
    exec(re.sub("^# ?", "", lines, flags=re.MULTILINE), left)
    assert left["found"].advantage.lower > 0.0
