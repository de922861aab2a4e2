"""Who wins, exactly, by going through every count of every atom of a discrete law."""

import math
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from mis.numerics.checks import UnsupportedSetting
from mis.theory.differences import LOSS_ROUNDING
from mis.theory.laws import DiscreteLosses

__all__ = ["MAX_COUNTS", "ROUNDING", "Choices", "choices", "compositions", "num_counts"]

MAX_COUNTS = 5_000_000
# Numbers held at a time.
CHUNK = 2**20
# Weights are scaled up by exp(HEADROOM), so that those near 1e-308 still add to a probability of 1e-300.
HEADROOM = 400.0
# Relative error of a sum of weights: exponents up to 1100 in size are rounded once an atom.
ROUNDING = 1e-11


class Choices(NamedTuple):
    """What the learner returns given an example, each of shape ``(K, m)``: candidates by atoms.

    ``given`` holds ``p_k(z)``; ``shift`` its difference to ``p_k``, which is far smaller where most examples make
    no difference, and is computed from positive terms. ``error`` bounds the error of ``shift``, ``lost`` that of
    each ``given``.
    """

    given: np.ndarray
    shift: np.ndarray
    error: np.ndarray
    lost: float


def num_counts(law: DiscreteLosses, n: int) -> int:
    """Return ``C(n + m - 2, m - 1)``, how many counts of m atoms n - 1 examples can have."""
    return math.comb(n + len(law.probs) - 2, len(law.probs) - 1)


def choices(law: DiscreteLosses, n: int) -> Choices:
    """Return what the learner returns given each atom, from all counts of the other n - 1 examples.

    Never more than a chunk of counts at a time. With S the other examples and z' one more drawn afresh,

        p_k(z) - p_k = P(S with z returns k, S with z' does not) - P(S with z' returns k, S with z does not),

    and both are sums of positive terms, right to ``ROUNDING`` of themselves down to 1e-300: an example that
    changes the choice with probability 1e-24 shows as that, where a difference of p_k(z) and p_k would be
    rounding. Candidates are tied where their sums agree within what is known of each (`mis.theory.laws`).

    Raises
    ------
    UnsupportedSetting
        Where there are more than ``MAX_COUNTS`` counts.
    """
    num_atoms, num_losses = len(law.probs), law.num_losses
    if num_counts(law, n) > MAX_COUNTS:
        raise UnsupportedSetting(
            "theory.exact",
            f"n={n} examples on {num_atoms} atoms have {num_counts(law, n):.3g} counts, more than the "
            f"{MAX_COUNTS:.0g} that enumeration goes through; use theory.simulate, or theory.saddlepoint for two "
            "candidates.",
        )
    differences, rounding = law.losses - law.losses[law.best()], LOSS_ROUNDING * np.abs(law.losses)
    low, high = differences - rounding, differences + rounding
    log_terms = [_log_poisson(n * np.longdouble(p), n - 1) for p in law.probs]
    wins, comes, goes = np.zeros((3, num_losses, num_atoms))
    mass = 0.0
    for counts in compositions(n - 1, num_atoms, CHUNK // (num_atoms + 2 * num_losses) + 1):
        weights = np.exp(HEADROOM + sum(terms[c] for terms, c in zip(log_terms, counts.T, strict=True)))
        mass += weights.sum()
        least, most = counts @ low.T, counts @ high.T
        winner = np.empty(counts.shape, np.int64)
        for j in range(num_atoms):
            possible = least + low[:, j] <= (most + high[:, j]).min(axis=1, keepdims=True)
            winner[:, j] = np.argmax(possible, axis=1)
        for k in range(num_losses):
            won = (winner == k).astype(np.float64)
            lost = 1 - won
            wins[k] += weights @ won
            comes[k] += (weights * (lost @ law.probs)) @ won
            goes[k] += (weights * (won @ law.probs)) @ lost
    return Choices(wins / mass, (comes - goes) / mass, ROUNDING * (comes + goes) / mass, ROUNDING)


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


def _log_poisson(rate: np.floating, size: int) -> np.ndarray:
    """Log of ``rate**c / c!`` relative to its largest value, c = 0..size.

    Summed outwards from the mode, and in long doubles: the rounding error stays proportional to the result, where
    that of log-factorials grows with n.
    """
    steps = np.log(rate / np.arange(1, size + 1))
    mode = min(int(rate), size)
    logs = np.concatenate([np.cumsum(-steps[:mode][::-1])[::-1], [0.0], np.cumsum(steps[mode:])])
    return logs.astype(np.float64)
