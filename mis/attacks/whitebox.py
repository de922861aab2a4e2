"""What the attacks on released parameters share, with everything estimated on shadow models only.

Released parameters ``Q(w)`` of M models on one flat axis of P weights. Every function takes all models at once and a
weight for each, 1 for the shadows and 0 for the others: means, spreads and fits come from the shadows, scores are for
everybody, and a cross-fitted attack compiles once for all folds. NumPy and JAX arrays alike; jit the caller.
"""

from typing import Any

import numpy as np

from mis.attacks.base import Input
from mis.numerics.checks import InvalidInput, finite

__all__ = ["TARGET", "Array", "moments", "project", "refuse_unfit", "stacked"]

# A NumPy or a JAX array.
Array = Any

# What every attack on released parameters asks for.
TARGET = {"shadow_params": Input("M P"), "target_params": Input("T P")}


def refuse_unfit(where: str, shadow_params: np.ndarray, target_params: np.ndarray) -> None:
    """Refuse a single shadow model, whose spread is unknown, and parameters that are not finite."""
    if len(shadow_params) < 2:
        raise InvalidInput(f"{where}: expected at least 2 shadow models, got {len(shadow_params)}.")
    finite(where, "shadow_params", shadow_params)
    finite(where, "target_params", target_params)


def stacked(
    where: str, shadow_params: np.ndarray, target_params: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return all models in one array, shadows first, and 1.0 for those that are shadows."""
    refuse_unfit(where, shadow_params, target_params)
    is_shadow = np.arange(len(shadow_params) + len(target_params)) < len(shadow_params)
    return np.concatenate([shadow_params, target_params]), is_shadow.astype(np.float64)


def moments(params: Array, shadows: Array) -> tuple[Array, Array]:
    """Return deviations from the shadows' mean ``(M, P)`` and the shadows' variance ``(P,)``."""
    mean = shadows @ params / shadows.sum()
    centred = params - mean[None]
    # Two passes: float32 must not cancel.
    return centred, shadows @ centred**2 / (shadows.sum() - 1.0)


def project(gradients: Array, centred: Array, variance: Array) -> Array:
    """Return ``-<gradient, centred>`` in units of its standard deviation, were the weights independent; ``(M, N)``."""
    xp = gradients.__array_namespace__()
    # A sum of products, not a product with the squares: those would be written to memory.
    norms = xp.sqrt(xp.sum(gradients**2 * variance[None], axis=1))
    return -(centred @ gradients.T) / xp.where(norms > 0.0, norms, 1.0)[None]
