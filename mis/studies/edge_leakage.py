"""Function: what a weight leaks by its distance to an edge, and what a quantizer retains by how many are near."""

from typing import Any

import numpy as np
from scipy import stats

from mis import quantizers, theory

__all__ = ["edge_leakage"]

QUANTIZERS = ("sign", "ternary-33", "ternary-76", "ternary-90", "uniform-2", "uniform-3", "uniform-4")
WEIGHTS = {"normal weights": stats.norm(), "Laplace weights": stats.laplace(scale=2**-0.5)}
# Standard deviation of a weight's fluctuation, in standard deviations of the weights.
SPREAD = 0.01


def edge_leakage(quick: bool = False) -> list[dict[str, Any]]:
    """Leakage of a weight by its distance to a cell edge, of a quantizer by the density at its edges.

    Rows for ``mis.figures.theory.edge_leakage``. Panel ``distance``: the certified advantage of one
    coordinate of a mean of n normal examples, its true value at a distance (in standard deviations of an
    example) from the nearest of edges ``width`` apart. Panel ``density``: the information retained by
    quantizers of weights with a given law, each fluctuating by a hundredth of their spread, and what the
    boundary law says of it.
    """
    rows: list[dict[str, Any]] = []
    for n, width in ((25, 2.0), (100, 2.0), (400, 2.0), (100, 0.5)):
        for offset in np.linspace(0, 0.5, 9 if quick else 41):
            found = theory.quantized_mean(n, 1, width, float(offset))
            rows.append(
                {
                    "panel": "distance",
                    "label": f"n = {n}, cells {width:g} wide",
                    "n": n,
                    "width": width,
                    "distance": float(offset * width),
                    "value": found.value,
                }
            )
    size = 4001 if quick else 40_001
    for name, law in WEIGHTS.items():
        weights = law.ppf((np.arange(size) + 0.5) / size)
        for spelled in QUANTIZERS:
            quantizer = quantizers.parse(spelled)
            at_edges = law.pdf(quantizer.fit(weights).edges)
            rows.append(
                {
                    "panel": "density",
                    "weights": name,
                    "quantizer": spelled,
                    "density": float(at_edges.sum()),
                    "retained": theory.retained_information(weights, SPREAD, quantizer).value,
                    "law": theory.boundary_information(at_edges, SPREAD),
                }
            )
    return rows
