"""A ridge regression of membership on the released parameters."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from mis.attacks.base import Attack, Input
from mis.attacks.whitebox import TARGET, Array, moments, refuse_unfit
from mis.numerics.checks import number

__all__ = ["Ridge", "gram", "ridge"]


@dataclass(frozen=True, kw_only=True)
class Ridge(Attack):
    """Membership of each example regressed on the standardised released weights of the shadow models.

    It needs no gradient and no model of training, and it learns the correlations between weights that the linearised
    scores leave out; it pays in shadow models. Solved in the dual: one ``(M, M)`` system for all examples, and
    ``(T, M)`` products with the targets.

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
        refuse_unfit("Ridge", shadow_params, target_params)
        shadows = np.ones(len(shadow_params))
        centred, variance = moments(shadow_params, shadows)
        scale = _scale(variance)
        standard = centred * scale
        weights = _dual(standard @ standard.T, shadow_membership, shadows, self.penalty)
        mean, num_blocks = shadow_params.mean(axis=0), -(-len(target_params) // len(shadow_params))
        # Blocks of targets no larger than the shadows: many targets are never standardised at once.
        products = [
            ((block - mean) * scale) @ standard.T for block in np.array_split(target_params, num_blocks)
        ]
        return np.concatenate(products) @ weights


def gram(released: Array, shadows: Array) -> Array:
    """Return inner products ``(M, M)`` of the models' weights, standardised on the shadows; add those of layers up."""
    centred, variance = moments(released, shadows)
    standard = centred * _scale(variance)[None]
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
    return products @ _dual(products, membership, shadows, penalty)


def _scale(variance):
    """One over the standard deviation; 0 for a weight that never varies."""
    xp = variance.__array_namespace__()
    varies = variance > 0.0
    return xp.where(varies, 1.0 / xp.sqrt(xp.where(varies, variance, 1.0)), 0.0)


def _dual(products, membership, shadows, penalty):
    """Weight of each model's product in the prediction, ``(M, N)``; 0 for those that are no shadows."""
    xp = products.__array_namespace__()
    labels = (membership - (shadows @ membership / shadows.sum())[None]) * shadows[:, None]
    inside = products * shadows[:, None] * shadows[None]
    size = penalty * xp.trace(inside) / shadows.sum()
    # With no weight that varies the system would be singular, and every score is 0.
    size = xp.where(size > 0.0, size, 1.0)
    return xp.linalg.solve(inside + size * xp.eye(len(products), dtype=products.dtype), labels)
