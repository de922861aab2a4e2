"""Values and functions: sums of losses drawn under exponential tilts, with the weights that undo them."""

import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from scipy import special

from mis.theory.differences import Atoms
from mis.theory.laws import GaussianLosses, LossLaw
from mis.theory.rate import chernoff

__all__ = ["Draws", "Tilt", "draw", "first_above", "guide_table", "rival_tilts"]

# Draws that are turned into sums at a time.
CHUNK = 2**20


@dataclass(frozen=True, eq=False)
class Tilt:
    """One rival of the population minimiser, and the tilt ``exp(-t D)`` under which it ties with it on average.

    ``share`` of the draws come from this tilt; ``exponent`` is Chernoff's: the rival wins with a probability
    of at most ``exp(-n exponent)``.
    """

    candidate: int
    wins_ties: bool
    difference: Any  # Normal, or Atoms on the law's columns
    t: float
    exponent: float
    share: float = 1.0


@dataclass(frozen=True, eq=False)
class Draws:
    """Sums of loss differences, shape ``(rivals, size)``, and the logs of their weights, shape ``(size,)``.

    Draws 2i and 2i + 1 come from one stratum, and strata are in order, so that squared differences of
    neighbours estimate the variance whether or not there are strata.
    """

    sums: np.ndarray
    log_weights: np.ndarray


def rival_tilts(law: LossLaw, n: int) -> list[Tilt]:
    """Return the tilt of every rival that can win at all, strongest first, shares in proportion to their bounds."""
    best = law.best()
    tilts = []
    for k in range(law.num_losses):
        difference = law.difference(k, best)
        if k == best or difference.constant:
            continue
        exponent, t = chernoff(difference, k < best)
        if math.isinf(t) and isinstance(difference, Atoms):
            # It can only tie: a tilt that all but fixes every difference at zero.
            t = 40 / difference.values[difference.values > 0].min()
        if exponent < math.inf:
            tilts.append(Tilt(k, k < best, difference, t, max(exponent, 0.0)))
    tilts.sort(key=lambda tilt: tilt.exponent)
    relative = [math.exp(-n * (tilt.exponent - tilts[0].exponent)) for tilt in tilts]
    return [replace(tilt, share=r / sum(relative)) for tilt, r in zip(tilts, relative, strict=True)]


def draw(
    rng: np.random.Generator, law: LossLaw, tilts: list[Tilt], components: list[Tilt], num: int, size: int
) -> Draws:
    """Draw ``size`` sums of ``num`` loss differences from a mixture of tilts.

    Parameters
    ----------
    rng, law
        Source of randomness, and the law of one example.
    tilts
        The rivals, whose differences to the minimiser are summed: rows of the result.
    components
        The mixture, by ``share``.
    num
        Number of examples summed, >= 0.
    size
        Number of draws, a multiple of 4.
    """
    quarters = np.floor(np.array([c.share for c in components]) * (size // 4)).astype(int)
    quarters[0] += size // 4 - quarters.sum()
    used = [(c, 4 * int(q)) for c, q in zip(components, quarters, strict=True) if q > 0]
    if isinstance(law, GaussianLosses):
        parts = [_normal_sums(rng, law, tilts, c, num, count) for c, count in used]
    else:
        rows = np.stack([tilt.difference.values for tilt in tilts])
        parts = [_atom_sums(rng, rows, c, num, count) for c, count in used]
    sums = np.concatenate(parts, axis=1)
    log_density = np.full(size, -np.inf)
    row = {tilt.candidate: i for i, tilt in enumerate(tilts)}
    for c, count in used:
        log_ratio = -c.t * sums[row[c.candidate]] - num * c.difference.log_mgf(c.t)
        np.logaddexp(log_density, math.log(count / size) + log_ratio, out=log_density)
    return Draws(sums, -log_density)


def _normal_sums(
    rng: np.random.Generator, law: GaussianLosses, tilts: list[Tilt], component: Tilt, num: int, size: int
) -> np.ndarray:
    """Stratified along the component's own difference; the others given it."""
    best, rivals = law.best(), [tilt.candidate for tilt in tilts]
    mean, cov = law.differences(rivals, best)
    along = cov[:, rivals.index(component.candidate)]
    variance = component.difference.variance
    strata = np.repeat(np.arange(size // 2), 2)
    standard = special.ndtri((strata + rng.uniform(1e-9, 1 - 1e-9, size)) / (size // 2))
    rest = cov - np.outer(along, along) / variance
    values, vectors = np.linalg.eigh(rest)
    root = vectors * np.sqrt(np.maximum(values, 0.0))
    noise = np.outer(along, standard) / math.sqrt(variance)
    if len(rivals) > 1:
        noise += root @ rng.normal(size=(len(rivals), size))
    return (num * (mean - component.t * along))[:, None] + math.sqrt(num) * noise


def _atom_sums(
    rng: np.random.Generator, rows: np.ndarray, component: Tilt, num: int, size: int
) -> np.ndarray:
    """By counts of atoms where these are fewer than the examples, else one by one, the first stratified."""
    if num == 0:
        return np.zeros((len(rows), size))
    order = np.argsort(component.difference.values, kind="stable")
    rows = rows[:, order]
    probs = np.exp(component.difference.tilted(component.t).log_probs[order])
    probs /= probs.sum()
    counted = len(probs) <= num
    chunk = max(4, CHUNK // (len(probs) if counted else num) // 4 * 4)
    sums = np.empty((len(rows), size))
    upper = np.minimum(np.cumsum(probs), 1.0)
    upper[-1] = 1.0
    guide = np.empty(0, int) if counted else guide_table(upper)
    for start in range(0, size, chunk):
        block = slice(start, min(start + chunk, size))
        here = block.stop - start
        if counted:
            sums[:, block] = rows @ rng.multinomial(num, probs, size=here).T
        else:
            uniform = rng.random((here, num))
            uniform[:, 0] = (np.arange(start, block.stop) // 2 + uniform[:, 0]) / (size // 2)
            picks = first_above(upper, guide, uniform)
            for k, row in enumerate(rows):
                sums[k, block] = row[picks].sum(axis=1)
    return sums


def guide_table(upper: np.ndarray) -> np.ndarray:
    """Return where a search of ``upper``, ascending to 1, may begin in each of many equal parts of [0, 1]."""
    size = 2 ** math.ceil(math.log2(8 * len(upper)))
    return np.searchsorted(upper, np.arange(size) / size, side="right")


def first_above(upper: np.ndarray, guide: np.ndarray, uniform: np.ndarray) -> np.ndarray:
    """Return the first place where ``upper`` exceeds each number in [0, 1): most are where the guide says.

    References
    ----------
    Chen, Asau (1974), *On generating random variates from an empirical distribution*.
    """
    # A power of two: the part is exact.
    place = guide[(uniform * len(guide)).astype(np.int64)]
    beyond = upper[place] <= uniform
    place[beyond] = np.searchsorted(upper, uniform[beyond], side="right")
    return place
