"""The certified ROC of many independent coordinates, by convolution on a lattice."""

import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from mis.numerics.convolution import Laws, lattice_sum, window
from mis.theory import privacy_loss
from mis.theory.coordinate import WIDEST, Coordinate, Outcomes, num_bins, outcomes
from mis.theory.roc import Roc, descending

__all__ = ["Lattice", "compose", "compose_outcomes"]

LARGEST_LATTICE = 2**21
# Classes of all coordinates together, and numbers that are worked on at a time.
MOST_CLASSES, BLOCK = 2**23, 2**21
TAIL = 1e-14
# Relative error of one coordinate's ratios: normal probabilities and their logarithms.
ROUNDING = 1e-12


def compose(coordinates: Sequence[Coordinate], r: float, resolution: float) -> tuple[Roc, dict[str, Any]]:
    r"""Enclose the ROC of a product of independent coordinates.

    *Proof.* For each coordinate, what the attacker sees is divided into classes, cell times a bin of z, with
    the masses under both laws and the range of the likelihood ratio within (``coordinate.outcomes``).

    Lower bound, post-processing: of each class only the nearest point of a lattice to its log likelihood ratio
    is seen, ``k`` times the step s, and of all coordinates only the sum of the k, and that only where it lies in
    a window (``privacy_loss.merge``). Its law under members is a convolution; under non-members ``e^{-s k}`` times
    one, of ``e^{s k}`` times their masses, close to the first.

    Upper bound: the mass of a class moves to the ends of its range, means kept, and on to the lattice
    (``privacy_loss.spread``). That raises ``E_Q (X - t)^+`` at every t, and does so in products, so the d
    coordinates may be replaced one after the other. The loss of the product then lies on the lattice, its law
    under members is a convolution, and ``h(t) = E_P (1 - t e^-L)^+`` has weights in [0, 1].

    Convolutions are by FFT on a circle as long as the window. A wrong mass of members moves ``h(t)`` by no more
    than that mass; masses of non-members in the lower bound are only ever taken too large: what lies outside
    the window is on the circle too, and what the FFT may have lost is added at every point. So ``h`` is off by at
    most ``slack``, the sum of

    - the members' mass outside the window, by Chernoff's bound, 1e-14 on either side and in either bound;
    - the rounding of the FFT, as bounded in ``lattice_sum``;
    - per coordinate, mass of members in no class, quadrature and rounding of the classes' masses (together
      ``missed``), and a relative 1e-12 for the rounding of ratios: ``q`` off by a factor ``1 + e`` moves
      ``(p - t q)^+`` by at most ``e p``;
    - the rounding of the last sum.

    Parameters
    ----------
    coordinates
        Distinct ones, with their numbers of copies.
    r
        Correlation of a member with the estimate.
    resolution
        Width of the bins of z, and step of the lattice in root mean squares of one coordinate's loss; both
        errors are of second order in it.

    Returns
    -------
    Roc, dict
        ``slack``, ``step`` (nats), ``size`` of the circle; ``capped`` where memory forbids the resolution.
    """
    counts = np.array([c.copies for c in coordinates])
    seen, coarse = _outcomes(coordinates, r, resolution)
    return compose_outcomes(seen, counts, resolution, coarse=coarse)


def compose_outcomes(
    seen: Outcomes, counts: np.ndarray, resolution: float, *, coarse: bool = False
) -> tuple[Roc, dict[str, Any]]:
    """Enclose the ROC of a product of releases whose classes are given; proof, returns as of ``compose``.

    Parameters
    ----------
    seen
        Classes of all releases, sorted by release.
    counts
        Copies of each.
    resolution
        Step of the lattice in root mean squares of one release's loss.
    coarse
        Whether the classes are coarser than they should be.
    """
    second = float((seen.members * np.square(seen.loss)) @ counts[seen.owner])
    finest = step = max(resolution * math.sqrt(second / counts.sum()), 1e-12)
    # Where next to nothing leaks the losses span far more than their standard deviation: bounded before it is stored.
    step = max(step, float(seen.high.max() - seen.low.min()) / LARGEST_LATTICE)
    while True:
        lattice = Lattice(seen, counts, step)
        begin, size = lattice.circle(max(math.sqrt(second), 1e-300))
        if size <= LARGEST_LATTICE:
            break
        step *= size / LARGEST_LATTICE
    tilted, log_total = lattice.tilted()
    laws = lattice.above(), lattice.below(seen.members), lattice.below(tilted)
    sums, errors = zip(*(lattice_sum(law, size) for law in laws), strict=True)
    # Residue k modulo size stands for the one index begin..begin + size - 1 that is congruent to it.
    above, members, others = (np.roll(masses, lattice.origin - begin) for masses in sums)
    loss = step * (begin + np.arange(size))
    upper = above[::-1], (above * np.exp(np.clip(-loss, -700, 700)))[::-1]
    # What the FFT may have lost at any one point goes to the others: it can but lower h, at every t.
    others = (others + errors[2] / math.sqrt(size)) * np.exp(np.clip(log_total - loss, -700, 700))
    slack = 2 * TAIL + max(errors[:2]) + size * 2.3e-16 + float(counts @ (seen.missed + ROUNDING))
    details = {"slack": slack, "step": step, "size": size, "capped": coarse or step > finest}
    return Roc(lower=descending(members, others), upper=upper, slack=slack, kind="certified"), details


def _outcomes(coordinates: Sequence[Coordinate], r: float, resolution: float) -> tuple[Outcomes, bool]:
    """Return the classes of all coordinates, and whether they are coarser than asked for, to bound memory."""
    step = finest = min(resolution, WIDEST)
    while True:
        bins = num_bins(step)
        classes = np.array([min(len(c.edges), 2 * bins) + 1 for c in coordinates]) * bins
        if classes.sum() <= MOST_CLASSES or step == WIDEST:
            break
        step = min(1.2 * step, WIDEST)
    # Some ten times as many numbers at a time as there are classes.
    blocks = np.cumsum(classes) // (BLOCK // 10)
    parts, start = [], 0
    for block in np.split(np.arange(len(coordinates)), np.flatnonzero(np.diff(blocks)) + 1):
        found = outcomes([coordinates[i] for i in block], r, step)
        parts.append(found._replace(owner=found.owner + start))
        start += len(block)
    return Outcomes(*map(np.concatenate, zip(*parts, strict=True))), step > finest


class Lattice:
    """Classes of all coordinates, sorted by coordinate, on the points ``step * (first + column)``."""

    def __init__(self, seen: Outcomes, counts: np.ndarray, step: float):
        self.seen, self.counts, self.step = seen, counts, step
        self.first = math.floor(seen.low.min() / step)
        self.width = math.floor(seen.high.max() / step) + 2 - self.first
        self.origin = self.first * int(counts.sum())

    def above(self) -> Iterator[Laws]:
        """Yield laws that leak at least as much, one a row, and how often each occurs."""
        for rows, classes in self._blocks():
            owner, members, _, loss, low, high = (x[classes] for x in self.seen[:6])
            index, mass = privacy_loss.spread(members, loss, low, high, self.step)
            yield self._table(rows, np.tile(owner, 4), index, mass), self.counts[rows]

    def below(self, mass: np.ndarray) -> Iterator[Laws]:
        """Yield laws of what the attacker sees, the nearest lattice point, and how often each occurs."""
        for rows, classes in self._blocks():
            index = privacy_loss.merge(self.seen.loss[classes], self.step)
            yield self._table(rows, self.seen.owner[classes], index, mass[classes]), self.counts[rows]

    def tilted(self) -> tuple[np.ndarray, float]:
        """Return masses of non-members times ``exp(step * index)``, over their sums, and the log of the sums' product.

        Close to those of members: the tail that is out of the circle is as small, and nothing underflows.
        """
        index = privacy_loss.merge(self.seen.loss, self.step)
        mass = self.seen.members * np.exp(self.step * index - self.seen.loss)
        sums = np.bincount(self.seen.owner, mass)
        return mass / sums[self.seen.owner], float(self.counts @ np.log(sums))

    def circle(self, scale: float) -> tuple[int, int]:
        """Return first index and size, a power of two, of what holds the sums of members but for their tails."""
        values = self.step * (self.first + np.arange(self.width))
        ends = [window(values, laws, TAIL, scale) for laws in (self.above(), self.below(self.seen.members))]
        begin = math.floor(min(low for low, _ in ends) / self.step)
        high = max(high for _, high in ends) / self.step
        return begin, 2 ** max(4, math.ceil(math.log2(high - begin + 2)))

    def _blocks(self) -> Iterator[tuple[slice, slice]]:
        num = max(1, BLOCK // self.width)
        for start in range(0, len(self.counts), num):
            rows = slice(start, min(start + num, len(self.counts)))
            yield rows, slice(*np.searchsorted(self.seen.owner, [rows.start, rows.stop]))

    def _table(self, rows: slice, owner: np.ndarray, index: np.ndarray, mass: np.ndarray) -> np.ndarray:
        place = (owner - rows.start) * self.width + (index - self.first)
        num = rows.stop - rows.start
        return np.bincount(place, mass, num * self.width).reshape(num, self.width)
