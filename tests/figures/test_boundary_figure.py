import numpy as np
import pytest
from scipy import stats

from mis.figures.boundary import boundary


@pytest.fixture
def rows():
    density = [
        {"panel": "density", "weights": "bell", "weight": x, "density": stats.norm.pdf(x)}
        for x in np.linspace(-3, 3, 61).tolist()
    ]
    edges = [
        {
            "panel": "edge",
            "weights": "bell",
            "quantizer": name,
            "bits": bits,
            "edge": at,
            "density": stats.norm.pdf(at),
            "reach": 0.2,
        }
        for name, bits, at in [("sign", 1.0, 0.0), ("ternary-90", 1.58, -1.6), ("ternary-90", 1.58, 1.6)]
    ]
    leaks = [
        {
            "panel": "leak",
            "weights": law,
            "quantizer": name,
            "bits": 1.0,
            "lower": low,
            "upper": low + 0.01,
            "law": low,
        }
        | ({"zeros": zeros} if zeros else {})
        for law, scale in [("bell", 1.0), ("peak", 2.0)]
        for name, zeros, low in [
            ("sign", 0, 0.1 * scale),
            ("ternary-90", 0.9, 0.05),
            ("ternary-10", 0.1, 0.2),
        ]
    ]
    return density + edges + leaks


def test_a_strip_a_quantizer_with_its_edges_and_the_densities_added(rows):
    figure = boundary(rows)
    strips = figure.axes[:2]
    assert [axes.get_title(loc="left") for axes in strips] == [
        "sign, 1 bit: 1 edge, density 0.40",
        "ternary-90, 1.58 bits: 2 edges, density 0.22",
    ]
    assert [sorted(line.get_xdata()[0] for line in axes.lines) for axes in strips] == [[0.0], [-1.6, 1.6]]


def test_a_panel_a_law_with_points_on_lines_and_levels(rows):
    figure = boundary(rows)
    bell, peak = figure.axes[2:]
    assert (bell.get_title(loc="left"), peak.get_title(loc="left")) == ("bell", "peak")
    np.testing.assert_array_equal(bell.lines[0].get_xydata(), [[0.1, 0.2], [0.9, 0.05]])
    np.testing.assert_allclose(np.asarray(bell.lines[1].get_ydata(), float), [0.205, 0.055])
    levels = [axes.lines[2].get_ydata()[0] for axes in (bell, peak)]
    assert levels == pytest.approx([0.105, 0.205])
    assert [text.get_text() for text in bell.texts] == ["sign, 1 bit"]
    # Nothing is cut off.
    assert all(axes.get_ylim()[1] > 0.21 for axes in (bell, peak))


def test_draws_to_disk(rows, tmp_path):
    for suffix in ("png", "pdf"):
        boundary(rows).savefig(tmp_path / f"boundary.{suffix}")
        assert (tmp_path / f"boundary.{suffix}").stat().st_size > 5000
