"""Functions and values: networks as they are released, and what that shows of their outputs and weights."""

from dataclasses import dataclass
from functools import cached_property, partial

import jax
import jax.numpy as jnp
import numpy as np

from mis.attacks import statistics
from mis.numerics.checks import UnsupportedSetting
from mis.numerics.seeds import jax_key
from mis.quantizers import Cell, Channel, Quantizer
from mis.ranking.decoding import Cells, cells_of, codes, posterior_mean
from mis.ranking.networks import Networks, rows
from mis.training import FEW_RUNS, predict

__all__ = ["Published", "example_losses", "example_scores", "publish", "release"]

# The stream of stochastic rounding: data and initial points have 1 and 2. Within it the keys of iterates count from
# 2**31, those of networks from 0.
ROUNDING, ITERATES = 3, 2**31


@dataclass(frozen=True, kw_only=True, eq=False)
class Published:
    """What the world sees of all networks under one release.

    Parameters
    ----------
    networks
        The networks.
    released
        Their released matrices, by layer ``(M, rows, channels)``.
    channels
        What was fitted to them, by layer, with a leading axis over the networks.
    cells
        What decoding starts from, by layer; None where it adds nothing.
    pool_outputs, heldout_outputs
        What they say, ``(M, N, classes or 1)``.
    candidates
        Outputs of released iterates of a few training runs on the held-out examples, ``(I, N, classes or 1)``.
    """

    networks: Networks
    released: list[jax.Array]
    channels: list[Channel]
    cells: list[Cells | Channel | None]
    pool_outputs: np.ndarray
    heldout_outputs: np.ndarray
    candidates: np.ndarray

    @cached_property
    def losses(self) -> np.ndarray:
        """Losses of the pool's examples, ``(M, N)``."""
        return example_losses(self.pool_outputs, self.networks.split.pool.targets)

    @cached_property
    def scores(self) -> np.ndarray:
        """LiRA's statistic of the pool's examples, ``(M, N)``."""
        return example_scores(self.pool_outputs, self.networks.split.pool.targets)

    @cached_property
    def params(self) -> np.ndarray:
        """Released parameters of each network in a row, ``(M, P)``."""
        return np.concatenate([np.asarray(layer) for layer in rows(self.released)], axis=1)

    @cached_property
    def bounds(self) -> tuple[np.ndarray, np.ndarray]:
        """Ends of the cells that the weights of each network were released in, ``(M, P)`` each."""
        both = zip(self.channels, self.released, strict=True)
        seen = [jax.vmap(lambda channel, layer: channel.observation(layer))(*pair) for pair in both]
        if not all(isinstance(observation, Cell) for observation in seen):
            raise UnsupportedSetting("rank", "where the release is random a weight has no cell.")
        ends = [[np.asarray(getattr(one, end)) for one in seen] for end in ("lower", "upper")]
        lower, upper = (np.concatenate([e.reshape(len(e), -1) for e in side], axis=1) for side in ends)
        return lower, upper

    @property
    def zeros(self) -> float:
        """Share of released weights that are zero."""
        return sum(int(jnp.sum(p == 0.0)) for p in self.released) / sum(p.size for p in self.released)

    @cached_property
    def _seen(self) -> list:
        """What each network shows of its weights: their cells' numbers with the cells, or nothing beside them."""
        both = zip(self.released, self.cells, strict=True)
        return [cell and (codes(layer, cell), cell) for layer, cell in both]

    def decoded_outputs(self, is_shadow: np.ndarray) -> np.ndarray:
        """Return what the networks say that the released codes let an attacker with these shadows expect."""
        if not any(self._seen):
            return self.pool_outputs
        guess = [
            posterior_mean(full, *seen, jnp.asarray(is_shadow)) if seen else layer
            for layer, full, seen in zip(self.released, self.networks.layers, self._seen, strict=True)
        ]
        return predict(self.networks.model, guess, self.networks.split.pool.features)


def publish(networks: Networks, quantizer: Quantizer) -> Published:
    """Release all networks and their iterates, and ask them about the pool and the held-out examples."""
    num = len(networks.full[0])
    batches, channels, cells = release(networks, quantizer)
    released, channels, cells = _first((batches, channels, cells), num=num)
    pool, heldout = networks.split.pool, networks.split.heldout
    features = np.concatenate([pool.features, heldout.features])
    said = predict(networks.model, released, features)
    pool_outputs, heldout_outputs = np.split(said, [len(pool.features)], axis=1)
    return Published(
        networks=networks,
        released=released,
        channels=channels,
        cells=cells,
        pool_outputs=pool_outputs,
        heldout_outputs=heldout_outputs,
        candidates=predict(networks.model, [layer[num:] for layer in batches], heldout.features),
    )


@partial(jax.jit, static_argnames="quantizer", compiler_options=FEW_RUNS)
def _quantize(layers, keys, *, quantizer):
    def one(item):
        params, key = item
        keys = jax.random.split(key, len(params))
        channels = [quantizer.fit(layer) for layer in params]
        each = zip(channels, params, keys, strict=True)
        released = [channel.apply(layer, key=key) for channel, layer, key in each]
        return released, channels, [cells_of(channel) for channel in channels]

    # One at a time stays in the cache and compiles in half the time.
    return jax.lax.map(one, (layers, keys))


def release(
    networks: Networks, quantizer: Quantizer
) -> tuple[list[jax.Array], list[Channel], list[Cells | Channel | None]]:
    """Quantize every network and iterate, as ``quantizers.quantize`` does.

    Return by layer what was released, what was fitted, and what decoding starts from.

    Stochastic rounding has one key per network, whatever the others are.
    """
    start = jax.random.fold_in(jax_key(networks.spec.seed), ROUNDING)
    num_iterates = len(networks.batches[0]) - len(networks.full[0])
    numbers = np.concatenate([networks.ensemble.indices, ITERATES + np.arange(num_iterates)])
    keys = jax.vmap(lambda i: jax.random.fold_in(start, i))(jnp.asarray(numbers, jnp.uint32))
    return _quantize(networks.batches, keys, quantizer=quantizer)


@partial(jax.jit, static_argnames="num")
def _first(tree, *, num):
    """Leave the iterates out; compiled once, not array by array."""
    return jax.tree.map(lambda leaf: leaf[:num], tree)


def example_losses(outputs: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """Return the loss of each example, ``(M, N)``: nats, or the squared error."""
    if outputs.shape[-1] == 1:
        return -statistics.negative_squared_error(outputs[..., 0], targets)
    return -statistics.log_likelihood(outputs, targets)


def example_scores(outputs: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """Return LiRA's statistic, ``(M, N)``: log-odds, or the residual with its sign, which the loss throws away."""
    if outputs.shape[-1] == 1:
        return statistics.signed_residual(outputs[..., 0], targets)
    return statistics.logit_confidence(outputs, targets)
