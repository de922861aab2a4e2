"""Gradients of real examples over rounds of training, their releases, the attack on membership in them."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from scipy import stats

from mis import attacks, models
from mis.numerics.seeds import jax_key
from mis.quantizers import StochasticGrid
from mis.quantizers.channels import Channel
from mis.quantizers.gradients import parse_gradient
from mis.results import Interval
from mis.training import mean_gradients
from mis.works.leakage.attacked import splitted
from mis.works.leakage.settings import Settings

__all__ = ["MEMBERS", "Rounds", "assumptions", "attacked", "pairs", "public", "rounds_of"]

# Examples that gradients are taken of, and in each mean; units of the network; side of the averaged pictures.
POOL, MEMBERS, WIDTH, SIDE = 768, 64, 8, 8
# Releases under attack, and those that the attacker makes himself; means that are tested for normality.
RELEASES, SHADOWS, TESTED = 100, 400, 400
RATE = 0.5
# A public scale, as a multiple of what one batch would fit.
ROOM = 1.5
# A coordinate this much smaller than its layer does not move: blank pixels.
STILL = 1e-6
START = 32


class Rounds(NamedTuple):
    """Gradients of a pool at each round's parameters, ``(T, N, d)``; which layer each coordinate is of, ``(d,)``."""

    gradients: np.ndarray
    layer: np.ndarray

    def first(self, several: int) -> "Rounds":
        """Return the first rounds alone."""
        return Rounds(self.gradients[:several], self.layer)

    def means(self, rows: np.ndarray) -> np.ndarray:
        """Return means over members, ``(T, M, d)``, of M sets of rows ``(M, MEMBERS)``."""
        chosen = np.zeros((len(rows), self.gradients.shape[1]))
        np.put_along_axis(chosen, rows, 1 / rows.shape[1], axis=1)
        return np.einsum("mn,tnd->tmd", chosen, self.gradients, optimize=True)

    def drawn(self, num: int, size: int, rng: np.random.Generator) -> np.ndarray:
        """Return sets of ``size`` rows of the pool without replacement, ``(num, size)``."""
        return np.stack([rng.choice(self.gradients.shape[1], size, replace=False) for _ in range(num)])


def rounds_of(settings: Settings, task: str) -> Rounds:
    """Return the gradients of the pool's examples along gradient descent on its mean loss.

    The network is an MLP of 8 hidden units on pictures averaged down to at most 8 x 8: every coordinate counts in a
    product. Its parameters are public in each round, and do not depend on who is a member.
    """
    population, pictures, labels, _ = splitted(settings, task, POOL)
    small = _averaged_down(pictures)
    model = models.MLP(input_shape=small.shape[1:], num_classes=population.num_classes, width=WIDTH)
    layers = model.initial(jax.random.fold_in(jax_key(settings.seed), START))
    found = []
    for _ in range(settings.rounds):
        each = mean_gradients(model, [layer[None] for layer in layers], small, labels)
        found.append(np.concatenate([np.asarray(layer, np.float64) for layer in each], axis=1))
        layers = [
            layer - RATE * jnp.asarray(g).mean(axis=0).reshape(layer.shape)
            for layer, g in zip(layers, each, strict=True)
        ]
    gradients = np.stack(found)
    layer = np.repeat(np.arange(len(each)), [g.shape[1] for g in each])
    moves = (gradients.std(axis=1) > STILL * gradients.std(axis=1).max()).all(axis=0)
    return Rounds(gradients[:, :, moves], layer[moves])


def _averaged_down(pictures: np.ndarray) -> np.ndarray:
    """Return pictures averaged over squares to at most 8 x 8 pixels, in one row each."""
    by = -(-max(pictures.shape[1:3]) // SIDE)
    height, width = (size // by * by for size in pictures.shape[1:3])
    cut = pictures[:, :height, :width]
    blocks = cut.reshape(len(cut), height // by, by, width // by, by, -1).mean(axis=(2, 4))
    return blocks.reshape(len(cut), -1)


def public(rounds: Rounds, name: str, rng: np.random.Generator) -> list[list[Channel]]:
    """Return each round's channels by layer, fitted to a batch that is not attacked, with room: scales are public."""
    quantizer = parse_gradient(name)
    [batch] = rounds.drawn(1, MEMBERS, rng)
    return [
        [
            quantizer.fit(ROOM * each[batch].mean(axis=0)[rounds.layer == k])
            for k in range(rounds.layer.max() + 1)
        ]
        for each in rounds.gradients
    ]


def _released(rounds: Rounds, channels: list[list[Channel]], means: np.ndarray, key: Any) -> np.ndarray:
    """Return released means of each round, ``(T, M, d)``."""
    found = np.empty_like(means)
    for t, of_round in enumerate(channels):
        for k, channel in enumerate(of_round):
            at = rounds.layer == k
            value = means[t][:, at]
            if isinstance(channel, StochasticGrid):
                value = np.clip(value, channel.levels[0], channel.levels[-1])
            found[t][:, at] = channel.apply(value, key=jax.random.fold_in(jax.random.fold_in(key, t), k))
    return found


def attacked(rounds: Rounds, channels: list[list[Channel]], rng: np.random.Generator) -> Interval:
    """Return the advantage of the inner product of a release with an example's own gradient."""

    def long(arrays):
        return np.concatenate(list(arrays), axis=1)

    sets = [rounds.drawn(num, MEMBERS, rng) for num in (RELEASES, SHADOWS)]
    keys = jax.random.split(jax_key(int(rng.integers(2**31))))
    means = [rounds.means(rows) for rows in sets]
    released = [long(_released(rounds, channels, mean, key)) for mean, key in zip(means, keys, strict=True)]
    membership = np.zeros((RELEASES, rounds.gradients.shape[1]), bool)
    np.put_along_axis(membership, sets[0], True, axis=1)
    own = long(rounds.gradients)
    scores = attacks.released_gradient_scores(
        released[0],
        own,
        population=own,
        size=MEMBERS,
        shadow_means=long(means[1]),
        shadow_released=released[1],
    )
    return attacks.audit(scores=scores, membership=membership).advantage


def pairs(rounds: Rounds, num: int, rng: np.random.Generator) -> list[tuple[np.ndarray, np.ndarray]]:
    """Return means with a member and with another example in its place, ``(T, d)`` each; the others drawn anew."""
    rows = rounds.drawn(num, MEMBERS + 1, rng)
    one, other = rounds.means(rows[:, 1:]), rounds.means(np.delete(rows, 1, axis=1))
    return [(one[:, i], other[:, i]) for i in range(num)]


def assumptions(rounds: Rounds, rng: np.random.Generator) -> list[dict[str, Any]]:
    """Return what real gradients say of the assumptions: each with its value, and what it is where they hold.

    Normal: the share of coordinates whose means over members fail D'Agostino and Pearson's test at 5%. Independent:
    the effective number of coordinates ``d^2 / sum of squared correlations``, what sampling adds to these taken off,
    over d, and how many standard deviations their sum is from its mean (chi squared where coordinates are independent).
    """
    each = rounds.gradients[0]
    num, dim = each.shape
    means = rounds.first(1).means(rounds.drawn(TESTED, MEMBERS, rng))[0]
    rejected = float(np.mean(stats.normaltest(means, axis=0).pvalue < 0.05))
    standard = (each - each.mean(axis=0)) / each.std(axis=0)
    squares = float(np.square(standard.T @ standard / num).sum()) - dim
    chance = dim * (dim - 1) / (num - 1)
    deviations = (squares - chance) * (num - 1) / 2 / np.sqrt(dim * (dim - 1))
    found = [
        {
            "assumption": "means over 64 examples are normal in each coordinate",
            "measured": "share of coordinates that fail a test at 5%",
            "value": rejected, "if_it_held": 0.05, "deviations": None,
        },
        {
            "assumption": "coordinates are independent",
            "measured": "effective number of coordinates, as a share of all",
            "value": dim / (dim + max(squares - chance, 0.0)), "if_it_held": 1.0,
            "deviations": float(deviations),
        },
    ]  # fmt: skip
    if len(rounds.gradients) > 1:
        last = rounds.gradients[-1]
        between = float(np.mean(standard * (last - last.mean(axis=0)) / last.std(axis=0)))
        found.append(
            {
                "assumption": "rounds are independent",
                "measured": "correlation of an example's gradients, first and last round",
                "value": between, "if_it_held": 0.0, "deviations": None,
            }
        )  # fmt: skip
    return found
