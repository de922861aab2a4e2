"""Functions: scores from the released parameters themselves, with everything estimated on shadow models only.

Three readings of the released parameters ``Q(w)`` of M models, on one flat axis of P weights. All of them are given
a 0/1 weight for each model, 1 for the shadows: means, spreads and fits come from the shadows, scores for everybody.
JAX, float32; jit the caller.

* ``linearised``: the linear term of the log likelihood ratio of the parameters, ``-<g, Q(w) - mean Q(w)>``.
* ``decoded``: the same with every weight decoded, by the slope of the full-precision on the released weight, and
  moved by its own squared spread, the diagonal of the estimator's covariance.
* ``ridge``: no gradient and no network, a ridge regression of membership on the released parameters.
"""

import jax
import jax.numpy as jnp

__all__ = ["decoded", "linearised", "ridge"]


def _moments(params, shadows):
    """Mean and variance over the shadows, two passes: float32 must not cancel."""
    mean = shadows @ params / shadows.sum()
    centred = params - mean[None]
    return centred, shadows @ centred**2 / (shadows.sum() - 1.0)


def _project(gradients, centred, variance):
    """``-<gradient, centred>`` in units of its standard deviation, were the weights independent; (M, N)."""
    norms = jnp.sqrt(gradients**2 @ variance)
    return -(centred @ gradients.T) / jnp.where(norms > 0.0, norms, 1.0)[None]


def linearised(released: jax.Array, gradients: jax.Array, shadows: jax.Array) -> jax.Array:
    """Score membership by the loss linearised in the released parameters.

    The log likelihood ratio of an M-estimator's parameters has the linear term ``-g' G^{-1} H (w - mean w)``, with g
    the gradient of the example's loss, G the covariance of the gradients and H the Hessian. Where G is close to H it
    is ``-<g, w - mean w>``: this score. Elsewhere it is a valid attack, but not the best linear one.

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
    jax.Array
        Scores ``(M, N)``, larger for likelier members, in units of the standard deviation under independent weights.

    References
    ----------
    van der Vaart (1998), Asymptotic Statistics, theorem 7.2 (local asymptotic normality).

    Examples
    --------
    A member's gradient was descended along; that of a fresh example was not:

    >>> released = jnp.array([[-1.0, 0.0], [1.0, 0.0], [-1.0, 0.0]])
    >>> linearised(released, jnp.array([[1.0, 0.0]]), jnp.array([1.0, 1.0, 0.0]))[2] > 0
    Array([ True], dtype=bool)
    """
    centred, variance = _moments(released, shadows)
    return _project(gradients, centred, variance)


def decoded(released: jax.Array, full: jax.Array, gradients: jax.Array, shadows: jax.Array) -> jax.Array:
    """Score membership by the loss linearised in the weights as decoded from the released ones.

    To first order an example moves weight j by ``-v_j g_j``, v_j the weight's variance over retrainings, and its
    released value by the slope ``Cov(Q(w_j), w_j) / v_j`` of that. Matched to this shift, with independent weights,
    the best linear score is ``-sum_j Cov(Q(w_j), w_j) g_j (Q(w_j) - mean) / Var Q(w_j)``.

    Parameters
    ----------
    released, gradients, shadows
        As in ``linearised``.
    full
        Full-precision parameters of the same models, shape ``(M, P)``; those of the shadows only are used.

    Returns
    -------
    jax.Array
        Scores ``(M, N)``, larger for likelier members.
    """
    centred, variance = _moments(released, shadows)
    full_centred, _ = _moments(full, shadows)
    covariance = (shadows @ (centred * full_centred)) / (shadows.sum() - 1.0)
    # A weight that no shadow ever released differently tells nothing that could be estimated.
    matched = jnp.where(variance > 0.0, covariance / jnp.where(variance > 0.0, variance, 1.0), 0.0)
    # The factor goes to the M networks, not to the N gradients: the same products for less memory traffic.
    return _project(gradients, centred * matched[None], variance * matched**2)


def ridge(
    released: jax.Array, membership: jax.Array, shadows: jax.Array, *, penalty: float = 0.2
) -> jax.Array:
    """Score membership by a ridge regression of it on the released parameters.

    Each example's membership is regressed on the standardised weights over the shadows, in the dual: one
    ``(M, M)`` system for all examples. It needs no gradient and no model of training, and it learns the correlations
    between weights that the linearised scores leave out; it pays in shadow models.

    Parameters
    ----------
    released, shadows
        As in ``linearised``.
    membership
        Which examples each model was trained on, shape ``(M, N)``; rows of models that are no shadows are not used.
    penalty
        Ridge penalty, as a share of the mean eigenvalue of the shadows' Gram matrix.

    Returns
    -------
    jax.Array
        Predicted membership less its mean, shape ``(M, N)``, larger for likelier members. Overfitted on the shadows:
        use the rows of the other models.
    """
    centred, variance = _moments(released, shadows)
    standard = (
        centred
        * jnp.where(variance > 0.0, 1.0 / jnp.sqrt(jnp.where(variance > 0.0, variance, 1.0)), 0.0)[None]
    )
    gram = standard @ standard.T
    labels = membership.astype(released.dtype)
    labels = (labels - (shadows @ labels / shadows.sum())[None]) * shadows[:, None]
    inside = gram * jnp.outer(shadows, shadows)
    size = penalty * jnp.trace(inside) / shadows.sum()
    # With no weight that varies the system would be singular, and every score is 0.
    size = jnp.where(size > 0.0, size, 1.0)
    dual = jax.scipy.linalg.solve(inside + size * jnp.eye(len(gram)), labels, assume_a="pos")
    return gram @ dual
