"""Functions: the exponential rate at which the optimal advantage vanishes, for a fixed codebook."""

import math

from mis.numerics.checks import UnsupportedSetting
from mis.results import Interval
from mis.theory.differences import ROUNDING, Atoms, Normal
from mis.theory.laws import LossLaw, SampledLosses, loss_law

__all__ = ["chernoff", "competitors", "rate"]

# Rounding error of an exponent; the tests find less.
ABSOLUTE, RELATIVE = 1e-14, 1e-12


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
        In nats per example; infinite where no competitor can ever win, so that the advantage is 0 at every n. Of a
        known law kind ``exact``: the bounds are the value's rounding error, ``1e-14`` and ``1e-12`` of it. The
        plug-in estimate is ``asymptotic``, in the number of sampled losses, and has no bounds.

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
    exponents = (chernoff(d, wins_ties)[0] for _, d, wins_ties in competitors("theory.rate", law))
    value = max(min(exponents), 0.0)
    if isinstance(law, SampledLosses):
        return Interval.point(value, "asymptotic")
    lower, upper = value * (1 - RELATIVE) - ABSOLUTE, value * (1 + RELATIVE) + ABSOLUTE
    return Interval(lower=max(lower, 0.0), value=value, upper=upper, kind="exact")


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
        return -difference.log_mgf(t), t
    # D >= 0: the competitor can only tie, and only if every single difference is zero.
    ties = difference.prob(0.0) if isinstance(difference, Atoms) and wins_ties else 0.0
    return (-math.log(ties) if ties > 0 else math.inf), t
