"""Attacks measured on models that nothing in them was fitted on.

The models are dealt to folds. For each fold in turn, the *targets*, the next fold calibrates (combination weights,
thresholds, the choice of the strongest attack) and all others are *shadows* (Gaussians, means, spreads, ridges). No
threshold, no weight and no choice ever saw the models it is scored on.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

from mis.numerics.checks import InvalidInput, confidence, integer, unmasked
from mis.results import Interval

__all__ = [
    "COVERS",
    "STRONGEST",
    "Measured",
    "assign_folds",
    "cross_fit",
    "mean_over_networks",
    "thresholds",
    "widening",
]

STRONGEST = "advantage"

# What to print under intervals of cross-fitted attacks.
COVERS = (
    "Intervals of an attack are for its mean over repetitions of the whole experiment on this pool: as many networks "
    "trained anew on random halves of it, and this attack fitted to them anew. They say nothing of other pools, and "
    "nothing of attacks with more shadow networks or of better ones, which reach more."
)

# Log likelihood ratios beyond this are certainties; they would only dominate the logistic fit.
CERTAIN = 30.0


@dataclass(frozen=True, kw_only=True)
class Measured:
    """What one attack reached on each model, as a target; all of shape ``(M,)``.

    Parameters
    ----------
    advantage
        True less false positive rate at the threshold that was best on the calibrating models.
    tpr, fpr
        Rates at the threshold that had the asked false positive rate on the calibrating models.
    """

    advantage: np.ndarray
    tpr: np.ndarray
    fpr: np.ndarray


def assign_folds(num_networks: int, num_folds: int) -> np.ndarray:
    """Return the fold of each model, shape ``(num_networks,)``.

    Examples
    --------
    >>> assign_folds(7, 3)
    array([0, 1, 2, 0, 1, 2, 0])
    """
    integer("assign_folds", "num_folds", num_folds, at_least=3)
    integer("assign_folds", "num_networks", num_networks, at_least=2 * num_folds)
    return np.arange(num_networks) % num_folds


def widening(num_folds: int) -> float:
    """Return by what to multiply the variance of a mean over folds that are shadows of each other.

    ``1 + K / (K - 2)`` for K folds of which ``K - 2`` are shadows: Nadeau and Bengio's ``1/K + test / train`` in units
    of ``1/K``, as if the errors of two folds had the correlation ``test / (test + train)``. A model moves the mean as a
    target and, through the fits, as a shadow of all others, which the spread between folds does not show: the true
    standard deviation of the advantage is 1.1 to 1.4 times what that spread says (LiRA and ridges on simulated scores,
    32 to 512 models, 4 to 16 folds), up to 1.6 on real networks, and this allows for 1.53 at 8 folds. No multiple is
    right for all attacks (Bengio and Grandvalet 2004: the variance of cross-validation has no unbiased estimate); this
    one errs upwards, most for attacks that fit nothing to shadows.

    References
    ----------
    Nadeau, Bengio (2003), Inference for the generalization error, Machine Learning 52.
    Bengio, Grandvalet (2004), No unbiased estimator of the variance of k-fold cross-validation, JMLR 5.

    Examples
    --------
    >>> round(widening(8), 3)
    2.333
    """
    return 1.0 + num_folds / (num_folds - 2)


def mean_over_networks(
    values: np.ndarray, num_folds: int, level: float = 0.95, *, refitted: bool = True
) -> Interval:
    """Return the mean of one value per model, in the order they were dealt, with a t interval over folds.

    Covers the mean over repetitions of the whole experiment on one pool of examples: as many models trained anew, the
    attack fitted to them anew. It speaks of no other pool, no other number of models, and no other attack.

    Parameters
    ----------
    values
        A rate, or difference of rates, that one attack reached on each model, shape ``(M,)``.
    num_folds
        Number of folds.
    level
        Confidence level.
    refitted
        Whether the folds were shadows of each other, as in ``cross_fit``. False where the fits came from other models
        and are given: the interval then speaks of these fits on fresh models.

    Returns
    -------
    Interval
        Of kind ``attack``: in expectation a lower bound on the optimal advantage.

    Notes
    -----
    Models trained on independent random halves of the pool are independent given it, their scores are not. The models
    of one fold share their threshold, weights and choice of attack, which move all of them: at a fixed false positive
    rate, to first order. So the folds are the units, with ``num_folds - 1`` degrees of freedom. Folds share shadows,
    for which the variance is multiplied by ``widening``. Approximate, and errs on the wide side: on simulated scores
    .95 to .99 of intervals of level .95 cover, .81 to .98 of those of level .8. The estimand is not clipped: ends may
    leave [-1, 1].

    References
    ----------
    Nadeau, Bengio (2003), Inference for the generalization error, Machine Learning 52.
    Bayle, Bayle, Janson, Mackey (2020), Cross-validation confidence intervals for test error, arXiv:2007.12671.

    Examples
    --------
    >>> values = np.array([0.1, 0.2, 0.3, 0.1, 0.2, 0.3])
    >>> mean_over_networks(values, 3)
    Interval(0.2 in [-0.296828, 0.696828], attack, level=0.95)
    >>> mean_over_networks(values, 3, refitted=False)
    Interval(0.2 in [-0.0484138, 0.448414], attack, level=0.95)
    """
    level = confidence("mean_over_networks", level)
    unmasked("mean_over_networks", "values", values)
    values = np.asarray(values, dtype=np.float64)
    value = float(values.mean())
    of_fold = np.bincount(assign_folds(len(values), num_folds), values - value)
    variance = num_folds / (num_folds - 1) * np.sum(of_fold**2) / len(values) ** 2
    if refitted:
        variance *= widening(num_folds)
    half = float(stats.t.isf((1.0 - level) / 2.0, num_folds - 1) * np.sqrt(variance))
    return Interval(lower=value - half, value=value, upper=value + half, kind="attack", level=level)


def cross_fit(
    features: Callable[[int, np.ndarray], Mapping[str, np.ndarray]],
    membership: np.ndarray,
    attacks: Mapping[str, Sequence[str]],
    *,
    num_folds: int = 8,
    fpr: float = 0.01,
) -> dict[str, Measured]:
    """Measure every attack on every model as a target.

    Parameters
    ----------
    features
        Maps the number of a fold, and which models are its shadows, bool ``(M,)``, to named scores of the other
        models, ``(M - shadows, N)``, that are estimated on the shadows alone.
    membership
        Which examples each model was trained on, bool ``(M, N)``.
    attacks
        Names of the features each attack uses: one is taken as it is, several are combined by a logistic regression
        on the calibrating models.
    num_folds
        Number of folds; shadows are ``num_folds - 2`` of them.
    fpr
        False positive rate of the second threshold.

    Returns
    -------
    dict of Measured
        One for each attack, and one under ``"advantage"``: in each fold the attack that was strongest on the
        calibrating models.
    """
    unmasked("cross_fit", "membership", membership)
    membership = np.asarray(membership, dtype=bool)
    folds = assign_folds(len(membership), num_folds)
    results = {name: np.empty((3, len(folds))) for name in [*attacks, STRONGEST]}
    for fold in range(num_folds):
        target, is_shadow = folds == fold, (folds != fold) & (folds != (fold + 1) % num_folds)
        scored = {k: np.asarray(v) for k, v in features(fold, is_shadow).items()}
        deciding, known = target[~is_shadow], membership[~is_shadow]
        reached = {}
        for name, used in attacks.items():
            table = np.stack([scored[k] for k in used], axis=-1)
            if np.isnan(table).any():
                raise InvalidInput(
                    f"cross_fit: expected scores without NaN, got some among {', '.join(used)}."
                )
            combined = _combine(table, known, ~deciding)
            best, strict = thresholds(combined[~deciding], known[~deciding], fpr)
            reached[name] = _rates(combined[~deciding], known[~deciding], best).advantage.mean()
            at_best = _rates(combined[deciding], known[deciding], best)
            at_strict = _rates(combined[deciding], known[deciding], strict)
            results[name][:, target] = at_best.advantage, at_strict.tpr, at_strict.fpr
        strongest = max(reached, key=lambda name: reached[name])
        results[STRONGEST][:, target] = results[strongest][:, target]
    return {
        name: Measured(advantage=advantage, tpr=tpr, fpr=rate)
        for name, (advantage, tpr, rate) in results.items()
    }


def _combine(table, membership, calibrating):
    """One score per model and example from the features on the last axis, combined on the calibrating models."""
    if table.shape[-1] == 1:
        return table[..., 0]
    from sklearn.linear_model import LogisticRegression

    table = np.clip(table, -CERTAIN, CERTAIN)
    flat = table[calibrating].reshape(-1, table.shape[-1])
    centre, scale = flat.mean(axis=0), flat.std(axis=0)
    scale = np.where(scale > 0.0, scale, 1.0)
    logistic = LogisticRegression(solver="newton-cholesky")
    logistic.fit((flat - centre) / scale, membership[calibrating].ravel())
    return (table - centre) @ (logistic.coef_[0] / scale)


def thresholds(scores, membership, fpr):
    """Thresholds with the largest advantage, and with the false positive rate ``fpr``; a score at one is positive."""
    flat, members = scores.ravel(), membership.ravel()
    order = np.argsort(-flat, kind="stable")
    ranked, is_member = flat[order], members[order]
    gain = np.cumsum(np.where(is_member, 1.0 / members.sum(), -1.0 / (~members).sum()))
    # Equal scores fall on one side of any threshold: only the last of a run can be cut at.
    last = np.append(ranked[1:] < ranked[:-1], True)
    best = ranked[np.where(last, gain, -np.inf).argmax()]
    strict = np.quantile(flat[~members], 1.0 - fpr, method="higher")
    return best, np.nextafter(strict, np.inf)


def _rates(scores, membership, threshold):
    positive = scores >= threshold
    tpr = (positive & membership).sum(axis=1) / membership.sum(axis=1)
    fpr = (positive & ~membership).sum(axis=1) / (~membership).sum(axis=1)
    return Measured(advantage=tpr - fpr, tpr=tpr, fpr=fpr)
