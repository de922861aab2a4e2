"""What layers see is what they are multiplied with, with the layers before them replaced."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mis.models import MLP, Functions
from mis.models.convolution import affine, convolve, convolve_and_pool, per_channel
from mis.models.inputs import patches, replace_in_order


def test_patches_by_hand():
    image = np.arange(9.0).reshape(1, 3, 3, 1)
    found = patches(jnp.asarray(image), (2, 2, 1, 5), 1, "VALID")
    np.testing.assert_array_equal(found, [[0, 1, 3, 4], [1, 2, 4, 5], [3, 4, 6, 7], [4, 5, 7, 8]])
    # As SAME pads an even kernel: below and to the right.
    padded = patches(jnp.asarray(image), (2, 2, 1, 5), 2, "SAME")
    np.testing.assert_array_equal(padded, [[0, 1, 3, 4], [2, 0, 5, 0], [6, 7, 0, 0], [8, 0, 0, 0]])


@pytest.mark.parametrize(
    ("shape", "kernel", "stride", "padding"),
    [((9, 8), (5, 3), 2, "SAME"), ((9, 8), (5, 3), 1, "VALID"), ((4, 5), (3, 3), 3, "SAME")],
)
def test_patches_times_a_kernel_are_the_convolution(shape, kernel, stride, padding, rng):
    images = jnp.asarray(rng.normal(size=(3, *shape, 2)), jnp.float32)
    weights = jnp.asarray(rng.normal(size=(*kernel, 2, 4)), jnp.float32)
    expected = np.asarray(convolve(images, weights, stride=stride, padding=padding))
    seen = np.asarray(patches(images, weights.shape, stride, padding))
    np.testing.assert_allclose(seen @ weights.reshape(-1, 4), expected.reshape(-1, 4), atol=1e-4)


def images_to_classes(params, images):
    x = convolve_and_pool(images, params["first"]["kernel"])
    x = jax.nn.relu(x + per_channel(params["first"]["bias"], x))
    return affine(x.reshape(len(x), -1), params["last"])


def initial(key):
    keys = jax.random.split(key, 3)
    return {
        "first": {"kernel": jax.random.normal(keys[0], (3, 3, 1, 2)), "bias": jnp.ones(2)},
        "last": {"kernel": jax.random.normal(keys[1], (8, 3)), "bias": jnp.zeros(3)},
    }


CNN = Functions(init=initial, apply=images_to_classes, input_shape=(4, 4, 1), num_classes=3)


@pytest.mark.slow
def test_a_layer_sees_those_before_it_replaced(rng):
    layers = CNN.initial(jax.random.key(0))
    images = jnp.asarray(rng.normal(size=(5, 4, 4, 1)), jnp.float32)
    seen = {}

    def halve(number, inputs):
        seen[number] = np.asarray(inputs)
        return layers[number] / 2

    assert replace_in_order(CNN, layers, images, halve) == {0, 1}
    assert list(seen) == [0, 1]
    np.testing.assert_array_equal(seen[0], patches(images, (3, 3), 1, "SAME"))
    # The first layer again, by its patches: kernel and bias are the halved ones.
    sums = (seen[0] @ np.asarray(layers[0][:9] / 2)).reshape(5, 2, 2, 2, 2, 2).max(axis=(2, 4))
    expected = np.maximum(sums + np.asarray(layers[0][9] / 2), 0).reshape(5, 8)
    np.testing.assert_allclose(seen[1], expected, atol=1e-6)


def test_layers_of_an_mlp_see_their_inputs(rng):
    model = MLP(input_shape=(3,), width=4, num_classes=2)
    layers, x = model.initial(jax.random.key(0)), jnp.asarray(rng.normal(size=(6, 3)), jnp.float32)
    seen = {}

    def keep(number, inputs):
        seen[number] = inputs
        return layers[number]

    assert replace_in_order(model, layers, x, keep) == {0, 1}
    np.testing.assert_array_equal(seen[0], x)
    np.testing.assert_allclose(
        seen[1], np.maximum(np.asarray(x) @ layers[0][:-1] + layers[0][-1:], 0), atol=1e-6
    )


def test_what_is_multiplied_otherwise_is_not_met():
    def transposed(params, x):
        return x @ params["kernel"] + per_channel(params["bias"], x @ params["kernel"])

    model = Functions(
        init=lambda _: {"kernel": jnp.ones((3, 2)), "bias": jnp.zeros(2)},
        apply=transposed,
        input_shape=(3,),
        num_classes=2,
    )
    assert replace_in_order(model, model.initial(jax.random.key(0)), jnp.ones((4, 3)), None) == set()
