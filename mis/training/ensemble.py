"""Thousands of networks, each on a random half of one pool, in chunks of bounded memory."""

import functools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import jax
import numpy as np

from mis.models import Model
from mis.numerics.checks import InvalidInput, integer, unmasked
from mis.numerics.seeds import jax_key
from mis.training.compression import Compression
from mis.training.devices import in_one_program, num_devices
from mis.training.learner import Learner
from mis.training.loops import fit_compiled, fit_stepwise

__all__ = [
    "CHUNK",
    "Ensemble",
    "batches_of",
    "initial_points",
    "joined",
    "memberships",
    "train",
    "train_chunk",
]

# Networks per compiled call: memory and the time between two signs of progress are those of one chunk.
CHUNK = 32

# One seed, several streams that must not meet: data are drawn from JAX's stream 1 and from NumPy's ``[seed]``, which
# is also ``[seed, 0, 0]``. So no stream here is 0, and initial points do not have 1.
HALVES, BATCHES, START, TUNING = 1, 2, 2, 3

# On standardised features a weight beyond this fits nothing, and squares of its outputs overflow in float32.
LARGEST = 1e6


@dataclass(frozen=True, kw_only=True)
class Ensemble:
    """Trained networks and what each was trained on.

    Parameters
    ----------
    params
        One array ``(M, rows, channels)`` per layer, see ``mis.models.Layout``; with snapshots ``(M, S, rows,
        channels)``.
    membership
        Which pool examples each network was trained on, shape ``(M, N)``.
    indices
        The number of each network within its seed, shape ``(M,)``: what names it.
    """

    params: list[np.ndarray]
    membership: np.ndarray
    indices: np.ndarray

    @property
    def diverged(self) -> np.ndarray:
        """Which networks hold a weight that is not finite or beyond a million, shape ``(M,)``."""
        return ~np.all([(np.abs(p) <= LARGEST).reshape(len(p), -1).all(axis=1) for p in self.params], axis=0)

    def __getitem__(self, keep: np.ndarray) -> "Ensemble":
        return Ensemble(
            params=[p[keep] for p in self.params],
            membership=self.membership[keep],
            indices=self.indices[keep],
        )


def joined(parts: Sequence[Ensemble]) -> Ensemble:
    """Return the networks of all parts as one ensemble, in order."""
    return Ensemble(
        params=[np.concatenate(layers) for layers in zip(*[p.params for p in parts], strict=True)],
        membership=np.concatenate([p.membership for p in parts]),
        indices=np.concatenate([p.indices for p in parts]),
    )


def memberships(seed: int, indices: np.ndarray, num_pool: int) -> np.ndarray:
    """Return for each network the random half of the pool it is trained on, bool ``(M, num_pool)``.

    A function of the seed and the network's number alone, so that chunks, shards and longer runs agree.

    Examples
    --------
    >>> memberships(0, np.arange(3), 10).sum(axis=1)
    array([5, 5, 5])
    """
    halves = np.zeros((len(indices), num_pool), dtype=bool)
    for row, index in zip(halves, indices, strict=True):
        row[np.random.default_rng([seed, int(index), HALVES]).permutation(num_pool)[: num_pool // 2]] = True
    return halves


def batches_of(
    seed: int, index: int, members: np.ndarray, learner: Learner, stream: int = BATCHES
) -> np.ndarray:
    """Return which examples each step takes, ``(steps, batch)``: every epoch its members in a fresh order."""
    epochs = -(-learner.num_steps * learner.batch_size // len(members))
    order = np.random.default_rng([seed, index, stream]).permuted(np.tile(members, (epochs, 1)), axis=1)
    rows = order.ravel()[: learner.num_steps * learner.batch_size].reshape(
        learner.num_steps, learner.batch_size
    )
    return rows.astype(np.int32)


@functools.partial(jax.jit, static_argnames="model")
def _init(key, number, *, model):
    return model.initial(jax.random.fold_in(key, number))


def initial_points(seed: int, indices: np.ndarray, model: Model, learner: Learner) -> list[np.ndarray]:
    """Return the initial points of these networks by layer, drawn one by one: a mapped draw compiles for seconds."""
    key = jax.random.fold_in(jax_key(seed), START)
    numbers = [0] if learner.initialisation == "fixed" else [int(i) + 1 for i in indices]
    points = [_init(key, np.uint32(number), model=model) for number in numbers]
    layers = [np.stack(layer) for layer in zip(*points, strict=True)]
    return [np.broadcast_to(layer, (len(indices), *layer.shape[1:])) for layer in layers]


def train_chunk(
    model: Model,
    learner: Learner,
    features: np.ndarray,
    targets: np.ndarray,
    *,
    seed: int,
    indices: np.ndarray,
    num_snapshots: int = 0,
    begin: Sequence[np.ndarray] | None = None,
    tuning: Compression | None = None,
    rewound: Sequence[np.ndarray] | None = None,
) -> Ensemble:
    """Train the networks with these numbers, all at once.

    Parameters
    ----------
    model, learner
        What is trained and how.
    features, targets
        The pool, shapes ``(N, ...)`` and ``(N,)``.
    seed
        Fixes the initial point, the halves and the order of the batches. Repeats exactly on one machine.
    indices
        Numbers of the networks, shape ``(M,)``.
    num_snapshots
        If positive, return this many equally spaced iterates of each network, the last iterate among them.
    begin
        Where each network starts, by layer ``(M, rows, channels)``, instead of at an initial point; its batches are
        then others than those it was trained with.
    tuning
        Fine-tuning: ``begin`` is released by this first, and no step leaves what that released.
    rewound
        Values that what survived of ``begin`` is trained from, like ``begin``; what was released as 0 stays 0.

    Returns
    -------
    Ensemble
        On the host, in the order of ``indices``.

    Examples
    --------
    >>> x = np.random.default_rng(0).normal(size=(20, 3)).astype(np.float32)
    >>> learner = Learner(num_steps=5, batch_size=4)
    >>> from mis.models import MLP
    >>> chunk = train_chunk(MLP(input_shape=(3,)), learner, x, x[:, 0], seed=0, indices=np.arange(2))
    >>> [p.shape for p in chunk.params]
    [(2, 4, 32), (2, 33, 1)]
    """
    integer("train_chunk", "num_snapshots", num_snapshots, at_least=0, at_most=learner.num_steps)
    unmasked("train_chunk", "features", features)
    unmasked("train_chunk", "targets", targets)
    if len(features) < 4:
        raise InvalidInput(f"train_chunk: expected a pool of at least 4 examples, got {len(features)}.")
    devices = num_devices()
    padded = np.concatenate([indices, np.repeat(indices[-1:], -len(indices) % devices)])
    membership = memberships(seed, padded, len(features))
    batches = np.stack(
        [
            batches_of(seed, int(i), np.flatnonzero(half), learner, BATCHES if begin is None else TUNING)
            for i, half in zip(padded, membership, strict=True)
        ]
    )
    if begin is None:
        initial = initial_points(seed, padded, model, learner)
    else:
        extra = len(padded) - len(indices)
        initial = [
            np.concatenate([layer, np.repeat(layer[-1:], extra, axis=0)])
            for layer in (*begin, *([] if rewound is None else rewound))
        ]
    fit = fit_compiled if in_one_program(model) else fit_stepwise
    params = fit(
        np.asarray(features, np.float32),
        np.asarray(targets),
        initial,
        batches,
        model=model,
        learner=learner,
        num_snapshots=num_snapshots,
        tuning=tuning,
    )
    keep = slice(0, len(indices))
    return Ensemble(
        params=[np.asarray(p)[keep] for p in params], membership=membership[keep], indices=indices
    )


def train(
    model: Model,
    learner: Learner,
    features: np.ndarray,
    targets: np.ndarray,
    *,
    seed: int,
    num_networks: int,
    chunk: int = CHUNK,
    progress: Callable[[Iterator], Iterator] = lambda chunks: chunks,
) -> Ensemble:
    """Train networks 0 to ``num_networks - 1`` chunk by chunk; arguments as in ``train_chunk``.

    ``progress`` wraps the iterator over chunks. The last chunk is computed whole and cut, so that one shape compiles.
    """
    integer("train", "num_networks", num_networks, at_least=1)
    parts = [
        train_chunk(model, learner, features, targets, seed=seed, indices=np.arange(first, first + chunk))
        for first in progress(iter(range(0, num_networks, chunk)))
    ]
    return joined(parts)[np.arange(num_networks)]
