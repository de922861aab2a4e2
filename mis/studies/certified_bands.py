"""Certified bounds on the advantage, against the dimension of a release and against its bits."""

from typing import Any

import numpy as np
from scipy import stats

from mis import quantizers, theory

__all__ = ["certified_bands"]

N = 100
# Cells so wide that only the one edge at the mean is ever met.
WIDE = 100.0
GRIDS = {
    "on an edge, wide cells": (WIDE, 0.0),
    "mid-cell, width 0.3": (0.3, 0.5),
    "mid-cell, width 0.5": (0.5, 0.5),
    "mid-cell, width 0.7": (0.7, 0.5),
}
FAMILIES = {
    "uniform": ("uniform-2", "uniform-3", "uniform-4", "uniform-5", "uniform-6"),
    "sign": ("sign",),
    "ternary-33": ("ternary-33",),
    "ternary-90": ("ternary-90",),
}
WEIGHTS = 60


def certified_bands(quick: bool = False) -> list[dict[str, Any]]:
    """Certified bounds on the advantage, against dimension and against bits.

    Rows for ``mis.figures.theory.certified_bands``. Panel ``dimension``: a mean of 100 standard normal
    vectors, in full precision and on grids. Panel ``bits``: a mean of 100 examples whose 60 coordinates have
    normally distributed true values, each in the cell in which a quantizer of all 60 puts it, the grid known
    in advance.
    """
    rows: list[dict[str, Any]] = []
    dims = np.unique(
        np.round(np.geomspace(1, 1e3 if quick else 1e5, 5 if quick else 21)).astype(int)
    ).tolist()
    tolerance = 1e-3
    for dim in dims:
        full = theory.full_precision_mean(dim, N)
        rows.append(_row("dimension", "full precision", dim, full))
    for release, (width, offset) in GRIDS.items():
        for dim in dims:
            found = theory.quantized_mean(N, dim, width, offset, tolerance=tolerance)
            rows.append(_row("dimension", release, dim, found))
    weights = stats.norm.ppf((np.arange(WEIGHTS) + 0.5) / WEIGHTS)
    rows += [_row("bits", "full precision", bits, theory.full_precision_mean(WEIGHTS, N)) for bits in (1, 6)]
    for family, names in FAMILIES.items():
        for name in names[: 2 if quick else None]:
            quantizer = quantizers.parse(name)
            edges = tuple(quantizer.fit(weights).edges.tolist())
            cells = [theory.Cells(edges=edges, mean=float(w)) for w in weights]
            found = theory.product(cells, N, tolerance=tolerance)
            rows.append(_row("bits", family, quantizer.bits, found))
    return rows


def _row(panel: str, release: str, x: float, found: Any) -> dict[str, Any]:
    return {
        "panel": panel,
        "release": release,
        "x": x,
        "lower": found.lower,
        "value": found.value,
        "upper": found.upper,
    }
