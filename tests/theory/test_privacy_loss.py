import itertools

import numpy as np
import pytest
from scipy.stats import norm

from mis.theory.privacy_loss import merge, spread

SLOPES = np.exp(np.linspace(-6, 6, 241))


def pair(rng, size=60):
    members, others = rng.dirichlet(np.ones(size)), rng.dirichlet(np.ones(size))
    return members, others


def hockey_stick(members, others):
    return np.maximum(members - SLOPES[:, None] * others, 0).sum(1)


def on_lattice(index, members, step):
    return members, members * np.exp(-step * index)


def products(first, second):
    return tuple(np.multiply.outer(a, b).ravel() for a, b in zip(first, second, strict=True))


def rounded(members, others, step):
    loss = np.log(members / others)
    above = on_lattice(*spread(members, loss, loss, loss, step), step)
    index = merge(loss, step)
    seen = index - index.min()
    return (np.bincount(seen, members), np.bincount(seen, others)), above


def summed(pair):
    """Law of the sum of two indices, under both hypotheses."""
    return tuple(np.convolve(mass, mass) for mass in pair)


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("step", [0.01, 0.3, 2.0])
def test_lattice_pairs_bound_every_hockey_stick_alone_and_in_products(seed, step):
    rng = np.random.default_rng(seed)
    exact = pair(rng)
    below, above = rounded(*exact, step)
    assert (hockey_stick(*below) <= hockey_stick(*exact) + 1e-14).all()
    assert (hockey_stick(*exact) <= hockey_stick(*above) + 1e-14).all()
    truth = hockey_stick(*products(exact, exact))
    assert (hockey_stick(*summed(below)) <= truth + 1e-14).all()
    assert (truth <= hockey_stick(*products(above, above)) + 1e-14).all()


@pytest.mark.parametrize("step", [0.01, 0.3])
def test_spread_keeps_mass_under_both_laws(rng, step):
    members, others = pair(rng)
    _, above = rounded(members, others, step)
    np.testing.assert_allclose([above[0].sum(), above[1].sum()], 1.0, rtol=1e-13)


@pytest.mark.parametrize("step", [0.01, 0.3])
def test_an_index_is_the_nearest_lattice_point(rng, step):
    loss = rng.normal(size=500)
    assert np.abs(merge(loss, step) * step - loss).max() <= step / 2


def test_spread_to_the_ends_of_a_range_covers_every_law_within(rng):
    """Classes with known mean and range: whatever lies inside leaks no more than the ends."""
    inside = rng.uniform(-1, 1, (20, 7))
    others = rng.dirichlet(np.ones(140)).reshape(20, 7)
    members = others * np.exp(inside)
    scale = members.sum()
    members, inside = members / scale, inside - np.log(scale)
    loss = np.log(members.sum(1) / others.sum(1))
    index, mass = spread(members.sum(1), loss, inside.min(1), inside.max(1), 0.05)
    truth = hockey_stick(members.ravel(), others.ravel())
    assert (truth <= hockey_stick(*on_lattice(index, mass, 0.05)) + 1e-14).all()
    # The mean alone would not do.
    assert (hockey_stick(members.sum(1), others.sum(1)) < truth - 1e-3).any()


def test_errors_are_of_second_order_where_the_law_is_dense():
    edges = np.linspace(-8, 8, 4001)
    others, members = (
        np.where(e[:-1] < 0, np.diff(norm.cdf(e)), -np.diff(norm.sf(e))) for e in (edges, edges - 1)
    )
    exact, gaps = hockey_stick(members, others), []
    for step in (0.4, 0.2, 0.1, 0.05):
        below, above = rounded(members, others, step)
        gaps.append([(exact - hockey_stick(*below)).max(), (hockey_stick(*above) - exact).max()])
    slopes = np.diff(np.log(gaps), axis=0) / np.log(0.5)
    assert (slopes[-1] > 1.6).all()
    assert max(gaps[-1]) < 3e-4


def test_lattice_atoms_stay_where_they_are():
    step, index = 0.125, np.array([-3, 0, 4])
    members = np.array([0.1, 0.5, 0.4])
    others = members * np.exp(-step * index)
    np.testing.assert_array_equal(merge(np.log(members / others), step), index)
    below, above = rounded(members, others, step)
    for first, second in itertools.pairwise([below, (members, others), above]):
        np.testing.assert_allclose(hockey_stick(*first), hockey_stick(*second), atol=1e-12)
