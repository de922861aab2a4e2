"""Each quantizer against a truth found another way."""

import jax
import jax.numpy as jnp
import ml_dtypes
import numpy as np
import pytest
from scipy.stats import norm
from sklearn.cluster import KMeans

from mis.numerics.checks import InvalidInput
from mis.quantizers import FP4, FP8, NF4, Codebook, PowerOfTwo, Sign, Stochastic, Ternary, Uniform
from mis.quantizers.prune import order_statistic


@pytest.mark.parametrize("percent", [1, 33, 50, 66, 90, 99])
@pytest.mark.parametrize("size", [10, 33, 1000])
def test_ternary_zeroes_the_share_it_is_named_after(percent, size, rng):
    weights = rng.standard_normal(size)
    released = Ternary(zeros=percent / 100)(weights)
    num_zeros = min(round(percent / 100 * size), size - 1)
    smallest = np.argsort(np.abs(weights))[:num_zeros]
    assert np.array_equal(np.flatnonzero(released == 0), np.sort(smallest))
    survivors = np.delete(weights, smallest)
    np.testing.assert_allclose(
        released[released != 0], np.sign(survivors) * np.abs(survivors).mean(), rtol=1e-14
    )


@pytest.mark.parametrize("percent", [5, 33, 50, 90, 99.9])
def test_ternary_by_peak_zeroes_what_is_below_a_share_of_the_largest(percent, rng):
    weights = rng.normal(size=(20, 30)).astype(np.float32)
    peak = Ternary(zeros=percent / 100, peak=True)
    released = peak(weights)
    survives = np.abs(weights) >= np.float32(percent / 100) * np.abs(weights).max()
    assert survives.any()
    np.testing.assert_array_equal(released != 0, survives)
    np.testing.assert_allclose(np.abs(released[survives]), np.abs(weights[survives]).mean(), rtol=1e-6)
    assert np.array_equal(peak(np.zeros(4)), np.zeros(4))


def test_ternary_edges_are_where_magnitudes_survive(rng):
    weights = rng.standard_normal(101)
    low, high = Ternary(zeros=0.5).fit(weights).edges
    survivor = np.sort(np.abs(weights))[50]
    assert high == survivor
    assert low == np.nextafter(-survivor, 0)


@pytest.mark.parametrize("dtype", [jnp.float32, jnp.float16, jnp.bfloat16])
def test_order_statistic_is_exact(dtype, rng):
    values = jnp.asarray(np.abs(rng.standard_normal(257)).round(2), dtype)
    values = values.at[3].set(0).at[7].set(jnp.finfo(dtype).max)
    for rank in (0, 1, 100, 255, 256):
        found = jax.jit(order_statistic, static_argnums=1)(values, rank)
        assert found == jnp.sort(values)[rank]
        assert found.dtype == dtype


def test_sign_scale_minimises_the_squared_error(rng):
    weights = rng.standard_normal(200)
    best = np.square(Sign()(weights) - weights).sum()
    scale = np.abs(weights).mean()
    for other in (0.99, 1.01):
        assert best < np.square(Sign(scale=other * scale)(weights) - weights).sum()


@pytest.mark.parametrize("bits", range(2, 9))
def test_symmetric_uniform_is_rounding(bits, rng):
    weights = rng.standard_normal(500)
    step = np.abs(weights).max() / (2 ** (bits - 1) - 1)
    np.testing.assert_allclose(
        Uniform(bits=bits)(weights), step * np.round(weights / step), rtol=0, atol=1e-14
    )


@pytest.mark.parametrize("bits", range(2, 9))
def test_asymmetric_uniform_is_the_affine_rule(bits, rng):
    weights = rng.gamma(2.0, size=500) - 0.5
    step = (weights.max() - weights.min()) / (2**bits - 1)
    zero_point = np.round(-weights.min() / step)
    codes = np.clip(np.round(weights / step + zero_point), 0, 2**bits - 1)
    released = Uniform(bits=bits, asymmetric=True)(weights)
    np.testing.assert_allclose(released, step * (codes - zero_point), rtol=0, atol=1e-14)
    assert 0.0 in Uniform(bits=bits, asymmetric=True).fit(weights).levels


@pytest.mark.parametrize("sign", [-1, 1])
def test_asymmetric_range_holds_zero(sign):
    weights = sign * np.array([2.0, 3.0])
    levels = Uniform(bits=2, asymmetric=True).fit(weights).levels
    np.testing.assert_allclose(np.sort(sign * levels), [0, 1, 2, 3], atol=1e-15)


@pytest.mark.parametrize("asymmetric", [False, True])
def test_channels_are_quantized_apart(asymmetric, rng):
    weights = rng.standard_normal((40, 3)) * [1.0, 1e-3, 1e3]
    apart = Uniform(bits=4, channel=True, asymmetric=asymmetric)
    alone = Uniform(bits=4, asymmetric=asymmetric)
    for c in range(3):
        np.testing.assert_allclose(apart(weights)[:, c], alone(weights[:, c]), rtol=1e-14)


def test_offset_shifts_and_clip_shrinks_the_grid(rng):
    weights = rng.standard_normal(50)
    levels = Uniform(bits=4).fit(weights).levels
    step = levels[1] - levels[0]
    np.testing.assert_allclose(
        Uniform(bits=4, offset=0.25).fit(weights).levels, levels + step / 4, atol=1e-14
    )
    np.testing.assert_allclose(Uniform(bits=4, clip=0.8).fit(weights).levels, 0.8 * levels, atol=1e-14)


@pytest.mark.parametrize("quantizer", [Sign, NF4, FP4, FP8, lambda scale: Uniform(bits=4, scale=scale)])
@pytest.mark.parametrize("largest", [1e-3, 0.5, 0.75, 1.0, 1.5, 64.0])
def test_power_of_two_scale_is_the_next_power(quantizer, largest):
    weights = np.array([largest, -largest])
    level = quantizer(scale="power-of-two").fit(weights).levels[-1]
    assert np.log2(level) == np.round(np.log2(level))
    assert largest <= level < 2 * largest


@pytest.mark.parametrize("quantizer", [Sign, NF4, FP4, FP8, lambda scale: Uniform(bits=4, scale=scale)])
def test_fixed_scale_forgets_the_weights(quantizer, rng):
    grids = [quantizer(scale=1.5).fit(rng.standard_normal(20)) for _ in range(2)]
    assert np.array_equal(grids[0].levels, grids[1].levels)
    assert grids[0].levels[-1] == 1.5


@pytest.mark.parametrize("bits", [2, 3, 4, 5])
def test_power_of_two_is_the_rule_of_incremental_quantization(bits, rng):
    """Zhou et al. (2017): n1 = floor(log2(4 s / 3)), one power less for each level below."""
    for weights in (rng.standard_normal(300), np.array([0.75, -0.1]), np.array([0.7499, 0.2])):
        n1 = int(np.floor(np.log2(4 * np.abs(weights).max() / 3)))
        powers = 2.0 ** np.arange(n1 - (2 ** (bits - 1) - 1) + 1, n1 + 1)
        expected = np.concatenate([-powers[::-1], [0.0], powers])
        assert np.array_equal(PowerOfTwo(bits=bits).fit(weights).levels, expected)


@pytest.mark.parametrize(
    ("quantizer", "dtype", "top"), [(FP8, "float8_e4m3fn", 448), (FP4, "float4_e2m1fn", 6)]
)
def test_float_formats_round_as_their_casts(quantizer, dtype, top, rng):
    weights = np.append(rng.standard_normal(5000) * top / 10, [top, -top]).clip(-top, top)
    cast = weights.astype(getattr(ml_dtypes, dtype)).astype(float)
    assert np.array_equal(quantizer()(weights), cast)
    assert np.array_equal(quantizer(scale=float(top))(weights), cast)


def test_nf4_levels_are_the_normal_quantiles_of_its_paper():
    offset = 0.9677083
    positive = norm.ppf(np.linspace(offset, 0.5, 9)[:-1])
    negative = -norm.ppf(np.linspace(offset, 0.5, 8)[:-1])
    levels = np.sort(np.concatenate([positive, [0.0], negative])) / positive.max()
    np.testing.assert_allclose(NF4().fit(np.array([1.0])).levels, levels, atol=1e-6)


@pytest.mark.parametrize("num", [2, 5, 16, 64])
@pytest.mark.parametrize("law", ["normal", "student", "few", "skewed"])
def test_codebook_fits_as_well_as_scikit_learn(num, law, rng):
    draw = {
        "normal": lambda: rng.standard_normal(3000),
        "student": lambda: rng.standard_t(3, size=3000),
        "few": lambda: rng.choice([-1.0, 0.0, 2.0, 3.0, 7.0], size=1000) + 0.01 * rng.standard_normal(1000),
        "skewed": lambda: rng.gamma(0.5, size=3000),
    }[law]
    weights = draw()
    inertia = np.square(Codebook(levels=num)(weights) - weights).sum()
    theirs = KMeans(num, n_init=3, random_state=0).fit(weights[:, None]).inertia_
    # Lloyd's algorithm stops at a local optimum, theirs at the best of three.
    assert inertia < 1.3 * theirs


def test_codebook_levels_are_the_means_of_their_cells(rng):
    weights = rng.standard_normal(2000)
    grid = Codebook(levels=8).fit(weights)
    codes = grid.codes(weights)
    means = np.array([weights[codes == k].mean() for k in range(8)])
    np.testing.assert_allclose(means, grid.levels, atol=5e-3)


def test_codebook_of_as_many_values_is_lossless():
    weights = np.array([-3.0, -1.0, 0.5, 2.0] * 5)
    np.testing.assert_allclose(Codebook(levels=4)(weights), weights, atol=1e-14)


def test_stochastic_rounding_has_no_bias(rng):
    weights = rng.standard_normal((30,)).astype(np.float32)
    quantizer = Stochastic(bits=3)
    grid = quantizer.fit(jnp.asarray(weights))
    keys = jax.random.split(jax.random.key(1), 4000)
    draws = jax.jit(jax.vmap(lambda k: grid.apply(jnp.asarray(weights), key=k)))(keys)
    error = draws.std(axis=0) / np.sqrt(len(keys))
    assert np.all(np.abs(draws.mean(axis=0) - weights) <= 5 * error + 1e-6)
    assert np.all(np.abs(np.asarray(draws) - weights) <= np.diff(grid.levels).max() + 1e-6)


def test_stochastic_rounding_needs_a_key():
    with pytest.raises(
        InvalidInput, match=r"StochasticGrid\.apply: expected key a JAX key, because rounding"
    ):
        Stochastic(bits=3)(np.ones(3))
