"""Gradients of the examples' losses at a few networks."""

from collections.abc import Sequence
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from mis.models import Model
from mis.training.devices import FEW_RUNS, in_one_program, in_turns, num_devices

__all__ = ["mean_gradients"]


def mean_gradients(model: Model, layers: Sequence[Any], features: Any, targets: Any) -> list[jax.Array]:
    """Return the gradient of each example's loss, its mean over a few networks.

    Parameters
    ----------
    model
        What they are.
    layers
        Their matrices, by layer ``(M, rows, channels)``.
    features, targets
        Examples, ``(B, ...)`` and ``(B,)``.

    Returns
    -------
    list of array
        By layer, ``(B, rows * channels)``.

    Examples
    --------
    >>> import numpy as np
    >>> from mis.models import MLP
    >>> at_zero = [np.zeros((2, 3, 1), np.float32)]
    >>> mean_gradients(MLP(input_shape=(2,), depth=0), at_zero, np.array([[1.0, 2.0]]), np.array([1.0]))[0]
    Array([[-1., -2., -1.]], dtype=float32)
    """
    # On the host: from there every device takes its share.
    x, y = np.asarray(features, np.float32), np.asarray(targets)
    layers = [np.asarray(layer) for layer in layers]
    if in_one_program(model):
        return _of_all([jnp.asarray(layer) for layer in layers], jnp.asarray(x), jnp.asarray(y), model=model)
    shares = min(len(layers[0]), num_devices())

    def share(first):
        total = [jnp.zeros((len(x), *layer.shape[1:])) for layer in layers]
        for m in range(first, len(layers[0]), shares):
            total = _add(total, [layer[m] for layer in layers], x, y, model=model)
        return [np.asarray(layer) for layer in total]

    totals = zip(*in_turns(share, shares), strict=True)
    return [jnp.asarray(sum(parts)).reshape(len(x), -1) / len(layers[0]) for parts in totals]


def _each(model):
    one = jax.grad(lambda p, x, y: model.losses(p, x[None], y[None])[0])
    return jax.vmap(one, in_axes=(None, 0, 0))


@partial(jax.jit, static_argnames="model", compiler_options=FEW_RUNS)
def _of_all(layers, features, targets, *, model):
    def add(total, network):
        return jax.tree.map(jnp.add, total, _each(model)(network, features, targets)), None

    start = [jnp.zeros((len(features), *layer.shape[1:]), layer.dtype) for layer in layers]
    total, _ = jax.lax.scan(add, start, layers)
    return [layer.reshape(len(features), -1) / len(layers[0]) for layer in total]


@partial(jax.jit, static_argnames="model", donate_argnums=0)
def _add(total, layers, features, targets, *, model):
    return jax.tree.map(jnp.add, total, _each(model)(layers, features, targets))
