"""What many networks say about the same examples."""

from collections.abc import Sequence
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from mis.models import Model
from mis.training.devices import FEW_RUNS, in_one_program, in_turns

__all__ = ["predict"]

# Networks evaluated at a time in one program, and examples at a time by one network: both bound the memory of what lies
# between input and output, and what does not leave the cache is faster.
BATCH, EXAMPLES = 8, 128


def predict(model: Model, layers: Sequence[Any], features: np.ndarray) -> np.ndarray:
    """Return the outputs of every network, ``(M, N, classes or 1)``.

    Parameters
    ----------
    model
        What they are.
    layers
        Their matrices, by layer ``(M, rows, channels)``.
    features
        Examples in the shape that the model takes, ``(N, ...)``.

    Examples
    --------
    >>> from mis.models import MLP
    >>> predict(MLP(input_shape=(2,), depth=0), [np.ones((3, 3, 1))], np.ones((4, 2)))[:, 0, 0]
    array([3., 3., 3.], dtype=float32)
    """
    features = np.asarray(features, np.float32)
    if in_one_program(model):
        return np.asarray(_all(list(layers), features, model=model))
    host = [np.asarray(layer) for layer in layers]
    # Blocks of one shape, the last one filled up: one compilation.
    count = -(-len(features) // EXAMPLES)
    size = -(-len(features) // count)
    blocks = np.split(
        np.pad(features, [(0, count * size - len(features)), *[(0, 0)] * (features.ndim - 1)], "edge"), count
    )

    def one(m):
        network = [jnp.asarray(layer[m]) for layer in host]
        return np.concatenate([np.asarray(_one(network, block, model=model)) for block in blocks])

    return np.stack(in_turns(one, len(host[0])))[:, : len(features)]


@partial(jax.jit, static_argnames="model", compiler_options=FEW_RUNS)
def _all(layers, features, *, model):
    return jax.lax.map(lambda params: model.predict(params, features), layers, batch_size=BATCH)


@partial(jax.jit, static_argnames="model")
def _one(layers, features, *, model):
    return model.predict(layers, features)
