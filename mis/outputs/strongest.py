"""The strongest of several attacks, chosen on other targets than it decides about.

Targets are dealt to groups. For each group every attack's threshold is chosen on all other groups; the attack that
reaches most there decides about this group. A single target is split by records.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from mis.attacks.audit import Audit
from mis.attacks.rates import Limits, difference_limits

__all__ = ["Decided", "Groups", "decide", "strongest", "strongest_limits"]

# Thresholds tried: scores of members, and of non-members, at even ranks.
TRIED = 2048


@dataclass(frozen=True)
class Groups:
    """The group of each score: by target ``(T, 1)``, or of a single target by record ``(1, N)``."""

    codes: np.ndarray
    count: int

    @classmethod
    def deal(cls, num_targets: int, num_records: int, most: int, rng: np.random.Generator) -> "Groups":
        """Deal targets to at most ``most`` groups, or the records of a single target to two halves."""
        if num_targets > 1:
            count = min(most, num_targets)
            return cls((np.arange(num_targets) % count)[:, None], count)
        return cls(rng.permutation(num_records)[None] % 2, 2)


@dataclass(frozen=True)
class Decided:
    """What an attack decides about each group by the threshold chosen on the others.

    Parameters
    ----------
    called
        Calls, bool ``(T, N)``.
    reached
        Its advantage on all other groups, ``(K,)``.
    """

    called: np.ndarray
    reached: np.ndarray


def decide(found: Audit, scores: np.ndarray, groups: Groups) -> Decided:
    """Choose a threshold for each group on all the others, and decide about it.

    Parameters
    ----------
    found
        The audit of these scores.
    scores
        Of the targets, ``(T, N)``.
    groups
        Of these scores.

    Notes
    -----
    Of the thresholds that come within a standard error of the best the median is taken, as in ``audit``.
    """
    codes = np.broadcast_to(groups.codes, scores.shape)
    sides = [
        replace(side, rows=codes[side.models, side.places], num_rows=groups.count) for side in found.samples
    ]
    ranks = [np.linspace(0, len(side) - 1, min(TRIED, len(side))).astype(int) for side in sides]
    grid = np.unique(np.concatenate([side.scores[rank] for side, rank in zip(sides, ranks, strict=True)]))
    (tpr, tpr_variance), (fpr, fpr_variance) = (_without_each(side, grid) for side in sides)
    gain, each = tpr - fpr, np.arange(groups.count)
    at = gain.argmax(axis=0)
    best = gain[at, each]
    near = gain >= best - np.sqrt(tpr_variance[at, each] + fpr_variance[at, each])
    among = [np.flatnonzero(near[:, k]) for k in each]
    thresholds = np.array([grid[places[len(places) // 2]] for places in among])
    return Decided(scores >= thresholds[groups.codes], best)


def _without_each(side, grid):
    """Rates above each threshold in all groups but one, with their binomial variances, both ``(G, K)``."""
    hits = side.above(grid, strict=False)
    sizes = np.maximum(side.sizes.sum() - side.sizes, 1)
    rates = (hits.sum(axis=1, keepdims=True) - hits) / sizes
    return rates, rates * (1 - rates) / sizes


def strongest(decided: Mapping[str, Decided], groups: Groups) -> tuple[list[str], np.ndarray]:
    """Return which attack reached most on all groups but each, and the calls of these attacks, bool ``(T, N)``."""
    chosen = [max(decided, key=lambda name: decided[name].reached[k]) for k in range(groups.count)]
    called = np.zeros_like(next(iter(decided.values())).called)
    for k, name in enumerate(chosen):
        called |= decided[name].called & (groups.codes == k)
    return chosen, called


def strongest_limits(
    called: np.ndarray, member: np.ndarray, nonmember: np.ndarray, units: np.ndarray, error: float
) -> Limits:
    """Return the advantage of these calls with its limits, between independent units.

    Parameters
    ----------
    called, member, nonmember
        Of the targets, bool ``(T, N)``; records that are neither were not attacked.
    units
        The number of each score's unit, ``(T, 1)`` by target or fold, or ``(1, N)`` by record.
    error
        At each end.
    """
    of, count = np.broadcast_to(units, called.shape), int(units.max()) + 1
    cells = (called & member, member, called & nonmember, nonmember)
    hits, sizes, false_hits, false_sizes = (np.bincount(of[cell], minlength=count) for cell in cells)
    return Limits(*map(float, difference_limits(hits, sizes, false_hits, false_sizes, error)))
