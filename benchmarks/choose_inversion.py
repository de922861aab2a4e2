"""Script: the constants of the attacks on gradients that no derivation fixes, settled on images that no study uses.

``PULL`` of ``mis.attacks.inversion.target`` weighs the distance to the middle of a cell against what leaves the cell;
``VARIATION`` of ``mis.works.leakage.attacked`` the roughness of an image against what it fails to match. The images are
smooth random fields with random classes: no task, no seed, no network of ``mis run leakage`` is among them. The values
with the least mean logarithm of the squared error are taken.
"""

import functools
import json
from typing import NamedTuple

import jax
import numpy as np
from scipy import ndimage

from mis import models
from mis.attacks import inversion
from mis.attacks.inversion import LBFGS, Adam, Objective
from mis.numerics.seeds import jax_key
from mis.quantizers.gradients import parse_gradient, release

PULLS, VARIATIONS = (0.0, 0.005, 0.02, 0.08, 0.32), (0.0, 1e-5, 1e-4, 1e-3, 1e-2)
CELLS = ("levels-20", "levels-120", "codebook-16")
IMAGES, STARTS, SIDE, STEPS, ADAM_STEPS = 24, 2, 16, 100, 200


class Clients(NamedTuple):
    """Images, labels, networks and gradients, a start of each in a row; the dummies that are begun with."""

    model: object
    images: np.ndarray
    labels: np.ndarray
    layers: list
    gradient: list
    starts: np.ndarray


def clients():
    rng = np.random.default_rng(20_000)
    fields = ndimage.gaussian_filter(rng.normal(size=(IMAGES, SIDE, SIDE)), (0, 1.5, 1.5))
    low, high = fields.min(axis=(1, 2), keepdims=True), fields.max(axis=(1, 2), keepdims=True)
    images = ((fields - low) / (high - low)).astype(np.float32)[:, None, ..., None]
    labels = rng.integers(10, size=(IMAGES, 1))
    model = models.get("lenet", (SIDE, SIDE, 1), 10, activation="sigmoid")
    networks = [model.initial(key) for key in jax.random.split(jax_key(20_001), IMAGES)]
    layers = [np.stack(layer) for layer in zip(*networks, strict=True)]
    gradient = inversion.shared_gradient(model, layers, images, labels)
    starts = rng.uniform(size=(IMAGES * STARTS, 1, SIDE, SIDE, 1))
    return Clients(model, images, labels, layers, gradient, starts)


def error(held, defence, made, method, objective):
    """Return the mean logarithm of the squared error of an attack on a defence."""
    rows = np.repeat(np.arange(IMAGES), STARTS)
    released = [
        release(parse_gradient(defence), [layer[i] for layer in held.gradient]) for i in range(IMAGES)
    ]
    targets = inversion.stack([made(r) for r in released])
    found = inversion.invert(
        held.model,
        [layer[rows] for layer in held.layers],
        jax.tree.map(lambda array: array[rows], targets),
        held.starts,
        labels=held.labels[rows],
        method=method,
        objective=objective,
    )
    squared = inversion.squared_error(np.clip(found.images, 0, 1), held.images[rows])
    return float(np.log10(np.maximum(squared, 1e-10)).mean())


def adapted(released, **options):
    return inversion.adapted(released.values, released.observations, released.levels, **options)


def main():
    held = clients()
    tried = {"PULL": {}, "VARIATION rounded": {}, "VARIATION cosine": {}}
    for pull in PULLS:
        made, method = functools.partial(adapted, pull=pull), LBFGS(steps=STEPS)
        tried["PULL"][pull] = {name: error(held, name, made, method, Objective()) for name in CELLS}
    for weight in VARIATIONS:
        method = Adam(steps=ADAM_STEPS)
        rounded = Objective(distance="rounded", variation=weight)
        tried["VARIATION rounded"][weight] = {
            name: error(held, name, adapted, method, rounded) for name in ("sign", "levels-20")
        }
        cosine = Objective(distance="cosine", variation=weight)
        tried["VARIATION cosine"][weight] = {
            "full": error(held, "full", lambda r: inversion.naive(r.values), method, cosine)
        }
    chosen = {
        name: min(errors, key=lambda value, errors=errors: np.mean(list(errors[value].values())))
        for name, errors in tried.items()
    }
    print(json.dumps({"benchmark": "choose_inversion", "chosen": chosen, "log10_squared_error": tried}))


if __name__ == "__main__":
    main()
