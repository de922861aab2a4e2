"""Functions: the exact law of who wins, for two candidates whose loss difference sits on a lattice."""

import math

import numpy as np
from scipy import fft

from mis.theory.differences import Atoms
from mis.theory.sharp import largest_win

__all__ = ["MAX_STEPS", "wins_on_lattice"]

# Longest transform; each array of it takes 64 MiB.
MAX_STEPS = 2**23
# The transform wraps around; what it wraps has probability below exp(-LOG_WRAPPED) under the tilted law.
LOG_WRAPPED = 100.0


def wins_on_lattice(difference: Atoms, wins_ties: bool, n: int) -> np.ndarray | None:
    """Probability that the competitor wins given that z_1 is atom j, shape ``(m,)``; None off lattices.

    The law of the other n - 1 differences is the (n-1)-fold convolution of one, by a fast Fourier transform
    of the law *tilted* to mean zero: the sums that matter then lie at the centre, where the transform's
    rounding error is small against them, and undoing the tilt multiplies that error and the probability
    alike. The window is so wide (Bernstein's inequality) that what wraps around is below ``exp(-100)``; a
    lattice too fine for it gives None. Relative error about ``n`` times machine precision, down to 1e-300.
    """
    origin, span = difference.lattice()
    if span == 0:
        return None
    t = difference.optimal_tilt()
    if math.isinf(t):
        return _wins_by_ties(difference, wins_ties, n)
    steps = np.round((difference.values - origin) / span).astype(np.int64)
    last = largest_win(origin, span, wins_ties, n) - steps  # the others' sum, in steps, that still wins
    if n == 1:
        return (last >= 0).astype(np.float64)
    tilted = difference.tilted(t)
    spread, most = math.sqrt((n - 1) * tilted.variance) / span, (n - 1) * int(steps.max())
    half = math.sqrt(2 * LOG_WRAPPED) * spread + LOG_WRAPPED * int(steps.max())
    size = fft.next_fast_len(math.ceil(min(2 * half, most)) + 1, real=True)
    if size > MAX_STEPS:
        return None
    law = np.bincount(steps, np.exp(tilted.log_probs), minlength=size)
    total = fft.irfft(fft.rfft(law) ** (n - 1), size)
    # The window of sums, centred on the tilted mean, zero.
    first = max(0, round(-(n - 1) * origin / span) - size // 2) if size <= most else 0
    sums = (n - 1) * origin + span * (first + np.arange(size))
    weighted = np.roll(total, -(first % size)) * np.exp(np.minimum(t * sums, 700.0))
    below = np.concatenate([[0.0], np.cumsum(weighted)])
    wins = below[np.clip(last - first + 1, 0, size)]
    return np.maximum(wins, 0.0) * math.exp((n - 1) * difference.log_mgf(t))


def _wins_by_ties(difference: Atoms, wins_ties: bool, n: int) -> np.ndarray:
    """Return the same where differences have one sign: one candidate always wins but for ties."""
    ties = np.where(difference.values == 0, difference.prob(0.0) ** (n - 1), 0.0)
    if difference.values.min() >= 0:
        return ties if wins_ties else np.zeros_like(ties)
    return np.ones_like(ties) if wins_ties else 1 - ties
