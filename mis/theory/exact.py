"""The optimal advantage, exactly, where there is a route to it."""

import math
from dataclasses import replace
from functools import partial

import numpy as np

from mis.numerics.checks import UnsupportedSetting, integer
from mis.results import Interval
from mis.theory.differences import Normal
from mis.theory.enumeration import MAX_COUNTS, Choices, choices, num_counts
from mis.theory.exact_gaussian import gaussian_roc, log_advantage
from mis.theory.exact_lattice import choices_on_lattice, stated
from mis.theory.exact_three import three_roc
from mis.theory.laws import DiscreteLosses, GaussianLosses, LossLaw, loss_law
from mis.theory.roc import Roc

__all__ = ["exact"]

# Relative rounding error that an exact value states; the tests find less.
ROUNDING = 1e-11
# Smaller values may be nothing but underflow.
SMALLEST_VALUE = 1e-300
# Below this the certified bounds for three normal candidates, right to 1e-9, say too little.
SMALLEST = 1e-6


def exact(law: LossLaw, n: int) -> Interval:
    """Advantage of the best attack on a learner that minimises the empirical loss over K candidates.

    ``Delta_n = 1/2 E_z sum_k |p_k(z) - p_k|`` with ``p_k`` the probability that the learner returns candidate
    k and ``p_k(z)`` the same given ``z_1 = z``; the security is ``MIS_n = 1 - Delta_n``. Ties go to the
    smallest index.

    - Two candidates with normal losses: one quadrature in logarithms, any n, equal expected losses included.
    - Three with normal losses: certified bounds from orthant probabilities, refined until they are 0.2% apart but
      for a rounding of 2e-9, down to 1e-6. Four or more are refused. SciPy's orthant probabilities beyond two
      dimensions are quasi-Monte Carlo with an estimated error, and no bound; even where a formula gives them, as
      in three dimensions, the expectation of ``|p_k(z) - p_k|`` over z has a kink on a curved surface that has to
      be enclosed by cells of K - 1 dimensions: 40 to an axis, which leave several per cent between the bounds for
      three candidates, would be 7 million quadratures of a trivariate orthant for four.
    - Two candidates, discrete losses on a lattice: convolution by Fourier transform, n to 1e6 and beyond; by sums
      of products where atoms are so rare that the transform's error would show.
    - Any other discrete law: every count of the atoms, up to 5e6 counts.

    Discrete laws are what their floats say, up to four units in the last place of each loss: `mis.theory.laws`.

    Parameters
    ----------
    law
        A `GaussianLosses` of two or three candidates, or a `DiscreteLosses`.
    n
        Sample size, >= 1.

    Returns
    -------
    Interval
        Kind ``exact``: the bounds are the value's rounding error, 1e-11 of it for normal losses and ``1e-11 +
        2e-15 n`` of it for discrete ones, down to 1e-300. Two things make it larger, and the bounds say so: atoms
        so rare that a transform's error shows, on a lattice too long for sums of products and with too many
        counts; and covariances that all but cancel, where the bounds hold for all numbers that round to the given
        ones. Kind ``certified`` for three normal candidates.

        ``.roc()`` is the optimal attack's ROC, between certified bounds for normal losses. For two normal
        candidates ``details["log_value"]`` is the natural logarithm, right where the value itself underflows.

    Raises
    ------
    UnsupportedSetting
        Where no exact route exists (sampled laws, four or more normal candidates), where enumeration would go
        through more than 5e6 counts, and where the learner never varies because all losses differ by
        constants.

    References
    ----------
    Aubinais, Gassiat, Piantanida, *Fundamental Limits of Membership Inference Attacks on Machine Learning
    Models*, arXiv:2310.13786: the optimal advantage as a total variation distance.

    Examples
    --------
    >>> from mis.theory import DiscreteLosses, GaussianLosses
    >>> law = GaussianLosses(mean=[0.0, 1.0], cov=[[0.0, 0.0], [0.0, 1.0]])
    >>> f"{exact(law, 100).value:.7e}"
    '5.9017400e-24'
    >>> coin = DiscreteLosses(losses=[[0.0, 1.0], [1.0, 0.0]], probs=[0.5, 0.5])
    >>> round(exact(coin, 1).value, 9)
    0.5
    """
    n = integer("theory.exact", "n", n, at_least=1)
    law = loss_law("theory.exact", law)
    if isinstance(law, GaussianLosses):
        return _gaussian(law, n)
    if isinstance(law, DiscreteLosses):
        return _discrete(law, n)
    raise UnsupportedSetting(
        "theory.exact", "a sampled law is itself an estimate; use theory.saddlepoint or theory.simulate."
    )


def _gaussian(law: GaussianLosses, n: int) -> Interval:
    _refuse_constant(law)
    if law.num_losses == 3:
        return _three(law, n)
    if law.num_losses > 3:
        raise UnsupportedSetting(
            "theory.exact",
            f"orthant probabilities of {law.num_losses} candidates come without a guarantee; use theory.simulate.",
        )
    difference = law.difference(1, 0)
    log_value = log_advantage(difference, n)
    value = math.exp(log_value)
    low, high = (math.exp(log_advantage(extreme, n)) for extreme in _furthest_and_nearest(law, difference))
    return Interval(
        lower=min(low, value) * (1 - ROUNDING),
        value=value,
        upper=max(high, value) * (1 + ROUNDING) + SMALLEST_VALUE * (value < SMALLEST_VALUE),
        kind="exact",
        curve=partial(gaussian_roc, difference, n),
        details={"log_value": log_value},
    )


def _furthest_and_nearest(law: GaussianLosses, difference: Normal) -> tuple[Normal, Normal]:
    """Return the differences of least and largest advantage among those whose means and covariances round to these.

    The advantage falls in ``|mean| / sd``: the exponent in `log_advantage` is minus its square times a positive
    number at each angle. Only where the covariances all but cancel do the two differ.
    """
    half_unit = float(np.finfo(float).eps) / 2
    mean = half_unit * float(np.abs(law.mean).sum())
    variance = half_unit * float(np.abs(law.cov).sum())
    size = abs(difference.mean)
    return (
        Normal(size + mean, difference.variance - variance),
        Normal(max(size - mean, 0.0), difference.variance + variance),
    )


def _three(law: GaussianLosses, n: int) -> Interval:
    roc = three_roc(law, n)
    found = roc.advantage()
    if found.upper < SMALLEST:
        raise UnsupportedSetting(
            "theory.exact",
            f"three normal candidates are certified down to {SMALLEST:g}; use theory.simulate.",
        )
    return replace(found, curve=roc)


def _discrete(law: DiscreteLosses, n: int) -> Interval:
    _refuse_constant(law)
    given, shift, error, lost = _choices(law, n)
    value = 0.5 * float(np.abs(shift).sum(axis=0) @ law.probs)
    bound = max(stated(n) * value, 0.5 * float(error.sum(axis=0) @ law.probs))
    tiny = SMALLEST_VALUE * (value < SMALLEST_VALUE)
    return Interval(
        lower=max(value - bound - tiny, 0.0),
        value=value,
        upper=min(value + bound + tiny, 1.0),
        kind="exact",
        curve=partial(_discrete_roc, given, law.probs, 2 * max(stated(n), lost)),
    )


def _discrete_roc(given: np.ndarray, probs: np.ndarray, error: float) -> Roc:
    return Roc.discrete(given * probs, np.outer(given @ probs, probs), error=error)


def _choices(law: DiscreteLosses, n: int) -> Choices:
    """Return what the learner returns given each atom, by convolution where two candidates allow it.

    Where that cannot state the usual error, by enumeration if there are not too many counts.
    """
    found = choices_on_lattice(law, n) if law.num_losses == 2 else None
    if found is None:
        return choices(law, n)
    error, moved = (float(np.abs(x).sum(axis=0) @ law.probs) for x in (found.error, found.shift))
    return found if error <= stated(n) * moved or num_counts(law, n) > MAX_COUNTS else choices(law, n)


def _refuse_constant(law: LossLaw) -> None:
    best = law.best()
    if all(law.difference(k, best).constant for k in range(law.num_losses) if k != best):
        raise UnsupportedSetting(
            "theory.exact", "every loss differs from the best by a constant, so the learner never varies."
        )
