"""The exponential rate at which the optimal advantage vanishes, for a fixed codebook."""

import math

import numpy as np

from mis.numerics.checks import UnsupportedSetting
from mis.results import Interval
from mis.theory.differences import ROUNDING, Atoms, Normal
from mis.theory.laws import LossLaw, SampledLosses, loss_law

__all__ = ["chernoff", "competitors", "rate"]

# Exponents below this are computed without the rounding error of log 1.
SMALL = 1e-2

# Rounding error of an exponent, relative to it, and to it times the largest difference over the mean one, which is how
# well float64 knows the latter. The tests find less.
RELATIVE, OF_MEAN = 1e-12, 4e-15


def rate(law: LossLaw) -> Interval:
    """Large-deviation rate of the optimal advantage, ``lim -(1/n) log Delta_n``, in nats per example.

    With ``D_k`` the loss of candidate k minus that of the population minimiser, the rate is ``min_k I_k``
    with Chernoff's exponent ``I_k = sup_t -log E exp(-t D_k)``. Larger is more private. It is a limit: at
    finite n the advantage can be many times larger or smaller than ``exp(-n rate)``; see `sharp`.

    Parameters
    ----------
    law
        A loss law with a unique population minimiser. For `SampledLosses` this is the rate of the empirical
        law, a plug-in estimate.

    Returns
    -------
    Interval
        In nats per example, >= 0; infinite where no competitor can ever win, so that the advantage is 0 at every n.
        Of a known law kind ``exact``: the bounds are the value's rounding error, 1e-12 of it and 4e-15 of it times
        the largest difference over the mean one, which is how well float64 knows the latter. The plug-in estimate
        is ``asymptotic``, in the number of sampled losses, and has no bounds.

    Raises
    ------
    UnsupportedSetting
        Where several candidates share the smallest expected loss (the advantage is then of order
        ``n**-0.5``), or where no difference of losses is random.

    References
    ----------
    Bahadur and Rao (1960), *On deviations of the sample mean*. Aubinais, Gassiat, Piantanida,
    arXiv:2310.13786: advantage of quantized empirical risk minimisers.

    Examples
    --------
    >>> from mis.theory import GaussianLosses
    >>> round(rate(GaussianLosses(mean=[0.0, 0.3], cov=[[0.0, 0.0], [0.0, 1.0]])).value, 12)
    0.045
    """
    found = [(chernoff(d, wins_ties)[0], d) for _, d, wins_ties in competitors("theory.rate", law)]
    value = min(exponent for exponent, _ in found)
    if isinstance(law, SampledLosses) or math.isinf(value):
        return Interval.point(value, "asymptotic" if isinstance(law, SampledLosses) else "exact")
    errors = [(x, x * (RELATIVE + OF_MEAN * _size(d) / abs(d.mean))) for x, d in found if math.isfinite(x)]
    lower, upper = (min(x + sign * error for x, error in errors) for sign in (-1, 1))
    return Interval(lower=lower, value=value, upper=upper, kind="exact")


def _size(difference: Normal | Atoms) -> float:
    """Return the largest difference there is, or a large one where there is no largest."""
    if isinstance(difference, Atoms):
        return float(np.abs(difference.values).max())
    return abs(difference.mean) + math.sqrt(difference.variance)


def competitors(where: str, law: LossLaw) -> list[tuple[int, Normal | Atoms, bool]]:
    """Every candidate k whose loss differs at random from the minimiser's: ``(k, D_k, does k win a tie)``.

    Candidates at a constant distance never change places with the minimiser and are left out.
    """
    best = loss_law(where, law).best()
    differences = ((k, law.difference(k, best)) for k in range(law.num_losses) if k != best)
    random = [(k, d, k < best) for k, d in differences if not d.constant]
    if not random:
        raise UnsupportedSetting(
            where, "every loss differs from the best by a constant, so the learner never varies."
        )
    for k, d, _ in random:
        if d.mean <= ROUNDING * math.sqrt(d.variance):
            raise UnsupportedSetting(
                where,
                f"candidates {best} and {k} share the smallest expected loss; a rate needs a unique one. "
                "theory.exact and theory.saddlepoint cover ties.",
            )
    return random


def chernoff(difference: Normal | Atoms, wins_ties: bool) -> tuple[float, float]:
    """Return ``(I, t)``: the exponent of P(sum of n differences beats zero) and the tilt that attains it."""
    t = difference.optimal_tilt()
    if math.isfinite(t):
        exponent = -difference.log_mgf(t)
        if exponent < SMALL and isinstance(difference, Atoms):
            exponent = _small_exponent(difference, t)
        return max(exponent, 0.0), t
    # D >= 0: the competitor can only tie, and only if every single difference is zero.
    ties = difference.prob(0.0) if isinstance(difference, Atoms) and wins_ties else 0.0
    return (-math.log(ties) if ties > 0 else math.inf), t


def _small_exponent(difference: Atoms, t: float) -> float:
    """Return ``-log E exp(-tD)`` where it is lost in the rounding of a sum of probabilities, one.

    ``t E D - log(1 + E r(-t (D - E D)))`` with ``r(x) = exp(x) - 1 - x >= 0``: near a tie the second term is half of
    the first, and neither is a difference of larger numbers. Right to 1e-13 of itself and twice the relative rounding
    error of ``E D``.
    """
    x = -t * (difference.values - difference.mean)
    # Beyond 0.1 the difference loses a digit; up to there the series, to x**11.
    series = np.zeros_like(x)
    for k in range(11, 1, -1):
        series = (1 + series) * x / k
    rest = np.where(np.abs(x) < 0.1, x * series, np.expm1(x) - x)
    return t * difference.mean - math.log1p(float(np.exp(difference.log_probs) @ rest))
