"""The standard normal law between two bounds, far out and in narrow cells too."""

import math

import numpy as np
from scipy import special

from mis.numerics.quadrature import legendre

__all__ = ["cell_mean", "log_mass"]

LOG_ROOT = math.log(2 * math.pi) / 2
# Where the density falls by less than exp(-NARROW) over a cell, a rule of eight nodes has all digits.
NARROW = 0.5
NODES, WEIGHTS = legendre(8)


def log_mass(low: np.ndarray, high: np.ndarray) -> np.ndarray:
    r"""Return ``log(Phi(high) - Phi(low))`` in nats; -inf for empty cells.

    The error is at most 1e-15 plus four units in the last place of the logarithm, at any position and width: a
    relative 1e-14 of the mass within 8 standard deviations, 4e-13 at 40.

    *Method.* With ``0 <= near < far`` the distances of the ends from zero, the mass of a cell on one side is

        phi(near) integral_0^w exp(-near s - s^2 / 2) ds ,    w = far - near ,

    by Gauss-Legendre where the exponent is at most ``NARROW``, so that nothing is subtracted, and by Mills' ratios,
    ``R(near) - exp(-w (near + far) / 2) R(far)``, elsewhere. A cell on both sides is the sum of its halves, or one
    less its tails.

    Examples
    --------
    >>> round(float(log_mass(np.array(40.0), np.array(np.inf))), 4)
    -804.6084
    >>> round(float(np.exp(log_mass(np.array(1.0), np.array(1.0 + 2**-40)))) * 2**40, 6)  # the density at 1
    0.241971
    """
    near, far, both = _sides(low, high)
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        log = np.asarray(np.log(_scaled_mass(near, far)) - near**2 / 2 - LOG_ROOT)
    a, b = near[both], far[both]
    halves = (special.erf(a / math.sqrt(2)) + special.erf(b / math.sqrt(2))) / 2
    tails = special.ndtr(-a) + special.ndtr(-b)
    log[both] = np.where(halves > 0.5, np.log1p(-np.minimum(tails, 0.5)), np.log(halves))
    return np.where(high > low, log, -np.inf)


def cell_mean(low: np.ndarray, high: np.ndarray) -> np.ndarray:
    """Return the mean of a standard normal variable given that it lies between ``low <= high``.

    ``(phi(low) - phi(high)) / (Phi(high) - Phi(low))``, both over ``phi`` of the nearer end, so that neither
    underflows on one side of zero; the middle where the cell is empty.

    Examples
    --------
    >>> cell_mean(np.array([0.0, 40.0]), np.array([np.inf, 41.0])).round(4)
    array([ 0.7979, 40.025 ])
    """
    near, far, both = _sides(low, high)
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        ends = -np.expm1(-(far - near) * (near + far) / 2)
        density = np.exp(-(near**2) / 2 - LOG_ROOT - log_mass(low, high))
        density = np.where(both, density, 1 / _scaled_mass(near, far))
        mean = np.where(np.abs(low) <= np.abs(high), 1.0, -1.0) * ends * density
        middle = low / 2 + high / 2
    # All of the line has mean 0; rounding must not carry a mean out of its cell.
    mean = np.where(np.isinf(near), 0.0, mean)
    return np.clip(np.where(high > low, mean, middle), low, high)


def _sides(low: np.ndarray, high: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the distances from zero of the nearer and the further end, and whether zero lies between them."""
    low, high = np.broadcast_arrays(np.asarray(low, np.float64), np.asarray(high, np.float64))
    near, far = np.minimum(np.abs(low), np.abs(high)), np.maximum(np.abs(low), np.abs(high))
    return near, far, (low < 0) & (high > 0)


def _scaled_mass(near: np.ndarray, far: np.ndarray) -> np.ndarray:
    """Return the integral of ``exp((near^2 - x^2) / 2)`` over x from ``near`` to ``far``, ``0 <= near <= far``."""
    with np.errstate(invalid="ignore", over="ignore"):
        width = far - near
        fall = width * (near + far) / 2
    mass = np.empty_like(near)
    wide = ~(fall <= NARROW)
    mills = math.sqrt(math.pi / 2) * special.erfcx(np.stack([near[wide], far[wide]]) / math.sqrt(2))
    mass[wide] = mills[0] - np.exp(-fall[wide]) * mills[1]
    a, w = near[~wide], width[~wide]
    total = np.zeros_like(w)
    for node, weight in zip(NODES, WEIGHTS, strict=True):
        s = w * node
        total += weight * np.exp(-s * (a + s / 2))
    mass[~wide] = w * total
    return mass
