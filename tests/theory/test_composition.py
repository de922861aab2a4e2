import math

import numpy as np
import pytest

from mis.theory.composition import BLOCK, Lattice, compose
from mis.theory.coordinate import Coordinate, outcomes
from mis.theory.roc import Roc


def whole(edges, copies=1):
    edges = np.asarray(edges, float)
    return Coordinate(edges, np.ones(len(edges) + 1, bool), copies)


def laws(blocks):
    return np.concatenate([masses for masses, _ in blocks])


COORDINATES = [whole([0.0]), whole([-1.0, 0.4]), whole([0.5, 2.0, 2.5])]


def test_tilted_masses_are_those_of_non_members_times_a_power():
    seen = outcomes(COORDINATES, 0.4, 0.1)
    lattice = Lattice(seen, np.ones(3, int), 0.3)
    tilted, log_total = lattice.tilted()
    seen_tilted, others = laws(lattice.below(tilted)), laws(lattice.below(seen.others))
    index = lattice.first + np.arange(lattice.width)
    sums = (others * np.exp(0.3 * index)).sum(axis=1)
    np.testing.assert_allclose(seen_tilted * sums[:, None] * np.exp(-0.3 * index), others, rtol=1e-12)
    assert log_total == pytest.approx(np.log(sums).sum(), rel=1e-10)
    # The tilt is one that makes non-members look like members: each sum is nearly one.
    assert np.abs(sums - 1).max() < 0.3**2


@pytest.mark.parametrize("resolution", [0.05, 0.3])
def test_lower_bound_is_the_law_of_the_sum_of_indices(resolution):
    """Against the naive convolution of both laws, none tilted."""
    roc, details = compose(COORDINATES, 0.4, resolution)
    seen = outcomes(COORDINATES, 0.4, min(resolution, 0.25))
    lattice = Lattice(seen, np.ones(3, int), details["step"])
    members, others = np.ones(1), np.ones(1)
    for p, q in zip(laws(lattice.below(seen.members)), laws(lattice.below(seen.others)), strict=True):
        members, others = np.convolve(members, p), np.convolve(others, q)
    naive = Roc.discrete(members / members.sum(), others / others.sum())
    for epsilon in (-1.0, 0.0, 0.7):
        mine = Roc(lower=roc.lower, upper=roc.lower).hockey_stick(epsilon).value
        assert mine == pytest.approx(naive.hockey_stick(epsilon).value, abs=1e-9)


def test_blocks_of_coordinates_are_all_of_them(monkeypatch):
    seen, counts = outcomes(COORDINATES, 0.4, 0.1), np.array([1, 2, 3])
    lattice = Lattice(seen, counts, 0.01)
    one = list(lattice.above())
    monkeypatch.setattr("mis.theory.composition.BLOCK", lattice.width)
    several = list(lattice.above())
    assert (len(one), len(several)) == (1, 3)
    assert lattice.width * 3 < BLOCK
    np.testing.assert_allclose(laws(several), one[0][0], rtol=1e-13)
    np.testing.assert_array_equal(np.concatenate([c for _, c in several]), counts)


def test_bounds_keep_to_their_sides_as_the_resolution_falls():
    """Lower bounds rise and upper ones fall, with gaps of second order."""
    found = [
        compose([whole([0.0, 1.0], 8)], 0.3, step)[0].advantage() for step in (0.4, 0.2, 0.1, 0.05, 0.01)
    ]
    lower, upper = ([getattr(f, name) for f in found] for name in ("lower", "upper"))
    assert lower == sorted(lower)
    assert upper == sorted(upper, reverse=True)
    gaps = np.array(upper) - np.array(lower)
    assert math.log(gaps[0] / gaps[3], 2) / 3 > 1.7
