"""Butterflies against the matrices that they are exact on, and written out as dense ones."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.linalg import hadamard

from mis.models import Butterfly, get
from mis.models.butterfly import butterfly
from mis.numerics.checks import InvalidInput


def roots_of_unity(n):
    """The factors of the fast Fourier transform, decimation in time."""
    j, factors = np.arange(n), []
    for k in range(n.bit_length() - 1):
        root = np.exp(-2j * np.pi * (j % 2**k) / 2 ** (k + 1))
        second = (j >> k) % 2 == 1
        factors.append(np.stack([np.where(second, -root, 1), np.where(second, 1, root)]).astype(np.complex64))
    return factors


@pytest.mark.parametrize("n", [2, 32])
def test_exact_on_the_fourier_transform(n):
    bits = n.bit_length() - 1
    backwards = [int(f"{j:0{bits}b}"[::-1], 2) for j in range(n)]
    found = jax.jit(butterfly)(np.eye(n, dtype=np.complex64)[:, backwards], roots_of_unity(n))
    np.testing.assert_allclose(found, np.fft.fft(np.eye(n)), atol=1e-6)


def test_exact_on_the_hadamard_matrix():
    j = np.arange(16)
    factors = [np.float32([1 - 2 * ((j >> k) % 2), np.ones(16)]) for k in range(4)]
    np.testing.assert_array_equal(jax.jit(butterfly)(np.eye(16, dtype=np.float32), factors), hadamard(16))


def test_network_is_the_one_with_the_factors_as_dense_matrices(rng):
    model = Butterfly(input_shape=(2, 3), num_classes=3, depth=2)
    params = jax.tree.map(
        lambda leaf: rng.standard_normal(leaf.shape).astype(np.float32),
        jax.eval_shape(model.init, jax.random.key(0)),
    )
    features = rng.standard_normal((5, 2, 3)).astype(np.float32)
    x = np.hstack([features.reshape(5, 6), np.zeros((5, 2))])
    for layer in (params["hidden00"], params["hidden01"]):
        for k, factor in enumerate([*layer["inner"], layer["outer"]["kernel"]]):
            dense = np.diag(factor[0]) + np.diag(factor[1]) @ np.eye(8)[np.arange(8) ^ 2**k]
            x = x @ dense.T
        x = np.maximum(x + layer["outer"]["bias"], 0)
    expected = x @ params["output"]["kernel"] + params["output"]["bias"]
    np.testing.assert_allclose(jax.jit(model.apply)(params, features), expected, rtol=1e-4, atol=1e-3)


def test_starts_as_a_rotation_and_names_itself():
    model = get("butterfly", (5,), 2)

    @jax.jit
    def start(key):
        layer = model.init(key)["hidden00"]
        return butterfly(jnp.eye(8), [*layer["inner"], layer["outer"]["kernel"]])

    dense = np.asarray(start(jax.random.key(3)))
    np.testing.assert_allclose(dense @ dense.T, 2 * np.eye(8), atol=1e-5)
    assert np.abs(dense).min() > 0
    assert (model.name, model.summary) == ("butterfly", "1 hidden layer of 8, 3 factors each")
    with pytest.raises(InvalidInput, match=r"Butterfly: expected input_shape of 2 to 65536 features, got"):
        get("butterfly", (1,), 2)
    with pytest.raises(InvalidInput, match=r"Butterfly: expected depth an integer in 1\.\.100, got depth=0"):
        get("butterfly", (5,), 2, depth=0)
