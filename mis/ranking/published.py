"""Networks as they are released, and what that shows of their outputs and weights."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, partial

import jax
import jax.numpy as jnp
import numpy as np

from mis.attacks import statistics
from mis.numerics.checks import UnsupportedSetting
from mis.numerics.seeds import jax_key
from mis.quantizers import Cell, Channel
from mis.ranking.decoding import CodeTable, cells_of, codes, posterior_mean
from mis.ranking.networks import Networks, rows
from mis.ranking.whitebox import layer_scores
from mis.training import FEW_RUNS, Compression, predict

__all__ = [
    "Published",
    "calibration_examples",
    "decoded_outputs",
    "example_losses",
    "example_scores",
    "publish",
    "release",
    "score_together",
]

# The stream of stochastic rounding: data and initial points have 1 and 2. Within it the keys of iterates count from
# 2**31, those of networks from 0.
ROUNDING, ITERATES = 3, 2**31

# NumPy's stream of calibration examples, apart from those of training.
CALIBRATION = 4


@dataclass(frozen=True, kw_only=True, eq=False)
class Published:
    """What the world sees of all networks under one release.

    Parameters
    ----------
    networks
        The networks.
    compression
        What their matrices went through.
    released
        Their released matrices, by layer ``(M, rows, channels)``.
    channels
        What was fitted to each of the parts that ``compression`` takes them into, with a leading axis over networks.
    cells
        What decoding starts from, by part; None where it adds nothing.
    pool_outputs, heldout_outputs
        What they say, ``(M, N, classes or 1)``.
    candidates
        Outputs of released iterates of a few training runs on the held-out examples, ``(I, N, classes or 1)``.
    """

    networks: Networks
    compression: Compression
    released: list[jax.Array]
    channels: list[Channel]
    cells: list[CodeTable | Channel | None]
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
        """Ends of the cells that the weights of each network were released in, ``(M, P)`` each.

        What a calibrated release says of one weight depends on the others, so it is taken for what it is.
        """
        if self.compression.quantizer.num_calibration:
            return self.params, self.params
        both = zip(self.channels, self._parts(self.released), strict=True)
        seen = [jax.vmap(lambda channel, part: channel.observation(part))(*pair) for pair in both]
        if not all(isinstance(observation, Cell) for observation in seen):
            raise UnsupportedSetting("rank", "where the release is random a weight has no cell.")
        ends = [[np.asarray(getattr(one, end)) for one in seen] for end in ("lower", "upper")]
        layers = [self.compression.joined(self.networks.model, side) for side in ends]
        lower, upper = (np.concatenate([e.reshape(len(e), -1) for e in side], axis=1) for side in layers)
        return lower, upper

    def _parts(self, layers: list) -> list:
        return self.compression.parts(self.networks.model, layers)

    def realised(self) -> dict[str, float]:
        """Return the relative squared error and the entropy of the codes, bits per weight, means over the networks.

        As ``theory.weight_error`` and ``theory.code_entropy`` have them of quantizers that are not calibrated.
        """
        weights = np.concatenate([np.asarray(layer) for layer in self.networks.full], axis=1)
        errors = np.square(self.params - weights).sum(axis=1) / np.square(weights).sum(axis=1)
        entropies = []
        for m in range(len(weights)):
            parts = [part[m] for part in self._parts(self.released)]
            channels = jax.tree.map(lambda leaf, m=m: np.asarray(leaf)[m], self.channels)
            bits = [channel.entropy(part) for channel, part in zip(channels, parts, strict=True)]
            entropies.append(np.average(bits, weights=[part.size for part in parts]))
        return {"weight_error": float(errors.mean()), "code_entropy": float(np.mean(entropies))}

    @property
    def zeros(self) -> float:
        """Share of released weights that are zero."""
        return sum(int(jnp.sum(p == 0.0)) for p in self.released) / sum(p.size for p in self.released)

    @cached_property
    def observed(self) -> list:
        """What each network shows of its weights, by part: their cells' numbers with the cells, or None."""
        both = zip(self._parts(self.released), self.cells, strict=True)
        return [cell and (codes(part, cell), cell) for part, cell in both]

    @cached_property
    def layer_scores(self) -> list[dict[str, np.ndarray]]:
        """Scores from the weights, layer by layer, of each fold; see ``mis.ranking.whitebox``."""
        return layer_scores(self.networks, [self.released])[0]

    def decoded_outputs(self, is_shadow: np.ndarray) -> np.ndarray:
        """Return what the networks say that the released codes let an attacker with these shadows expect."""
        return decoded_outputs([self], is_shadow)


def decoded_outputs(published: Sequence[Published], is_shadow: np.ndarray) -> np.ndarray:
    """Return what the networks say that several releases of them, seen together, let an attacker expect.

    Raises
    ------
    UnsupportedSetting
        Where they cannot be decoded together: releases of other networks, or cells beside random releases.
    """
    first = published[0]
    if any(one.networks is not first.networks for one in published):
        raise UnsupportedSetting("rank", "the releases are not of the same trained weights.")
    if any(not one.compression.parts_as(first.compression) for one in published):
        raise UnsupportedSetting("rank", "the releases treat vectors, or the ends, differently.")
    as_it_is = [one for one in published if not any(one.observed)]
    if as_it_is:
        return as_it_is[0].pool_outputs
    # Every part of the matrices, by all releases of it; one of them as it is leaves nothing to decode.
    full = first._parts(first.networks.layers)
    of_part = zip(
        full, *(zip(one._parts(one.released), one.observed, strict=True) for one in published), strict=True
    )
    guess = []
    for weights, *releases in of_part:
        exact = [part for part, seen in releases if not seen]
        seen = [seen for _, seen in releases]
        guess.append(exact[0] if exact else posterior_mean(weights, seen, jnp.asarray(is_shadow)))
    layers = first.compression.joined(first.networks.model, guess)
    return predict(first.networks.model, layers, first.networks.split.pool.features)


def score_together(published: Sequence[Published]) -> None:
    """Compute the layer scores of several releases now, in one pass over the gradients of their networks."""
    for networks in {id(one.networks): one.networks for one in published}.values():
        of_them = [one for one in published if one.networks is networks]
        found = layer_scores(networks, [one.released for one in of_them])
        for one, scores in zip(of_them, found, strict=True):
            # Where the cached property would put them.
            vars(one)["layer_scores"] = scores


def publish(networks: Networks, compression: Compression, source: str = "members") -> Published:
    """Release all networks and their iterates, and ask them about the pool and the held-out examples."""
    num = len(networks.full[0])
    batches, channels, cells = release(networks, compression, source)
    released, channels, cells = _first((batches, channels, cells), num=num)
    pool, heldout = networks.split.pool, networks.split.heldout
    features = np.concatenate([pool.features, heldout.features])
    said = predict(networks.model, released, features)
    pool_outputs, heldout_outputs = np.split(said, [len(pool.features)], axis=1)
    return Published(
        networks=networks,
        compression=compression,
        released=released,
        channels=channels,
        cells=cells,
        pool_outputs=pool_outputs,
        heldout_outputs=heldout_outputs,
        candidates=predict(networks.model, [layer[num:] for layer in batches], heldout.features),
    )


@partial(jax.jit, static_argnames=("compression", "model"), compiler_options=FEW_RUNS)
def _quantize(layers, keys, examples, features, *, compression, model):
    def one(item):
        params, key, rows = item
        channels = compression.fit(model, params, None if rows is None else features[rows])
        parts = compression.parts(model, params)
        each = zip(channels, parts, jax.random.split(key, len(parts)), strict=True)
        released = [channel.apply(part, key=key) for channel, part, key in each]
        return compression.joined(model, released), channels, [cells_of(channel) for channel in channels]

    # One at a time stays in the cache and compiles in half the time.
    return jax.lax.map(one, (layers, keys, examples))


def release(
    networks: Networks, compression: Compression, source: str = "members"
) -> tuple[list[jax.Array], list[Channel], list[CodeTable | Channel | None]]:
    """Quantize every network and iterate, as ``quantizers.quantize`` does.

    Return by layer what was released, and by part what was fitted and what decoding starts from.

    Stochastic rounding has one key per network, whatever the others are. A calibrated quantizer sees examples of a
    source, of each network those drawn from the seed and its number; see ``Release.source``.
    """
    start = jax.random.fold_in(jax_key(networks.spec.seed), ROUNDING)
    num_iterates = len(networks.batches[0]) - len(networks.full[0])
    numbers = np.concatenate([networks.ensemble.indices, ITERATES + np.arange(num_iterates)])
    keys = jax.vmap(lambda i: jax.random.fold_in(start, i))(jnp.asarray(numbers, jnp.uint32))
    count = compression.quantizer.num_calibration
    examples = jnp.asarray(calibration_examples(networks, count, source)) if count else None
    of_source = networks.split.heldout if source == "heldout" else networks.split.pool
    features = jnp.asarray(of_source.features) if count else None
    return _quantize(
        networks.batches, keys, examples, features, compression=compression, model=networks.model
    )


def calibration_examples(networks: Networks, count: int, source: str) -> np.ndarray:
    """Return which examples each network, then each iterate, is calibrated on, ``(M + R * S, count)``.

    Numbers in the pool, of the source ``heldout`` in the examples outside it.
    """

    def eligible(members):
        return {"members": members, "nonmembers": ~members}.get(
            source, np.ones(len(networks.split.heldout), bool)
        )

    def rows(ensemble):
        both = zip(ensemble.indices, ensemble.membership, strict=True)
        drawn = [(np.random.default_rng([networks.spec.seed, int(i), CALIBRATION]), m) for i, m in both]
        return np.stack([rng.permutation(np.flatnonzero(eligible(m)))[:count] for rng, m in drawn])

    snapshots = networks.trajectories.params[0].shape[1]
    return np.concatenate(
        [rows(networks.ensemble), np.repeat(rows(networks.trajectories), snapshots, axis=0)]
    )


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
