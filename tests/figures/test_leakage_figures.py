"""Figures of gradient leakage: readable, within their width, and of what they are given."""

import numpy as np
import pytest

from mis.figures import leakage_curves, leakage_errors, leakage_pictures, leakage_tradeoff
from mis.figures.style import plain

NAMES = (
    "full",
    "levels-240-stochastic",
    "power-of-two-4",
    "codebook-16",
    "sign",
    "prune-40",
    "cost_$5",
    "noise-20",
)
EMPTY = (None, np.ones((4, 1, 1, 1)))
ATTACKERS = ("naive", "adapted", "rounded")


def rows():
    found = []
    for i, name in enumerate(NAMES):
        for j, attacker in enumerate(ATTACKERS[: 3 if i % 2 else 2]):
            error = 10.0 ** (-i - j)
            middle = {"squared_error": error, "psnr": 10.0 * i + 5 * j, "ssim": 0.1 * i}
            ends = {
                f"{k}_{end}": v * by
                for k, v in middle.items()
                for end, by in (("lower", 0.9), ("upper", 1.1))
            }
            found.append({"defence": name, "attacker": attacker, "bits": 1 + 4 * i, **middle, **ends})
    return found


def pictures(rng, shape=(8, 8, 1)):
    return {(row["defence"], row["attacker"]): rng.uniform(size=(2, 4, *shape)) for row in rows()}


def curves(rng):
    return {
        name: {"loss": rng.uniform(0.1, 2, size=(3, 7)), "accuracy": rng.uniform(size=(3, 7))}
        for name in NAMES
    }


FIGURES = {
    "pictures": lambda rng, **looks: leakage_pictures(pictures(rng), "digits", **looks),
    "errors": lambda _, **looks: leakage_errors(rows(), "digits", **looks),
    "curves": lambda rng, **looks: leakage_curves(curves(rng), "digits", **looks),
    "tradeoff": lambda rng, **looks: leakage_tradeoff(
        rows(), {name: rng.uniform(size=3) for name in NAMES}, "digits", none="full", **looks
    ),
}


@pytest.mark.parametrize(
    ("width", "inches"), [("double", 7.0), pytest.param("single", 3.4, marks=pytest.mark.slow)]
)
@pytest.mark.parametrize("name", FIGURES)
def test_drawn_within_their_width(name, width, inches, rng, check_drawn):
    check_drawn(FIGURES[name](rng, width=width), inches)


def test_pictures_show_the_originals_above_and_each_attacker_in_a_panel(rng):
    shown = pictures(rng)
    figure = leakage_pictures(shown, "digits")
    assert [axes.get_title(loc="left") for axes in figure.axes] == list(ATTACKERS)
    assert [label.get_text() for label in figure.axes[0].get_yticklabels()] == [
        "original",
        *map(plain, NAMES),
    ]
    for axes, attacker in zip(figure.axes, ATTACKERS, strict=True):
        sheet = np.asarray(axes.images[0].get_array())
        for i, name in enumerate((None, *NAMES)):
            for k in range(4):
                found = sheet[9 * i : 9 * i + 8, 9 * k : 9 * k + 8]
                true = shown["full", "naive"][0] if name is None else shown.get((name, attacker), EMPTY)[1]
                assert np.array_equal(found, np.broadcast_to(true[k], (8, 8, 3)))


def test_colour_images_keep_their_colours(rng):
    images = rng.uniform(size=(2, 2, 8, 8, 3))
    figure = leakage_pictures({("full", "naive"): images}, "cifar-10")
    assert np.array_equal(np.asarray(figure.axes[0].images[0].get_array())[9:17, 9:], images[1, 1])


def test_tradeoff_takes_the_strongest_attacker():
    table = rows()
    figure = leakage_tradeoff(table, {name: [0.5, 0.7] for name in NAMES}, "digits", none="full")
    heights = [
        line.get_ydata()[0] for line in figure.axes[0].lines if line.get_marker() not in ("None", "", "none")
    ]
    strongest = [min(r["squared_error"] for r in table if r["defence"] == name) for name in NAMES]
    assert set(strongest) <= set(heights)


def test_a_defence_has_one_look_in_all_figures(rng):
    """Drawn with others or without: its colour is that of its place among all of them."""
    shown = {name: value for name, value in curves(rng).items() if name != NAMES[0]}
    [axes, _] = leakage_curves(shown, "digits", defences=NAMES).axes
    by_name = {line.get_label(): line.get_color() for line in axes.lines}
    alone = leakage_tradeoff(rows(), {NAMES[-1]: [0.5, 0.7]}, "digits", none="full").axes[0]
    assert alone.lines[0].get_color() == by_name[NAMES[-1]]
    [whole, _] = leakage_curves(curves(rng), "digits").axes
    assert {line.get_label(): line.get_color() for line in whole.lines}.items() >= by_name.items()
