"""The mean of a Gaussian sample, released in full precision, in any dimension."""

import math
from functools import partial

import numpy as np
from scipy import special

from mis.numerics.checks import integer
from mis.numerics.quadrature import legendre
from mis.results import Interval
from mis.theory.roc import Roc

__all__ = ["full_precision_mean"]

LARGEST_DIM = 10**7
LARGEST_N = 10**12
# Standard deviations (of a square root of chi-square: below 0.71) and doublings that the quadrature covers.
REACH = 12.0
DOUBLINGS = 48
NUM_BINS = 2000


def full_precision_mean(dim: int, n: int) -> Interval:
    r"""Advantage of the best attack on the exact mean of n normal vectors in R^dim.

    Claim: for ``z_i`` i.i.d. ``N(m, S)``, S of full rank and both known to the attacker, released mean
    ``(z_1 + ... + z_n)/n``, and with ``rho = 1/sqrt(n)``,

        Delta = P(A - B > c) - P(A/(1+rho) - B/(1-rho) > c),    c = dim log(1 - rho^2) / rho,

    A and B independent chi-square with ``dim`` degrees of freedom. Proof: whiten and scale; the mean and
    ``z_1`` are then dim independent pairs (x, z) of standard normals, of correlation rho where z is a member
    and 0 where it is not. With ``u = (x+z)/sqrt(2)``, ``v = (x-z)/sqrt(2)`` the log likelihood ratio is
    ``(rho/2)`` times the sum over coordinates of ``u^2/(1+rho) - v^2/(1-rho)``, minus ``(dim/2)
    log(1-rho^2)``; u and v are independent, of variance ``1+rho`` and ``1-rho`` for a member and 1 otherwise.
    It is positive where the quadratic form exceeds c.

    In dimension 2 this is ``rho (1-rho^2)^(1/rho) / (2 (1-rho))``; for large dim and n it tends to
    ``2 Phi(sqrt(dim/n)/2) - 1``; in dimension 1 it is ``1/(pi sqrt(n))`` for large n.

    Parameters
    ----------
    dim
        Dimension, 1..1e7.
    n
        Sample size, 1..1e12. At ``n = 1`` the release is the example, and the advantage 1.

    Returns
    -------
    Interval
        Kind ``exact``: the bounds are the rounding and quadrature error, ``1e-14 + 2e-15 sqrt(dim)``.
        ``roc()`` has certified bounds, from 2000 bins of the likelihood ratio.

    References
    ----------
    Quantized releases of the same mean: `quantized_mean`. The limit is Gaussian differential privacy's ROC:
    Dong, Roth, Su (2022), J. R. Stat. Soc. B 84.

    Examples
    --------
    >>> f"{full_precision_mean(100, 100).value:.6f}"
    '0.383596'
    >>> rho = 0.1
    >>> f"{full_precision_mean(2, 100).value:.12f} {rho * (1 - rho**2) ** (1 / rho) / (2 * (1 - rho)):.12f}"
    '0.050243448612 0.050243448612'
    """
    dim = integer("theory.full_precision_mean", "dim", dim, at_least=1, at_most=LARGEST_DIM)
    n = integer("theory.full_precision_mean", "n", n, at_least=1, at_most=LARGEST_N)
    if n == 1:
        certain = (np.array([1.0, 0.0]), np.array([0.0, 1.0]))
        return Interval(
            lower=1.0, value=1.0, upper=1.0, kind="exact", curve=Roc(lower=certain, upper=certain)
        )
    value, coarser = (_advantage(dim, 1 / math.sqrt(n), order) for order in (24, 16))
    # A node of size dim is rounded by dim * eps, which is sqrt(dim) * eps of a standard deviation.
    error = 2 * abs(value - coarser) + 1e-14 + 10 * np.finfo(float).eps * math.sqrt(dim)
    return Interval(
        lower=max(0.0, value - error),
        value=value,
        upper=min(1.0, value + error),
        kind="exact",
        curve=partial(_roc, dim, 1 / math.sqrt(n)),
    )


def _advantage(dim: int, rho: float, order: int) -> float:
    # Both probabilities are integrals over A, their difference an integral of positive terms.
    a, weights = _chi_square(dim, order)
    gap = -dim * math.log1p(-(rho**2)) / rho
    members, others = a + gap, (1 - rho) * (a / (1 + rho) + gap)
    return float(weights @ (special.gammainc(dim / 2, members / 2) - special.gammainc(dim / 2, others / 2)))


def _chi_square(dim: int, order: int) -> tuple[np.ndarray, np.ndarray]:
    """Return nodes and weights for expectations over a chi-square, smooth but for a square root near 0.

    Gauss-Legendre in ``t = sqrt(A)`` on panels of half a unit, halved again and again towards 0, where a
    shift of A by a small constant puts branch points.
    """
    low, high = max(0.0, math.sqrt(dim) - REACH), math.sqrt(dim) + REACH
    edges = np.linspace(low, high, math.ceil(2 * (high - low)) + 1)
    if low == 0:
        edges = np.union1d(edges, edges[1] / 2.0 ** np.arange(1, DOUBLINGS))
    nodes, weights = legendre(order)
    width = np.diff(edges)[:, None]
    t, weights = (edges[:-1, None] + width * nodes).ravel(), (width * weights).ravel()
    if dim == 1:
        log_density = -(t**2) / 2
    else:
        # (dim-1) log t - t^2/2 from its value at the mode, or large terms would cancel.
        mode = math.sqrt(dim - 1)
        step = (t - mode) / mode
        with np.errstate(divide="ignore"):
            log_density = (dim - 1) * (np.log1p(step) - step - step**2 / 2)
    weights = weights * np.exp(log_density)
    return t**2, weights / weights.sum()


def _exceeds(c: np.ndarray, a: float, b: float, dim: int) -> np.ndarray:
    """Return ``P(a A - b B > c)`` for each c, A and B independent chi-square, without cancellation."""
    nodes, weights = _chi_square(dim, 16)
    return np.array(
        [
            weights @ special.gammaincc(dim / 2, (b * nodes + t) / a / 2)
            if t > 0
            else weights @ special.gammainc(dim / 2, (a * nodes - t) / b / 2)
            for t in c
        ]
    )


def _roc(dim: int, rho: float) -> Roc:
    """Return the ROC between two laws on bins of the likelihood ratio.

    Releasing only the bin loses information: a lower bound. Splitting each bin's mass between its two ends,
    with the same masses under both laws, spreads the likelihood ratio while keeping its mean: an upper bound,
    as h is convex in it.
    """
    a, b = 1 / (1 + rho), 1 / (1 - rho)
    lowest = dim * (a - b) - REACH * math.sqrt(2 * dim * (a**2 + b**2)) - 80 * b
    highest = REACH * 2 * math.sqrt(dim) + 80
    c = np.linspace(highest, lowest, NUM_BINS + 1)
    members = np.diff(np.concatenate([[0.0], _exceeds(c, 1.0, 1.0, dim), [1.0]]))
    others = np.diff(np.concatenate([[0.0], _exceeds(c, a, b, dim), [1.0]]))
    ratio = np.exp(rho / 2 * c - dim / 2 * math.log1p(-(rho**2)))
    # Likelihood ratios at the upper and lower end of each bin: the first reaches up to infinity, the last
    # down to 0.
    top, bottom = np.concatenate([ratio[:1], ratio]), np.concatenate([ratio, [0.0]])
    with np.errstate(invalid="ignore", divide="ignore"):
        at_top = np.clip(np.nan_to_num((members - bottom * others) / (top - bottom)), 0, others)
    at_top[0] = 0.0
    rest = others - at_top
    members_at_top, members_at_bottom = np.maximum(members - bottom * rest, 0), bottom * rest
    upper = (np.stack([members_at_top, members_at_bottom], 1).ravel(), np.stack([at_top, rest], 1).ravel())
    return Roc(lower=(members, others), upper=upper, slack=1e-11, kind="certified")
