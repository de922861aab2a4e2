"""Functions: the optimal advantage by simulation that sees rare events, for any loss law."""

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
from mis.theory.tilting import Draws, Tilt, draw, rival_tilts
from mis.theory.winners import PairWinners, TableWinners

__all__ = ["FewEffectiveSamples", "simulate"]

# Fewer effective samples than this say little about the upper end.
FEW = 100
# Rivals whose exponent is this much (in nats, at n) above the smallest change no digit.
NEGLIGIBLE = 35.0
# Examples to which the sums are shown where the law has more, and sums times examples for several rivals.
MOST_EXAMPLES, TABLE_ENTRIES = 4096, 2e7


class FewEffectiveSamples(UserWarning):
    """So few simulated samples carry the value that only its proven bounds are reported."""


def simulate(
    key: Any, law: LossLaw, n: int, num_samples: int = 100_000, *, tilted: bool = True, level: float = 0.95
) -> Interval:
    """Estimate the optimal advantage by exponentially tilted importance sampling; any K, any law, any rarity.

    The sums of the other n - 1 losses are drawn from the law tilted by ``exp(-t_k D_k)``, for every rival k
    of the population minimiser that matters at n (a mixture, in proportion to their Chernoff bounds ``exp(-n
    I_k)``), and reweighted. Under the tilt the rare event is a coin flip, so the relative error grows only
    like ``n**(1/4)``; for a Gaussian law the draws are stratified along ``D_k`` besides. One set of draws
    serves ``p_k`` and every ``p_k(z)``.

    The advantage is a maximum over signs, ``1/2 E_z sum_k g_k(z) (p_k(z) - p_k)``. Signs chosen on the draws
    that they are applied to overstate it on average, signs chosen on the other half of the draws understate
    it: the first carries the upper bound, the second the lower, and the value lies midway.

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
        contributions, and ``details["standard_error"]``. Never above the Chernoff bound ``2 sum_k exp(-n
        I_k)``, which is proved.

    Warns
    -----
    FewEffectiveSamples
        Below 100 effective samples; the upper bound is then the Chernoff bound, and below 10 the lower bound
        is 0.

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
    bound = min(1.0, 2 * sum(math.exp(-n * tilt.exponent) for tilt in tilts))
    tilts = [tilt for tilt in tilts if n * (tilt.exponent - tilts[0].exponent) < NEGLIGIBLE]
    components = tilts if tilted else [replace(tilts[0], t=0.0, share=1.0)]
    sums = draw(rng, law, tilts, components, n - 1, num_samples)
    examples, gone_through = _examples(rng, law, tilts, num_samples)
    winners = _winners(tilts, n, sums.sums, examples.sums)
    # Weights beyond exp(600) belong to sums that no example turns into a win.
    scale = -n * tilts[0].exponent if tilted else 0.0
    weights = np.exp(np.minimum(sums.log_weights - scale, 600.0))
    shares = np.exp(examples.log_weights)
    return _interval(
        _estimate(winners, weights, shares / shares.sum(), gone_through), math.exp(scale), bound, level
    )


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
        replace(tilts[0], t=0.0, share=0.5),
        *(replace(tilt, share=tilt.share / 2) for tilt in tilts),
    ]
    return draw(rng, law, tilts, components, 1, limit // 4 * 4), False


def _winners(tilts: list[Tilt], n: int, sums: np.ndarray, examples: np.ndarray) -> Any:
    # Rivals in the order of their indices, which decides ties among them.
    by_index = np.argsort([tilt.candidate for tilt in tilts])
    wins_ties = [tilts[i].wins_ties for i in by_index]
    rounding = max(tilt.difference.tie(n) for tilt in tilts)
    winners = PairWinners if len(tilts) == 1 else TableWinners
    return winners(sums[by_index], examples[by_index], wins_ties, rounding)


@dataclass(frozen=True)
class _Estimate:
    """Advantage in units of the scale: signs from other draws, signs from the same, error, effective samples."""

    low: float
    high: float
    standard_error: float
    effective: float


def _estimate(winners: Any, weights: np.ndarray, shares: np.ndarray, gone_through: bool) -> _Estimate:
    num = len(weights)
    half = np.arange(num) // 2 % 2  # the two draws of a stratum stay together
    wins = np.stack([winners.probabilities(weights * (half == h)) for h in (0, 1)]) * 2 / num
    table, own = _signed(wins.mean(axis=0), shares)
    same = weights * winners.scores(table)
    other = weights * np.where(
        half == 0, winners.scores(_signed(wins[1], shares)[0]), winners.scores(_signed(wins[0], shares)[0])
    )
    variance = _successive(same) / num**2
    if not gone_through:
        variance += _successive(shares * (own - shares @ own))
    squares = float(np.sum(same**2))
    effective = float(np.sum(np.abs(same)) ** 2 / squares) if squares > 0 else 0.0
    return _Estimate(float(other.mean()), float(same.mean()), math.sqrt(variance), effective)


def _successive(terms: np.ndarray) -> float:
    """Variance of the sum of the terms, from neighbours; too large, never too small on average, if stratified."""
    return float(np.sum(np.diff(terms) ** 2)) / 2 * len(terms) / (len(terms) - 1)


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


def _interval(result: _Estimate, scale: float, bound: float, level: float) -> Interval:
    margin = float(stats.t.isf((1 - level) / 2, max(result.effective - 1, 1.0))) * result.standard_error
    margin += 1e-12 * result.high  # where the draws leave nothing to chance, rounding does
    lower, upper = (result.low - margin) * scale, (result.high + margin) * scale
    if result.effective < FEW:
        warnings.warn(
            f"theory.simulate: {result.effective:.0f} effective samples are too few; the upper bound is Chernoff's. "
            "Raise num_samples, or use the tilt.",
            FewEffectiveSamples,
            stacklevel=3,
        )
        upper, lower = bound, lower if result.effective >= FEW / 10 else 0.0
    lower, upper = min(max(lower, 0.0), bound), min(max(upper, 0.0), bound)
    return Interval(
        lower=lower,
        value=min(max((result.low + result.high) / 2 * scale, lower), upper),
        upper=upper,
        kind="monte-carlo",
        level=level,
        effective_samples=result.effective,
        details={"standard_error": result.standard_error * scale},
    )
