"""The likelihood ratio attack from Gaussian fits to the scores of shadow models."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from mis.attacks.base import Attack, Input, finite_scores, refuse_empty
from mis.numerics.checks import InvalidInput, UnsupportedSetting, known

__all__ = ["LiRA", "side_moments"]

VARIANCES = ("per-example", "pooled")

# Smallest standard deviation, as a share of an example's usual range of shadow scores: ties must not divide by zero.
FLOOR = 1e-10

# How many times the usual variance an example's may be and still be pooled with the others'.
ALIKE = 1e4

# Scores fitted at a time: 256 KiB.
BLOCK = 2**15


@dataclass(frozen=True, kw_only=True)
class LiRA(Attack):
    """Gaussian likelihood ratio between shadow models trained with and without the example.

    For each example the scores of the shadow models that trained on it (*in*) and of those that did not
    (*out*) are each fitted by a Gaussian of their own mean and their own variance (divisor: count minus one).
    Online, the score is ``log N(s; m_in, v_in) - log N(s; m_out, v_out)`` in nats, exact up to these fits.
    Offline, where no shadow model trained on the examples, it is ``(s - m_out) / sqrt(v_out)``: the same
    order as the tail probability that the paper uses, without its saturation at 1.

    Parameters
    ----------
    online
        Whether shadow models were trained with the examples; offline ignores the scores of those that were.
    variance
        ``"per-example"``, or ``"pooled"``: one variance for each side, the squared deviations from the
        examples' own means summed over all examples and divided by their degrees of freedom. Better below
        some 16 models a side. An example whose own variance is more than 10^4 times their median is of another
        kind: it is left out of the sum and keeps its own. An example with one model on a side takes that side's
        pooled variance; an example with none is refused.

    Notes
    -----
    Inputs of ``scores``: ``shadow_scores (M, N)``, ``shadow_membership (M, N)``, ``target_scores (N,)`` or
    ``(T, N)``. Rows of the target do not influence each other. Scores may be any statistic of
    ``statistics.py``; the fit suits the log-odds of the true class and the signed residual best. An infinite
    score, or one beyond ±1e38, counts as the largest (smallest) finite one among all shadow scores and its own row; a
    standard deviation below 1e-10 of the median example's range of shadow scores (ties) counts as that. One example's
    wild scores so leave those of the others as they are. The target's models must be
    quantized as the shadows' are: full-precision shadows flatter a quantized target.

    References
    ----------
    Carlini, Chien, Nasr, Song, Terzis, Tramèr (2022), Membership Inference Attacks From First Principles,
    arXiv:2112.03570, algorithm 1.

    Examples
    --------
    Two in models with mean 2 and variance 2, two out models with mean 0 and variance 2:

    >>> shadow_scores = np.array([[1.0], [3.0], [-1.0], [1.0]])
    >>> shadow_membership = np.array([[True], [True], [False], [False]])
    >>> LiRA().scores(shadow_scores=shadow_scores, shadow_membership=shadow_membership, target_scores=[2.0])
    array([1.])
    """

    online: bool = True
    variance: str = "per-example"

    def __post_init__(self):
        known("LiRA", "variance", self.variance, VARIANCES)
        if not isinstance(self.online, bool):
            raise InvalidInput(f"LiRA: expected online True or False, got online={self.online!r}.")

    @property
    def needs(self) -> Mapping[str, Input]:
        """Shadow scores and memberships, the target's scores."""
        return {
            "shadow_scores": Input("M N"),
            "shadow_membership": Input("M N", bool),
            "target_scores": Input("T N"),
        }

    def evaluate(self, *, shadow_scores, shadow_membership, target_scores) -> np.ndarray:
        """Fit each side, compare the two densities at the target's scores."""
        shadow_scores, target_scores = finite_scores(shadow_scores, target_scores)
        # Distances are taken from the first shadow's score: a large common offset costs no digits.
        target_scores = target_scores - shadow_scores[0]
        floor = FLOOR * _median(np.ptp(shadow_scores, axis=0)) or 1.0
        into, out = side_moments(
            "LiRA", shadow_scores, shadow_membership, ("in", "out") if self.online else ("out",)
        )
        out_mean, out_spread = self._gaussian(out, floor)
        out_distance = (target_scores - out_mean) / out_spread
        if not self.online:
            return out_distance
        in_mean, in_spread = self._gaussian(into, floor)
        in_distance = (target_scores - in_mean) / in_spread
        # Not a difference of squares: far from both means that would cancel.
        log_ratio = 0.5 * (out_distance - in_distance) * (out_distance + in_distance)
        return log_ratio + np.log(out_spread / in_spread)

    def _gaussian(self, moments, floor):
        """Mean and standard deviation of one side, shapes (N,)."""
        count, mean, squares = moments
        own, known = squares / np.maximum(count - 1, 1), count > 1
        alike = known & (own <= ALIKE * _median(own[known]))
        variance = np.full_like(mean, squares[alike].sum() / (count - 1)[alike].sum())
        if self.variance == "per-example":
            variance = np.where(known, own, variance)
        else:
            variance = np.where(known & ~alike, own, variance)
        return mean, np.maximum(np.sqrt(variance), floor)


def _median(sizes):
    """Return the lower median of those that are not 0, or 0: no single one can make it large."""
    some = sizes[sizes > 0.0]
    return float(np.quantile(some, 0.5, method="lower")) if len(some) else 0.0


def side_moments(
    where: str, scores: np.ndarray, membership: np.ndarray, asked: tuple[str, ...]
) -> np.ndarray:
    """Count, mean less the first model's score, and sum of squared deviations (N,), in side and out side.

    Sides that are ``asked`` for are refused where an example has no model there, or none has two. Blocks of columns
    stay in the cache, and every sum over models is a product with ones.
    """
    num_networks, num_examples = scores.shape
    ones = np.ones(num_networks)
    moments = np.empty((2, 3, num_examples))
    block = max(1, BLOCK // num_networks)
    for start in range(0, num_examples, block):
        columns = slice(start, start + block)
        member = membership[:, columns].astype(np.float64)
        centred = scores[:, columns] - scores[0, columns]
        for weights, moment in zip((member, 1.0 - member), moments, strict=True):
            count = ones @ weights
            mean = ones @ (centred * weights) / np.maximum(count, 1.0)
            deviations = (centred - mean) * weights
            moment[:, columns] = count, mean, ones @ np.square(deviations, out=deviations)
    for name, (count, _, _) in zip(("in", "out"), moments, strict=True):
        if name in asked:
            refuse_empty(where, name, count, instead="use online=False" if name == "in" else "")
            if count.max() < 2:
                raise UnsupportedSetting(where, f"no example has two '{name}' shadow models, so no variance.")
    return moments
