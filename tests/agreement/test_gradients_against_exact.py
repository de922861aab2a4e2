"""Membership in a released gradient: the attack by inner products against what theory certifies.

The gradient of ``|theta - z|^2 / 2`` at ``theta = 0`` is ``-z``: with normal examples of independent coordinates a
shared gradient is a mean for which ``product`` is certified. With the other examples known, a release by its own
randomness is certified for any examples.
"""

import numpy as np
import pytest

from mis import attacks, theory
from mis.theory.gradients import averaged

# 4.9 standard errors; seeds are never tuned.
LEVEL = 1 - 1e-6
DIM, SIZE, RELEASES = 12, 10, 1000
EDGES = {"sign": (0.0,), "levels-4": (-0.3, 0.0, 0.3), "full": None}


def quantized(values, edges):
    return values if edges is None else np.searchsorted(edges, values).astype(float)


def attack(rng, drawn, released):
    """Advantage on releases of fresh sets, each with one of its members and one fresh example."""
    sets, shadows = (drawn(RELEASES * SIZE).reshape(RELEASES, SIZE, -1) for _ in range(2))
    means, others = sets.mean(axis=1), shadows.mean(axis=1)
    given = {
        "population": drawn(300), "size": SIZE, "shadow_means": others, "shadow_released": released(others, rng),
    }  # fmt: skip
    seen = released(means, rng)
    member, nonmember = (
        np.diag(attacks.released_gradient_scores(seen, examples, **given))
        for examples in (sets[:, 0], drawn(RELEASES))
    )
    return attacks.audit(member=member, nonmember=nonmember, level=LEVEL).advantage


@pytest.mark.parametrize(
    ("name", "least"), [("sign", 0.75), pytest.param("levels-4", 0.75, marks=pytest.mark.slow), ("full", 0.9)]
)
def test_normal_means_through_cells(name, least, rng):
    edges = EDGES[name]
    exact = theory.product([theory.Cells(edges=edges, count=DIM)], SIZE)
    found = attack(rng, lambda num: rng.normal(size=(num, DIM)), lambda means, _: quantized(means, edges))
    assert found.lower <= exact.upper
    # Strong enough to mean something.
    assert found.upper >= least * exact.lower


def noisy(means, rng):
    return means + 0.4 * rng.normal(size=means.shape)


def rounded(means, rng):
    levels = np.linspace(-2, 2, 5)
    below = np.clip(np.searchsorted(levels, means, side="right") - 1, 0, len(levels) - 2)
    return levels[below] + (rng.random(means.shape) < means - levels[below])


def skewed(rng, num):
    """Examples neither normal nor independent: nothing of the data is assumed here."""
    common = rng.exponential(size=(num, 1)) - 1
    return np.clip(
        common * np.linspace(0.2, 1, DIM) + 0.3 * rng.choice([-1.0, 1.0], size=(num, DIM)), -1.5, 1.5
    )


RELEASE = {
    "noise": (noisy, lambda a, b: theory.gaussian_release(float(np.linalg.norm(a - b)) / 0.4)),
    "stochastic": (rounded, lambda a, b: theory.rounded_release(np.linspace(-2, 2, 5), a, b, tolerance=0.01)),
    "double exponential": (
        lambda means, rng: means + rng.laplace(scale=0.4, size=means.shape),
        lambda a, b: theory.laplace_release((a - b) / 0.4),
    ),
}


@pytest.mark.parametrize("name", RELEASE)
def test_any_examples_where_the_release_is_random(name, rng):
    released, bound = RELEASE[name]
    sets = skewed(rng, 200 * (SIZE + 1)).reshape(200, SIZE + 1, DIM)
    pairs = [(one[1:].mean(axis=0), np.delete(one, 1, axis=0).mean(axis=0)) for one in sets]
    limit = averaged(pairs, bound)
    found = attack(rng, lambda num: skewed(rng, num), released)
    assert found.lower <= limit.upper
    assert limit.value < 0.5, "a bound that says something"


@pytest.mark.parametrize("name", RELEASE)
def test_one_pair_with_the_others_known(name, rng):
    """The likeliest of two means, from their difference: optimal under normal noise, below the bound under any."""
    released, bound = RELEASE[name]
    others = skewed(rng, SIZE - 1).sum(axis=0)
    one, other = ((others + example) / SIZE for example in ([1.4] * DIM, [-1.4] * DIM))
    seen = [released(np.tile(mean, (6000, 1)), rng) @ (one - other) for mean in (one, other)]
    found, limit = attacks.audit(member=seen[0], nonmember=seen[1], level=LEVEL).advantage, bound(one, other)
    assert found.lower <= limit.upper
    assert found.upper >= {"noise": 1.0, "stochastic": 0.9, "double exponential": 0.9}[name] * limit.lower
    if name == "noise":
        assert found.lower <= limit.value <= found.upper
