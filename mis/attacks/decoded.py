"""The linearised loss in weights decoded from the released ones."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from mis.attacks.base import Attack, Input
from mis.attacks.whitebox import TARGET, Array, moments, project, stacked
from mis.numerics.checks import finite

__all__ = ["Decoded", "decoded"]


@dataclass(frozen=True, kw_only=True)
class Decoded(Attack):
    """The linearised loss, every weight decoded by the slope of the full-precision on the released one.

    To first order an example moves weight j by ``-v_j g_j``, v_j the weight's variance over retrainings, and its
    released value by the slope ``Cov(Q(w_j), w_j) / v_j`` of that. Matched to this shift, with independent weights,
    the best linear score is ``-sum_j Cov(Q(w_j), w_j) g_j (Q(w_j) - mean) / Var Q(w_j)``. Without a quantizer it is
    ``Linearised``.

    Notes
    -----
    Inputs of ``scores``: those of ``Linearised``, and ``shadow_full (M, P)``, the shadows' parameters before the
    quantizer.

    Examples
    --------
    The second weight is always released as 1 and tells nothing:

    >>> Decoded().scores(
    ...     shadow_params=[[-1.0, 1.0], [1.0, 1.0]],
    ...     shadow_full=[[-0.3, 0.2], [0.3, 0.4]],
    ...     target_params=[-1.0, 1.0],
    ...     gradients=[[2.0, 9.0]],
    ... )
    array([0.70710678])
    """

    @property
    def needs(self) -> Mapping[str, Input]:
        """Parameters of shadows, released and full, and of the target, gradients of the examples."""
        return {**TARGET, "shadow_full": Input("M P"), "gradients": Input("N P")}

    def evaluate(self, *, shadow_params, target_params, shadow_full, gradients) -> np.ndarray:
        """Decode each weight on the shadows, then project the target's deviation on every gradient."""
        released, shadows = stacked("Decoded", shadow_params, target_params)
        for name, given in (("shadow_full", shadow_full), ("gradients", gradients)):
            finite("Decoded", name, given)
        # The target's own are unknown, and not used.
        full = np.concatenate([shadow_full, np.zeros_like(target_params)])
        return decoded(released, full, gradients, shadows)[len(shadow_params) :]


def decoded(released: Array, full: Array, gradients: Array, shadows: Array) -> Array:
    """Return the score of ``Decoded`` for all models at once.

    Parameters
    ----------
    released, gradients, shadows
        As in ``linearised``.
    full
        Full-precision parameters of the same models, shape ``(M, P)``; those of the shadows only are used.

    Returns
    -------
    array
        Scores ``(M, N)``, larger for likelier members.
    """
    xp = released.__array_namespace__()
    centred, variance = moments(released, shadows)
    full_centred, _ = moments(full, shadows)
    covariance = (shadows @ (centred * full_centred)) / (shadows.sum() - 1.0)
    # A weight that no shadow ever released differently tells nothing that could be estimated.
    matched = xp.where(variance > 0.0, covariance / xp.where(variance > 0.0, variance, 1.0), 0.0)
    # The factor goes to the M networks, not to the N gradients: the same products for less memory traffic.
    return project(gradients, centred * matched[None], variance * matched**2)
