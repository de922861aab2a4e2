"""The likelihood ratio attack whose variances are shared between examples by a prior."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from scipy import special, stats

from mis.attacks.base import Attack, Input, finite_scores
from mis.attacks.lira import side_moments
from mis.numerics.checks import InvalidInput

__all__ = ["BaVarIA", "Prior"]

# Degrees of freedom of the prior: no fewer, for a finite variance of what it predicts, and as good as infinitely many.
FEWEST, MOST = 2.0, 1e4

# A logarithm of a variance further than this many quartile distances above the median counts as that far.
FAR = 5.0

# Smallest standard deviation, as a share of an example's usual range of shadow scores: ties must not divide by zero.
FLOOR = 1e-10


@dataclass(frozen=True)
class Prior:
    r"""Normal-inverse-gamma law of an example's mean and variance on one side.

    Parameters
    ----------
    mean
        :math:`\mu_0`.
    weight
        :math:`\kappa_0`: how many models it is worth for the mean.
    degrees
        :math:`2 \alpha_0`: how many degrees of freedom it is worth for the variance.
    variance
        :math:`\beta_0 / \alpha_0`.
    """

    mean: float
    weight: float
    degrees: float
    variance: float

    @classmethod
    def fit(cls, count: np.ndarray, mean: np.ndarray, squares: np.ndarray, least: float) -> "Prior":
        r"""Fit it to how examples differ.

        Parameters
        ----------
        count, mean, squares
            Of each example the number of models, their mean score, and their squared deviations from it, ``(N,)``.
        least
            Smallest variance.

        Notes
        -----
        Where variances are inverse gamma, those of samples with :math:`d` degrees of freedom are :math:`s_0^2` times
        an F variable of :math:`d, d_0` degrees, so that :math:`\log s^2` has mean
        :math:`\log s_0^2 + \psi(d/2) - \log(d/2) - \psi(d_0/2) + \log(d_0/2)` and variance
        :math:`\psi'(d/2) + \psi'(d_0/2)`; both are matched. Means have the variance
        :math:`\sigma^2 (1/\kappa_0 + 1/n)`, matched to their quartiles, so that few wild examples change little.

        References
        ----------
        Smyth (2004), Linear models and empirical Bayes methods, Stat. Appl. Genet. Mol. Biol. 3, section 6.2.
        """
        some = count > 1
        half = (count[some] - 1) / 2
        logs = np.log(np.maximum(squares[some] / (2 * half), least)) - special.digamma(half) + np.log(half)
        middle, high = np.quantile(logs, (0.5, 0.75))
        logs = np.minimum(logs, middle + FAR * (high - middle))
        spread = logs.var(ddof=1) if len(logs) > 1 else 0.0
        degrees = 2 * _trigamma_inverse(spread - special.polygamma(1, half).mean())
        variance = float(np.exp(logs.mean() + special.digamma(degrees / 2) - np.log(degrees / 2)))
        low, centre, high = np.quantile(mean, (0.25, 0.5, 0.75))
        between = ((high - low) / (2 * stats.norm.ppf(0.75))) ** 2 - variance * np.mean(1 / count)
        return cls(float(centre), variance / max(between, variance / MOST), degrees, variance)

    def predict(self, count: np.ndarray, mean: np.ndarray, squares: np.ndarray) -> tuple[np.ndarray, ...]:
        """Return degrees of freedom, centre and scale of Student's t for one more score, given these, ``(N,)``."""
        weight, degrees = self.weight + count, self.degrees + count
        centre = (self.weight * self.mean + count * mean) / weight
        total = self.degrees * self.variance + squares
        total = total + self.weight * count * np.square(mean - self.mean) / weight
        return degrees, centre, np.sqrt(total / degrees * (1 + 1 / weight))


@dataclass(frozen=True, kw_only=True)
class BaVarIA(Attack):
    """Likelihood ratio of two Student's t (BaVarIA), whose variances examples share by a prior.

    As ``LiRA``, but the mean and the variance of an example's scores, on each side, have a normal-inverse-gamma
    prior, and the score is the logarithm of the ratio of the two predictive densities, Student's t, in nats: exact
    where the prior holds. With few shadow models an example's own variance is mostly chance, and one pooled variance is
    wrong for most examples; the prior lies between, as far as the examples themselves say. With ever more shadow models
    the score is LiRA's. Offline, where no shadow model trained on the examples, it is minus the logarithm of the
    probability that a model without the example scores as high.

    Parameters
    ----------
    online
        Whether shadow models were trained with the examples; offline ignores the scores of those that were.

    Notes
    -----
    Inputs of ``scores``, and what counts as infinite, as of ``LiRA``. Each side needs at least one model for every
    example, and two for some. The prior is fitted to all examples (empirical Bayes), see ``Prior.fit``, where the paper
    sets its strength.

    References
    ----------
    Brännvall (2026), Exponential-Family Membership Inference: From LiRA and RMIA to BaVarIA, arXiv:2603.11799.
    Murphy (2007), Conjugate Bayesian analysis of the Gaussian distribution, section 3.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> membership = np.arange(8)[:, None] % 2 < np.ones(50)
    >>> shadow_scores = rng.normal(size=(8, 50)) + 2 * membership
    >>> scores = BaVarIA().scores(
    ...     shadow_scores=shadow_scores, shadow_membership=membership, target_scores=np.full(50, 3.0))
    >>> bool((scores > 0).all())
    True
    """

    online: bool = True

    def __post_init__(self):
        if not isinstance(self.online, bool):
            raise InvalidInput(f"BaVarIA: expected online True or False, got online={self.online!r}.")

    @property
    def needs(self) -> Mapping[str, Input]:
        """Shadow scores and memberships, the target's scores."""
        return {
            "shadow_scores": Input("M N"),
            "shadow_membership": Input("M N", bool),
            "target_scores": Input("T N"),
        }

    def evaluate(self, *, shadow_scores, shadow_membership, target_scores) -> np.ndarray:
        """Predict the target's scores from each side, compare the two densities there."""
        shadow_scores, target_scores = finite_scores(shadow_scores, target_scores)
        # A large common offset costs no digits.
        offset = np.median(shadow_scores)
        shadow_scores, target_scores = shadow_scores - offset, target_scores - offset
        ranges = np.ptp(shadow_scores, axis=0)
        if self.online and not ranges.any():
            # Neither side differs from the other; how many models either has must tell nothing.
            return np.zeros_like(target_scores)
        usual = float(np.quantile(ranges[ranges > 0], 0.5, method="lower")) if ranges.any() else 1.0
        asked = ("in", "out") if self.online else ("out",)
        sides = side_moments("BaVarIA", shadow_scores, shadow_membership, asked)[-len(asked) :]
        sides[:, 1] += shadow_scores[0]
        found = [_distances(side, target_scores, FLOOR * usual) for side in sides]
        if not self.online:
            [(df, distance, _)] = found
            return -stats.t.logsf(distance, df)
        inside, outside = (_log_t(*each) for each in found)
        return inside - outside


def _distances(moments, scores, least):
    """Return degrees of freedom, standardised scores and scale of the Student's t that a side predicts."""
    count, mean, squares = moments
    degrees, centre, scale = Prior.fit(count, mean, squares, least**2).predict(count, mean, squares)
    scale = np.maximum(scale, least)
    return degrees, (scores - centre) / scale, scale


def _log_t(df, distance, scale):
    """Logarithm of Student's t density, large distances included."""
    constant = special.gammaln((df + 1) / 2) - special.gammaln(df / 2) - 0.5 * np.log(np.pi * df)
    ratio = np.abs(distance) / np.sqrt(df)
    return constant - np.log(scale) - (df + 1) / 2 * np.logaddexp(0.0, 2 * np.log(np.maximum(ratio, 1e-300)))


def _trigamma_inverse(value):
    """Return x with psi'(x) = value, between half of the fewest and of the most degrees of freedom."""
    low, high = FEWEST / 2, MOST / 2
    if value <= special.polygamma(1, high):
        return high
    if value >= special.polygamma(1, low):
        return low
    # psi' falls: bisect its logarithm.
    for _ in range(60):
        middle = np.sqrt(low * high)
        low, high = (middle, high) if special.polygamma(1, middle) > value else (low, middle)
    return float(np.sqrt(low * high))
