"""Membership in one released gradient, from the randomness of the release alone.

A client's gradient is a mean over n examples at known parameters. Here the other examples are known to the attacker, so
nothing is assumed of the data: a member z or a fresh example in its place makes two gradients, and the release of each
is random by itself. Where the data's randomness counts too, coordinates taken as normal and independent: ``product``.
"""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from scipy import optimize, special

from mis.numerics.checks import InvalidInput, finite, number, refuse
from mis.results import Interval
from mis.theory.composition import compose_outcomes
from mis.theory.coordinate import Outcomes
from mis.theory.roc import Roc

__all__ = [
    "averaged",
    "discrete_product",
    "gaussian_delta",
    "gaussian_epsilon",
    "gaussian_release",
    "laplace_release",
    "rounded_laws",
    "rounded_release",
]

# Relative error of a ratio of two probabilities that are given, and of its logarithm.
ROUNDING = 1e-15
MASS_ERROR = 1e-9


def discrete_product(members: Any, others: Any, *, tolerance: float = 1e-4) -> Interval:
    r"""Advantage between two products of discrete laws, between proved bounds.

    *Claim.* With ``P = prod_j P_j`` and ``Q = prod_j Q_j`` the total variation lies in ``[lower, upper]``. No other
    assumption. Outcomes impossible under Q are met under P with probability ``1 - prod_j (1 - p_j)``, ``p_j`` their
    mass in coordinate j, and give P away; the rest is composed on a lattice of log likelihood ratios
    (``composition``).

    Parameters
    ----------
    members, others
        Probabilities of each coordinate's outcomes, ``(d, m)``; rows sum to one.
    tolerance
        Step of the lattice is chosen so that bounds are usually this close, in 1e-6..0.1; they hold anyway.

    Returns
    -------
    Interval
        Kind ``certified``; ``roc()`` encloses the curve.

    Examples
    --------
    >>> round(discrete_product([[0.6, 0.4]], [[0.5, 0.5]]).value, 4)
    0.1
    >>> discrete_product([[0.6, 0.4, 0.0]] * 3, [[0.5, 0.4, 0.1]] * 3).upper > 0.27
    True
    """
    where = "theory.discrete_product"
    p, q = finite(where, "members", members, ndim=2), finite(where, "others", others, ndim=2)
    if p.shape != q.shape:
        raise InvalidInput(f"{where}: expected laws of one shape, got {p.shape} and {q.shape}.")
    for name, law in (("members", p), ("others", q)):
        if law.min() < 0 or np.abs(law.sum(axis=1) - 1).max() > MASS_ERROR:
            raise refuse(where, name, "rows of probabilities that sum to 1", float(law.sum(axis=1).min()))
    if not 1e-6 <= number(where, "tolerance", tolerance) <= 0.1:
        raise refuse(where, "tolerance", "in 1e-6..0.1", tolerance)
    alone = np.minimum(p.sum(axis=1, where=q == 0, initial=0.0), 1.0)
    sure = 1.0 if alone.max() == 1 else -math.expm1(float(np.log1p(-alone).sum()))
    differ = np.any(p != q, axis=1)
    if sure == 1.0 or not differ.any():
        return _point(sure, len(p))
    p, q = p[differ], q[differ]
    both = (p > 0) & (q > 0)
    if not both.any(axis=1).all():
        return _point(1.0, len(p))
    logs = np.log(p[both]), np.log(q[both])
    loss = logs[0] - logs[1]
    # Rounding of the probabilities, of the logarithms, and of their difference.
    rounding = ROUNDING * (4 + np.abs(logs[0]) + np.abs(logs[1]))
    owner = np.broadcast_to(np.arange(len(p))[:, None], p.shape)[both]
    seen = Outcomes(
        owner, p[both], q[both], loss, loss - rounding, loss + rounding, np.full(len(p), 4 * ROUNDING)
    )
    resolution = 2.7 * math.sqrt(tolerance)
    while True:
        found, details = compose_outcomes(seen, np.ones(len(p), int), resolution)
        roc = _with_atom(found, sure, (len(p) + 4) * ROUNDING)
        bounds = roc.advantage()
        if bounds.width <= tolerance or details["capped"] or resolution < 0.02 * math.sqrt(tolerance):
            break
        resolution *= 0.4
    return Interval(
        lower=bounds.lower,
        value=bounds.value,
        upper=bounds.upper,
        kind="certified",
        curve=roc,
        details=details,
    )


def _point(value: float, dim: int) -> Interval:
    error = (dim + 4) * ROUNDING if 0 < value < 1 else 0.0
    return Interval(
        lower=max(0.0, value - error), value=value, upper=min(1.0, value + error), kind="certified",
        curve=Roc(
            lower=(np.array([value, 1 - value]), np.array([0.0, 1.0])),
            upper=(np.array([value, 1 - value]), np.array([0.0, 1.0])),
            slack=error, kind="certified",
        ),
    )  # fmt: skip


def _with_atom(roc: Roc, sure: float, error: float) -> Roc:
    """Return the ROC with one more outcome, of members only."""
    sides = [
        (np.concatenate([[sure], masses]), np.concatenate([[0.0], others]))
        for masses, others in (roc.lower, roc.upper)
    ]
    return Roc(lower=sides[0], upper=sides[1], slack=roc.slack + error, kind="certified")


def rounded_laws(levels: Any, member: Any, other: Any) -> tuple[np.ndarray, np.ndarray]:
    """Return the laws of two gradients rounded at random to the levels around them, without bias.

    Parameters
    ----------
    levels
        Ascending, ``(L,)``, known to the attacker whatever the gradient: a scale that is fitted to it is one more
        release, and gives more away.
    member, other
        The two gradients, ``(d,)``, within the levels.

    Returns
    -------
    tuple of array
        ``(d, 4)`` each: the lower and upper level around the member's entry, then around the other's where those are
        others.

    Examples
    --------
    >>> rounded_laws([0.0, 1.0, 2.0], [0.25], [1.5])
    (array([[0.75, 0.25, 0.  , 0.  ]]), array([[0. , 0.5, 0. , 0.5]]))
    """
    where = "theory.rounded_laws"
    levels = finite(where, "levels", levels, ndim=1)
    member, other = finite(where, "member", member, ndim=1), finite(where, "other", other, ndim=1)
    if len(levels) < 2 or np.any(np.diff(levels) <= 0):
        raise refuse(where, "levels", "at least 2, ascending", levels)
    if member.shape != other.shape:
        raise InvalidInput(
            f"{where}: expected gradients of one length, got {member.shape} and {other.shape}."
        )
    for name, value in (("member", member), ("other", other)):
        if value.min() < levels[0] or value.max() > levels[-1]:
            raise refuse(
                where, name, f"within the levels, {levels[0]:g} to {levels[-1]:g}", float(np.abs(value).max())
            )
    (i, up), (j, over) = (_place(levels, value) for value in (member, other))
    members = np.stack([1 - up, up, np.zeros_like(up), np.zeros_like(up)], axis=1)
    others, rows = np.zeros_like(members), np.arange(len(i))
    # The other's two levels are columns 0 and 1 where the member's are the same.
    others[rows, np.where(j == i, 0, np.where(j == i + 1, 1, 2))] += 1 - over
    others[rows, np.where(j == i, 1, np.where(j == i - 1, 0, 3))] += over
    return members, others


def _place(levels: np.ndarray, value: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    below = np.clip(np.searchsorted(levels, value, side="right") - 1, 0, len(levels) - 2)
    return below, (value - levels[below]) / (levels[below + 1] - levels[below])


def rounded_release(levels: Any, member: Any, other: Any, *, tolerance: float = 1e-3) -> Interval:
    """Advantage of telling two gradients apart by their stochastic rounding: certified, from its own randomness.

    Kind ``certified``. Conditional on the other examples, known to the attacker; several rounds are one long
    gradient, as the rounding is drawn afresh.

    Parameters
    ----------
    levels, member, other
        As of ``rounded_laws``.
    tolerance
        As of ``discrete_product``.

    Examples
    --------
    >>> rounded_release([0.0, 1.0], np.full(100, 0.50), np.full(100, 0.55)).value > 0.35
    True
    """
    return discrete_product(*rounded_laws(levels, member, other), tolerance=tolerance)


def gaussian_release(distance: float) -> Interval:
    r"""Advantage of telling two gradients apart under normal noise, ``2 Phi(distance / 2) - 1``.

    Kind ``exact``: the likelihood ratio depends on the noise along the difference alone. ``distance`` is the
    Euclidean distance over the noise's standard deviation; of T rounds the root of the sum of their squares. Against
    differential privacy with gradients clipped at C and noise ``sigma C`` on their sum it is ``1 / sigma`` where an
    example is added or removed, without subsampling.

    References
    ----------
    Dong, Roth, Su (2022), Gaussian differential privacy, J. R. Stat. Soc. B 84.

    Examples
    --------
    >>> round(gaussian_release(1.0).value, 6)
    0.382925
    """
    distance = number("theory.gaussian_release", "distance", distance)
    if distance < 0:
        raise refuse("theory.gaussian_release", "distance", ">= 0", distance)
    value = float(special.erf(distance / math.sqrt(8)))
    error = 4 * ROUNDING * value
    return Interval(lower=max(0.0, value - error), value=value, upper=min(1.0, value + error), kind="exact")


def gaussian_delta(distance: float, epsilon: float) -> float:
    """Return the delta of normal noise at an epsilon, for two gradients at a distance in its standard deviations.

    ``Phi(distance/2 - epsilon/distance) - exp(epsilon) Phi(-distance/2 - epsilon/distance)``; exact.

    References
    ----------
    Balle, Wang (2018), Improving the Gaussian mechanism for differential privacy, arXiv:1805.06530, theorem 8.

    Examples
    --------
    >>> round(gaussian_delta(1.0, 0.0), 6), round(gaussian_delta(1.0, 4.0), 8)
    (0.382925, 4.712e-05)
    """
    where = "theory.gaussian_delta"
    distance, epsilon = number(where, "distance", distance, above=0.0), number(where, "epsilon", epsilon)
    if epsilon < 0:
        raise refuse(where, "epsilon", ">= 0", epsilon)
    high, low = distance / 2 - epsilon / distance, -distance / 2 - epsilon / distance
    return max(0.0, float(special.ndtr(high) - math.exp(min(epsilon + special.log_ndtr(low), 0.0))))


def gaussian_epsilon(distance: float, delta: float) -> float:
    """Return the least epsilon of normal noise at a delta, for two gradients at a distance; rounded up by 1e-9.

    Parameters
    ----------
    distance, delta
        Distance in standard deviations of the noise, >= 0; delta in (0, 1).

    Examples
    --------
    >>> round(gaussian_epsilon(1.0, 1e-5), 4), gaussian_epsilon(0.0, 1e-5)
    (4.3772, 0.0)
    """
    where = "theory.gaussian_epsilon"
    distance, delta = number(where, "distance", distance), number(where, "delta", delta)
    if distance < 0:
        raise refuse(where, "distance", ">= 0", distance)
    if not 0 < delta < 1:
        raise refuse(where, "delta", "in (0, 1)", delta)
    if distance == 0 or gaussian_delta(distance, 0.0) <= delta:
        return 0.0
    # Both tails of the normal law: at this epsilon the first of the two probabilities alone is below delta.
    most = distance * (distance / 2 - float(special.ndtri(delta)))
    found = optimize.brentq(lambda e: gaussian_delta(distance, e) - delta, 0.0, most, xtol=1e-12, rtol=1e-12)
    return float(found) * (1 + 1e-9) + 1e-9


def laplace_release(shifts: Any) -> Interval:
    r"""Advantage of telling two gradients apart under double exponential noise, between bounds.

    Kind ``certified``. With shifts ``s_j`` in units of the noise's mean magnitude the two laws' affinity
    (Bhattacharyya's coefficient) is ``B = prod_j (1 + s_j / 2) exp(-s_j / 2)``, and ``1 - B <= Delta <= sqrt(1 -
    B^2)`` (Le Cam); below the larger of that and of the largest single coordinate's ``1 - exp(-s_j / 2)``, above the
    smaller of that and of their sum.

    Parameters
    ----------
    shifts
        ``|difference| / scale``, ``(d,)``.

    Examples
    --------
    >>> laplace_release([0.1])
    Interval(0.0487706 in [0.0487706, 0.0487706], certified, level=1)
    """
    shifts = np.abs(finite("theory.laplace_release", "shifts", shifts, ndim=1))
    log_affinity = float(_log1p_less(shifts / 2).sum())
    single = -np.expm1(-shifts / 2)
    error = (len(shifts) + 20) * ROUNDING
    lower = max(-math.expm1(log_affinity), float(single.max())) * (1 - error)
    upper = min(math.sqrt(-math.expm1(2 * log_affinity)), float(single.sum()), 1.0)
    upper = min(max(upper, lower) * (1 + error), 1.0)
    return Interval(lower=lower, value=(lower + upper) / 2, upper=upper, kind="certified")


def _log1p_less(x: np.ndarray) -> np.ndarray:
    """Return ``log(1 + x) - x`` for x >= 0, to ten units in the last place: near 0 the difference keeps no digits."""
    powers = np.arange(12, -1, -1)
    series = -np.square(x) * np.polyval((-1.0) ** powers / (powers + 2.0), np.minimum(x, 0.05))
    return np.where(x < 0.05, series, np.log1p(x) - x)


def averaged(pairs: Any, release: Callable[[Any, Any], Interval], *, level: float = 0.95) -> Interval:
    """Upper bound on the advantage where the other examples are known, from pairs of a member and its replacement.

    The non-member's release is a mixture over replacements, and total variation is convex: the advantage is at most the
    mean over independent pairs. The mean is over a sample; its upper limit is Hoeffding's, at ``level``, for any law.

    Parameters
    ----------
    pairs
        Pairs of gradients, an iterable of two arrays.
    release
        Bounds on the advantage between the two.
    level
        Confidence level.

    Returns
    -------
    Interval
        From 0 to the limit, kind ``monte-carlo``; ``value`` is the mean of the pairs' upper bounds.
    """
    uppers = np.array([release(one, other).upper for one, other in pairs])
    if uppers.size == 0:
        raise InvalidInput("theory.averaged: expected at least one pair, got none.")
    mean = float(uppers.mean())
    reach = math.sqrt(-math.log(1 - level) / (2 * len(uppers)))
    return Interval(lower=0.0, value=mean, upper=min(1.0, mean + reach), kind="monte-carlo", level=level)
