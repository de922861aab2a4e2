"""Functions: who wins, exactly, by going through every count of every atom of a discrete law."""

import math
from collections.abc import Iterator

import numpy as np

from mis.numerics.checks import UnsupportedSetting
from mis.theory.laws import DiscreteLosses

__all__ = ["MAX_COUNTS", "choices", "compositions"]

MAX_COUNTS = 5_000_000
# Numbers held at a time.
CHUNK = 2**20
# Weights are scaled up by exp(HEADROOM), so that those near 1e-308 still add to a probability of 1e-300.
HEADROOM = 400.0


def choices(law: DiscreteLosses, n: int) -> np.ndarray:
    """Return the probability that the learner returns k given that z_1 is atom j, shape ``(K, m)``.

    Goes through all ``C(n + m - 2, m - 1)`` counts of the other n - 1 examples, never more than a chunk at a
    time. Each probability is a sum of positive terms, right to about 1e-12 of itself down to 1e-300.

    Raises
    ------
    UnsupportedSetting
        Where there are more than ``MAX_COUNTS`` counts.
    """
    num_atoms = len(law.probs)
    total = math.comb(n + num_atoms - 2, num_atoms - 1)
    if total > MAX_COUNTS:
        raise UnsupportedSetting(
            "theory.exact",
            f"n={n} examples on {num_atoms} atoms have {total:.3g} counts, more than the {MAX_COUNTS:.0g} "
            "that enumeration goes through; use theory.simulate, or theory.saddlepoint for two candidates.",
        )
    differences = law.losses - law.losses[law.best()]
    tie = 8 * np.finfo(float).eps * (num_atoms + 1) * n * np.abs(law.losses).max()
    log_terms = [_log_poisson(n * p, n - 1) for p in law.probs]
    wins, mass = np.zeros((law.num_losses, num_atoms)), 0.0
    for counts in compositions(n - 1, num_atoms, CHUNK // (num_atoms + 2 * law.num_losses) + 1):
        weights = np.exp(HEADROOM + sum(terms[c] for terms, c in zip(log_terms, counts.T, strict=True)))
        mass += weights.sum()
        sums = counts @ differences.T
        for j in range(num_atoms):
            with_z = sums + differences[:, j]
            winner = np.argmax(with_z <= with_z.min(axis=1, keepdims=True) + tie, axis=1)
            wins[:, j] += np.bincount(winner, weights, law.num_losses)
    return wins / mass


def compositions(total: int, parts: int, chunk: int) -> Iterator[np.ndarray]:
    """Yield all ways to write ``total`` as an ordered sum of ``parts`` counts, arrays ``(<= chunk, parts)``.

    Stars and bars, unranked by the combinatorial number system: the bars of rank r are the largest
    ``c_i < c_{i+1}`` with ``sum C(c_i, i) = r``.

    Examples
    --------
    >>> [block.tolist() for block in compositions(2, 2, chunk=10)]
    [[[0, 2], [1, 1], [2, 0]]]
    """
    slots = total + parts - 1
    columns = [np.arange(slots, dtype=np.float64)]
    for _ in range(2, parts):
        column = np.concatenate([[0.0], np.cumsum(columns[-1])[:-1]])
        columns.append(np.minimum(column, 1e15))  # beyond any rank, and float64 counts exactly up to here
    for start in range(0, math.comb(slots, parts - 1), chunk):
        rank = np.arange(start, min(start + chunk, math.comb(slots, parts - 1)), dtype=np.float64)
        counts = np.empty((len(rank), parts), dtype=np.int64)
        above = np.full(len(rank), slots)
        for i in range(parts - 1, 0, -1):
            bar = np.searchsorted(columns[i - 1], rank, side="right") - 1
            bar = np.minimum(bar, above - 1)
            rank = rank - columns[i - 1][bar]
            counts[:, i] = above - bar - 1
            above = bar
        counts[:, 0] = above
        yield counts


def _log_poisson(rate: float, size: int) -> np.ndarray:
    """Log of ``rate**c / c!`` relative to its largest value, c = 0..size.

    Summed outwards from the mode: the rounding error stays proportional to the result, where that of
    log-factorials grows with n.
    """
    steps = np.log(rate / np.arange(1, size + 1))
    mode = min(int(rate), size)
    return np.concatenate([np.cumsum(-steps[:mode][::-1])[::-1], [0.0], np.cumsum(steps[mode:])])
