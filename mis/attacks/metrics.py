"""Limits of what two samples of scores show: advantage, precision, TPR at an FPR, epsilon.

``error`` is one-sided, as in ``rates.py``.
"""

import numpy as np
from scipy import special, stats

from mis.attacks.rates import Limits, difference_limits, effective_size, rate_limits
from mis.attacks.samples import roc_curve

__all__ = ["advantage_limits", "epsilon_bound", "needed_nonmembers", "precision_limits", "tpr_limits"]

# Thresholds tried for the upper end of the advantage.
CANDIDATES = 32


def advantage_limits(member, nonmember, hits, false_hits, error):
    """Limits of TPR - FPR: from the exchanged thresholds below, from the best one above.

    The largest upper limit of all thresholds is at least that of the best one, wherever it is; it is sought
    among those that come first by the normal approximation, and some of all sizes.
    """
    exchanged = difference_limits(hits, member.sizes, false_hits, nonmember.sizes, error)
    thresholds, tpr, fpr = roc_curve(member.scores, nonmember.scores)
    variance = sum(
        (p * n + 2) * (n - p * n + 2) / (n + 4) ** 3 for p, n in ((tpr, len(member)), (fpr, len(nonmember)))
    )
    reach = tpr - fpr - special.ndtri(error) * np.sqrt(variance)
    first = np.argpartition(reach, -min(CANDIDATES, len(reach)))[-CANDIDATES:]
    spread = np.linspace(0, len(reach) - 1, CANDIDATES).astype(int)
    candidates = np.unique(thresholds[np.concatenate([first, spread])])
    every = difference_limits(
        member.above(candidates, strict=False),
        member.sizes,
        nonmember.above(candidates, strict=False),
        nonmember.sizes,
        error,
    )
    return Limits(exchanged.lower, exchanged.value, max(exchanged.upper, every.upper.max()))


def precision_limits(member, nonmember, hits, false_hits, error):
    """Limits of recall, precision and F1 at balanced sides, from limits of TPR and FPR that hold together."""
    recall = rate_limits(hits, member.sizes, error)
    tpr = rate_limits(hits, member.sizes, error / 2)
    fpr = rate_limits(false_hits, nonmember.sizes, error / 2)
    worst, middle, best = zip(tpr, reversed(fpr), strict=True)
    precision = Limits(*(p / (p + a) if p + a > 0 else default for (p, a), default in
                         zip((worst, middle, best), (0.0, 0.5, 1.0), strict=True)))  # fmt: skip
    return recall, precision, Limits(*(2 * p / (1 + p + a) for p, a in (worst, middle, best)))


def tpr_limits(member, nonmember, fprs, error):
    """Limits of the TPR at each FPR, and how many independent non-members those given are worth there.

    At the true threshold t of an FPR: with probability 1 - error / 2 an order statistic of the non-members is
    at least t, so the TPR there is at most the TPR at t; with probability 1 - error / 2 its lower limit is
    below it. The upper end likewise. Members and non-members may depend on each other.
    """
    part = error / 2
    count = len(nonmember)
    index = np.floor(fprs * count * (1 + 1e-12)).astype(int)
    at_index = _kth_largest(nonmember, index + 1)
    sizes = effective_size(nonmember.above(at_index, strict=True), nonmember.sizes, part)
    whole = np.floor(sizes)
    few = np.floor(stats.binom.ppf(part, whole, fprs) / np.maximum(whole, 1) * count).astype(int)
    many = np.ceil((stats.binom.ppf(1 - part, whole, fprs) + 1) / np.maximum(whole, 1) * count).astype(int)
    sure = member.above(_kth_largest(nonmember, few), strict=True)
    most = member.above(_kth_largest(nonmember, many), strict=False)
    lower, upper = rate_limits(sure, member.sizes, part).lower, rate_limits(most, member.sizes, part).upper
    value = member.above(at_index, strict=True).sum(axis=-1) / len(member)
    return [Limits(*x) for x in zip(lower, np.clip(value, lower, upper), upper, strict=True)], whole


def needed_nonmembers(fpr: float, error: float) -> int:
    """Return how many independent non-members it takes before the lower limit of the TPR can leave 0.

    Examples
    --------
    >>> needed_nonmembers(0.001, error=0.025)
    4380
    """
    return int(np.ceil(np.log(error / 2) / np.log1p(-fpr)))


def _kth_largest(sample, k):
    """Return the k-th largest scores: infinite at 0, minus infinite beyond the last."""
    inside = sample.scores[-np.clip(k, 1, len(sample))]
    return np.where(k < 1, np.inf, np.where(k > len(sample), -np.inf, inside))


def epsilon_bound(member, nonmember, hits, false_hits, delta, error):
    """Lower bound on epsilon: from the exchanged thresholds, and from a grid of rates both ways round.

    Each of the three has a third of the error; on the grid, half of that is for the smallest rate.
    """
    share = error / 3
    tpr = rate_limits(hits, member.sizes, share / 2).lower
    fpr = rate_limits(false_hits, nonmember.sizes, share / 2).upper
    bounds = [_refuted(tpr, fpr, delta), _refuted(1 - fpr, 1 - tpr, delta)]
    for positives, negatives in ((member, nonmember), (nonmember.flip(), member.flip())):
        # The smallest rate that the largest score of all can resolve, and its doubles.
        smallest = min(-special.expm1(np.log(share / 4) / len(negatives)) * (1 + 1e-9), 0.5)
        doubles = smallest * 2.0 ** np.arange(1, 1 + int(np.log2(0.5 / smallest)))
        shares = share / 2, share / 2 / max(len(doubles), 1)
        for fprs, part in zip((np.array([smallest]), doubles), shares, strict=True):
            tprs, _ = tpr_limits(positives, negatives, fprs, part)
            bounds += [_refuted(found.lower, rate, delta) for found, rate in zip(tprs, fprs, strict=True)]
    return float(max(bounds))


def _refuted(tpr, fpr, delta):
    """Return the largest epsilon, at least 0, that a test with these rates refutes."""
    return np.log(max(tpr - delta, fpr) / fpr) if fpr > 0 else 0.0
