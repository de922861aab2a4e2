"""Confidence limits for rates, their differences and AUC, from independent or clustered records.

Counts come per cluster (one cluster: the records are independent). With several clusters the variance is
estimated by leaving out one after the other (to first order; ``T - 1`` degrees of freedom, fewer where they differ
in size) and turned into an effective sample size for Clopper and Pearson's limits, never above the number of
records. ``error`` is always one-sided: each limit alone is wrong with at most this probability. That is exact for a
rate, and holds for a difference, from independent records; for AUC, and for clusters, it is an approximation that
improves with their number and that the tests hold to at least 94% in all at level 95%, and to 78% at level 80%. Between
clusters no limits hold for every law: where one model in a hundred is of another kind, a few models are all alike
nearly always, and limits that then still held it would be of no use.

References
----------
Clopper, Pearson (1934), Biometrika 26. Korn, Graubard (1998), Survey Methodology 24 (effective sample size).
Fisher (1932), Statistical Methods for Research Workers, 21.1 (two p-values). DeLong, DeLong, Clarke-Pearson
(1988), Biometrics 44, and Obuchowski (1997), Biometrics 53 (AUC, independent and clustered). Efron, Stein (1981),
Annals of Statistics 9 (the jackknife's variance errs upwards).
"""

from typing import Any, NamedTuple

import numpy as np
from scipy import special

# Least degrees of freedom of Student's t: its quantile is finite, and beyond any limit.
FEWEST = 0.1

# What rounding makes of no variance at all.
ROUNDING = 1e-24

__all__ = [
    "Limits",
    "auc_limits",
    "clopper_pearson",
    "difference_limits",
    "effective_size",
    "least_difference",
    "rate_limits",
]


# Of the grid on which two p-values share their product: more are a little sharper.
CELLS, BLOCK = 128, 8


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
    return _lowest(successes, trials, error), _highest(successes, trials, error)


def _lowest(successes, trials, error):
    successes = np.asarray(successes, float)
    none, failures = successes <= 0, np.maximum(trials - successes, 0.0)
    return np.where(none, 0.0, special.betaincinv(np.where(none, 1.0, successes), failures + 1, error))


def _highest(successes, trials, error):
    successes = np.asarray(successes, float)
    failures = np.maximum(trials - successes, 0.0)
    none = failures <= 0
    return np.where(none, 1.0, special.betainccinv(successes + 1, np.where(none, 1.0, failures), error))


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


def _joint_variance(first, second):
    """Return the variance of a sum from the moves of its parts.

    What moves all scores of a cluster alike cancels in it to first order. What remains takes pairs of clusters to see:
    with only two, the parts count as if they were independent.
    """
    together = _variance(first + second)
    return together if first.shape[-1] > 2 else np.maximum(together, _variance(first) + _variance(second))


def _freedom(*sides):
    """Return Kish's effective number of clusters, less one, of the less balanced side."""
    return max(min(sizes.sum() ** 2 / np.square(sizes).sum() for sizes in sides) - 1, FEWEST)


def _effective(rate, variance, freedom, most, error):
    # Student's t in place of the normal widens as few units must.
    widening = special.stdtrit(freedom, error) / special.ndtri(error)
    known = variance > 0
    size = rate * (1 - rate) / (np.where(known, variance, 1.0) * widening**2)
    return np.where(known, np.minimum(most, size), most)


def rate_limits(hits, sizes, error: float) -> Limits:
    """Return the pooled rate of hits with its limits; shapes ``(…, T)`` and ``(T,)``."""
    size = effective_size(hits, sizes, error)
    rate = hits.sum(axis=-1) / sizes.sum()
    lower, upper = clopper_pearson(rate * size, size, error)
    return Limits(np.minimum(lower, rate), rate, np.maximum(upper, rate))


def least_difference(hits, sizes, false_hits, false_sizes, error):
    r"""Return a lower limit of the difference of two binomial probabilities, wrong with probability ``error`` at most.

    Counts of independent trials, arrays of shapes that broadcast. It holds for every number of trials.

    Notes
    -----
    The p-values :math:`P = P(X \ge x; p)` and :math:`Q = P(Y \le y; q)` of the true probabilities are independent and
    no smaller than uniform, so :math:`P(P Q \le c) \le c (1 - \log c)`, which is ``error``. The limit is the least
    :math:`p - q` with :math:`P Q > c`: at ``P = a`` the limits of Clopper and Pearson of errors ``a`` and ``c / a``. In
    each cell of a grid of ``a`` both ends that err downwards are taken; so they are in a block of cells, which is
    passed over where that says that no cell of it can be the least.

    Examples
    --------
    >>> float(least_difference(np.array([8]), np.array([8]), np.array([0]), np.array([8]), 0.025)[0].round(3))
    0.408
    """
    given = np.broadcast_arrays(hits, sizes, false_hits, false_sizes)
    counts, which = np.unique(np.stack(given, -1).reshape(-1, 4), axis=0, return_inverse=True)
    log_product = 1 + float(special.lambertw(-error / np.e, -1).real)
    grid = np.exp(np.linspace(log_product, 0, CELLS + 1))
    blocks = _ends(counts, grid[:-1:BLOCK], grid[0] / grid[BLOCK::BLOCK])
    least = np.ones(len(counts))
    for block in np.argsort(blocks.mean(axis=1)):
        # What is no number is never passed over.
        (open_,) = np.nonzero(~(blocks[block] >= least))
        if len(open_):
            cells = grid[block * BLOCK : (block + 1) * BLOCK + 1]
            found = _ends(counts[open_], cells[:-1], grid[0] / cells[1:]).min(axis=0)
            least[open_] = np.minimum(least[open_], found)
    return least[which.ravel()].reshape(given[0].shape)


def _ends(counts, errors, false_errors):
    """Return the least rate less the greatest false one, each at errors of its own; ``(errors, counts)``."""
    # Many counts share one of their rates, whose limits are what costs.
    (one, first), (other, second) = (
        np.unique(side, axis=0, return_inverse=True) for side in (counts[:, :2], counts[:, 2:])
    )
    low = _lowest(one[:, 0], one[:, 1], errors[:, None])
    high = _highest(other[:, 0], other[:, 1], false_errors[:, None])
    return low[:, first.ravel()] - high[:, second.ravel()]


def difference_limits(hits, sizes, false_hits, false_sizes, error: float) -> Limits:
    """Return the difference of two pooled rates with its limits; shapes ``(…, T)`` and ``(T,)``.

    For independent records ``least_difference`` on each side, which holds for any number of them; with several
    clusters, whichever of that and Student's t between clusters reaches further. A cluster's two rates may depend on
    each other. Newcombe's square-and-add, a tenth narrower, is wrong too often where one rate is near 1 and the other
    near 0: 6.7% for 2.5% with 20 records a side, 3.6% for .5%.
    """
    pooled = (hits.sum(axis=-1), sizes.sum()), (false_hits.sum(axis=-1), false_sizes.sum())
    (first, count), (second, false_count) = pooled
    value = first / count - second / false_count
    below = value - least_difference(first, count, second, false_count, error)
    above = -value - least_difference(second, false_count, first, count, error)
    if len(sizes) > 1:
        variance = _joint_variance(_moves(hits, sizes), -_moves(false_hits, false_sizes))
        reach = -special.stdtrit(_freedom(sizes, false_sizes), error) * np.sqrt(variance)
        below, above = np.maximum(below, reach), np.maximum(above, reach)
    return Limits(np.maximum(value - below, -1.0), value, np.minimum(value + above, 1.0))


def auc_limits(member, nonmember, member_rows, nonmember_rows, clusters: int, error: float) -> Limits:
    """Return the probability that a member outscores a non-member, ties counting half, with its limits.

    Scores ascending, each with the number of its cluster. For independent records the variance is DeLong's with
    Welch's degrees of freedom. The effective size that it gives is at most what it would be with nothing to find; where
    it vanishes (perfect separation) it is the size of the smaller side, which bounds the variance for every law (van
    Dantzig 1951).

    Records of one cluster share its model, members and non-members of different clusters do not: each limit starts from
    the value with or without the pairs within clusters, whichever is further out. The variance is that of the pairs
    between clusters, leaving out one cluster after the other. What moves all scores of a cluster alike cancels to first
    order and enters by pairs of clusters, which a linearisation (Obuchowski 1997) does not see and leaving out
    overstates (Efron and Stein 1981). Two clusters are a single such pair, which cannot say how much pairs differ:
    each limit then starts from the furthest of the values within and between them too, and nothing cancels.
    """
    places = _share_below(nonmember, member), 1 - _share_below(member, nonmember)
    sides = len(member), len(nonmember)
    auc = float(places[0].mean())
    if clusters > 1:
        rows = member_rows, nonmember_rows
        held, variance, freedom = _clustered(auc, places, (member, nonmember), rows, clusters)
    else:
        parts = [place.var(ddof=1) / len(place) for place in places]
        squares = sum(part**2 / (size - 1) for part, size in zip(parts, sides, strict=True))
        held, variance = [auc], parts[0] + parts[1]
        freedom = variance**2 / squares if squares > 0 else np.inf
    most = 3 * sides[0] * sides[1] / (sum(sides) + 1)
    ends = []
    for value, end in ((min(held), 0), (max(held), 1)):
        size = _effective(value, variance, freedom, most, error)
        if variance < ROUNDING or not 0 < value < 1:
            size = min(sides)
        ends.append(float(clopper_pearson(value * size, size, error)[end]))
    return Limits(min(ends[0], auc), auc, max(ends[1], auc))


def _clustered(auc, places, scores, rows, clusters):
    """Return the AUC by pairs of all kinds, its variance between clusters, and the degrees of freedom of that."""
    sizes = [np.bincount(row, minlength=clusters) for row in rows]
    wins = [np.bincount(row, place, clusters) for row, place in zip(rows, places, strict=True)]
    within = _wins_within(scores, rows, sizes), sizes[0] * sizes[1]
    # Pairs of a cluster with others; each pair has two clusters.
    between = [
        x * len(scores[1]) + y * len(scores[0]) - 2 * inside
        for (x, y), inside in zip((wins, sizes), within, strict=True)
    ]
    across = float(np.clip(between[0].sum() / between[1].sum(), 0.0, 1.0)) if between[1].any() else auc
    if clusters == 2:
        variance = _joint_variance(*(_moves(x, size) for x, size in zip(wins, sizes, strict=True)))
        inside = float(within[0].sum() / within[1].sum()) if within[1].any() else auc
        return [auc, across, inside], variance, _freedom(*sizes)
    # Of all pairs between clusters, those that stay when one is left out; each was counted by both of its clusters.
    rest_wins, rest_pairs = (x.sum() / 2 - x for x in between)
    moves = rest_wins / np.where(rest_pairs > 0, rest_pairs, np.nan) - across
    return [auc, across], _variance(moves), _freedom(*sizes)


def _wins_within(scores, rows, sizes):
    """Count the pairs that the member wins within each cluster."""
    # Stable: scores stay ascending within their cluster.
    clusters = [
        np.split(side[np.argsort(row, kind="stable")], np.cumsum(size)[:-1])
        for side, row, size in zip(scores, rows, sizes, strict=True)
    ]
    return np.array([
        _share_below(nonmember, member).sum() * len(nonmember) if len(nonmember) else 0.0
        for member, nonmember in zip(*clusters, strict=True)
    ])  # fmt: skip


def _share_below(ascending, scores):
    """Share of ``ascending`` below each score, ties counting half."""
    below = ascending.searchsorted(scores, "left") + ascending.searchsorted(scores, "right")
    return below / (2 * len(ascending))
