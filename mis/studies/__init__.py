"""Studies, one file for each paper figure. Each computes rows; ``mis.figures`` draws them.

To add one: write ``NAME(quick) -> rows`` (``NAME(quick, out)``, if it keeps anything on the way) in a file of its own,
add it to ``STUDIES``, and its figure to ``FIGURES`` of ``mis.figures`` under the same name.
"""

from collections.abc import Callable
from typing import Any

from mis.studies.boundary import boundary
from mis.studies.certified_bands import certified_bands
from mis.studies.delta_vs_n import delta_vs_n
from mis.studies.edge_leakage import edge_leakage
from mis.studies.local_map import local_map
from mis.studies.predicted_vs_empirical import predicted_vs_empirical
from mis.studies.rows import write_rows
from mis.studies.sandwich import sandwich
from mis.studies.shadows import shadows

__all__ = ["KEEPING", "STUDIES", "write_rows"]

# Those that also take a folder, and keep there what takes long to compute.
KEEPING = {"sandwich"}

# Each takes ``quick`` (fewer points, wider intervals) and returns rows.
STUDIES: dict[str, Callable[..., list[dict[str, Any]]]] = {
    "delta-vs-n": delta_vs_n,
    "certified-bands": certified_bands,
    "edge-leakage": edge_leakage,
    "boundary": boundary,
    "predicted-vs-empirical": predicted_vs_empirical,
    "local-map": local_map,
    "sandwich": sandwich,
    "shadows": shadows,
}
