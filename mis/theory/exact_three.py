"""Functions: the optimal ROC of three candidates with jointly normal losses, between certified bounds."""

import math

import numpy as np
from scipy import special, stats

from mis.numerics.checks import UnsupportedSetting
from mis.theory.exact_gaussian import cell_bounds
from mis.theory.laws import GaussianLosses
from mis.theory.roc import Roc

__all__ = ["bivariate_normal", "three_roc"]

# Cells per axis, over eight standard deviations to either side, and quadrature nodes per axis of a cell.
NUM_CELLS, NUM_NODES = 160, 3
# Correlations closer to one make the density too narrow for the cells.
LARGEST_CORRELATION = 0.99
# Orthant probabilities are differences of numbers near one; this is far more than they lose.
ROUNDING = 1e-9
# A candidate that wins less often than this is counted in the slack.
NEVER = 1e-11


def three_roc(law: GaussianLosses, n: int) -> Roc:
    """Return the optimal ROC of three candidates with normal losses, between certified bounds.

    Given the shown example's two loss differences D, the chance that k wins is a normal orthant probability
    in two dimensions, and monotone in each coordinate of D. The plane of D is cut into rectangles. Forgetting
    where in a rectangle D lies is data processing: a lower bound. Splitting each rectangle's mass between the
    extreme likelihood ratios, which are at its corners, is an upper bound (Jensen). Only rectangles that the
    threshold crosses loosen either, so that the gap falls with the square of their size. The slack covers
    quadrature, rounding and what lies beyond eight standard deviations, as measured by the masses that must
    sum to one and to ``p_k``.

    Raises
    ------
    UnsupportedSetting
        Where two loss differences are correlated beyond 0.99 or constant, and for n = 1.
    """
    if n == 1:
        raise UnsupportedSetting("theory.exact", "three normal candidates need n > 1; use theory.simulate.")
    contrasts = [np.delete(np.eye(3)[k] - np.eye(3), k, axis=0) for k in range(3)]
    for contrast in contrasts:
        cov = contrast @ law.cov @ contrast.T
        if cov[0, 1] ** 2 >= LARGEST_CORRELATION**2 * cov[0, 0] * cov[1, 1]:
            raise UnsupportedSetting(
                "theory.exact",
                "two of the three loss differences are correlated beyond 0.99 or constant; use theory.simulate.",
            )
    base = contrasts[0]
    corners, nodes, weight = _cells(base @ law.mean, base @ law.cov @ base.T)
    mass = _per_cell(weight)
    slack = abs(1 - mass.sum()) + ROUNDING
    bounds = []
    for contrast in contrasts:
        own = contrast @ np.linalg.pinv(base)  # from differences to candidate 0 to those of candidate k
        usual = float(_wins(law, contrast, n, np.zeros(2)))
        members = _per_cell(weight * _wins(law, contrast, n - 1, nodes @ own.T))
        slack += abs(usual - members.sum())
        if usual < NEVER:
            slack += 2 * NEVER
            continue
        at = _wins(law, contrast, n - 1, corners @ own.T) / usual
        ends = np.stack([at[:-1, :-1], at[1:, :-1], at[:-1, 1:], at[1:, 1:]])
        others = mass * usual
        ratio = np.divide(members, others, out=np.ones_like(others), where=others > 1e-300)
        bounds.append(cell_bounds(others, ratio, ends.min(axis=0), ends.max(axis=0)))
    lower, upper = (_joined([bound[side] for bound in bounds]) for side in (0, 1))
    return Roc(lower=lower.lower, upper=upper.upper, slack=slack, kind="certified")


def _joined(masses: list) -> Roc:
    """Return the ROC of all choices' cells together, each law's masses made to sum to one."""
    members, others = (np.concatenate([pair[i].ravel() for pair in masses]) for i in (0, 1))
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


def _wins(law: GaussianLosses, contrast: np.ndarray, num: int, example: np.ndarray) -> np.ndarray:
    """P(a candidate's summed differences to both others are below minus the example's), last axis the two."""
    cov = contrast @ law.cov @ contrast.T
    sd = np.sqrt(np.diag(cov))
    limit = -(example + num * (contrast @ law.mean)) / (math.sqrt(num) * sd)
    return np.clip(bivariate_normal(limit[..., 0], limit[..., 1], cov[0, 1] / sd.prod()), 0.0, 1.0)


def _cells(mean: np.ndarray, cov: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Corners of the cells, Gauss-Legendre nodes inside them, and the nodes' probabilities."""
    spread = np.sqrt(np.diag(cov))
    edges = np.linspace(-8.0, 8.0, NUM_CELLS + 1)
    width = edges[1] - edges[0]
    offsets, weights = special.roots_legendre(NUM_NODES)
    line = (edges[:-1, None] + width * (1 + offsets) / 2).ravel()
    corners, nodes = (np.stack(np.meshgrid(p, p, indexing="ij"), axis=-1) for p in (edges, line))
    weight = np.outer(*[np.tile(weights * width / 2, NUM_CELLS)] * 2)
    density = stats.multivariate_normal(np.zeros(2), cov / np.outer(spread, spread)).pdf(nodes)
    return mean + corners * spread, mean + nodes * spread, weight * density


def _per_cell(values: np.ndarray) -> np.ndarray:
    """Sum over the nodes of each cell."""
    return values.reshape(NUM_CELLS, NUM_NODES, NUM_CELLS, NUM_NODES).sum(axis=(1, 3))
