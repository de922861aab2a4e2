"""Functions: membership in the gradients of one round and of several, bounded and attacked, on real examples."""

import warnings
from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from scipy import stats

from mis import attacks, models, theory
from mis.numerics.seeds import jax_key
from mis.quantizers import Grid, StochasticGrid
from mis.quantizers.channels import Channel, Noisy
from mis.quantizers.gradients import parse_gradient
from mis.quantizers.laplace import Laplacian
from mis.store import Store
from mis.theory.gradients import averaged
from mis.training import mean_gradients
from mis.works.leakage.attacked import splitted
from mis.works.leakage.settings import NONE, Settings

__all__ = ["gradient_theory"]

# Examples that gradients are taken of, and in each mean; units of the network; side of the averaged pictures.
POOL, MEMBERS, WIDTH, SIDE = 768, 64, 8, 8
RELEASES, PAIRS, TESTED, RATE = 100, 40, 400, 0.5
# Least that is added to the eigenvalues of the correlation.
RIDGE = 0.01
# A public scale, as a multiple of what one batch would fit.
ROOM = 1.5
# A coordinate this much smaller than its layer does not move: blank pixels.
STILL = 1e-6
DRAW, START = 31, 32
FIELDS = (
    "defence",
    "release",
    "assumes",
    "lower",
    "value",
    "upper",
    "attack",
    "attack_lower",
    "attack_upper",
    "note",
)
KNOWN = "others known; nothing of the data"
NORMAL = "normal, independent coordinates"

Row = dict[str, Any]


class Rounds(NamedTuple):
    """Gradients of a pool at each round's parameters, ``(T, N, d)``; which layer each coordinate is of, ``(d,)``."""

    gradients: np.ndarray
    layer: np.ndarray


def gradient_theory(settings: Settings, task: str, store: Store) -> list[Row]:
    """Return bounds on the advantage for each defence, one round and T, with the attack by inner products beside.

    The network is an MLP of 8 hidden units on pictures averaged down to at most 8 x 8, so that every coordinate counts
    in a certified product; parameters are public, those of T steps of gradient descent; scales are public, too. Members
    are 64 examples, the same in all rounds.
    """
    kept = store.read(f"theory-{task}", FIELDS)
    if kept is None:
        rows = _bounds(settings, task)
        kept = {name: np.array([row[name] for row in rows]) for name in FIELDS}
        store.write(f"theory-{task}", **kept)
    return [
        {"task": task, **{name: kept[name][i].item() for name in FIELDS}} for i in range(len(kept["value"]))
    ]


def _bounds(settings: Settings, task: str) -> list[Row]:
    rounds = _rounds(settings, task)
    rng = np.random.default_rng([settings.seed, DRAW])
    rows = list(_assumptions(rounds, rng))
    names = [name for name in settings.defences if parse_gradient(name).family not in ("prune", "top")]
    for several in (1, settings.rounds):
        part = Rounds(rounds.gradients[:several], rounds.layer)
        for name in names:
            channels = _public(part, name, rng)
            attack = _attacked(part, channels, rng)
            for bound, assumes in _bounded(part, channels, name, rng):
                rows.append(
                    {
                        "defence": name,
                        "release": "one round" if several == 1 else f"{several} rounds",
                        "assumes": assumes,
                        **{end: float(getattr(bound, end)) for end in ("lower", "value", "upper")},
                        **dict(zip(("attack", "attack_lower", "attack_upper"), attack, strict=True)),
                        "note": "certified" if bound.kind in ("certified", "exact") else bound.kind,
                    }
                )
    return rows


def _rounds(settings: Settings, task: str) -> Rounds:
    """Return the gradients of the pool's examples along gradient descent on its mean loss."""
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


def _assumptions(rounds: Rounds, rng: np.random.Generator) -> list[Row]:
    """Return what real gradients say of the assumptions: whether means are normal and coordinates independent."""
    each = rounds.gradients[0]
    standard = (each - each.mean(axis=0)) / each.std(axis=0)
    means = np.stack(
        [standard[rng.choice(len(each), MEMBERS, replace=False)].mean(axis=0) for _ in range(TESTED)]
    )
    rejected = [stats.kstest(stats.zscore(column), "norm").pvalue < 0.05 for column in means.T]
    correlation = np.corrcoef(standard.T)
    dim = len(correlation)
    effective = dim**2 / np.square(correlation).sum()
    between = np.nan
    if len(rounds.gradients) > 1:
        last = rounds.gradients[-1]
        between = float(np.mean(standard * (last - last.mean(axis=0)) / last.std(axis=0)))
    notes = {
        "coordinates whose mean of 64 is not normal (Kolmogorov-Smirnov, 5%)": float(np.mean(rejected)),
        "effective number of independent coordinates, of all": effective / dim,
        "correlation of an example's gradients, first and last round": between,
    }
    return [
        {
            "defence": "any", "release": "test of the assumptions", "assumes": what, "lower": value, "value": value,
            "upper": value, "attack": np.nan, "attack_lower": np.nan, "attack_upper": np.nan, "note": f"of {dim}",
        }
        for what, value in notes.items()
    ]  # fmt: skip


def _public(rounds: Rounds, name: str, rng: np.random.Generator) -> list[list[Channel]]:
    """Return each round's channels by layer, fitted to a batch that is not attacked, with room."""
    quantizer = parse_gradient(name)
    rows = rng.choice(rounds.gradients.shape[1], MEMBERS, replace=False)
    return [
        [
            quantizer.fit(ROOM * each[rows].mean(axis=0)[rounds.layer == k])
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


def _attacked(
    rounds: Rounds, channels: list[list[Channel]], rng: np.random.Generator
) -> tuple[float, float, float]:
    """Return the advantage of the inner product of a release with an example's gradient, and its interval.

    Both are centred, in standard deviations of the coordinate, and whitened by the examples' correlation plus the
    release's own mean squared error.
    """
    gradients = rounds.gradients
    num = gradients.shape[1]
    membership = np.zeros((RELEASES, num), bool)
    for one in membership:
        one[rng.choice(num, MEMBERS, replace=False)] = True
    centre, spread = gradients.mean(axis=1, keepdims=True), gradients.std(axis=1, keepdims=True)
    means = np.einsum("mn,tnd->tmd", membership / MEMBERS, gradients)
    released = _released(rounds, channels, means, jax_key(int(rng.integers(2**31))))
    inner = [np.concatenate(list((values - centre) / spread), axis=1) for values in (released, gradients)]
    _, sizes, axes = np.linalg.svd(inner[1], full_matrices=False)
    ridge = RIDGE + MEMBERS * float(np.square((released - means) / spread).mean())
    scores = (inner[0] @ axes.T / (np.square(sizes) / num + ridge)) @ (inner[1] @ axes.T).T
    found = attacks.audit(scores=scores, membership=membership).advantage
    return found.value, found.lower, found.upper


def _bounded(
    rounds: Rounds, channels: list[list[Channel]], name: str, rng: np.random.Generator
) -> list[tuple[Any, str]]:
    """Return bounds with what they assume."""
    dim = rounds.gradients.shape[-1]
    several = len(rounds.gradients)
    first = channels[0][0]
    found = []
    if name == NONE:
        found.append((theory.full_precision_mean(dim * several, MEMBERS), "normal, any covariance"))
        return found
    if isinstance(first, Grid) and not isinstance(first, StochasticGrid):
        with warnings.catch_warnings():
            # Bounds further apart than asked for are bounds, and printed.
            warnings.simplefilter("ignore", theory.ToleranceNotMet)
            found.append((theory.product(_cells(rounds, channels), MEMBERS, tolerance=1e-3), NORMAL))
    found.append((averaged(_pairs(rounds, rng), lambda a, b: _told_apart(rounds, channels, a, b)), KNOWN))
    return found


def _cells(rounds: Rounds, channels: list[list[Channel]]) -> list[theory.Cells]:
    """Return every coordinate's cells, as normal with the pool's mean and standard deviation."""
    cells = []
    for each, of_round in zip(rounds.gradients, channels, strict=True):
        grids = [channel for channel in of_round if isinstance(channel, Grid)]
        edges = [tuple(np.unique(np.asarray(grid.edges, np.float64)).tolist()) for grid in grids]
        for mean, scale, k in zip(each.mean(axis=0), each.std(axis=0), rounds.layer, strict=True):
            cells.append(theory.Cells(edges=edges[k], mean=float(mean), scale=float(scale)))
    return cells


def _pairs(rounds: Rounds, rng: np.random.Generator) -> list[tuple[np.ndarray, np.ndarray]]:
    """Return means with a member and with another example in its place, ``(T, d)`` each; the others drawn anew."""
    found = []
    for _ in range(PAIRS):
        rows = rng.choice(rounds.gradients.shape[1], MEMBERS + 1, replace=False)
        others = rounds.gradients[:, rows[2:]].sum(axis=1)
        one, other = ((others + rounds.gradients[:, rows[i]]) / MEMBERS for i in (0, 1))
        found.append((one, other))
    return found


def _told_apart(rounds: Rounds, channels: list[list[Channel]], one: np.ndarray, other: np.ndarray) -> Any:
    """Return bounds on the advantage of telling two series of means apart by their releases."""
    kinds: dict[str, list[np.ndarray]] = {"laws": [], "others": [], "normal": [], "laplace": [], "codes": []}
    for t, of_round in enumerate(channels):
        for k, channel in enumerate(of_round):
            a, b = (value[t][rounds.layer == k] for value in (one, other))
            if isinstance(channel, StochasticGrid):
                levels = np.asarray(channel.levels, np.float64)
                laws = theory.gradients.rounded_laws(
                    levels, *(np.clip(v, levels[0], levels[-1]) for v in (a, b))
                )
                kinds["laws"].append(laws[0])
                kinds["others"].append(laws[1])
            elif isinstance(channel, Noisy):
                kinds["normal"].append((a - b) / float(channel.sd))
            elif isinstance(channel, Laplacian):
                kinds["laplace"].append((a - b) / float(channel.scale))
            elif isinstance(channel, Grid):
                kinds["codes"].append(np.asarray(channel.codes(a) != channel.codes(b)))
    if kinds["laws"]:
        return theory.discrete_product(
            np.concatenate(kinds["laws"]), np.concatenate(kinds["others"]), tolerance=1e-2
        )
    if kinds["normal"]:
        return theory.gaussian_release(float(np.linalg.norm(np.concatenate(kinds["normal"]))))
    if kinds["laplace"]:
        return theory.laplace_release(np.concatenate(kinds["laplace"]))
    # Without randomness of its own a release that differs gives the member away.
    return (
        theory.gaussian_release(0.0)
        if not _any(kinds["codes"])
        else theory.discrete_product([[1.0, 0]], [[0, 1.0]])
    )


def _any(arrays: Sequence[np.ndarray]) -> bool:
    return any(bool(array.any()) for array in arrays)
