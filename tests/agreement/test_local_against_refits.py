"""Predicted advantages against the likelihood-ratio attack on thousands of refits of three regressions.

The attack knows the law: influence functions of the population, means and covariances of the cells' scores from other
refits. Grids are fixed at the population's parameters, as the theory conditions on them.
"""

import math

import numpy as np
import pytest
from scipy import special

from mis import theory
from mis.quantizers import parse
from mis.theory.local import _Cells

QUANTIZERS = [
    "full",
    "sign",
    "ternary-33",
    "ternary-66",
    "ternary-90",
    "uniform-2",
    "uniform-3",
    "uniform-4",
    "nf4",
    "uniform-4-offset-50",
]
# Mean and its derivative in the linear predictor.
MEAN = {"linear": lambda e: e, "logistic": special.expit, "poisson": np.exp}
SLOPE = {
    "linear": np.ones_like,
    "logistic": lambda e: special.expit(e) * special.expit(-e),
    "poisson": np.exp,
}
SIGNAL = {"linear": 0.25, "logistic": 0.25, "poisson": 0.15}


def draw(kind, theta, rng, shape):
    """Features with correlation 0.3^|i-j| and responses of the model."""
    dim = len(theta)
    root = np.linalg.cholesky(0.3 ** np.abs(np.subtract.outer(np.arange(dim), np.arange(dim))))
    x = rng.standard_normal((*shape, dim)) @ root.T
    mean = MEAN[kind](x @ theta)
    noisy = {
        "linear": lambda: mean + rng.standard_normal(shape),
        "logistic": lambda: (rng.random(shape) < mean).astype(float),
        "poisson": lambda: rng.poisson(mean).astype(float),
    }
    return x, noisy[kind]()


def refit(kind, x, y, start):
    """Newton's method on a stack of data sets (B, n, d), from the population's parameters."""
    theta = np.broadcast_to(start, (len(x), x.shape[-1])).copy()
    for _ in range(20):
        eta = np.einsum("bnd,bd->bn", x, theta)
        gradient = np.einsum("bnd,bn->bd", x, y - MEAN[kind](eta))
        hessian = np.swapaxes(x * SLOPE[kind](eta)[..., None], 1, 2) @ x
        step = np.linalg.solve(hessian, gradient[..., None])[..., 0]
        theta += step
        if np.abs(step).max() < 1e-8:
            return theta
    raise AssertionError("a data set without an optimum")


def population(kind, theta, rng, num=100_000):
    """Sandwich at the population's parameters, and the inverse Hessian that turns residuals to influences."""
    x, y = draw(kind, theta, rng, (num,))
    eta = x @ theta
    hessian = (x * SLOPE[kind](eta)[:, None]).T @ x / num
    return theory.sandwich(-x * (y - MEAN[kind](eta))[:, None], hessian), np.linalg.inv(hessian)


def experiment(kind, theta, n, num_refits, rng):
    """Refits in standard deviations from theta, with the shifts that their members and as many fresh points exert."""
    fit, inverse = population(kind, theta, rng)
    sd = np.sqrt(np.diag(fit.covariance) / n)
    parts = []
    for _ in range(num_refits // 250):
        (x, y), (x0, y0) = draw(kind, theta, rng, (250, n)), draw(kind, theta, rng, (250, n))
        shifts = [
            (a * (b - MEAN[kind](a @ theta))[..., None] @ inverse / (n * sd)).astype(np.float32)
            for a, b in ((x, y), (x0, y0))
        ]
        parts.append(((refit(kind, x, y, theta) - theta) / sd, *shifts))
    return fit, sd, [np.concatenate(part) for part in zip(*parts, strict=True)]


def attack(seen, shares, members, others):
    """Advantage of thresholding the best linear score at half its information, and the standard error over refits."""
    gain = np.empty(len(seen))
    halves = np.array_split(np.arange(len(seen)), 2)
    for learn, score in (halves, halves[::-1]):
        kept = seen[learn].var(axis=0) > 0.3 * np.maximum(shares, 0.02)
        s = seen[:, kept]
        factor = np.linalg.cholesky(np.cov(s[learn].T).reshape(s.shape[1], -1))
        white = np.linalg.solve(factor, (s[score] - s[learn].mean(axis=0)).T).T.astype(np.float32)
        moves = np.linalg.solve(factor, np.diag(shares)[kept]).T.astype(np.float32)

        def rate(shifts, moves=moves, white=white):
            moved = shifts @ moves
            return (np.einsum("bnk,bk->bn", moved, white) > np.square(moved).sum(-1) / 2).mean(axis=1)

        gain[score] = rate(members[score]) - rate(others[score])
    return gain.mean(), gain.std() / math.sqrt(len(gain))


def compare(kind, theta, n, num_refits, names, rng):
    """Yield name, prediction by cells and by the linear score's normal limit, attack, its standard error."""
    fit, sd, (x, members, others) = experiment(kind, theta, n, num_refits, rng)
    for name in names:
        quantizer = parse(name)
        cells = _Cells.of([theta], [quantizer.fit(theta)], sd)
        setting = {"covariance": fit.covariance, "mean": theta, "quantizer": quantizer, "n": n}
        predicted = [
            theory.local(influence=fit.influence[:5000], method=method, **setting).value
            for method in ("cells", "linear")
        ]
        yield name, *predicted, *attack(cells.seen(x), cells.shares, members, others)


def agrees(predicted, found, error):
    return abs(predicted - found) < max(0.1 * found, 3 * error)


@pytest.mark.parametrize("kind", MEAN)
def test_predictions_meet_the_attack(kind, rng):
    theta = rng.standard_normal(8) * SIGNAL[kind]
    for name, cells, linear, found, error in compare(kind, theta, 150, 1500, QUANTIZERS[::3], rng):
        assert agrees(cells, found, error), name
        assert agrees(linear, found, error), name
        assert error < 0.06 * found


@pytest.mark.slow
@pytest.mark.parametrize("n", [200, 400, 800])
@pytest.mark.parametrize("kind", MEAN)
def test_predictions_meet_the_attack_in_sixteen_dimensions(kind, n, rng):
    theta = rng.standard_normal(16) * SIGNAL[kind]
    for name, cells, _, found, error in compare(kind, theta, n, 400_000 // n, QUANTIZERS, rng):
        assert agrees(cells, found, error), name
