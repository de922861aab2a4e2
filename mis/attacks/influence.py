"""The full influence score on the released parameters."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from mis.attacks.base import Attack, Input
from mis.attacks.whitebox import TARGET, moments, stacked
from mis.numerics.checks import finite, number

__all__ = ["Influence"]


@dataclass(frozen=True, kw_only=True)
class Influence(Attack):
    """``psi' V^{-1} (w - mean w)``: the log likelihood ratio of a Gaussian shift by the example's influence.

    For an M-estimator ``psi = -H^{-1} g`` and ``V = H^{-1} G H^{-1}``, so the score is
    ``-g' G^{-1} H (w - mean w)``, with g the example's gradient, G the covariance of the gradients over the given
    examples and H the Hessian, or its Gauss-Newton part, given by factors. Both have rank at most the number of
    their rows and are damped alike: with equal G and H, or with a large damping, it is ``Linearised``. The linear
    system is ``(N, N)``, whatever the number of parameters. The score is linear in the released parameters: the
    likelihood ratio itself where they are Gaussian, the best linear attack by its local asymptotics elsewhere.

    Parameters
    ----------
    damping
        Added to the diagonals of G and H, as a share of the mean variance of a gradient, ``tr(G) / rank``.

    Notes
    -----
    Inputs of ``scores``: those of ``Linearised``, and ``factors (K, P)`` with ``H = factors' factors / K``: for a
    squared error the gradients of the outputs, for cross-entropy those of the logits times the root of the
    softmax's covariance, for a known Hessian its root times ``sqrt(P)``. Scores are calibrated per example:
    in standard deviations over the shadows from their mean.

    References
    ----------
    van der Vaart (1998), Asymptotic Statistics, theorems 5.23 and 7.2. Hampel (1974), The influence curve and its
    role in robust estimation, JASA 69.

    Examples
    --------
    >>> Influence(damping=1e-9).scores(
    ...     shadow_params=[[-1.0, 0.0], [1.0, 0.0], [0.0, 1.0], [0.0, -1.0]],
    ...     target_params=[-1.0, -1.0],
    ...     gradients=[[2.0, 0.0], [-2.0, 0.0], [0.0, 1.0], [0.0, -1.0]],
    ...     factors=[[1.0, 0.0], [0.0, 1.0]],
    ... ).round(2)
    array([ 1.22, -1.22,  1.22, -1.22])
    """

    damping: float = 0.1

    def __post_init__(self):
        number("Influence", "damping", self.damping, above=0.0)

    @property
    def needs(self) -> Mapping[str, Input]:
        """Released parameters of shadows and target, gradients of the examples, factors of the Hessian."""
        return {**TARGET, "gradients": Input("N P"), "factors": Input("K P")}

    def evaluate(self, *, shadow_params, target_params, gradients, factors) -> np.ndarray:
        """Solve in the dual: ``A (A'A + m)^{-1} = (AA' + m)^{-1} A``."""
        released, shadows = stacked("Influence", shadow_params, target_params)
        for name, given in (("gradients", gradients), ("factors", factors)):
            finite("Influence", name, given)
        centred, _ = moments(released, shadows)
        slopes = (gradients - gradients.mean(axis=0)) / np.sqrt(len(gradients))
        inner = slopes @ slopes.T
        size = self.damping * np.trace(inner) / min(slopes.shape) or 1.0
        curved = slopes @ factors.T @ (factors @ centred.T) / len(factors) + size * (slopes @ centred.T)
        scores = -np.linalg.solve(inner + size * np.eye(len(inner)), curved).T
        of_shadows = scores[: len(shadow_params)]
        spread = of_shadows.std(axis=0, ddof=1)
        return (scores[len(shadow_params) :] - of_shadows.mean(axis=0)) / np.where(spread > 0.0, spread, 1.0)
