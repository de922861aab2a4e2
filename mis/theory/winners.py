"""Values: which candidate wins when one more example joins each of many sums of losses."""

from typing import Literal

import numpy as np

__all__ = ["PairWinners", "TableWinners"]


class PairWinners:
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
        self.sums, self.examples = sums[0] - below, examples[0]
        self.side: Literal["left", "right"] = "right" if wins_ties[0] else "left"

    def probabilities(self, weights: np.ndarray) -> np.ndarray:
        """Sum of the weights of the sums at which each rival wins with each example, shape ``(1, Z)``."""
        return self._sum_below(self.sums, weights, -self.examples)[None]

    def scores(self, table: np.ndarray) -> np.ndarray:
        """Sum over examples of ``table[winner, example]`` for each sum, 0 where no rival wins, shape ``(M,)``."""
        return self._sum_below(self.examples, table[0], -self.sums)

    def _sum_below(self, points, values, limits):
        order = np.argsort(points)
        total = np.concatenate([[0.0], np.cumsum(values[order])])
        return total[np.searchsorted(points[order], limits, side=self.side)]


class TableWinners:
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
