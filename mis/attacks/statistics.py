"""The black-box statistics of a model's outputs that attacks use; larger for likelier members.

Classification statistics take logits, shape ``(…, N, C)``, and labels ``(N,)``; a user who has probabilities
passes their logarithms. Everything is computed in log space: a probability that rounds to 1 costs no order.
"""

from typing import Any

import numpy as np
from scipy.special import logsumexp

from mis.attacks.base import read_labels, read_scores
from mis.numerics.checks import InvalidInput

__all__ = [
    "log_likelihood",
    "logit_confidence",
    "max_confidence",
    "negative_entropy",
    "negative_modified_entropy",
    "negative_squared_error",
    "signed_residual",
]


def log_likelihood(logits: Any, labels: Any) -> np.ndarray:
    """Return ``log p_y``, minus the cross-entropy loss in nats, shape ``(…, N)``.

    Examples
    --------
    >>> log_likelihood([[0.0, 0.0]], [1])
    array([-0.69314718])
    """
    logits, labels = _classification("log_likelihood", logits, labels)
    return -np.logaddexp(0.0, -_log_odds(logits, labels))


def logit_confidence(logits: Any, labels: Any) -> np.ndarray:
    """Return the log-odds of the true class, ``log(p_y / (1 - p_y))``, shape ``(…, N)``.

    Over retrainings it is nearer to Gaussian than the loss, which is why LiRA uses it. Computed as the true
    logit minus the log-sum-exp of the others: finite wherever the logits are.

    References
    ----------
    Carlini et al. (2022), arXiv:2112.03570, section IV-C.

    Examples
    --------
    >>> logit_confidence([[50.0, 0.0], [0.0, 0.0]], [0, 1])
    array([50.,  0.])
    """
    return _log_odds(*_classification("logit_confidence", logits, labels))


def max_confidence(logits: Any) -> np.ndarray:
    """Return the log-odds of the likeliest class, the largest probability on a scale that does not saturate.

    Examples
    --------
    >>> max_confidence([[50.0, 0.0], [0.0, 0.0]])
    array([50.,  0.])
    """
    logits = _logits("max_confidence", logits)
    return _log_odds(logits, logits.argmax(axis=-1))


def negative_entropy(logits: Any) -> np.ndarray:
    """Return ``sum_c p_c log p_c``, minus the entropy of the prediction in nats, shape ``(…, N)``.

    Examples
    --------
    >>> negative_entropy([[0.0, 0.0]])
    array([-0.69314718])
    """
    log_p = _log_softmax(_logits("negative_entropy", logits))
    return np.sum(np.exp(log_p) * _no_infinity(log_p), axis=-1)


def negative_modified_entropy(logits: Any, labels: Any) -> np.ndarray:
    """Return ``(1 - p_y) log p_y + sum_{c≠y} p_c log(1 - p_c)``, shape ``(…, N)``: 0 when sure and right.

    Unlike the entropy it falls to minus infinity when the model is sure and wrong.

    References
    ----------
    Song, Mittal (2021), Systematic Evaluation of Privacy Risks of Machine Learning Models, arXiv:2003.10595,
    eq. 9.

    Examples
    --------
    >>> negative_modified_entropy([[0.0, 0.0]], [1])
    array([-0.69314718])
    """
    logits, labels = _classification("negative_modified_entropy", logits, labels)
    log_p = _log_softmax(logits)
    # 1 - p without cancellation: log1p for all but the likeliest class, the others' sum for that one.
    log_rest = _replace_top(logits, np.log1p(-np.minimum(np.exp(log_p), 0.5)), sign=-1)
    terms = np.exp(log_p) * _no_infinity(log_rest)
    np.put_along_axis(terms, labels[..., None], 0.0, axis=-1)
    return np.exp(_pick(log_rest, labels)) * _pick(log_p, labels) + terms.sum(axis=-1)


def negative_squared_error(predictions: Any, targets: Any) -> np.ndarray:
    """Return ``-(prediction - target)**2``, shape ``(…, N)``.

    Examples
    --------
    >>> negative_squared_error([1.0, 3.0], [1.0, 1.0])
    array([-0., -4.])
    """
    return -np.square(_residual("negative_squared_error", predictions, targets))


def signed_residual(predictions: Any, targets: Any) -> np.ndarray:
    """Return ``prediction - target``, shape ``(…, N)``, for attacks that fit its law per example.

    By itself it has no direction; the squared error has one, but has lost the sign.

    Examples
    --------
    >>> signed_residual([1.0, 3.0], [1.0, 4.0])
    array([ 0., -1.])
    """
    return _residual("signed_residual", predictions, targets)


def _logits(where, logits):
    logits = read_scores(where, "logits", logits)
    if logits.ndim < 2 or logits.shape[-1] < 2:
        raise InvalidInput(
            f"{where}: expected logits (…, N, C) with C >= 2, got logits.shape={logits.shape}."
        )
    if not np.isfinite(logits.max(axis=-1)).all():
        raise InvalidInput(
            f"{where}: expected the largest logit of each example finite, got an infinite one."
        )
    return logits


def _classification(where, logits, labels):
    logits, labels = _logits(where, logits), read_labels(where, "labels", labels)
    if labels.shape != logits.shape[-2:-1]:
        raise InvalidInput(
            f"{where}: expected labels of shape ({logits.shape[-2]},), got labels.shape={labels.shape}."
        )
    if labels.size and labels.max() >= logits.shape[-1]:
        raise InvalidInput(f"{where}: expected labels below {logits.shape[-1]} classes, got {labels.max()}.")
    return logits, np.broadcast_to(labels, logits.shape[:-1])


def _residual(where, predictions, targets):
    predictions = read_scores(where, "predictions", predictions)
    targets = read_scores(where, "targets", targets)
    if targets.ndim != 1 or predictions.shape[-1:] != targets.shape or not np.isfinite(targets).all():
        raise InvalidInput(
            f"{where}: expected predictions (…, N) and finite targets (N,), "
            f"got shapes {predictions.shape} and {targets.shape}."
        )
    return predictions - targets


def _pick(values, labels):
    return np.take_along_axis(values, labels[..., None], axis=-1)[..., 0]


def _log_odds(logits, labels):
    others = logits.copy()
    np.put_along_axis(others, labels[..., None], -np.inf, axis=-1)
    return _pick(logits, labels) - logsumexp(others, axis=-1)


def _log_softmax(logits):
    return _replace_top(logits, logits - logsumexp(logits, axis=-1, keepdims=True), sign=1)


def _replace_top(logits, values, sign):
    """Put log p (sign 1) or log(1 - p) (sign -1) of the likeliest class, from its log-odds."""
    top = logits.argmax(axis=-1)
    exact = -np.logaddexp(0.0, -sign * _log_odds(logits, top))
    np.put_along_axis(values, top[..., None], exact[..., None], axis=-1)
    return values


def _no_infinity(log_p):
    """Make 0 log 0 equal 0."""
    return np.where(np.isneginf(log_p), 0.0, log_p)
