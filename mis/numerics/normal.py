"""Functions: the standard normal law between two bounds, far out and in narrow cells too."""

import math

import numpy as np
from scipy import special

__all__ = ["cell_mean", "log_mass"]

# A cell narrower than this has the density of its middle, to a share of its width squared.
NARROW = 1e-6


def log_mass(low: np.ndarray, high: np.ndarray) -> np.ndarray:
    """Return ``log(Phi(high) - Phi(low))`` in nats, relative error of the mass about 1e-14; -inf for empty cells.

    Examples
    --------
    >>> round(float(log_mass(np.array(40.0), np.array(np.inf))), 4)
    -804.6084
    """
    # In the lower tail, where logarithms keep their digits.
    mirrored = low > 0
    low, high = np.where(mirrored, -high, low), np.where(mirrored, -low, high)
    log_low, log_high = special.log_ndtr(low), special.log_ndtr(high)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(high > low, log_high + np.log(-np.expm1(log_low - log_high)), -np.inf)


def cell_mean(low: np.ndarray, high: np.ndarray) -> np.ndarray:
    """Return the mean of a standard normal variable given that it lies between ``low <= high``.

    ``(phi(low) - phi(high)) / (Phi(high) - Phi(low))``, with every factor in logarithms.

    Examples
    --------
    >>> cell_mean(np.array([0.0, 40.0]), np.array([np.inf, 41.0])).round(4)
    array([ 0.7979, 40.025 ])
    """
    near, far = np.minimum(np.abs(low), np.abs(high)), np.maximum(np.abs(low), np.abs(high))
    sign = np.where(np.abs(low) <= np.abs(high), 1.0, -1.0)
    log_density = -(near**2) / 2 - math.log(2 * math.pi) / 2
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        mean = -sign * np.expm1((near**2 - far**2) / 2) * np.exp(log_density - log_mass(low, high))
        middle = low / 2 + high / 2
    # All of the line has mean 0; rounding must not carry a mean out of its cell.
    mean = np.where(np.isinf(near), 0.0, mean)
    return np.clip(np.where(high - low < NARROW, middle, mean), low, high)
