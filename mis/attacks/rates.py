"""Functions: confidence limits for rates, their differences and AUC, from independent or clustered records.

Counts come per cluster (one cluster: the records are independent). With several clusters the variance is
estimated by leaving out one after the other (to first order; ``T - 1`` degrees of freedom, fewer where they differ
in size) and turned into an effective sample size for Clopper and Pearson's limits, never above the number of
records. ``error`` is always one-sided: each limit alone is wrong with at most this probability. That is exact for a
rate from independent records; for differences and AUC, and for clusters, it is an approximation that improves with
their number and that the tests hold to at least 94% in all at level 95%. At lower levels the AUC of two or three
clusters that move all their scores by more than the records differ falls short of it (73% at 80%, two clusters).

References
----------
Clopper, Pearson (1934), Biometrika 26. Korn, Graubard (1998), Survey Methodology 24 (effective sample size).
Newcombe (1998), Statistics in Medicine 17 (difference of two proportions). DeLong, DeLong, Clarke-Pearson
(1988), Biometrics 44, and Obuchowski (1997), Biometrics 53 (AUC, independent and clustered).
"""

from typing import Any, NamedTuple

import numpy as np
from scipy import special

# Least degrees of freedom of Student's t: its quantile is finite, and beyond any limit.
FEWEST = 0.1

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
    if len(sizes) == 1:
        return np.full_like(rate, total)
    return _effective(rate, _variance(_moves(hits, sizes)), _freedom(sizes), total, error)


def _moves(hits, sizes):
    """Return by how much the pooled rate moves when a cluster is left out; NaN where nothing would be left."""
    rest = sizes.sum() - sizes
    rate = hits.sum(axis=-1, keepdims=True) / sizes.sum()
    return (sizes * rate - hits) / np.where(rest > 0, rest, np.nan)


def _variance(moves):
    """Return the jackknife's variance, infinite where a cluster cannot be left out."""
    clusters = moves.shape[-1]
    variance = np.square(moves).sum(axis=-1) * (clusters - 1) / clusters
    return np.where(np.isnan(variance), np.inf, variance)


def _freedom(*sides):
    """Return Kish's effective number of clusters, less one, of the less balanced side."""
    return max(min(sizes.sum() ** 2 / np.square(sizes).sum() for sizes in sides) - 1, FEWEST)


def _effective(rate, variance, freedom, most, error):
    # Student's t in place of the normal widens as few units must.
    widening = special.stdtrit(freedom, 1 - error) / special.ndtri(1 - error)
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
        moves = _moves(hits, sizes) - _moves(false_hits, false_sizes)
        reach = special.stdtrit(_freedom(sizes, false_sizes), 1 - error) * np.sqrt(_variance(moves))
        below, above = np.maximum(below, reach), np.maximum(above, reach)
    return Limits(np.maximum(value - below, -1.0), value, np.minimum(value + above, 1.0))


def auc_limits(member, nonmember, member_rows, nonmember_rows, clusters: int, error: float) -> Limits:
    """Return the probability that a member outscores a non-member, ties counting half, with its limits.

    Scores ascending, each with the number of its cluster. The variance is DeLong's with Welch's degrees of freedom
    (Obuchowski's for clusters). The effective size that it gives is at most what it would be with nothing to find;
    where it vanishes (perfect separation) it is the size of the smaller side, which bounds the variance for every law
    (van Dantzig 1951). Records of one cluster share its model, members and non-members of different clusters do not:
    each limit starts from the value with or without the pairs within clusters, whichever is further out.
    """
    places = _share_below(nonmember, member), 1 - _share_below(member, nonmember)
    sides = len(member), len(nonmember)
    auc = across = float(places[0].mean())
    freedom: float
    if clusters > 1:
        rows = member_rows, nonmember_rows
        sizes = [np.bincount(row, minlength=clusters) for row in rows]
        sums = [np.bincount(row, place, clusters) for row, place in zip(rows, places, strict=True)]
        variance = _variance(_moves(sums[0], sizes[0]) + _moves(sums[1], sizes[1]))
        freedom = _freedom(*sizes)
        across = _auc_across(auc, (member, nonmember), rows, sizes)
    else:
        parts = [place.var(ddof=1) / len(place) for place in places]
        squares = sum(part**2 / (size - 1) for part, size in zip(parts, sides, strict=True))
        variance = parts[0] + parts[1]
        freedom = variance**2 / squares if squares > 0 else np.inf
    most = 3 * sides[0] * sides[1] / (sum(sides) + 1)
    ends = []
    for value, end in ((min(auc, across), 0), (max(auc, across), 1)):
        size = _effective(value, variance, freedom, most, error)
        if variance <= 0 or not 0 < value < 1:
            size = min(sides)
        ends.append(float(clopper_pearson(value * size, size, error)[end]))
    return Limits(min(ends[0], auc), auc, max(ends[1], auc))


def _auc_across(auc, scores, rows, sizes):
    """Return the AUC of pairs from two clusters; of all pairs where there are none."""
    # Stable: scores stay ascending within their cluster.
    clusters = [
        np.split(side[np.argsort(row, kind="stable")], np.cumsum(size)[:-1])
        for side, row, size in zip(scores, rows, sizes, strict=True)
    ]
    pairs = len(scores[0]) * len(scores[1])
    wins, pairs = auc * pairs, pairs - sizes[0] @ sizes[1]
    for member, nonmember in zip(*clusters, strict=True):
        if len(nonmember):
            wins -= _share_below(nonmember, member).sum() * len(nonmember)
    return float(np.clip(wins / pairs, 0.0, 1.0)) if pairs else auc


def _share_below(ascending, scores):
    """Share of ``ascending`` below each score, ties counting half."""
    below = ascending.searchsorted(scores, "left") + ascending.searchsorted(scores, "right")
    return below / (2 * len(ascending))
