"""What no learner can exceed, and what one learner reaches, on data with finitely many values."""

import math
from collections.abc import Callable, Hashable
from functools import partial
from typing import Any

import numpy as np
from scipy import stats

from mis.numerics.checks import UnsupportedSetting, finite, integer, refuse
from mis.results import Interval
from mis.theory.enumeration import compositions
from mis.theory.roc import Roc

__all__ = ["enumerate_learner", "finite_support_asymptote", "finite_support_bound", "finite_support_limit"]

# Relative rounding error that an exact value states; the tests find less.
ROUNDING = 1e-12
LARGEST_N = 10**12
MAX_ROC_ATOMS = 4_000_000
MAX_SAMPLES = 200_000


def finite_support_limit(probs: Any, n: int) -> Interval:
    r"""Largest advantage that any learner can leave to the best attack when the data have m values.

    Claim: over all symmetric learners, randomised ones included,

        max Delta_n = 1/2 sum_j E|N_j/n - p_j| = sum_j p_j (1-p_j) P(Bin(n-1, p_j) = floor(n p_j)),

    where ``N_j ~ Bin(n, p_j)`` counts atom j. It is reached by the learner that releases the counts, of which
    every symmetric release is a post-processing (data processing), and ``P(z_1 = j | counts) = N_j/n``. The
    second form is De Moivre's mean absolute deviation. ``MIS >= 1 - max Delta_n`` for every learner.

    Parameters
    ----------
    probs
        Probabilities of the atoms, ``(m,)``, non-negative with sum 1 within 1e-9; m up to millions.
    n
        Sample size, 1..1e12.

    Returns
    -------
    Interval
        Kind ``exact``: the bounds are the value's rounding error, ``1e-12`` of it. ``details``: ``bound`` and
        ``asymptote``, the values of the functions below. ``roc()`` is that of the learner that releases the
        counts; refused where ``m (n + 1)`` exceeds 4e6.

    References
    ----------
    Aubinais, Gassiat, Piantanida, arXiv:2310.13786 (discrete data and the constant C(P)). De Moivre (1730),
    Miscellanea Analytica; Diaconis, Zabell (1991), Closed form summation for classical distributions, Stat.
    Sci. 6.

    Examples
    --------
    >>> finite_support_limit([0.5, 0.5], 1)
    Interval(0.5 in [0.5, 0.5], exact, level=1)
    >>> round(finite_support_limit([1e-6] * 10**6, 100).value, 4)  # no value comes twice: all is revealed
    0.9999
    """
    probs, n = _checked("theory.finite_support_limit", probs, n)
    # |N/n - p| is that of the complement too, and floor(n p) is safe from rounding where p is at most 1/2.
    small = np.minimum(probs, 1 - probs)
    value = float(np.sum(small * (1 - small) * stats.binom.pmf(np.floor(n * small), n - 1, small)))
    return Interval(
        lower=value * (1 - ROUNDING),
        value=value,
        upper=value * (1 + ROUNDING),
        kind="exact",
        curve=partial(_counts_roc, probs, n),
        details={
            "bound": _spread(probs) / (2 * math.sqrt(n)),
            "asymptote": _spread(probs) / math.sqrt(2 * math.pi * n),
        },
    )


def finite_support_bound(probs: Any, n: int) -> Interval:
    """Upper bound ``C(P) / (2 sqrt(n))`` on the advantage against any learner.

    ``C(P) = sum_j sqrt(p_j (1-p_j))``. At every n, since the mean absolute deviation is at most the standard
    deviation. Too large by ``sqrt(pi/2) = 1.2533`` as n grows. Parameters and source as in
    `finite_support_limit`.

    Returns
    -------
    Interval
        Kind ``certified``: whatever the learner, its advantage lies between 0 and the bound, which is the value and,
        but for rounding, the upper end. Where it exceeds 1 it says nothing.

    Examples
    --------
    >>> finite_support_bound([0.5, 0.5], 100)
    Interval(0.05 in [0, 0.05], certified, level=1)
    """
    probs, n = _checked("theory.finite_support_bound", probs, n)
    bound = _spread(probs) / (2 * math.sqrt(n))
    return Interval(lower=0.0, value=bound, upper=bound * (1 + ROUNDING), kind="certified")


def finite_support_asymptote(probs: Any, n: int) -> Interval:
    """Leading term ``C(P) / sqrt(2 pi n)`` of the largest advantage that any learner can leave.

    ``C(P) = sum_j sqrt(p_j (1-p_j))``. No guarantee at finite n: it can err either way, and needs every ``n
    p_j`` large: an `Interval` of kind ``asymptotic``, without bounds. Parameters and source as in
    `finite_support_limit`.

    Examples
    --------
    >>> finite_support_asymptote([0.5, 0.5], 100)
    Interval(0.0398942, asymptotic, no bounds)
    """
    probs, n = _checked("theory.finite_support_asymptote", probs, n)
    return Interval.point(_spread(probs) / math.sqrt(2 * math.pi * n), "asymptotic")


def enumerate_learner(learner: Callable[[np.ndarray], Hashable], probs: Any, n: int) -> Interval:
    """Advantage of the best attack on any deterministic symmetric learner, by going through every sample.

    ``Delta_n = 1/2 sum_theta sum_j |P(theta, z_1 = j) - P(theta) p_j|``, where ``P(theta, z_1 = j)`` sums
    ``P(counts) counts_j / n`` over the counts that give theta. Coarser learners have no larger advantage.

    Parameters
    ----------
    learner
        What is released, as a function of the counts ``(m,)`` of the atoms; anything hashable. Two releases
        that compare unequal are told apart by the attacker, so round what is only equal up to rounding error.
    probs
        Probabilities of the atoms, ``(m,)``, non-negative with sum 1 within 1e-9.
    n
        Sample size.

    Returns
    -------
    Interval
        Kind ``exact``, up to ``1e-12 + 1e-15 n log(n+1)``; ``roc()`` is the optimal attack's.
        ``details["num_releases"]``: how many different releases there are.

    Raises
    ------
    UnsupportedSetting
        Where there are more than 2e5 samples, counted without order.

    Examples
    --------
    >>> memoriser = lambda counts: tuple(counts > 0)
    >>> majority = lambda counts: int(counts.argmax())
    >>> learners = tuple, memoriser, majority
    >>> [round(enumerate_learner(learner, [0.5, 0.3, 0.2], 5).value, 4) for learner in learners]
    [0.2457, 0.1787, 0.1568]
    """
    probs, n = _checked("theory.enumerate_learner", probs, n)
    if not callable(learner):
        raise refuse("theory.enumerate_learner", "learner", "a function of the counts", learner)
    num_samples = math.comb(n + len(probs) - 1, n)
    if num_samples > MAX_SAMPLES:
        raise UnsupportedSetting(
            "theory.enumerate_learner",
            f"n={n} examples on {len(probs)} atoms make {num_samples:.3g} samples, more than {MAX_SAMPLES}.",
        )
    joint: dict[Hashable, np.ndarray] = {}
    for counts in compositions(n, len(probs), MAX_SAMPLES):
        for count, prob in zip(counts, stats.multinomial.pmf(counts, n, probs / probs.sum()), strict=True):
            release = learner(count)
            if not isinstance(release, Hashable):
                raise refuse("theory.enumerate_learner", "learner", "to release something hashable", release)
            joint[release] = joint.get(release, 0.0) + prob * count / n
    members = np.array(list(joint.values()))
    others = members.sum(axis=1, keepdims=True) * members.sum(axis=0)
    value = float(np.abs(members - others).sum() / 2)
    # The log-factorials behind the probabilities are of size n log n.
    error = ROUNDING + 4 * np.finfo(float).eps * n * math.log(n + 1)
    return Interval(
        lower=max(0.0, value - error),
        value=value,
        upper=value + error,
        kind="exact",
        curve=partial(Roc.discrete, members, others, error=2 * error),
        details={"num_releases": len(joint)},
    )


def _checked(where: str, probs: Any, n: int) -> tuple[np.ndarray, int]:
    probs = finite(where, "probs", probs, ndim=1)
    if probs.min() < 0 or abs(probs.sum() - 1) > 1e-9:
        raise refuse(where, "probs", "non-negative with sum 1", (float(probs.min()), float(probs.sum())))
    return probs, integer(where, "n", n, at_least=1, at_most=LARGEST_N)


def _spread(probs: np.ndarray) -> float:
    return float(np.sqrt(probs * (1 - probs)).sum())


def _counts_roc(probs: np.ndarray, n: int) -> Roc:
    if len(probs) * (n + 1) > MAX_ROC_ATOMS:
        raise UnsupportedSetting(
            "theory.finite_support_limit",
            f"the ROC of {len(probs)} atoms and n={n} has {len(probs) * (n + 1):.3g} corners, more than 4e6.",
        )
    counts, column = np.arange(n + 1), probs[:, None]
    return Roc.discrete(
        members=column * stats.binom.pmf(counts - 1, n - 1, column),
        others=column * stats.binom.pmf(counts, n, column),
        error=2 * ROUNDING,
    )
