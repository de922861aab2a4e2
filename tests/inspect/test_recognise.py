"""What a released tensor is called must be what released it."""

import gguf
import ml_dtypes
import numpy as np
import pytest
from gguf import quants

from mis import quantizers
from mis.inspect.blocks import TYPES, blocks
from mis.inspect.families import FAMILIES
from mis.inspect.formats import Tensor
from mis.inspect.integers import companions
from mis.inspect.recognise import recognise


def tensor_of(array, name="w"):
    return Tensor(
        name=name, shape=array.shape, kind=array.dtype.name, num_bytes=array.nbytes, open=lambda: array
    )


def found(array):
    return recognise("here", tensor_of(array), {})


@pytest.fixture(scope="module")
def weights():
    return (np.random.default_rng(3).normal(size=(96, 320)) * 0.05).astype(np.float32)


# Released by; seen as, where its levels are those of another; bits of a code.
QUANTIZERS = {
    "sign": ("sign", 1),
    "ternary-50": ("ternary-50", np.log2(3)),
    "ternary-90": ("ternary-90", np.log2(3)),
    "uniform-2-clip-30": ("ternary-46", np.log2(3)),
    "uniform-3": ("uniform-3", np.log2(7)),
    "uniform-4": ("uniform-4", np.log2(15)),
    "uniform-6": ("uniform-6", np.log2(63)),
    "uniform-8": ("uniform-8", np.log2(255)),
    "uniform-2-asymmetric": ("uniform-2-asymmetric", 2),
    "uniform-4-asymmetric": ("uniform-4-asymmetric", 4),
    "uniform-8-asymmetric": ("uniform-8-asymmetric", 8),
    "uniform-4-clip-80": ("uniform-4", np.log2(15)),
    "uniform-4-pow2": ("uniform-4", np.log2(15)),
    "power-of-two-3": ("power-of-two-3", np.log2(7)),
    "power-of-two-4": ("power-of-two-4", np.log2(15)),
    "nf4": ("nf4", 4),
    "fp4-e2m1": ("fp4-e2m1", 4),
    "fp8-e4m3": ("fp8-e4m3", 8),
    "codebook-16": ("codebook-16", 4),
    "codebook-256": ("codebook-256", 8),
    "prune-50+uniform-4": ("uniform-4", np.log2(15)),
}


@pytest.mark.parametrize("name", QUANTIZERS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_one_scale_a_tensor(weights, name, dtype):
    released = np.asarray(quantizers.parse(name)(weights.astype(dtype)))
    seen, bits = QUANTIZERS[name]
    coding = found(released)
    assert coding.quantizer == seen
    assert coding.per == "tensor"
    assert bits < coding.bits <= bits + 32 * 257 / weights.size
    assert coding.stored == 8 * dtype().itemsize
    # The levels found release what was released.
    codes = coding.levels.codes(released.reshape(-1).astype(np.float64), 0)
    offset, scale = coding.levels.at(0, released.size)
    np.testing.assert_allclose(
        offset + scale * coding.levels.table[codes], released.reshape(-1), rtol=1e-5, atol=1e-7
    )


@pytest.mark.parametrize(
    "name", ["sign", "ternary-50", "uniform-3", "uniform-4", "nf4", "fp4-e2m1", "codebook-16"]
)
@pytest.mark.parametrize("dtype", [np.float16, ml_dtypes.bfloat16])
def test_in_short_floats(weights, name, dtype):
    released = np.asarray(quantizers.parse(name)(weights)).astype(dtype)
    assert found(released).quantizer == name
    # What was computed in few digits and stored in many.
    assert found(released.astype(np.float32)).quantizer == name


@pytest.mark.parametrize("bits", [4, 8])
@pytest.mark.parametrize("kind", ["", "-asymmetric"])
def test_one_scale_a_channel(weights, bits, kind):
    released = np.asarray(quantizers.parse(f"uniform-{bits}{kind}-channel")(weights))
    coding = found(released)
    assert (coding.quantizer, coding.per) == (f"uniform-{bits}{kind}", "column")
    coding = found(np.ascontiguousarray(released.T))
    assert (coding.quantizer, coding.per) == (f"uniform-{bits}{kind}", "row")
    assert coding.levels.layout.num_units == 320


@pytest.mark.parametrize("width", [32, 64, 128])
@pytest.mark.parametrize(
    "name", ["sign", "uniform-4", "uniform-8", "uniform-4-asymmetric", "nf4", "fp4-e2m1"]
)
def test_one_scale_a_group(weights, width, name):
    quantizer = quantizers.parse(name)
    released = np.stack([quantizer(group) for group in weights.reshape(-1, width)]).reshape(weights.shape)
    coding = found(released)
    assert (coding.quantizer, coding.per) == (name, f"group of {width}")
    least = next(family.code_bits for family in FAMILIES if family.name == name)
    assert coding.bits == pytest.approx(least + (36 if "asym" in name else 32) / width)


def test_groups_whose_largest_weight_is_the_first_level(weights):
    """GGUF's Q4_0, decoded and stored as floats: levels -8 to 7 of a signed scale."""
    kind = gguf.GGMLQuantizationType.Q4_0
    coding = found(gguf.dequantize(gguf.quantize(weights, kind), kind))
    assert (coding.quantizer, coding.per) == ("uniform-4-asymmetric", "group of 32")


FULL = {
    "float32": lambda w: w,
    "float64": lambda w: w.astype(np.float64) * (1 + 2.0**-40),
    "float16": lambda w: w.astype(np.float16),
    "bfloat16": lambda w: w.astype(ml_dtypes.bfloat16),
    "float16 in float32": lambda w: w.astype(np.float16).astype(np.float32),
    "bfloat16 in float32": lambda w: w.astype(ml_dtypes.bfloat16).astype(np.float32),
    "pruned float32": lambda w: np.asarray(quantizers.parse("prune-70")(w)),
}


@pytest.mark.parametrize("name", FULL)
def test_full_precision(weights, name):
    array = FULL[name](weights)
    coding = found(array)
    assert coding.quantizer == name
    assert coding.is_full == (not name.startswith("pruned"))
    assert coding.levels is None
    assert coding.bits == {"64": 64, "32": 32}.get(name[-2:] if " in " not in name else "", 16)


@pytest.mark.parametrize("shape", [(1,), (7,), (30,), (5, 3), (64, 1), (1, 40), (3, 3, 2, 4), (2, 16)])
def test_few_weights_are_no_quantizer(shape, rng):
    for _ in range(20):
        coding = found(rng.normal(size=shape).astype(np.float32))
        assert coding.quantizer in ("float32", "constant")
        assert (coding.quantizer == "constant") == (shape == (1,))


@pytest.mark.parametrize("shape", [(40, 8), (8, 40), (200, 16), (16, 200), (4, 256)])
def test_narrow_full_precision_is_no_grid(shape, rng):
    for scale in (1.0, 1e-30, 1e30):
        assert found((scale * rng.normal(size=shape)).astype(np.float32)).is_full


@pytest.mark.parametrize("dtype", [np.float16, ml_dtypes.bfloat16])
@pytest.mark.parametrize("shape", [(2, 6), (3, 8), (12, 2), (2, 32)])
def test_short_floats_are_on_no_grid_by_accident(shape, dtype, rng):
    """Few digits put some weights on some grid; it takes many to believe it."""
    for _ in range(60):
        assert found(rng.normal(size=shape).astype(dtype)).is_full


@pytest.mark.parametrize("count", [4, 5, 6])
def test_a_codebook_is_on_no_grid_by_accident(count, rng):
    for _ in range(60):
        levels = np.unique(rng.normal(size=count).astype(ml_dtypes.bfloat16))
        assert found(rng.permutation(np.repeat(levels, 10))).quantizer == f"codebook-{len(levels)}"


def test_one_level_among_many_is_enough_to_refuse(weights):
    released = np.asarray(quantizers.parse("uniform-4-channel")(weights)).copy()
    released[50, 7] *= 1.01
    assert found(released).quantizer != "uniform-4"


def test_a_tensor_larger_than_a_block(rng):
    """Where the sample shows few levels and a later block more, the later one counts."""
    from mis.inspect.coding import CHUNK

    released = np.sign(rng.normal(size=CHUNK + 999)).astype(np.float32)
    assert found(released).quantizer == "sign"
    released[-1] = 3.3
    assert found(released).quantizer == "codebook-3"
    rows = np.asarray(quantizers.parse("uniform-4-channel")(rng.normal(size=(300, 5)))).T
    wide = np.repeat(rows, 600, axis=1).astype(np.float32)
    coding = found(wide)
    assert (coding.quantizer, coding.per) == ("uniform-4", "row")
    wide[0, -1] += 0.01
    assert found(wide).quantizer != "uniform-4"


def test_constant_and_not_finite():
    assert found(np.zeros((3, 4), np.float32)).quantizer == "constant"
    coding = found(np.array([1.0, np.nan, np.inf], np.float32))
    assert (coding.quantizer, coding.note) == ("not recognised", "NaN or infinite values")
    assert found(np.zeros((0, 4), np.float32)).quantizer == "empty"


@pytest.mark.parametrize("name", TYPES)
def test_levels_of_blocks(name, rng):
    """Random blocks: the levels that are found hold every number that the package decodes them to, and all occur."""
    kind = gguf.GGMLQuantizationType[name]
    per_block, num_bytes = gguf.GGML_QUANT_SIZES[kind]
    raw = rng.integers(0, 256, size=(300, num_bytes), dtype=np.uint8)
    if name == "TQ2_0":
        # A fourth code has no meaning.
        raw[:, :64] &= ~(raw[:, :64] >> 1 & 0x55)
    with np.errstate(all="ignore"):
        values = gguf.dequantize(raw.reshape(1, -1), kind).reshape(len(raw), -1)
    # Scales at random: those of sane blocks only.
    sane = np.isfinite(values).all(axis=1) & (np.abs(values).max(axis=1) < 1e3)
    raw = raw[sane]
    coding = blocks("here", tensor_of_blocks(raw, name, per_block))
    size, table = coding.tensor.size, coding.levels.table
    assert coding.bits == 8 * num_bytes / per_block
    values = coding.read(0, size)
    np.testing.assert_array_equal(coding.read(per_block + 3, size - 5), values[per_block + 3 : -5])
    offset, scale = coding.levels.at(0, size)
    codes = coding.levels.codes(values, 0)
    rounding = 1e-6 * (np.abs(offset) + np.abs(scale) * np.abs(table).max())
    assert (np.abs(offset + scale * table[codes] - values) <= rounding).all()
    assert len(np.unique(codes[np.abs(scale) > 1e-4 * np.abs(offset)])) == len(table)


def tensor_of_blocks(raw, name, per_block):
    return Tensor(name="w", shape=(len(raw) * per_block,), kind=name, num_bytes=raw.size, open=lambda: raw)


def test_blocks_without_cells_and_without_a_decoder():
    assert {kind.name for kind in quants._type_traits} - {*TYPES, "BF16"} == {
        "IQ1_M",
        "IQ1_S",
        "IQ2_S",
        "IQ2_XS",
        "IQ2_XXS",
        "IQ3_S",
        "IQ3_XXS",
    }
    raw = np.zeros((2, 66), np.uint8)
    coding = recognise("here", tensor_of_blocks(raw, "IQ2_XXS", 256), {})
    assert coding.levels is None
    assert "no cells" in coding.note
    np.testing.assert_array_equal(coding.read(0, 512), 0)
    coding = recognise("here", tensor_of_blocks(np.zeros((2, 292), np.uint8), "Q8_K", 256), {})
    assert coding.read is None
    assert "does not decode" in coding.note


LAYOUTS = {
    "tensor": ((1,), lambda s: s.reshape(1, 1)),
    "row": ((6, 1), lambda s: s),
    "row of one axis": ((6,), lambda s: s.reshape(6, 1)),
    "column": ((1, 8), lambda s: s),
    "group of 4": ((6, 2), lambda s: np.repeat(s, 4, axis=1)),
}


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("zero_points", [False, True])
def test_codes_with_scales(rng, layout, zero_points):
    shape, broadcast = LAYOUTS[layout]
    codes = rng.integers(-128, 128, size=(6, 8)).astype(np.int8)
    scales = rng.random(shape).astype(np.float32)
    arrays = {"a.weight": codes, "a.weight_scale": scales, "a.bias": scales}
    zeros = np.zeros(shape, np.int8)
    if zero_points:
        zeros = rng.integers(-9, 9, size=shape).astype(np.int8)
        arrays["a.weight_zero_point"] = zeros
    tensors = {name: tensor_of(array, name) for name, array in arrays.items()}
    beside = companions(tensors)
    assert set(beside) == {"a.weight"}
    coding = recognise("here", tensors["a.weight"], beside["a.weight"])
    assert (coding.quantizer, coding.per) == ("int8", layout.removesuffix(" of one axis"))
    expected = broadcast(scales.astype(np.float64)) * (codes - broadcast(zeros.astype(np.float64)))
    np.testing.assert_allclose(coding.read(0, 48), expected.reshape(-1), atol=1e-12)
    np.testing.assert_allclose(coding.read(5, 21), expected.reshape(-1)[5:21], atol=1e-12)
    np.testing.assert_array_equal(coding.levels.codes(coding.read(5, 21), 5) - 128, codes.reshape(-1)[5:21])
    assert coding.bits == 8 + (32 + 8 * zero_points) * scales.size / 48


def test_codes_of_bitsandbytes(rng):
    weights = rng.normal(size=(6, 8)).astype(np.float32)
    largest = np.abs(weights).max(axis=1)
    codes = np.rint(weights / largest[:, None] * 127).astype(np.int8)
    tensors = {"a.weight": tensor_of(codes, "a.weight"), "a.SCB": tensor_of(largest, "a.SCB")}
    coding = recognise("here", tensors["a.weight"], companions(tensors)["a.weight"])
    assert np.abs(coding.read(0, 48) - weights.reshape(-1)).max() <= largest.max() / 254


def test_short_floats_with_a_scale(rng):
    weights = rng.normal(size=(6, 8)).astype(ml_dtypes.float8_e4m3fn)
    coding = recognise("here", tensor_of(weights), {"scale": tensor_of(np.float32([0.5]))})
    assert (coding.quantizer, coding.per, len(coding.levels.table)) == ("fp8-e4m3", "tensor", 253)
    np.testing.assert_array_equal(coding.read(0, 48), weights.astype(np.float64).reshape(-1) / 2)
    codes = coding.levels.codes(coding.read(0, 48), 0)
    np.testing.assert_array_equal(coding.levels.table[codes] / 2, coding.read(0, 48))


def test_codes_alone_and_what_is_no_weight(rng):
    codes = rng.integers(-128, 128, size=(6, 8)).astype(np.int8)
    coding = found(codes)
    assert (coding.quantizer, coding.is_scaled, coding.note) == ("int8", False, "no scales beside it")
    coding = recognise("here", tensor_of(codes), {"scale": tensor_of(np.ones((3, 3), np.float32))})
    assert "do not fit" in coding.note
    assert not found(np.arange(9)).is_weights
    assert not found(np.ones(3, bool)).is_weights
    assert not found(np.ones(3, complex)).is_weights


@pytest.mark.parametrize(
    ("names", "kind"), [(("a.weight", "a.weight.absmax"), np.uint8), (("a.qweight", "a.qzeros"), np.int32)]
)
def test_codes_that_share_a_number(names, kind):
    tensors = {name: tensor_of(np.ones((4, 4), kind), name) for name in names}
    beside = companions(tensors)
    assert set(beside) == {names[0]}
    coding = recognise("here", tensors[names[0]], beside[names[0]])
    assert (coding.quantizer, coding.is_weights) == ("packed codes", False)
