"""Clients share gradients, attackers reconstruct; every part is kept, what is there is not done again."""

from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import numpy as np

from mis import models, populations
from mis.attacks import inversion
from mis.attacks.inversion import LBFGS, Adam, Objective
from mis.numerics.checks import InvalidInput
from mis.numerics.seeds import jax_key
from mis.quantizers.gradients import Released, parse_gradient, release
from mis.store import Store
from mis.works.leakage.settings import MOST_ROUNDED, NONE, Settings

__all__ = ["Case", "Clients", "cases", "clients", "reconstructed", "splitted"]

# Kinds of draws from one seed.
NETWORKS, NOISE, DUMMIES, IMAGES = 11, 12, 13, 14
# Weight of the total variation, for pictures are smooth: the best of 0 and powers of ten from 1e-5 to 1e-2 on random
# images and networks that nothing is reported of (benchmarks/choose_inversion.py).
VARIATION = {"rounded": 1e-3, "cosine": 1e-5}
KEPT = (
    "images",
    "labels",
    "inferred",
    "objective",
    "iterations",
    "evaluations",
    "converged",
    "trace",
    "norm",
    "bits",
)


class Case(NamedTuple):
    """One cell of the study."""

    task: str
    network: str
    batch: int
    defence: str
    attacker: str

    @property
    def name(self) -> str:
        """The name of its file."""
        return "-".join(map(str, self))


@dataclass(frozen=True, kw_only=True)
class Clients:
    """Images in [0, 1] that clients hold, ``(N, B, H, W, C)``, with labels, networks and the gradients they share."""

    model: Any
    layers: list[np.ndarray]
    images: np.ndarray
    labels: np.ndarray
    gradient: list[np.ndarray]

    @property
    def shown(self) -> np.ndarray:
        """The images as the network takes them."""
        return self.images.reshape(*self.images.shape[:2], *self.model.input_shape)


def cases(settings: Settings) -> list[Case]:
    """Return what is attacked, in order."""
    found = []
    for task in settings.tasks:
        for defence in settings.defences:
            found += [
                Case(task, "lenet", 1, defence, attacker)
                for attacker in settings.attackers
                if _knows(attacker, defence, settings)
            ]
        for batch in settings.batches:
            found += [Case(task, "lenet", batch, defence, "adapted") for defence in settings.defences[:2]]
        if "mlp" in settings.networks:
            found.append(Case(task, "mlp", 1, NONE, "naive"))
    return (
        list(dict.fromkeys(found))
        if "lenet" in settings.networks
        else [c for c in found if c.network == "mlp"]
    )


def _knows(attacker: str, defence: str, settings: Settings) -> bool:
    """Whether an attacker has something of his own to do with a defence."""
    if attacker == "dlg":
        return defence in settings.published
    if attacker in ("adapted", "cosine"):
        return attacker == "adapted" or defence == NONE
    if attacker == "rounded":
        grid = parse_gradient(defence).fit(np.array([-1.0, 0.3, 1.0]))
        return bool(grid.is_sharp and hasattr(grid, "levels") and len(grid.levels) <= MOST_ROUNDED)
    return True


def splitted(settings: Settings, task: str, pool: int) -> tuple[Any, np.ndarray, np.ndarray, Any]:
    """Return a set of images, a pool's images in [0, 1] and labels, and the held-out examples likewise scaled."""
    options = (
        {"folder": settings.folder} if settings.folder and task in ("cifar-10", "fashion-mnist-full") else {}
    )
    population = populations.get(task, **options).as_images()
    if population.num_classes is None:
        raise InvalidInput(f"leakage: expected tasks of classes, got {task}.")
    split = population.split(settings.seed, min(pool, population.largest_pool or pool))
    pictures = np.asarray(split.pool.features[np.arange(len(split.pool))])
    # Standardised by channel: its ends in the pool are those of the range, or nearly.
    low, high = (end(pictures, axis=(0, 1, 2)) for end in (np.min, np.max))

    def unit(features):
        return np.clip((np.asarray(features) - low) / (high - low), 0.0, 1.0).astype(np.float32)

    held = split.heldout
    outside = (unit(held.features[np.arange(len(held))]), np.asarray(held.targets))
    return population, unit(pictures), np.asarray(split.pool.targets), outside


def clients(settings: Settings, task: str, network: str, batch: int) -> Clients:
    """Return clients with a batch each of ``images`` drawn from a pool, fewer batches of more each, a network each."""
    population, pictures, labels, _ = splitted(settings, task, max(1024, settings.images))
    num = settings.images // batch
    rows = np.random.default_rng([settings.seed, IMAGES]).permutation(len(pictures))[: num * batch]
    images = pictures[rows].reshape(num, batch, *pictures.shape[1:])
    labels = labels[rows].reshape(num, batch)
    shape = pictures.shape[1:] if network == "lenet" else (int(np.prod(pictures.shape[1:])),)
    options = {"activation": "sigmoid"} if network == "lenet" else {"width": 64}
    model = models.get(network, shape, population.num_classes, **options)
    key = jax.random.fold_in(jax_key(settings.seed), NETWORKS)
    drawn = [model.initial(k) for k in jax.random.split(key, num)]
    layers = [np.stack(layer) for layer in zip(*drawn, strict=True)]
    gradient = inversion.shared_gradient(model, layers, images.reshape(num, batch, *shape), labels)
    return Clients(model=model, layers=layers, images=images, labels=labels, gradient=gradient)


def _released(settings: Settings, case: Case, held: Clients) -> list[Released]:
    """Return what each client publishes; the noise does not depend on the attacker."""
    key = jax.random.fold_in(jax_key(settings.seed), NOISE)
    quantizer = parse_gradient(case.defence)
    return [
        release(quantizer, [layer[i] for layer in held.gradient], jax.random.fold_in(key, i))
        for i in range(len(held.images))
    ]


def reconstructed(
    settings: Settings, case: Case, held: Clients, store: Store
) -> tuple[dict[str, np.ndarray], bool]:
    """Return what the starts on each client found, and whether the store had it; starts are the axis after clients.

    ``norm`` is the squared norm of each client's release, ``inferred`` the labels that were read off it.
    """
    kept = store.read(case.name, KEPT)
    if kept is not None:
        return kept, True
    released = _released(settings, case, held)
    num, batch = held.labels.shape
    classes = held.model.num_classes
    inferred = np.stack([_labels(r, batch, classes) for r in released])
    target, objective, method = _attack(settings, case, released)
    starts = settings.starts
    rng = np.random.default_rng([settings.seed, DUMMIES, batch])
    dummies = rng.uniform(size=(num, starts, *held.shown.shape[1:]))
    rows = np.repeat(np.arange(num), starts)
    found = inversion.invert(
        held.model,
        [layer[rows] for layer in held.layers],
        jax.tree.map(lambda array: array[rows], target),
        dummies.reshape(num * starts, *dummies.shape[2:]),
        labels=None if case.attacker == "dlg" else inferred[rows],
        method=method,
        objective=objective,
    )
    arrays = {
        name: getattr(found, name).reshape(num, starts, *getattr(found, name).shape[1:])
        for name in ("images", "labels", "objective", "iterations", "evaluations", "converged", "trace")
    }
    arrays["images"] = arrays["images"].reshape(num, starts, batch, *held.images.shape[2:])
    arrays["norm"] = np.array([sum(float(np.square(v).sum()) for v in r.values) for r in released])
    arrays |= {"inferred": inferred, "bits": np.array(released[0].bits)}
    store.write(case.name, **arrays)
    return arrays, False


def _labels(released: Released, batch: int, classes: int) -> np.ndarray:
    """Return the labels that the release of the last layer's biases shows."""
    return inversion.inferred_labels(released.values[-1].reshape(-1, classes)[-1], batch)


def _attack(settings: Settings, case: Case, released: list[Released]) -> tuple[Any, Objective, Any]:
    if case.attacker in ("adapted", "rounded"):
        targets = [
            inversion.adapted(r.values, r.observations, r.levels, pull=settings.pull) for r in released
        ]
    else:
        targets = [inversion.naive(r.values) for r in released]
    # Cells that all reach zero hold every small gradient: only codes are left to match.
    rounded = case.attacker == "rounded" or (
        case.attacker == "adapted" and any(t.degenerate for t in targets)
    )
    distance = "rounded" if rounded else "cosine" if case.attacker == "cosine" else "misfit"
    if distance == "misfit":
        return inversion.stack(targets), Objective(), LBFGS(steps=settings.steps)
    return (
        inversion.stack(targets),
        Objective(distance=distance, variation=VARIATION[distance]),
        Adam(steps=settings.adam_steps),
    )
