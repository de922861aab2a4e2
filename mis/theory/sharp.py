"""The leading term of the optimal advantage with its constant, for a fixed codebook."""

import math
from fractions import Fraction

from mis.numerics.checks import UnsupportedSetting, integer
from mis.results import Interval
from mis.theory.differences import Atoms, Normal
from mis.theory.laws import LossLaw
from mis.theory.rate import chernoff, competitors

__all__ = ["gap", "largest_win", "lattice_factor", "sharp"]


def sharp(law: LossLaw, n: int) -> Interval:
    """Sharp large-deviation asymptotics of the optimal advantage, constant included.

    With k the competitor of smallest Chernoff exponent I, t the tilt that attains it, ``P_t`` the law of the
    data
    tilted by ``exp(-t D_k)`` and s the standard deviation of ``D_k`` under it::

        Delta_n ~ 2 TV(P_t, P) exp(-n I) / (t s sqrt(2 pi n)) * factor(n)

    ``factor`` is 1 unless D_k sits on a lattice ``a + h Z``. Then let ``x0(n)`` be the distance from zero
    down to the largest point of ``n a + h Z`` at which the competitor wins: in ``[0, h)`` where it wins ties
    (its index is smaller than the minimiser's), in ``(0, h]`` where it loses them. The factor is ``t h exp(-t
    x0) / (1 - exp(-t h))``.

    *Proof.* Under ``P_t`` the sum is centred, so by the local limit theorem each lattice point near zero has
    mass ``h / (s sqrt(2 pi n))``; undoing the tilt weighs the point ``-x0 - j h`` by ``exp(-nI - t(x0 + j
    h))``; sum the geometric series over j. Given ``z_1 = z`` the other n - 1 sums hit the same lattice, and
    the same computation gives ``p_k(z) / p_k -> exp(-t D_k(z)) / E exp(-t D_k) = dP_t/dP(z)``. A unique
    smallest exponent makes every other competitor lose on this event (were ``E_t D_j <= 0``, then ``I_j <=
    KL(P_t || P) = I_k``). Last, ``Delta = p_k E|dP_t/dP - 1|``.

    Parameters
    ----------
    law
        A loss law with a unique population minimiser and a unique competitor of smallest exponent. For
        `SampledLosses` a plug-in estimate.
    n
        Sample size, >= 1.

    Returns
    -------
    Interval
        Kind ``asymptotic``, without bounds: the leading term. Its relative error is of order 1/n for a fixed law;
        it may exceed 1 where ``n I`` is small.

    Raises
    ------
    UnsupportedSetting
        As `rate`; also where two competitors attain the smallest exponent, or where the competitor can win
        only by a tie or never.

    References
    ----------
    Bahadur and Rao (1960), *On deviations of the sample mean*, theorems 1 and 2 (the lattice case).

    Examples
    --------
    >>> from mis.theory import GaussianLosses
    >>> law = GaussianLosses(mean=[0.0, 0.3], cov=[[0.0, 0.0], [0.0, 1.0]])
    >>> f"{sharp(law, 300).value:.4e}"
    '2.5101e-08'
    """
    n = integer("theory.sharp", "n", n, at_least=1)
    difference, wins_ties, exponent, t = _strongest(law)
    scale = t * math.sqrt(2 * math.pi * n * difference.tilted(t).variance)
    factor = lattice_factor(difference, wins_ties, t, n)
    leading = 2 * difference.tilt_distance(t) * factor / scale * math.exp(-n * exponent)
    return Interval.point(leading, "asymptotic")


def lattice_factor(difference: Normal | Atoms, wins_ties: bool, t: float, n: int) -> float:
    """Ratio of P(n differences sum to a win) on a lattice to what a smooth law would give; see `sharp`."""
    origin, span = difference.lattice()
    if span == 0:
        return 1.0
    distance = gap(origin, span, wins_ties, n, difference.tie(n))
    return t * span * math.exp(-t * distance) / -math.expm1(-t * span)


def gap(origin: float, span: float, wins_ties: bool, n: int, tie: float) -> float:
    """Distance from zero down to the largest winning point of the lattice ``n origin + span Z``."""
    return -(n * origin + span * largest_win(origin, span, wins_ties, n, tie))


def largest_win(origin: float, span: float, wins_ties: bool, n: int, tie: float) -> int:
    """Largest integer j at which ``n origin + span j`` is a win: below zero, or at zero if ties win.

    Sums no larger than ``tie`` are zero. In rational numbers, where n times a float loses nothing.
    """
    zero = -n * Fraction(origin) / Fraction(span)
    nearest = round(zero)
    if abs(zero - nearest) * Fraction(span) <= Fraction(min(tie, span / 4)):
        return nearest if wins_ties else nearest - 1
    return math.floor(zero)


def _strongest(law: LossLaw) -> tuple[Normal | Atoms, bool, float, float]:
    """Return the competitor of smallest exponent: its difference, whether it wins ties, exponent and tilt."""
    where = "theory.sharp"
    rivals = [(*chernoff(d, wins_ties), d, wins_ties, k) for k, d, wins_ties in competitors(where, law)]
    rivals.sort(key=lambda rival: rival[0])
    exponent, t, difference, wins_ties, k = rivals[0]
    if math.isinf(t):
        raise UnsupportedSetting(
            where, f"candidate {k} never has the smaller loss; it wins by a tie or never."
        )
    if len(rivals) > 1 and rivals[1][0] - exponent <= 1e-9 * exponent:
        raise UnsupportedSetting(
            where,
            f"candidates {k} and {rivals[1][-1]} attain the same smallest exponent; use theory.simulate.",
        )
    return difference, wins_ties, exponent, t
