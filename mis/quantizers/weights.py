"""Weights as quantizers take them, an array of finite floats."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from mis.numerics.checks import InvalidInput, finite, unmasked

__all__ = ["floats", "traced", "wide"]


def floats(where: str, weights: Any) -> Any:
    """Return weights as an array of floats; integers are taken for the same floats.

    Parameters
    ----------
    where
        Who asks, for the message.
    weights
        A JAX array, or anything NumPy makes a numeric array of; not empty.

    Raises
    ------
    InvalidInput
        Booleans (a mask is no weights), complex numbers, text, masked values, no weight at all, and NaN or infinite
        weights where values are known. Inside ``jit`` or ``vmap`` they are not; see ``Grid`` for what happens there.

    Examples
    --------
    >>> floats("example", [3, -2])
    array([ 3., -2.])
    """
    unmasked(where, "weights", weights)
    if not isinstance(weights, jax.Array):
        try:
            weights = np.asarray(weights)
        except ValueError as error:
            raise InvalidInput(f"{where}: expected weights one array of numbers, got {error}.") from None
    if jnp.issubdtype(weights.dtype, jnp.integer):
        weights = weights.astype(float)
    if not jnp.issubdtype(weights.dtype, jnp.floating):
        raise InvalidInput(f"{where}: expected weights real numbers, got weights.dtype={weights.dtype}.")
    if weights.size == 0:
        raise InvalidInput(f"{where}: expected weights not empty, got weights.shape={weights.shape}.")
    if not traced(weights) and not weights.__array_namespace__().isfinite(weights).all():
        finite(where, "weights", np.asarray(weights, np.float64))
    return weights


def traced(weights: Any) -> bool:
    """Return whether the values are unknown yet, inside ``jit`` or ``vmap``."""
    return isinstance(weights, jax.core.Tracer)


def wide(weights: Any) -> Any:
    """Return floats in float32, or float64 where they have more digits.

    Sums and steps of half precision or less have too few digits or underflow, and levels scaled in it fall together.
    """
    dtype = np.dtype(np.float32 if weights.dtype.itemsize <= 4 else np.float64)
    return weights if weights.dtype == dtype else weights.astype(dtype)
