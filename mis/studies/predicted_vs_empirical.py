"""The advantage that local asymptotics predict, and what an attack reaches on thousands of refits."""

import functools
import math
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from scipy import special, stats

from mis import quantizers, theory
from mis.studies.refits import attack
from mis.studies.teachers import Optimum, Teacher
from mis.training import Regression, num_devices

__all__ = ["predicted_vs_empirical"]

QUANTIZERS = (
    "full",
    "sign",
    "ternary-33",
    "ternary-66",
    "ternary-90",
    "uniform-2",
    "uniform-3",
    "uniform-4",
    "uniform-4-offset-50",
)
DIM = 16
# Refits and their features are held this many at a time.
BATCH = 100
POPULATION = 50_000


class _Kind(NamedTuple):
    """Mean of the response in the linear predictor, its slope, a draw of the response, size of the parameters."""

    mean: Any
    slope: Any
    draw: Any
    size: float


KINDS = {
    "linear": _Kind(lambda e: e, np.ones_like, lambda m, rng: m + rng.standard_normal(m.shape), 0.25),
    "logistic": _Kind(
        special.expit,
        lambda e: special.expit(e) * special.expit(-e),
        lambda m, rng: (rng.random(m.shape) < m).astype(float),
        0.25,
    ),
    "poisson": _Kind(np.exp, np.exp, lambda m, rng: rng.poisson(m).astype(float), 0.15),
}


class _Model(NamedTuple):
    """Parameters of the population, draws of examples, estimates from a stack of samples, psi of examples."""

    centre: np.ndarray
    sample: Callable
    estimate: Callable
    influence: Callable


def predicted_vs_empirical(quick: bool = False) -> list[dict[str, Any]]:
    """Advantage that local asymptotics predict, and that an attack reaches on thousands of refits.

    Rows for ``mis.figures.theory.predicted_against_empirical``. For linear, logistic and Poisson regression with
    correlated features, for networks of four tanh units fitted to a minimum, and for three sample sizes, each refit is
    released on the grid that a quantizer fits to the population's parameters. *Predicted*: ``theory.local`` by its
    cells, full covariance. *Advantage*: of the attack that knows the law, the best linear score of the released
    values, thresholded where its likelihood ratio would be one. Mean, covariance and slope of the release come from
    other refits, not from theory. Attacked are all members of each refit and as many fresh examples; the interval is
    over refits.
    """
    rows: list[dict[str, Any]] = []
    # The attack pays for the means and covariances that it estimates: 16 to 21 parameters from four fifths of these.
    num_refits = 1000 if quick else 2000
    for seed, (name, make) in enumerate(MODELS.items()):
        rng = np.random.default_rng([7, seed])
        model = make(rng)
        influence = model.influence(*model.sample(rng, POPULATION))
        covariance = influence.T @ influence / POPULATION
        for n in (200,) if quick else (200, 400, 800):
            estimates, members, others = _refits(model, n, num_refits, rng)
            for spelled in QUANTIZERS[: 3 if quick else None]:
                quantizer = quantizers.parse(spelled)
                predicted = theory.local(
                    influence=influence[: 1000 if quick else 5000],
                    covariance=covariance,
                    mean=model.centre,
                    quantizer=quantizer,
                    n=n,
                    method="cells",
                )
                gains = attack(estimates, quantizer.fit(model.centre).apply(estimates), members, others)
                half = stats.norm.isf(0.025) * gains.std(ddof=1) / math.sqrt(len(gains))
                rows.append(
                    {
                        "model": name,
                        "n": n,
                        "quantizer": spelled,
                        "predicted": predicted.value,
                        "advantage": float(gains.mean()),
                        "lower": float(gains.mean() - half),
                        "upper": float(gains.mean() + half),
                    }
                )
    return rows


def _refits(model, n, num_refits, rng):
    """Return estimates ``(R, d)`` and the moves of their members and of fresh examples, ``psi / n``: ``(R, n, d)``."""
    parts = []
    for _ in range(num_refits // BATCH):
        drawn = [model.sample(rng, BATCH, n) for _ in range(2)]
        moves = [(model.influence(*sample) / n).astype(np.float32) for sample in drawn]
        parts.append((model.estimate(*drawn[0]), *moves))
    return [np.concatenate(part) for part in zip(*parts, strict=True)]


def _regression(family, rng):
    """Return features of correlation ``0.3^|i-j|``, a response in the model, maximum likelihood."""
    kind = KINDS[family]
    theta = kind.size * rng.standard_normal(DIM)
    root = np.linalg.cholesky(0.3 ** np.abs(np.subtract.outer(np.arange(DIM), np.arange(DIM))))

    def sample(rng, *shape):
        x = rng.standard_normal((*shape, DIM)) @ root.T
        return x, kind.draw(kind.mean(x @ theta), rng)

    x, _ = sample(rng, POPULATION)
    hessian = (x * kind.slope(x @ theta)[:, None]).T @ x / POPULATION
    inverse = np.linalg.inv(hessian)
    return _Model(
        theta,
        sample,
        lambda x, y: _estimate(family, x, y),
        lambda x, y: (x * (y - kind.mean(x @ theta))[..., None]) @ inverse,
    )


def _network(rng):
    """Return four tanh units that learn from four such units, fitted to the minimum next to the population's."""
    teacher = Teacher.of_four(rng)
    optimum = Optimum.of(teacher.network, teacher.weights, *teacher.sample(rng, POPULATION))

    def estimate(x, y):
        fit = teacher.network.fit(optimum.weights, x, y)
        assert fit.converged.all(), "a descent ended short of a minimum"
        return fit.weights

    return _Model(optimum.weights, teacher.sample, estimate, optimum.influence)


@functools.cache
def _fitted(family):
    """Return a compiled function that fits many samples, ``(R, n, d)`` and ``(R, n)``, by maximum likelihood."""
    num_devices()
    fit = Regression(family=family, penalty=0.0).fit
    return jax.jit(jax.vmap(lambda x, y: fit(x, y, jnp.ones(len(y)))))


def _estimate(family, x, y):
    params, converged = _fitted(family)(x.astype(np.float32), y.astype(np.float32))
    if not converged.all():
        raise ArithmeticError("a sample has no maximum likelihood estimate")
    return np.asarray(params, np.float64)


MODELS: dict[str, Callable] = {
    f"{family.replace('poisson', 'Poisson')} regression": functools.partial(_regression, family)
    for family in KINDS
}
MODELS["network, four tanh units"] = _network
