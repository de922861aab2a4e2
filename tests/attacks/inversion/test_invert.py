"""Reconstruction against images that are known."""

import jax
import numpy as np
import pytest

from mis.attacks import inversion
from mis.models import MLP, LeNet
from mis.numerics.checks import InvalidInput
from mis.quantizers.gradients import parse_gradient, release

SMOOTH = MLP(input_shape=(6,), num_classes=4, depth=0)


@pytest.fixture
def clients(rng):
    """Seven clients with an example each, and a network each."""
    weights = rng.uniform(-0.5, 0.5, size=(7, 7, 4))
    x, y = rng.uniform(size=(7, 1, 6)), rng.integers(4, size=(7, 1))
    return [weights], x, y, inversion.shared_gradient(SMOOTH, [weights], x, y)


def targets(gradient, name="full", adapted=False):
    made = []
    for i in range(len(gradient[0])):
        released = release(parse_gradient(name), [layer[i] for layer in gradient], jax.random.key(i))
        made.append(
            inversion.adapted(released.values, released.observations, released.levels)
            if adapted
            else inversion.naive(released.values)
        )
    return inversion.stack(made)


def test_finds_what_was_shared_whoever_else_is_attacked(clients, rng):
    """Image and soft label; three at a time or all at once, last ones take the places of those that are done."""
    layers, x, y, gradient = clients
    start, seen = rng.uniform(size=x.shape), []
    method = inversion.LBFGS(steps=100, tolerance=1e-10, memory=4)
    few = inversion.invert(
        SMOOTH,
        layers,
        targets(gradient),
        start,
        method=method,
        width=3,
        progress=lambda *done: seen.append(done),
    )
    assert np.allclose(few.images, x, atol=1e-3)
    assert np.allclose(few.labels, np.eye(4)[y], atol=1e-3)
    assert few.converged.all()
    assert seen[-1] == (7, 7)
    assert len(seen) > 1
    for i in range(7):
        last = few.iterations[i]
        assert few.trace[i, last] == few.objective[i]
        assert np.isnan(few.trace[i, last + 1 :]).all()
    order = [6, 2, 0]
    some = inversion.invert(
        SMOOTH, [layers[0][order]], jax.tree.map(lambda array: array[order], targets(gradient)), start[order],
        method=method, width=3,
    )  # fmt: skip
    assert np.allclose(some.images, few.images[order], atol=1e-4)
    assert np.array_equal(some.iterations, few.iterations[order])
    with pytest.raises(InvalidInput, match="expected labels integers"):
        inversion.invert(SMOOTH, layers, targets(gradient), start, labels=y[:, 0])
    with pytest.raises(InvalidInput, match="one for each start"):
        inversion.invert(SMOOTH, layers, targets(gradient), start[:3])
    with pytest.raises(InvalidInput, match="expected start of shape"):
        inversion.invert(SMOOTH, layers, targets(gradient), start[..., :4])
    with pytest.raises(InvalidInput, match="batch=9"):
        inversion.invert(SMOOTH, layers, targets(gradient), np.zeros((7, 9, 6)))
    with pytest.raises(InvalidInput, match="a release on levels"):
        inversion.invert(
            SMOOTH, layers, targets(gradient), start, objective=inversion.Objective(distance="rounded")
        )
    spoiled = jax.tree.map(lambda array: np.where(np.arange(7)[:, None, None] == 2, np.nan, array), gradient)
    with pytest.raises(InvalidInput, match="28 NaN"):
        inversion.invert(SMOOTH, layers, targets(gradient).__class__(**{
            **vars(targets(gradient)), "centre": spoiled}), start)  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize(
    "name", ["levels-20", "prune-40", "codebook-8", "levels-20-stochastic", "laplace-30"]
)
def test_adapting_recovers_more(name, rng):
    """The attacker who knows the rule has the smaller error, on images of noise, 16 clients, 2 standard errors."""
    network = LeNet(input_shape=(8, 8, 1), num_classes=4, activation="sigmoid")
    keys = jax.random.split(jax.random.key(0), 16)
    layers = [np.stack(layer) for layer in zip(*map(network.initial, keys), strict=True)]
    x, y = rng.uniform(size=(16, 1, 8, 8, 1)), rng.integers(4, size=(16, 1))
    gradient = inversion.shared_gradient(network, layers, x, y)
    start = rng.normal(size=x.shape)
    errors = [
        inversion.squared_error(
            inversion.invert(
                network,
                layers,
                targets(gradient, name, adapted),
                start,
                labels=y,
                method=inversion.LBFGS(steps=150),
            ).images[:, 0],
            x[:, 0],
        )
        for adapted in (False, True)
    ]
    gain = np.log(errors[0]) - np.log(errors[1])
    assert gain.mean() > 2 * gain.std(ddof=1) / 4


@pytest.mark.slow
def test_batches_are_taken_apart(rng):
    network = LeNet(input_shape=(8, 8, 1), num_classes=6, activation="sigmoid")
    layers = [np.asarray(layer)[None] for layer in network.initial(jax.random.key(2))]
    x, y = rng.uniform(size=(1, 2, 8, 8, 1)), np.array([[1, 4]])
    gradient = inversion.shared_gradient(network, layers, x, y)
    labels = inversion.inferred_labels(gradient[-1][:, -1], 2)
    assert np.array_equal(labels, y)
    found = inversion.invert(
        network, layers, targets(gradient), rng.uniform(size=x.shape), labels=labels,
        method=inversion.LBFGS(steps=500),
    )  # fmt: skip
    order = inversion.matched(found.images[0], x[0])
    assert inversion.squared_error(found.images[0][order], x[0]).max() < 1e-3
