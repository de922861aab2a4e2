"""Weights decoded from what was released of them."""

from typing import Any

import numpy as np

from mis.numerics.checks import InvalidInput, finite
from mis.quantizers import Observation

__all__ = ["decode"]


def decode(observation: Observation, mean: Any, spread: Any) -> np.ndarray:
    """Return the mean of each weight given what was released of it: the best guess of what it was before.

    Of a weight that retraining spreads as ``N(mean_j, spread_j^2)``, known from shadow models, the mean given its own
    release: of all guesses from that release the one with the smallest mean squared error. A network of decoded weights
    is nearer to the one that was trained than the released one. Any attack may query it instead: LiRA on the decoded
    network's outputs finds what quantization hides from LiRA on the released network's.

    Parameters
    ----------
    observation
        What was released of each weight, as ``Channel.observation`` of ``mis.quantizers`` returns it; arrays that
        broadcast with ``(P,)``, e.g. ``(T, P)``.
    mean, spread
        Mean and standard deviation of each weight over shadow models, shape ``(P,)``; where the spread is 0 the weight
        is taken for its mean, or for the nearest value that can have been released so.

    Returns
    -------
    np.ndarray
        Decoded weights, float64.

    Examples
    --------
    Of two weights released as positive, the second was known to be:

    >>> from mis.quantizers import Cell
    >>> positive = Cell(lower=np.zeros(2), upper=np.full(2, np.inf))
    >>> decode(positive, [0.0, 0.5], [0.1, 0.1]).round(3)
    array([0.08, 0.5 ])
    """
    mean, spread = finite("decode", "mean", mean), finite("decode", "spread", spread)
    if (spread < 0.0).any():
        raise InvalidInput(f"decode: expected spread >= 0, got {spread.min():g}.")
    observation.check("decode")
    return np.asarray(observation.posterior_mean(mean, spread), np.float64)
