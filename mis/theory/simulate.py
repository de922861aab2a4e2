"""The optimal advantage by simulation that sees rare events, for any loss law."""

import math
import warnings
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from scipy import stats

from mis.numerics.checks import UnsupportedSetting, confidence, integer
from mis.numerics.seeds import generator
from mis.results import Interval
from mis.theory.laws import GaussianLosses, LossLaw, loss_law
from mis.theory.minimisers import PairMinimisers, TableMinimisers
from mis.theory.tilting import Draws, Tilt, draw, rival_tilts

__all__ = ["FewEffectiveSamples", "simulate"]

# Fewer effective samples than this say little about the upper end.
FEW = 100
# Rivals whose log bound is this much below the largest are left out, and their bounds added to the interval.
NEGLIGIBLE = 35.0
# Examples to which the sums are shown where the law has more, and sums times examples for several rivals.
MOST_EXAMPLES, TABLE_ENTRIES = 4096, 2e7


class FewEffectiveSamples(UserWarning):
    """So few simulated samples carry the value that its interval says little."""


def simulate(
    key: Any, law: LossLaw, n: int, num_samples: int = 100_000, *, tilted: bool = True, level: float = 0.95
) -> Interval:
    """Estimate the optimal advantage by exponentially tilted importance sampling; any K, any law, any rarity.

    The sums of the other n - 1 losses are drawn from the law tilted by ``exp(-t_k D_k)``, for every rival k
    of the population minimiser that matters at n, and reweighted: a mixture in proportion to their bounds ``P(k
    wins) <= B_k``, a tenth of it divided evenly. ``B_k = E exp(-t_k S_n) 1(a D_k of the n is below zero)``, for
    without such a one k does not win (zero does where k wins ties), and t_k minimises it: Chernoff's ``exp(-n I_k)``
    and less. Under the tilt the rare event is a coin flip, so the relative error grows only like ``n**(1/4)``; for
    a Gaussian law the draws are stratified along ``D_k`` besides. One set of draws serves ``p_k`` and every
    ``p_k(z)``.

    The advantage is a maximum over signs, ``1/2 E_z sum_k g_k(z) (p_k(z) - p_k)``. Signs chosen on the draws
    that they are applied to overstate it on average, signs chosen on the other half of the draws understate
    it: the first carries the upper bound, the second the lower, and the value lies midway.

    **The bounds hold at every number of draws** where all examples z are gone through: discrete laws of up to
    4096 atoms, or 2e7 / num_samples if K > 2, and sampled losses of that many examples. What has not been seen is in
    them, for a win of k with z weighs no more than ``B_k / a_k``, a_k its share of the mixture: all that a draw adds
    lies in a range of ``R = 3 max_k B_k / a_k`` (2 for one rival). With Q the sum of squared differences of N/2
    pairs of draws of one law, and ``l = log(6 / (1 - level))``, ::

        |mean - expectation| <= (sqrt(2 l) v + R l / 3) / N,    v = R sqrt(l / 2) + sqrt(Q + R**2 l / 2)

    by Bernstein's inequality, v**2 being a bound of the variance by the inequality for the lower tail of a sum of
    nonnegative variables. *Upper:* signs from the same draws give no less than the optimal signs would, so it
    suffices that the mean under those be right; what their pairs are apart is bounded over all signs. *Lower:* given
    one half of the draws, signs are fixed and the draws of the other half independent. Six events in all. Otherwise,
    for Gaussian laws above all, examples are drawn too, and the bounds add a normal quantile times the standard
    error from them: right for many draws of them, and no more than that.

    Parameters
    ----------
    key
        Seed: an int or a JAX key. The same key gives the same result.
    law
        Any loss law, ties of expected losses included. For `SampledLosses` the advantage under the empirical
        law; the interval does not include the sampling error of the losses themselves.
    n
        Sample size, >= 1.
    num_samples
        Draws of the sums, >= 200; rounded down to a multiple of four.
    tilted
        False for plain Monte Carlo, to compare.
    level
        Confidence level.

    Returns
    -------
    Interval
        Kind ``monte-carlo``, with ``effective_samples`` ``(sum c)**2 / sum c**2`` of the draws'
        contributions, and ``details["standard_error"]``, of the value. Never above ``2 sum_k B_k``, which is
        proved.

    Warns
    -----
    FewEffectiveSamples
        Below 100 effective samples: the interval holds but says little.

    Raises
    ------
    UnsupportedSetting
        Where all losses differ from the best by constants, so that the learner never varies.

    References
    ----------
    Sadowsky and Bucklew (1990), *On large deviations theory and asymptotically efficient Monte Carlo
    estimation*: tilting, and mixtures of tilts. Owen and Zhou (2000), *Safe and effective importance
    sampling*: the mixture's density in the denominator bounds the weights.

    Examples
    --------
    >>> from mis.theory import GaussianLosses, exact
    >>> law = GaussianLosses(mean=[0.0, 1.0], cov=[[0.0, 0.0], [0.0, 1.0]])
    >>> estimate = simulate(0, law, 100, 20_000)
    >>> estimate.lower < exact(law, 100).value < estimate.upper
    True
    """
    where = "theory.simulate"
    n = integer(where, "n", n, at_least=1)
    num_samples = integer(where, "num_samples", num_samples, at_least=200) // 4 * 4
    level = confidence(where, level)
    rng = generator(where, key)
    best = loss_law(where, law).best()
    if all(law.difference(k, best).constant for k in range(law.num_losses)):
        raise UnsupportedSetting(
            where, "every loss differs from the best by a constant, so the learner never varies."
        )
    tilts = rival_tilts(law, n)
    if not tilts:
        return Interval(lower=0.0, value=0.0, upper=0.0, kind="exact")
    bound = min(1.0, 2 * sum(math.exp(tilt.log_bound) for tilt in tilts))
    left_out = [tilt for tilt in tilts if tilts[0].log_bound - tilt.log_bound >= NEGLIGIBLE]
    tilts = tilts[: len(tilts) - len(left_out)]
    components = tilts if tilted else [replace(tilts[0], t=0.0, gain=1.0, share=1.0)]
    sums = draw(rng, law, tilts, components, n - 1, num_samples)
    examples, gone_through = _examples(rng, law, tilts, num_samples)
    winners = _winners(tilts, sums.sums, examples.sums)
    # Weights beyond exp(600) belong to sums that no example of a probability above 1e-260 turns into a win.
    scale = tilts[0].log_bound if tilted and n > 1 else 0.0
    weights = np.exp(np.minimum(sums.log_weights - scale, 600.0))
    largest = max(math.exp(tilt.log_bound - scale) / tilt.share for tilt in tilts) if tilted else 1.0
    shares = np.exp(examples.log_weights)
    # Of one example nothing is drawn.
    spread = (2 if len(tilts) == 1 else 3) * largest if n > 1 else 0.0
    result = _estimate(winners, weights, shares / shares.sum(), gone_through, spread, level)
    # Without a rival neither the law of (choice, z) nor its product moves by more than the rival's bound.
    unseen = 2 * sum(math.exp(tilt.log_bound) for tilt in left_out)
    return _interval(result, math.exp(scale), bound, unseen, level)


def _examples(
    rng: np.random.Generator, law: LossLaw, tilts: list[Tilt], num_samples: int
) -> tuple[Draws, bool]:
    """Examples that the sums are shown to, and whether they are all there are.

    Half of a sample is drawn from the law itself and half under the tilts, for the advantage is
    ``E|dP_t/dP - 1|`` up to a factor: its weight per draw is then bounded, however rare the event.
    """
    pair = len(tilts) == 1
    limit = MOST_EXAMPLES if pair else min(MOST_EXAMPLES, max(64, int(TABLE_ENTRIES / num_samples)))
    if not isinstance(law, GaussianLosses) and (pair or len(law.log_probs) <= limit):
        return Draws(np.stack([tilt.difference.values for tilt in tilts]), law.log_probs), True
    components = [
        replace(tilts[0], t=0.0, gain=1.0, share=0.5),
        *(replace(tilt, gain=1.0, share=tilt.share / 2) for tilt in tilts),
    ]
    return draw(rng, law, tilts, components, 1, limit // 4 * 4), False


def _winners(tilts: list[Tilt], sums: np.ndarray, examples: np.ndarray) -> Any:
    # Rivals in the order of their indices, which decides ties among them.
    by_index = np.argsort([tilt.candidate for tilt in tilts])
    wins_ties = [tilts[i].wins_ties for i in by_index]
    winners = PairMinimisers if len(tilts) == 1 else TableMinimisers
    return winners(sums[by_index], examples[by_index], wins_ties, tilts[0].tie)


@dataclass(frozen=True)
class _Estimate:
    """Advantage in units of the scale: by signs from other draws and from the same, and bounds of it."""

    low: float
    high: float
    lower: float
    upper: float
    standard_error: float
    effective: float


def _estimate(
    winners: Any, weights: np.ndarray, shares: np.ndarray, gone_through: bool, spread: float, level: float
) -> _Estimate:
    num = len(weights)
    half = np.arange(num) // 2 % 2
    wins = np.stack([winners.probabilities(weights * (half == h)) for h in (0, 1)]) * 2 / num
    table, own = _signed(wins.mean(axis=0), shares)
    same = weights * winners.scores(table)
    other = [weights[half == h] * winners.scores(_signed(wins[1 - h], shares)[0])[half == h] for h in (0, 1)]
    low, high = float(np.mean(other)), float(same.mean())
    variance = _successive(same) / num**2
    lower = float(np.mean([o.mean() - _margin(_pairs(o), spread, num // 2, level) for o in other]))
    upper = high + _margin(float(np.sum(winners.apart(weights, shares) ** 2)), spread, num, level)
    if not gone_through:
        from_examples = _successive(shares * (own - shares @ own))
        variance += from_examples
        beyond = float(stats.norm.isf((1 - level) / 2)) * math.sqrt(from_examples)
        lower, upper = lower - beyond, upper + beyond
    squares = float(np.sum(same**2))
    effective = float(np.sum(np.abs(same)) ** 2 / squares) if squares > 0 else 0.0
    return _Estimate(low, high, lower, upper, math.sqrt(variance), effective)


def _pairs(terms: np.ndarray) -> float:
    """Estimate the variance of the sum of independent terms, 2i and 2i + 1 of one law; unbiased."""
    return float(np.sum((terms[::2] - terms[1::2]) ** 2))


def _successive(terms: np.ndarray) -> float:
    """Estimate the same from all neighbours, strata apart included: too large on average, seldom small by chance."""
    return float(np.sum(np.diff(terms) ** 2)) / 2 * len(terms) / (len(terms) - 1)


def _margin(squares: float, spread: float, num: int, level: float) -> float:
    """How far a mean of ``num`` terms may be off; see `simulate`, and there the proof."""
    log_events = math.log(6 / (1 - level))
    deviation = spread * math.sqrt(log_events / 2) + math.sqrt(squares + spread**2 * log_events / 2)
    return (math.sqrt(2 * log_events) * deviation + spread * log_events / 3) / num


def _signed(wins: np.ndarray, shares: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return what a win of each rival with each example adds to the advantage, and each example's advantage.

    ``g = sign(p_k(z) - p_k)`` for the rivals and for the minimiser, whose probability is one minus theirs. A
    win of rival k with example z moves mass from the minimiser to k.
    """
    shift = wins - (wins @ shares)[:, None]
    signs = np.sign(np.concatenate([shift, -shift.sum(axis=0, keepdims=True)]))
    signs = (signs - (signs @ shares)[:, None]) / 2
    gain = signs[:-1] - signs[-1]
    return gain * shares, (gain * shift).sum(axis=0)


def _interval(result: _Estimate, scale: float, bound: float, unseen: float, level: float) -> Interval:
    if result.effective < FEW:
        warnings.warn(
            f"theory.simulate: {result.effective:.0f} effective samples are too few to say much. "
            "Raise num_samples, or use the tilt.",
            FewEffectiveSamples,
            stacklevel=3,
        )
    rounding = 1e-12 * result.high  # where the draws leave nothing to chance
    lower = min(max((result.lower - rounding) * scale - unseen, 0.0), bound)
    upper = min(max((result.upper + rounding) * scale + unseen, 0.0), bound)
    return Interval(
        lower=lower,
        value=min(max((result.low + result.high) / 2 * scale, lower), upper),
        upper=upper,
        kind="monte-carlo",
        level=level,
        effective_samples=result.effective,
        details={"standard_error": result.standard_error * scale},
    )
