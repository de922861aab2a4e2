import numpy as np
from scipy import stats

from mis import quantizers, theory
from mis.figures.boundary import boundary

SPREAD = 0.02


def rows():
    weights = stats.norm.ppf((np.arange(20_000) + 0.5) / 20_000)
    x = np.linspace(-3, 3, 101)
    density = [{"weight": a, "density": b} for a, b in zip(x, stats.norm.pdf(x), strict=True)]
    edges, leakage = [], []
    for name in ("sign", "uniform-3", "ternary-10", "ternary-50", "ternary-90"):
        quantizer = quantizers.parse(name)
        at = quantizer.fit(weights).edges
        edges += [{"quantizer": name, "edge": e, "density": stats.norm.pdf(e)} for e in at]
        leakage.append(
            {
                "quantizer": name,
                "zeros": getattr(quantizer, "zeros", None),
                "predicted": theory.boundary_information(stats.norm.pdf(at), SPREAD),
                "retained": theory.retained_information(weights, SPREAD, quantizer).value,
            }
        )
    return density, edges, leakage


def test_draws_edges_and_leakage(tmp_path):
    density, edges, leakage = rows()
    figure = boundary(density, edges, leakage)
    left, right = figure.axes
    assert [text.get_text() for text in left.get_legend().get_texts()] == [
        row["quantizer"] for row in leakage
    ]
    curve = right.lines[0].get_xydata()
    np.testing.assert_array_equal(curve[:, 0], [0.1, 0.5, 0.9])
    np.testing.assert_array_equal(curve[:, 1], [row["predicted"] for row in leakage[2:]])
    assert {text.get_text() for text in right.texts} == {"sign", "uniform-3"}
    # The points lie on the law: that is what the figure shows.
    for row in leakage:
        assert abs(row["retained"] / row["predicted"] - 1) < 0.02
    for suffix in ("png", "pdf"):
        figure.savefig(tmp_path / f"boundary.{suffix}")
