"""Influence function and covariance of an M-estimator, from one fit."""

from typing import Any, NamedTuple

import numpy as np
from scipy import linalg

from mis.numerics.checks import InvalidInput, finite, number, refuse

__all__ = ["Sandwich", "cholesky", "sandwich"]


class Sandwich(NamedTuple):
    """Influence function of each example, shape ``(N, d)``, and covariance V, ``(d, d)`` or its diagonal."""

    influence: np.ndarray
    covariance: np.ndarray


def sandwich(gradients: Any, hessian: Any, *, damping: float = 0.0) -> Sandwich:
    r"""Influence function and covariance of an M-estimator, from one fit.

    Claim: if theta minimises the mean loss, ``sqrt(n) (theta - theta*)`` tends to ``N(0, V)`` with
    ``psi(z) = -H^-1 grad l(z)``, ``V = E psi psi^T = H^-1 E[grad l grad l^T] H^-1``: the sandwich, which
    holds without the model being right. Estimated by means over the examples given, gradients centred (at an
    exact minimum their mean is zero already).

    Parameters
    ----------
    gradients
        Loss gradient of each example at the fit, shape ``(N, d)``. From held-out examples the covariance is
        unbiased; from the training examples it is low by about ``d/N``.
    hessian
        Mean Hessian of the loss, or Gauss-Newton matrix, ``(d, d)``; or its diagonal ``(d,)``, which gives
        the diagonal of V under the assumption that H is diagonal.
    damping
        Added to the diagonal of H, in the units of H: the estimator with the penalty ``damping |theta|^2 /
        2``. Directions flatter than it then count as held by the penalty, which is wrong for a network that
        was stopped early in them.

    Raises
    ------
    InvalidInput
        Shapes do not fit, or H plus damping is not positive definite.

    References
    ----------
    Huber (1967), The behavior of maximum likelihood estimates under nonstandard conditions; van der Vaart
    (1998), Asymptotic Statistics, theorem 5.23.

    Examples
    --------
    The mean of three numbers, loss ``(z - theta)^2 / 2``: ``psi = z - mean`` and V is the variance.

    >>> z = np.array([[1.0], [2.0], [6.0]])
    >>> fit = sandwich(z.mean() - z, [[1.0]])
    >>> fit.influence.ravel(), round(fit.covariance.item(), 4)
    (array([-2., -1.,  3.]), 4.6667)
    """
    where = "theory.sandwich"
    gradients = finite(where, "gradients", gradients, ndim=2)
    hessian = finite(where, "hessian", hessian, ndim=(1, 2))
    dim = gradients.shape[1]
    if hessian.shape != (dim,) * hessian.ndim:
        raise refuse(where, "hessian.shape", f"({dim}, {dim}) or ({dim},)", hessian.shape)
    if number(where, "damping", damping) < 0:
        raise refuse(where, "damping", ">= 0", damping)
    centred = gradients - gradients.mean(axis=0)
    if hessian.ndim == 1:
        if hessian.min() + damping <= 0:
            raise _not_definite(where, "hessian plus damping")
        influence = -centred / (hessian + damping)
        return Sandwich(influence, np.square(influence).mean(axis=0))
    factor = cholesky(where, "hessian plus damping", hessian + damping * np.eye(dim))
    influence = -linalg.cho_solve((factor, True), centred.T).T
    return Sandwich(influence, influence.T @ influence / len(influence))


def cholesky(where: str, name: str, matrix: np.ndarray) -> np.ndarray:
    """Return the lower factor, or refuse what is not positive definite."""
    try:
        return linalg.cholesky(matrix, lower=True)
    except linalg.LinAlgError:
        raise _not_definite(where, name) from None


def _not_definite(where: str, name: str) -> InvalidInput:
    return InvalidInput(f"{where}: expected {name} positive definite; it is not. Damping the Hessian helps.")
