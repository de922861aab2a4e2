"""Floor 3: rows in, matplotlib figures out. Computes nothing, imports no JAX."""

from mis.figures.ranking import ranking_figure

__all__ = ["ranking_figure"]
