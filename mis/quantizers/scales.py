"""The scale of a grid, and how much of it is fitted to the weights.

The scale is a release too: published in full precision it is one more unquantized number. Rounding it to a
power of two leaves its exponent; fixing it in advance leaves nothing.
"""

from typing import Any

import numpy as np

from mis.numerics.checks import refuse
from mis.quantizers.fields import POWER_OF_TWO

__all__ = [
    "axes_of_one_grid",
    "largest",
    "mean_magnitude",
    "power_of_two",
    "power_unit",
    "settle",
    "stretched",
]


def settle(scale: str | float, fitted: Any) -> Any:
    """Return the scale to use: as fitted, rounded up to a power of two, or the number given."""
    xp = fitted.__array_namespace__()
    if scale == "fit":
        return fitted
    if scale == POWER_OF_TWO:
        mantissa, exponent = xp.frexp(fitted)
        return power_of_two(xp.sign(mantissa), exponent - (mantissa == 0.5))
    limits = np.finfo(fitted.dtype)
    if not float(limits.tiny) <= float(scale) <= float(limits.max):
        raise refuse("quantizers", "scale", f"within the range of {fitted.dtype}", scale)
    return xp.full_like(fitted, scale)


def power_of_two(sign: Any, exponent: Any) -> Any:
    """Return ``sign * 2**exponent``, or the largest power of two that is finite."""
    xp = sign.__array_namespace__()
    return xp.ldexp(sign, xp.minimum(exponent, np.finfo(sign.dtype).maxexp - 1))


def axes_of_one_grid(weights: Any, channel: bool) -> tuple[int, ...] | None:
    """Return the axes that weights with a grid in common lie along: None for all, all but the last for channels.

    A channel of one weight has no grid of its own, which would release it exactly: of a vector, one grid.
    """
    apart = channel and weights.ndim and weights.size > weights.shape[-1]
    return tuple(range(weights.ndim - 1)) if apart else None


def largest(weights: Any, *, channel: bool = False) -> Any:
    """Return the largest magnitude, of the tensor or of each channel."""
    xp = weights.__array_namespace__()
    return xp.max(xp.abs(weights), axis=axes_of_one_grid(weights, channel))


def power_unit(weights: Any) -> Any:
    """Return a power of two near the largest magnitude: in this unit sums keep their digits and do not overflow."""
    xp = weights.__array_namespace__()
    top = largest(weights)
    # At most an eighth of the largest power: its reciprocal, by which compiled programs multiply, must not vanish.
    exponent = xp.minimum(xp.frexp(top)[1], np.finfo(top.dtype).maxexp - 3)
    return xp.ldexp(xp.ones_like(top), exponent - 1)


def mean_magnitude(weights: Any, chosen: Any = True) -> Any:
    """Return the mean magnitude of the chosen weights, 0 where none is."""
    xp = weights.__array_namespace__()
    unit = power_unit(weights)
    count = xp.sum(xp.broadcast_to(chosen, weights.shape))
    total = xp.sum(xp.where(chosen, xp.abs(weights) / unit, 0))
    return unit * (total / xp.maximum(count, 1).astype(weights.dtype))


def stretched(levels: Any, scale: str | float, weights: Any) -> Any:
    """Return levels whose outermost is 1, times the scale; fitted, it is the largest magnitude."""
    xp = weights.__array_namespace__()
    return settle(scale, largest(weights))[..., None] * xp.asarray(levels, dtype=weights.dtype)
