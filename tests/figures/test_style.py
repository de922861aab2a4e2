"""Widths are read in any unit, styles are refused early, and series are told apart without colour."""

import pytest

from mis.figures.style import check_style, inches, look, styled
from mis.numerics.checks import InvalidInput


@pytest.mark.parametrize(
    ("width", "expected"),
    [
        ("single", 3.4),
        ("double", 7.0),
        ("3.4in", 3.4),
        (" 8.89 cm", 3.5),
        ("84mm", 84 / 25.4),
        # As LaTeX says of its \columnwidth: 72.27 to the inch.
        ("252.945pt", 3.5),
        (5, 5.0),
        (2.5, 2.5),
        ("20in", 20.0),
    ],
)
def test_widths(width, expected):
    assert inches("figure", width) == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize(
    "width",
    ["", "3.4", "in", "triple", "-3in", "3,4in", "nanin", "1e1in", "3 4in", "3.4px", "2in", "2m", "21in"],
)
def test_no_widths(width):
    with pytest.raises(
        InvalidInput, match=r"figure: expected width single, double, or 2\.5in to 20in with its unit"
    ):
        inches("figure", width)


@pytest.mark.parametrize("width", [0, -3.4, float("nan"), float("inf"), True, None, [3.4]])
def test_no_numbers_of_inches(width):
    with pytest.raises(InvalidInput, match="expected width"):
        inches("figure", width)


@pytest.mark.parametrize("content", [None, b"\xff\xfe\x00", b"axes.grid: maybe\n"])
def test_no_styles(tmp_path, content):
    path = tmp_path / "mine.mplstyle"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(
        InvalidInput, match=r"figure: expected style a matplotlib style sheet, got style=.*mine"
    ):
        check_style("figure", path)


def test_styles(tmp_path):
    path = tmp_path / "mine.mplstyle"
    path.write_text("font.size: 7\n")
    for style in (path, str(path), "grayscale", None):
        check_style("figure", style)


def test_series_differ_in_more_than_colour():
    with styled():
        looks = [look(place) for place in range(21)]
    for one, other in zip(looks, looks[7:], strict=False):
        assert one["color"] == other["color"]
        assert (one["marker"], one["linestyle"]) != (other["marker"], other["linestyle"])
    assert len({(a["marker"], str(a["linestyle"])) for a in looks[:7]}) == 7
