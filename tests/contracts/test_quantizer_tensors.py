"""What every quantizer promises for tensors of any rank, precision and size, and for what is no tensor of weights."""

import itertools
import pathlib
import runpy

import jax
import jax.numpy as jnp
import ml_dtypes
import numpy as np
import pytest

from mis.numerics.checks import InvalidInput
from mis.quantizers import Codebook, Grid, Sign, Ternary, parse, quantize

# Test files are no modules that others could import.
CONTRACT = runpy.run_path(str(pathlib.Path(__file__).with_name("test_quantizers.py")))
CASES, KEY, names, tagged = (CONTRACT[name] for name in ("CASES", "KEY", "names", "tagged"))
NAMES = [*CASES, "codebook-256", "uniform-8-asymmetric", "power-of-two-6"]
MORE = NAMES[len(CASES) :]
GRIDS = names("continuous") + MORE
SHAPES = [(), (1,), (7,), (3, 4), (1, 5), (2, 3, 4), (3, 3, 2, 4)]
NARROW = [np.float16, ml_dtypes.bfloat16, ml_dtypes.float8_e4m3fn, ml_dtypes.float8_e5m2]
# Those that compute most differently; the others cost a compilation each.
FEW = [
    "sign",
    "ternary-90",
    "uniform-3-asymmetric",
    "uniform-4-channel",
    "power-of-two-4",
    "nf4",
    "stochastic-4",
]
BACKENDS = pytest.mark.parametrize("xp", [np, jnp], ids=["numpy", "jax"])

every = pytest.mark.parametrize("name", NAMES)
celled = pytest.mark.parametrize("name", GRIDS)


def few(known):
    """Each costs a compilation: those that compute most differently first, the others are the expensive end."""
    slow = pytest.mark.slow
    return pytest.mark.parametrize("name", [n if n in FEW else pytest.param(n, marks=slow) for n in known])


celled_quickly, every_quickly = few(GRIDS), few(NAMES)


def mostly_numpy(every_name, few=FEW):
    """All names in NumPy, a few in JAX, the others there only in the slow sweep."""
    in_jax = [
        pytest.param(n, jnp, marks=() if n in few else pytest.mark.slow, id=f"{n}-jax") for n in every_name
    ]
    return pytest.mark.parametrize(
        ("name", "xp"), [*(pytest.param(n, np, id=f"{n}-numpy") for n in every_name), *in_jax]
    )


def released_by(name, weights):
    """The grid, the released weights and their codes."""
    grid = parse(name).fit(weights)
    return grid, grid.apply(weights, key=KEY), grid.codes(weights, key=KEY)


def by_channel(array, channels):
    """The rows of a grid that belong to each channel, ``(C, L)``, in float64."""
    array = np.asarray(array, np.float64)
    return array if array.ndim == 2 else np.broadcast_to(array, (channels, array.shape[-1]))


def check_release(name, weights, release=None, *, rtol=0.0):
    """Hold a release against what a grid promises; ``rtol`` in units of the largest number there is."""
    grid, released, codes = released_by(name, weights) if release is None else release
    channels = weights.shape[-1] if weights.ndim else 1
    levels, edges = by_channel(grid.levels, channels), by_channel(grid.edges, channels)
    w, released, codes = (
        np.asarray(x).astype(np.float64).reshape(-1, channels) for x in (weights, released, codes)
    )
    own, codes = np.arange(channels), codes.astype(int)
    assert np.isfinite(released).all()
    assert (np.diff(levels) >= 0).all()
    assert (np.diff(edges) >= 0).all()
    assert np.array_equal(levels[own, codes], released)
    ends = np.full((channels, 1), np.inf)
    sides = np.hstack([-ends, edges, ends])
    distance = np.abs(w[..., None] - levels)
    atol = rtol * max(np.abs(w).max(), np.abs(levels[np.isfinite(levels)]).max())
    # A compiled program may round an edge once more after the comparison.
    slack = 0.0 if release is None else atol
    if name not in tagged("outside"):
        # Each level lies in the closure of its own cell.
        assert (levels >= sides[:, :-1] - slack).all()
        assert (levels <= sides[:, 1:] + slack).all()
    if grid.is_sharp:
        assert (sides[own, codes] <= w + slack).all()
        assert (w - slack < sides[own, codes + 1]).all()
    if name not in tagged("farther"):
        assert (np.abs(released - w) <= distance.min(axis=-1) + atol).all()
    if name in tagged("random"):
        assert (np.abs(released - w) <= np.sort(distance, axis=-1)[..., 1] + atol).all()


def draw(rng, shape, size=1.0):
    return size * (rng.standard_t(4, size=shape) + 0.1)


@celled
@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_tensors_of_any_rank(name, shape, dtype, rng):
    check_release(name, np.asarray(draw(rng, shape), dtype), rtol=1e-6 if dtype == np.float32 else 1e-14)


@celled_quickly
@pytest.mark.parametrize(
    "shape", [(3, 3, 2, 4), *(pytest.param(s, marks=pytest.mark.slow) for s in SHAPES[:-1])], ids=str
)
def test_jit_is_numpy(name, shape, rng):
    weights = np.asarray(draw(rng, shape), np.float32)
    release = jax.jit(lambda w: released_by(name, w))(weights)
    check_release(name, weights, release, rtol=1e-6)
    check_same(weights, release[1], parse(name)(weights, key=KEY))


@pytest.mark.parametrize("name", [n if n in FEW else pytest.param(n, marks=pytest.mark.slow) for n in NAMES])
def test_eager_is_numpy(name, rng):
    weights = draw(rng, (2, 3, 4)).astype(np.float32)
    check_same(weights, parse(name)(jnp.asarray(weights), key=KEY), parse(name)(weights, key=KEY))


def check_same(weights, there, here):
    """Hold two float32 releases together: the same but for weights that rounding moves an edge over."""
    assert there.dtype == here.dtype == np.float32
    assert there.shape == here.shape
    assert not there.weak_type
    tolerance = 1e-6 * np.abs(weights).max()
    same = np.abs(there - here) <= tolerance
    as_near = np.abs(np.abs(there - weights) - np.abs(here - weights)) <= tolerance
    assert np.all(same | as_near)
    assert same.mean() > 0.9


SIZES = [1e-36, 1e-30, 1e-8, 1e8, 1e30, 1e37]
# Of both signs, from one end to the other: nearly half of what float32 holds.
WHOLE = 8e37
CONSTANTS = [0.0, 0.3, -2.0, 1e-30, 1e30, -3e38]


def extremes(rng):
    drawn = [draw(rng, (20, 6), size).clip(-3.4e38, 3.4e38) for size in SIZES]
    line = np.linspace(-WHOLE, WHOLE, 120).reshape(20, 6)
    return np.stack([*drawn, line, *(np.full((20, 6), value) for value in CONSTANTS)]).astype(np.float32)


def check_extremes(name, stack, releases):
    """Sums, ranges and midpoints neither overflow nor vanish; what JAX takes for zero is below 1.2e-38."""
    quantizer = parse(name)
    for size, weights, release in zip([*SIZES, WHOLE, *np.abs(CONSTANTS)], stack, releases, strict=True):
        check_release(name, weights, release, rtol=1e-6 + 2.4e-38 / max(size, 1e-36))
        if name in tagged("fixed") + tagged("random") or not weights.any():
            continue
        if "pow" in name and np.abs(weights).max() > 2.0**127:
            # No larger power is finite in float32.
            continue
        error, truth = (
            np.square((np.asarray(q, np.float64) - weights) / size).sum()
            for q in (release[1], quantizer(weights.astype(np.float64)))
        )
        assert error <= (1.05 if "codebook" in name else 1 + 1e-4 + 1e-39 / size) * truth + 1e-9


@celled
def test_weights_of_any_size(name, rng):
    stack = extremes(rng)
    check_extremes(name, stack, [released_by(name, weights) for weights in stack])


@celled_quickly
def test_weights_of_any_size_in_jax(name, rng):
    stack = extremes(rng)
    together = jax.jit(jax.vmap(lambda w: released_by(name, w)))(stack)
    check_extremes(name, stack, [jax.tree.map(lambda x, i=i: x[i], together) for i in range(len(stack))])


@celled
@pytest.mark.parametrize("size", [1e-300, 1e300], ids=str)
def test_weights_of_any_size_in_float64(name, size, rng):
    check_release(name, draw(rng, (40, 6), size), rtol=1e-14)


@mostly_numpy(NAMES, ["sign", "ternary-90"])
@pytest.mark.parametrize("dtype", NARROW, ids=lambda t: t.__name__)
def test_narrow_floats_are_released_as_the_same_numbers_in_float64(name, dtype, xp, rng):
    weights = (0.2 * rng.standard_normal((60, 5))).astype(dtype)
    same = weights.astype(np.float64)
    quantizer = parse(name)
    released = (quantizer if xp is np else jax.jit(quantizer))(xp.asarray(weights), key=KEY)
    if name == "full":
        assert released.dtype == dtype
        assert np.array_equal(released, weights)
        return
    assert released.dtype == np.float32
    released, truth = np.asarray(released, np.float64), quantizer(same, key=KEY)
    error, true_error = (np.square(q - same).sum() for q in (released, truth))
    # Numbers of few digits lie on edges, where rounding decides: as far from one level as from the other.
    assert error == pytest.approx(true_error, rel=0.05 if "codebook" in name else 1e-4, abs=1e-6)


@mostly_numpy(NAMES, ["nf4"])
@pytest.mark.parametrize("dtype", [np.int8, np.uint8, np.int32, np.int64])
def test_integers_are_the_same_floats(name, dtype, xp):
    if xp is jnp and dtype == np.int64:
        pytest.skip("JAX has none of them here")
    weights = np.array([[3, 2, 1], [0, 1, 2], [100, 50, 7]], dtype)
    floats = xp.asarray(weights).astype(float)
    released = parse(name)(xp.asarray(weights), key=KEY)
    assert released.dtype == floats.dtype
    assert np.array_equal(released, parse(name)(floats, key=KEY))


@pytest.mark.parametrize("name", ["nf4", "fp8-e4m3", "uniform-3", "ternary-50"])
def test_lists_are_arrays(name):
    values = [[1, -2, 0.5], [0.25, 3, 1]]
    assert np.array_equal(parse(name)(values), parse(name)(np.array(values)))


@pytest.mark.parametrize("name", ["sign", "ternary-50", pytest.param("codebook-16", marks=pytest.mark.slow)])
@pytest.mark.parametrize("dtype", NARROW[:2], ids=lambda t: t.__name__)
def test_statistics_of_many_narrow_floats(name, dtype, rng):
    weights = (0.05 * rng.standard_normal((400, 250))).astype(dtype)
    same = weights.astype(np.float64)
    here, there, truth = parse(name)(weights), jax.jit(parse(name))(weights), parse(name)(same)
    errors = [np.square(np.asarray(q, np.float64) - same).sum() for q in (here, there, truth)]
    np.testing.assert_allclose(errors, errors[-1], rtol=1e-3)


@BACKENDS
def test_steps_of_half_precision_do_not_vanish(xp):
    weights = np.array([1e-6, -1e-6, 5e-7], np.float16)
    released = np.asarray(parse("uniform-8-asymmetric")(xp.asarray(weights)), np.float64)
    truth = weights.astype(np.float64)
    assert np.abs(released - truth).max() <= np.ptp(truth) / 255


@mostly_numpy(NAMES, [])
def test_reshaping_the_weights_reshapes_the_release(name, xp, rng):
    quantizer = parse(name)
    if name in tagged("blocks"):
        pytest.skip("blocks run along the inputs of an output")
    weights = xp.asarray(draw(rng, (4, 3, 2, 5)), np.float32)
    flat = weights.reshape(24, 5) if "channel" in name else weights.reshape(-1)
    if name in tagged("random"):
        # Each position has its own draw; what is fitted does not change.
        for here, there in zip(*(jax.tree.leaves(quantizer.fit(w)) for w in (weights, flat)), strict=True):
            np.testing.assert_allclose(here, there, rtol=1e-6)
        return
    assert np.array_equal(quantizer(weights), quantizer(flat).reshape(weights.shape))


@pytest.mark.parametrize("name", tagged("channel"))
@BACKENDS
def test_channels_are_the_last_axis_of_a_kernel(name, xp, rng):
    kernel = xp.asarray(draw(rng, (3, 3, 2, 4)) * [0.01, 1, 5, 100], np.float32)
    grid = parse(name).fit(kernel)
    assert grid.levels.shape == (4, parse(name).num_levels)
    released = grid.apply(kernel)
    for c in range(4):
        alone = parse(name.replace("-channel", ""))(kernel[..., c])
        np.testing.assert_allclose(released[..., c], alone, rtol=1e-6)


@pytest.mark.parametrize("name", tagged("channel"))
@pytest.mark.parametrize("shape", [(6,), (1, 6), (1, 1, 6), (1,), ()], ids=str)
def test_a_vector_has_one_grid_and_not_one_a_weight(name, shape, rng):
    weights = draw(rng, shape)
    grid = parse(name).fit(weights)
    assert grid.levels.ndim == 1
    assert np.array_equal(grid.apply(weights), parse(name.replace("-channel", ""))(weights))


def test_a_grid_of_channels_fits_no_other_number_of_them(rng):
    grid = parse("uniform-4-channel").fit(rng.standard_normal((5, 3)))
    with pytest.raises(InvalidInput, match=r"Grid\.apply: expected weights with 3 channels along the last"):
        grid.apply(rng.standard_normal((5, 2)))


BAD = [np.nan, np.inf, -np.inf]


@mostly_numpy(NAMES)
def test_refuses_weights_that_are_not_finite(name, xp, rng):
    weights = rng.standard_normal((3, 4))
    channel = parse(name).fit(xp.asarray(weights))
    for bad in BAD:
        broken = xp.asarray(np.where(np.arange(12).reshape(3, 4) == 6, bad, weights))
        message = rf"expected weights finite, got 1 NaN or infinite values, the first weights\[1, 2\]={bad}\."
        with pytest.raises(InvalidInput, match=f"{type(parse(name)).__name__}: {message}"):
            parse(name)(broken, key=KEY)
        with pytest.raises(InvalidInput, match=rf"{type(channel).__name__}\.apply: {message}"):
            channel.apply(broken, key=KEY)


@every_quickly
def test_under_jit_no_level_is_released_for_what_is_not_finite(name, rng):
    quantizer = parse(name)
    weights = rng.standard_normal((3, 4)).astype(np.float32)

    @jax.jit
    def both(broken):
        grid = quantizer.fit(weights)
        codes = grid.codes(broken, key=KEY) if isinstance(grid, Grid) else None
        return quantizer(broken, key=KEY), grid.apply(broken, key=KEY), codes

    for bad in BAD:
        broken = np.where(np.arange(12).reshape(3, 4) == 6, np.float32(bad), weights)
        fitted, given, codes = (x if x is None else np.asarray(x) for x in both(broken))
        assert not np.isfinite(fitted[1, 2])
        assert not np.isfinite(given[1, 2])
        assert np.isfinite(np.delete(given, 6)).all()
        # Of a grid fitted to such weights nothing is left; where nothing is fitted, the others are what they were.
        unfitted = name in [*tagged("fixed"), "full", "prune-60-random-seed-3"]
        others = np.delete(fitted, 6)
        # A zero that was drawn is one whatever the weights are.
        others = others[others != 0] if name in tagged("masked") else others
        assert np.isfinite(others).all() if unfitted else np.isnan(others).all()
        assert codes is None or codes[1, 2] == -1


@every
@pytest.mark.parametrize(
    ("weights", "message"),
    [
        (np.array([True, False]), r"expected weights real numbers, got weights\.dtype=bool\."),
        (jnp.array([True, False]), r"expected weights real numbers, got weights\.dtype=bool\."),
        (np.array([1j, 2.0]), r"expected weights real numbers, got weights\.dtype=complex128\."),
        (np.array(["a", "b"]), "expected weights real numbers, got weights.dtype=<U1"),
        (np.array([None, 1.0]), "expected weights real numbers, got weights.dtype=object"),
        (np.ma.masked_array([1.0, 2.0], [False, True]), "expected weights without masked values"),
        (np.zeros((0, 3)), r"expected weights not empty, got weights\.shape=\(0, 3\)\."),
        (jnp.zeros(0), r"expected weights not empty, got weights\.shape=\(0,\)\."),
        ([[1.0, 2.0], [3.0]], "expected weights one array of numbers, got setting an array element"),
    ],
    ids=["bool", "jax-bool", "complex", "text", "objects", "masked", "empty", "jax-empty", "ragged"],
)
def test_refuses_what_is_no_tensor_of_weights(name, weights, message):
    with pytest.raises(InvalidInput, match=f"{type(parse(name)).__name__}: {message}"):
        parse(name)(weights, key=KEY)


@pytest.mark.parametrize("scale", ["1" + "0" * 60, "0." + "0" * 60 + "1"], ids=["large", "small"])
def test_a_fixed_scale_must_be_a_number_of_the_weights_precision(scale):
    quantizer = parse(f"uniform-4-scale-{scale}")
    assert np.isfinite(quantizer(np.ones(3))).all()
    with pytest.raises(InvalidInput, match="quantizers: expected scale within the range of float32"):
        quantizer(np.ones(3, np.float32))


CODEBOOKS = list(itertools.product([2, 5, 16, 64, 256], [1, 2, 15, 17, 100, 255, 257, 300]))
SLOW_IN_JAX = [pytest.param(*c, jnp, marks=pytest.mark.slow) for c in CODEBOOKS if c != (64, 100)]


@pytest.mark.parametrize(
    ("levels", "size", "xp"), [*((*c, np) for c in CODEBOOKS), (64, 100, jnp), (256, 100, jnp), *SLOW_IN_JAX]
)
def test_codebooks_of_about_as_many_levels_as_weights(levels, size, xp, rng):
    name, weights = f"codebook-{levels}", xp.asarray(rng.standard_normal(size), np.float32)
    release = released_by(name, weights) if xp is np else jax.jit(lambda w: released_by(name, w))(weights)
    check_release(name, weights, None if xp is np else release, rtol=1e-6)
    grid, released, _ = release
    assert grid.levels.shape == (levels,)
    if size <= levels:
        assert np.array_equal(released, weights)


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize(("levels", "size"), [(64, 80), (64, 300), (256, 300), (256, 600)])
def test_levels_of_codebooks_ascend_for_heavy_tails(levels, size, seed):
    rng = np.random.default_rng(seed)
    for weights in (rng.standard_t(1, size=size), rng.gamma(0.1, size=size)):
        check_release(f"codebook-{levels}", weights, rtol=1e-14)


@pytest.mark.parametrize(("num", "xp"), [(1, np), (3, np), (16, np), (16, jnp)])
def test_codebooks_of_as_many_levels_as_values_lose_nothing(num, xp, rng):
    values = rng.standard_normal(num)
    # Some of them rare.
    weights = values[np.minimum(rng.geometric(0.3, size=2000) - 1, num - 1)]
    weights[:num] = values
    codebook = Codebook(levels=16)
    released = (codebook if xp is np else jax.jit(codebook))(xp.asarray(weights, np.float32))
    np.testing.assert_allclose(released, weights, rtol=0, atol=1e-6)


@BACKENDS
def test_zeros_stay_zero_in_a_ternary_release_of_sparse_weights(xp, rng):
    weights = np.where(rng.random((30, 20)) < 0.9, 0, rng.standard_normal((30, 20)))
    released = Ternary(zeros=0.5)(xp.asarray(weights, np.float32))
    assert np.array_equal(np.sign(released), np.sign(weights))
    level = np.abs(weights[weights != 0]).mean()
    np.testing.assert_allclose(np.unique(released), [-level, 0, level], rtol=1e-6)


@BACKENDS
def test_sums_of_huge_weights_do_not_overflow(xp):
    weights = xp.full(1000, 3e38, np.float32)
    np.testing.assert_allclose(Sign()(weights), weights, rtol=1e-6)


def test_networks_in_half_precision(rng):
    layers = [rng.standard_normal((5, 3)).astype(np.float16), np.array([1, -2, 3])]
    released = quantize(parse("uniform-4-channel"), layers)
    assert [layer.dtype for layer in released] == [np.float32, np.float64]
