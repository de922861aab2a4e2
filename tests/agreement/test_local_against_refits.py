"""Predicted advantages against the likelihood-ratio attack on thousands of refits of M-estimators and small networks.

The attack knows the law: influence functions of the population, means and covariances of the cells' scores from other
refits. Grids are fixed at the mean of the estimates' law, as the theory conditions on them.
"""

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import pytest
from scipy import special

from mis import theory
from mis.quantizers import parse
from mis.studies.teachers import Optimum, Teacher
from mis.theory.cell_scores import CellScores

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


class Estimator(NamedTuple):
    """Where its law is centred, a sample of the population, the estimate from a stack of samples, the influence."""

    centre: np.ndarray
    draw: Callable
    estimate: Callable
    influence: Callable


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


def maximum_likelihood(kind, theta, rng):
    """Newton's method from the population's parameters; influences by the sandwich of the population."""

    def estimate(x, y):
        found = np.broadcast_to(theta, (len(x), x.shape[-1])).copy()
        for _ in range(20):
            eta = np.einsum("bnd,bd->bn", x, found)
            gradient = np.einsum("bnd,bn->bd", x, y - MEAN[kind](eta))
            hessian = np.swapaxes(x * SLOPE[kind](eta)[..., None], 1, 2) @ x
            step = np.linalg.solve(hessian, gradient[..., None])[..., 0]
            found += step
            if np.abs(step).max() < 1e-8:
                return found
        raise AssertionError("a data set without an optimum")

    x, _ = draw(kind, theta, rng, (100_000,))
    inverse = np.linalg.inv((x * SLOPE[kind](x @ theta)[:, None]).T @ x / len(x))
    return Estimator(
        theta,
        lambda rng, shape: draw(kind, theta, rng, shape),
        estimate,
        lambda x, y: x * (y - MEAN[kind](x @ theta))[..., None] @ inverse,
    )


def stopped_early(theta, num_steps, rate, rng):
    """Gradient descent from zero on squared loss; the influence follows the path."""
    x, _ = draw("linear", theta, rng, (100_000,))
    gram = x.T @ x / len(x)

    def path(x, y):
        found = np.zeros((len(x), x.shape[-1]))
        for _ in range(num_steps):
            residual = y - np.einsum("bnd,bd->bn", x, found)
            found += rate * np.einsum("bnd,bn->bd", x, residual) / x.shape[1]
        return found

    def influence(x, y):
        centre, moved = np.zeros(len(theta)), np.zeros(x.shape)
        for _ in range(num_steps):
            force = x * (y - x @ centre)[..., None] - gram @ (theta - centre)
            moved += rate * (force - moved @ gram)
            centre += rate * gram @ (theta - centre)
        return moved

    centre = theta - np.linalg.matrix_power(np.eye(len(theta)) - rate * gram, num_steps) @ theta
    return Estimator(centre, lambda rng, shape: draw("linear", theta, rng, shape), path, influence)


def ridge(theta, penalty, rng):
    """Least squares plus ``penalty |theta|^2 / 2`` a data point; believing in no penalty gives another influence."""
    x, _ = draw("linear", theta, rng, (100_000,))
    gram, eye = x.T @ x / len(x), np.eye(len(theta))
    centre = np.linalg.solve(gram + penalty * eye, gram @ theta)

    def estimate(x, y):
        moment = np.einsum("bnd,bn->bd", x, y) / x.shape[1]
        return np.linalg.solve(np.swapaxes(x, 1, 2) @ x / x.shape[1] + penalty * eye, moment[..., None])[
            ..., 0
        ]

    def influence(x, y, damping=penalty):
        flat = (-x * (y - x @ centre)[..., None]).reshape(-1, len(theta))
        flat = flat + gram @ (theta - centre)
        return -np.linalg.solve(gram + damping * eye, flat.T).T.reshape(x.shape)

    return Estimator(centre, lambda rng, shape: draw("linear", theta, rng, shape), estimate, influence)


def network(rng):
    """Four tanh units that learn from four such units, fitted to the minimum next to the population's."""
    teacher = Teacher.of_four(rng)
    optimum = Optimum.of(teacher.network, teacher.weights, *teacher.sample(rng, 100_000))

    def estimate(x, y):
        fit = teacher.network.fit(optimum.weights, x, y)
        assert fit.converged.all()
        return fit.weights

    return Estimator(
        optimum.weights, lambda rng, shape: teacher.sample(rng, *shape), estimate, optimum.influence
    )


def attack(seen, response, members, others):
    """Advantage of thresholding the best linear score at half its information, and the standard error over refits.

    ``seen`` is what each refit releases, ``response(learn)`` its derivative in the estimate, ``(released, d)``.
    """
    gain = np.empty(len(seen))
    for score in np.array_split(np.arange(len(seen)), 10):
        learn = np.setdiff1d(np.arange(len(seen)), score)
        values, vectors = np.linalg.eigh(np.cov(seen[learn].T).reshape(seen.shape[1], -1))
        kept = values > 1e-3 * values.max()
        half = (vectors[:, kept] / np.sqrt(values[kept])).T
        white = ((seen[score] - seen[learn].mean(axis=0)) @ half.T).astype(np.float32)
        moves = (half @ response(learn)).T.astype(np.float32)

        def rate(shifts, moves=moves, white=white):
            moved = shifts @ moves
            return (np.einsum("bnk,bk->bn", moved, white) > np.square(moved).sum(-1) / 2).mean(axis=1)

        gain[score] = rate(members[score]) - rate(others[score])
    return gain.mean(), gain.std() / math.sqrt(len(gain))


def on_cells(cells, estimates, members, others):
    """The attack on codes of a fixed grid: scores of the cells that enough refits reach, in their own deviation."""
    seen = cells.observed(estimates)
    kept = seen.var(axis=0) > 0.3 * np.maximum(cells.shares, 0.02)
    if not kept.any():
        return 0.0, 0.0
    root = np.sqrt(cells.shares[kept])
    response = np.diag(np.sqrt(cells.shares))[kept]
    return attack(seen[:, kept] / root, lambda _: response, members, others)


def on_weights(released, estimates, members, others):
    """The attack on released weights as they are, scale and all; what they tell of the estimate is learned."""

    def response(learn):
        centred = [a[learn] - a[learn].mean(axis=0) for a in (estimates, released)]
        return np.linalg.lstsq(*centred)[0].T

    return attack(released, response, members, others)


def simulate(estimator, n, num_refits, rng):
    """Standard deviation of the estimate, refits in units of it, shifts of their members and of as many others."""
    true = estimator.influence(*estimator.draw(rng, (100_000,)))
    sd = np.sqrt(np.square(true).mean(axis=0) / n)
    parts = []
    for _ in range(num_refits // 250):
        members, others = estimator.draw(rng, (250, n)), estimator.draw(rng, (250, n))
        shifts = [
            (estimator.influence(*sample) / (n * sd)).astype(np.float32) for sample in (members, others)
        ]
        parts.append(((estimator.estimate(*members) - estimator.centre) / sd, *shifts))
    return sd, *(np.concatenate(part) for part in zip(*parts, strict=True))


def compare(estimator, n, num_refits, names, rng, believed=None):
    """Yield name, prediction by cells and by the linear score's normal limit, attack, its standard error.

    ``believed`` is an influence function to predict from where it is not the true one.
    """
    influence = (believed or estimator.influence)(*estimator.draw(rng, (100_000,)))
    covariance = influence.T @ influence / len(influence)
    sd, *sample = simulate(estimator, n, num_refits, rng)
    for name in names:
        quantizer = parse(name)
        cells = CellScores.of([estimator.centre], [quantizer.fit(estimator.centre)], sd)
        setting = {"covariance": covariance, "mean": estimator.centre, "quantizer": quantizer, "n": n}
        predicted = [
            theory.local(influence=influence[:5000], method=m, **setting).value for m in ("cells", "linear")
        ]
        yield name, *predicted, *on_cells(cells, *sample)


def agrees(predicted, found, error):
    """Within a tenth, three standard errors, or what too few refits tell: less than 0.0005 seen by none is none."""
    return abs(predicted - found) < max(0.1 * found, 3 * error, 5e-4)


@pytest.mark.parametrize("kind", MEAN)
def test_predictions_meet_the_attack(kind, rng):
    estimator = maximum_likelihood(kind, rng.standard_normal(8) * SIGNAL[kind], rng)
    for name, cells, linear, found, error in compare(estimator, 150, 1500, QUANTIZERS[::3], rng):
        assert agrees(cells, found, error), name
        assert agrees(linear, found, error), name
        assert error < 0.06 * found


@pytest.mark.slow
@pytest.mark.parametrize("n", [200, 400, 800])
@pytest.mark.parametrize("kind", MEAN)
def test_predictions_meet_the_attack_in_sixteen_dimensions(kind, n, rng):
    estimator = maximum_likelihood(kind, rng.standard_normal(16) * SIGNAL[kind], rng)
    for name, cells, _, found, error in compare(estimator, n, 400_000 // n, QUANTIZERS, rng):
        assert agrees(cells, found, error), name


def test_predictions_meet_the_attack_on_networks(rng):
    for name, cells, linear, found, error in compare(network(rng), 200, 1000, QUANTIZERS[::3], rng):
        assert agrees(cells, found, error), name
        assert agrees(linear, found, error), name
        assert error < 0.1 * found


@pytest.mark.slow
@pytest.mark.parametrize("n", [200, 400, 800])
def test_predictions_meet_the_attack_on_networks_with_every_quantizer(n, rng):
    for name, cells, _, found, error in compare(network(rng), n, 400_000 // n, QUANTIZERS, rng):
        assert agrees(cells, found, error), name


@pytest.mark.slow
@pytest.mark.parametrize("num_steps", [3, 30])
def test_early_stopping_needs_the_influence_of_the_path(num_steps, rng):
    """Along the path the prediction holds after three steps as after thirty; the sandwich fails after three.

    The sandwich takes the estimate for a minimum, so that flat directions move by more than they had time to.
    """
    estimator = stopped_early(rng.standard_normal(16) * 0.25, num_steps, 0.2, rng)
    x, _ = estimator.draw(rng, (100_000,))
    inverse = np.linalg.inv(x.T @ x / len(x))

    def sandwich(x, y):
        gradient = x * (y - x @ estimator.centre)[..., None]
        return (gradient - gradient.mean(axis=0)) @ inverse

    names = ["full", "sign", "ternary-90", "uniform-3"]
    for name, cells, _, found, error in compare(estimator, 200, 1000, names, rng):
        assert agrees(cells, found, error), name
    for name, cells, _, found, error in compare(estimator, 200, 1000, names[1:3], rng, believed=sandwich):
        assert agrees(cells, found, error) == (num_steps == 30), name


@pytest.mark.slow
def test_a_penalty_needs_its_damping(rng):
    """Ridge regression: right with the penalty in the Hessian; without it the weights seem to move further."""
    estimator = ridge(rng.standard_normal(16) * 0.25, 1.0, rng)
    names = ["full", "sign", "ternary-90", "uniform-3"]
    for name, cells, _, found, error in compare(estimator, 200, 1000, names, rng):
        assert agrees(cells, found, error), name

    def undamped(x, y):
        return estimator.influence(x, y, damping=0.0)

    for name, cells, _, found, _ in compare(
        estimator, 200, 1000, ["sign", "ternary-90"], rng, believed=undamped
    ):
        assert cells > 1.2 * found, name


@pytest.mark.slow
def test_the_normal_limit_fails_where_few_weights_matter(rng):
    """Two bits of sixteen weights, 800 examples: one or two weights are near an edge, and only the cells tell it."""
    estimator = maximum_likelihood("linear", rng.standard_normal(16) * 0.25, rng)
    ((_, cells, linear, found, error),) = compare(estimator, 800, 2000, ["uniform-2"], rng)
    assert agrees(cells, found, error)
    assert linear > found + 5 * error


@pytest.mark.slow
def test_a_fitted_scale_is_a_release_too(rng):
    """Each refit on the grid that it fits itself, against codes on the grid of the mean: the scale leaks beside them.

    Most where codes tell least; nothing of note where there are many or the scale is rounded to a power of two.
    """
    estimator = maximum_likelihood("linear", rng.standard_normal(16) * 0.25, rng)
    sd, estimates, members, others = simulate(estimator, 200, 2000, rng)
    leaks = {}
    for name in ("sign", "uniform-2", "uniform-3", "uniform-3-pow2"):
        quantizer = parse(name)
        cells = CellScores.of([estimator.centre], [quantizer.fit(estimator.centre)], sd)
        codes, error = on_cells(cells, estimates, members, others)
        released = np.stack([quantizer(estimator.centre + sd * x) for x in estimates]) / sd
        whole, _ = on_weights(released, estimates, members, others)
        leaks[name] = (whole - codes) / error
    assert leaks["uniform-2"] > 3
    assert abs(leaks["uniform-3-pow2"]) < 3
