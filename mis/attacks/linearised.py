"""The loss linearised in the released parameters."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from mis.attacks.base import Attack, Input
from mis.attacks.whitebox import TARGET, Array, moments, project, stacked
from mis.numerics.checks import finite

__all__ = ["Linearised", "linearised"]


@dataclass(frozen=True, kw_only=True)
class Linearised(Attack):
    """The linear term of the log likelihood ratio of the parameters, ``-<g, Q(w) - mean Q(w)>``.

    The log likelihood ratio of an M-estimator's parameters has the linear term ``-g' G^{-1} H (w - mean w)``, with g
    the gradient of the example's loss, G the covariance of the gradients and H the Hessian. Where G is close to H it
    is ``-<g, w - mean w>``: this score, in units of its standard deviation under independent weights. Elsewhere it is
    a valid attack, but not the best linear one (see ``Influence``).

    Notes
    -----
    Inputs of ``scores``: ``shadow_params (M, P)`` and ``target_params (P,)`` or ``(T, P)``, released by the same
    quantizer, and ``gradients (N, P)`` of each example's loss at a full-precision shadow model, or their mean over
    several.

    References
    ----------
    van der Vaart (1998), Asymptotic Statistics, theorem 7.2 (local asymptotic normality).

    Examples
    --------
    A member's gradient was descended along:

    >>> Linearised().scores(shadow_params=[[-1.0, 0.0], [1.0, 0.0]], target_params=[-1.0, 0.0], gradients=[[2.0, 0.0]])
    array([0.70710678])
    """

    @property
    def needs(self) -> Mapping[str, Input]:
        """Released parameters of shadows and target, gradients of the examples."""
        return {**TARGET, "gradients": Input("N P")}

    def evaluate(self, *, shadow_params, target_params, gradients) -> np.ndarray:
        """Project the target's deviation from the shadows on every gradient."""
        released, shadows = stacked("Linearised", shadow_params, target_params)
        finite("Linearised", "gradients", gradients)
        return linearised(released, gradients, shadows)[len(shadow_params) :]


def linearised(released: Array, gradients: Array, shadows: Array) -> Array:
    """Return the score of ``Linearised`` for all models at once.

    Parameters
    ----------
    released
        Released parameters of all models, shape ``(M, P)``.
    gradients
        Gradient of each example's loss at full-precision shadow models, or its mean over several, shape ``(N, P)``.
    shadows
        1.0 for the models that means and spreads may be estimated on, 0.0 for the others, shape ``(M,)``.

    Returns
    -------
    array
        Scores ``(M, N)``, larger for likelier members, in units of the standard deviation under independent weights.
    """
    return project(gradients, *moments(released, shadows))
