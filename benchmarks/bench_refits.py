"""Script: seconds for a million refits of a logistic regression, 10 features and n = 100, compilation apart.

Every refit draws a sample of its own from a logistic teacher with normal features and runs Newton's method until it
converges. ``draw_share`` is the part of the time that drawing the samples alone takes: the floor of any fit. The second
time is that of a million weightings (counts) of one table of 32 examples, of which nothing but counts is drawn.
"""

import json
import time

import jax
import jax.numpy as jnp
import numpy as np
from scipy import optimize

from mis.populations import LogisticTeacher
from mis.training import Regression, num_devices, refit, refit_weighted
from mis.training.devices import over_networks
from mis.training.refits import BLOCK, REFITS, block_sizes

REFITS_TIMED, N, ATOMS, REPEATS = 10**6, 100, 32, 2
LAW, MODEL = LogisticTeacher(dim=10), Regression(penalty=1e-3)


def check():
    """Assert that refits minimise the objective on their own samples, by SciPy in float64."""
    key = jax.random.fold_in(jax.random.key(0), REFITS)
    for number, params in enumerate(refit(MODEL, LAW, n=N, num_refits=3, seed=0).params):
        drawn = LAW.sample(jax.random.fold_in(key, number), N)
        x, y = np.asarray(drawn.features, float), np.asarray(drawn.targets, float)

        def objective(theta, x=x, y=y):
            eta = x @ theta
            return np.mean(np.logaddexp(0, eta) - y * eta) + MODEL.penalty / 2 * theta @ theta

        expected = optimize.minimize(objective, np.zeros(LAW.dim), method="BFGS", tol=1e-9).x
        np.testing.assert_allclose(params, expected, atol=1e-3)


def best(call):
    """Return what the call does, and the seconds of its fastest run."""
    seconds = []
    for _ in range(REPEATS):
        start = time.perf_counter()
        found = call()
        seconds.append(time.perf_counter() - start)
    return found, min(seconds)


def draw_seconds(num_refits):
    """Drawing the samples, and a sum over each, so that none is left out."""

    @jax.jit
    def draw(key, numbers):
        def block(key, numbers):
            drawn = jax.vmap(lambda i: LAW.sample(jax.random.fold_in(key, i), N))(numbers)
            return jnp.sum(drawn.features, axis=(1, 2)) + jnp.sum(drawn.targets, axis=1)

        return over_networks(block, 1)(key, numbers)

    numbers = np.arange(num_refits // BLOCK * BLOCK, dtype=np.uint32).reshape(-1, BLOCK)
    draw(jax.random.key(0), numbers).block_until_ready()
    return best(lambda: draw(jax.random.key(0), numbers).block_until_ready())[1]


def main():
    devices = num_devices()
    check()
    block, blocks = block_sizes(REFITS_TIMED, N * LAW.dim, devices)
    start = time.perf_counter()
    refit(MODEL, LAW, n=N, num_refits=block * blocks, seed=0)
    first = time.perf_counter() - start
    _, chunk = best(lambda: refit(MODEL, LAW, n=N, num_refits=block * blocks, seed=0))
    found, seconds = best(lambda: refit(MODEL, LAW, n=N, num_refits=REFITS_TIMED, seed=1))
    rng = np.random.default_rng(0)
    table = rng.normal(size=(ATOMS, LAW.dim)), np.arange(ATOMS) % 2
    counts = rng.multinomial(N, np.full(ATOMS, 1 / ATOMS), REFITS_TIMED)
    refit_weighted(MODEL, *table, counts[: 2**18])
    _, weighted = best(lambda: refit_weighted(MODEL, *table, counts))
    result = {
        "benchmark": "refits",
        "refits": REFITS_TIMED,
        "dim": LAW.dim,
        "n": N,
        "seconds": seconds,
        "refits_per_second": REFITS_TIMED / seconds,
        "compile_seconds": first - chunk,
        "converged": float(found.converged.mean()),
        "draw_share": draw_seconds(2**17) / 2**17 * REFITS_TIMED / seconds,
        "weighted_seconds": weighted,
        "device": f"{jax.devices()[0].device_kind} x {devices}",
        "repeats": REPEATS,
    }
    print(json.dumps(result))


if __name__ == "__main__":
    main()
