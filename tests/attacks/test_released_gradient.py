"""Membership in a released gradient by inner products: the formula, written out, and what is no gradient."""

import numpy as np
import pytest

from mis.attacks import released_gradient_scores
from mis.numerics.checks import InvalidInput


def arrays(rng, dim=6, population=40, size=5):
    law = rng.normal(size=(population, dim)) @ rng.normal(size=(dim, dim)) + 0.3
    means = np.stack([law[rng.choice(population, size, replace=False)].mean(axis=0) for _ in range(60)])
    released = 0.7 * means + 0.2 + rng.normal(size=means.shape) * np.linspace(0.1, 1, dim)
    return {
        "released": released[:7], "examples": law[:9], "population": law, "size": size,
        "shadow_means": means, "shadow_released": released,
    }  # fmt: skip


def written_out(released, examples, population, size, shadow_means, shadow_released):
    """The likelihood ratio of two normal laws of one covariance, dense."""
    num, dim = population.shape
    slope, offset = np.array([np.polyfit(shadow_means[:, j], shadow_released[:, j], 1) for j in range(dim)]).T
    left = np.var(shadow_released - slope * shadow_means - offset, axis=0)
    scatter = np.cov(population.T) * (num - size) / (size * num)
    inverse = np.linalg.inv(slope[:, None] * scatter * slope + np.diag(left))
    centre = population.mean(axis=0)
    shifts = slope * (examples - centre) / size
    away = released - slope * centre - offset
    return away @ inverse @ shifts.T - 0.5 * np.einsum("nd,de,ne->n", shifts, inverse, shifts)


def test_scores_are_the_likelihood_ratio_written_out(rng):
    given = arrays(rng)
    assert np.allclose(released_gradient_scores(**given), written_out(**given), rtol=1e-9)


def test_more_coordinates_than_examples_and_codes_that_never_change(rng):
    given = arrays(rng, dim=60, population=30)
    more = {
        name: np.concatenate([v, np.ones((len(v), 2))], axis=1) for name, v in given.items() if name != "size"
    }
    assert np.allclose(released_gradient_scores(**more, size=5), written_out(**given), rtol=1e-6)
    assert np.allclose(released_gradient_scores(**more, size=5), released_gradient_scores(**given), rtol=1e-9)


def test_exact_means_give_members_away(rng):
    law = rng.normal(size=(60, 200))
    rows = np.stack([rng.choice(60, 5, replace=False) for _ in range(40)])
    means = law[rows].mean(axis=1)
    scores = released_gradient_scores(
        means[:10], law, population=law, size=5, shadow_means=means[10:], shadow_released=means[10:]
    )
    for score, members in zip(scores, rows[:10], strict=True):
        assert set(np.argsort(score)[-5:]) == set(members)


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("released", np.zeros((7, 5)), "gradients of one length"),
        ("shadow_released", np.zeros((59, 6)), "as many shadow means as shadow releases"),
        ("size", 40, "size"),
        ("size", 0, "size"),
        ("examples", np.full((9, 6), np.nan), "examples"),
        ("population", np.zeros(6), "population"),
    ],
)
def test_refuses(name, value, message, rng):
    with pytest.raises(InvalidInput, match=message):
        released_gradient_scores(**arrays(rng) | {name: value})


def test_one_shadow_is_too_few(rng):
    given = arrays(rng)
    few = {name: given[name][:1] for name in ("shadow_means", "shadow_released")}
    with pytest.raises(InvalidInput, match="shadow_means"):
        released_gradient_scores(**given | few)
