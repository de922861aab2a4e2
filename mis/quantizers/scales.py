"""Functions: the scale of a grid, and how much of it is fitted to the weights.

The scale is a release too: published in full precision it is one more unquantized number. Rounding it to a
power of two leaves its exponent; fixing it in advance leaves nothing.
"""

from typing import Any

from mis.quantizers.fields import POWER_OF_TWO

__all__ = ["largest", "settle", "stretched"]


def settle(scale: str | float, fitted: Any) -> Any:
    """Return the scale to use: as fitted, rounded up to a power of two, or the number given."""
    xp = fitted.__array_namespace__()
    if scale == "fit":
        return fitted
    if scale == POWER_OF_TWO:
        mantissa, exponent = xp.frexp(fitted)
        return xp.ldexp(xp.sign(mantissa), exponent - (mantissa == 0.5))
    return xp.full_like(fitted, scale)


def largest(weights: Any, *, channel: bool = False) -> Any:
    """Return the largest magnitude, of the tensor or of each channel."""
    xp = weights.__array_namespace__()
    return xp.max(xp.abs(weights), axis=tuple(range(weights.ndim - 1)) if channel else None)


def stretched(levels: Any, scale: str | float, weights: Any) -> Any:
    """Return levels whose outermost is 1, times the scale; fitted, it is the largest magnitude."""
    xp = weights.__array_namespace__()
    return settle(scale, largest(weights))[..., None] * xp.asarray(levels, dtype=weights.dtype)
