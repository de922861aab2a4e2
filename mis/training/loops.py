"""The steps of many networks, as one compiled program or as one compiled step called from Python."""

import functools
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
import optax

from mis.models import Model
from mis.quantizers import Quantizer
from mis.training.compression import Compression
from mis.training.devices import convolution_options, in_turns, over_networks
from mis.training.learner import Learner

__all__ = ["fit_compiled", "fit_stepwise", "steps_at_once"]

# Bytes of features fetched at once: one gather for several steps costs less than one a step, while they fit the cache.
FETCH = 2**19


def _step(model: Model, learner: Learner, tuning: Compression | None) -> Callable:
    """Return one step: ``((trained, state, begun), examples) -> (trained, state, begun)``."""
    transformation, loss = learner.transformation(), _loss(model, learner.forward)
    only_trained = model.only_trained
    if (forward := _learning(learner)) is not None:
        # What is learned beside the weights has no statistics in it.
        loss = _learned_loss(model, forward)

        def only_trained(updates):
            return model.only_trained(updates[0]), updates[1]

    def step(carry, examples):
        trained, state, begun = carry
        gradients, moved = jax.grad(loss, has_aux=True)(trained, *examples)
        if tuning is not None:
            gradients = model.start(tuning.follow(model, begun, model.finish(gradients)))
        updates, state = transformation.update(gradients, state, trained)
        return optax.apply_updates(moved, only_trained(updates)), state, begun

    return step


def _loss(model: Model, forward: Compression | None) -> Callable:
    """Return the loss of a batch at what is trained, or at what that is once it went through ``forward``."""
    if forward is None:
        return model.training_loss

    def loss(trained, features, targets):
        layers = model.finish(trained)
        released, smooth = model.start(forward.through(model, layers)), trained
        if type(forward.quantizer).differentiable is not Quantizer.differentiable:
            smooth = model.start(forward.differentiable(model, layers))
            # Running statistics go through nothing: no step depends on them.
            bends = model.only_trained(jax.tree.map(jnp.subtract, smooth, trained))
            smooth = jax.tree.map(jnp.add, trained, bends)
        moves = model.only_trained(jax.tree.map(jnp.subtract, released, smooth))
        used = jax.tree.map(lambda value, move: value + jax.lax.stop_gradient(move), smooth, moves)
        value, moved = model.training_loss(used, features, targets)
        return value, jax.tree.map(lambda old, new, before: old + (new - before), trained, moved, used)

    return loss


def _learning(learner: Learner) -> Compression | None:
    """Return what weights go through while training where that learns numbers beside them, else None."""
    return learner.forward if learner.forward is not None and learner.forward.quantizer.learns else None


def _learned_loss(model: Model, forward: Compression) -> Callable:
    """Return the loss of a batch at what weights, and the numbers trained beside them, are released as."""

    def loss(trained, features, targets):
        weights, numbers = trained
        released = model.start(forward.learned(model, model.finish(weights), numbers))
        moves = model.only_trained(jax.tree.map(jnp.subtract, released, weights))
        used = jax.tree.map(jnp.add, weights, moves)
        value, moved = model.training_loss(used, features, targets)
        return value, (
            jax.tree.map(lambda old, new, before: old + (new - before), weights, moved, used),
            numbers,
        )

    return loss


def _finish(model: Model, learner: Learner) -> Callable:
    """Return what makes matrices of what was trained: the released ones, where numbers were learned beside them."""
    forward = _learning(learner)
    if forward is None:
        return model.finish

    def finish(trained):
        weights, numbers = trained
        return forward.learned(model, model.finish(weights), numbers)

    return finish


def _begin(model: Model, learner: Learner, tuning: Compression | None, layers: list) -> tuple:
    """Return what is trained at its start, the optimiser's state, and where fine-tuning began."""
    begun = None
    if tuning is not None:
        count = len(model.shapes)
        rewound = layers[count:]
        begun = tuning.begin(model, layers[:count])
        layers = tuning.joined(model, begun[1])
        if rewound:
            layers = [jnp.where(layer == 0, 0, value) for layer, value in zip(layers, rewound, strict=True)]
    trained = model.start(layers)
    if (forward := _learning(learner)) is not None:
        trained = trained, forward.numbers(model, layers)
    return trained, learner.transformation().init(trained), begun


def steps_at_once(num_steps: int, step_bytes: int) -> int:
    """Return how many steps' examples to fetch at once: the largest divisor of the steps that ``FETCH`` holds."""
    most = max(1, FETCH // step_bytes)
    return max(d for d in range(1, min(most, num_steps) + 1) if num_steps % d == 0)


@functools.partial(jax.jit, static_argnames=("model", "learner", "num_snapshots", "tuning"))
def fit_compiled(features, targets, initial, batches, *, model, learner, num_snapshots, tuning=None):
    """Train networks in one program.

    Parameters
    ----------
    features, targets
        The pool, shapes ``(N, ...)`` and ``(N,)``.
    initial
        Initial points by layer, ``(M, rows, channels)``; M a multiple of the number of devices. After them what
        survives fine-tuning's release goes back to, if it does.
    batches
        Rows of the pool that each step takes, ``(M, steps, batch)``.
    model, learner
        What is trained and how.
    num_snapshots
        0 returns the last iterates only.
    tuning
        Fine-tuning: the initial points are released by this first, and the steps do not leave what it released.

    Returns
    -------
    list of array
        By layer ``(M, rows, channels)``, or ``(M, num_snapshots, rows, channels)``.
    """
    step, finish = _step(model, learner, tuning), _finish(model, learner)

    def one(features, targets, layers, batches):
        def block(carry, rows):
            examples = (features[rows], targets[rows])
            return jax.lax.scan(lambda carry, some: (step(carry, some), None), carry, examples)[0], None

        def stretch(carry, rows):
            at_once = steps_at_once(len(rows), 4 * rows.shape[1] * int(np.prod(features.shape[1:])))
            carry, _ = jax.lax.scan(block, carry, rows.reshape(-1, at_once, rows.shape[1]))
            return carry, carry[0] if num_snapshots else None

        carry = _begin(model, learner, tuning, layers)
        first = _first_stretch(len(batches), num_snapshots)
        if first:
            carry, _ = stretch(carry, batches[:first])
        stretches = batches[first:].reshape(max(num_snapshots, 1), -1, batches.shape[1])
        (trained, *_), snapshots = jax.lax.scan(stretch, carry, stretches)
        return jax.vmap(finish)(snapshots) if num_snapshots else finish(trained)

    return over_networks(one, 2)(jnp.asarray(features), jnp.asarray(targets), initial, batches)


def _first_stretch(num_steps: int, num_snapshots: int) -> int:
    """Return the steps that do not divide into stretches; they go first: the last snapshot is the last iterate."""
    return num_steps % max(num_snapshots, 1)


def fit_stepwise(features, targets, initial, batches, *, model, learner, num_snapshots, tuning=None):
    """Train networks one after another by one compiled step, a thread a device; as ``fit_compiled``, on the host."""
    start, step, finish = _compiled_step(model, learner, tuning)
    features, targets = np.asarray(features), np.asarray(targets)

    def one(m):
        layers = [layer[m] for layer in initial]
        x, y = jnp.asarray(features), jnp.asarray(targets)
        return _one_by_one(start, step, finish, x, y, layers, batches[m], num_snapshots)

    return [np.stack(layer) for layer in zip(*in_turns(one, len(batches)), strict=True)]


@functools.lru_cache(maxsize=8)
def _compiled_step(model, learner, tuning):
    step = _step(model, learner, tuning)

    @jax.jit
    def start(layers):
        return _begin(model, learner, tuning, layers)

    @functools.partial(jax.jit, donate_argnums=0, compiler_options=convolution_options())
    def on_rows(carry, features, targets, rows):
        return step(carry, (features[rows], targets[rows]))

    # Of no numbers beside the weights only reshapes, too small to compile.
    finish = _finish(model, learner)
    return start, on_rows, finish if _learning(learner) is None else jax.jit(finish)


def _one_by_one(start, step, finish, features, targets, layers, batches, num_snapshots):
    carry = start(layers)
    first = _first_stretch(len(batches), num_snapshots)
    length = (len(batches) - first) // max(num_snapshots, 1)
    kept = []
    for count, rows in enumerate(batches, start=1):
        carry = step(carry, features, targets, rows)
        if num_snapshots and count > first and (count - first) % length == 0:
            # To the host at once: the next step reuses the memory.
            kept.append([np.asarray(layer) for layer in finish(carry[0])])
    if num_snapshots:
        return [np.stack(layer) for layer in zip(*kept, strict=True)]
    return [np.asarray(layer) for layer in finish(carry[0])]
