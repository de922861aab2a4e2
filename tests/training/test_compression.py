"""What training through a quantizer and fine-tuning after it do, against loops written by hand."""

from dataclasses import replace

import jax
import numpy as np
import pytest

from mis import quantizers
from mis.models import MLP, Functions, ResNet8
from mis.numerics.checks import InvalidInput, UnsupportedSetting
from mis.quantizers import parse
from mis.training import Compression, Learner, train_chunk
from mis.training.ensemble import TUNING, batches_of, initial_points

MODEL = MLP(input_shape=(4,), num_classes=3, width=5)
NUMBERS = np.arange(2)


@pytest.fixture(scope="module")
def data():
    rng = np.random.default_rng(5)
    return rng.normal(size=(24, 4)).astype(np.float32), rng.integers(3, size=24)


@jax.jit
@jax.grad
def slope(layers, x, y):
    return MODEL.losses(layers, x, y).mean()


# Signs of biases that start at 0 are left to rounding, so these are exact.
@pytest.mark.parametrize(("name", "vectors"), [("sign", "exact"), ("uniform-3-channel", "merged")])
def test_training_goes_through_the_quantizer_and_its_gradient_straight(data, name, vectors):
    x, y = data
    of = Compression(quantizer=parse(name), vectors=vectors)
    learner = Learner(optimiser="sgd", learning_rate=0.1, num_steps=6, batch_size=5, forward=of)
    chunk = train_chunk(MODEL, learner, x, y, seed=3, indices=NUMBERS)
    layers = [np.asarray(p[1]) for p in initial_points(3, NUMBERS, MODEL, learner)]

    def released(layer):
        if vectors == "merged":
            return parse(name)(layer)
        return np.concatenate([parse(name)(layer[:-1]), layer[-1:]])

    for rows in batches_of(3, 1, np.flatnonzero(chunk.membership[1]), learner):
        slopes = slope([released(layer) for layer in layers], x[rows], y[rows])
        layers = [layer - 0.1 * np.asarray(s) for layer, s in zip(layers, slopes, strict=True)]
    for found, layer in zip(chunk.params, layers, strict=True):
        np.testing.assert_allclose(found[1], layer, rtol=2e-4, atol=2e-5)


def test_fine_tuning_keeps_zeros_and_codes(data):
    x, y = data
    learner = Learner(optimiser="sgd", learning_rate=0.05, num_steps=4, batch_size=5)
    trained = train_chunk(MODEL, learner, x, y, seed=3, indices=NUMBERS)
    for name in ("prune-60", "prune-50+uniform-3"):
        of = Compression(quantizer=parse(name))
        tuned = train_chunk(MODEL, learner, x, y, seed=3, indices=NUMBERS, begin=trained.params, tuning=of)
        channels, start = of.begin(MODEL, [p[1] for p in trained.params])
        layers = [np.asarray(p) for p in start]
        for rows in batches_of(3, 1, np.flatnonzero(trained.membership[1]), learner, TUNING):
            slopes = slope(layers, x[rows], y[rows])
            moved = []
            for channel, first, layer, s in zip(
                channels, start, layers, map(np.asarray, slopes), strict=True
            ):
                total = np.zeros_like(s)
                if name == "prune-60":
                    total = np.where(first != 0, s, 0)
                else:
                    codes = channel.codes(first)
                    for code in np.unique(codes[first != 0]):
                        total[codes == code] = s[codes == code].sum()
                    total[first == 0] = 0
                moved.append(layer - 0.05 * total)
            layers = moved
        for found, layer, first in zip(tuned.params, layers, start, strict=True):
            np.testing.assert_allclose(found[1], layer, rtol=1e-3, atol=1e-4)
            assert ((found[1] == 0) == (first == 0)).all()
            assert len(np.unique(found[1])) <= len(np.unique(first))
            assert not np.array_equal(found[1], first)


def test_parts_and_back():
    model = ResNet8(input_shape=(8, 8, 1), num_classes=3, width=2, norm="batch")
    rng = np.random.default_rng(0)
    layers = [rng.normal(size=shape) for shape in model.shapes]
    for vectors in ("merged", "exact", "own"):
        of = Compression(quantizer=quantizers.Sign(), vectors=vectors)
        parts = of.parts(model, layers)
        for back, layer in zip(of.joined(model, parts), layers, strict=True):
            np.testing.assert_array_equal(back, layer)
        assert len(of.quantizers(model)) == len(parts)
        released = of.through(model, layers)
        for matrix, layer, group in zip(released, layers, model.layout.groups, strict=True):
            exact = vectors == "exact" and group.alone
            assert np.array_equal(matrix, layer) == exact
    # The head's bias: on its kernel's grid, as it is, or on its own.
    place = [group.name.split("/")[0] for group in model.layout.groups].index("head")
    merged, exact, own = (
        Compression(quantizer=quantizers.Sign(), vectors=v).through(model, layers)[place]
        for v in ("merged", "exact", "own")
    )
    layers = layers[place : place + 1]
    assert len(np.unique(np.abs(merged))) == 1
    np.testing.assert_array_equal(exact[-1], layers[-1][-1])
    np.testing.assert_allclose(np.abs(own[-1]), np.abs(layers[-1][-1]).mean())
    np.testing.assert_array_equal(exact[:-1], own[:-1])


@pytest.mark.parametrize("vectors", ["merged", "own", "exact"])
def test_the_ends_are_the_first_and_last_layer_met(vectors):
    """Not of the parameters' names: a residual network's head is before its stem in the alphabet."""
    model = ResNet8(input_shape=(8, 8, 1), num_classes=3, width=2)
    rng = np.random.default_rng(0)
    layers = [rng.normal(size=shape) for shape in model.shapes]
    plain = Compression(quantizer=quantizers.Sign(), vectors=vectors)
    of = replace(plain, exact_ends=True)
    each = zip(
        model.layout.groups, layers, plain.through(model, layers), of.through(model, layers), strict=True
    )
    for group, layer, whole, found in each:
        end = group.name in ("stem/kernel", "head/kernel")
        np.testing.assert_array_equal(found, layer if end else whole)
    sizes = {group.name: layer.size for group, layer in zip(model.layout.groups, layers, strict=True)}
    ends = sizes["stem/kernel"] + sizes["head/kernel"]
    if vectors == "merged":
        # A scale for each layer but the two ends.
        scales = 32 * (len(layers) - 2)
        assert of.bits(model) == pytest.approx(
            (sum(sizes.values()) + 31 * ends + scales) / sum(sizes.values())
        )
    assert of.bits(model) > plain.bits(model)


@pytest.mark.slow
def test_calibration_leaves_the_ends_alone(data):
    model = MLP(input_shape=(4,), num_classes=3, width=5, depth=2)
    layers = [np.asarray(layer) for layer in model.init(jax.random.key(0))]
    of = Compression(quantizer=parse("gptq-2-examples-20"), exact_ends=True)
    of.check(model)
    channels = jax.jit(lambda layers: of.fit(model, layers, data[0][:20]))(layers)
    first, middle, last = (channel.apply(layer) for channel, layer in zip(channels, layers, strict=True))
    np.testing.assert_array_equal(first, layers[0])
    np.testing.assert_array_equal(last, layers[2])
    assert len(np.unique(middle)) == 4


def test_networks_whose_ends_are_not_told():
    of = Compression(quantizer=quantizers.Sign(), exact_ends=True)
    with pytest.raises(UnsupportedSetting, match="mlp has no layer between its first and its last"):
        of.check(MODEL)
    mine = Functions(
        init=lambda _: {"a": np.ones((4, 5), np.float32), "b": np.ones((5, 3), np.float32)},
        apply=lambda p, x: (x @ p["a"]) @ p["b"],
        input_shape=(4,),
        num_classes=3,
        title="mine",
    )
    with pytest.raises(UnsupportedSetting, match=r"which layers of mine are the first .* leave exact-ends:"):
        of.check(mine)


def test_what_cannot_be_trained_through():
    for name in ("stochastic-3", "noise-10"):
        with pytest.raises(UnsupportedSetting, match="is random or calibrated"):
            Learner(forward=Compression(quantizer=parse(name)))
    with pytest.raises(
        InvalidInput, match=r"Compression: expected quantizer a quantizer, .* got quantizer='sign'"
    ):
        Compression(quantizer="sign")
    with pytest.raises(InvalidInput, match="vectors"):
        Compression(quantizer=parse("sign"), vectors="no")
