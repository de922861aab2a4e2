"""The levels that fit one tensor best, by k-means."""

import math
from dataclasses import dataclass
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import numpy as np

from mis.quantizers.base import Quantizer
from mis.quantizers.channels import Grid, nearest, select
from mis.quantizers.fields import integer_field

__all__ = ["Codebook"]

FEWEST_BINS, BINS_PER_LEVEL = 4096, 64
ITERATIONS = 100
START_BINS_PER_LEVEL = (1, 16)


@dataclass(frozen=True, kw_only=True)
class Codebook(Quantizer):
    """Nearest of ``levels`` centroids of the tensor's weights: one-dimensional k-means (weight clustering).

    Lloyd's algorithm on the weights pooled into 4096 bins or more, whose counts and sums are exact, so that a pass
    costs nothing in the number of weights; then one pass over the weights themselves. It starts where the cube root
    of the density puts equal mass, the optimal density of levels in the limit of many; once with the density
    smoothed over the width of a cell, once over a sixteenth of it, and the better fit wins. Where no more bins hold
    weights than there are levels, each of them gets one; no more weights than levels are released as they are.

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

    def _fit(self, weights: Any) -> Grid:
        """Return the centroids with their midpoints as edges."""
        xp = weights.__array_namespace__()
        if weights.size <= self.levels:
            ascending = xp.sort(weights.ravel())
            return nearest(xp.concatenate([ascending, xp.repeat(ascending[-1:], self.levels - weights.size)]))
        bins = max(FEWEST_BINS, BINS_PER_LEVEL * self.levels)
        low, high = xp.min(weights), xp.max(weights)
        # Halved, because the range could overflow.
        half = xp.where(high > low, high / 2 - low / 2, 1)
        # Position of each weight, in bins from the middle of the range: running sums of both signs stay small.
        position = ((weights / 2 - low / 2) / half - 0.5).ravel() * bins
        of_weight = xp.clip(position + bins / 2, 0, bins - 1).astype(int)
        counts = pooled(of_weight, xp.ones_like(of_weight), bins)
        sums = pooled(of_weight, position, bins)
        centres = xp.arange(bins, dtype=weights.dtype) + (0.5 - bins / 2)
        fits = [
            lloyd(centres[start(counts, self.levels, bins_per_level)], counts, sums)
            for bins_per_level in START_BINS_PER_LEVEL
        ]
        levels, explained = (xp.stack(both) for both in zip(*fits, strict=True))
        share = (levels[xp.argmax(explained)] / bins + 0.5).astype(weights.dtype)
        return nearest(centroids(low * (1 - share) + high * share, weights, half))


def start(counts: Any, num: int, bins_per_level: int) -> Any:
    """Return ``num`` bins that part the cube root of the density evenly, the density smoothed first.

    Where at most ``num`` bins hold weights, all of these.
    """
    xp = counts.__array_namespace__()
    pooling = 2 ** int(math.log2(len(counts) / (bins_per_level * num)))
    smooth = pooling * parting(xp.cbrt(counts.reshape(-1, pooling).sum(axis=1)), num) + pooling // 2
    held = counts > 0
    return xp.where(xp.sum(held) > num, smooth, parting(held.astype(float), num))


def parting(density: Any, num: int) -> Any:
    """Return the places of ``num`` quantiles of a density."""
    xp = density.__array_namespace__()
    mass = xp.cumsum(density)
    targets = mass[-1] * (xp.arange(num, dtype=mass.dtype) + 0.5) / num
    return xp.clip(xp.searchsorted(mass, targets), 0, len(mass) - 1)


def lloyd(levels: Any, counts: Any, sums: Any) -> tuple[Any, Any]:
    """Return the centroids after ``ITERATIONS`` passes, in bins from the middle, and the sum of squares between them.

    A level whose cell is empty stays in it.
    """
    xp = levels.__array_namespace__()
    bins = len(counts)
    ends = xp.zeros(1, int), xp.full(1, bins)
    running_counts, running_sums = (
        xp.concatenate([xp.zeros(1, x.dtype), xp.cumsum(x)]) for x in (counts, sums)
    )

    def means(count, total, levels):
        return xp.where(count > 0, total / xp.maximum(count, 1), levels)

    def cuts(levels):
        return xp.clip(xp.ceil(nearest(levels).edges + (bins / 2 - 0.5)), 0, bins).astype(int)

    def one_pass(_, levels):
        bounds = xp.concatenate([ends[0], cuts(levels), ends[1]])
        found = means(xp.diff(running_counts[bounds]), xp.diff(running_sums[bounds]), levels)
        # Neither rounding nor an empty cell's level, which knows no bins, may leave the cell: levels ascend.
        sides = bounds.astype(levels.dtype) - bins / 2
        return xp.clip(found, sides[:-1], sides[1:])

    if xp is np:
        for i in range(ITERATIONS):
            levels = one_pass(i, levels)
    else:
        levels = jax.lax.fori_loop(0, ITERATIONS, one_pass, levels)
    # With sums taken cell by cell: running sums lose digits where a cell holds few weights.
    cell = xp.cumsum(pooled(cuts(levels), xp.ones(len(levels) - 1, int), bins + 1))[:-1].astype(int)
    count, total = pooled(cell, counts, len(levels)), pooled(cell, sums, len(levels))
    return levels, xp.sum(total**2 / xp.maximum(count, 1))


def centroids(levels: Any, weights: Any, half: Any) -> Any:
    """Return the mean of the weights that each level is the nearest to; the level itself where there are none."""
    xp = levels.__array_namespace__()
    edges = nearest(levels).edges
    cell = select(weights, edges, np.arange(len(levels))).ravel()
    # From the level, in half ranges: sums of both signs stay small.
    total = pooled(cell, ((weights.ravel() / 2 - levels[cell] / 2) / half), len(levels))
    count = pooled(cell, xp.ones_like(cell), len(levels))
    means = 2 * (levels / 2 + half * (total / xp.maximum(count, 1)).astype(levels.dtype))
    ends = xp.full(1, xp.inf, levels.dtype)
    return xp.clip(means, xp.concatenate([-ends, edges]), xp.concatenate([edges, ends]))


def pooled(index: Any, weights: Any, length: int) -> Any:
    """Return the sum of the weights at each index 0..length-1."""
    if isinstance(weights, np.ndarray):
        return np.bincount(index, weights, length)
    return jnp.zeros(length, weights.dtype).at[index].add(weights)
