"""Rows in, matplotlib figures out. Computes nothing, imports no JAX."""

from collections.abc import Callable

# First, before anything else imports matplotlib.
from mis.figures import any_backend  # noqa: F401
from mis.figures.boundary import boundary
from mis.figures.drawing import Drawing
from mis.figures.files import QUICK, FigureError, recorded_ranking, refuse_other, save
from mis.figures.leakage import leakage_curves, leakage_errors, leakage_pictures, leakage_tradeoff
from mis.figures.local_map import local_map
from mis.figures.ranking import ranking_figure
from mis.figures.sandwich import sandwich
from mis.figures.shadows import shadows
from mis.figures.style import check_style, inches
from mis.figures.theory import certified_bands, delta_against_n, edge_leakage, predicted_against_empirical
from mis.figures.works import attackers, tradeoffs

__all__ = [
    "FIGURES",
    "QUICK",
    "FigureError",
    "attackers",
    "check_style",
    "inches",
    "leakage_curves",
    "leakage_errors",
    "leakage_pictures",
    "leakage_tradeoff",
    "ranking_figure",
    "recorded_ranking",
    "refuse_other",
    "save",
    "tradeoffs",
]

# Each draws the rows of the study of the same name, and takes ``width`` and ``style``.
FIGURES: dict[str, Callable[..., Drawing]] = {
    "delta-vs-n": delta_against_n,
    "certified-bands": certified_bands,
    "edge-leakage": edge_leakage,
    "boundary": boundary,
    "predicted-vs-empirical": predicted_against_empirical,
    "local-map": local_map,
    "sandwich": sandwich,
    "shadows": shadows,
}
