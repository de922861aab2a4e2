"""What a weight leaks by its distance to an edge, and what a quantizer retains by how many are near."""

from typing import Any

import numpy as np
from scipy import stats

from mis import quantizers, theory

__all__ = ["edge_leakage"]

QUANTIZERS = ("sign", "ternary-33", "ternary-76", "ternary-90", "uniform-2", "uniform-3", "uniform-4")
WEIGHTS = {"normal weights": stats.norm(), "Laplace weights": stats.laplace(scale=2**-0.5)}
# Standard deviation of a weight's fluctuation, in standard deviations of the weights.
SPREAD = 0.01
# Width of cells, in standard deviations of an example, of which more than one edge matters at n = 100.
NARROW = 0.4


def edge_leakage(quick: bool = False) -> list[dict[str, Any]]:
    """Leakage of a weight by its distance to a cell edge, of a quantizer by the density at its edges.

    Rows for ``mis.figures.theory.edge_leakage``. Panel ``distance``: the exact advantage of one coordinate of a
    mean of n normal examples, its true value at a distance (in standard deviations of an example) from the only
    edge or from the nearest of many. Panel ``density``: the information retained by quantizers of weights with a
    given law, each fluctuating by a hundredth of their spread, and what the boundary law says of it.
    """
    rows: list[dict[str, Any]] = []
    num_points = 9 if quick else 41
    for n in (25, 100, 400, 1600):
        for distance in np.linspace(0, 1, num_points).tolist():
            # The mean is beyond an edge at this distance where a normal difference of losses has the wrong sign.
            law = theory.GaussianLosses(mean=[0.0, distance], cov=[[0.0, 0.0], [0.0, 1.0]])
            rows.append(_row(f"one edge, n = {n}", distance, theory.exact(law, n).value))
    for offset in np.linspace(0, 0.5, num_points).tolist():
        found = theory.quantized_mean(100, 1, NARROW, offset)
        rows.append(_row(f"cells {NARROW:g} wide, n = 100", NARROW * offset, found.value))
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
                    "law": theory.boundary_information(at_edges, SPREAD).value,
                }
            )
    return rows


def _row(label: str, distance: float, value: float) -> dict[str, Any]:
    return {"panel": "distance", "label": label, "distance": distance, "value": value}
