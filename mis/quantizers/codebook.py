"""Spec: the levels that fit one tensor best, by k-means."""

import math
from dataclasses import dataclass
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import numpy as np

from mis.quantizers.base import Grid, Quantizer, nearest
from mis.quantizers.fields import integer_field

__all__ = ["Codebook"]

FEWEST_BINS, BINS_PER_LEVEL = 4096, 64
ITERATIONS = 100
START_BINS_PER_LEVEL = (1, 16)


@dataclass(frozen=True, kw_only=True)
class Codebook(Quantizer):
    """Nearest of ``levels`` centroids of the tensor's weights: one-dimensional k-means (weight clustering).

    Lloyd's algorithm on the weights pooled into 4096 bins or more, whose counts and sums are exact; so a pass
    costs nothing in the number of weights, and each level is the mean of the weights of whole bins. It starts
    where the cube root of the density puts equal mass, the optimal density of levels in the limit of many; once
    with the density smoothed over the width of a cell, once over a sixteenth of it, and the better fit wins.

    Parameters
    ----------
    levels
        2 to 256 centroids per tensor; all of them are released in full precision.

    References
    ----------
    Lloyd (1982), Least squares quantization in PCM; Panter and Dite (1951) for the start; Han, Mao, Dally
    (2016), Deep Compression, arXiv:1510.00149, section 3, for its use on networks.

    Examples
    --------
    >>> import numpy as np
    >>> Codebook(levels=2)(np.array([-1.0, -0.8, 0.5, 0.7]))
    array([-0.9, -0.9,  0.6,  0.6])
    """

    family: ClassVar[str] = "codebook"
    levels: int = integer_field(16, at_least=2, at_most=256)

    @property
    def num_levels(self) -> float:
        """As asked for."""
        return self.levels

    @property
    def num_scales(self) -> int:
        """All levels are fitted."""
        return self.levels

    def fit(self, weights: Any) -> Grid:
        """Return the centroids with their midpoints as edges."""
        xp = weights.__array_namespace__()
        bins = max(FEWEST_BINS, BINS_PER_LEVEL * self.levels)
        low, high = xp.min(weights), xp.max(weights)
        width = xp.where(high > low, high - low, 1) / bins
        # Relative to the middle of the range, so that running sums of both signs stay small.
        middle = low + (high - low) / 2
        of_weight = xp.clip((weights - low) / width, 0, bins - 1).astype(int).ravel()
        counts = pooled(of_weight, xp.ones_like(weights).ravel(), bins)
        sums = pooled(of_weight, (weights - middle).ravel(), bins)
        centres = (low - middle) + width * (xp.arange(bins, dtype=weights.dtype) + 0.5)
        fits = [
            lloyd(centres[start(counts, self.levels, bins_per_level)], counts, sums, centres, width)
            for bins_per_level in START_BINS_PER_LEVEL
        ]
        levels, explained = (xp.stack(both) for both in zip(*fits, strict=True))
        return nearest((middle + levels[xp.argmax(explained)]).astype(weights.dtype))


def start(counts: Any, num: int, bins_per_level: int) -> Any:
    """Return ``num`` bins that part the cube root of the density evenly, the density smoothed first."""
    xp = counts.__array_namespace__()
    pooling = 2 ** int(math.log2(len(counts) / (bins_per_level * num)))
    mass = xp.cumsum(xp.cbrt(counts.reshape(-1, pooling).sum(axis=1)))
    targets = mass[-1] * (xp.arange(num, dtype=mass.dtype) + 0.5) / num
    return pooling * xp.clip(xp.searchsorted(mass, targets), 0, len(mass) - 1) + pooling // 2


def lloyd(levels: Any, counts: Any, sums: Any, centres: Any, width: Any) -> tuple[Any, Any]:
    """Return the centroids after ``ITERATIONS`` passes, and the sum of squares between them.

    A level whose cell is empty stays where it is.
    """
    xp = levels.__array_namespace__()
    zero, bins = xp.zeros(1, int), len(centres)
    running_counts, running_sums = (
        xp.concatenate([xp.zeros(1, x.dtype), xp.cumsum(x)]) for x in (counts, sums)
    )

    def means(count, total, levels):
        return xp.where(count > 0, total / xp.maximum(count, 1), levels)

    def cuts(levels):
        return xp.clip(xp.ceil((nearest(levels).edges - centres[0]) / width), 0, bins).astype(int)

    def one_pass(_, levels):
        bounds = xp.concatenate([zero, cuts(levels), zero + bins])
        return means(xp.diff(running_counts[bounds]), xp.diff(running_sums[bounds]), levels)

    if xp is np:
        for i in range(ITERATIONS):
            levels = one_pass(i, levels)
    else:
        levels = jax.lax.fori_loop(0, ITERATIONS, one_pass, levels)
    # Once more with sums taken cell by cell: running sums lose digits where a cell holds few weights.
    cell = xp.cumsum(pooled(cuts(levels), xp.ones_like(levels[1:]), bins + 1))[:-1].astype(int)
    count, total = pooled(cell, counts, len(levels)), pooled(cell, sums, len(levels))
    return means(count, total, levels), xp.sum(total**2 / xp.maximum(count, 1))


def pooled(index: Any, weights: Any, length: int) -> Any:
    """Return the sum of the weights at each index 0..length-1."""
    if isinstance(weights, np.ndarray):
        return np.bincount(index, weights, length)
    return jnp.zeros(length, weights.dtype).at[index].add(weights)
