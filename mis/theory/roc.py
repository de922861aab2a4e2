"""The ROC of the optimal membership attack, exact or between certified bounds."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from mis.numerics.checks import finite, number, probability, refuse
from mis.results import Interval

__all__ = ["Roc", "descending"]

Masses = tuple[np.ndarray, np.ndarray]


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class Roc:
    r"""What the best attack reaches: true positive rate against false positive rate, between bounds.

    Two laws on one space: *members*, the joint law of the release and a member, ``Law(theta, z_1)``, and
    *others*, ``Law(theta) x P``. By Neyman and Pearson the best test at each false positive rate calls
    "member" where the likelihood ratio is large, with one threshold for all ``(theta, z)``: a ROC for each
    ``z`` is glued to the others where their slopes agree. All of it is in the function

        h(t) = sup over tests of TPR - t FPR = integral of (members - t others)^+ ,   t >= 0,

    since ``TPR(f) = inf_t h(t) + t f``. A bound on ``h`` at every ``t`` is therefore a bound on the whole
    curve.

    Parameters
    ----------
    lower, upper
        Masses ``(members, others)`` of finitely many atoms, two arrays ``(k,)``, likelihood ratio descending.
        They need not sum to one: it is their ``h`` that bounds the true one.
    slack
        ``h_lower(t) - slack <= h(t) <= h_upper(t) + slack`` at every t: rounding and truncation.
    kind
        ``exact`` or ``certified``, as in ``Interval``. Either way right to the slack *absolutely*: leakage far
        below it shows in the value of the ``Interval`` that the curve belongs to, not in the curve.

    References
    ----------
    Neyman, Pearson (1933). Dong, Roth, Su (2022), Gaussian differential privacy, J. R. Stat. Soc. B 84, sec.
    2 (the curve 1 - TPR is their trade-off function). Chatzikokolakis, Cherubin, Palamidessi, Troncoso
    (2023), Bayes security: ``1 - advantage``.

    Examples
    --------
    >>> roc = Roc.discrete(members=[0.5, 0.3, 0.2], others=[0.1, 0.3, 0.6])
    >>> roc.tpr(0.05)
    Interval(0.25 in [0.25, 0.25], exact, level=1)
    >>> roc.advantage()
    Interval(0.4 in [0.4, 0.4], exact, level=1)
    """

    lower: Masses
    upper: Masses
    slack: float = 0.0
    kind: str = "exact"

    @classmethod
    def discrete(cls, members: Any, others: Any, *, error: float = 0.0) -> "Roc":
        """Return the exact ROC of two laws with finitely many atoms; its slack is the rounding of sums over them.

        Parameters
        ----------
        members, others
            Probabilities of the same atoms under the two laws, any shape (rows ``z``, columns codes, say),
            each summing to 1 within 1e-9. For the membership game ``P(theta, z)`` and ``P(theta) P(z)``.
        error
            Relative error of the masses, of both laws together; it adds to the slack.

        Raises
        ------
        InvalidInput
            Shapes differ, a mass is negative or not finite, or a sum is not 1.
        """
        masses = {"members": finite("Roc.discrete", "members", members).ravel()}
        masses["others"] = finite("Roc.discrete", "others", others).ravel()
        for name, mass in masses.items():
            if mass.min() < 0 or abs(mass.sum() - 1) > 1e-9:
                raise refuse("Roc.discrete", name, "non-negative and summing to 1", (mass.min(), mass.sum()))
        if np.shape(members) != np.shape(others):
            raise refuse("Roc.discrete", "others", f"of shape {np.shape(members)}", np.shape(others))
        if number("Roc.discrete", "error", error) < 0:
            raise refuse("Roc.discrete", "error", ">= 0", error)
        atoms = descending(masses["members"], masses["others"])
        return cls(lower=atoms, upper=atoms, slack=error + (len(atoms[0]) + 16) * float(np.finfo(float).eps))

    def tpr(self, fpr: float) -> Interval:
        """Return the largest true positive rate at a false positive rate in [0, 1]."""
        if not 0 <= number("Roc.tpr", "fpr", fpr) <= 1:
            raise refuse("Roc.tpr", "fpr", "in [0, 1]", fpr)
        return self._interval(*(float(bound) for bound in self.bounds(float(fpr))))

    def bounds(self, fpr: Any) -> tuple[np.ndarray, np.ndarray]:
        """Return lower and upper true positive rates at many false positive rates, shape of ``fpr``."""
        fpr = finite("Roc.bounds", "fpr", fpr)
        if fpr.min() < 0 or fpr.max() > 1:
            raise refuse("Roc.bounds", "fpr", "in [0, 1]", (float(fpr.min()), float(fpr.max())))
        low, high = (np.interp(fpr, *_vertices(*masses)) for masses in (self.lower, self.upper))
        # Guessing reaches tpr = fpr, so slack never pushes the lower curve below chance.
        return np.clip(low - self.slack, fpr, 1), np.clip(high + self.slack, fpr, 1)

    def hockey_stick(self, epsilon: float = 0.0) -> Interval:
        """Return ``sup TPR - e^epsilon FPR``, the hockey-stick divergence; epsilon in nats, any sign."""
        return self._divergence(np.exp(number("Roc.hockey_stick", "epsilon", epsilon, below=709)))

    def advantage(self) -> Interval:
        """Return ``sup TPR - FPR``, the total variation distance; the MIS is 1 minus it."""
        return self._divergence(1.0)

    def gain(self, prior: float = 0.5, cost: float = 1.0) -> Interval:
        """Return ``sup TPR - t FPR`` with ``t = cost (1 - prior) / prior``.

        What an attacker gains over calling nobody a member, per member caught, when a shown example is a
        member with probability ``prior`` and a false alarm costs ``cost`` times what a hit is worth. Where
        ``t < 1`` calling everybody a member already gains ``1 - t``.
        """
        prior = probability("Roc.gain", "prior", prior)
        return self._divergence(number("Roc.gain", "cost", cost, above=0.0) * (1 - prior) / prior)

    def delta(self, epsilon: float = 0.0) -> Interval:
        """Return the least delta with which the laws are (epsilon, delta)-indistinguishable, both ways.

        A statement about this one game, on average over the other examples: not differential privacy, which
        asks it for every data set.
        """
        epsilon = number("Roc.delta", "epsilon", epsilon, below=30)
        if epsilon < 0:
            raise refuse("Roc.delta", "epsilon", ">= 0", epsilon)
        there, back = self._divergence(np.exp(epsilon)), self._divergence(np.exp(-epsilon))
        # With masses exchanged, h(t) becomes t h(1/t) + 1 - t.
        low, high = (np.exp(epsilon) * bound - np.expm1(epsilon) for bound in (back.lower, back.upper))
        return self._interval(max(there.lower, low), max(there.upper, high))

    def _divergence(self, t: float) -> Interval:
        # The test that accepts everybody reaches 1 - t.
        floor = max(0.0, 1 - t)
        low, high = (float(np.maximum(m - t * o, 0).sum()) for m, o in (self.lower, self.upper))
        return self._interval(max(low - self.slack, floor), max(high + self.slack, floor))

    def _interval(self, lower: float, upper: float) -> Interval:
        lower, upper = min(lower, 1.0), min(max(lower, upper), 1.0)
        return Interval(lower=lower, value=(lower + upper) / 2, upper=upper, kind=self.kind)

    def __repr__(self) -> str:
        return f"Roc({self.kind}, {len(self.lower[0])} atoms, advantage {self.advantage()!r})"


def descending(members: np.ndarray, others: np.ndarray) -> Masses:
    """Sort atoms by falling likelihood ratio; atoms without mass go."""
    kept = (members > 0) | (others > 0)
    members, others = members[kept], others[kept]
    with np.errstate(divide="ignore"):
        order = np.argsort(np.log(others) - np.log(members), kind="stable")
    return members[order], others[order]


def _vertices(members: np.ndarray, others: np.ndarray) -> Masses:
    """Return the corners (fpr, tpr) of the concave polygon; flat beyond the last."""
    fpr, tpr = (np.concatenate([[0.0], np.cumsum(mass)]) for mass in (others, members))
    # np.interp takes the last of equal abscissae only if they are told apart.
    last = np.append(fpr[1:] > fpr[:-1], True)
    return fpr[last], tpr[last]
