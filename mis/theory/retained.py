"""How much information about the weights a quantizer lets through, and baselines beside it."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from scipy import special, stats

from mis.numerics.checks import (
    InvalidInput,
    UnsupportedSetting,
    confidence,
    finite,
    number,
    refuse,
    unmasked,
)
from mis.quantizers.base import Quantizer, fit_each
from mis.quantizers.joint import Joint
from mis.results import Interval

__all__ = [
    "code_entropy",
    "predicted_advantage",
    "retained_information",
    "spec",
    "weight_error",
]


def retained_information(
    weights: Any, spread: Any, quantizer: Quantizer | Sequence[Quantizer], *, level: float = 0.95
) -> Interval:
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
        axis of a tensor holds its channels. What is fitted to a network, as pruning globally is, sees them together.
    spread
        Standard deviation of each weight's fluctuation over the training data, in the same structure, or one
        number for all. Zero is legal: such a weight does not move and keeps nothing (2/pi exactly on an edge,
        the limit).
    quantizer
        A quantizer spec, or one for each tensor; several releases of the same weights are one, too, ``Joint``, as
        ``mis.quantizers.parse("sign/uniform-4")`` returns it.
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
    tensors = _tensors("theory.retained_information", "weights", weights)
    each = _each("theory.retained_information", quantizer, tensors)
    spreads = _like("theory.retained_information", "spread", spread, tensors)
    of_tensors = zip(fit_each(each, tensors), tensors, spreads, strict=True)
    shares = np.concatenate([channel.information(w, s).ravel() for channel, w, s in of_tensors])
    value = float(shares.mean())
    margin = float(stats.norm.isf((1 - level) / 2) * shares.std() / math.sqrt(shares.size))
    return Interval(
        lower=max(value - margin, 0.0),
        value=value,
        upper=min(value + margin, 1.0),
        kind="bootstrap",
        level=level,
    )


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


def weight_error(weights: Any, quantizer: Quantizer | Sequence[Quantizer]) -> float:
    """Relative squared error of the released weights, ``|Q(w) - w|**2 / |w|**2`` over all tensors.

    A baseline that an indicator must beat. For a stochastic quantizer the expected error; 0 for full
    precision; refused for several releases, each of which has its own.

    Examples
    --------
    >>> from mis.quantizers import Sign
    >>> weight_error(np.array([-1.0, 3.0]), Sign())
    0.2
    """
    tensors = _tensors("theory.weight_error", "weights", weights)
    each = _each("theory.weight_error", quantizer, tensors)
    for one in each:
        if isinstance(one, Joint):
            raise UnsupportedSetting(
                "theory.weight_error", f"several releases, {one.name}, have no one error; ask for each."
            )
    with np.errstate(over="ignore"):
        size = sum(float(np.sum(np.square(w, dtype=np.float64))) for w in tensors)
    if math.isinf(size):
        raise InvalidInput("theory.weight_error: expected weights whose squares sum to a finite number.")
    if size == 0:
        raise InvalidInput("theory.weight_error: expected weights that are not all zero.")
    of_tensors = zip(fit_each(each, tensors), tensors, strict=True)
    return sum(float(np.sum(channel.squared_error(w))) for channel, w in of_tensors) / size


def code_entropy(weights: Any, quantizer: Quantizer | Sequence[Quantizer]) -> float:
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
    tensors = _tensors("theory.code_entropy", "weights", weights)
    each = _each("theory.code_entropy", quantizer, tensors)
    of_tensors = zip(fit_each(each, tensors), tensors, strict=True)
    bits = sum(w.size * channel.entropy(w) for channel, w in of_tensors)
    return float(bits / sum(w.size for w in tensors))


def spec(where: str, quantizer: Any) -> Quantizer:
    """Return ``quantizer`` if it can fit a grid to weights, or refuse it."""
    if isinstance(quantizer, type) or not hasattr(quantizer, "fit"):
        raise refuse(where, "quantizer", "a quantizer, as mis.quantizers.parse returns it", quantizer)
    return quantizer


def _each(where: str, quantizer: Any, tensors: Sequence[Any]) -> list[Quantizer]:
    """Return a quantizer for each tensor: one for all, or as many as there are tensors."""
    if not isinstance(quantizer, Sequence) or isinstance(quantizer, str):
        return [spec(where, quantizer)] * len(tensors)
    if len(quantizer) != len(tensors):
        raise InvalidInput(
            f"{where}: expected a quantizer for each of {len(tensors)} tensors, got {len(quantizer)}."
        )
    return [spec(where, one) for one in quantizer]


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
