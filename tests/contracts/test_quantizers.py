"""What every quantizer promises, held against every registered family."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mis import quantizers
from mis.quantizers import DEFAULT, QUANTIZERS, parse

# name: bits, levels, fitted numbers released in full precision, then what it does not promise (see below)
CASES = {
    "full": (32, math.inf, 0, "continuous"),
    "sign": (1, 2, 1, "farther"),
    "sign-scale-0.25": (1, 2, 0, "farther fixed"),
    "sign-pow2": (1, 2, 0, "farther"),
    "ternary-33": (math.log2(3), 3, 1, "farther"),
    "ternary-90": (math.log2(3), 3, 1, "farther"),
    "ternary-33-peak": (math.log2(3), 3, 1, "farther"),
    "uniform-2": (2, 3, 1, ""),
    "uniform-4": (4, 15, 1, ""),
    "uniform-8": (8, 255, 1, ""),
    "uniform-4-channel": (4, 15, 1, "channel"),
    "uniform-3-asymmetric": (3, 8, 1, "refits"),
    "uniform-4-asymmetric-channel": (4, 16, 1, "refits channel"),
    "uniform-4-offset-50": (4, 15, 1, "refits shifted"),
    "uniform-4-clip-60": (4, 15, 1, "refits shifted"),
    "uniform-4-pow2": (4, 15, 0, ""),
    "uniform-4-scale-2.5": (4, 15, 0, "fixed"),
    "power-of-two-4": (4, 15, 0, ""),
    "codebook-16": (4, 16, 16, "refits optimum"),
    "codebook-5": (math.log2(5), 5, 5, "refits optimum"),
    "nf4": (4, 16, 1, ""),
    "fp8-e4m3": (8, 253, 1, ""),
    "fp4-e2m1": (4, 15, 1, ""),
    "fp4-e2m1-pow2": (4, 15, 0, ""),
    "stochastic-4": (4, 15, 1, "refits farther random"),
    "prune-60": (32 * 0.4 - 0.4 * math.log2(0.4) - 0.6 * math.log2(0.6), math.inf, 0, "continuous"),
    "prune-60-global": (32 * 0.4 - 0.4 * math.log2(0.4) - 0.6 * math.log2(0.6), math.inf, 0, "continuous"),
    "prune-60-random-seed-3": (32 * 0.4, math.inf, 0, "continuous masked"),
    "noise-20": (32, math.inf, 0, "continuous random refits"),
    "dorefa-1": (1, 2, 1, "farther"),
    "dorefa-3": (3, 8, 0, "farther refits outside fixed absolute"),
    "lsq-3": (3, 8, 1, "refits farther outside"),
    "noise-like-uniform-3": (32, math.inf, 0, "continuous random refits"),
    "prune-30+sign": (math.log2(3), 3, 1, "farther refits outside"),
    "prune-60+uniform-4": (4, 15, 1, "farther refits outside"),
    "prune-60-global+uniform-4": (4, 15, 1, "farther refits outside"),
    "uniform-4-group-32": (4, 15, 0, "continuous blocks"),
    "q4_0": (4.5, 16, 0, "continuous blocks"),
    "q8_0": (8.5, 255, 0, "continuous blocks"),
    "tq1_0": (1.6875, 3, 0, "continuous blocks"),
    "tq2_0": (2.0625, 3, 0, "continuous blocks"),
    "mxfp4": (4.25, 15, 0, "continuous blocks"),
    "nvfp4": (4.5, 15, 1, "continuous blocks"),
    "prune-60+mxfp4": (4.25, 15, 0, "continuous blocks refits"),
    "prune-60-random+uniform-3": (1.2, 7, 1, "continuous masked"),
    "prune-60+codebook-4": (math.log2(5), 5, 4, "farther refits optimum outside"),
}
# Those that are fitted to a whole network on examples: bits, levels, fitted numbers released in full precision.
CALIBRATED = {
    "gptq-2": (2, 4, 1),
    "gptq-1.58-channel": (1.58, 3, 1),
    "gptq-4-group-32-examples-64-damp-5-stored": (4, 16, 1),
    "adaround-3-steps-50": (3, 8, 1),
    "brecq-8-channel": (8, 256, 1),
}
KEY = jax.random.key(7)


def names(*without):
    """Names of the cases without any of these tags.

    continuous: no levels; random: needs a key; farther: not always the nearest level; outside: a level may lie outside
    its own cell; refits: fitting to what was released moves the grid; shifted: no level for the largest weight; fixed:
    a scale that forgets the weights; absolute: levels whatever the weights are; channel: a grid for each; optimum: one
    of several local ones; masked: zeros at fixed places, whatever stands there; blocks: a grid for each, what it
    promises is held in ``tests/quantizers/test_blocks.py``.
    """
    return [name for name, case in CASES.items() if not set(case[3].split()) & set(without)]


def tagged(tag):
    return [name for name, case in CASES.items() if tag in case[3].split()]


every = pytest.mark.parametrize("name", CASES)
# A compilation each: those that compute most differently, the others are the expensive end.
FEW = (
    "sign",
    "ternary-90",
    "uniform-3-asymmetric",
    "uniform-4-channel",
    "nf4",
    "stochastic-4",
)


def quickly(few):
    slow = pytest.mark.slow
    return pytest.mark.parametrize("name", [n if n in few else pytest.param(n, marks=slow) for n in CASES])


every_quickly = quickly(FEW)
# One of each family, and of each option that computes something else.
MOST = set(CASES) - {
    "sign-pow2",
    "ternary-33",
    "uniform-2",
    "uniform-8",
    "uniform-4-pow2",
    "uniform-4-asymmetric-channel",
    "codebook-5",
    "fp4-e2m1-pow2",
    "prune-30+sign",
    "prune-60+codebook-4",
    "prune-60-global",
    "prune-60-global+uniform-4",
    "prune-60-random-seed-3",
    "tq1_0",
    "tq2_0",
    "prune-60+mxfp4",
    "mxfp4",
    "q4_0",
    "q8_0",
    "uniform-4-group-32",
    "lsq-3",
}
most_quickly = quickly(MOST)
celled = pytest.mark.parametrize("name", names("continuous"))
at_home = pytest.mark.parametrize("name", names("continuous", "outside"))
sharp = pytest.mark.parametrize("name", names("continuous", "random"))
apart = pytest.mark.parametrize("name", names("continuous", "random", "outside"))
nearest = pytest.mark.parametrize("name", names("continuous", "farther"))


@pytest.fixture
def weights(rng):
    """Skewed, of unlike size from channel to channel, with a few large ones, as trained layers are."""
    return rng.standard_t(4, size=(60, 5)) * [0.3, 1.0, 0.1, 0.5, 0.7] + 0.05


def rows(array):
    return array if array.ndim == 2 else array[None]


def distance_to_edges(grid, weights):
    """Distance of each weight to the nearest edge; infinite where there is none."""
    if isinstance(grid, quantizers.Blocks):
        return np.abs(weights[..., None] - grid.edges_of(weights)).min(axis=-1)
    if not isinstance(grid, quantizers.Grid):
        return np.full(weights.shape, np.inf)
    edges = np.broadcast_to(rows(np.asarray(grid.edges)), (weights.shape[-1], grid.edges.shape[-1]))
    return np.abs(weights[..., None] - edges).min(axis=-1)


def test_every_family_has_a_case():
    assert {parse(name).family for name in [*CASES, *CALIBRATED]} == {*QUANTIZERS, "chain", "noise-like"}
    for family, cls in QUANTIZERS.items():
        assert cls.family == family


@pytest.mark.parametrize("name", [*CASES, *CALIBRATED])
def test_name_reads_back(name):
    quantizer = parse(name)
    assert quantizer.name == name
    assert parse(quantizer.name) == quantizer
    assert hash(parse(name)) == hash(quantizer)


@pytest.mark.parametrize("name", [*CASES, *CALIBRATED])
def test_says_its_bits_levels_and_scales(name):
    quantizer, expected = parse(name), (CASES | CALIBRATED)[name]
    assert (quantizer.num_levels, quantizer.num_scales) == expected[1:3]
    assert quantizer.bits == pytest.approx(expected[0])


@pytest.mark.parametrize(
    "name", ["gptq-2", *(pytest.param(n, marks=pytest.mark.slow) for n in CALIBRATED if n != "gptq-2")]
)
def test_calibrated_networks_under_vmap_are_a_loop(name, rng):
    quantizer = parse(name)
    stack, x = (jnp.asarray(rng.standard_normal(shape), jnp.float32) for shape in ((3, 40, 2), (20, 40)))

    def released(weights):
        def run(replace):
            replace(0, x)

        calibration = quantizers.Calibration(outputs=lambda tensors: x @ tensors[0], run=run)
        return quantizer.fit_network([weights], calibration)[0].released

    together = jax.jit(jax.vmap(released))(stack)
    assert together.dtype == jnp.float32
    for weights, expected in zip(stack, together, strict=True):
        # A tie that rounding decides moves what comes after it.
        assert (np.abs(jax.jit(released)(weights) - expected) < 1e-5).mean() > 0.9


@pytest.mark.parametrize("family", QUANTIZERS)
def test_first_docstring_line_describes_it(family):
    first = QUANTIZERS[family].__doc__.splitlines()[0]
    assert 30 < len(first) < 120
    assert first.endswith(".")


@celled
def test_lands_on_its_grid(name, weights):
    quantizer = parse(name)
    grid = quantizer.fit(weights)
    num = grid.levels.shape[-1]
    assert grid.edges.shape == (*grid.levels.shape[:-1], num - 1)
    if quantizer.family != "chain":
        assert num == quantizer.num_levels
        assert np.all(np.diff(grid.levels) > 0)
        assert np.all(np.diff(grid.edges) > 0)
    # A chain may hold 0 twice, once with an empty cell.
    assert np.unique(grid.levels).size <= quantizer.num_levels * len(rows(grid.levels))
    released = grid.apply(weights, key=KEY)
    assert released.dtype == weights.dtype
    codes = grid.codes(weights, key=KEY)
    for channel, levels in enumerate(np.broadcast_to(rows(grid.levels), (5, num))):
        assert np.array_equal(released[:, channel], levels[codes[:, channel]])


@at_home
def test_a_level_lies_in_its_own_cell(name, weights):
    grid = parse(name).fit(weights)
    for levels, edges in zip(rows(grid.levels), rows(grid.edges), strict=True):
        assert np.all(levels[:-1] < edges)
        assert np.all(edges <= levels[1:])


@at_home
def test_idempotent_on_one_grid(name, weights):
    grid = parse(name).fit(weights)
    once = grid.apply(weights, key=KEY)
    assert np.array_equal(grid.apply(once, key=jax.random.key(8)), once)


@pytest.mark.parametrize("name", names("refits"))
@pytest.mark.parametrize("size", [1, 2, 300])
def test_refitting_released_weights_changes_nothing(name, size, rng):
    quantizer = parse(name)
    once = quantizer(rng.standard_normal((size, 1)))
    np.testing.assert_allclose(quantizer(once), once, rtol=1e-14)


@apart
def test_codes_change_exactly_at_the_edges(name, weights):
    grid = parse(name).fit(weights)
    num_channels = len(rows(grid.edges))
    edges = rows(grid.edges).T if num_channels > 1 else np.repeat(rows(grid.edges).T, 5, axis=1)
    expected = np.arange(len(edges))[:, None] * np.ones((1, 5), int)
    assert np.array_equal(grid.codes(edges), expected + 1)
    assert np.array_equal(grid.codes(np.nextafter(edges, -np.inf)), expected)


@apart
def test_codes_change_exactly_at_the_edges_in_jax(name, weights):
    # Fitted in NumPy: that fits agree is held elsewhere, and each costs a compilation.
    grid = parse(name).fit(weights.astype(np.float32))
    edges = np.array(np.broadcast_to(rows(np.asarray(grid.edges)), (5, grid.edges.shape[-1]))).T
    codes = jax.jit(grid.codes)
    expected = np.arange(len(edges))[:, None] * np.ones((1, 5), int)
    assert np.array_equal(codes(jnp.asarray(edges)), expected + 1)
    below = np.nextafter(edges, np.float32(-np.inf))
    # A compiled program may flush the number below zero to zero.
    below[edges == 0] = -np.finfo(np.float32).tiny
    assert np.array_equal(codes(jnp.asarray(below)), expected)


@sharp
def test_agrees_with_a_search_of_the_edges(name, weights):
    grid = parse(name).fit(weights)
    codes = grid.codes(weights)
    for channel in range(5):
        edges = rows(grid.edges)[channel % len(rows(grid.edges))]
        assert np.array_equal(codes[:, channel], np.searchsorted(edges, weights[:, channel], side="right"))


@nearest
def test_releases_the_nearest_level(name, weights):
    grid = parse(name).fit(weights)
    levels = np.broadcast_to(rows(grid.levels), (5, grid.levels.shape[-1]))
    closest = np.abs(weights[..., None] - levels).min(axis=-1)
    np.testing.assert_allclose(np.abs(grid.apply(weights) - weights), closest, rtol=0, atol=1e-15)


@most_quickly
def test_float32_under_jit_and_vmap_agrees_with_float64_numpy(name, rng):
    """Same levels to rounding; codes differ only within rounding of an edge."""
    quantizer = parse(name)
    stack = rng.standard_normal((4, 70, 3)).astype(np.float32)
    keys = jax.random.split(KEY, 4)
    apply = jax.jit(jax.vmap(lambda w, k: quantizer(w, key=k)))
    released = apply(jnp.asarray(stack), keys)
    assert released.dtype == jnp.float32
    assert not released.weak_type
    for i, weights in enumerate(stack.astype(np.float64)):
        grid = quantizer.fit(weights)
        here = grid.apply(weights, key=keys[i])
        if "optimum" in CASES[name][3]:
            # Where rounding moves a weight to another bin, Lloyd's algorithm may stop at another optimum.
            error, error32 = (np.square(q - weights).sum() for q in (here, np.asarray(released[i])))
            assert error32 < 1.05 * error
            continue
        different = np.abs(here - released[i]) > 2e-6
        assert different.mean() < 0.02
        assert (not grid.is_sharp) or np.all(distance_to_edges(grid, weights)[different] < 2e-6)


@quickly(("ternary-90", "uniform-4-channel", "stochastic-4"))
def test_vmap_is_a_loop(name, rng):
    quantizer = parse(name)
    stack = jnp.asarray(rng.standard_normal((3, 40, 2)), jnp.float32)
    keys = jax.random.split(KEY, 3)
    alone = jax.jit(lambda w, k: quantizer(w, key=k))
    together = jax.jit(jax.vmap(alone))(stack, keys)
    for weights, key, released in zip(np.asarray(stack), keys, together, strict=True):
        different = np.abs(released - alone(jnp.asarray(weights), key)) > 1e-6
        # Shifted by half a step, the grid has an edge on the largest weight: rounding decides.
        assert np.all(distance_to_edges(quantizer.fit(weights), weights)[different] < 1e-6)


@every
@pytest.mark.parametrize(
    "weights",
    [np.zeros((4, 3)), np.full((4, 3), 0.3), np.full((4, 3), -2.0), np.full((1, 1), 0.7), np.zeros((1, 1))],
    ids=["zero", "constant", "negative", "one", "one-zero"],
)
def test_degenerate_tensors_stay_finite(name, weights):
    quantizer = parse(name)
    grid = quantizer.fit(weights)
    once = grid.apply(weights, key=KEY)
    assert once.shape == weights.shape
    assert np.all(np.isfinite(once))
    if name in names("outside", "continuous"):
        assert np.array_equal(grid.apply(once, key=KEY), once)
    if "absolute" in CASES[name][3]:
        return
    if "scale" not in name and "offset" not in name and not weights.any():
        assert not np.any(once)
    if "shifted" not in CASES[name][3]:
        # A constant tensor is released within one rounding of its scale.
        assert np.all(np.abs(once) <= np.maximum(2 * np.abs(weights), 0.25) + 1e-6)


@every_quickly
def test_degenerate_tensors_stay_finite_in_jax(name):
    quantizer = parse(name)
    stack = np.stack([np.zeros((4, 3)), np.full((4, 3), 0.3), np.full((4, 3), -2.0)]).astype(np.float32)
    released = jax.jit(jax.vmap(lambda w: quantizer(w, key=KEY)))(stack)
    for weights, row in zip(stack, released, strict=True):
        different = np.abs(row - quantizer(weights, key=KEY)) > 1e-6
        assert np.all(np.isfinite(row))
        assert np.all(distance_to_edges(quantizer.fit(weights), weights)[different] < 1e-6)


@every
def test_permuting_the_weights_permutes_the_release(name, rng):
    quantizer = parse(name)
    if name in tagged("random") + tagged("masked") + tagged("blocks"):
        pytest.skip("each position has its own draw, or its own grid")
    weights = rng.standard_normal((50, 1))
    order = rng.permutation(50)
    np.testing.assert_allclose(quantizer(weights[order]), quantizer(weights)[order], rtol=1e-12, atol=0)


@pytest.mark.parametrize("name", names("fixed"))
def test_doubling_the_weights_doubles_the_release(name, weights):
    quantizer = parse(name)
    np.testing.assert_array_equal(quantizer(2 * weights, key=KEY), 2 * quantizer(weights, key=KEY))


def test_default_set():
    names = "full sign ternary-33 ternary-50 ternary-90 uniform-2 uniform-3 uniform-4 uniform-6 uniform-8"
    assert [q.name for q in DEFAULT] == names.split()
    assert all(isinstance(q, quantizers.Quantizer) for q in DEFAULT)
