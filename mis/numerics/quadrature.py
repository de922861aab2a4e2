"""Nodes and weights of integration rules."""

from functools import cache

import numpy as np
from scipy import special

__all__ = ["legendre"]


@cache
def legendre(num: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the nodes and weights of Gauss-Legendre's rule on [0, 1], ``(num,)`` each, not to be written to.

    Exact for polynomials of degree up to ``2 num - 1``, but for rounding.

    Examples
    --------
    >>> nodes, weights = legendre(3)
    >>> round(float(weights @ nodes**5), 15)  # 1/6
    0.166666666666667
    """
    nodes, weights = special.roots_legendre(num)
    rule = (nodes + 1.0) / 2.0, weights / 2.0
    for part in rule:
        part.flags.writeable = False
    return rule
