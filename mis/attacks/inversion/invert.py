"""Reconstruct images and labels from released gradients, many problems in one compiled step."""

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from mis.attacks.inversion.gradients import WHERE, check_batch, check_gradient, classifier, soft_gradient
from mis.attacks.inversion.methods import LBFGS, Method, State
from mis.attacks.inversion.target import Target, cosine_distance, misfit, rounded_misfit
from mis.models import Model
from mis.numerics.checks import InvalidInput, integer, known, number, refuse

__all__ = ["DISTANCES", "Objective", "Reconstruction", "invert"]

DISTANCES = {"misfit": misfit, "rounded": rounded_misfit, "cosine": cosine_distance}
# Calls between two looks at who is done, and problems that one call works on.
CHUNK, WIDTH = 16, 64
# Softmax of this and zeros is one and zeros in float32.
CERTAIN = 40.0


@dataclass(frozen=True, kw_only=True)
class Objective:
    """What the attacker minimises.

    Parameters
    ----------
    distance
        ``misfit`` (squares, cells, likelihoods, as the target says), ``rounded`` (straight-through quantization of
        the dummy gradient) or ``cosine``.
    variation
        Weight of the mean absolute difference of neighbouring pixels.
    """

    distance: str = "misfit"
    variation: float = 0.0

    def __post_init__(self):
        known("Objective", "distance", self.distance, DISTANCES)
        if number("Objective", "variation", self.variation) < 0:
            raise refuse("Objective", "variation", ">= 0", self.variation)

    def of(self, model: Model, layers: Sequence[Any], target: Target, free: Any, point: "Dummy") -> jax.Array:
        """Return its value at a dummy; where ``free`` is 0 the labels stay as they are."""
        logits = free * point.logits + (1 - free) * jax.lax.stop_gradient(point.logits)
        gradient = soft_gradient(model, layers, point.images, jax.nn.softmax(logits))
        value = DISTANCES[self.distance](target, gradient)
        return value + self.variation * total_variation(point.images) if self.variation else value


class Dummy(NamedTuple):
    """What is optimised: images ``(B, ...)`` and the logits of soft labels ``(B, classes)``."""

    images: Any
    logits: Any


class Problem(NamedTuple):
    """What one attack is given: the network's matrices, the target, and whether labels are to be found."""

    layers: list[Any]
    target: Target
    free: Any


@dataclass(frozen=True, kw_only=True)
class Reconstruction:
    """What attacks found; N problems, in the order they were given.

    Parameters
    ----------
    images, labels
        ``(N, B, ...)`` and soft labels ``(N, B, classes)``: the dummy with the least objective.
    objective
        That value, ``(N,)``: all that the attacker knows of his success.
    iterations, evaluations
        Steps taken, and gradients of the objective, ``(N,)``.
    converged
        Whether the objective reached the tolerance, ``(N,)``.
    trace
        The objective after each iteration, ``(N, steps + 1)``; NaN after the last.
    """

    images: np.ndarray
    labels: np.ndarray
    objective: np.ndarray
    iterations: np.ndarray
    evaluations: np.ndarray
    converged: np.ndarray
    trace: np.ndarray


def total_variation(images: jax.Array) -> jax.Array:
    """Return the mean absolute difference of neighbouring pixels of images ``(B, H, W, C)``; 0 of other features."""
    if images.ndim != 4:
        return jnp.zeros(())
    return jnp.abs(jnp.diff(images, axis=1)).mean() + jnp.abs(jnp.diff(images, axis=2)).mean()


def invert(
    model: Model,
    layers: Sequence[Any],
    target: Target,
    start: Any,
    *,
    labels: Any = None,
    method: Method | None = None,
    objective: Objective | None = None,
    width: int = WIDTH,
    progress: Callable[[int, int], None] | None = None,
) -> Reconstruction:
    """Attack released gradients: find images and labels whose gradient matches.

    Problems are worked on ``width`` at a time by one compiled step that Python calls; one that is done leaves, and the
    next takes its place. What a problem finds does not depend on the others.

    Parameters
    ----------
    model
        A network that classifies.
    layers
        Its matrices in each problem, known to the attacker, by layer ``(N, rows, channels)``.
    target
        Of N problems, as ``stack`` makes it.
    start
        Dummy images to begin with, ``(N, B, ...)`` with B in 1..8.
    labels
        Classes ``(N, B)`` where they are known or inferred (iDLG); otherwise soft labels are found too (DLG), from
        logits of zero.
    method
        ``LBFGS`` or ``Adam``.
    objective
        What is minimised; by default the target's misfit.
    width
        Problems at a time.
    progress
        Called with the number of problems done, and of all.

    Returns
    -------
    Reconstruction

    Raises
    ------
    InvalidInput
        Shapes that do not fit together, a gradient that is NaN or zero throughout, a batch of more than 8 images.

    References
    ----------
    Zhu, Liu, Han (2019), Deep leakage from gradients, arXiv:1906.08935. Zhao, Mopuri, Bilen (2020), iDLG,
    arXiv:2001.02610. Geiping et al. (2020), Inverting gradients, arXiv:2003.14053.
    """
    classes = classifier(model)
    method, objective = method or LBFGS(), objective or Objective()
    integer(WHERE, "width", width, at_least=1)
    images = np.asarray(start, np.float32)
    if images.ndim < 2 or images.shape[2:] != model.input_shape:
        raise InvalidInput(
            f"{WHERE}: expected start of shape (N, B, *{model.input_shape}), got {images.shape}."
        )
    num, batch = images.shape[:2]
    check_batch(batch)
    if len(check_gradient(model, target.centre)[0]) != num or np.shape(layers[0])[0] != num:
        raise InvalidInput(f"{WHERE}: expected {num} targets and networks, one for each start.")
    if objective.distance == "rounded" and not all(np.shape(rows)[-1] for rows in target.levels):
        raise InvalidInput(f"{WHERE}: expected a release on levels for distance='rounded'; use 'misfit'.")
    if objective.distance != "rounded":
        # Of no use, and their number would be another program's.
        target = replace(target, levels=[np.zeros((num, 0), np.float32)] * len(target.levels))
    logits = np.zeros((num, batch, classes), np.float32)
    if labels is not None:
        logits = CERTAIN * np.eye(classes, dtype=np.float32)[_classes(labels, (num, batch), classes)]
    free = np.full(num, labels is None, np.float32)
    problems = Problem([np.asarray(layer, np.float32) for layer in layers], target, free)
    width = min(width, num)
    begin, step = _compiled(model, method, objective)
    found: list[State | None] = [None] * num
    for rows, state in _worked(begin, step, method, problems, Dummy(images, logits), width):
        for row, one in zip(rows, state, strict=True):
            found[row] = one
        if progress is not None:
            progress(sum(one is not None for one in found), num)
    return _collected(method, found)


def _worked(begin, step, method, problems, dummies, width):
    """Yield rows that are done and their states, as they are: places that fall free take the next problems."""
    num = len(dummies.images)
    place = np.arange(width)
    waiting = iter(range(width, num))
    open_ = np.ones(width, bool)

    def taken(tree):
        return jax.tree.map(lambda array: jnp.asarray(array[place]), tree)

    given, state = taken(problems), begin(taken(dummies))
    while open_.any():
        for _ in range(CHUNK):
            state = step(given, state)
        ended = np.asarray(jax.vmap(method.done)(state)) & open_
        if not ended.any():
            continue
        ours = np.flatnonzero(ended)
        kept = jax.tree.map(np.asarray, state._replace(kept=()))
        yield place[ours], [jax.tree.map(lambda array, i=i: array[i], kept) for i in ours]
        following = [next(waiting, None) for _ in ours]
        for where, row in zip(ours, following, strict=True):
            open_[where] = row is not None
            place[where] = place[where] if row is None else row
        fresh = np.zeros(width, bool)
        fresh[ours] = open_[ours]
        if fresh.any():
            given = taken(problems)
            state = _renewed(jnp.asarray(fresh), begin(taken(dummies)), state)


@jax.jit
def _renewed(fresh, new, old):
    return jax.vmap(lambda f, a, b: jax.tree.map(lambda x, y: jnp.where(f, x, y), a, b))(fresh, new, old)


@functools.lru_cache(maxsize=16)
def _compiled(model: Model, method: Method, objective: Objective) -> tuple[Callable, Callable]:
    def one(problem, state):
        return method.step(functools.partial(objective.of, model, *problem), state)

    return jax.jit(jax.vmap(method.start)), jax.jit(jax.vmap(one))


def _classes(labels: Any, shape: tuple[int, ...], classes: int) -> np.ndarray:
    labels = np.asarray(labels)
    if labels.shape != shape or labels.dtype.kind not in "iu" or labels.min() < 0 or labels.max() >= classes:
        raise InvalidInput(
            f"{WHERE}: expected labels integers in 0..{classes - 1} of shape {shape}, one for each image of a batch, "
            f"got shape {labels.shape}."
        )
    return labels


def _collected(method: Method, found: Sequence[Any]) -> Reconstruction:
    logits = np.stack([state.best.logits for state in found])
    return Reconstruction(
        images=np.stack([state.best.images for state in found]),
        labels=np.asarray(jax.nn.softmax(logits)),
        objective=np.array([state.least for state in found]),
        iterations=np.array([state.iterations for state in found]),
        evaluations=np.array([state.evaluations for state in found]),
        converged=np.array([state.least <= method.tolerance for state in found]),
        trace=np.stack([state.trace for state in found]),
    )
