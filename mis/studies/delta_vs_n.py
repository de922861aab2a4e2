"""Every route to the advantage of a learner with two candidates, over a hundred decades of it."""

import math
from typing import Any

import numpy as np

from mis import theory
from mis.theory.laws import LossLaw

__all__ = ["delta_vs_n"]

LAWS: dict[str, tuple[LossLaw, int]] = {
    "normal, δ = σ": (
        theory.GaussianLosses(mean=[0.0, 1.0], cov=[[0.0, 0.0], [0.0, 1.0]]),
        450,
    ),
    "three atoms on a lattice": (
        theory.DiscreteLosses(losses=[[0.0, 0.0, 0.0], [-0.9, 0.15, 0.6]], probs=[0.2, 0.5, 0.3]),
        23_000,
    ),
}


def delta_vs_n(quick: bool = False) -> list[dict[str, Any]]:
    """Advantage against n over a hundred decades: exact, sharp, saddlepoint, first order, simulated.

    Rows for ``mis.figures.theory.delta_against_n``. Routes: ``exact``; ``first order``, ``exp(-n I)``;
    ``sharp``; ``saddlepoint``; ``simulated``, tilted sampling with its 95% interval. n runs until the
    advantage is 1e-100.
    """
    rows: list[dict[str, Any]] = []
    for name, (law, last) in LAWS.items():
        ns = np.unique(np.round(np.geomspace(3, last, 8 if quick else 30)).astype(int)).tolist()
        exact = {n: theory.exact(law, n).value for n in ns}
        exponent = theory.rate(law).value
        routes = {
            "exact": exact,
            "first order": {n: math.exp(-n * exponent) for n in ns},
            "sharp": {n: theory.sharp(law, n).value for n in ns},
            "saddlepoint": {n: theory.saddlepoint(law, n).value for n in ns},
        }
        for route, values in routes.items():
            rows += [_row(name, route, n, (value, value, value), exact[n]) for n, value in values.items()]
        for n in ns[1 :: 3 if quick else 2]:
            found = theory.simulate(n, law, n, num_samples=40_000 if quick else 100_000)
            rows.append(_row(name, "simulated", n, (found.lower, found.value, found.upper), exact[n]))
    return rows


def _row(law: str, route: str, n: int, values: tuple[float, float, float], exact: float) -> dict[str, Any]:
    lower, value, upper = values
    return {
        "law": law,
        "route": route,
        "n": n,
        "lower": lower,
        "value": value,
        "upper": upper,
        "error": abs(value / exact - 1),
    }
