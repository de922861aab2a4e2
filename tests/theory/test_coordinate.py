import itertools
import math

import numpy as np
import pytest
from scipy import integrate, special, stats

from mis.theory.coordinate import REACH, advantage, outcomes


def cell_masses(edges, mean, sd):
    """Masses of the cells of a normal variable, each from the nearer tail; the largest as what is missing."""
    low, high = np.append(-np.inf, edges), np.append(edges, np.inf)
    a, b = (low - mean) / sd, (high - mean) / sd
    return np.where(a > 0, special.ndtr(-a) - special.ndtr(-b), special.ndtr(b) - special.ndtr(a))


def by_adaptive_quadrature(edges, r):
    """Half the expected sum of absolute differences; the largest cell's is minus the sum of the others'."""
    sd, largest = math.sqrt(1 - r * r), np.argmax(cell_masses(edges, 0.0, 1.0))
    others = np.delete(cell_masses(edges, 0.0, 1.0), largest)

    def integrand(z):
        change = np.delete(cell_masses(edges, r * z, sd), largest) - others
        return (np.abs(change).sum() + abs(change.sum())) / 2 * math.exp(-z * z / 2) / math.sqrt(2 * math.pi)

    panels, scale = np.linspace(-16, 16, 65), 1e-11 * others.sum()
    return sum(
        integrate.quad(integrand, a, b, epsabs=scale, epsrel=1e-8, limit=100)[0]
        for a, b in itertools.pairwise(panels)
    )


@pytest.mark.parametrize("n", [2, 3, 10, 100, 10**6])
def test_one_edge_at_the_truth_leaks_arcsine(n):
    r = 1 / math.sqrt(n)
    assert advantage(np.zeros(1), r) == pytest.approx(math.asin(r) / math.pi, rel=1e-13, abs=0)


# Kinks inside a panel keep QUADPACK from its own target; that both routes agree is the test.
@pytest.mark.filterwarnings("ignore::scipy.integrate.IntegrationWarning")
@pytest.mark.parametrize("n", [2, 5, 100, 2000])
@pytest.mark.parametrize(("width", "offset"), [(0.4, 0.0), (1.0, 0.5), (1.0, 0.37), (2.0, 0.0), (4.0, 0.25)])
def test_advantage_meets_adaptive_quadrature(n, width, offset):
    """Widths in standard units of the estimate."""
    edges = (np.arange(-12, 13) - offset) * width
    assert advantage(edges, n**-0.5) == pytest.approx(by_adaptive_quadrature(edges, n**-0.5), rel=1e-8, abs=0)


@pytest.mark.parametrize(
    ("half_width", "size"),
    [(2.5, 1.6082e-3), (5, 1.5228e-7), (10, 9.0959e-24), (20, 6.9022e-89), (35, 4.0734e-268)],
)
def test_tiny_advantage_in_mid_cell_keeps_its_relative_accuracy(half_width, size):
    """The sizes are mpmath's with 250 to 600 digits; n = 100."""
    edges = np.array([-3.0, -1.0, 1.0, 3.0]) * half_width
    value = advantage(edges, 0.1)
    assert value == pytest.approx(by_adaptive_quadrature(edges, 0.1), rel=1e-8, abs=0)
    assert value == pytest.approx(size, rel=1e-4, abs=0)


def test_no_edge_leaks_nothing_and_an_edge_out_of_reach_nothing_that_a_float_can_hold():
    assert advantage(np.zeros(0), 0.1) == 0.0
    assert advantage(np.array([-60.0, 60.0]), 0.1) == 0.0


def joint(low, high, left, right, r):
    law = stats.multivariate_normal([0, 0], [[1, r], [r, 1]])
    low, high = max(low, -20.0), min(high, 20.0)
    return law.cdf([high, right], lower_limit=[low, left])


@pytest.mark.parametrize("n", [2, 50])
@pytest.mark.parametrize("whole", [True, False])
def test_classes_have_the_masses_of_bivariate_rectangles(n, whole):
    edges, r, step = np.array([-1.1, -0.2, 0.9, 1.3]), n**-0.5, 0.25
    marks = np.full(5, whole)
    marks[[0, -1]] = True
    seen = outcomes(edges, marks, r, step)
    assert seen.members.sum() + seen.missed == pytest.approx(1.0, abs=1e-12)
    # Classes that members never reach are not kept.
    assert 1 - 1e-8 < seen.others.sum() <= 1 + 1e-12
    z = np.linspace(-REACH, REACH, math.ceil(2 * REACH / step) + 1)
    inside = (z > -2) & (z < 2)
    low, high = np.append(-np.inf, edges), np.append(edges, np.inf)
    for cell in range(5):
        for left, right in list(zip(z[inside][:-1], z[inside][1:], strict=True))[::4]:
            want = joint(low[cell], high[cell], left, right, r)
            assert np.abs(seen.members - want).min() < 1e-9


@pytest.mark.parametrize("n", [2, 50])
@pytest.mark.parametrize("whole", [True, False])
def test_log_ratios_stay_within_the_stated_range(rng, n, whole):
    """Random points: classes found by their exact masses, ratios by their definition."""
    edges, r, step = np.array([-1.1, -0.2, 0.1, 0.9]), n**-0.5, 0.25
    marks = np.array([True, whole, whole, whole, True])
    seen = outcomes(edges, marks, r, step)
    assert (seen.low <= seen.loss).all()
    assert (seen.loss <= seen.high).all()
    z = np.linspace(-REACH, REACH, math.ceil(2 * REACH / step) + 1)
    low, high, sd = np.append(-np.inf, edges), np.append(edges, np.inf), math.sqrt(1 - r * r)
    for cell in (1, 2, 3):
        others = cell_masses(edges, 0, 1)[cell]
        for bin_ in range(20, len(z) - 21):
            here = np.argmin(
                np.abs(seen.others - others * (special.ndtr(z[bin_ + 1]) - special.ndtr(z[bin_])))
            )
            same = np.isclose(seen.others, seen.others[here], rtol=1e-10)
            points = rng.uniform(z[bin_], z[bin_ + 1], 40)
            if whole:
                loss = np.log(
                    special.ndtr((high[cell] - r * points) / sd) - special.ndtr((low[cell] - r * points) / sd)
                )
                loss -= np.log(others)
            else:
                y = rng.uniform(low[cell], high[cell], 40)
                loss = stats.norm.logpdf(y, r * points, sd) - stats.norm.logpdf(y)
            # Bins of z and -z have equal masses of others; the points are in one of the two.
            assert any(
                seen.low[k] <= loss.min() and loss.max() <= seen.high[k] for k in np.flatnonzero(same)
            ), (cell, bin_)


def test_thin_cells_are_joined_and_far_ones_dropped():
    edges = np.arange(-4000, 4001) * 0.005
    seen = outcomes(edges, np.ones(len(edges) + 1, bool), 0.1, 0.2)
    cells = 2 * REACH / 0.2
    assert len(seen.members) < (cells + 3) * (cells + 1)
    assert seen.members.sum() == pytest.approx(1.0, abs=1e-12)
    assert seen.missed < 1e-13


def test_joined_cells_get_the_range_of_what_lies_within():
    """Joined or never whole: the same classes, so the same bounds."""
    edges, r = np.linspace(-1, 1, 41), 0.2
    ends = np.array([True] + [False] * 40 + [True])
    joined, open_ = (outcomes(edges, marks, r, 0.25) for marks in (np.ones(42, bool), ends))
    np.testing.assert_array_equal(joined.high, open_.high)
    np.testing.assert_array_equal(joined.low, open_.low)
