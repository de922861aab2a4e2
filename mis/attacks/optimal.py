"""The optimal attack by counting, where releases take few values and refits are cheap."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import sparse, special

from mis.attacks.base import Attack, Input, read_labels, refuse_empty
from mis.attacks.rates import difference_limits
from mis.numerics.checks import InvalidInput, confidence
from mis.results import Interval

__all__ = ["Optimal", "counting_advantage"]


@dataclass(frozen=True, kw_only=True)
class Optimal(Attack):
    """Log likelihood ratio of the released parameters themselves, ``log p(code | z) - log p(code)``, by counting.

    The release of every refit is one of K codes, numbered by the user (``np.unique(..., axis=0,
    return_inverse=True)``). ``p(code | z)`` is counted over refits with z, ``p(code)`` over those without;
    half a count is added to each code. By Neyman and Pearson no attack on the release does better than the
    exact ratio, which this tends to as refits grow; the error is one of estimation only and never favours the
    attack on targets that are not among the refits. A code that no refit released scores 0: where releases hardly
    repeat, ``CellRatio`` is the optimal attack.

    Notes
    -----
    Inputs of ``scores``: ``shadow_codes (M,)``, ``shadow_membership (M, N)``, ``target_codes`` a number or
    ``(T,)``.

    References
    ----------
    Aubinais, Gassiat, Piantanida (2023), Fundamental Limits of Membership Inference Attacks,
    arXiv:2310.13786.

    Examples
    --------
    >>> Optimal().scores(
    ...     shadow_codes=[1, 1, 0, 0], shadow_membership=[[1], [1], [0], [0]], target_codes=[1, 0]
    ... )
    array([[ 1.60943791],
           [-1.60943791]])
    """

    @property
    def needs(self) -> Mapping[str, Input]:
        """Codes of refits and target, and which examples each refit had."""
        return {
            "shadow_codes": Input("M", int),
            "shadow_membership": Input("M N", bool),
            "target_codes": Input("T", int),
        }

    def evaluate(self, *, shadow_codes, shadow_membership, target_codes) -> np.ndarray:
        """Count each code with and without each example."""
        codes, numbers = np.unique(shadow_codes, return_inverse=True)
        refits = sparse.csr_array((np.ones(len(numbers)), (numbers, np.arange(len(numbers)))))
        num_in = shadow_membership.sum(axis=0)
        num_out = len(shadow_membership) - num_in
        refuse_empty("Optimal", "out", num_out)
        refuse_empty("Optimal", "in", num_in)
        counts_in, counts_out = (
            refits @ side.astype(np.float64) for side in (shadow_membership, ~shadow_membership)
        )
        half = len(codes) / 2
        ratios = np.log((counts_in + 0.5) / (num_in + half)) - np.log((counts_out + 0.5) / (num_out + half))
        place = np.searchsorted(codes, target_codes).clip(max=len(codes) - 1)
        return np.where((codes[place] == target_codes)[:, None], ratios[place], 0.0)


def counting_advantage(codes_with: Any, codes_without: Any, *, level: float = 0.95) -> Interval:
    """Return the optimal attack's advantage on refits, never above the exact value beyond its interval.

    The codes that are likelier with z than without are found on one half of the refits, their frequencies
    compared on the other half, both ways round. Deciding on refits that do not score makes the expectation at
    most the exact ``E_z TV(Law(code | z), Law(code))``: the value errs towards a weaker attack, and the
    missing part vanishes as refits grow. (Plugging the same refits into ``|p(code | z) - p(code)|`` errs the
    other way and finds an advantage where there is none.)

    Parameters
    ----------
    codes_with
        Codes ``(J, R)`` of R independent refits with each of J examples drawn from the population.
    codes_without
        Codes ``(R0,)`` of independent refits without any of them.
    level
        Of the interval: Student's t over the examples, plus the variance of the refits without, which all
        examples share; at least as wide as for independent records (``least_difference``).

    Returns
    -------
    Interval
        Of kind ``attack``.

    Raises
    ------
    InvalidInput
        On codes that are no whole numbers >= 0, or fewer than two refits of a kind.

    Examples
    --------
    A release that shows the example's sign in three of four refits:

    >>> counting_advantage([[1, 1, 1, 0] * 50, [0, 0, 0, 1] * 50], [0, 1] * 200).value
    0.25
    """
    confidence("counting_advantage", level)
    codes_with = read_labels("counting_advantage", "codes_with", codes_with)
    codes_without = read_labels("counting_advantage", "codes_without", codes_without)
    if codes_with.ndim != 2 or codes_without.ndim != 1 or min(codes_with.shape[-1], len(codes_without)) < 2:
        raise InvalidInput(
            "counting_advantage: expected codes_with (J, R >= 2) and codes_without (R0 >= 2,), "
            f"got shapes {codes_with.shape} and {codes_without.shape}."
        )
    together = np.concatenate([codes_with.ravel(), codes_without])
    if together.max() >= len(together):
        # Few of the codes that there could be occur.
        together = np.unique(together, return_inverse=True)[1]
        codes_with = together[: codes_with.size].reshape(codes_with.shape)
        codes_without = together[codes_with.size :]
    num_codes = int(together.max()) + 1
    first = [slice(None, n // 2) for n in (codes_with.shape[1], len(codes_without))]
    second = [slice(n // 2, None) for n in (codes_with.shape[1], len(codes_without))]
    counts = [
        (_counts(codes_with[:, a], num_codes), _counts(codes_without[None, b], num_codes))
        for a, b in (first, second)
    ]
    # Calls of each example's refits; of the refits without, for each example; and of each of these, over
    # examples.
    hits, false_hits, shared = 0, 0, []
    for (learn_with, learn_without), (with_, without) in (counts, counts[::-1]):
        likelier = learn_with * learn_without.sum() > learn_without * learn_with.sum(axis=1, keepdims=True)
        hits = hits + (with_ * likelier).sum(axis=1)
        false_hits = false_hits + likelier @ without[0]
        shared.append(np.repeat(likelier.mean(axis=0), without[0]))
    rates = hits / codes_with.shape[1], false_hits / len(codes_without), np.concatenate(shared)
    return _interval(*rates, codes_with.size, level)


def _counts(codes, num_codes):
    """How often each code occurs in each row."""
    rows = np.arange(len(codes))[:, None] * num_codes
    return np.bincount((rows + codes).ravel(), minlength=len(codes) * num_codes).reshape(len(codes), -1)


def _interval(hit_rates, false_rates, shared, num_with, level):
    error = (1 - level) / 2
    lower, value, upper = difference_limits(
        np.array([hit_rates.mean() * num_with]),
        np.array([num_with]),
        np.array([shared.sum()]),
        np.array([len(shared)]),
        error,
    )
    if len(hit_rates) > 1:
        variance = np.var(hit_rates - false_rates, ddof=1) / len(hit_rates) + shared.var(ddof=1) / len(shared)
        reach = special.stdtrit(len(hit_rates) - 1, 1 - error) * np.sqrt(variance)
        lower, upper = max(-1.0, min(lower, value - reach)), min(1.0, max(upper, value + reach))
    return Interval(lower=float(lower), value=float(value), upper=float(upper), kind="attack", level=level)
