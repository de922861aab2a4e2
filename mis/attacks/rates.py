"""Functions: confidence limits for rates, their differences and AUC, from independent or clustered records.

Counts come per cluster (one cluster: the records are independent). With several clusters the variance is
estimated between them (linearised, ``T - 1`` degrees of freedom) and turned into an effective sample size for
Clopper and Pearson's limits, never above the number of records. ``error`` is always one-sided: each limit
alone is wrong with at most this probability. That is exact for a rate from independent records; for
differences and AUC, and for clusters, it is an approximation that improves with their number and that the
tests hold to at least 94% in all at level 95%.

References
----------
Clopper, Pearson (1934), Biometrika 26. Korn, Graubard (1998), Survey Methodology 24 (effective sample size).
Newcombe (1998), Statistics in Medicine 17 (difference of two proportions). DeLong, DeLong, Clarke-Pearson
(1988), Biometrics 44, and Obuchowski (1997), Biometrics 53 (AUC, independent and clustered).
"""

from typing import Any, NamedTuple

import numpy as np
from scipy import special

__all__ = ["Limits", "auc_limits", "clopper_pearson", "difference_limits", "effective_size", "rate_limits"]


class Limits(NamedTuple):
    """A value between its lower and its upper limit; numbers, or arrays of one shape."""

    lower: Any
    value: Any
    upper: Any


def clopper_pearson(successes, trials, error: float):
    """Return the lower and upper limit of a binomial probability; counts need not be whole numbers.

    Examples
    --------
    >>> lower, upper = clopper_pearson(0, 100, error=0.025)
    >>> round(float(lower), 4), round(float(upper), 4)
    (0.0, 0.0362)
    """
    successes, trials = np.asarray(successes, float), np.asarray(trials, float)
    failures = np.maximum(trials - successes, 0.0)
    none, all_ = successes <= 0, failures <= 0
    lower = special.betaincinv(np.where(none, 1.0, successes), failures + 1, error)
    upper = special.betainccinv(successes + 1, np.where(all_, 1.0, failures), error)
    return np.where(none, 0.0, lower), np.where(all_, 1.0, upper)


def effective_size(hits, sizes, error: float):
    """Return how many independent records would tell as much about the pooled rate as the clusters do.

    Hits and records of each cluster, shapes ``(…, T)`` and ``(T,)``. Where the clusters do not differ in the
    least, which happens when every record or none is a hit, it is the number of records.
    """
    total = sizes.sum()
    rate = hits.sum(axis=-1) / total
    variance = _cluster_variance((hits - sizes * rate[..., None]) / total)
    return _effective(rate, variance, len(sizes), total, error)


def _cluster_variance(residuals):
    clusters = residuals.shape[-1]
    return np.square(residuals).sum(axis=-1) * (clusters / max(clusters - 1, 1))


def _effective(rate, variance, clusters, most, error):
    if clusters == 1:
        return np.full_like(rate, most)
    # Student's t in place of the normal widens as few clusters must.
    widening = special.stdtrit(clusters - 1, 1 - error) / special.ndtri(1 - error)
    known = variance > 0
    size = rate * (1 - rate) / (np.where(known, variance, 1.0) * widening**2)
    return np.where(known, np.minimum(most, size), most)


def rate_limits(hits, sizes, error: float) -> Limits:
    """Return the pooled rate of hits with its limits; shapes ``(…, T)`` and ``(T,)``."""
    size = effective_size(hits, sizes, error)
    rate = hits.sum(axis=-1) / sizes.sum()
    lower, upper = clopper_pearson(rate * size, size, error)
    return Limits(np.minimum(lower, rate), rate, np.maximum(upper, rate))


def difference_limits(hits, sizes, false_hits, false_sizes, error: float) -> Limits:
    """Return the difference of two pooled rates with its limits; shapes ``(…, T)`` and ``(T,)``.

    Newcombe's square-and-add with Clopper-Pearson limits; with several clusters, whichever of that and
    Student's t between clusters reaches further on each side. A cluster's two rates may depend on each other.
    """
    first = rate_limits(hits.sum(axis=-1, keepdims=True), sizes.sum(keepdims=True), error)
    second = rate_limits(false_hits.sum(axis=-1, keepdims=True), false_sizes.sum(keepdims=True), error)
    value = first.value - second.value
    below = np.hypot(first.value - first.lower, second.upper - second.value)
    above = np.hypot(first.upper - first.value, second.value - second.lower)
    if len(sizes) > 1:
        residuals = (hits - sizes * first.value[..., None]) / sizes.sum()
        residuals = residuals - (false_hits - false_sizes * second.value[..., None]) / false_sizes.sum()
        reach = special.stdtrit(len(sizes) - 1, 1 - error) * np.sqrt(_cluster_variance(residuals))
        below, above = np.maximum(below, reach), np.maximum(above, reach)
    return Limits(np.maximum(value - below, -1.0), value, np.minimum(value + above, 1.0))


def auc_limits(member, nonmember, member_rows, nonmember_rows, clusters: int, error: float) -> Limits:
    """Return the probability that a member outscores a non-member, ties counting half, with its limits.

    Scores ascending, each with the number of its cluster. The variance is DeLong's (Obuchowski's for
    clusters); the effective size that it gives is at most the number of records, and where it vanishes
    (perfect separation) the size of the smaller side, which bounds the variance for every law (van Dantzig
    1951).
    """
    num_members, num_nonmembers = len(member), len(nonmember)
    member_places = _share_below(nonmember, member)
    nonmember_places = 1 - _share_below(member, nonmember)
    auc = float(member_places.mean())
    member_residuals = (member_places - auc) / num_members
    nonmember_residuals = (nonmember_places - auc) / num_nonmembers
    if clusters > 1:
        residuals = np.bincount(member_rows, member_residuals, clusters)
        residuals += np.bincount(nonmember_rows, nonmember_residuals, clusters)
        variance = _cluster_variance(residuals)
    else:
        variance = np.square(member_residuals).sum() * num_members / max(num_members - 1, 1)
        variance += np.square(nonmember_residuals).sum() * num_nonmembers / max(num_nonmembers - 1, 1)
        clusters = num_members + num_nonmembers
    size = _effective(auc, variance, clusters, num_members + num_nonmembers, error)
    if variance <= 0 or not 0 < auc < 1:
        size = min(num_members, num_nonmembers)
    lower, upper = clopper_pearson(auc * size, size, error)
    return Limits(float(min(lower, auc)), auc, float(max(upper, auc)))


def _share_below(ascending, scores):
    """Share of ``ascending`` below each score, ties counting half."""
    below = ascending.searchsorted(scores, "left") + ascending.searchsorted(scores, "right")
    return below / (2 * len(ascending))
