"""Sums of losses drawn under exponential tilts, with the weights that undo them."""

import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from scipy import optimize, special

from mis.numerics.logspace import normalise
from mis.theory.differences import Atoms, Normal
from mis.theory.laws import GaussianLosses, LossLaw

__all__ = ["Draws", "Tilt", "draw", "first_above", "guide_table", "rival_tilts"]

# Draws that are turned into sums at a time.
CHUNK = 2**20
# Part of the draws that rivals share evenly: Hesterberg's defensive mixture.
EVEN = 0.1
# With so many gains expected of n examples there is one (exp(-40)), and nothing need be asked.
CERTAIN = 40.0


@dataclass(frozen=True, eq=False)
class Tilt:
    """One rival of the population minimiser, and the tilt ``exp(-t D)`` under which its wins are drawn.

    The rival wins only if one of the n differences at least is a *gain*: below zero, or, where it wins ties, no more
    than ``tie``, the sum that counts as zero. ``gain`` is the probability of that for one difference under the tilt,
    and the draws are of samples with a gain; 1 where nothing is asked of the draws. ``share`` of the draws come from
    this tilt. The rival wins with a probability of at most ``exp(log_bound)``.
    """

    candidate: int
    wins_ties: bool
    difference: Any  # Normal, or Atoms on the law's columns
    tie: float
    t: float
    gain: float
    log_bound: float
    share: float = 1.0

    def gains(self, differences: np.ndarray) -> np.ndarray:
        """Return which differences are gains."""
        return differences <= self.tie if self.wins_ties else differences < 0


@dataclass(frozen=True, eq=False)
class Draws:
    """Sums of loss differences, shape ``(rivals, size)``, and the logs of their weights, shape ``(size,)``.

    Draws 4i to 4i + 3 are independent and from one law, that of a stratum: squared differences of neighbours
    estimate the variance, and either half of the four goes through all strata.
    """

    sums: np.ndarray
    log_weights: np.ndarray


def rival_tilts(law: LossLaw, n: int) -> list[Tilt]:
    """Return the tilt of every rival that can win at all, strongest first, with the shares of a mixture of all.

    Shares are in proportion to the bounds, but for a tenth that is divided evenly: bounds may be loose, and a rival
    with a small one may win most often.
    """
    best = law.best()
    rivals = [(k, law.difference(k, best)) for k in range(law.num_losses) if k != best]
    rivals = [(k, difference) for k, difference in rivals if not difference.constant]
    tie = max((difference.tie(n) for _, difference in rivals), default=0.0)
    tilts = [_tilt(k, k < best, difference, tie, n) for k, difference in rivals]
    tilts = sorted((tilt for tilt in tilts if tilt.log_bound > -math.inf), key=lambda tilt: -tilt.log_bound)
    relative = [math.exp(tilt.log_bound - tilts[0].log_bound) for tilt in tilts]
    even = EVEN / max(len(tilts), 1)
    return [
        replace(tilt, share=(1 - EVEN) * r / sum(relative) + even)
        for tilt, r in zip(tilts, relative, strict=True)
    ]


def _tilt(candidate: int, wins_ties: bool, difference: Normal | Atoms, tie: float, n: int) -> Tilt:
    """Return the tilt of the smallest bound ``P(rival wins) <= E exp(-t S_n) 1(a gain) = M**n (1 - (1 - q)**n)``.

    ``M = E exp(-tD)``, q the probability of a gain under the tilt; times ``exp(t tie)`` where ties win. Without the
    condition that is Chernoff's bound, which is loose by any factor where gains are rare and ``D`` is otherwise zero
    or small.
    """
    t = max(difference.optimal_tilt(), 0.0)
    if isinstance(difference, Normal):
        return Tilt(candidate, wins_ties, difference, tie, t, 1.0, n * difference.log_mgf(t))
    values, beyond = difference.values, tie if wins_ties else 0.0
    tilt = Tilt(candidate, wins_ties, difference, tie, 0.0, 1.0, -math.inf)
    gains = tilt.gains(values)
    if not gains.any():
        return tilt
    if math.isinf(t):
        # It can only tie: a tilt that all but fixes every difference at zero.
        t = 40 / values[~gains].min() if not gains.all() else 0.0

    def bound(t):
        log_mgf, probs = normalise(difference.log_probs - t * values)
        gain = min(float(probs[gains].sum()), 1.0)
        if gains.all() or n * gain > CERTAIN:
            gain = 1.0
        return gain, n * log_mgf + t * beyond + _log_some(gain, n)

    gain, log_bound = bound(t)
    # Given a gain the sum is smaller, so the best t is smaller than Chernoff's; log E exp(-tS) is convex.
    if t > 0 and gain < 1:
        options = {"xatol": 1e-4 * t}
        found = optimize.minimize_scalar(
            lambda t: bound(t)[1], bounds=(0, t), method="bounded", options=options
        )
        t = float(found.x)
        gain, log_bound = bound(t)
    return replace(tilt, t=t, gain=gain, log_bound=log_bound)


def draw(
    rng: np.random.Generator, law: LossLaw, tilts: list[Tilt], components: list[Tilt], num: int, size: int
) -> Draws:
    """Draw sums of ``num`` loss differences from a mixture of tilts.

    Where a component asks for a gain, among these differences and that of one more example, the law of the others is
    ``exp(-t S_num) M**-num`` times the law itself, times 1 if they have a gain and the probability q of one in the
    example if not, over ``1 - (1 - q)**(num + 1)``.

    Parameters
    ----------
    rng, law
        Source of randomness, and the law of one example.
    tilts
        The rivals, whose differences to the minimiser are summed: rows of the result.
    components
        The mixture, by ``share``: multiples of four draws, at least four of each.
    num
        Number of examples summed, >= 0.
    size
        Number of draws, a multiple of 4; more where the components are too many for it.
    """
    quarters = np.maximum([c.share * (size // 4) for c in components], 1).astype(int)
    quarters[0] += max(size // 4 - quarters.sum(), 0)
    counts = 4 * quarters
    if isinstance(law, GaussianLosses):
        parts = [_normal_sums(rng, law, tilts, c, num, k) for c, k in zip(components, counts, strict=True)]
    else:
        parts = [_atom_sums(rng, tilts, c, num, k) for c, k in zip(components, counts, strict=True)]
    sums, gains = (np.concatenate(part, axis=1) for part in zip(*parts, strict=True))
    log_density = np.full(sums.shape[1], -np.inf)
    row = {tilt.candidate: i for i, tilt in enumerate(tilts)}
    for c, count in zip(components, counts, strict=True):
        i = row[c.candidate]
        log_ratio = -c.t * sums[i] - num * c.difference.log_mgf(c.t)
        if c.gain < 1:
            log_ratio += np.where(gains[i], 0.0, math.log(c.gain)) - _log_some(c.gain, num + 1)
        np.logaddexp(log_density, math.log(count / len(log_density)) + log_ratio, out=log_density)
    return Draws(sums, -log_density)


def _log_some(prob: float, num: int) -> float:
    """Log of the probability of one success at least in ``num`` trials."""
    some = -math.expm1(num * math.log1p(-prob)) if prob < 1 else 1.0
    return math.log(some) if some > 0 else -math.inf


def _normal_sums(
    rng: np.random.Generator, law: GaussianLosses, tilts: list[Tilt], component: Tilt, num: int, size: int
) -> tuple[np.ndarray, np.ndarray]:
    """Stratified along the component's own difference; the others given it."""
    best, rivals = law.best(), [tilt.candidate for tilt in tilts]
    mean, cov = law.differences(rivals, best)
    along = cov[:, rivals.index(component.candidate)]
    variance = component.difference.variance
    strata = np.arange(size) // 4
    standard = special.ndtri((strata + rng.uniform(1e-9, 1 - 1e-9, size)) / (size // 4))
    rest = cov - np.outer(along, along) / variance
    values, vectors = np.linalg.eigh(rest)
    root = vectors * np.sqrt(np.maximum(values, 0.0))
    noise = np.outer(along, standard) / math.sqrt(variance)
    if len(rivals) > 1:
        noise += root @ rng.normal(size=(len(rivals), size))
    sums = (num * (mean - component.t * along))[:, None] + math.sqrt(num) * noise
    return sums, np.ones(sums.shape, dtype=bool)


def _atom_sums(
    rng: np.random.Generator, tilts: list[Tilt], component: Tilt, num: int, size: int
) -> tuple[np.ndarray, np.ndarray]:
    """By counts of atoms where these are fewer than the examples, else one by one, the first stratified."""
    sums, gains = np.zeros((len(tilts), size)), np.zeros((len(tilts), size), dtype=bool)
    if num == 0:
        return sums, gains
    order = np.argsort(component.difference.values, kind="stable")  # the component's gains come first
    rows = np.stack([tilt.difference.values for tilt in tilts])[:, order]
    is_gain = np.stack([tilt.gains(row) for tilt, row in zip(tilts, rows, strict=True)])
    probs = np.exp(component.difference.tilted(component.t).log_probs[order])
    probs /= probs.sum()
    first = int(component.gains(component.difference.values).sum()) if component.gain < 1 else len(probs)
    counted = len(probs) <= num
    chunk = max(4, CHUNK // (len(probs) if counted else num) // 4 * 4)
    upper = np.minimum(np.cumsum(probs), 1.0)
    upper[-1] = 1.0
    guide = np.empty(0, int) if counted else guide_table(upper)
    for start in range(0, size, chunk):
        block = slice(start, min(start + chunk, size))
        here = block.stop - start
        num_gains = _num_gains(rng, component.gain, num, here)
        if counted:
            counts = _counts(rng, probs[:first], num_gains)
            if component.gain < 1:
                counts = np.hstack([counts, _counts(rng, probs[first:], num - num_gains)])
            sums[:, block], gains[:, block] = rows @ counts.T, is_gain.astype(float) @ counts.T > 0
            continue
        uniform = rng.random((here, num))
        uniform[:, 0] = (np.arange(start, block.stop) // 4 + uniform[:, 0]) / (size // 4)
        if component.gain < 1:
            part = upper[first - 1]
            among = np.arange(num) < num_gains[:, None]
            uniform = np.where(among, part * uniform, part + (1 - part) * uniform)
        picks = first_above(upper, guide, np.minimum(uniform, np.nextafter(1.0, 0.0), out=uniform))
        for k, (tilt, row) in enumerate(zip(tilts, rows, strict=True)):
            differences = row[picks]
            sums[k, block] = differences.sum(axis=1)
            if tilt.gain < 1:
                gains[k, block] = tilt.gains(differences.min(axis=1))
    return sums, gains


def _num_gains(rng: np.random.Generator, prob: float, num: int, size: int) -> np.ndarray:
    """Draw how many of ``num`` examples are gains given that one of them or of one more is; all if 1 asks nothing."""
    if prob == 1:
        return np.full(size, num)
    some = math.exp(_log_some(prob, num + 1))
    place = np.ceil(np.log1p(-some * rng.random(size)) / math.log1p(-prob)).astype(int)
    place = np.clip(place, 1, num + 1)  # of the first gain
    return np.where(place <= num, 1 + rng.binomial(np.maximum(num - place, 0), prob), 0)


def _counts(rng: np.random.Generator, probs: np.ndarray, num: np.ndarray) -> np.ndarray:
    return rng.multinomial(num, probs / probs.sum()) if len(probs) > 1 else num[:, None]


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
