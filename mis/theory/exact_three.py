"""The optimal ROC of three candidates with jointly normal losses, between certified bounds."""

import math
from typing import NamedTuple

import numpy as np
from scipy import special

from mis.numerics.checks import UnsupportedSetting
from mis.numerics.quadrature import legendre
from mis.theory.exact_gaussian import masses_for_bounds
from mis.theory.laws import GaussianLosses
from mis.theory.roc import Roc

__all__ = ["GAP", "bivariate_normal", "three_roc"]

# Cells per axis to begin with, over so many standard deviations to either side.
NUM_CELLS, REACH = 160, 8.0
# Cells are divided until the bounds on the advantage are this share of it apart, unless there are too many.
GAP, MOST_CELLS = 0.002, 400_000
# Quadrature nodes per axis of a cell, up to a correlation: the error over all cells stays below 1e-10.
NODES = {0.7: 3, 0.95: 4, 1.0: 5}
# Correlations closer to one make the density too narrow for the cells.
LARGEST_CORRELATION = 0.99
# Orthant probabilities are differences of numbers near one; this is far more than they lose.
ROUNDING = 1e-9
# A cell of less mass is left out, which the slack measures.
RAREST = 1e-14
# A candidate that wins less often than this is counted in the slack.
NEVER = 1e-11


def three_roc(law: GaussianLosses, n: int) -> Roc:
    """Return the optimal ROC of three candidates with normal losses, between certified bounds.

    Given the shown example's two loss differences D, the chance that k wins is a normal orthant probability
    in two dimensions, and monotone in each coordinate of D. The plane of D is cut into rectangles. Forgetting
    where in a rectangle D lies is data processing: a lower bound. Splitting each rectangle's mass between the
    extreme likelihood ratios, which are at its corners, is an upper bound (Jensen). Only rectangles that the
    threshold crosses loosen either. Those that a likelihood ratio of one crosses are quartered, which takes about
    three quarters of the gap between the bounds on the advantage, until it is ``GAP`` of the advantage.

    The slack covers quadrature, rounding and what lies beyond eight standard deviations, as measured by the
    masses that must sum to one and to ``p_k``, and the rounding of the law's own numbers.

    Raises
    ------
    UnsupportedSetting
        Where two loss differences are correlated beyond 0.99 or constant, and for n = 1.
    """
    if n == 1:
        raise UnsupportedSetting("theory.exact", "three normal candidates need n > 1; use theory.simulate.")
    game = _Game.of(law, n)
    edges = np.linspace(-REACH, REACH, NUM_CELLS + 1)
    low = np.stack(np.meshgrid(edges[:-1], edges[:-1]), axis=-1).reshape(-1, 2)
    cells = game.cells(low, np.full(len(low), edges[1] - edges[0]))
    while len(cells.mass) < MOST_CELLS:
        divided = _loosest(game, cells)
        if not divided.any():
            break
        half = np.repeat(cells.width[divided] / 2, 4)
        quarters = np.array([[0, 0], [1, 0], [0, 1], [1, 1]])
        corner = (cells.low[divided][:, None] + quarters * cells.width[divided, None, None] / 2).reshape(
            -1, 2
        )
        cells = cells.without(divided, game.cells(corner, half))
    slack = abs(1 - cells.mass.sum()) + ROUNDING + game.input_rounding
    slack += np.abs(game.usual - cells.members.sum(axis=1)).sum()
    slack += 2 * NEVER * np.count_nonzero(game.usual < NEVER)
    lower, upper = (_joined(masses) for masses in _bounds(game, cells))
    return Roc(lower=lower.lower, upper=upper.upper, slack=float(slack), kind="certified")


class _Squares(NamedTuple):
    """Squares in standard units of D, their mass, and per candidate the members' mass and the extreme ratios."""

    low: np.ndarray
    width: np.ndarray
    mass: np.ndarray
    members: np.ndarray
    least: np.ndarray
    most: np.ndarray

    def without(self, divided: np.ndarray, others: "_Squares") -> "_Squares":
        """Return these but the divided ones, and the others."""
        cut = (x[~divided] if i < 3 else x[:, ~divided] for i, x in enumerate(self))
        return _Squares(
            *(
                np.concatenate([a, b], axis=-1 if i else 0)
                for i, (a, b) in enumerate(zip(cut, others, strict=True))
            )
        )


class _Game(NamedTuple):
    """The law of D, differences to candidate 0, and how each candidate wins."""

    mean: np.ndarray
    spread: np.ndarray
    correlation: float
    num: int
    rivals: list[tuple[np.ndarray, np.ndarray, np.ndarray]]
    usual: np.ndarray
    num_nodes: int
    input_rounding: float

    @classmethod
    def of(cls, law: GaussianLosses, n: int) -> "_Game":
        others = [[j for j in range(3) if j != k] for k in range(3)]
        rivals, largest = [], 0.0
        for k, rest in enumerate(others):
            mean, cov = law.differences(rest, k)
            if cov[0, 1] ** 2 >= LARGEST_CORRELATION**2 * cov[0, 0] * cov[1, 1]:
                raise UnsupportedSetting(
                    "theory.exact",
                    "two of the three loss differences are correlated beyond 0.99 or constant; use theory.simulate.",
                )
            largest = max(largest, abs(cov[0, 1]) / math.sqrt(cov[0, 0] * cov[1, 1]))
            # From differences to candidate 0 to those to candidate k.
            to_zero = np.eye(3)[:, 1:]
            rivals.append((to_zero[rest] - to_zero[k], mean, cov))
        _, mean, cov = rivals[0]
        spread = np.sqrt(np.diag(cov))
        usual = np.array([_wins(n, np.zeros(2), own_mean, own_cov) for _, own_mean, own_cov in rivals])
        nodes = min(num for up_to, num in NODES.items() if largest <= up_to)
        correlation = float(cov[0, 1] / spread.prod())
        return cls(
            mean,
            spread,
            correlation,
            n - 1,
            rivals,
            usual,
            nodes,
            _input_rounding(law, spread, correlation, n),
        )

    def cells(self, low: np.ndarray, width: np.ndarray) -> _Squares:
        """Return the masses of squares by Gauss-Legendre, and the extreme likelihood ratios, at their corners."""
        offsets, weights = legendre(self.num_nodes)
        inside = np.stack(np.meshgrid(offsets, offsets), axis=-1).reshape(-1, 2)
        weight = np.outer(weights, weights).ravel() * width[:, None] ** 2
        nodes = low[:, None] + width[:, None, None] * inside
        weight = weight * self._density(nodes)
        seen = weight.sum(axis=1) > RAREST
        low, width, nodes, weight = low[seen], width[seen], nodes[seen], weight[seen]
        corners = low[:, None] + width[:, None, None] * np.array([[0, 0], [1, 0], [0, 1], [1, 1]])
        members, least, most = np.empty((3, 3, len(low)))
        for k, (to_own, mean, cov) in enumerate(self.rivals):
            at = [
                _wins(self.num, (self.mean + self.spread * x) @ to_own.T, mean, cov) for x in (nodes, corners)
            ]
            members[k] = (weight * at[0]).sum(axis=1)
            ends = at[1] / max(self.usual[k], NEVER)
            least[k], most[k] = ends.min(axis=1), ends.max(axis=1)
        return _Squares(low, width, weight.sum(axis=1), members, least, most)

    def _density(self, x: np.ndarray) -> np.ndarray:
        """Return the standard bivariate normal density, last axis the two."""
        rest = 1 - self.correlation**2
        square = (x[..., 0] ** 2 - 2 * self.correlation * x[..., 0] * x[..., 1] + x[..., 1] ** 2) / rest
        return np.exp(-square / 2) / (2 * math.pi * math.sqrt(rest))


def _input_rounding(law: GaussianLosses, spread: np.ndarray, correlation: float, n: int) -> float:
    """Bound on what the rounding of means and covariances to floats moves the ROC by.

    Each law, of members and of others, is a function of one D and of the sum of the other n - 1, two normal
    vectors, with total variations at most ``3/2 |R^-1 E|_F`` for a change E of the correlation matrix R and half
    the length of a change of the mean (Devroye, Mehrabian, Reddad, 2018, arXiv:1810.08693, theorem 1.1).
    """
    half_unit = float(np.finfo(float).eps) / 2
    contrast = np.array([[1.0, 1.0, 0.0], [1.0, 0.0, 1.0]])
    cov = half_unit * (contrast @ np.abs(law.cov) @ contrast.T) / np.outer(spread, spread)
    mean = half_unit * math.sqrt(n) * (contrast @ np.abs(law.mean)) / spread
    least = 1 - abs(correlation)
    return 2 * float(2 * 1.5 * np.linalg.norm(cov) / least + np.linalg.norm(mean) / math.sqrt(least))


def _bounds(game: _Game, cells: _Squares) -> tuple[tuple, tuple]:
    """Return masses ``(members, others)`` for the lower and for the upper bound, ``(..., candidates, cells)``."""
    seen = game.usual >= NEVER
    others = cells.mass * game.usual[seen, None]
    ratio = np.divide(cells.members[seen], others, out=np.ones_like(others), where=others > 1e-300)
    return masses_for_bounds(others, ratio, cells.least[seen], cells.most[seen])


def _loosest(game: _Game, cells: _Squares) -> np.ndarray:
    """Return which cells to divide: those that hold all but a quarter of the gap that is allowed; none if it is met."""
    (lower, lower_others), (upper, upper_others) = _bounds(game, cells)
    least = np.maximum(lower - lower_others, 0).sum(axis=0)
    gap = np.maximum(np.maximum(upper - upper_others, 0).sum(axis=(0, 1)) - least, 0.0)
    allowed = GAP * least.sum()
    if gap.sum() <= allowed:
        return np.zeros(len(gap), bool)
    order = np.argsort(gap)
    divided = np.empty(len(gap), bool)
    divided[order] = np.cumsum(gap[order]) > allowed / 4
    return divided


def _joined(masses: tuple) -> Roc:
    """Return the ROC of all choices' cells together, each law's masses made to sum to one."""
    members, others = (x.ravel() for x in masses)
    return Roc.discrete(members / members.sum(), others / others.sum())


def bivariate_normal(h: np.ndarray, k: np.ndarray, r: float) -> np.ndarray:
    """P(X < h, Y < k) for standard normal X and Y with correlation r, ``|r| < 1``.

    References
    ----------
    Owen (1956), *Tables for computing bivariate normal probabilities*, eq. 2.1.

    Examples
    --------
    >>> round(float(bivariate_normal(np.float64(0.0), np.float64(0.0), 0.5)), 12) == round(1 / 3, 12)
    True
    """
    h, k = (np.where(x == 0, 1e-300, x) for x in (h, k))
    root = math.sqrt(1 - r * r)
    with np.errstate(over="ignore"):
        first, second = special.owens_t(h, (k / h - r) / root), special.owens_t(k, (h / k - r) / root)
    return (special.ndtr(h) + special.ndtr(k)) / 2 - first - second - 0.5 * (h * k < 0)


def _wins(num: int, example: np.ndarray, mean: np.ndarray, cov: np.ndarray) -> np.ndarray:
    """P(the sum of ``num`` differences to both others is above minus the example's), last axis the two."""
    sd = np.sqrt(np.diag(cov))
    limit = (example + num * mean) / (math.sqrt(num) * sd)
    return np.clip(bivariate_normal(limit[..., 0], limit[..., 1], cov[0, 1] / sd.prod()), 0.0, 1.0)
