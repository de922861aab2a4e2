"""The cells of weights in units of their standard deviation, and what the codes tell of a small shift."""

import math
from collections.abc import Iterator

import numpy as np
from scipy import linalg

from mis.numerics.normal import cell_mean, log_mass
from mis.quantizers.blocks import Blocks
from mis.quantizers.channels import Channel, Grid
from mis.theory.sandwich import cholesky

__all__ = ["CellScores", "LinearScore", "parts"]

# The correlation of two cells' scores is summed to this error, or to this many powers of the correlation.
SERIES_ERROR, SERIES_TERMS = 1e-9, 2000
# A weight that keeps less than this share of its information cannot matter.
LEAST_SHARE = 1e-14
# As good as infinite, in standard deviations.
FURTHEST = 1e3


def parts(tensors: list[np.ndarray], channels: list[Channel]) -> Iterator[tuple[np.ndarray, slice, Channel]]:
    """Yield each tensor, its place among all weights, its channel."""
    start = 0
    for w, channel in zip(tensors, channels, strict=True):
        yield w, slice(start, start + w.size), channel
        start += w.size


class CellScores:
    """Edges of each weight's cells in its standard deviations, ``(d, E)``, and the cells' scores ``(d, E + 1)``."""

    def __init__(self, edges: np.ndarray, whole: np.ndarray):
        self.edges, self.whole = edges, whole
        ends = np.full((len(edges), 1), np.inf)
        self.low, self.high = np.hstack([-ends, edges]), np.hstack([edges, ends])
        self.scores = _score(self.low, self.high)
        self.jumps = np.diff(self.scores, axis=1)
        passed = (self.jumps * _density(edges)).sum(axis=1)
        self.shares = np.where(whole, 1.0, np.clip(passed, 0.0, 1.0))

    @classmethod
    def of(cls, tensors: list[np.ndarray], channels: list[Channel], sd: np.ndarray) -> "CellScores":
        """Return the scores of sharp channels, where every weight is released as its cell or as it is."""
        celled = Grid | Blocks
        num = max([1, *(c.edges.shape[-1] for c in channels if isinstance(c, celled))])
        edges, whole = np.full((len(sd), num), np.inf), np.ones(len(sd), bool)
        for w, part, channel in parts(tensors, channels):
            if isinstance(channel, celled):
                whole[part] = False
                own = channel.edges_of(w).reshape(w.size, -1)
                with np.errstate(over="ignore"):
                    edges[part, : own.shape[1]] = (own - w.reshape(-1, 1)) / sd[part, None]
        return cls(edges, whole)

    def index(self, x: np.ndarray) -> np.ndarray:
        """Return the cell of each standardised weight, ``(m, d)``."""
        codes = np.empty(x.shape, np.intp)
        for j, edges in enumerate(self.edges):
            codes[:, j] = np.searchsorted(edges, x[:, j], side="right")
        return codes

    def observed(self, x: np.ndarray) -> np.ndarray:
        """Return the score of each standardised weight's cell, ``(m, d)``; the weight itself at full precision."""
        return np.where(self.whole, x, np.take_along_axis(self.scores, self.index(x).T, axis=1).T)

    def log_ratio(self, x: np.ndarray, shift: np.ndarray) -> np.ndarray:
        """Return the log likelihood ratio of the codes for a shift, weights independent, ``(m,)``."""
        index = self.index(x).T
        low, high = (np.take_along_axis(ends, index, axis=1).T for ends in (self.low, self.high))
        with np.errstate(invalid="ignore"):
            cells = log_mass(low - shift, high - shift) - log_mass(low, high)
        return np.where(self.whole, shift * x - shift**2 / 2, cells).sum(axis=1)

    def correlation(self, correlation: np.ndarray) -> np.ndarray:
        """Return the correlation of the scores, from that of the weights, by Mehler's expansion.

        With ``s(x) = sum_e jump_e 1[x >= e]`` plus a constant, ``E s He_m = sum_e jump_e He_{m-1}(e)
        phi(e)``. The part beyond m terms is at most ``rho^(m+1)`` times the variance not yet explained, by
        Cauchy and Schwarz.
        """
        root = np.sqrt(self.shares)
        off = np.abs(correlation - np.eye(len(correlation))).max(initial=0.0)
        total, power = np.zeros_like(correlation), np.ones_like(correlation)
        unexplained = np.ones(len(root))
        edges = np.clip(self.edges, -40.0, 40.0)
        before, hermite = np.zeros_like(edges), _density(edges)
        for m in range(1, SERIES_TERMS + 1):
            coefficient = (self.jumps * hermite).sum(axis=1) / math.sqrt(m) / root
            coefficient = np.where(self.whole, float(m == 1), coefficient)
            power = power * correlation
            total += power * np.outer(coefficient, coefficient)
            unexplained = unexplained - coefficient**2
            if off ** (m + 1) * unexplained.max(initial=0.0) < SERIES_ERROR:
                break
            before, hermite = hermite, (edges * hermite - math.sqrt(m - 1) * before) / math.sqrt(m)
        np.fill_diagonal(total, 1.0)
        return total


class LinearScore:
    """The best linear combination of the cells' scores for each example, and the information it carries."""

    def __init__(self, where: str, cells: CellScores, correlation: np.ndarray, shift: np.ndarray):
        self.kept = cells.shares > LEAST_SHARE
        self.root = np.sqrt(cells.shares[self.kept])
        kept = CellScores(cells.edges[self.kept], cells.whole[self.kept])
        of_scores = kept.correlation(correlation[np.ix_(self.kept, self.kept)])
        moved = (shift[:, self.kept] * self.root).T
        # Coefficients of the scores in units of their standard deviations, one column an example.
        factor = cholesky(where, "correlation of the cells' scores", of_scores)
        self.coefficients = linalg.cho_solve((factor, True), moved)
        self.information = (moved * self.coefficients).sum(axis=0)

    def __call__(self, seen: np.ndarray, example: np.ndarray) -> np.ndarray:
        linear = ((seen[:, self.kept] / self.root) * self.coefficients.T[example]).sum(axis=1)
        return linear - self.information[example] / 2


def _density(x: np.ndarray) -> np.ndarray:
    return np.exp(-0.5 * np.square(x)) / math.sqrt(2 * math.pi)


def _score(low: np.ndarray, high: np.ndarray) -> np.ndarray:
    """Return the mean of a standard normal variable in (low, high); 0 for an empty cell."""
    low, high = np.clip(low, -FURTHEST, FURTHEST), np.clip(high, -FURTHEST, FURTHEST)
    return np.where(high > low, cell_mean(low, high), 0.0)
