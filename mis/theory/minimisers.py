"""Which candidate wins when one more example joins each of many sums of losses."""

from typing import Literal

import numpy as np

__all__ = ["PairMinimisers", "TableMinimisers"]


class PairMinimisers:
    """One rival: it wins if its sum and the example's difference together are below zero.

    Sorting both sides answers every (sum, example) pair at once; nothing of size sums times examples is held.

    Parameters
    ----------
    sums, examples
        Differences to the minimiser, shapes ``(1, M)`` and ``(1, Z)``.
    wins_ties
        Whether the rival's index is smaller than the minimiser's, one flag.
    rounding
        Differences of this size count as ties.
    """

    def __init__(self, sums: np.ndarray, examples: np.ndarray, wins_ties: list[bool], rounding: float):
        below = rounding if wins_ties[0] else -rounding
        sums, examples = sums[0] - below, examples[0]
        side: Literal["left", "right"] = "right" if wins_ties[0] else "left"
        self.by_sum, self.by_example = np.argsort(sums), np.argsort(examples)
        self.sums_below = np.searchsorted(sums[self.by_sum], -examples, side=side)
        self.examples_below = np.searchsorted(examples[self.by_example], -sums, side=side)

    def probabilities(self, weights: np.ndarray) -> np.ndarray:
        """Sum of the weights of the sums at which each rival wins with each example, shape ``(1, Z)``."""
        return _cumulated(weights[self.by_sum])[self.sums_below][None]

    def scores(self, table: np.ndarray) -> np.ndarray:
        """Sum over examples of ``table[winner, example]`` for each sum, 0 where no rival wins, shape ``(M,)``."""
        return _cumulated(table[0, self.by_example])[self.examples_below]

    def apart(self, weights: np.ndarray, shares: np.ndarray) -> np.ndarray:
        """Bound how far contributions to the advantage of draws 2i and 2i + 1 are apart, over all signs.

        ``sup_s |E_z s(z) (V(z) - E V)| = E|V - E V|``, V the difference of what the two draws add to the rival's
        probability of winning with z: as wins are nested, it takes three values at most.
        """
        wins = _cumulated(shares[self.by_example])[self.examples_below]
        (w1, w2), (a, b) = weights.reshape(-1, 2).T, wins.reshape(-1, 2).T
        both, either, mean = np.minimum(a, b), np.maximum(a, b), w1 * a - w2 * b
        one = np.where(a <= b, -w2, w1)
        return (
            both * np.abs(w1 - w2 - mean)
            + (either - both) * np.abs(one - mean)
            + np.maximum(1 - either, 0.0) * np.abs(mean)
        )


class TableMinimisers:
    """Several rivals: the winner of every (sum, example) pair, in a table.

    Parameters
    ----------
    sums, examples
        Differences to the minimiser, shapes ``(R, M)`` and ``(R, Z)``.
    wins_ties, candidates
        Whether each rival's index is smaller than the minimiser's; and the order in which rivals win ties
        among themselves.
    rounding
        Differences of this size count as ties.
    """

    def __init__(self, sums: np.ndarray, examples: np.ndarray, wins_ties: list[bool], rounding: float):
        self.num_rivals, self.shape = len(sums), (examples.shape[1], sums.shape[1])
        self.winner = np.empty(self.shape, dtype=np.uint16)
        for z in range(self.shape[0]):
            self.winner[z] = _winner(sums, examples[:, z], wins_ties, rounding)

    def probabilities(self, weights: np.ndarray) -> np.ndarray:
        """Sum of the weights of the sums at which each rival wins with each example, shape ``(R, Z)``."""
        return np.stack([np.bincount(w, weights, self.num_rivals + 1)[1:] for w in self.winner], axis=1)

    def scores(self, table: np.ndarray) -> np.ndarray:
        """Sum over examples of ``table[winner, example]`` for each sum, 0 where no rival wins, shape ``(M,)``."""
        padded = np.pad(table, ((1, 0), (0, 0)))
        total = np.zeros(self.shape[1])
        for z, winner in enumerate(self.winner):
            total += padded[winner, z]
        return total

    def apart(self, weights: np.ndarray, shares: np.ndarray) -> np.ndarray:
        """Bound how far contributions to the advantage of draws 2i and 2i + 1 are apart, in mean square over draws.

        By the squares of the contributions themselves. Over all signs they are at most ``w sum_k P_k (1 - P_k)``,
        P_k the part of the examples with which candidate k wins; ``sum P_k**2`` of the R rivals is at least 1/R times
        the square of their sum.
        """
        rival = np.zeros(self.shape[1])
        for share, winner in zip(shares, self.winner, strict=True):
            rival += share * (winner > 0)
        most = np.minimum(rival * (2 - rival) - rival**2 / self.num_rivals, 1.0)
        return np.sqrt(((weights * most).reshape(-1, 2) ** 2).sum(axis=1))


def _cumulated(values: np.ndarray) -> np.ndarray:
    """Return the sums of the first 0, 1, 2, ... values."""
    return np.concatenate([[0.0], np.cumsum(values)])


def _winner(sums: np.ndarray, example: np.ndarray, wins_ties: list[bool], rounding: float) -> np.ndarray:
    """Rank of the winning rival plus one, 0 for the minimiser; rivals in the order of their indices."""
    order = [
        *(r for r, first in enumerate(wins_ties) if first),
        -1,
        *(r for r, first in enumerate(wins_ties) if not first),
    ]
    lowest = np.full(sums.shape[1], np.inf)
    winner = np.zeros(sums.shape[1], dtype=np.uint16)
    for r in order:
        total = sums[r] + example[r] if r >= 0 else np.zeros(sums.shape[1])
        better = total < lowest - rounding
        lowest = np.where(better, total, lowest)
        winner[better] = r + 1
    return winner
