"""What a quantized gradient does to training, epoch by epoch."""

import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

from mis import models
from mis.models import Model
from mis.numerics.seeds import jax_key
from mis.quantizers import Quantizer
from mis.quantizers.gradients import parse_gradient
from mis.quantizers.top import Top
from mis.store import Store
from mis.works.leakage.attacked import splitted
from mis.works.leakage.settings import Settings

__all__ = ["curve", "quantized"]

RATE, MOMENTUM, BATCH = 0.02, 0.9, 32
ORDER, START, NOISE = 21, 22, 23
# More than any task has.
MANY = 10**6


def quantized(quantizer: Quantizer, gradient: list[Any], key: Any) -> list[Any]:
    """Return a gradient as it is released, inside ``jit``: what ``release`` returns as values."""
    keys = jax.random.split(key, len(gradient))
    if isinstance(quantizer, Top):
        channel = quantizer.fit(jnp.concatenate([layer.ravel() for layer in gradient]))
        return [channel.apply(layer) for layer in gradient]
    return [quantizer.fit(layer).apply(layer, key=k) for layer, k in zip(gradient, keys, strict=True)]


@functools.lru_cache(maxsize=4)
def _steps(model: Model, defence: str) -> Any:
    """Return a compiled step and an evaluation: both are called from Python, as convolutions on a CPU ask."""
    quantizer = parse_gradient(defence)
    moves = optax.sgd(RATE, momentum=MOMENTUM)

    def mean_loss(layers, features, targets):
        return jnp.mean(model.losses(layers, features, targets))

    @jax.jit
    def step(layers, state, features, targets, key):
        loss, gradient = jax.value_and_grad(mean_loss)(layers, features, targets)
        updates, state = moves.update(quantized(quantizer, gradient, key), state, layers)
        return optax.apply_updates(layers, updates), state, loss

    @jax.jit
    def evaluate(layers, features, targets):
        outputs = model.predict(layers, features)
        return jnp.mean(model.of_outputs(outputs, targets)), jnp.mean(outputs.argmax(axis=-1) == targets)

    return moves.init, step, evaluate


def curve(settings: Settings, task: str, defence: str, store: Store) -> dict[str, np.ndarray]:
    """Train LeNet on quantized gradients: loss and test accuracy after each epoch, ``(runs, epochs + 1)``.

    Runs differ in initial point, order and rounding; a run's initial point and order are those of every defence.
    """
    name = f"curve-{task}-{defence}"
    kept = store.read(name, ("loss", "accuracy"))
    if kept is not None:
        return kept
    # At most two thirds: accuracy is measured on the others.
    most = 2 * len(splitted(settings, task, MANY)[1]) // 3
    population, pictures, labels, (held, held_labels) = splitted(settings, task, min(settings.trained, most))
    model = models.get("lenet", pictures.shape[1:], population.num_classes)
    init, step, evaluate = _steps(model, defence)
    key, num = jax_key(settings.seed), len(labels)
    batch = min(BATCH, num)
    found = np.full((2, settings.runs, settings.epochs + 1), np.nan)
    for run in range(settings.runs):
        layers = model.initial(jax.random.fold_in(jax.random.fold_in(key, START), run))
        state, noise = init(layers), jax.random.fold_in(jax.random.fold_in(key, NOISE), run)
        found[:, run, 0] = evaluate(layers, held, held_labels)
        rng = np.random.default_rng([settings.seed, ORDER, run])
        for epoch in range(settings.epochs):
            order = rng.permutation(num)[: num // batch * batch].reshape(-1, batch)
            for rows in order:
                noise, now = jax.random.split(noise)
                layers, state, _ = step(layers, state, pictures[rows], labels[rows], now)
            found[:, run, epoch + 1] = evaluate(layers, held, held_labels)
    arrays = {"loss": found[0], "accuracy": found[1]}
    store.write(name, **arrays)
    return arrays
