"""The share of the Fisher information about a normal weight that its release lets through.

A weight ``X ~ N(w, s**2)`` tells ``1 / s**2`` about w; its release tells ``J / s**2`` with J in [0, 1], because it is
a function of the weight, and of noise. In units of s, J is the variance of the posterior mean of X, so 1 - J is the
mean posterior variance.
"""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from scipy import special

from mis.numerics.normal import cell_mean, log_mass

__all__ = ["through_cells", "through_dead_zone", "through_hats"]

# Numbers held at a time: few enough to stay in the cache, which halves the time.
CHUNK = 2**13

Passing = Callable[[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray, np.ndarray]]


def through_cells(weights: Any, spread: Any, edges: Any) -> np.ndarray:
    """Share that passes sharp cells, ``sum over cells (phi(a) - phi(b))**2 / (Phi(b) - Phi(a))``.

    Parameters
    ----------
    weights, spread
        w and s, of one shape; the limit where s is 0: 2/pi on an edge, where two cells have probability 1/2, else 0.
    edges
        Of the cells, ``(E,)`` or ``(C, E)`` with one row for each entry of the weights' last axis.

    Returns
    -------
    np.ndarray
        J, of the shape of ``weights``. Cells whose probability underflows count 0.

    References
    ----------
    Kulldorff (1961), *Estimation from grouped and partially grouped samples*.

    Examples
    --------
    >>> bool(np.isclose(through_cells([0.0], [1.0], [0.0])[0], 2 / math.pi))
    True
    """
    return _through(weights, spread, edges, _passing_edges, at_a_point=2 / math.pi)


def through_hats(weights: Any, spread: Any, levels: Any) -> np.ndarray:
    """Share that passes stochastic rounding to levels, ``(L,)`` or ``(C, L)``; 0 in the limit of no spread.

    A code's probability is the hat function of its level averaged over the fluctuation, and J follows in closed form
    from ``G(t) = t Phi(t) + phi(t)``.

    Examples
    --------
    >>> through_hats([0.0], [1.0], [-1e9, 1e9]).round(6)
    array([0.])
    """
    return _through(weights, spread, levels, _passing_ramps, at_a_point=0.0)


def through_dead_zone(weights: Any, spread: Any, threshold: Any) -> np.ndarray:
    """Share that passes where weights of magnitude below the threshold are released as 0, others as they are.

    With ends ``a = (-t - w)/s``, ``b = (t - w)/s`` of the zone: ``J = E[X**2; X < a] + E[X**2; X > b] + (phi(a) -
    phi(b))**2 / (Phi(b) - Phi(a))`` of X standard normal, the information in a censored observation. In the limit of
    no spread 0 inside, 1 outside, 1/2 + 1/pi at an end.

    Examples
    --------
    >>> through_dead_zone([0.0, 0.0, 2.0], [1.0, 0.0, 0.0], 1.0).round(3)
    array([0.801, 0.   , 1.   ])
    """
    w, s = np.asarray(weights, np.float64), np.asarray(spread, np.float64)
    t, unit = np.asarray(threshold, np.float64), np.where(s > 0, s, 1.0)
    a, b = _standardise(-t - w, unit), _standardise(t - w, unit)
    outside = special.ndtr(a) - a * _density(a) + special.ndtr(-b) + b * _density(b)
    moved = np.exp(log_mass(a, b)) * cell_mean(a, b) ** 2
    still = np.where(np.abs(w) == t, 0.5 + 1 / math.pi, np.abs(w) > t)
    return np.clip(np.where(s > 0, outside + moved, still), 0.0, 1.0)


def _through(weights: Any, spread: Any, points: Any, passing: Passing, *, at_a_point: float) -> np.ndarray:
    points = np.atleast_2d(np.asarray(points, dtype=np.float64))
    # The last axis of the weights is the channel; a grid without channels treats them as one.
    flat = np.asarray(weights, dtype=np.float64).reshape(-1, len(points), 1)
    spread = np.asarray(spread, dtype=np.float64).reshape(flat.shape)
    shares = np.empty(flat.shape[:2])
    rows = max(1, CHUNK // points.size)
    for block in (slice(start, start + rows) for start in range(0, len(flat), rows)):
        w, s = flat[block], spread[block]
        still = s[..., 0] == 0
        shares[block] = _information(*passing(w - points, np.where(s > 0, s, 1.0)))
        shares[block] = np.where(still, (w == points).any(axis=-1) * at_a_point, shares[block])
    return np.clip(shares, 0.0, 1.0).reshape(np.shape(weights))


def _passing_edges(excess: np.ndarray, spread: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """How likely the fluctuating weight passes each edge: share of the weight itself, rest, slope of the sum.

    The share is 0 or 1, and the rest a normal tail; kept apart, far cells keep their relative accuracy. The
    slope is in units of ``1 / spread``.
    """
    t = _standardise(excess, spread)
    return (t >= 0).astype(np.float64), -np.copysign(special.ndtr(-np.abs(t)), t), _density(t)


def _passing_ramps(excess: np.ndarray, spread: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the same for stochastic rounding, where a weight passes a step with probability its share of it.

    ``E (X - l)_+ = s G(t)`` with ``t = (w - l)/s`` and ``G(t) = t Phi(t) + phi(t) = max(t, 0) + R(|t|)``,
    ``R(x) = phi(x) - x Phi(-x)``.
    """
    t = _standardise(excess, spread)
    tail = special.ndtr(-np.abs(t))
    step = excess[..., :-1] - excess[..., 1:]
    per_spread = spread / step
    rest = -np.diff(_density(t) - np.abs(t) * tail) * per_spread
    slope = -np.diff((t >= 0) - np.copysign(tail, t))
    both_above = t[..., 1:] >= 0
    slope = np.where(both_above, np.diff(tail), slope) * per_spread
    return np.clip(excess[..., :-1] / step, 0.0, 1.0), rest, slope


def _information(share: np.ndarray, rest: np.ndarray, slope: np.ndarray) -> np.ndarray:
    """Sum over codes of slope**2 / probability, from what passes each step between two codes."""
    ends = [(0, 0)] * (share.ndim - 1) + [(1, 1)]
    share = np.pad(share, ends)
    share[..., 0] = 1.0
    prob = -np.diff(share) - np.diff(np.pad(rest, ends))
    slope = np.diff(np.pad(slope, ends))
    return (slope * slope * (prob > 0) / np.maximum(prob, np.finfo(float).tiny)).sum(axis=-1)


def _standardise(excess: np.ndarray, spread: np.ndarray) -> np.ndarray:
    """Excess in spreads, cut where every normal tail has underflowed."""
    with np.errstate(over="ignore"):
        return np.clip(excess / spread, -40.0, 40.0)


def _density(t: np.ndarray) -> np.ndarray:
    return np.exp(-0.5 * t**2) / math.sqrt(2 * math.pi)
