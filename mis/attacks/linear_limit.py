"""What attacks linear in the released parameters would reach with ever more shadow models."""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import special, stats

from mis.attacks.base import read_membership
from mis.numerics.checks import InvalidInput, confidence, finite, integer, refuse
from mis.numerics.quadrature import legendre
from mis.results import Interval

__all__ = ["LinearLimit", "linear_limit"]

# Directions with less than this share of the largest one's spread are rounding, that of float32 included.
SMALLEST = 1e-6
# Nodes of the mean over examples.
NODES, WEIGHTS = legendre(256)


@dataclass(frozen=True, kw_only=True)
class LinearLimit:
    """The advantage of linear attacks on the parameters, as it depends on the number of shadow models.

    Parameters
    ----------
    explained
        Share R² of the variance of membership that the best linear predictor from the parameters explains, mean over
        examples, estimated without bias.
    spread
        Standard deviation of the examples' true shares, estimated; 0 for one example.
    rank
        Number of directions in which the parameters vary.
    num_networks, num_examples
        Models and examples it was estimated from.
    level
        Confidence level.
    """

    explained: float
    spread: float
    rank: int
    num_networks: int
    num_examples: int
    level: float

    @property
    def error(self) -> float:
        """Standard error of ``explained``: over models, and over examples as a sample of their law."""
        variance = _estimation_variance(self.explained, self.rank, self.num_networks)
        return math.sqrt((self.spread**2 + variance) / self.num_examples)

    @property
    def advantage(self) -> Interval:
        """Advantage with infinitely many shadow models; kind ``asymptotic``."""
        return self._interval(math.inf)

    def with_shadows(self, num_shadows: int) -> Interval:
        """Advantage expected of a linear attack that estimates everything from ``num_shadows`` models.

        An attack with shift mu, K directions and m shadows is left with ``mu / sqrt((1 + 4 K / (mu² m)) m / (m - K))``:
        the first factor is the price of the example's own shift being estimated, the second that of the covariance.
        From ``K + 4 K / mu²`` shadows it keeps ``1 / sqrt(2 + mu² / 4)`` of the shift. An approximation, for ordinary
        least squares and normal parameters; penalised attacks do better where m is not far above K.

        Parameters
        ----------
        num_shadows
            More than ``rank``.

        References
        ----------
        Raudys (1967); Raudys, Young (2004), Results in statistical discriminant analysis, J. Multivariate Analysis 89.
        """
        least = self.rank + 1
        return self._interval(integer("LinearLimit.with_shadows", "num_shadows", num_shadows, at_least=least))

    def _interval(self, num_shadows: float) -> Interval:
        lower, upper = self.mean_shares()
        value = min(max(self.explained, 0.0), 1.0)
        ends = [self._mean(r, num_shadows) for r in (lower, value, upper)]
        return Interval(lower=min(ends), value=ends[1], upper=max(ends), kind="asymptotic", level=self.level)

    def mean_shares(self) -> tuple[float, float]:
        """Return the ends of mean shares r in [0, 1] with ``|explained - r| <= t error(r)``, errors taken at r itself.

        An error taken at the estimate would be too small wherever the estimate happens to be.
        """
        freedom = self.num_examples - 1 or self.num_networks - self.rank - 1
        t = float(stats.t.isf((1.0 - self.level) / 2.0, freedom))
        r = np.polynomial.Polynomial([0.0, 1.0])
        variance = self.spread**2 + _estimation_variance(r, self.rank, self.num_networks)
        outside = self.num_examples * (r - self.explained) ** 2 - t**2 * variance
        roots = outside.roots()
        ends = roots[np.abs(roots.imag) < 1e-9].real
        ends = ends[(ends > 0.0) & (ends < 1.0)]
        value = min(max(self.explained, 0.0), 1.0)
        lower = 0.0 if outside(0.0) <= 0.0 else float(ends[ends <= value].min(initial=value))
        upper = 1.0 if outside(1.0) <= 0.0 else float(ends[ends >= value].max(initial=value))
        return lower, upper

    def _mean(self, explained: float, num_shadows: float) -> float:
        """Mean advantage over examples whose shares follow the beta law of this mean and the spread."""
        room = explained * (1.0 - explained)
        if 0.0 < room <= self.spread**2 or room == 0.0:
            # Shares of 0 and 1 only, which the beta laws tend to.
            return explained
        shares, weights = np.array([explained]), np.ones(1)
        if self.spread > 0.0:
            size = room / self.spread**2 - 1.0
            shares = stats.beta(explained * size, (1.0 - explained) * size).ppf(NODES)
            weights = WEIGHTS
        # Of a share that underflows nothing is left; a share of one tells everything.
        shift = np.where(shares < 1.0, 0.0, np.inf)
        inside = (shares > 0.0) & (shares < 1.0)
        information = 4.0 * shares[inside] / (1.0 - shares[inside])
        lost = (information + 4.0 * self.rank / num_shadows) / (1.0 - self.rank / num_shadows)
        shift[inside] = information / np.sqrt(lost)
        return float(np.clip(weights @ special.erf(shift / math.sqrt(8.0)), 0.0, 1.0))


def _estimation_variance(share: Any, rank: int, num_networks: int) -> Any:
    """Variance of the adjusted R² of one example whose share is ``share``, for normal parameters."""
    # From one share to another in [0, 1] only: a negative estimate is one of a share of 0.
    if not isinstance(share, np.polynomial.Polynomial):
        share = min(max(share, 0.0), 1.0)
    return (1.0 - share) ** 2 * (4.0 * share + 2.0 * rank / (num_networks + 1)) / (num_networks - rank - 1)


def linear_limit(params: Any, membership: Any, *, level: float = 0.95) -> LinearLimit:
    """Estimate what attacks linear in the released parameters would reach with infinitely many shadow models.

    An attack estimates from its shadows how an example's membership moves the parameters, and with few shadows that
    estimate is noise. How much is missing can be told without more shadows: regress the membership of example i on the
    parameters; the share of explained variance in the population is ``R² = 4 c' V^-1 c``, c the covariance of the
    parameters with membership, V that of the parameters. If parameters are normal given the membership, with one
    covariance, the best attack is linear with shift ``mu² = 4 R² / (1 - R²)`` and advantage ``2 Phi(mu/2) - 1``. R² is
    estimated by the adjusted R², which is unbiased to order 1/M; the advantage is averaged over examples whose shares
    follow a beta law with their mean and their variance less that of the estimation.

    Parameters
    ----------
    params
        Released parameters of M models, shape ``(M, P)``. Constant and collinear columns do no harm.
    membership
        Which of N examples each model was trained on, each with probability 1/2; shape ``(M, N)``, boolean.
    level
        Confidence level.

    Returns
    -------
    LinearLimit
        A level, not a bound: attacks that are not linear may find more, and non-normal scores other numbers.

    Raises
    ------
    InvalidInput
        Shapes do not fit, or no more models than directions in which the parameters vary, plus two: then nothing is
        left to tell signal from noise.

    Notes
    -----
    *Intervals* take the examples as a sample of their law, with Student's t at one degree of freedom less than
    examples and the error of the models at each end itself: at level .95 they cover .97 and more from two examples on,
    and of two or three say little, as these say little of their law. The interval of a single example is for that
    example. No sample shows what none of it has: where one example in a hundred leaks and none of those given does, the
    limit is that of the others. Left out is that shares may not follow a beta law, which has cost a hundredth at most.

    References
    ----------
    Wilson (1927), Probable inference, JASA 22, for errors taken at the ends.
    Wherry (1931) for the adjusted R²; Fisher (1936) for least squares on labels as linear discriminant.

    Examples
    --------
    One example moves one weight by 2 standard deviations; the best attack's advantage is 2 Phi(1) - 1 = 0.683:

    >>> rng = np.random.default_rng(0)
    >>> member = np.arange(1000) % 2 == 0
    >>> limit = linear_limit((2.0 * member + rng.standard_normal(1000))[:, None], member[:, None])
    >>> round(limit.advantage.value, 2), round(limit.with_shadows(10).value, 2)
    (0.67, 0.63)
    """
    where = "attacks.linear_limit"
    params = finite(where, "params", params, ndim=2)
    labels = read_membership(where, "membership", membership).astype(np.float64)
    level = confidence(where, level)
    if labels.ndim != 2 or len(labels) != len(params) or labels.size == 0:
        raise refuse(where, "membership.shape", f"({len(params)}, N), as many models as params", labels.shape)
    num = len(params)
    centred, labels = params - params.mean(axis=0), labels - labels.mean(axis=0)
    if not labels.any(axis=0).all():
        example = int(np.flatnonzero(~labels.any(axis=0))[0])
        raise InvalidInput(
            f"{where}: expected every example in some models and not in others; example {example} is not."
        )
    size = np.sqrt(np.square(centred).sum(axis=0))
    # What is left of a constant column is rounding.
    varies = size > SMALLEST**2 * np.abs(params).max(initial=0.0, axis=0)
    directions, sizes, _ = np.linalg.svd(centred[:, varies] / size[varies], full_matrices=False)
    kept = sizes > SMALLEST * sizes.max(initial=0.0)
    rank = int(kept.sum())
    free = num - rank - 1
    if free < 2:
        raise InvalidInput(
            f"{where}: expected more models than directions they vary in plus two, got {num} and {rank}."
        )
    along = directions[:, kept].T @ labels
    explained = 1.0 - (1.0 - np.square(along).sum(axis=0) / np.square(labels).sum(axis=0)) * (num - 1) / free
    mean, count = float(explained.mean()), len(explained)
    # Memberships of different examples are as good as independent, and so are these errors: disjoint sets of a
    # thousand networks scatter no more than this says.
    seen = float(explained.var(ddof=1)) if count > 1 else 0.0
    return LinearLimit(
        explained=mean,
        spread=math.sqrt(max(seen - _estimation_variance(mean, rank, num), 0.0)),
        rank=rank,
        num_networks=num,
        num_examples=count,
        level=level,
    )
