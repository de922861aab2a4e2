"""The law of one loss difference D, and the same law tilted by exp(-tD)."""

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy import optimize

from mis.numerics.logspace import normalise

__all__ = ["Atoms", "Normal"]

# Relative size below which a mean of differences counts as rounding.
ROUNDING = 1e-14
# A loss is known up to this part of itself: decimals are rounded, and losses are results of a few operations.
LOSS_ROUNDING = 4 * float(np.finfo(np.float64).eps)
# Numbers held at a time.
BLOCK = 2**15


@dataclass(frozen=True)
class Normal:
    """D ~ N(mean, variance)."""

    mean: float
    variance: float

    @property
    def constant(self) -> bool:
        """Whether D is not random."""
        return self.variance == 0

    def log_mgf(self, t: float) -> float:
        """Return ``log E exp(-tD)``."""
        return t * (t * self.variance / 2 - self.mean)

    def tilted(self, t: float) -> "Normal":
        """Return the law with density proportional to ``exp(-tD)``."""
        return Normal(self.mean - t * self.variance, self.variance)

    def optimal_tilt(self) -> float:
        """Return the t at which the tilted mean is zero."""
        return self.mean / self.variance

    def tilt_distance(self, t: float) -> float:
        """Return the total variation distance between this law and the one tilted by ``exp(-tD)``."""
        return math.erf(abs(t) * math.sqrt(self.variance / 8))

    def lattice(self) -> tuple[float, float]:
        """Return ``(origin, span)`` of the lattice that carries D; span 0 where there is none."""
        return 0.0, 0.0

    def tie(self, n: int) -> float:  # noqa: ARG002
        """Return the size up to which a sum of n values counts as zero: ties have no probability."""
        return 0.0


@dataclass(frozen=True, eq=False)
class Atoms:
    """D takes finitely many values, shape ``(m,)``, with ``log_probs`` that sum to one.

    ``rounding``, ``(m,)``, is what each value may be off by; ``LOSS_ROUNDING`` of it where nothing is said.
    """

    values: np.ndarray
    log_probs: np.ndarray
    rounding: np.ndarray | None = None

    def tie(self, n: int) -> float:
        """Return the size up to which a sum of n values counts as zero."""
        return n * float(self._rounding.max())

    @property
    def _rounding(self) -> np.ndarray:
        return LOSS_ROUNDING * np.abs(self.values) if self.rounding is None else self.rounding

    @cached_property
    def constant(self) -> bool:
        """Whether D is not random."""
        return bool(np.ptp(self.values) == 0)

    @cached_property
    def mean(self) -> float:
        """Mean of D."""
        return float(np.exp(self.log_probs) @ self.values)

    @cached_property
    def variance(self) -> float:
        """Variance of D."""
        return float(np.exp(self.log_probs) @ (self.values - self.mean) ** 2)

    def cumulants(self, tilts: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return ``log E exp(-t (D - mean))``, and mean and variance of D tilted by ``exp(-tD)``, for each t.

        In blocks that stay in the cache, so that a law of 1e5 atoms costs little more than its exponentials.
        """
        tilts = np.atleast_1d(np.asarray(tilts, dtype=np.float64))
        top, sums = np.full(len(tilts), -np.inf), np.zeros((3, len(tilts)))
        rows = max(1, BLOCK // len(tilts))
        for block in (slice(i, i + rows) for i in range(0, len(self.values), rows)):
            centred = self.values[block] - self.mean
            exponents = self.log_probs[block] - tilts[:, None] * centred
            higher = np.maximum(top, exponents.max(axis=1))
            exponents -= higher[:, None]
            powers = np.stack([np.ones_like(centred), centred, centred**2])
            sums = sums * np.exp(top - higher) + powers @ np.exp(exponents, out=exponents).T
            top = higher
        shift = sums[1] / sums[0]
        return top + np.log(sums[0]), self.mean + shift, sums[2] / sums[0] - shift**2

    def prob(self, value: float) -> float:
        """Return P(D = value), up to rounding."""
        alike = np.abs(self.values - value) <= self._rounding
        return float(np.exp(self.log_probs[alike]).sum())

    def log_mgf(self, t: float) -> float:
        """Return ``log E exp(-tD)``."""
        return normalise(self.log_probs - t * self.values)[0]

    def tilted(self, t: float) -> "Atoms":
        """Return the law with probabilities proportional to ``probs * exp(-t values)``."""
        log_weights = self.log_probs - t * self.values
        return Atoms(self.values, log_weights - normalise(log_weights)[0], self.rounding)

    def optimal_tilt(self, rtol: float = 1e-14) -> float:
        """Return the t at which the tilted mean is zero; infinite where D has one sign."""
        if self.values.min() >= 0:
            return math.inf
        if self.values.max() <= 0:
            return -math.inf
        if abs(self.mean) <= ROUNDING * float(np.abs(self.values).max()):
            return 0.0

        def tilted_mean(t):
            return float(self.cumulants(t)[1][0])

        near, far = 0.0, math.copysign(min(abs(self.mean) / self.variance, self._furthest_tilt()), self.mean)
        while tilted_mean(far) * self.mean > 0:
            near, far = far, 2 * far
        return float(optimize.brentq(tilted_mean, near, far, xtol=rtol * abs(far) / 10, rtol=rtol))

    def _furthest_tilt(self) -> float:
        """Return a tilt, in size, at which the atom furthest on the other side outweighs all on the mean's."""
        values = math.copysign(1.0, self.mean) * self.values
        last = values.argmin()
        own = float(np.exp(self.log_probs) @ np.maximum(values, 0.0))
        return (math.log(own / -values[last]) - self.log_probs[last]) / -values[last] * (1 + 1e-9)

    def tilt_distance(self, t: float) -> float:
        """Return the total variation distance between this law and the one tilted by ``exp(-tD)``."""
        return 0.5 * float(np.abs(np.exp(self.log_probs) - np.exp(self.tilted(t).log_probs)).sum())

    def lattice(self) -> tuple[float, float]:
        """Return ``(origin, span)`` with every value in ``origin + span * integers`` and the span maximal.

        Found by Euclid's algorithm, then checked: no value may be off by more than its own rounding and that of
        the ends, between which the lattice is laid out. A span below 1e-7 of the range counts as none (0).
        """
        origin, size = float(self.values.min()), float(np.abs(self.values).max())
        width = float(self.values.max()) - origin

        def common(values):
            span = 0.0
            for value in values:
                span = _common_divisor(float(value) - origin, span, 1e-10 * size)
                if 0 < span < 1e-7 * width:
                    return 0.0
            return span

        # A few values settle it for losses without a lattice, before any sorting.
        if not (common(self.values[:64]) or np.ptp(self.values[:64]) == 0):
            return origin, 0.0
        span = common(np.unique(self.values))
        if not span:
            return origin, 0.0
        span = width / round(width / span)
        rounding, low, high = self._rounding, self.values.argmin(), self.values.argmax()
        at = (self.values - origin) / width
        off = np.abs(self.values - (origin + span * np.round((self.values - origin) / span)))
        allowed = rounding + (1 - at) * rounding[low] + at * rounding[high]
        return origin, span if (off <= allowed).all() else 0.0


def _common_divisor(a: float, b: float, rounding: float) -> float:
    """Greatest common divisor of two nonnegative numbers, remainders below ``rounding`` taken for zero."""
    while b > rounding:
        a, b = b, abs(a - b * round(a / b))
    return a
