"""What quantizers let through of weights that fluctuate little, by the density of weights at their edges."""

import math
from typing import Any

import numpy as np
from scipy import special

from mis.numerics.checks import finite, number, refuse
from mis.results import Interval

__all__ = ["boundary_information"]


def boundary_information(density: Any, spread: float) -> Interval:
    r"""Mean share of information that passes the cells, when weights fluctuate little: the boundary law.

    Claim: with weights of a smooth density f and the same fluctuation s for all, cells much wider than s,

        mean_j J_j = s sum_e f(e) integral phi(u)^2 / (Phi(u) Phi(-u)) du + O(s^2),    integral = 1.80639...

    Each edge lets through what lies within a few s of it, whatever the cells are. Hence, to first order in
    ``s ~ 1/sqrt(n)``: *sign* leaks by f(0), *ternary* by f(t) + f(-t) at its threshold t, *uniform* by about
    1/width, the density summed over edges one width apart. Sparsity protects where it moves the edges out to
    rare weights, and not before: normal weights leak less from ternary than from sign once more than 76.1%
    are zeroed (t > sqrt(2 log 2) standard deviations), Laplace weights once more than half are.

    Parameters
    ----------
    density
        Density of the weights at each cell edge, any shape; per unit of the weights.
    spread
        Standard deviation of a weight's fluctuation, in the unit of the weights.

    Returns
    -------
    Interval
        Kind ``asymptotic``, without bounds: the leading term for a small spread. Unitless, at most 1 where it is any
        good.

    Examples
    --------
    >>> density_at_zero = 1 / math.sqrt(2 * math.pi)
    >>> round(boundary_information([density_at_zero], 0.01).value, 4)
    0.0072
    """
    at_edges = finite("theory.boundary_information", "density", density)
    if at_edges.min() < 0:
        raise refuse("theory.boundary_information", "density", ">= 0", float(at_edges.min()))
    # Analytic, and small beyond all powers at the ends: there the trapezoid rule is exact.
    u, step = np.linspace(-37, 37, 3701, retstep=True)
    of_one_edge = (
        step * np.exp(-np.square(u) - special.log_ndtr(u) - special.log_ndtr(-u)).sum() / (2 * math.pi)
    )
    spread = number("theory.boundary_information", "spread", spread, above=0.0)
    return Interval.point(float(of_one_edge * spread * at_edges.sum()), "asymptotic")
