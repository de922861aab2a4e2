"""Function: the advantage that local asymptotics predict, and what an attack reaches on thousands of refits."""

import math
from typing import Any, NamedTuple

import numpy as np
from scipy import special, stats

from mis import quantizers, theory

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
# A released weight that takes its second value in fewer refits than this has no usable variance.
RAREST = 0.005
POPULATION = 50_000


class _Regression(NamedTuple):
    """Mean of the response in the linear predictor, its slope, a draw of the response, size of the parameters."""

    mean: Any
    slope: Any
    draw: Any
    size: float


REGRESSIONS = {
    "linear": _Regression(lambda e: e, np.ones_like, lambda m, rng: m + rng.standard_normal(m.shape), 0.25),
    "logistic": _Regression(
        special.expit,
        lambda e: special.expit(e) * special.expit(-e),
        lambda m, rng: (rng.random(m.shape) < m).astype(float),
        0.25,
    ),
    "Poisson": _Regression(np.exp, np.exp, lambda m, rng: rng.poisson(m).astype(float), 0.15),
}


def predicted_vs_empirical(quick: bool = False) -> list[dict[str, Any]]:
    """Advantage that local asymptotics predict, and that an attack reaches on thousands of refits.

    Rows for ``mis.figures.theory.predicted_against_empirical``. For linear, logistic and Poisson regression
    with correlated features and three sample sizes, each refit is released on the grid that a quantizer fits
    to the population's parameters. *Predicted*: ``theory.local`` by its cells, full covariance. *Advantage*: of
    the attack that knows the law, the best linear score of the released values, thresholded where its
    likelihood ratio would be one. Mean, covariance and slope of the release come from other refits, not from
    theory. Attacked are all members of each refit and as many fresh examples; the interval is over refits.
    """
    rows: list[dict[str, Any]] = []
    # The attack pays for the means and covariances that it estimates: DIM parameters from half of these.
    num_refits = 1000 if quick else 2000
    for seed, (model, regression) in enumerate(REGRESSIONS.items()):
        rng = np.random.default_rng([7, seed])
        theta = regression.size * rng.standard_normal(DIM)
        influence, covariance, inverse = _population(regression, theta, rng)
        for n in (200,) if quick else (200, 400, 800):
            estimates, members, others = _refits(regression, theta, inverse, n, num_refits, rng)
            for name in QUANTIZERS[: 3 if quick else None]:
                quantizer = quantizers.parse(name)
                predicted = theory.local(
                    influence=influence[: 1000 if quick else 5000],
                    covariance=covariance,
                    mean=theta,
                    quantizer=quantizer,
                    n=n,
                    method="cells",
                )
                gains = _attack(estimates, quantizer.fit(theta).apply(estimates), members, others)
                half = stats.norm.isf(0.025) * gains.std(ddof=1) / math.sqrt(len(gains))
                rows.append(
                    {
                        "model": f"{model} regression",
                        "n": n,
                        "quantizer": name,
                        "predicted": predicted.value,
                        "advantage": float(gains.mean()),
                        "lower": float(gains.mean() - half),
                        "upper": float(gains.mean() + half),
                    }
                )
    return rows


def _data(regression, theta, rng, shape):
    """Features of correlation ``0.3^|i-j|``, and responses."""
    root = np.linalg.cholesky(0.3 ** np.abs(np.subtract.outer(np.arange(DIM), np.arange(DIM))))
    x = rng.standard_normal((*shape, DIM)) @ root.T
    return x, regression.draw(regression.mean(x @ theta), rng)


def _population(regression, theta, rng):
    """Return the influence function on examples, the sandwich covariance, the inverse Hessian."""
    x, y = _data(regression, theta, rng, (POPULATION,))
    eta = x @ theta
    hessian = (x * regression.slope(eta)[:, None]).T @ x / POPULATION
    fit = theory.sandwich(-x * (y - regression.mean(eta))[:, None], hessian)
    return fit.influence, fit.covariance, np.linalg.inv(hessian)


def _refits(regression, theta, inverse, n, num_refits, rng):
    """Return estimates ``(R, d)`` and the influence of their members and of fresh examples, ``(R, n, d)``."""
    parts = []
    for _ in range(num_refits // BATCH):
        drawn = [_data(regression, theta, rng, (BATCH, n)) for _ in range(2)]
        influences = [(x * (y - regression.mean(x @ theta))[..., None]) @ inverse for x, y in drawn]
        parts.append((_newton(regression, theta, *drawn[0]), *(i.astype(np.float32) for i in influences)))
    return [np.concatenate(part) for part in zip(*parts, strict=True)]


def _newton(regression, start, x, y):
    theta = np.tile(start, (len(x), 1))
    for _ in range(25):
        eta = (x @ theta[..., None])[..., 0]
        gradient = (np.swapaxes(x, 1, 2) @ (y - regression.mean(eta))[..., None])[..., 0]
        hessian = np.swapaxes(x * regression.slope(eta)[..., None], 1, 2) @ x
        step = np.linalg.solve(hessian, gradient[..., None])[..., 0]
        theta += step
        if np.abs(step).max() < 1e-8:
            return theta
    raise ArithmeticError("a sample has no maximum likelihood estimate")


def _attack(estimates, released, members, others):
    """Return TPR minus FPR on each refit, the law of the release taken from the half of the refits it is not in."""
    n = members.shape[1]
    gains = np.empty(len(released))
    halves = np.array_split(np.arange(len(released)), 2)
    for learn, use in (halves, halves[::-1]):
        usual = np.median(released[learn], axis=0)
        kept = (released[learn] != usual).mean(axis=0) > RAREST
        codes = released[:, kept]
        centre, own = codes[learn].mean(axis=0), codes[learn] - codes[learn].mean(axis=0)
        # A member moves the estimate by psi/n, and the expected release by the slope of its regression on the estimate.
        slope = np.linalg.lstsq(estimates[learn] - estimates[learn].mean(axis=0), own, rcond=None)[0] / n
        precision = np.linalg.inv(np.atleast_2d(own.T @ own / len(own)))
        direction = ((codes[use] - centre) @ precision @ slope.T).astype(np.float32)
        information = (slope @ precision @ slope.T).astype(np.float32)

        def rate(shown, direction=direction, information=information):
            score = (shown @ direction[..., None])[..., 0]
            return (score > ((shown @ information) * shown).sum(axis=-1) / 2).mean(axis=1)

        gains[use] = rate(members[use]) - rate(others[use])
    return gains
