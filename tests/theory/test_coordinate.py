import itertools
import math

import numpy as np
import pytest
from scipy import integrate, special, stats

from mis.theory.coordinate import REACH, Coordinate, advantage, bins_of, outcomes


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
    seen = outcomes([Coordinate(edges, marks)], r, step)
    assert seen.members.sum() + seen.missed[0] == pytest.approx(1.0, abs=1e-12)
    # Classes that members never reach are not kept.
    assert 1 - 1e-8 < seen.others.sum() <= 1 + 1e-12
    z = bins_of(step)
    inside = (z > -2) & (z < 2)
    low, high = np.append(-np.inf, edges), np.append(edges, np.inf)
    for cell in range(5):
        for left, right in list(zip(z[inside][:-1], z[inside][1:], strict=True))[::3]:
            want = joint(low[cell], high[cell], left, right, r)
            assert np.abs(seen.members - want).min() < 1e-9


@pytest.mark.parametrize("n", [2, 50])
@pytest.mark.parametrize("whole", [True, False])
def test_log_ratios_stay_within_the_stated_range(rng, n, whole):
    """Random points: classes found by their exact masses, ratios by their definition."""
    edges, r, step = np.array([-1.1, -0.2, 0.1, 0.9]), n**-0.5, 0.25
    marks = np.array([True, whole, whole, whole, True])
    seen = outcomes([Coordinate(edges, marks)], r, step)
    assert (seen.low <= seen.loss).all()
    assert (seen.loss <= seen.high).all()
    z = bins_of(step)
    low, high, sd = np.append(-np.inf, edges), np.append(edges, np.inf), math.sqrt(1 - r * r)
    for cell in (1, 2, 3):
        others = cell_masses(edges, 0, 1)[cell]
        for bin_ in range(3, len(z) - 4):
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


def test_bins_are_narrow_where_the_example_is_likely():
    """Their mean square error for a standard normal variable is that of bins of one width, and less per bin."""
    for step in (0.25, 0.05):
        ends = bins_of(step)
        assert ends[0] == -REACH
        np.testing.assert_array_equal(ends, -ends[::-1])
        mass, first = np.diff(special.ndtr(ends)), -np.diff(stats.norm.pdf(ends))
        error = 1 - np.square(first[mass > 0] / np.sqrt(mass[mass > 0])).sum()
        assert error == pytest.approx(step**2 / 12, rel=0.15)
        assert len(ends) < 6 / step + 3


def test_thin_cells_are_joined_and_far_ones_dropped():
    edges, bins = np.arange(-4000, 4001) * 0.005, len(bins_of(0.2)) - 1
    seen = outcomes([Coordinate(edges, np.ones(len(edges) + 1, bool))], 0.1, 0.2)
    assert len(seen.members) < (bins + 3) * bins
    assert seen.members.sum() == pytest.approx(1.0, abs=1e-12)
    assert seen.missed[0] < 1e-11


def test_a_wide_cell_beside_thin_ones_stays_whole():
    """Else its ratio would be taken to range as that of a point within it does."""
    edges = np.array([0.01, 0.02, 6.0])
    seen = outcomes([Coordinate(edges, np.ones(4, bool))], 0.3, 0.1)
    wide = np.isclose(seen.others.sum(), 1) & (seen.high - seen.low < 0.2)
    assert wide[seen.others > 1e-3].all()


def test_joined_cells_get_the_range_of_what_lies_within():
    """Joined or never whole: the same classes, so the same bounds."""
    edges, r = np.linspace(-1, 1, 161), 0.2
    ends = np.array([True] + [False] * 160 + [True])
    joined, open_ = (outcomes([Coordinate(edges, marks)], r, 0.25) for marks in (np.ones(162, bool), ends))
    np.testing.assert_array_equal(joined.high, open_.high)
    np.testing.assert_array_equal(joined.low, open_.low)


def test_many_coordinates_at_once_are_as_each_alone(rng):
    coordinates = [Coordinate(np.sort(rng.normal(size=k)) * 3, np.ones(k + 1, bool)) for k in (0, 1, 5, 40)]
    together = outcomes(coordinates, 0.3, 0.2)
    assert (np.diff(together.owner) >= 0).all()
    for i, one in enumerate(coordinates):
        alone = outcomes([one], 0.3, 0.2)
        assert alone.missed[0] == together.missed[i]
        for mine, all_ in zip(alone[1:6], together[1:6], strict=True):
            np.testing.assert_allclose(mine, all_[together.owner == i], rtol=1e-12, atol=1e-300)


def test_masses_of_rare_classes_stay_within_what_their_ratio_allows():
    """Cells eight deviations out, whose masses the quadrature knows to 1e-16 only, absolutely."""
    edges, r, bins = np.array([7.9, 8.0]), 0.1, bins_of(0.2)
    seen = outcomes([Coordinate(edges, np.ones(3, bool))], r, 0.2)
    loss, num_bins = seen.loss.reshape(3, -1), len(bins) - 1
    z = bins[:-1, None] + np.diff(bins)[:, None] * np.linspace(0, 1, 30)
    for cell, low, high in [(1, 7.9, 8.0), (2, 8.0, np.inf)]:
        # From the upper tail.
        a, b = -high, -low
        given, plain = (
            special.log_ndtr((b + shift) / sd)
            + np.log(-np.expm1(special.log_ndtr((a + shift) / sd) - special.log_ndtr((b + shift) / sd)))
            for shift, sd in ((r * z, math.sqrt(1 - r * r)), (0.0, 1.0))
        )
        within = (given - plain).reshape(num_bins, 30)
        assert (within.min(axis=1) - 1e-9 < loss[cell]).all()
        assert (loss[cell] < within.max(axis=1) + 1e-9).all()
