"""Grids with a scale for every block: against the package of the format, and numbers on paper."""

import gguf
import jax
import jax.numpy as jnp
import ml_dtypes
import numpy as np
import pytest
from scipy.special import ndtr

from mis import theory
from mis.models import MLP
from mis.numerics.checks import InvalidInput, UnsupportedSetting
from mis.quantizers import Uniform, parse
from mis.quantizers.blocks import blocked, edges_between, unblocked
from mis.ranking.releases import parse as release
from mis.theory.local import local

GGUF = ["q4_0", "q8_0", "tq1_0", "tq2_0", "mxfp4"]
NAMES = [*GGUF, "nvfp4", "uniform-4-group-32", "uniform-3-group-5-pow2", "uniform-8-group-64-clip-80"]
FULL = ["q4_0", "mxfp4", "nvfp4"]
each = pytest.mark.parametrize("name", NAMES)


def kind(name):
    return gguf.GGMLQuantizationType[name.upper()]


@pytest.mark.parametrize("name", GGUF)
@pytest.mark.parametrize("size", [1e-3, 0.05, 30.0])
def test_is_the_package_of_the_format_bit_for_bit(name, size, rng):
    # Rows of a file are the inputs of one output.
    weights = (size * rng.standard_t(4, size=(512, 9))).astype(np.float32)
    # Ties, a block of zeros, one with the largest magnitude twice.
    weights[:256, 0] = size * np.arange(-128, 128) / 128
    weights[:256, 1] = 0
    weights[:2, 2] = 100 * size, -100 * size
    expected = gguf.dequantize(gguf.quantize(np.ascontiguousarray(weights.T), kind(name)), kind(name)).T
    np.testing.assert_array_equal(parse(name)(weights), expected)
    if size == 0.05:
        compiled = np.asarray(jax.jit(parse(name).__call__)(jnp.asarray(weights)))
        assert (compiled != expected).mean() < 1e-3
    per_block, num_bytes = gguf.GGML_QUANT_SIZES[kind(name)]
    assert parse(name).bits == 8 * num_bytes / per_block


def e2m1(x):
    """The nearest four-bit float, of halfway ones that of even code, by the definition of the format."""
    return np.asarray(np.clip(x, -6, 6)).astype(ml_dtypes.float4_e2m1fn).astype(np.float64)


@pytest.mark.parametrize("size", [1e-6, 1.0, 1e6])
def test_nvfp4_is_the_recipe_written_out(size, rng):
    weights = size * rng.standard_t(4, size=(64, 5))
    weights[:16, 0] = size * np.array(
        [6, 5, 3.5, 2.5, 1.75, 1.25, 0.75, 0.25, -0.25, -0.75, -5, 0, 0, 0, 0, 0]
    )
    released, top = parse("nvfp4")(weights), np.abs(weights).max()
    of_tensor = top / (6 * 448)
    for column, found in zip(weights.T.reshape(-1, 16), released.T.reshape(-1, 16), strict=True):
        scale = np.asarray(np.abs(column).max() / 6 / of_tensor).astype(ml_dtypes.float8_e4m3fn)
        scale = float(scale) * of_tensor
        np.testing.assert_allclose(found, e2m1(column / scale) * scale, rtol=1e-12)


def test_nvfp4_reads_back_as_the_package_reads_it(rng):
    weights = rng.standard_normal((64, 3)).astype(np.float32)
    channel = parse("nvfp4").fit(weights)
    of_tensor = np.abs(weights).max() / (6 * 448)
    scales = (channel.scales / of_tensor).astype(ml_dtypes.float8_e4m3fn).view(np.uint8).reshape(-1, 4)
    # Their code: sign, then the number among the magnitudes.
    place = channel.codes(weights).T.reshape(-1, 4, 2, 8).astype(int) - 7
    nibbles = np.where(place < 0, 8 - place, place).astype(np.uint8)
    packed = np.concatenate([scales, (nibbles[:, :, 0] | nibbles[:, :, 1] << 4).reshape(-1, 32)], axis=1)
    read = gguf.dequantize(packed, kind("nvfp4"))
    np.testing.assert_allclose(read * of_tensor, channel.apply(weights).T, rtol=1e-6)


def test_numbers_on_paper():
    # The largest power of two at most 5 is 4; over 4, the scale is 1: 5 is halfway, 2.5 too, both to the smaller.
    assert parse("mxfp4")(np.array([5.0, 2.5, -2.6, 0.25, 0.26, -7.9])).tolist() == [4, 2, -3, 0, 0.5, -6]
    # Over 6 the tensor's scale and the block's: 1 again.
    assert parse("nvfp4")(np.array([6.0, 5, 2.5, -3.5, 0.25, 0.75])).tolist() == [6, 4, 2, -4, 0, 1]
    # -8 is where the largest magnitude goes: steps of -1/4.
    assert parse("q4_0")(np.array([2.0, -1.75, -1.9, 0.125])).tolist() == [2, -1.75, -1.75, 0]
    assert parse("q8_0")(np.array([254.0, -3, 3, 0.9])).tolist() == [254, -4, 4, 0]
    assert parse("tq1_0")(np.array([0.4, -2, 1, -1])).tolist() == [0, -2, 2, -2]
    assert parse("uniform-2-group-2")(np.array([1.0, 0.4, 0.04, 0.1])).tolist() == [1, 0, 0, 0.1]
    # Of halves: the magnitude 1 is second from zero, even; up from -1/2 is 0.
    assert edges_between([-1, -0.5, 0, 0.5, 1], float, ties="even").tolist() == [
        np.nextafter(-0.75, 1), -0.25, np.nextafter(0.25, 1), 0.75]  # fmt: skip


@pytest.mark.parametrize("shape", [(), (1,), (70,), (40, 3), (3, 3, 5, 4)], ids=str)
@each
def test_blocks_of_tensors_of_any_size(name, shape, rng):
    quantizer = parse(name)
    weights = rng.standard_normal(shape)
    channel = quantizer.fit(weights)
    released = channel.apply(weights)
    assert released.shape == shape
    # In the order of a file: the inputs of the first output, then the others.
    flat = (np.moveaxis(weights, -1, 0) if shape else weights).ravel()
    in_order = np.concatenate([flat, np.zeros(-len(flat) % channel.size)])
    whole = parse(name)(in_order)[: len(flat)]
    expected = (np.moveaxis(released, -1, 0) if shape else released).ravel()
    np.testing.assert_array_equal(expected, whole)
    np.testing.assert_array_equal(unblocked(blocked(weights, channel.size), shape), weights)


@each
def test_a_released_weight_tells_its_cell(name, rng):
    weights = rng.standard_normal((70, 3)) * [0.01, 1, 30]
    channel = parse(name).fit(weights)
    released = channel.apply(weights)
    np.testing.assert_array_equal(channel.apply(released), released)
    cell, slack = channel.observation(released), 1e-12 * np.abs(weights)
    assert (cell.lower - slack <= weights).all()
    assert (weights <= cell.upper + slack).all()
    # Inside its cell, at both ends, a weight of the block is released as the same.
    blocks, ends = np.abs(blocked(weights, channel.size)).max(axis=0), (cell.lower, cell.upper)
    for end, inwards in zip(ends, (1, -1), strict=True):
        inside = np.where(np.isfinite(end), end + inwards * 1e-9 * blocks.max(), weights)
        near = np.abs(inside - weights) > 0
        assert near.any()
        np.testing.assert_array_equal(channel.apply(inside)[near], released[near])
    # The same edges, weight by weight.
    edges = channel.edges_of(weights)
    assert (np.diff(edges) >= 0).all()
    place = (edges <= weights[..., None] + slack[..., None]).sum(axis=-1)
    sides = np.concatenate([np.full((70, 3, 1), -np.inf), edges, np.full((70, 3, 1), np.inf)], axis=-1)
    np.testing.assert_allclose(
        np.take_along_axis(sides, place[..., None], -1)[..., 0], cell.lower, rtol=1e-12
    )


@each
def test_information_is_that_of_each_block_on_its_grid(name, rng):
    weights, spread = rng.standard_normal((70, 2)), np.full((70, 2), 0.1)
    channel = parse(name).fit(weights)
    found, edges = channel.information(weights, spread), channel.edges_of(weights)
    low, high = (np.concatenate(pair, axis=-1) for pair in (
        (np.full((70, 2, 1), -np.inf), edges), (edges, np.full((70, 2, 1), np.inf))))  # fmt: skip
    a, b = ((end - weights[..., None]) / 0.1 for end in (low, high))
    cells = np.exp(-(a**2) / 2), np.exp(-(b**2) / 2)
    mass = np.where(a > 0, ndtr(-a) - ndtr(-b), ndtr(b) - ndtr(a))
    shares = (cells[0] - cells[1]) ** 2 / (2 * np.pi) / np.where(mass > 0, mass, 1)
    np.testing.assert_allclose(found, shares.sum(axis=-1), atol=1e-9)
    assert theory.retained_information(weights, 0.1, parse(name)).value == pytest.approx(found.mean())


@pytest.mark.parametrize("name", FULL)
def test_survivors_of_pruning_in_blocks(name, rng):
    weights = rng.standard_normal((70, 3))
    channel = parse(f"prune-60+{name}").fit(weights)
    released = channel.apply(weights)
    threshold = np.sort(np.abs(weights), axis=None)[126]
    survives = np.abs(weights) >= threshold
    assert not released[~survives].any()
    alone = parse(name)(np.where(survives, weights, 0))
    np.testing.assert_array_equal(released, np.where(survives, alone, 0))
    cell = channel.observation(released)
    assert ((cell.lower - 1e-12 <= weights) & (weights <= cell.upper + 1e-12)).all()
    assert (cell.upper[released == 0] >= threshold).all()
    assert (cell.lower[released > 0] >= threshold).all()
    information = channel.information(weights, np.full(weights.shape, 0.05))
    assert (
        information.mean()
        < parse(name).fit(weights).information(weights, np.full(weights.shape, 0.05)).mean()
    )
    masked = parse(f"prune-60-random+{name}").fit(weights)
    kept = masked.survives
    expected = np.where(kept, parse(name)(np.where(kept, weights, 0)), 0)
    np.testing.assert_array_equal(masked.apply(weights), expected)


def test_local_asymptotics_see_the_cells_of_blocks(rng):
    """Blocks of the whole tensor are its one grid."""
    psi, mean = rng.standard_normal((50, 12)), rng.standard_normal(12)
    setting = {"influence": psi, "covariance": np.eye(12), "mean": [mean], "n": 40}
    one, other = (local(quantizer=parse(n), **setting) for n in ("uniform-3", "uniform-3-group-12"))
    assert one.value == pytest.approx(other.value, rel=1e-12)
    diagonal = local(quantizer=parse("q4_0"), method="diagonal", **setting)
    assert 0 < diagonal.value < 1


def test_a_scale_that_vanishes_or_is_too_large():
    channel = parse("q8_0").fit(np.float64([1e-9, -2e-9]))
    released = channel.apply(np.float64([1e-9, -2e-9]))
    assert not released.any()
    cell = channel.observation(released)
    assert np.isinf(cell.lower).all()
    assert np.isinf(cell.upper).all()
    assert channel.information(np.float64([1e-9, -2e-9]), np.float64([1e-9, 1e-9])).tolist() == [0, 0]
    assert np.abs(parse("q8_0")(np.float32([1e30, -1e38]))).max() == 127 * 65504
    assert not parse("mxfp4")(np.zeros(3)).any()


def test_bits_with_the_scales_of_groups():
    model = MLP(input_shape=(64,), num_classes=2, depth=0)
    assert release("uniform-4-group-32").bits(model) == Uniform(bits=4).bits + 1
    assert release("uniform-4-group-32-pow2").bits(model) == 4.25
    assert release("gptq-4-group-32").bits(model) == 4 + 36 / 32
    assert release("gptq-1.58-group-64").bits(model) == pytest.approx(1.58 + 32 / 64, abs=0.01)
    # Of a random half no codes, but the scale of every block.
    assert parse("prune-50-random+q4_0").bits == 2.5
    # Blocks are whole: 130 weights are 9 of 16, and the tensor has a scale.
    assert release("nvfp4").bits(model) == (144 * 4.5 + 32) / 130
    assert release("exact-vectors:q4_0").bits(model) == pytest.approx((4.5 * 128 + 32 * 2) / 130)


@pytest.mark.parametrize(
    ("name", "error", "message"),
    [
        ("uniform-4-group-32-channel", UnsupportedSetting, "groups have symmetric grids with a fitted scale"),
        ("uniform-4-asymmetric-group-32", UnsupportedSetting, "leave the other options or group"),
        ("uniform-4-group-1", InvalidInput, r"Uniform: expected group an integer in 2\.\.65536, got group=1"),
        ("q4_1", InvalidInput, "q4_0"),
        (
            "tune-9:q4_0",
            UnsupportedSetting,
            "each level by itself, which that format cannot write; .* qat:q4_0",
        ),
        ("tune-9:prune-50-random.mxfp4", UnsupportedSetting, "train through it, qat:prune-50-random.mxfp4"),
    ],
)
def test_what_is_refused(name, error, message):
    with pytest.raises(error, match=message):
        release(name.replace("random.", "random+"))


def test_weights_of_another_tensor():
    channel = parse("q4_0").fit(np.ones((40, 2)))
    with pytest.raises(
        InvalidInput, match=r"Blocks\.apply: expected weights of 3 blocks of 32, got weights="
    ):
        channel.apply(np.ones((40, 3)))
