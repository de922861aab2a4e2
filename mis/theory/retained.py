"""Functions: how much information about the weights a quantizer lets through, and baselines beside it."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from scipy import special, stats

from mis.numerics.checks import InvalidInput, confidence, finite, number, refuse, unmasked
from mis.quantizers.base import Grid, Quantizer, select
from mis.results import Interval

__all__ = [
    "code_entropy",
    "predicted_advantage",
    "retained_information",
    "retained_shares",
    "spec",
    "weight_error",
]

# Numbers held at a time: few enough to stay in the cache, which halves the time.
CHUNK = 2**13


def retained_information(weights: Any, spread: Any, quantizer: Quantizer, *, level: float = 0.95) -> Interval:
    """Mean share of the Fisher information about each weight that passes the cells of a quantizer.

    A weight that fluctuates as ``N(w_j, s_j**2)`` and is released as the code of its cell ``[e, e')`` keeps::

        J_j = sum over cells (phi(a) - phi(b))**2 / (Phi(b) - Phi(a)),    a = (e - w_j)/s_j, b = (e' -
        w_j)/s_j,

    of the information ``1 / s_j**2`` about w_j that the weight itself carries; ``0 <= J_j <= 1`` because a
    code is a function of the weight. Cells whose probability underflows count 0. On a stochastic grid a
    code's probability is the hat function of its level averaged over the fluctuation, and J_j follows in
    closed form from ``G(t) = t Phi(t) + phi(t)``. Smaller is more private; 1 for full precision.

    Parameters
    ----------
    weights
        One tensor, or a list of tensors (a network's layers); the quantizer fits a grid to each, and the last
        axis of a tensor holds its channels.
    spread
        Standard deviation of each weight's fluctuation over the training data, in the same structure, or one
        number for all. Zero is legal: such a weight does not move and keeps nothing (2/pi exactly on an edge,
        the limit).
    quantizer
        A quantizer spec.
    level
        Confidence level.

    Returns
    -------
    Interval
        Kind ``bootstrap``: mean over all weights, and the normal limit of its bootstrap distribution over
        weights, cut to [0, 1]. The bounds say how far other weights of the same kind could move the mean.
        They ignore the error of ``spread``, the dependence between weights, and that other training data give
        other weights and another grid: repeat over networks to see those.

    References
    ----------
    The information in grouped normal data: Kulldorff (1961), *Estimation from grouped and partially grouped
    samples*. Locally the advantage depends on the released information alone (Le Cam; van der Vaart,
    *Asymptotic Statistics*, chapter 7).

    Examples
    --------
    >>> from mis.quantizers import Sign
    >>> at_the_edge = retained_information(np.array([0.0, 0.0]), 1.0, Sign())
    >>> round(at_the_edge.value, 6) == round(2 / math.pi, 6)
    True
    >>> retained_information(np.array([-9.0, 9.0]), 1.0, Sign()).value < 1e-15
    True
    """
    level = confidence("theory.retained_information", level)
    quantizer = spec("theory.retained_information", quantizer)
    tensors = _tensors("theory.retained_information", "weights", weights)
    spreads = _like("theory.retained_information", "spread", spread, tensors)
    shares = np.concatenate(
        [retained_shares(w, s, quantizer.fit(w)).ravel() for w, s in zip(tensors, spreads, strict=True)]
    )
    value = float(shares.mean())
    margin = float(stats.norm.isf((1 - level) / 2) * shares.std() / math.sqrt(shares.size))
    return Interval(
        lower=max(value - margin, 0.0),
        value=value,
        upper=min(value + margin, 1.0),
        kind="bootstrap",
        level=level,
    )


def retained_shares(weights: np.ndarray, spread: np.ndarray, grid: Grid) -> np.ndarray:
    """Share of each weight's information that passes the cells of ``grid``, same shape as ``weights``.

    See `retained_information`; ``spread`` has the shape of ``weights``.
    """
    if grid.levels is None:
        return np.ones(np.shape(weights))
    points = np.atleast_2d(np.asarray(grid.levels if grid.stochastic else grid.edges, dtype=np.float64))
    passing = _passing_ramps if grid.stochastic else _passing_edges
    # The last axis of the weights is the channel; a grid without channels treats them as one.
    flat = np.asarray(weights, dtype=np.float64).reshape(-1, len(points), 1)
    spread = np.asarray(spread, dtype=np.float64).reshape(flat.shape)
    shares = np.empty(flat.shape[:2])
    rows = max(1, CHUNK // points.size)
    for block in (slice(start, start + rows) for start in range(0, len(flat), rows)):
        w, s = flat[block], spread[block]
        still = s[..., 0] == 0
        shares[block] = _information(*passing(w - points, np.where(s > 0, s, 1.0)))
        # The limit of a weight that moves less and less: on an edge two cells of probability 1/2, else one.
        on_edge = (w == points).any(axis=-1) & (not grid.stochastic)
        shares[block] = np.where(still, on_edge * 2 / math.pi, shares[block])
    return np.clip(shares, 0.0, 1.0).reshape(np.shape(weights))


def _passing_edges(excess: np.ndarray, spread: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """How likely the fluctuating weight passes each edge: share of the weight itself, rest, slope of the sum.

    The share is 0 or 1, and the rest a normal tail; kept apart, far cells keep their relative accuracy. The
    slope is in units of ``1 / spread``.
    """
    t = _standardise(excess, spread)
    return (t >= 0).astype(np.float64), -np.copysign(special.ndtr(-np.abs(t)), t), _density(t)


def _passing_ramps(excess: np.ndarray, spread: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the same for a stochastic grid, where a weight passes a step with probability its share of it.

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


def predicted_advantage(retained: Interval | float, full_advantage: Interval | float) -> Interval:
    """Advantage predicted for a quantizer, from the retained information and the full-precision advantage.

    If full precision is a Gaussian shift, ``2 Phi(mu/2) - 1 = full_advantage`` gives its size mu, and a
    quantizer that retains the share J of the information shrinks it to ``mu sqrt(J)``: ``2 Phi(mu sqrt(J) /
    2) - 1``. A prediction, not a bound; increasing in both arguments.

    Parameters
    ----------
    retained
        Share of the information retained, in [0, 1].
    full_advantage
        Advantage at full precision, at most 1; below 0 it counts as 0.

    Returns
    -------
    Interval
        Kind ``asymptotic``. Its ends go with the arguments' ends and its level is what holds for both
        (Bonferroni); from two numbers it has no bounds.

    Examples
    --------
    >>> predicted_advantage(1.0, 0.6)
    Interval(0.6, asymptotic, no bounds)
    >>> predicted_advantage(0.25, 0.6)
    Interval(0.326107, asymptotic, no bounds)
    """
    sides = [x if isinstance(x, Interval) else None for x in (retained, full_advantage)]
    lower, value, upper = (
        _shrunk(*(getattr(x, end) if isinstance(x, Interval) else x for x in (retained, full_advantage)))
        for end in ("lower", "value", "upper")
    )
    level = max(0.0, 1 - sum(1 - side.level for side in sides if side))
    return Interval(lower=lower, value=value, upper=upper, kind="asymptotic", level=level)


def _shrunk(retained: float, full_advantage: float) -> float:
    where = "theory.predicted_advantage"
    if not 0 <= number(where, "retained", retained) <= 1:
        raise refuse(where, "retained", "in [0, 1]", retained)
    if number(where, "full_advantage", full_advantage) > 1:
        raise refuse(where, "full_advantage", "at most 1", full_advantage)
    shift = 2 * special.ndtri((1 + max(full_advantage, 0.0)) / 2)
    return float(special.erf(shift * math.sqrt(retained) / math.sqrt(8))) if retained > 0 else 0.0


def weight_error(weights: Any, quantizer: Quantizer) -> float:
    """Relative squared error of the released weights, ``|Q(w) - w|**2 / |w|**2`` over all tensors.

    A baseline that an indicator must beat. For a stochastic quantizer the expected error; 0 for full
    precision.

    Examples
    --------
    >>> from mis.quantizers import Sign
    >>> weight_error(np.array([-1.0, 3.0]), Sign())
    0.2
    """
    quantizer = spec("theory.weight_error", quantizer)
    tensors = _tensors("theory.weight_error", "weights", weights)
    with np.errstate(over="ignore"):
        size = sum(float(np.sum(np.square(w, dtype=np.float64))) for w in tensors)
    if math.isinf(size):
        raise InvalidInput("theory.weight_error: expected weights whose squares sum to a finite number.")
    if size == 0:
        raise InvalidInput("theory.weight_error: expected weights that are not all zero.")
    return sum(_squared_error(w, quantizer.fit(w)) for w in tensors) / size


def code_entropy(weights: Any, quantizer: Quantizer) -> float:
    """Entropy in bits per weight of the codes that a quantizer gives to a network's weights.

    Of each tensor's empirical distribution of codes, averaged over weights; a baseline that an indicator must
    beat. For a stochastic quantizer the entropy of the mean code distribution; for full precision its nominal
    bits.

    Examples
    --------
    >>> from mis.quantizers import Sign
    >>> code_entropy(np.array([-1.0, 3.0, -1.0, 2.0]), Sign())
    1.0
    """
    quantizer = spec("theory.code_entropy", quantizer)
    tensors = _tensors("theory.code_entropy", "weights", weights)
    bits = sum(w.size * _entropy(w, quantizer) for w in tensors)
    return float(bits / sum(w.size for w in tensors))


def spec(where: str, quantizer: Any) -> Quantizer:
    """Return ``quantizer`` if it can fit a grid to weights, or refuse it."""
    if isinstance(quantizer, type) or not hasattr(quantizer, "fit"):
        raise refuse(where, "quantizer", "a quantizer, as mis.quantizers.parse returns it", quantizer)
    return quantizer


def _squared_error(w: np.ndarray, grid: Grid) -> float:
    if grid.levels is None:
        return 0.0
    if not grid.stochastic:
        return float(np.sum(np.square(np.asarray(grid.apply(w), np.float64) - w)))
    _, share, low, high = _between(w, grid)
    return float(np.sum((1 - share) * (w - low) ** 2 + share * (high - w) ** 2))


def _entropy(w: np.ndarray, quantizer: Quantizer) -> float:
    grid = quantizer.fit(w)
    if grid.levels is None:
        return quantizer.bits
    if not grid.stochastic:
        return float(stats.entropy(np.bincount(np.asarray(grid.codes(w)).ravel()), base=2))
    code, share, _, _ = (x.ravel() for x in _between(w, grid))
    num_codes = np.shape(grid.levels)[-1]
    counts = np.bincount(code, 1 - share, num_codes) + np.bincount(code + 1, share, num_codes)
    return float(stats.entropy(counts, base=2))


def _between(w: np.ndarray, grid: Grid) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Return the lower code a stochastic grid may give, the probability of the upper one, and both levels."""
    levels = np.asarray(grid.levels, dtype=np.float64)
    steps = np.arange(levels.shape[-1] - 1)
    code, low, high = (select(w, levels[..., 1:-1], x) for x in (steps, levels[..., :-1], levels[..., 1:]))
    step = np.where(high > low, high - low, 1.0)
    return code, np.clip((w - low) / step, 0.0, 1.0), low, high


def _tensors(where: str, name: str, weights: Any) -> list[np.ndarray]:
    """Return the tensors of a network in their own precision, in which the quantizer draws its edges."""
    unmasked(where, name, weights)
    several = isinstance(weights, Sequence) and not all(np.ndim(w) == 0 for w in weights)
    tensors = [np.asarray(w) for w in (weights if several else [weights])]
    if not tensors:
        raise InvalidInput(f"{where}: expected {name} not empty, got no tensor.")
    for w in tensors:
        finite(where, name, w)
    return [w if np.issubdtype(w.dtype, np.floating) else w.astype(np.float64) for w in tensors]


def _like(where: str, name: str, spread: Any, tensors: list[np.ndarray]) -> list[np.ndarray]:
    """One nonnegative spread per weight, from one number or the same structure."""
    unmasked(where, name, spread)
    if not isinstance(spread, Sequence) and np.ndim(spread) == 0:
        spreads = [np.full(w.shape, spread, dtype=np.float64) for w in tensors]
    else:
        spreads = _tensors(where, name, spread)
    if [s.shape for s in spreads] != [w.shape for w in tensors]:
        raise InvalidInput(
            f"{where}: expected {name} one number or shaped like weights, got shapes "
            f"{[s.shape for s in spreads]} for {[w.shape for w in tensors]}."
        )
    for s in spreads:
        finite(where, name, s)
        if s.min() < 0:
            raise refuse(where, name, ">= 0", float(s.min()))
    return spreads
