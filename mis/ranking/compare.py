"""Which quantizers can be told apart, and what of their leakage performance does not explain."""

import itertools
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from scipy import stats

from mis.attacks.crossfit import assign_folds, widening
from mis.numerics.checks import confidence

__all__ = ["given_performance", "pairwise", "tied"]

ROUNDING = 1e-12


def pairwise(
    names: Sequence[str], advantages: np.ndarray, *, num_folds: int | None = None, level: float = 0.95
) -> list[dict[str, Any]]:
    """Compare the advantages of all pairs of quantizers, paired by network.

    The same networks are released under every quantizer, so the differences are taken network by network, and what
    networks have in common cancels. Simultaneous over all pairs by Holm's step-down correction. Networks of one fold
    share their thresholds: every variance is multiplied by what that adds on average over all pairs (the design effect
    of clusters), one number that many pairs estimate, and at least 1. Networks are also shadows of each other, which
    multiplies it once more, by ``crossfit.widening``: "different" means over repetitions of the whole experiment on
    this pool, new networks and attacks fitted anew. Errs on the safe side: of six equal quantizers some pair is called
    different in 0 to 2% of experiments at level .95 (LiRA and ridges on simulated scores), in 5 to 19% without it.

    Parameters
    ----------
    names
        Names of the quantizers.
    advantages
        The advantage on each network, shape ``(quantizers, M)``.
    num_folds
        Number of folds that the networks were dealt to in turn; None if they are independent, their attacks given.
    level
        One minus the probability of calling any pair different that is not; also the level of each pair's interval.

    Returns
    -------
    list of dict
        For each pair ``first``, ``second``, their mean ``difference`` with a t interval ``lower``, ``upper`` for this
        pair alone, ``p_value`` of the paired t test and ``p_holm``, and whether they are ``tied``: not told apart.

    References
    ----------
    Kish (1965), Survey Sampling, section 5.4 (design effect). Holm (1979), A simple sequentially rejective multiple
    test procedure, Scandinavian Journal of Statistics 6.

    Examples
    --------
    >>> noise = np.random.default_rng(0).normal(size=(2, 50))
    >>> rows = pairwise(["a", "b", "c"], np.stack([noise[0], noise[1] + 1.0, noise[0] + 0.1 * noise[1]]))
    >>> [(row["first"], row["second"]) for row in rows if row["tied"]]
    [('a', 'c')]
    """
    level = confidence("ranking.pairwise", level)
    rows: list[dict[str, Any]] = []
    count = advantages.shape[1]
    half = stats.t.isf((1.0 - level) / 2.0, count - 1)
    pairs = list(itertools.combinations(range(len(names)), 2))
    differences = [advantages[i] - advantages[j] for i, j in pairs]
    effect = 1.0 if num_folds is None else widening(num_folds) * _design_effect(differences, num_folds)
    for (i, j), values in zip(pairs, differences, strict=True):
        mean = float(values.mean())
        error = float(values.std(ddof=1) * np.sqrt(effect / count))
        # The same on every network up to rounding: no test is needed to call that equal, or different.
        constant = error <= ROUNDING * np.abs(values).max()
        p_value = float(mean == 0.0) if constant else 2.0 * stats.t.sf(abs(mean) / error, count - 1)
        rows.append(
            {
                "first": names[i],
                "second": names[j],
                "difference": mean,
                "lower": float(mean - half * error),
                "upper": float(mean + half * error),
                "p_value": float(p_value),
            }
        )
    for row, p_holm in zip(rows, _holm(np.array([row["p_value"] for row in rows])), strict=True):
        row |= {"p_holm": float(p_holm), "tied": bool(p_holm > 1.0 - level)}
    return rows


def _design_effect(differences: Sequence[np.ndarray], num_folds: int) -> float:
    """Mean over pairs of the variance of a mean with folds as units over that with networks as units, at least 1."""
    ratios = []
    for values in differences:
        centred = values - values.mean()
        of_fold = np.bincount(assign_folds(len(values), num_folds), centred)
        as_networks = np.sum(centred**2) * len(values) / (len(values) - 1)
        as_folds = np.sum(of_fold**2) * num_folds / (num_folds - 1)
        ratios += [as_folds / as_networks] if as_networks > 0.0 else []
    return float(max(1.0, np.mean(ratios))) if ratios else 1.0


def _holm(p_values: np.ndarray) -> np.ndarray:
    """Correct p-values by Holm's step-down; statsmodels' own collects all garbage at every call, half a second each."""
    order = np.argsort(p_values, kind="stable")
    corrected = np.empty(len(p_values))
    corrected[order] = np.maximum.accumulate(p_values[order] * np.arange(len(p_values), 0, -1))
    return np.minimum(corrected, 1.0)


def tied(pairs: Sequence[Mapping[str, Any]]) -> dict[str, list[str]]:
    """Return for each quantizer of ``pairwise`` those it cannot be told from.

    Examples
    --------
    >>> tied([{"first": "a", "second": "b", "tied": True}])
    {'a': ['b'], 'b': ['a']}
    """
    groups: dict[str, list[str]] = {}
    for pair in pairs:
        for one, other in ((pair["first"], pair["second"]), (pair["second"], pair["first"])):
            groups.setdefault(one, []).extend([other] if pair["tied"] else [])
    return groups


def given_performance(
    performance: np.ndarray, advantage: np.ndarray, *, level: float = 0.95
) -> list[tuple[float, float, float]]:
    """Return each quantizer's advantage less what a line through the others expects, as ``(lower, value, upper)``.

    Networks that perform worse also leak less, which can pass for privacy. A least-squares line in performance takes
    that out. Each quantizer is held against the line of the *others*, which it cannot draw towards itself: positive
    values leak more than quantizers of this performance do, and an interval without 0 says that this one is not of
    their kind.

    Parameters
    ----------
    performance, advantage
        One number per quantizer, shape ``(quantizers,)``.
    level
        Probability that the interval of a quantizer covers 0 if it is of the same kind as the others; of one
        quantizer, not of all at once.

    Returns
    -------
    list of tuple
        NaN with fewer than four quantizers, and for one without which the others all perform alike.

    Notes
    -----
    The deleted residual ``e / (1 - h)`` of least squares, h the leverage, with the limits of prediction from the
    others: ``t(n - 3) s / sqrt(1 - h)``, s the residual spread of the fit without it. Exact for independent normal
    residuals of equal variance around a line. Not robust to unequal variances, which a single quantizer cannot show;
    two outliers of one kind can hide each other.

    References
    ----------
    Belsley, Kuh, Welsch (1980), Regression Diagnostics, section 2.1. The same numbers as from the externally
    studentised residuals of ``statsmodels.OLSInfluence``, which refits once per quantizer.

    Examples
    --------
    >>> line = given_performance(np.array([0.0, 1.0, 2.0, 3.0]), np.array([0.0, 0.1, 0.2, 0.7]))
    >>> [round(value, 2) for _, value, _ in line]
    [0.27, -0.06, -0.23, 0.4]
    """
    level = confidence("ranking.given_performance", level)
    count = len(performance)
    if count < 4 or np.ptp(performance) == 0.0:
        return [(np.nan, np.nan, np.nan)] * count
    centred = performance - performance.mean()
    direction = centred / np.linalg.norm(centred)
    residuals = advantage - advantage.mean() - direction * (direction @ advantage)
    left = 1.0 - 1.0 / count - direction**2
    # Where a quantizer alone makes the slope, the others have no line.
    left = np.where(left > ROUNDING, left, np.nan)
    values = residuals / left
    # Squares of the others' fit: a difference, which rounding can make negative.
    variances = np.maximum(residuals @ residuals - residuals * values, 0.0) / (count - 3)
    half = stats.t.isf((1.0 - level) / 2.0, count - 3) * np.sqrt(variances / left)
    return [(float(v - h), float(v), float(v + h)) for v, h in zip(values, half, strict=True)]
