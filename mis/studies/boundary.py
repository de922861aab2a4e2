"""Cell edges in the law of the weights, and what a thousand weights leak as more of them are set to zero."""

from typing import Any

import numpy as np
from scipy import stats

from mis import quantizers, theory

__all__ = ["boundary"]

LAWS = {"normal weights": stats.norm(), "Laplace weights": stats.laplace(scale=2**-0.5)}
SHOWN = ("sign", "ternary-33", "ternary-90", "uniform-3")
REFERENCES = ("sign", "uniform-2", "uniform-3")
N, WEIGHTS = 400, 1000


def boundary(quick: bool = False) -> list[dict[str, Any]]:
    """Where quantizers have their edges, and certified advantages against the share of weights set to zero.

    Rows for ``mis.figures.boundary``. A mean of 400 examples with 1000 independent coordinates, their true values the
    quantiles of a law of unit variance, an example's deviation 1: a weight fluctuates by 1/20 of the weights' spread.
    Panel ``density``: the law. ``edge``: edges of some quantizers and the density there. ``leak``: the *certified*
    advantage of the best attack, ``lower`` and ``upper``, and ``law``, the level that the boundary law predicts from
    the densities at the edges alone; ``zeros`` for ternary quantizers only.
    """
    rows: list[dict[str, Any]] = []
    num = 300 if quick else WEIGHTS
    full = theory.full_precision_mean(num, N).value
    zeros = (10, 76, 95) if quick else (5, 10, 20, 33, 45, 55, 65, 76, 85, 90, 95, 98)
    for name, law in LAWS.items():
        weights = law.ppf((np.arange(num) + 0.5) / num)
        for x in np.linspace(-3.5, 3.5, 141).tolist():
            rows.append({"panel": "density", "weights": name, "weight": x, "density": float(law.pdf(x))})
        for spelled in (*REFERENCES, *(f"ternary-{share}" for share in zeros)):
            quantizer = quantizers.parse(spelled)
            edges = np.asarray(quantizer.fit(weights).edges, float)
            cells = [theory.Cells(edges=tuple(edges.tolist()), mean=w) for w in weights.tolist()]
            found = theory.product(cells, N, tolerance=1e-3)
            information = theory.boundary_information(law.pdf(edges), N**-0.5)
            row = {
                "panel": "leak",
                "weights": name,
                "quantizer": spelled,
                "bits": quantizer.bits,
                "lower": found.lower,
                "upper": found.upper,
                "law": theory.predicted_advantage(information, full).value,
            }
            rows.append(
                row | ({"zeros": quantizer.zeros} if isinstance(quantizer, quantizers.Ternary) else {})
            )
    weights = LAWS["normal weights"].ppf((np.arange(WEIGHTS) + 0.5) / WEIGHTS)
    for spelled in SHOWN:
        quantizer = quantizers.parse(spelled)
        for edge in np.asarray(quantizer.fit(weights).edges, float).tolist():
            rows.append(
                {
                    "panel": "edge",
                    "weights": "normal weights",
                    "quantizer": spelled,
                    "bits": quantizer.bits,
                    "edge": edge,
                    "density": float(stats.norm.pdf(edge)),
                    "reach": 2 * N**-0.5,
                }
            )
    return rows
