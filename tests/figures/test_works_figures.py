"""Figures of works on released networks: what they are given is what they show, and nothing of what is missing."""

import numpy as np
import pytest

from mis.figures import attackers, tradeoffs


def row(release, **values):
    ends = {
        f"{name}{end}": None if value is None else value + by
        for name, value in values.items()
        for end, by in (("", 0.0), ("_lower", -0.02), ("_upper", 0.02))
    }
    return {"release": release, **ends}


def shown(axes):
    """Values by label, off the drawn markers."""
    return {
        bars.get_label(): (bars.lines[0].get_xdata().tolist(), bars.lines[0].get_ydata().tolist())
        for bars in axes.containers
    }


def test_attackers_stand_on_the_line_of_their_release():
    rows = [row("sign", lira=0.1, advantage=0.3), row("full", lira=0.5, advantage=None)]
    drawn = attackers(
        {"digits": rows}, {"lira": "LiRA", "advantage": "strongest"}, axis="advantage", caption="Seen."
    )
    [axes] = [one for one in drawn.axes if one.get_title(loc="left")]
    assert shown(axes) == {"LiRA": ([0.1, 0.5], [1, 0]), "strongest": ([0.3], [1])}
    places = dict(zip(axes.get_yticks(), (t.get_text() for t in axes.get_yticklabels()), strict=True))
    assert (places[1], places[0]) == ("sign", "full")
    assert axes.get_xlabel() == "advantage"
    assert drawn.caption == "Seen."
    assert drawn.get_figwidth() == 7.0


def test_differences_below_zero_are_seen():
    rows = [row("sign less ternary", lira=-0.3)]
    [axes] = attackers({"modes": rows}, {"lira": "LiRA"}, axis="difference", caption="", width="single").axes
    assert axes.get_xlim()[0] < -0.32


@pytest.mark.parametrize("scale", ["linear", pytest.param("log", marks=pytest.mark.slow)])
def test_tradeoffs_show_theirs_and_ours_with_their_bars(scale):
    theirs = {"brecq": [{"x": 0.7, "y": 0.3, "label": "4"}, {"x": 0.6, "y": 0.01, "label": "2"}]}
    point = {"x": 0.9, "x_lower": 0.88, "x_upper": 0.93, "y": 0.2, "y_lower": 0.15, "y_upper": 0.22}
    ours = {"brecq": [{**point, "label": ""}], "gptq": []}
    labels = {"theirs": ("accuracy", "TPR"), "ours": ("accuracy", "advantage")}
    drawn = tradeoffs({"theirs": theirs, "ours": ours}, axes_labels=labels, caption="Both.", scale=scale)
    left, right = (one for one in drawn.axes if one.get_title(loc="left"))
    assert shown(left) == {"brecq": ([0.7, 0.6], [0.3, 0.01])}
    assert shown(right) == {"brecq": ([0.9], [0.2])}
    bars = [bar.get_segments()[0] for bar in right.containers[0].lines[2]]
    np.testing.assert_allclose(sorted(bars[0][:, 0]), [0.88, 0.93])
    np.testing.assert_allclose(sorted(bars[1][:, 1]), [0.15, 0.22])
    assert (left.get_ylabel(), right.get_ylabel()) == ("TPR", "advantage")
    assert {text.get_text() for text in left.texts} == {"4", "2"}
    assert left.get_yscale() == scale
    assert drawn.caption == "Both."
