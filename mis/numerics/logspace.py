"""Sums of exponentials that neither overflow nor underflow."""

import math

import numpy as np

__all__ = ["normalise"]


def normalise(log_weights: np.ndarray) -> tuple[float, np.ndarray]:
    """Return the log of the sum of ``exp(log_weights)``, and the weights divided by their sum.

    One pass each for maximum, exponential and sum: on long arrays several times faster than
    ``scipy.special.logsumexp`` followed by an exponential.

    Examples
    --------
    >>> log_sum, weights = normalise(np.array([-1000.0, -1000.0]))
    >>> round(log_sum, 6), weights.tolist()
    (-999.306853, [0.5, 0.5])
    """
    top = float(log_weights.max())
    if math.isinf(top):
        raise FloatingPointError("normalise: the largest weight is zero or infinite.")
    weights = np.exp(log_weights - top)
    total = float(weights.sum())
    weights /= total
    return top + math.log(total), weights
