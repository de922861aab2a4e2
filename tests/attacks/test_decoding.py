import jax
import numpy as np
import pytest
from scipy import stats

from mis.attacks import decode
from mis.numerics.checks import InvalidInput
from mis.quantizers import Cell, Hat, Normal, parse


def test_is_the_mean_of_a_truncated_normal(rng):
    mean, spread = rng.normal(size=5), rng.uniform(0.2, 2.0, size=5)
    lower, upper = mean - rng.exponential(size=5), mean + 2.0
    law = stats.truncnorm((lower - mean) / spread, (upper - mean) / spread, mean, spread)
    np.testing.assert_allclose(decode(Cell(lower=lower, upper=upper), mean, spread), law.mean(), rtol=1e-9)


@pytest.mark.parametrize(
    "name",
    [
        "sign",
        "ternary-50",
        "uniform-3",
        "uniform-2-channel",
        "stochastic-3",
        "prune-50",
        "prune-50+uniform-3",
        "noise-80",
    ],
)
def test_no_other_guess_from_the_release_is_nearer(rng, name):
    """Refits of known law: within five standard errors of orthogonal to functions of the own release."""
    refits, shape = 4000, (6, 3)
    mean, spread = rng.normal(size=shape), rng.uniform(0.1, 0.6, size=shape)
    channel = parse(name).fit(mean)
    weights = mean + spread * rng.normal(size=(refits, *shape))
    released = np.asarray(channel.apply(weights, key=jax.random.key(3)))
    found = decode(channel.observation(released), mean, spread)
    error = found - weights
    few = np.unique(released) if np.unique(released).size < 50 else []
    tests = [released == code for code in few] or [released, released**2, released == 0]
    for values in tests:
        wrong = values * error
        assert np.all(np.abs(wrong.mean(axis=0)) <= 5 * wrong.std(axis=0) / np.sqrt(refits) + 1e-12)
    assert np.mean(error**2) < np.mean((released - weights) ** 2)


def test_full_precision_and_fixed_weights():
    assert decode(Cell(lower=0.3, upper=0.3), np.array([1.0]), np.array([2.0])) == 0.3
    cells = Cell(lower=np.zeros(2), upper=np.ones(2))
    np.testing.assert_array_equal(decode(cells, [0.4, 7.0], [0.0, 0.0]), [0.4, 1.0])


ONE = np.ones(1)


@pytest.mark.parametrize(
    ("observation", "law", "message"),
    [
        (Cell(lower=0 * ONE, upper=ONE), ([0.0], [-1.0]), "expected spread >= 0, got -1"),
        (Cell(lower=2 * ONE, upper=ONE), ([0.0], [1.0]), "expected lower <= upper"),
        (Cell(lower=np.nan * ONE, upper=ONE), ([0.0], [1.0]), "expected lower <= upper"),
        (Cell(lower=0 * ONE, upper=ONE), ([np.nan], [1.0]), "expected mean finite"),
        (Hat(lower=2 * ONE, centre=ONE, upper=3 * ONE), ([0.0], [1.0]), "expected lower <= centre <= upper"),
        (Hat(lower=ONE, centre=np.nan * ONE, upper=ONE), ([0.0], [1.0]), "expected lower <= centre <= upper"),
        (Normal(centre=ONE, sd=-ONE), ([0.0], [1.0]), "expected finite centres and sd >= 0"),
    ],
)
def test_refuses(observation, law, message):
    with pytest.raises(InvalidInput, match=f"decode: {message}"):
        decode(observation, *law)
