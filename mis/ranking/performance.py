"""How well released networks perform, and which perform better, paired by network and by example."""

from dataclasses import dataclass

import numpy as np
from scipy import stats

from mis.results import Interval

__all__ = ["Performance", "performance", "train_performance"]


@dataclass(frozen=True, kw_only=True, eq=False)
class Performance:
    """Mean accuracy, or R2, of released networks, with what its two errors are made of.

    Parameters
    ----------
    of_networks
        Mean over the held-out examples for each network, ``(M,)``.
    of_examples
        For each held-out example what it contributes, ``(N,)``: its mean over the networks in a classification, in a
        regression that linearised about the mean (R2 is a ratio of two means over the same examples).
    """

    of_networks: np.ndarray
    of_examples: np.ndarray

    def interval(self, level: float) -> Interval:
        """Return the mean with its error from networks and from held-out examples.

        The two variances are added, which counts the interaction of networks and examples twice: too wide, if anything.
        """
        value = float(self.of_networks.mean())
        half = float(stats.norm.isf((1.0 - level) / 2.0) * self.error())
        return Interval(lower=value - half, value=value, upper=value + half, kind="monte-carlo", level=level)

    def error(self) -> float:
        """Return the standard error of the mean."""
        parts = (self.of_networks, self.of_examples)
        return float(np.sqrt(sum(part.var(ddof=1) / len(part) for part in parts)))


def performance(outputs: np.ndarray, targets: np.ndarray) -> Performance:
    """Return accuracy, or R2, of outputs ``(M, N, classes or 1)`` on examples with these targets.

    Examples
    --------
    >>> outputs = np.array([[[0.0, 1.0], [0.0, 1.0]], [[1.0, 0.0], [0.0, 1.0]]])
    >>> performance(outputs, np.array([1, 1])).of_networks.tolist()
    [1.0, 0.5]
    """
    if outputs.shape[-1] > 1:
        right = outputs.argmax(axis=-1) == targets
        return Performance(of_networks=right.mean(axis=1), of_examples=right.mean(axis=0))
    unit = np.var(targets)
    explained = 1.0 - (outputs[..., 0] - targets) ** 2 / unit
    of_networks = explained.mean(axis=1)
    # The unit is estimated on the same examples: linearise the ratio of the two means.
    moved = (1.0 - of_networks.mean()) * (targets - targets.mean()) ** 2 / unit
    return Performance(of_networks=of_networks, of_examples=explained.mean(axis=0) + moved)


def train_performance(outputs: np.ndarray, targets: np.ndarray, members: np.ndarray) -> float:
    """Return mean accuracy, or R2, on the examples each network was trained on, ``members`` bool ``(M, N)``."""
    if outputs.shape[-1] > 1:
        return float((outputs.argmax(axis=-1) == targets)[members].mean())
    errors = (outputs[..., 0] - targets) ** 2
    return float(1.0 - errors[members].mean() / np.var(targets))
