"""Functions: the optimal advantage, exactly, where there is a route to it."""

import math
from dataclasses import replace

import numpy as np

from mis.numerics.checks import UnsupportedSetting, integer
from mis.results import Interval
from mis.theory.enumeration import choices
from mis.theory.exact_gaussian import gaussian_roc, log_advantage
from mis.theory.exact_lattice import wins_on_lattice
from mis.theory.exact_three import three_roc
from mis.theory.laws import DiscreteLosses, GaussianLosses, LossLaw, loss_law
from mis.theory.roc import Roc

__all__ = ["exact"]

# Relative rounding error that an exact value states; the tests find less.
ROUNDING = 1e-11
# Below this the certified bounds for three normal candidates, right to 1e-9, say too little.
SMALLEST = 1e-6


def exact(law: LossLaw, n: int) -> Interval:
    """Advantage of the best attack on a learner that minimises the empirical loss over K candidates.

    ``Delta_n = 1/2 E_z sum_k |p_k(z) - p_k|`` with ``p_k`` the probability that the learner returns candidate
    k and ``p_k(z)`` the same given ``z_1 = z``; the security is ``MIS_n = 1 - Delta_n``. Ties go to the
    smallest index.

    - Two candidates with normal losses: one quadrature in logarithms, any n, equal expected losses included.
    - Three with normal losses: certified bounds from orthant probabilities, about 0.2% apart, down to 1e-6.
      Four or more are refused. SciPy's orthant probabilities beyond two dimensions are quasi-Monte Carlo with an
      estimated error, and no bound; even where a formula gives them, as in three dimensions, the expectation of
      ``|p_k(z) - p_k|`` over z has a kink on a curved surface that has to be enclosed by cells of K - 1
      dimensions: 40 to an axis, which leave 4% between the bounds for three candidates, would be 7 million
      quadratures of a trivariate orthant for four.
    - Two candidates, discrete losses on a lattice: convolution by Fourier transform, n to 1e6 and beyond.
    - Any other discrete law: every count of the atoms, up to 5e6 counts.

    Parameters
    ----------
    law
        A `GaussianLosses` of two or three candidates, or a `DiscreteLosses`.
    n
        Sample size, >= 1.

    Returns
    -------
    Interval
        Kind ``exact``: the bounds are the value's rounding error, ``1e-11 + 2e-15 n`` of it down to 1e-300;
        kind ``certified`` for three normal candidates. ``.roc()`` is the optimal attack's ROC, between
        certified bounds for normal losses. For two normal candidates ``details["log_value"]`` is the natural
        logarithm, right where the value itself underflows.

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
    return Interval(
        lower=value * (1 - ROUNDING),
        value=value,
        upper=value * (1 + ROUNDING),
        kind="exact",
        curve=lambda: gaussian_roc(difference, n),
        details={"log_value": log_value},
    )


def _three(law: GaussianLosses, n: int) -> Interval:
    roc = three_roc(law, n)
    found = roc.advantage()
    if found.upper < SMALLEST:
        raise UnsupportedSetting(
            "theory.exact",
            f"three normal candidates are certified down to {SMALLEST:g}; use theory.simulate.",
        )
    return replace(found, curve=lambda: roc)


def _discrete(law: DiscreteLosses, n: int) -> Interval:
    _refuse_constant(law)
    given_z = _choices(law, n)
    usual = np.argmax(given_z @ law.probs)
    others = np.delete(given_z, usual, axis=0)
    # The usual choice has probability near one; its differences are the others' with the sign turned.
    shifts = others - (others @ law.probs)[:, None]
    value = 0.5 * float((np.abs(shifts).sum(axis=0) + np.abs(shifts.sum(axis=0))) @ law.probs)
    eps = float(np.finfo(float).eps)
    relative = ROUNDING + 8 * n * eps
    error = relative * value + 64 * eps * float((others @ law.probs).sum())
    return Interval(
        lower=max(value - error, 0.0),
        value=value,
        upper=value + error,
        kind="exact",
        curve=lambda: Roc.discrete(
            given_z * law.probs, np.outer(given_z @ law.probs, law.probs), error=2 * relative
        ),
    )


def _choices(law: DiscreteLosses, n: int) -> np.ndarray:
    """Probability of each choice given each atom, by convolution where two candidates allow it."""
    if law.num_losses == 2:
        best = law.best()
        wins = wins_on_lattice(law.difference(1 - best, best), best == 1, n)
        if wins is not None:
            return np.stack([1 - wins, wins] if best == 0 else [wins, 1 - wins])
    return choices(law, n)


def _refuse_constant(law: LossLaw) -> None:
    best = law.best()
    if all(law.difference(k, best).constant for k in range(law.num_losses) if k != best):
        raise UnsupportedSetting(
            "theory.exact", "every loss differs from the best by a constant, so the learner never varies."
        )
