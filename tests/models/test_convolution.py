"""Convolutions as products are the convolutions of XLA."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mis.models.convolution import as_products, convolve


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
