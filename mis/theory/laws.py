"""Loss laws, the central object. The law of the losses of K candidates on one random example.

The learner minimises the empirical loss over a finite codebook ``theta_1 .. theta_K``; everything it leaks is
a functional of the law of ``(loss(theta_1, Z), ..., loss(theta_K, Z))`` and of the sample size n. Rows are
candidates, columns are atoms or examples.

Ties, once and for all of ``mis.theory``: of several candidates with the smallest empirical loss the learner
returns the one with the **smallest index**. Losses are floats, each known up to four units in the last place,
``4 * 2**-52`` of itself; a sum of losses is known up to the sum of that. Sums are tied where they agree within
what is known, so that losses 0.1 + 0.2 tie with 0.3, and 1 - 1e-9 does not with 1. On a lattice, in formulas
and in simulation, where losses are not summed one by one, n times the largest such bound of an example counts.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from mis.numerics.checks import InvalidInput, finite, names, refuse
from mis.theory.differences import LOSS_ROUNDING, Atoms, Normal

__all__ = ["DiscreteLosses", "GaussianLosses", "LossLaw", "SampledLosses", "loss_law"]

# Squares of losses, and what they are divided by, stay representable within these.
SMALLEST, LARGEST = 1e-50, 1e50


@dataclass(frozen=True, eq=False)
class GaussianLosses:
    """Jointly normal losses of K candidates.

    Parameters
    ----------
    mean
        Expected losses, shape ``(K,)``, K >= 2.
    cov
        Covariance of the losses, shape ``(K, K)``, symmetric and positive semi-definite.

    Examples
    --------
    >>> GaussianLosses(mean=[0.0, 0.3], cov=[[0.0, 0.0], [0.0, 1.0]]).difference(1, 0)
    Normal(mean=0.3, variance=1.0)
    """

    mean: Any
    cov: Any

    def __post_init__(self):
        where = "GaussianLosses"
        mean = _sized(where, "mean", finite(where, "mean", self.mean, ndim=1), 0.0, LARGEST)
        cov = _sized(where, "cov", finite(where, "cov", self.cov, ndim=2), SMALLEST**2, LARGEST**2)
        if len(mean) < 2:
            raise InvalidInput(
                f"{where}: expected mean of at least two candidates, got mean.shape={mean.shape}."
            )
        if cov.shape != (len(mean), len(mean)):
            raise InvalidInput(
                f"{where}: expected cov of shape {(len(mean),) * 2}, got cov.shape={cov.shape}."
            )
        size = np.abs(cov).max()
        if np.abs(cov - cov.T).max() > 1e-10 * size:
            raise InvalidInput(
                f"{where}: expected cov symmetric, got entries that differ from their mirror image."
            )
        smallest = np.linalg.eigvalsh(cov)[0]
        if smallest < -1e-10 * size:
            raise InvalidInput(
                f"{where}: expected cov positive semi-definite, got an eigenvalue {smallest:g}."
            )
        object.__setattr__(self, "mean", mean)
        object.__setattr__(self, "cov", (cov + cov.T) / 2)

    @property
    def num_losses(self) -> int:
        """K, the number of candidates."""
        return len(self.mean)

    def best(self) -> int:
        """Return the index of the smallest expected loss."""
        return _first_smallest(self.mean, np.abs(self.mean))

    def difference(self, k: int, reference: int) -> Normal:
        """Return the law of the loss of candidate ``k`` minus that of ``reference``."""
        mean, cov = self.differences([k], reference)
        return Normal(float(mean[0]), float(cov[0, 0]))

    def differences(self, candidates: Sequence[int], reference: int) -> tuple[np.ndarray, np.ndarray]:
        """Return mean and covariance of the losses of ``candidates`` minus that of ``reference``.

        Sums of four entries, rounded once: nothing is lost where they all but cancel. Zero where what is left is
        within the rounding of the entries.
        """
        mean = self.mean[list(candidates)] - self.mean[reference]
        cov = np.empty((len(mean), len(mean)))
        for i, j in np.ndindex(*cov.shape):
            a, b, c = candidates[i], candidates[j], reference
            parts = [self.cov[a, b], -self.cov[a, c], -self.cov[c, b], self.cov[c, c]]
            left = math.fsum(parts)
            cov[i, j] = left if abs(left) > LOSS_ROUNDING * sum(map(abs, parts)) / 2 else 0.0
        negative = np.diag(cov) < 0
        cov[negative], cov[:, negative] = 0.0, 0.0
        return mean, cov


@dataclass(frozen=True, eq=False)
class DiscreteLosses:
    """Losses of K candidates on data with m atoms.

    Parameters
    ----------
    losses
        Loss of candidate k on atom j, shape ``(K, m)``, K >= 2.
    probs
        Probabilities of the atoms, shape ``(m,)``; their sum may differ from one by rounding (1e-9). Atoms of
        probability zero are dropped.

    Examples
    --------
    >>> law = DiscreteLosses(losses=[[0.0, 0.0, 0.0], [-0.9, 0.15, 0.6]], probs=[0.2, 0.5, 0.3])
    >>> round(law.difference(1, 0).mean, 12)
    0.075
    """

    losses: Any
    probs: Any

    def __post_init__(self):
        where = "DiscreteLosses"
        losses = _sized(where, "losses", finite(where, "losses", self.losses, ndim=2), SMALLEST, LARGEST)
        probs = finite(where, "probs", self.probs, ndim=1)
        if len(losses) < 2:
            raise InvalidInput(
                f"{where}: expected losses of at least two candidates, got losses.shape={losses.shape}."
            )
        if losses.shape[1] != len(probs):
            raise InvalidInput(
                f"{where}: expected one probability per column of losses, got losses.shape={losses.shape} "
                f"and probs.shape={probs.shape}."
            )
        if probs.min() < 0:
            raise refuse(where, "probs", ">= 0", float(probs.min()))
        if abs(probs.sum() - 1) > 1e-9:
            raise InvalidInput(f"{where}: expected probs to sum to 1, got a sum of {probs.sum():.12g}.")
        kept = probs > 0
        object.__setattr__(self, "losses", losses[:, kept])
        object.__setattr__(self, "probs", probs[kept] / probs.sum())

    @property
    def num_losses(self) -> int:
        """K, the number of candidates."""
        return len(self.losses)

    @property
    def log_probs(self) -> np.ndarray:
        """Logarithms of the probabilities of the columns, shape ``(m,)``."""
        return np.log(self.probs)

    def best(self) -> int:
        """Return the index of the smallest expected loss."""
        return _first_smallest(self.losses @ self.probs, np.abs(self.losses) @ self.probs)

    def difference(self, k: int, reference: int) -> Atoms:
        """Return the law of the loss of candidate ``k`` minus that of ``reference``."""
        return _difference(self, k, reference)


@dataclass(frozen=True, eq=False)
class SampledLosses:
    """Losses of K candidates measured on N examples, from any framework.

    The examples must be fresh: none of them trained any of the candidates.

    Parameters
    ----------
    losses
        Loss of candidate k on example i, shape ``(K, N)``, K >= 2, N >= 2.
    names
        Optional names of the candidates, shape ``(K,)``.

    Examples
    --------
    >>> SampledLosses(losses=[[0.0, 1.0, 0.0], [1.0, 1.0, 0.0]], names=["a", "b"]).best()
    0
    """

    losses: Any
    names: Sequence[str] | None = None

    def __post_init__(self):
        where = "SampledLosses"
        losses = _sized(where, "losses", finite(where, "losses", self.losses, ndim=2), SMALLEST, LARGEST)
        if losses.shape[0] < 2 or losses.shape[1] < 2:
            raise InvalidInput(
                f"{where}: expected losses of at least two candidates on two examples, "
                f"got losses.shape={losses.shape}."
            )
        object.__setattr__(self, "losses", losses)
        if self.names is not None:
            object.__setattr__(self, "names", names(where, "names", self.names, len(losses)))

    @property
    def num_losses(self) -> int:
        """K, the number of candidates."""
        return len(self.losses)

    @property
    def log_probs(self) -> np.ndarray:
        """Logarithms of the probabilities of the columns, all equal, shape ``(N,)``."""
        num_examples = self.losses.shape[1]
        return np.full(num_examples, -np.log(num_examples))

    def best(self) -> int:
        """Return the index of the smallest mean loss."""
        return _first_smallest(self.losses.mean(axis=1), np.abs(self.losses).mean(axis=1))

    def difference(self, k: int, reference: int) -> Atoms:
        """Return the empirical law of the loss of candidate ``k`` minus that of ``reference``."""
        return _difference(self, k, reference)


LossLaw = GaussianLosses | DiscreteLosses | SampledLosses


def loss_law(where: str, law: Any) -> LossLaw:
    """Return ``law`` if it is a loss law, or refuse it."""
    if not isinstance(law, LossLaw):
        raise refuse(where, "law", "a GaussianLosses, DiscreteLosses or SampledLosses", law)
    return law


def _sized(where: str, name: str, values: np.ndarray, smallest: float, largest: float) -> np.ndarray:
    """Return ``values``, all zero or the largest of them of a size whose square can be computed with."""
    size = float(np.abs(values).max())
    if size and not smallest <= size <= largest:
        raise refuse(
            where, f"the largest of {name}", f"in {smallest:g}..{largest:g} in size; change the unit", size
        )
    return values


def _first_smallest(expected: np.ndarray, size: np.ndarray) -> int:
    """Smallest index among the smallest values, up to the rounding of sums of terms of a total ``size``."""
    rounding = LOSS_ROUNDING * size
    return int(np.argmax(expected - rounding <= (expected + rounding).min()))


def _difference(law: "DiscreteLosses | SampledLosses", k: int, reference: int) -> Atoms:
    """Row ``k`` minus row ``reference``; what is zero or constant up to rounding is made so."""
    own, other = law.losses[k], law.losses[reference]
    values, rounding = own - other, LOSS_ROUNDING * (np.abs(own) + np.abs(other))
    values = np.where(np.abs(values) <= rounding, 0.0, values)
    if (values - rounding).max() <= (values + rounding).min():
        values = np.full_like(values, values[rounding.argmin()])
    return Atoms(values, law.log_probs, rounding)
