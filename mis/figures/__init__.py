"""Floor 3: rows in, matplotlib figures out. Computes nothing, imports no JAX."""

from collections.abc import Callable
from typing import Any

from mis.figures.boundary import boundary
from mis.figures.local_map import local_map
from mis.figures.ranking import ranking_figure
from mis.figures.sandwich import sandwich
from mis.figures.shadows import shadows
from mis.figures.theory import certified_bands, delta_against_n, edge_leakage, predicted_against_empirical

__all__ = ["FIGURES", "ranking_figure"]

# Each draws the rows of the study of the same name.
FIGURES: dict[str, Callable[[Any], Any]] = {
    "delta-vs-n": delta_against_n,
    "certified-bands": certified_bands,
    "edge-leakage": edge_leakage,
    "boundary": boundary,
    "predicted-vs-empirical": predicted_against_empirical,
    "local-map": local_map,
    "sandwich": sandwich,
    "shadows": shadows,
}
