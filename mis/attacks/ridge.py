"""Spec and functions: a ridge regression of membership on the released parameters."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from mis.attacks.base import Attack, Input
from mis.attacks.whitebox import TARGET, Array, moments, stacked
from mis.numerics.checks import number

__all__ = ["Ridge", "gram", "ridge"]


@dataclass(frozen=True, kw_only=True)
class Ridge(Attack):
    """Membership of each example regressed on the standardised released weights of the shadow models.

    It needs no gradient and no model of training, and it learns the correlations between weights that the linearised
    scores leave out; it pays in shadow models. Solved in the dual: one ``(M, M)`` system for all examples.

    Parameters
    ----------
    penalty
        Ridge penalty, as a share of the mean eigenvalue of the shadows' Gram matrix.

    Notes
    -----
    Inputs of ``scores``: ``shadow_params (M, P)`` and ``target_params (P,)`` or ``(T, P)``, released by the same
    quantizer, and ``shadow_membership (M, N)``.

    References
    ----------
    Hastie, Tibshirani, Friedman (2009), The Elements of Statistical Learning, section 3.4 and exercise 4.2 (least
    squares on labels is linear discriminant analysis).

    Examples
    --------
    >>> Ridge(penalty=1.0).scores(
    ...     shadow_params=[[1.0], [-1.0]], shadow_membership=[[True], [False]], target_params=[[3.0], [-3.0]]
    ... )
    array([[ 1.],
           [-1.]])
    """

    penalty: float = 0.2

    def __post_init__(self):
        number("Ridge", "penalty", self.penalty, above=0.0)

    @property
    def needs(self) -> Mapping[str, Input]:
        """Released parameters of shadows and target, and which examples each shadow had."""
        return {**TARGET, "shadow_membership": Input("M N", bool)}

    def evaluate(self, *, shadow_params, target_params, shadow_membership) -> np.ndarray:
        """Solve one system for all examples, predict for the target."""
        released, shadows = stacked("Ridge", shadow_params, target_params)
        unknown = np.zeros((len(target_params), shadow_membership.shape[1]))
        membership = np.concatenate([shadow_membership, unknown])
        return ridge(gram(released, shadows), membership, shadows, penalty=self.penalty)[len(shadow_params) :]


def gram(released: Array, shadows: Array) -> Array:
    """Return inner products ``(M, M)`` of the models' weights, standardised on the shadows; add those of layers up."""
    centred, variance = moments(released, shadows)
    xp = released.__array_namespace__()
    varies = variance > 0.0
    standard = centred * xp.where(varies, 1.0 / xp.sqrt(xp.where(varies, variance, 1.0)), 0.0)[None]
    return standard @ standard.T


def ridge(products: Array, membership: Array, shadows: Array, *, penalty: float) -> Array:
    """Return the score of ``Ridge`` for all models at once.

    Parameters
    ----------
    products
        What ``gram`` returns.
    membership
        Which examples each model was trained on, 0.0 or 1.0, shape ``(M, N)``; rows of models that are no shadows are
        not used.
    shadows
        1.0 for the models to fit on, 0.0 for the others, shape ``(M,)``.
    penalty
        As a share of the mean eigenvalue.

    Returns
    -------
    array
        Predicted membership less its mean, shape ``(M, N)``, larger for likelier members. Overfitted on the shadows:
        use the rows of the other models.
    """
    xp = products.__array_namespace__()
    labels = (membership - (shadows @ membership / shadows.sum())[None]) * shadows[:, None]
    inside = products * shadows[:, None] * shadows[None]
    size = penalty * xp.trace(inside) / shadows.sum()
    # With no weight that varies the system would be singular, and every score is 0.
    size = xp.where(size > 0.0, size, 1.0)
    return products @ xp.linalg.solve(inside + size * xp.eye(len(products), dtype=products.dtype), labels)
