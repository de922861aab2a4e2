"""Values: the law of one loss difference D, and the same law tilted by exp(-tD)."""

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy import optimize, special

__all__ = ["Atoms", "Normal"]

# Relative size below which a difference of two losses counts as rounding.
ROUNDING = 1e-14


@dataclass(frozen=True)
class Normal:
    """D ~ N(mean, variance)."""

    mean: float
    variance: float

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


@dataclass(frozen=True, eq=False)
class Atoms:
    """D takes finitely many values, shape ``(m,)``, with ``log_probs`` that sum to one."""

    values: np.ndarray
    log_probs: np.ndarray

    @cached_property
    def mean(self) -> float:
        """Mean of D."""
        return float(np.exp(self.log_probs) @ self.values)

    @cached_property
    def variance(self) -> float:
        """Variance of D."""
        return float(np.exp(self.log_probs) @ (self.values - self.mean) ** 2)

    def prob(self, value: float) -> float:
        """Return P(D = value)."""
        return float(np.exp(self.log_probs[self.values == value]).sum())

    def log_mgf(self, t: float) -> float:
        """Return ``log E exp(-tD)``."""
        return float(special.logsumexp(self.log_probs - t * self.values))

    def tilted(self, t: float) -> "Atoms":
        """Return the law with probabilities proportional to ``probs * exp(-t values)``."""
        log_weights = self.log_probs - t * self.values
        return Atoms(self.values, log_weights - special.logsumexp(log_weights))

    def optimal_tilt(self) -> float:
        """Return the t at which the tilted mean is zero; infinite where D has one sign."""
        if self.values.min() >= 0:
            return math.inf
        if self.values.max() <= 0:
            return -math.inf
        near = 0.0
        far = self.mean / self.variance
        while self.tilted(far).mean * self.mean > 0:
            near, far = far, 2 * far
        if near == far:
            return 0.0
        return float(
            optimize.brentq(lambda t: self.tilted(t).mean, near, far, xtol=1e-15 * abs(far), rtol=1e-14)
        )

    def tilt_distance(self, t: float) -> float:
        """Return the total variation distance between this law and the one tilted by ``exp(-tD)``."""
        return 0.5 * float(np.abs(np.exp(self.log_probs) - np.exp(self.tilted(t).log_probs)).sum())

    def lattice(self) -> tuple[float, float]:
        """Return ``(origin, span)`` with every value in ``origin + span * integers`` and the span maximal.

        Found by Euclid's algorithm up to rounding; a span below 1e-7 of the range counts as none (0), for it
        would change nothing.
        """
        values = np.unique(self.values)
        origin = float(values[0])
        steps = values[1:] - origin
        rounding = 1e-10 * float(np.abs(values).max())
        span = 0.0
        for step in steps:
            span = _common_divisor(float(step), span, rounding)
            if span < 1e-7 * steps[-1]:
                return origin, 0.0
        span = float(steps[-1] / np.round(steps[-1] / span)) if span else 0.0
        return origin, span


def _common_divisor(a: float, b: float, rounding: float) -> float:
    """Greatest common divisor of two nonnegative numbers, remainders below ``rounding`` taken for zero."""
    while b > rounding:
        a, b = b, abs(a - b * round(a / b))
    return a
