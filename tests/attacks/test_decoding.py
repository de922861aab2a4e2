import numpy as np
import pytest
from scipy import stats

from mis.attacks import cell_bounds, decode
from mis.quantizers import parse


def test_is_the_mean_of_a_truncated_normal(rng):
    mean, spread = rng.normal(size=5), rng.uniform(0.2, 2.0, size=5)
    lower, upper = mean - rng.exponential(size=5), mean + 2.0
    law = stats.truncnorm((lower - mean) / spread, (upper - mean) / spread, mean, spread)
    np.testing.assert_allclose(decode(lower, upper, mean, spread), law.mean(), rtol=1e-9)


@pytest.mark.parametrize("name", ["sign", "ternary-50", "uniform-3", "uniform-2-channel"])
def test_no_other_guess_from_the_code_is_nearer(rng, name):
    """Refits of known law: within five standard errors of orthogonal to every function of the own code."""
    refits, shape = 4000, (6, 3)
    mean, spread = rng.normal(size=shape), rng.uniform(0.1, 0.6, size=shape)
    grid = parse(name).fit(mean)
    weights = mean + spread * rng.normal(size=(refits, *shape))
    released = np.stack([grid.apply(w) for w in weights])
    bounds = [cell_bounds(grid, w) for w in released]
    found = decode(
        *(np.stack(side).reshape(refits, -1) for side in zip(*bounds, strict=True)),
        mean.ravel(),
        spread.ravel(),
    )
    error = found - weights.reshape(refits, -1)
    for code in np.unique(released):
        seen = released.reshape(refits, -1) == code
        wrong = np.where(seen, error, 0.0)
        assert np.all(np.abs(wrong.mean(axis=0)) <= 5 * wrong.std(axis=0) / np.sqrt(refits) + 1e-12)
    assert np.mean(error**2) < np.mean((released.reshape(refits, -1) - weights.reshape(refits, -1)) ** 2)


def test_full_precision_and_fixed_weights():
    assert decode(0.3, 0.3, np.array([1.0]), np.array([2.0])) == 0.3
    np.testing.assert_array_equal(decode([0.0, 0.0], [1.0, 1.0], [0.4, 7.0], [0.0, 0.0]), [0.4, 1.0])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((0.0, 1.0, [0.0], [-1.0]), "expected spread >= 0, got -1"),
        ((2.0, 1.0, [0.0], [1.0]), "expected lower <= upper"),
        ((np.nan, 1.0, [0.0], [1.0]), "expected lower <= upper"),
        ((0.0, 1.0, [np.nan], [1.0]), "expected mean finite"),
    ],
)
def test_refuses(arguments, message):
    with pytest.raises(ValueError, match=message):
        decode(*arguments)
