"""Convolutions as products are the convolutions of XLA."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mis.models.convolution import as_products, convolve, convolve_and_pool


@pytest.mark.parametrize(("shape", "stride"), [((9, 8, 2), 1), ((9, 8, 2), 2), ((4, 5, 1), 3)])
def test_products_are_convolutions(shape, stride, rng):
    images = jnp.asarray(rng.normal(size=(3, *shape)), jnp.float32)
    kernel = jnp.asarray(rng.normal(size=(5, 3, shape[-1], 4)), jnp.float32)
    expected = convolve(images, kernel, stride=stride)
    with as_products():
        found = convolve(images, kernel, stride=stride)
        jaxpr = str(jax.make_jaxpr(lambda x: convolve(x, kernel, stride=stride))(images))
    assert "conv_general_dilated" not in jaxpr
    assert np.allclose(found, expected, atol=1e-4)
    assert "conv_general_dilated" in str(jax.make_jaxpr(lambda x: convolve(x, kernel, stride=stride))(images))


def plain(images, kernel):
    """Convolve by XLA, then take the largest of every window."""
    found = jax.lax.conv_general_dilated(
        images, kernel, (1, 1), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC")
    )
    return jax.lax.reduce_window(found, -jnp.inf, jax.lax.max, (1, 2, 2, 1), (1, 2, 2, 1), "VALID")


@pytest.mark.parametrize("reach", [(5, 5), (3, 4), (1, 2), (6, 7)])
@pytest.mark.parametrize("size", [(8, 10), (9, 7)])
def test_convolution_and_pooling_in_one_is_one_after_the_other(reach, size, rng):
    images = jnp.asarray(rng.normal(size=(3, *size, 2)), jnp.float32)
    kernel = jnp.asarray(rng.normal(size=(*reach, 2, 3)), jnp.float32)
    toward = jnp.asarray(rng.normal(size=(3, size[0] // 2, size[1] // 2, 3)), jnp.float32)
    found, pull = jax.vjp(jax.jit(convolve_and_pool), images, kernel)
    expected, expected_pull = jax.vjp(jax.jit(plain), images, kernel)
    assert np.allclose(found, expected, atol=2e-5)
    for gradient, right in zip(pull(toward), expected_pull(toward), strict=True):
        assert np.allclose(gradient, right, atol=2e-5)
