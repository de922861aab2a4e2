"""Rectifiers of few bits."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mis.models import MLP, Functions, LeNet
from mis.models.activation import rectified
from mis.numerics.checks import InvalidInput, UnsupportedSetting


@pytest.mark.parametrize("bits", [1, 2, 4, 16])
def test_values_and_gradients_by_hand(bits, rng):
    x = rng.normal(size=200).astype(np.float32)
    steps = 2**bits - 1
    inside = np.minimum(np.maximum(x, 0), 1)
    np.testing.assert_allclose(rectified(x, bits), np.round(inside * steps) / steps, atol=1e-6)
    assert len(np.unique(rectified(x, bits))) <= 2**bits
    slopes = jax.grad(lambda x: jnp.sum(rectified(x, bits) * 3.0))(x)
    np.testing.assert_array_equal(slopes, 3.0 * ((x > 0) & (x < 1)))


def test_without_bits_nothing_is_cut(rng):
    x = rng.normal(size=50) * 5
    np.testing.assert_array_equal(rectified(jnp.asarray(x)), np.maximum(x, 0).astype(np.float32))


def test_a_network_rounds_what_its_hidden_layers_say(rng):
    x = rng.normal(size=(6, 5)).astype(np.float32)
    model = MLP(input_shape=(5,), width=4, num_classes=3, activation_bits=2)
    first, second = (np.asarray(layer) for layer in model.init(jax.random.key(0)))
    hidden = np.round(np.clip(x @ first[:-1] + first[-1], 0, 1) * 3) / 3
    np.testing.assert_allclose(
        model.predict([first, second], x), hidden @ second[:-1] + second[-1], rtol=1e-5, atol=1e-6
    )


def test_who_cannot_round_says_so():
    with pytest.raises(UnsupportedSetting, match="activation_bits are for rectifiers"):
        LeNet(input_shape=(8, 8, 1), num_classes=2, activation="sigmoid", activation_bits=4)
    with pytest.raises(UnsupportedSetting, match="your own apply rounds its activations itself"):
        Functions(init=list, apply=max, activation_bits=4)
    with pytest.raises(
        InvalidInput, match=r"MLP: expected activation_bits an integer in 1\.\.16, got activation_bits=0"
    ):
        MLP(input_shape=(5,), activation_bits=0)
