import numpy as np

from mis.figures.audit import audit_roc

ROWS = [
    {"fpr": 0.01, "lower": 0.0, "value": 0.02, "upper": 0.1},
    {"fpr": 0.1, "lower": 0.2, "value": 0.3, "upper": 0.4},
    {"fpr": 1.0, "lower": 1.0, "value": 1.0, "upper": 1.0},
]


def test_draws_the_rows_on_logarithmic_axes(tmp_path):
    figure = audit_roc(ROWS, level=0.9)
    (axes,) = figure.axes
    assert (axes.get_xscale(), axes.get_yscale()) == ("log", "log")
    np.testing.assert_array_equal(axes.lines[0].get_xydata(), [(0.01, 0.02), (0.1, 0.3), (1, 1)])
    (band,) = axes.collections
    corners = {tuple(point) for point in band.get_paths()[0].vertices}
    # An unresolved lower end stands at the foot of the axis.
    assert corners >= {(0.01, 0.01), (0.01, 0.1), (0.1, 0.2), (0.1, 0.4)}
    assert band.get_label() == "90% pointwise"
    figure.savefig(tmp_path / "roc.png")
    figure.savefig(tmp_path / "roc.pdf")
