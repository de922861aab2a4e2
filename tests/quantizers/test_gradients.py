"""Quantizers of gradients: their names, bits, and what they publish."""

import math

import jax
import numpy as np
import pytest
from scipy import integrate, stats

from mis.numerics.checks import InvalidInput, UnsupportedSetting
from mis.quantizers import Prune
from mis.quantizers.gradients import GRADIENTS, bits_per_coordinate, parse_gradient, release
from mis.quantizers.laplace import DoubleExponential
from mis.quantizers.observations import Cell, Hat, Normal

# name: bits per entry of two tensors of 300 and 100 entries, everything published counted; kind of observation
CASES = {
    "full": (32, Cell),
    "sign": (1 + 32 * 2 / 400, Cell),
    "ternary-90": (math.log2(3) + 32 * 2 / 400, Cell),
    "uniform-4": (4 + 32 * 2 / 400, Cell),
    "stochastic-4": (4 + 32 * 2 / 400, Hat),
    "levels-20": (math.log2(20) + 32 * 2 / 400, Cell),
    "levels-240-stochastic": (math.log2(240) + 32 * 2 / 400, Hat),
    "power-of-two-4": (4, Cell),
    "codebook-5": (math.log2(5) + 5 * 32 * 2 / 400, Cell),
    "prune-40": (32 * 0.6 - 0.4 * math.log2(0.4) - 0.6 * math.log2(0.6), Cell),
    "top-10": (3.2 - 0.1 * math.log2(0.1) - 0.9 * math.log2(0.9), Cell),
    "noise-20": (32, Normal),
    "laplace-20": (32, DoubleExponential),
}


@pytest.fixture
def gradient(rng):
    return [rng.standard_t(3, size=(30, 10)), 0.01 * rng.standard_t(3, size=(10, 10))]


def test_every_family_has_a_case():
    assert {parse_gradient(name).family for name in CASES} == set(GRADIENTS)


@pytest.mark.parametrize("name", CASES)
def test_what_is_published(name, gradient):
    quantizer = parse_gradient(name)
    assert quantizer.name == name
    assert parse_gradient(quantizer.name) == quantizer
    released = release(quantizer, gradient, jax.random.key(3))
    bits, kind = CASES[name]
    assert released.bits == pytest.approx(bits)
    for tensor, value, seen in zip(gradient, released.values, released.observations, strict=True):
        assert value.shape == tensor.shape
        assert isinstance(seen, kind)
        seen.check("here")
        if isinstance(seen, Cell | Hat):
            # The likelihood of what is true is not zero, at ends but for a rounding.
            hair = 1e-12 * np.abs(tensor).max()
            assert np.all((seen.lower - hair <= tensor) & (tensor <= seen.upper + hair))


@pytest.mark.parametrize("name", ["levels-3-stochastic", "levels-20-stochastic", "stochastic-3"])
def test_stochastic_rounding_is_unbiased(name, rng):
    """The mean of a release is the gradient: exactly from its two levels, and in 5 standard errors over draws."""
    tensor = rng.normal(size=400)
    channel = parse_gradient(name).fit(tensor)
    levels = np.asarray(channel.levels)
    place = np.clip(np.searchsorted(levels, tensor, side="right") - 1, 0, len(levels) - 2)
    low, high = levels[place], levels[place + 1]
    share = (tensor - low) / (high - low)
    draws = np.stack([channel.apply(tensor, key=key) for key in jax.random.split(jax.random.key(0), 600)])
    assert set(np.unique(draws)) <= set(levels)
    assert np.all((draws == low) | (draws == high) | np.isclose(tensor, low) | np.isclose(tensor, high))
    error = (high - low) * np.sqrt(share * (1 - share) / len(draws))
    assert np.all(np.abs(draws.mean(axis=0) - tensor) <= 5 * error + 1e-12)
    # All entries together: a bias that no single one shows.
    assert abs((draws.mean(axis=0) - tensor).sum()) <= 5 * math.sqrt((error**2).sum())


def test_levels_are_the_nearest_of_as_many_as_asked_for(gradient):
    for count in (2, 7, 20, 1024):
        grid = parse_gradient(f"levels-{count}").fit(gradient[0])
        top = np.abs(gradient[0]).max()
        assert np.allclose(grid.levels, np.linspace(-top, top, count))
        released = grid.apply(gradient[0])
        assert np.allclose(
            np.abs(released - gradient[0]), np.abs(gradient[0][..., None] - grid.levels).min(axis=-1)
        )


def test_top_has_one_threshold_where_pruning_has_one_a_tensor(gradient):
    whole = release(parse_gradient("top-25"), gradient).values
    every = np.concatenate([tensor.ravel() for tensor in gradient])
    kept = np.concatenate([value.ravel() for value in whole]) != 0
    assert kept.sum() == 100
    assert np.abs(every[kept]).min() > np.abs(every[~kept]).max()
    each = release(Prune(zeros=0.75), gradient).values
    assert [np.count_nonzero(value) for value in each] == [75, 25]
    assert np.count_nonzero(whole[1]) < 25


def test_laplacian_noise_has_its_law(rng):
    tensor = rng.normal(size=20_000)
    noise = parse_gradient("laplace-50")(tensor, key=jax.random.key(1)) - tensor
    scale = 0.5 * math.sqrt(np.mean(tensor**2)) / math.sqrt(2)
    assert stats.kstest(noise, stats.laplace(scale=scale).cdf).pvalue > 1e-6


def test_double_exponential_noise_by_quadrature():
    """Density and posterior mean of a normal entry against numerical integrals."""
    for mean, sd, centre, scale in ((0.3, 1.2, -0.9, 0.5), (-2.0, 0.1, 1.0, 3.0), (0.0, 2.0, 0.0, 0.7)):
        entry, noise = stats.norm(mean, sd), stats.laplace(scale=scale)
        density, moment = (
            integrate.quad(
                lambda x, k=k, entry=entry, noise=noise, c=centre: x**k * entry.pdf(x) * noise.pdf(c - x),
                mean - 12 * sd, mean + 12 * sd, points=[centre], limit=200,
            )[0]
            for k in (0, 1)
        )  # fmt: skip
        seen = DoubleExponential(centre=np.array(centre), scale=np.array(scale))
        assert seen.log_likelihood(mean, sd) == pytest.approx(math.log(density), abs=1e-8)
        assert seen.posterior_mean(mean, sd) == pytest.approx(moment / density, abs=1e-8)


def test_refuses():
    with pytest.raises(InvalidInput, match=r"expected levels an integer in 2\.\.1024, got levels=1"):
        parse_gradient("levels-1")
    with pytest.raises(InvalidInput, match="name one of"):
        parse_gradient("lvels-20")
    with pytest.raises(InvalidInput, match="expected name text"):
        parse_gradient(20)
    with pytest.raises(InvalidInput, match="at least one tensor"):
        release(parse_gradient("sign"), [])
    with pytest.raises(InvalidInput, match="finite"):
        release(parse_gradient("levels-20"), [np.array([1.0, np.nan])])
    with pytest.raises(InvalidInput, match="because the noise is random"):
        release(parse_gradient("laplace-20"), [np.ones(3)])
    with pytest.raises(UnsupportedSetting, match="no closed form"):
        parse_gradient("laplace-20").fit(np.ones(3)).information(np.ones(3), np.ones(3))
    with pytest.raises(InvalidInput, match="scale > 0"):
        DoubleExponential(centre=np.ones(1), scale=np.zeros(1)).check("here")


def test_bits_count_what_is_fitted():
    assert bits_per_coordinate(parse_gradient("codebook-4"), [100, 28]) == 2 + 32 * 4 * 2 / 128
