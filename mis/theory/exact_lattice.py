"""The exact law of who wins, for two candidates whose loss difference sits on a lattice."""

import math
from typing import NamedTuple

import numpy as np

from mis.numerics.convolution import direct_power, fourier_power
from mis.theory.differences import Atoms
from mis.theory.enumeration import Choices
from mis.theory.laws import DiscreteLosses
from mis.theory.sharp import largest_win

__all__ = ["MAX_STEPS", "choices_on_lattice", "stated"]

# Longest transform, whose arrays take 64 MiB each, and longest law that is convolved without one.
MAX_STEPS, MAX_DIRECT = 2**22, 2**14
# Sums further out than the window have probability below 2 exp(-LOG_OUTSIDE) under the tilted law.
LOG_OUTSIDE = 100.0


def stated(n: int) -> float:
    """Return the relative error that exact values of discrete laws state where nothing forces a larger one."""
    return 1e-11 + 8 * n * float(np.finfo(float).eps)


def choices_on_lattice(law: DiscreteLosses, n: int) -> Choices | None:
    r"""Return what the learner returns given each atom, for two candidates; None off lattices.

    The law of the other n - 1 differences is the (n-1)-fold convolution of one, *tilted* to mean zero: the sums
    that matter then lie at the centre, and undoing the tilt multiplies errors and probabilities alike. By FFT
    where its error, which is absolute, is small beside what the sums near zero say; rare atoms can make it large,
    and then by sums of products, whose error is relative, unless the law is too long. All in long doubles. The
    window is so wide (Bernstein's inequality) that what lies outside is below ``2 exp(-100)``; a lattice too fine
    for it gives None.
    """
    best = law.best()
    difference = law.difference(1 - best, best)
    origin, span = difference.lattice()
    if span == 0:
        return None
    # Any tilt gives the same sums; near the best is enough.
    tilt = difference.optimal_tilt(rtol=1e-6)
    if math.isinf(tilt):
        return _by_ties(difference, law.probs, best, n)
    last = largest_win(origin, span, best == 1, n, difference.tie(n))
    index = np.round((difference.values - origin) / span).astype(np.int64)
    tilted = _Tilted.of(index, round(-origin / span), last, np.longdouble(tilt) * span, law.probs, n)
    if tilted.size > MAX_STEPS:
        return None
    found = None
    if n > 1:
        found = _choices(tilted, law.probs, best, *_by_fourier(tilted, n - 1))
        if law.probs @ found.error[best] <= stated(n) * (law.probs @ np.abs(found.shift[best])):
            return found
    if tilted.size <= MAX_DIRECT:
        found = _choices(tilted, law.probs, best, *_directly(tilted, n - 1))
    return found


class _Tilted(NamedTuple):
    """One tilted difference in steps of the lattice, and how to come back from the sum of ``n - 1`` of them.

    The sum is k with probability ``masses * exp(theta k + log_total)``, masses of the tilted law. It makes the
    competitor win with atom j where ``k <= last[j]``. ``rounding`` is relative.
    """

    steps: np.ndarray
    weights: np.ndarray
    theta: np.longdouble
    log_total: np.longdouble
    last: np.ndarray
    drift: float
    reach: float
    size: int
    rounding: float

    @classmethod
    def of(
        cls, index: np.ndarray, zero: int, last: int, theta: np.longdouble, probs: np.ndarray, n: int
    ) -> "_Tilted":
        """From each atom's place on the lattice, that nearest to zero, and the last sum of n places that wins."""
        steps = index - zero
        weights = probs / probs.sum(dtype=np.longdouble) * np.exp(-theta * steps)
        total = weights.sum()
        weights /= total
        drift = float(weights @ steps)
        spread = math.sqrt((n - 1) * float(weights @ (steps - drift) ** 2))
        reach = math.sqrt(2 * LOG_OUTSIDE) * spread + LOG_OUTSIDE * int(np.ptp(steps))
        size = min(math.ceil(2 * reach), (n - 1) * int(np.ptp(steps))) + 1
        exponents = float(np.abs(theta * steps).max() + np.abs(np.log(total))) + 16
        rounding = 2 * n * exponents * float(np.finfo(np.longdouble).eps)
        return cls(
            steps,
            weights,
            theta,
            (n - 1) * np.log(total),
            last - index - (n - 1) * zero,
            drift,
            reach,
            size,
            rounding,
        )

    def law(self) -> tuple[np.ndarray, int]:
        """Return the masses of consecutive steps, and the first of these."""
        masses = np.zeros(int(np.ptp(self.steps)) + 1, np.longdouble)
        np.add.at(masses, self.steps - self.steps.min(), self.weights)
        return masses, int(self.steps.min())


def _by_fourier(tilted: _Tilted, num: int) -> tuple[np.ndarray, int, float, float]:
    """Return masses of consecutive sums, the first sum, and the masses' absolute and relative errors."""
    size = 2 ** max(2, math.ceil(math.log2(tilted.size)))
    law = np.zeros(size, np.longdouble)
    np.add.at(law, tilted.steps % size, tilted.weights)
    masses, error = fourier_power(law, num)
    whole = num * int(np.ptp(tilted.steps)) < size
    first = num * int(tilted.steps.min()) if whole else math.floor(num * tilted.drift) - size // 2
    outside = 0.0 if whole else 2 * math.exp(-LOG_OUTSIDE)
    return np.roll(masses, -(first % size)), first, error + outside, tilted.rounding


def _directly(tilted: _Tilted, num: int) -> tuple[np.ndarray, int, float, float]:
    """Return the same as ``_by_fourier``."""
    masses, first, error = direct_power(*tilted.law(), num, tilted.drift, tilted.reach)
    # Cut off once for each of up to 2 log2(num) products.
    outside = 2 * math.exp(-LOG_OUTSIDE) * 2 * num.bit_length()
    return masses, first, outside, error + tilted.rounding


def _choices(
    tilted: _Tilted,
    probs: np.ndarray,
    best: int,
    masses: np.ndarray,
    first: int,
    absolute: float,
    relative: float,
) -> Choices:
    r"""Return the choices from the law of the others' sum.

    The competitor wins if the others' sum is at most a threshold that falls in D(z). With the thresholds in order
    and ``g_l`` the probability of sums between the (l-1)th and the l-th, an atom at the i-th has

        p(z) - p = sum_{l <= i} g_l P(threshold before l) - sum_{l > i} g_l P(threshold from l on) ,

    positive terms on either side, which take from each other no more than half in ``E|p(z) - p|``: for two
    candidates ``E|p(z) - p(z')| <= 2 E|p(z) - p|``.
    """
    thresholds, level = np.unique(tilted.last, return_inverse=True)
    sums = np.arange(first, min(first + len(masses), int(thresholds[-1]) + 1))
    scale = np.exp(tilted.theta * sums + tilted.log_total)
    parts = np.searchsorted(sums, thresholds, side="right")
    upto = _between(masses[: len(sums)] * scale, parts)
    lost = relative * upto + absolute * _between(scale, parts)
    share = np.bincount(level, probs)
    before, after = np.append(0.0, np.cumsum(share)[:-1]), np.cumsum(share[::-1])[::-1]

    def moved(gaps: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        comes, goes = np.cumsum(gaps[1:] * before[1:]), np.cumsum((gaps[1:] * after[1:])[::-1])[::-1]
        return np.append(0.0, comes)[level], np.append(goes, 0.0)[level]

    comes, goes = moved(upto)
    wins = np.minimum(np.cumsum(upto), 1.0)[level]
    error, more = moved(lost)
    return _of_competitor(best, wins, comes - goes, error + more, float(lost.sum()))


def _between(values: np.ndarray, ends: np.ndarray) -> np.ndarray:
    """Return sums of the values up to the first end, then from each end to the next, as floats."""
    starts = np.append(0, ends[:-1])
    sums = np.add.reduceat(np.append(values, 0.0), starts)
    sums[-1] = values[starts[-1] : ends[-1]].sum()
    return np.where(ends > starts, sums, 0.0).astype(np.float64)


def _by_ties(difference: Atoms, probs: np.ndarray, best: int, n: int) -> Choices:
    """Return the choices where differences have one sign: one candidate always wins but for ties."""
    zero = difference.values == 0
    never = float(probs[~zero].sum())
    each = float(np.exp((n - 1) * np.log1p(-never))) if never < 0.5 else float(probs[zero].sum()) ** (n - 1)
    tied = np.where(zero, each, 0.0)
    shift = np.where(zero, each * never, -each * float(probs[zero].sum()))
    # Whoever has the larger losses wins where all are zero, if its index is smaller.
    loser = 1 - best if difference.values.min() >= 0 else best
    if loser == 1:
        tied, shift = np.zeros_like(tied), np.zeros_like(shift)
    if loser == best:
        tied, shift = 1 - tied, -shift
    return _of_competitor(best, tied, shift, stated(n) * np.abs(shift), stated(n))


def _of_competitor(best: int, wins: np.ndarray, shift: np.ndarray, error: np.ndarray, lost: float) -> Choices:
    """Return the choices of both candidates from those of the competitor."""
    order = [1, 0] if best == 1 else [0, 1]
    given, shifts = np.stack([1 - wins, wins]), np.stack([-shift, shift])
    return Choices(given[order], shifts[order], np.stack([error, error]), lost)
