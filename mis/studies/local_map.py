"""Where local asymptotics predict what small networks leak, and where they do not."""

import math
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
from scipy import stats

from mis import quantizers, theory
from mis.numerics.checks import InvalidInput
from mis.studies.refits import attack
from mis.studies.teachers import TETRAHEDRAL, Optimum, Teacher
from mis.training.small_network import SMALL

__all__ = ["local_map"]

QUANTIZERS = ("full", "ternary-66", "uniform-3", "uniform-4")
N = 400
POPULATION, PREDICTED = 100_000, 10_000
# Refits held at a time; of each, so many members and as many others are attacked, fewer where psi follows the path.
BATCH, ATTACKED, FOLLOWED = 250, 400, 100
# Along directions of V flatter than this, relative to its mean variance, a symmetry holds the estimate.
FLAT = 1e-6
# Newton's steps; on kinks they do not end. Rate of the gradient descent that is stopped.
STEPS, RATE = 100, 0.5


class _Refits(NamedTuple):
    """Estimates ``(R, d)``, whether at a minimum ``(R,)``, psi of members and of others ``(R, m, d)``."""

    estimates: np.ndarray
    minima: np.ndarray
    members: np.ndarray
    others: np.ndarray


def local_map(quick: bool = False) -> list[dict[str, Any]]:
    """Advantage of the attack that knows the law beside the predicted one, where asymptotics should hold and where not.

    Rows for ``mis.figures.local_map``: networks of 21 weights (3 inputs, 4 tanh units, penalty 1e-3) and 400 examples
    of a teacher of the same form, fitted to the minimum that a descent from the population's comes to; one thing is
    changed at a time. Panel ``examples``: their number. ``angle``: between two units of the teacher; the smaller, the
    flatter the Hessian. ``activation``. ``steps``: gradient descent from one point, stopped.

    *Predicted*: ``theory.local`` by its cells, full covariance, from the influence function at the population's
    minimum, for panel ``steps`` once at the point reached (*route* ``sandwich``) and once along the path (``path``);
    missing where theory refuses. *Advantage*: as in ``predicted-vs-empirical``, with its 95% interval over refits.
    ``away``: share of refits that V cannot explain, in another basin or where the expansion fails; ``minima``: share
    whose gradient vanishes.
    """
    rows: list[dict[str, Any]] = []
    num_refits, population = (BATCH, POPULATION // 5) if quick else (4 * BATCH, POPULATION)
    for number, (panel, at, teacher, n) in enumerate(_cases(quick)):
        rng = np.random.default_rng([13, number])
        optimum = Optimum.of(teacher.network, teacher.weights, *teacher.sample(rng, population))
        psi = optimum.influence(*teacher.sample(rng, population))
        refits = _minima(optimum, teacher, n, num_refits, rng)
        found = _compare(optimum.weights, {"sandwich": psi}, refits, n, quick)
        rows += [{"panel": panel, "at": at} | row for row in found]
    rng = np.random.default_rng(14)
    teacher = Teacher.of_four(np.random.default_rng(12))
    for steps, centre, routes, refits in _stopped(teacher, N, num_refits, quick, rng):
        rows += [{"panel": "steps", "at": steps} | row for row in _compare(centre, routes, refits, N, quick)]
    return rows


def _cases(quick: bool) -> Iterator[tuple[str, float | str, Teacher, int]]:
    def teacher(**changed):
        return Teacher.of_four(np.random.default_rng(12), **changed)

    for n in (25, 200) if quick else (25, 50, 100, 200, 400, 800):
        yield "examples", n, teacher(), n
    for angle in (10.0,) if quick else (TETRAHEDRAL, 60.0, 30.0, 20.0, 10.0):
        yield "angle", angle, teacher(angle=angle), N
    for activation in ("tanh",) if quick else ("tanh", "softplus", "relu"):
        yield "activation", activation, teacher(activation=activation), N


def _minima(optimum: Optimum, teacher: Teacher, n: int, num_refits: int, rng: np.random.Generator) -> _Refits:
    """Fit to the minimum that a descent from the population's comes to."""
    parts = []
    for _ in range(num_refits // BATCH):
        x, y = teacher.sample(rng, BATCH, n)
        fit = optimum.network.fit(optimum.weights, x, y, steps=STEPS)
        members = optimum.influence(x[:, :ATTACKED], y[:, :ATTACKED])
        others = optimum.influence(*teacher.sample(rng, BATCH, members.shape[1]))
        parts.append((fit.weights, fit.converged, members, others))
    return _Refits(*(np.concatenate(part) for part in zip(*parts, strict=True)))


def _stopped(
    teacher: Teacher, n: int, num_refits: int, quick: bool, rng: np.random.Generator
) -> Iterator[tuple[int, np.ndarray, dict[str, np.ndarray], _Refits]]:
    """Yield steps, the population's weights after them, psi of an example by two routes, refits with psi by the path.

    An example of weight 1/n moves the path by psi/n, ``psi <- psi - rate (gradient - mean gradient + H psi)``.
    """
    network, penalty = teacher.network, teacher.network.penalty
    whole, (x, y) = teacher.sample(rng, POPULATION // 5), teacher.sample(rng, num_refits, n)
    seen = [(x[:, :FOLLOWED], y[:, :FOLLOWED]), teacher.sample(rng, num_refits, FOLLOWED)]
    shown = [np.concatenate([a.reshape(-1, *a.shape[2:]) for a in part]) for part in zip(*seen, strict=True)]
    shown = [np.concatenate(pair) for pair in zip(shown, teacher.sample(rng, PREDICTED), strict=True)]
    centre = teacher.weights + rng.standard_normal(network.num_weights) / 3
    estimates, psi = np.tile(centre, (num_refits, 1)), np.zeros((len(shown[1]), len(centre)))
    stops = (5, 20) if quick else (5, 10, 20, 40, 80)
    for step in range(1, stops[-1] + 1):
        over_all, hessian = network.expand(centre, *whole)
        mean, hessian = over_all.mean(axis=0), hessian + penalty * np.eye(len(centre))
        gradients, _ = network.expand(centre, *shown)
        psi -= RATE * (gradients - mean + psi @ hessian)
        centre = centre - RATE * (mean + penalty * centre)
        estimates -= RATE * network.descent(estimates, x, y)
        if step in stops:
            pairs = psi[:-PREDICTED].reshape(2, num_refits, FOLLOWED, -1)
            gradients, hessian = network.expand(centre, *shown)
            routes = {"path": psi[-PREDICTED:].copy()}
            try:
                routes["sandwich"] = theory.sandwich(gradients, hessian, damping=penalty).influence[
                    -PREDICTED:
                ]
            except InvalidInput:
                routes["sandwich"] = np.zeros((0, len(centre)))
            minima = np.abs(network.descent(estimates, x, y)).max(axis=-1) < SMALL
            yield step, centre, routes, _Refits(estimates.copy(), minima, *pairs)


def _compare(
    centre: np.ndarray, routes: dict[str, np.ndarray], refits: _Refits, n: int, quick: bool
) -> Iterator[dict[str, Any]]:
    """Yield a row for each quantizer and each influence function to predict from."""
    first = next(iter(routes.values()))
    covariance = first.T @ first / len(first)
    values, vectors = np.linalg.eigh(covariance)
    steep = values > 1e-4 * values[-1]
    distance = np.square((refits.estimates - centre) @ vectors[:, steep] / np.sqrt(values[steep] / n)).sum(
        axis=1
    )
    away = distance > 3 * steep.sum()
    usual = ~away if away.mean() < 0.5 else np.ones(len(away), bool)
    for name in QUANTIZERS[: 2 if quick else None]:
        quantizer = quantizers.parse(name)
        released = quantizer.fit(centre).apply(refits.estimates)
        gains = attack(refits.estimates, released, refits.members / n, refits.others / n, usual)
        half = stats.norm.isf(0.025) * gains.std(ddof=1) / math.sqrt(len(gains))
        for route, psi in routes.items():
            row = {
                "route": route,
                "quantizer": name,
                "advantage": float(gains.mean()),
                "lower": float(gains.mean() - half),
                "upper": float(gains.mean() + half),
                "away": float(away.mean()),
                "minima": float(refits.minima.mean()),
            }
            yield row | _predicted(psi, centre, quantizer, n)


def _predicted(
    psi: np.ndarray, centre: np.ndarray, quantizer: quantizers.Quantizer, n: int
) -> dict[str, float]:
    if len(psi) == 0:
        return {}
    covariance = psi.T @ psi / len(psi)
    covariance += FLAT * np.trace(covariance) / len(centre) * np.eye(len(centre))
    found = theory.local(
        influence=psi[:PREDICTED],
        covariance=covariance,
        mean=centre,
        quantizer=quantizer,
        n=n,
        method="cells",
    )
    return {"predicted": found.value}
