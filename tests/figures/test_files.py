"""Figures on disk: fonts, resolution, text, the same bytes again, whatever backend and matplotlibrc a user has."""

import csv
import json
import os
import re
import shutil
import struct
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import numpy as np
import pytest

from mis.figures import QUICK, FigureError, ranking_figure, recorded_ranking, refuse_other, save
from mis.figures.drawing import drawing
from mis.numerics.checks import InvalidInput

RESULTS = Path(__file__).parents[2] / "benchmarks/results"
NAMES = ["cost_$5_vs_$10", "sign", "ternary-90"]


def rows(names=NAMES):
    return [
        {
            "release": name,
            "performance": 0.3 * i,
            "advantage": 0.2 * i,
            "predicted": 0.25 * i,
            "indicator": 10.0**-i,
        }
        for i, name in enumerate(names, 1)
    ]


def draw(style=None, width="double"):
    about = {"task": "cost_$5_vs_$10", "performance": "R2", "num_networks": 32}
    return ranking_figure(rows(), [], about, style=style, width=width)


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    folder = tmp_path_factory.mktemp("saved")
    names = save(draw, folder, "ranking")
    assert sorted(names) == sorted(path.name for path in folder.iterdir())
    return folder


@pytest.fixture
def written(saved, tmp_path):
    """The files again, free to be spoiled."""
    return shutil.copytree(saved, tmp_path, dirs_exist_ok=True)


def test_pdf_has_truetype_fonts_and_no_date(written):
    content = (written / "ranking.pdf").read_bytes()
    assert b"/Type3" not in content
    assert b"/TrueType" in content or b"/CIDFontType2" in content
    assert b"/FontFile2" in content
    assert b"CreationDate" not in content
    # Seven inches, in points.
    assert re.search(rb"/MediaBox \[ ?0 0 504 ", content)


def chunk(content, name):
    at = content.index(name)
    (length,) = struct.unpack(">I", content[at - 4 : at])
    return content[at + 4 : at + 4 + length]


def test_png_has_300_dots_an_inch(written):
    content = (written / "ranking.png").read_bytes()
    across, up, unit = struct.unpack(">IIB", chunk(content, b"pHYs"))
    assert (across, up, unit) == (11811, 11811, 1)
    assert struct.unpack(">I", chunk(content, b"IHDR")[:4]) == (2100,)


def test_svg_has_names_as_text(written):
    tree = ElementTree.parse(written / "ranking.svg")
    text = ["".join(element.itertext()) for element in tree.iter("{http://www.w3.org/2000/svg}text")]
    assert text.count("cost_$5_vs_$10") == 4
    assert "τ" not in text
    assert not [line for line in text if "$" in line and line != "cost_$5_vs_$10"]
    assert "<dc:date>" not in (written / "ranking.svg").read_text(encoding="utf-8")


def test_caption_says_what_is_drawn(written):
    caption = (written / "ranking.txt").read_text(encoding="utf-8")
    assert caption.startswith(
        "Membership advantage of the strongest attack on cost_$5_vs_$10: 3 releases, 32 networks"
    )
    assert "95% intervals" in caption
    assert caption.endswith(".\n")


def test_equal_figures_are_equal_bytes(written, tmp_path_factory):
    again = tmp_path_factory.mktemp("again")
    for name in save(draw, again, "ranking"):
        assert (again / name).read_bytes() == (written / name).read_bytes(), name


def test_a_figure_of_the_library_is_saved_in_its_style_too(tmp_path):
    figure = draw(width="84mm")
    figure.savefig(tmp_path / "mine.pdf")
    figure.savefig(tmp_path / "mine.png")
    content = (tmp_path / "mine.pdf").read_bytes()
    assert b"/Type3" not in content
    assert b"/FontFile2" in content
    width, _ = struct.unpack(">II", chunk((tmp_path / "mine.png").read_bytes(), b"IHDR")[:8])
    assert width == round(84 / 25.4 * 300)
    assert figure._repr_png_().startswith(b"\x89PNG")


def test_a_style_of_the_user_goes_on_top(tmp_path):
    style = tmp_path / "mine.mplstyle"
    style.write_text(
        "savefig.dpi: 100\nfont.size: 9\naxes.prop_cycle: cycler('color', ['ff0000'])\ntext.usetex: True\n"
    )
    figure = draw(style)
    assert figure.axes[0].lines[0].get_color() == "#ff0000"
    assert figure.axes[0].xaxis.label.get_fontsize() == 9
    # Of ours there remains what is not said there; of theirs not what would read names as TeX.
    assert figure.axes[0].lines[0].get_markersize() == 4
    assert not figure.axes[0].xaxis.label.get_usetex()
    figure.savefig(tmp_path / "mine.png")
    assert struct.unpack(">I", chunk((tmp_path / "mine.png").read_bytes(), b"IHDR")[:4]) == (700,)


SCRIPT = """
import sys, pathlib
sys.path.insert(0, sys.argv[1])
import test_files
from mis.figures import save
save(test_files.draw, pathlib.Path(sys.argv[2]), "ranking")
"""


# One that there is and one that there is not; each starts a process.
OTHERS = [pytest.param(name, marks=pytest.mark.slow) for name in ("pdf", "ps", "inline", "nonsense")]


@pytest.mark.parametrize("backend", ["svg", "module://nowhere", *OTHERS])
def test_no_backend_and_no_matplotlibrc_changes_a_byte(backend, written, tmp_path_factory):
    theirs = tmp_path_factory.mktemp("theirs")
    (theirs / "matplotlibrc").write_text(
        "text.usetex: True\nfont.family: Nowhere\npdf.fonttype: 3\n"
        "savefig.dpi: 31\naxes.prop_cycle: cycler('lw', [9])\n"
        "savefig.bbox: tight\naxes.formatter.use_mathtext: True\nfigure.autolayout: True\nfont.size: 40\n"
        "savefig.facecolor: ff0000\naxes.labelweight: bold\nxtick.direction: in\n"
    )
    environment = {**os.environ, "MPLBACKEND": backend, "MATPLOTLIBRC": str(theirs)}
    out = tmp_path_factory.mktemp("out")
    subprocess.run(
        [sys.executable, "-W", "error", "-c", SCRIPT, Path(__file__).parent, out], env=environment, check=True
    )
    for path in written.iterdir():
        assert path.read_bytes() == (out / path.name).read_bytes(), path.name


def test_figures_leave_the_users_settings_alone():
    import matplotlib
    import matplotlib.pyplot as plt

    before, open_before = dict(matplotlib.rcParams), plt.get_fignums()
    draw().canvas.draw()
    assert dict(matplotlib.rcParams) == before
    assert plt.get_fignums() == open_before


def failing():
    raise ZeroDivisionError("no\nink")


def test_a_figure_that_fails_is_said_in_a_line_and_leaves_no_older_picture(written):
    (written / "ranking.csv").write_text("numbers")
    with pytest.raises(
        FigureError, match=r"ranking: the figure could not be drawn \(ZeroDivisionError: no ink\)\.$"
    ):
        save(failing, written, "ranking")
    assert [path.name for path in written.iterdir()] == ["ranking.csv"]


def test_bad_input_is_no_failure_of_the_figure(written):
    with pytest.raises(InvalidInput, match=r"expected width single, double, or 2\.5in to 20in"):
        save(lambda: draw(width="0.3in"), written, "ranking")
    assert (written / "ranking.pdf").exists()


def test_half_a_file_is_never_left(tmp_path):
    class Torn:
        caption = "Torn."

        def savefig(self, path, **_):
            path.write_bytes(b"half")
            raise OSError("disk full")

    with pytest.raises(FigureError, match="disk full"):
        save(Torn, tmp_path, "torn")
    assert not list(tmp_path.iterdir())


def test_captions_carry_a_note(tmp_path):
    def blank():
        with drawing(3.0, 2.0) as figure:
            figure.caption = "Nothing."
        return figure

    save(blank, tmp_path, "blank", [".png"], note=QUICK)
    assert (tmp_path / "blank.txt").read_text() == f"Nothing. {QUICK}\n"


@pytest.mark.parametrize("quick", [False, True])
def test_a_study_is_replaced_by_its_like_only(tmp_path, quick):
    refuse_other(tmp_path, "boundary", quick=quick)
    (tmp_path / "boundary.csv").write_text("rows")
    with pytest.raises(InvalidInput, match=r"a folder without another run's boundary\.csv"):
        refuse_other(tmp_path, "boundary", quick=quick)
    (tmp_path / "boundary.txt").write_text("Caption." + (QUICK if quick else ""))
    refuse_other(tmp_path, "boundary", quick=quick)
    with pytest.raises(InvalidInput, match="choose another one, or remove that file first"):
        refuse_other(tmp_path, "boundary", quick=not quick)
    (tmp_path / "boundary.csv").unlink()
    with pytest.raises(InvalidInput, match=r"another run's boundary\.txt"):
        refuse_other(tmp_path, "boundary", quick=quick)


def test_a_recorded_ranking_is_drawn_as_it_was(tmp_path):
    recorded = recorded_ranking(RESULTS / "ranking-solubility.json")
    assert recorded.name == "ranking-solubility"
    figure = recorded.draw(width="single")
    assert figure.get_figwidth() == 3.4
    with open(RESULTS / "ranking-solubility.csv", newline="") as file:
        truth = [(float(row["performance"]), float(row["advantage"])) for row in csv.DictReader(file)]
    np.testing.assert_allclose(figure.axes[0].lines[0].get_xydata(), truth)
    refuse_other(tmp_path, "r", quick=False, sentence=recorded.sentence)
    (tmp_path / "r.txt").write_text(figure.caption)
    refuse_other(tmp_path, "r", quick=False, sentence=recorded.sentence)
    (tmp_path / "r.txt").write_text(figure.caption.replace("seed 0", "seed 1"))
    with pytest.raises(InvalidInput, match=r"another run's r\.txt"):
        refuse_other(tmp_path, "r", quick=False, sentence=recorded.sentence)


def test_where_all_files_are_called_alike_the_folder_names_them(tmp_path):
    (tmp_path / "freesolv").mkdir()
    path = tmp_path / "freesolv/ranking.json"
    path.write_text((RESULTS / "ranking-solubility.json").read_text(encoding="utf-8"), encoding="utf-8")
    assert recorded_ranking(path).name == "ranking-freesolv"


@pytest.mark.parametrize(
    "content", ["{}", "[]", "no json", json.dumps({"rows": [{"a": 1}], "agreement": []})]
)
def test_what_is_no_ranking_is_refused(tmp_path, content):
    (tmp_path / "r.json").write_text(content)
    with pytest.raises(InvalidInput, match=r"expected a ranking\.json written by `mis rank`, got .*r\.json"):
        recorded_ranking(tmp_path / "r.json")
    with pytest.raises(InvalidInput, match="No such file"):
        recorded_ranking(tmp_path / "nowhere.json")
