"""The indicator r_Q of a quantizer's security, with an interval that survives its minimum."""

import math

import numpy as np
from scipy import stats

from mis.numerics.checks import UnsupportedSetting, confidence, integer
from mis.results import Interval
from mis.theory.differences import ROUNDING
from mis.theory.laws import DiscreteLosses, GaussianLosses, LossLaw, SampledLosses, loss_law

__all__ = ["indicator", "ratio_of_pair"]

NUM_FOLDS = 5
MIN_EXAMPLES = 20
# Kurtosis of a difference over that of its sample, allowed for.
UNSEEN = 4.0


def indicator(law: LossLaw, *, level: float = 0.95, num_resamples: int = 500, seed: int = 0) -> Interval:
    """Return the indicator ``r_Q = min_k delta_k**2 / (2 sigma_k**2)``. Larger is more private.

    ``delta_k`` and ``sigma_k`` are mean and standard deviation of the loss of candidate k minus that of the
    population minimiser. For a codebook that grows with n slowly enough (moderate deviations),
    ``MIS_n >= 1 - exp(-n r_Q (1 + o(1)))``. Not a probability: nats per example, between 0 and infinity.

    For a Gaussian or discrete law the value is exact. From N sampled losses two biases pull at the plain
    estimate: the best of K noisy candidates is not the best candidate, and a minimum over noisy ratios lies
    below the ratio it estimates, while each single ratio lies above (``delta_hat**2`` carries ``sigma**2 /
    N``).

    - The *value* is cross-fitted: minimiser and strongest competitor are chosen on four fifths of the
      examples, their ratio is estimated on the last fifth, and the five are pooled. A wrong choice makes it too
      large on average, never too small. The ratio of a pair is unbiased for normal differences; for others what
      skewness and kurtosis do is taken out to order 1/N. Within 2% on average, at N = 400, for exponential,
      lognormal (0.5) and t (5) differences; heavier tails, of which a sample shows too little, leave it too large.
    - The *bounds* hold simultaneously for every competitor that could be the strongest (bootstrap over
      examples of the standardised maximum), so they contain the minimum whichever attains it. Below about
      ``log(K) / N`` no indicator can be told from 0, and the lower bound says so.

    *What the bounds assume:* independent examples of one law, each competitor's difference seen to vary, a finite
    fourth moment (without it no interval for a standard deviation holds), and ratios ``x = delta / sigma`` whose
    estimates are nearly normal. Samples from heavy tails show too little of fourth moments: the standard error at
    skewness g and kurtosis k, ``sqrt((1 - x g + x**2 (k - 1) / 4) / N)``, is taken with 4 k for k and ``|x g|`` for
    ``-x g`` where that is wider than the bootstrap's, for the upper bound at the upper end. With two candidates, x of
    .2 and .6 and N of 100 and 400 that covers 97% and more at level 95% where differences are normal, t (3 or 5),
    exponential, lognormal (0.5 to 1.5, of either sign) or constant but on one example in ten or fifty. Nothing
    bounds how heavy a tail may be that no example shows.

    Parameters
    ----------
    law
        A loss law of K candidates.
    level
        Confidence level of the interval from a sampled law.
    num_resamples
        Bootstrap resamples of the examples.
    seed
        Seed of the bootstrap and of the folds.

    Returns
    -------
    Interval
        Kind ``exact`` or ``bootstrap``. ``details``: ``num_candidates``, the number of distinct candidates
        (rows of losses that differ somewhere); ``naive``, the plain minimum of the estimated ratios;
        ``num_contenders``, the competitors among which the data cannot exclude the strongest.

    Raises
    ------
    UnsupportedSetting
        Where no two candidates differ at random (there is nothing to learn, and nothing to leak), and for a
        sampled law of fewer than 20 examples.

    References
    ----------
    Aubinais, Formont, Piantanida, Gassiat, *Membership Inference Risks in Quantized Models*,
    arXiv:2502.06567: the indicator and its bound. Chernozhukov, Lee, Rosen (2013), *Intersection bounds*,
    Econometrica 81: intervals for a minimum, with contenders selected first.

    Examples
    --------
    >>> from mis.theory import GaussianLosses, SampledLosses
    >>> indicator(GaussianLosses(mean=[0.0, 0.3], cov=[[0.0, 0.0], [0.0, 1.0]])).value
    0.045
    >>> losses = np.random.default_rng(0).normal(loc=[[0.0], [0.5], [1.0]], size=(3, 1000))
    >>> estimate = indicator(SampledLosses(losses=losses))
    >>> estimate.lower < 0.5**2 / 4 < estimate.upper
    True
    >>> estimate.details["num_candidates"]
    3
    """
    level = confidence("theory.indicator", level)
    num_resamples = integer("theory.indicator", "num_resamples", num_resamples, at_least=50)
    seed = integer("theory.indicator", "seed", seed, at_least=0)
    best = loss_law("theory.indicator", law).best()
    if isinstance(law, SampledLosses):
        return _sampled(law.losses, level, num_resamples, np.random.default_rng(seed))
    differences = [law.difference(k, best) for k in range(law.num_losses)]
    ratios = [d.mean**2 / (2 * d.variance) for d in differences if not d.constant]
    if not ratios:
        raise _nothing_differs()
    value = min(ratios)
    details = {"num_candidates": len(_distinct(_rows(law))), "naive": value, "num_contenders": 1}
    return Interval(lower=value, value=value, upper=value, kind="exact", details=details)


def _rows(law: GaussianLosses | DiscreteLosses) -> np.ndarray:
    """One row per candidate, equal for two candidates if and only if their losses are."""
    return np.column_stack([law.mean, law.cov]) if isinstance(law, GaussianLosses) else law.losses


def _distinct(rows: np.ndarray) -> np.ndarray:
    _, first = np.unique(rows, axis=0, return_index=True)
    return rows[np.sort(first)]


def _sampled(losses: np.ndarray, level: float, num_resamples: int, rng: np.random.Generator) -> Interval:
    losses = _distinct(losses)
    differences = _from_best(losses, losses)
    if len(differences) == 0:
        raise _nothing_differs()
    if losses.shape[1] < MIN_EXAMPLES:
        raise UnsupportedSetting(
            "theory.indicator", f"{losses.shape[1]} examples say nothing; it takes at least {MIN_EXAMPLES}."
        )
    ratio = differences.mean(axis=1) / differences.std(axis=1)
    resampled = _resampled_ratios(differences, num_resamples, rng)
    lower, upper, num_contenders = _bounds_of_minimum(ratio, resampled, _least_errors(differences), level)
    lower, upper = max(lower, 0.0) ** 2 / 2, max(upper, 0.0) ** 2 / 2
    details = {
        "num_candidates": len(losses),
        "naive": float(ratio.min() ** 2 / 2),
        "num_contenders": num_contenders,
    }
    value = float(np.clip(_cross_fitted(losses, rng), lower, upper))
    return Interval(lower=lower, value=value, upper=upper, kind="bootstrap", level=level, details=details)


def _from_best(losses: np.ndarray, choose_on: np.ndarray) -> np.ndarray:
    """Differences to the row with the smallest mean on ``choose_on``, less those that are constant there."""
    best = choose_on.mean(axis=1).argmin()
    on = choose_on - choose_on[best]
    return (losses - losses[best])[on.std(axis=1) > ROUNDING * np.abs(choose_on).max(axis=1)]


def _resampled_ratios(differences: np.ndarray, num_resamples: int, rng: np.random.Generator) -> np.ndarray:
    """Mean over standard deviation in resamples of the examples, shape ``(num_resamples, K - 1)``."""
    num_examples = differences.shape[1]
    picks = rng.integers(num_examples, size=(num_resamples, num_examples))
    picks += num_examples * np.arange(num_resamples)[:, None]
    counts = np.bincount(picks.ravel(), minlength=picks.size).reshape(picks.shape) / num_examples
    mean = differences.mean(axis=1)
    centred = differences - mean[:, None]
    shift = counts @ centred.T
    variance = counts @ (centred**2).T - shift**2
    # A resample that misses the few examples on which two candidates differ finds them equal: ratio 0.
    sd = np.sqrt(np.maximum(variance, 0))
    return np.divide(mean + shift, sd, out=np.zeros_like(sd), where=sd > 1e-7 * centred.std(axis=1))


def _least_errors(differences: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return standard errors of mean over standard deviation were kurtosis ``UNSEEN`` times what the sample has.

    At the estimate, for the lower bound, and at what is two of them above it, for the upper.
    """
    sd = differences.std(axis=1, keepdims=True)
    standard = (differences - differences.mean(axis=1, keepdims=True)) / sd
    squares = standard * standard
    skewness, kurtosis = (squares * standard).mean(axis=1), (squares * squares).mean(axis=1)

    def error(x):
        variance = 1 + np.abs(x * skewness) + x**2 * (UNSEEN * kurtosis - 1) / 4
        return np.sqrt(variance / differences.shape[1])

    ratio = differences.mean(axis=1) / sd[:, 0]
    return error(ratio), error(ratio + 2 * error(ratio))


def _bounds_of_minimum(
    ratio: np.ndarray, resampled: np.ndarray, least: tuple[np.ndarray, np.ndarray], level: float
) -> tuple[float, float, int]:
    """Return bounds of the smallest true ratio, and the number of contenders for it."""
    se = resampled.std(axis=0)
    errors = np.divide(resampled - ratio, se, out=np.zeros_like(resampled), where=se > 0)
    down, up = np.maximum(se, least)
    widest = np.abs(errors).max()
    contender = ratio - widest * down <= (ratio + widest * up).min()
    errors = errors[:, contender]
    # Resamples of an event seen once or twice have errors of one sign; those of one normal ratio have both.
    above, below = (
        max(np.quantile(side.max(axis=1), (1 + level) / 2), stats.norm.ppf((1 + level) / 2))
        for side in (errors, -errors)
    )
    lower, upper = (ratio - above * down)[contender], (ratio + below * up)[contender]
    return float(lower.min()), float(upper.min()), int(contender.sum())


def _cross_fitted(losses: np.ndarray, rng: np.random.Generator) -> float:
    """Ratio of the pair chosen on the other folds, averaged over folds; folds of one pair are pooled."""
    num_examples = losses.shape[1]
    fold = rng.permutation(num_examples) % NUM_FOLDS
    chosen: dict[tuple[int, int], list[np.ndarray]] = {}
    for held_out in range(NUM_FOLDS):
        chosen_on = losses[:, fold != held_out]
        best = int(chosen_on.mean(axis=1).argmin())
        differences = chosen_on - chosen_on[best]
        sd = differences.std(axis=1)
        ratio = np.divide(differences.mean(axis=1), sd, out=np.full_like(sd, np.inf), where=sd > 0)
        rival = int(ratio.argmin())
        chosen.setdefault((best, rival), []).append((losses[rival] - losses[best])[fold == held_out])
    return sum(len(parts) * ratio_of_pair(parts) for parts in chosen.values()) / NUM_FOLDS


def ratio_of_pair(parts: list[np.ndarray]) -> float:
    """Estimate ``delta**2 / (2 sigma**2)`` from parts of a sample, at least four differences.

    ``m**2 - s**2 / size`` of each part and ``s**2`` of all are unbiased. Their ratio is not: ``E m**2 / s**2 = x**2
    (nu / (nu - 2) + (kurtosis - 3) / N) - 2 x skewness / N + 1 / size``, exactly at nu degrees of freedom if normal
    and else to order 1/N, by Taylor's formula and ``Var s**2``, ``Cov(m, s**2)``.
    """
    centred = np.concatenate([part - part.mean() for part in parts])
    size, freedom = len(centred), len(centred) - len(parts)
    variance = float(centred @ centred) / freedom
    largest = max(float(np.abs(part).max()) for part in parts)
    if variance <= (ROUNDING * largest) ** 2:
        return 0.0
    means = np.array([part.mean() for part in parts])
    squared = float(np.mean(means**2)) / variance
    skewness, excess = _shape(centred)
    tails = (2 * float(means.mean()) / math.sqrt(variance) * skewness - squared * excess) / size
    return ((freedom - 2) / freedom * squared - len(parts) / size + tails) / 2


def _shape(centred: np.ndarray) -> tuple[float, float]:
    """Return skewness and kurtosis less three by Fisher's k-statistics, right on average for normal samples."""
    size, squares = len(centred), centred * centred
    second = float(squares.mean())
    skewness = float((squares * centred).mean()) / second**1.5
    excess = float((squares * squares).mean()) / second**2 - 3
    return (
        skewness * math.sqrt(size * (size - 1)) / (size - 2),
        ((size + 1) * excess + 6) * (size - 1) / ((size - 2) * (size - 3)),
    )


def _nothing_differs() -> UnsupportedSetting:
    return UnsupportedSetting(
        "theory.indicator", "no two candidates differ at random, so there is no competitor to the minimiser."
    )
