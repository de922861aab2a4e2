"""The robust membership inference attack, which ranks an example among a population."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from mis.attacks.base import Attack, Input, refuse_empty
from mis.numerics.checks import InvalidInput, number

__all__ = ["RMIA"]

# What an infinite density counts as; sums of many must not overflow.
LARGEST = 1e300

# Ratios nearer than this to each other are equal: rounding depends on the number of shadows, which must tell nothing.
ROUNDING = 1e-12

# Probabilities summed at a time: 256 KiB.
BLOCK = 2**15


@dataclass(frozen=True, kw_only=True)
class RMIA(Attack):
    """Share of population examples ``z`` that an example ``x`` beats: ``P_z(r(x) >= gamma r(z))``.

    ``r(x) = p(x | target) / p(x)`` is how much likelier the target makes x than models in general do. Online,
    ``p(x) = (mean over the in models + mean over the out models) / 2``; offline it is guessed from the out
    models alone, ``p(x) = ((1 + a) mean over the out models + 1 - a) / 2``. Population examples are treated
    exactly as the others: the same formula, every model on each side, none chosen by order or by size of its
    probability. Hence, with ``gamma = 1``, the score of a non-member that comes from the population is
    uniform on (0, 1), up to the population's size, and ``score >= 1 - a`` has the false positive rate ``a``.
    Ties count half.

    Parameters
    ----------
    online
        Whether shadow models were trained with the examples and with the population; offline ignores those
        that were.
    gamma
        How many times larger the ratio must be, at least.
    offline_a
        The ``a`` above, in [0, 1]; 1 takes the out models' mean as it is. Offline only.

    Notes
    -----
    All inputs are probabilities (or densities) of the true outcome: ``target_probabilities`` ``(N,)`` or
    ``(T, N)``, ``shadow_probabilities (M, N)``, ``shadow_membership (M, N)``, and for the population, none of
    which the target trained on, ``population_target (S,)`` or ``(T, S)``, ``population_shadow (M, S)``,
    ``population_membership (M, S)``. An infinite density beats every finite one; 0/0 and inf/inf are no
    evidence and count as ratio 1. Cost: one sort of the population, one binary search for each example.

    References
    ----------
    Zarifzadeh, Liu, Shokri (2024), Low-Cost High-Power Membership Inference Attacks, arXiv:2312.03262, eqs. 2
    to 4 and appendix B.2.2.

    Examples
    --------
    >>> RMIA().scores(
    ...     target_probabilities=[0.9, 0.2],
    ...     shadow_probabilities=[[0.6, 0.4], [0.4, 0.6]], shadow_membership=[[1, 0], [0, 1]],
    ...     population_target=[0.5, 0.5, 0.4, 0.7],
    ...     population_shadow=[[0.5] * 4, [0.5] * 4], population_membership=[[1] * 4, [0] * 4],
    ... )
    array([1., 0.])
    """

    online: bool = True
    gamma: float = 1.0
    offline_a: float = 0.3

    def __post_init__(self):
        number("RMIA", "gamma", self.gamma, above=0.0)
        number("RMIA", "offline_a", self.offline_a)
        if not 0 <= self.offline_a <= 1:
            raise InvalidInput(f"RMIA: expected offline_a in [0, 1], got offline_a={self.offline_a!r}.")
        if not isinstance(self.online, bool):
            raise InvalidInput(f"RMIA: expected online True or False, got online={self.online!r}.")

    @property
    def needs(self) -> Mapping[str, Input]:
        """Probabilities of the true outcome and memberships, of the examples and of the population."""
        return {
            "target_probabilities": Input("T N"),
            "shadow_probabilities": Input("M N"),
            "shadow_membership": Input("M N", bool),
            "population_target": Input("T S"),
            "population_shadow": Input("M S"),
            "population_membership": Input("M S", bool),
        }

    def evaluate(
        self,
        *,
        target_probabilities,
        shadow_probabilities,
        shadow_membership,
        population_target,
        population_shadow,
        population_membership,
    ) -> np.ndarray:
        """Rank each example's ratio among the population's."""
        ratios = _ratio(target_probabilities, self._expected(shadow_probabilities, shadow_membership))
        others = _ratio(population_target, self._expected(population_shadow, population_membership))
        others.sort(axis=1)
        scores = np.empty_like(ratios)
        for score, ratio, other in zip(scores, ratios / self.gamma, others, strict=True):
            ends = ratio * (1 - ROUNDING), ratio * (1 + ROUNDING)
            below = np.searchsorted(other, ends[0], "left") + np.searchsorted(other, ends[1], "right")
            score[:] = below / (2 * len(other))
        return scores

    def _expected(self, probabilities, membership):
        """p(x), shape (N,): the probability under models in general."""
        in_sum, out_sum, in_count = _sums(_densities(probabilities), membership)
        out_count = len(membership) - in_count
        refuse_empty("RMIA", "out", out_count)
        out_mean = out_sum / out_count
        if not self.online:
            if out_mean.max() > 1 + 1e-9:
                raise InvalidInput("RMIA: expected probabilities <= 1 offline, got larger ones (densities).")
            return ((1 + self.offline_a) * out_mean + 1 - self.offline_a) / 2
        refuse_empty("RMIA", "in", in_count, instead="use online=False")
        return (in_sum / in_count + out_mean) / 2


def _sums(probabilities, membership):
    """Sum over the in models, over the out models, and number of the in models, shapes (N,).

    Blocks of columns stay in the cache, and every sum over models is a product with ones.
    """
    num_networks, num_examples = probabilities.shape
    ones = np.ones(num_networks)
    sums = np.empty((3, num_examples))
    block = max(1, BLOCK // num_networks)
    for start in range(0, num_examples, block):
        columns = slice(start, start + block)
        every = probabilities[:, columns]
        member = membership[:, columns].astype(np.float64)
        into = every * member
        sums[:, columns] = ones @ into, ones @ (every - into), ones @ member
    return sums


def _densities(values):
    if values.min() < 0:
        raise InvalidInput("RMIA: expected probabilities or densities >= 0, got negative ones.")
    return np.minimum(values, LARGEST) if values.max() > LARGEST else values


def _ratio(target, expected):
    target = _densities(target)
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        ratio = target / expected
    return np.where(np.isnan(ratio), 1.0, ratio)
