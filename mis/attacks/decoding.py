"""Function: weights decoded from the cells they were released in."""

from typing import Any

import numpy as np

from mis.numerics.checks import InvalidInput, finite, unmasked
from mis.numerics.normal import cell_mean

__all__ = ["decode"]


def decode(lower: Any, upper: Any, mean: Any, spread: Any) -> np.ndarray:
    """Return the mean of each weight given the cell it was released in: the best guess of what it was before.

    A weight that retraining spreads as ``N(mean_j, spread_j^2)``, known from shadow models, and that is released
    between ``lower`` and ``upper``, was on average ``mean_j + spread_j E[X | cell]``, X standard normal: of all
    guesses from the weight's own code the one with the smallest mean squared error. A network of decoded weights is
    nearer to the one that was trained than the released one. Any attack may query it instead: LiRA on the decoded
    network's outputs finds what quantization hides from LiRA on the released network's.

    Parameters
    ----------
    lower, upper
        Bounds of the cells, shapes that broadcast with ``(P,)``, e.g. ``(T, P)`` from ``cell_bounds``; equal where a
        weight is released as it is.
    mean, spread
        Mean and standard deviation of each weight over shadow models, shape ``(P,)``; where the spread is 0 the weight
        is taken for its mean, or for the nearest point of its cell.

    Returns
    -------
    np.ndarray
        Decoded weights, float64.

    Examples
    --------
    Of two weights released as positive, the second was known to be:

    >>> decode([0.0, 0.0], [np.inf, np.inf], [0.0, 0.5], [0.1, 0.1]).round(3)
    array([0.08, 0.5 ])
    """
    mean, spread = finite("decode", "mean", mean), finite("decode", "spread", spread)
    for name, bound in (("lower", lower), ("upper", upper)):
        unmasked("decode", name, bound)
    lower, upper = np.asarray(lower, dtype=np.float64), np.asarray(upper, dtype=np.float64)
    if (spread < 0.0).any():
        raise InvalidInput(f"decode: expected spread >= 0, got {spread.min():g}.")
    if not (lower <= upper).all():
        raise InvalidInput("decode: expected lower <= upper, got a cell with lower > upper or NaN.")
    moves = spread > 0.0
    unit = np.where(moves, spread, 1.0)
    inside = mean + unit * cell_mean((lower - mean) / unit, (upper - mean) / unit)
    return np.clip(np.where(moves, inside, mean), lower, upper)
