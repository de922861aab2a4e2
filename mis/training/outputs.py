"""What many networks say about the same examples."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from mis.models import Model
from mis.training.devices import FEW_RUNS, in_one_program, num_devices

__all__ = ["predict"]

# Networks evaluated at a time in one program, and examples at a time by one network: both bound the memory of what lies
# between input and output.
BATCH, EXAMPLES = 8, 512


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
    num, devices = len(layers[0]), jax.local_devices()[: num_devices()]
    host = [np.asarray(layer) for layer in layers]
    # Blocks of one shape, the last one filled up: one compilation.
    count = -(-len(features) // EXAMPLES)
    size = -(-len(features) // count)
    padded = np.concatenate([features, np.repeat(features[-1:], count * size - len(features), axis=0)])

    def work(place):
        with jax.default_device(devices[place]):
            blocks = [jnp.asarray(block) for block in np.split(padded, count)]
            return [
                np.concatenate(
                    [np.asarray(_one([p[m] for p in host], block, model=model)) for block in blocks]
                )
                for m in range(place, num, len(devices))
            ]

    with ThreadPoolExecutor(len(devices)) as threads:
        found = list(threads.map(work, range(len(devices))))
    return np.stack([found[m % len(devices)][m // len(devices)][: len(features)] for m in range(num)])


@partial(jax.jit, static_argnames="model", compiler_options=FEW_RUNS)
def _all(layers, features, *, model):
    return jax.lax.map(lambda params: model.predict(params, features), layers, batch_size=BATCH)


@partial(jax.jit, static_argnames="model")
def _one(layers, features, *, model):
    return model.predict(layers, features)
