"""Value and functions: what an attack's scores prove, with intervals that hold.

Every number is a lower bound on what the optimal attacker reaches: another attack may do better, none of
these intervals speaks of that.
"""

import functools
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from scipy import special, stats

from mis.attacks.base import read_membership, read_scores
from mis.attacks.rates import Limits, auc_limits, difference_limits, effective_size, rate_limits
from mis.numerics.checks import InvalidInput, integer, probability, refuse
from mis.results import Interval

__all__ = ["FPRS", "Audit", "audit"]

# False positive rates that every audit reports, where it can resolve them.
FPRS = (0.1, 0.01, 0.001)

# Thresholds tried for the upper end of the advantage.
CANDIDATES = 32


@dataclass(frozen=True)
class Sample:
    """Scores of members or of non-members, ascending, each with the number of its target model."""

    scores: np.ndarray
    rows: np.ndarray
    places: np.ndarray
    num_rows: int

    @classmethod
    def sort(cls, scores, rows, places, num_rows):
        """Make a sample from scores in any order; ``places`` says where each came from."""
        # Adding zero makes -0.0 and 0.0 the same bytes: they are one score.
        scores = scores + 0.0
        order = np.argsort(scores)
        return cls(scores[order], rows[order], places[order], num_rows)

    def __len__(self):
        return len(self.scores)

    @functools.cached_property
    def sizes(self):
        """Number of records of each target model, shape (T,)."""
        return np.bincount(self.rows, minlength=self.num_rows)

    def hits(self, called):
        """Count the records of each target model for which ``called`` holds, shape (T,)."""
        return np.bincount(self.rows[called], minlength=self.num_rows)

    def above(self, thresholds, *, strict):
        """Count the records of each target model above thresholds ``(G,)``, or not below them, shape (G, T)."""
        first = np.searchsorted(self.scores, thresholds, "right" if strict else "left")
        if self.num_rows == 1:
            return (len(self) - first)[:, None]
        return np.stack([self.hits(slice(start, None)) for start in first])

    def flip(self):
        """Return the sample with the opposite scores."""
        return Sample(-self.scores[::-1], self.rows[::-1], self.places[::-1], self.num_rows)


@dataclass(frozen=True, kw_only=True)
class Audit:
    """Metrics of one attack's scores.

    Parameters
    ----------
    advantage
        TPR - FPR at thresholds chosen on other records: on a random half of the records (of the target
        models, where there are several) for the other half, both ways round. ``lower`` and ``value`` belong
        to these thresholds and so bound the best threshold from below; ``upper`` is the largest
        upper limit of all thresholds on all records and bounds the best threshold's advantage from above.
    balanced_accuracy
        ``(1 + advantage) / 2``.
    auc
        Probability that a member outscores a non-member, ties counting half.
    recall, precision, f1
        At the thresholds of the advantage, members and non-members weighted equally. ``recall`` is the TPR.
    tpr_at_fpr
        TPR at given false positive rates; None where there are too few non-members to resolve the rate.
    epsilon_lower
        The ``delta`` given, no mechanism with a smaller epsilon (nats) would have allowed these scores;
        ``lower`` is the bound, of confidence ``level``, and nothing is said from above.
    thresholds
        The two thresholds: the first decides about the first half, chosen on the second, and the other way
        round.
    num_members, num_nonmembers, num_targets
        Records, and target models; with several the intervals treat the models as the independent units.
    level, delta
        As asked for.
    unresolved
        What the records cannot show, by name, with the reason.
    """

    advantage: Interval
    balanced_accuracy: Interval
    auc: Interval
    recall: Interval
    precision: Interval
    f1: Interval
    tpr_at_fpr: dict[float, Interval | None]
    epsilon_lower: Interval
    thresholds: tuple[float, float]
    num_members: int
    num_nonmembers: int
    num_targets: int
    level: float
    delta: float
    unresolved: dict[str, str]
    samples: tuple[Sample, Sample] = field(repr=False, compare=False)
    called: tuple[np.ndarray, np.ndarray] = field(repr=False, compare=False)

    def to_json(self) -> dict[str, Any]:
        """Return what ``json.dump`` can write; what cannot be resolved is null, its reason beside it."""
        metrics = ("advantage", "balanced_accuracy", "auc", "precision", "recall", "f1")
        return {
            **{name: _limits(getattr(self, name)) for name in metrics},
            "tpr_at_fpr": {f"{fpr:g}": _limits(tpr) for fpr, tpr in self.tpr_at_fpr.items()},
            "epsilon_lower": self.epsilon_lower.lower,
            "delta": self.delta,
            "num_members": self.num_members,
            "num_nonmembers": self.num_nonmembers,
            "num_targets": self.num_targets,
            "level": self.level,
            "thresholds": [float(t) if np.isfinite(t) else str(t) for t in self.thresholds],
            "unresolved": dict(self.unresolved),
        }

    def rows(self) -> list[dict[str, Any]]:
        """Return the table: one row a metric, ``value`` None and a ``note`` where it cannot be resolved."""
        named = {
            "advantage": self.advantage,
            "balanced accuracy": self.balanced_accuracy,
            "AUC": self.auc,
            "precision": self.precision,
            "recall": self.recall,
            "F1": self.f1,
        }
        named |= {_tpr_name(fpr): tpr for fpr, tpr in self.tpr_at_fpr.items()}
        rows = [
            {"metric": name, **(_limits(interval) or dict.fromkeys(("lower", "value", "upper")))}
            | {"note": self.unresolved.get(name, "")}
            for name, interval in named.items()
        ]
        epsilon = {"metric": "epsilon", "lower": self.epsilon_lower.lower, "value": None, "upper": None}
        epsilon["note"] = f"lower bound at delta={self.delta:g}"
        return [
            *rows,
            epsilon,
        ]

    def table(self) -> str:
        """Return the metrics as aligned text."""
        units = f"{self.num_targets} target models" if self.num_targets > 1 else "one target model"
        lines = [
            f"{self.num_members} members, {self.num_nonmembers} non-members, {units}; "
            f"{100 * self.level:g}% intervals"
        ]
        for row in self.rows():
            numbers = ("      -" if row[k] is None else f"{row[k]:7.4f}" for k in ("value", "lower", "upper"))
            lines.append(f"{row['metric']:<18} {'  '.join(numbers)}  {row['note']}".rstrip())
        lines.insert(1, f"{'':<18} {'value':>7}  {'lower':>7}  {'upper':>7}")
        return "\n".join(lines)

    def records(self) -> dict[str, np.ndarray]:
        """Return one row a record, as columns.

        ``target`` and ``example`` (its position in the input), ``member``, ``score``, and whether the
        threshold ``called`` it a member.
        """
        rows, examples, scores = (
            np.concatenate([getattr(side, name) for side in self.samples])
            for name in ("rows", "places", "scores")
        )
        member = np.repeat([True, False], [len(side) for side in self.samples])
        order = np.lexsort((examples, ~member, rows))
        columns = {"target": rows, "example": examples, "member": member, "score": scores}
        columns["called"] = np.concatenate(self.called)
        return {name: column[order] for name, column in columns.items()}

    def roc(self, num_points: int = 61) -> list[dict[str, float]]:
        """Return the ROC with a pointwise band of the audit's level: rows of ``fpr, lower, value, upper``.

        Rates are spaced evenly in the logarithm from one non-member to 1. Where a rate cannot be resolved the
        lower end of the band is 0.
        """
        integer("Audit.roc", "num_points", num_points, at_least=2)
        member, nonmember = self.samples
        fprs = np.geomspace(1 / len(nonmember), 1, num_points)[:-1]
        tprs, _ = _tpr_limits(member, nonmember, fprs, (1 - self.level) / 2)
        rows = [
            {"fpr": float(fpr)} | {k: float(x) for k, x in tpr._asdict().items()}
            for fpr, tpr in zip(fprs, tprs, strict=True)
        ]
        return [*rows, {"fpr": 1.0, "lower": 1.0, "value": 1.0, "upper": 1.0}]


def audit(
    *,
    member: Any = None,
    nonmember: Any = None,
    scores: Any = None,
    membership: Any = None,
    level: float = 0.95,
    delta: float = 1e-5,
    fprs: Sequence[float] = FPRS,
    seed: int = 0,
) -> Audit:
    r"""Return what the scores of members and non-members prove about membership inference.

    Either ``member`` and ``nonmember``, or ``scores`` and ``membership``; larger scores for likelier members.
    Scores of one target model are taken as independent records, and the intervals speak of this model. With
    several, one row each, records of a row may depend on each other in any way (they share a model), rows are
    independent given the examples and the shadow models, and the intervals speak of models trained like
    these.

    Parameters
    ----------
    member, nonmember
        Scores, shape ``(m,)`` and ``(k,)``, or ``(T, m)`` and ``(T, k)``.
    scores, membership
        Scores and whether each belongs to a member, both of shape ``(N,)`` or ``(T, N)``.
    level
        Confidence of every interval by itself.
    delta
        The delta at which epsilon is bounded, in [0, 1).
    fprs
        False positive rates at which the TPR is reported.
    seed
        Of the random halves between which thresholds are exchanged.

    Returns
    -------
    Audit

    Raises
    ------
    InvalidInput
        On NaN, sides with fewer than two records, unequal shapes, complex or text scores. Ties and infinities
        (sure scores) are legal.

    Notes
    -----
    *TPR at an FPR*: half the error is spent on finding, from order statistics of the non-members, a threshold
    whose FPR is surely at most (at least) the rate, half on the TPR there, by Clopper and Pearson: exact for
    one row, no assumption on the law, no choice on the scored points; for several rows with Korn and
    Graubard's effective size, asymptotic in their number. *Advantage, recall, precision, F1*: rates at the
    exchanged thresholds, Newcombe's difference, precision and F1 from limits of both rates that hold
    together. Each half's decision is independent of its choice; that the two halves choose for each other is
    neglected (the tests find no trace of it in the coverage). *AUC*: DeLong's variance as an effective size.
    *Epsilon*: TPR bounds as above on a fixed grid of rates, for members and for non-members, and the rates at
    the exchanged thresholds, the error divided among them (Bonferroni). A test with TPR ``p`` at FPR ``a``
    refutes every ``epsilon < log((p - delta) / a)``.

    Between rows everything rests on their variance: a few models that are all alike cannot show that one in a
    hundred leaks far more.

    References
    ----------
    Clopper, Pearson (1934); Korn, Graubard (1998); DeLong et al. (1988); Obuchowski (1997); Newcombe (1998),
    see ``rates.py``. Kairouz, Oh, Viswanath (2015), The Composition Theorem for Differential Privacy, theorem
    2.1.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> found = audit(member=rng.normal(1, 1, 5000), nonmember=rng.normal(0, 1, 5000))
    >>> found.advantage  # the truth is 0.3829
    Interval(0.3606 in [0.342043, 0.383369], attack, level=0.95)
    >>> found.unresolved
    {}
    """
    level = probability("audit", "level", level)
    real = isinstance(delta, int | float | np.number) and not isinstance(delta, bool)
    if not real or not 0 <= delta < 1:
        raise refuse("audit", "delta", "a number in [0, 1)", delta)
    fprs = [probability("audit", "fprs", fpr) for fpr in fprs]
    seed = integer("audit", "seed", seed, at_least=0)
    members, nonmembers = _samples(member, nonmember, scores, membership)
    # Each end of an interval errs with at most this probability.
    error = (1 - level) / 2

    interval = functools.partial(_interval, level=level)
    thresholds, called, false_called = _exchange_thresholds(members, nonmembers, seed)
    hits, false_hits = members.hits(called), nonmembers.hits(false_called)
    advantage = _advantage(members, nonmembers, hits, false_hits, error)
    rows = members.rows, nonmembers.rows
    auc = auc_limits(members.scores, nonmembers.scores, *rows, members.num_rows, error)
    recall, precision, f1 = _precision(members, nonmembers, hits, false_hits, error)
    tprs, worth = _tpr_limits(members, nonmembers, np.array(fprs), error)
    unresolved = _unresolved(members, nonmembers, fprs, worth, error)
    epsilon = _epsilon(members, nonmembers, hits, false_hits, delta, 1 - level)
    if not np.any(hits) and not np.any(false_hits):
        unresolved["precision"] = "no record is called a member"
    return Audit(
        advantage=interval(advantage),
        balanced_accuracy=interval(Limits(*((1 + x) / 2 for x in advantage))),
        auc=interval(auc),
        recall=interval(recall),
        precision=interval(precision),
        f1=interval(f1),
        tpr_at_fpr={
            fpr: None if _tpr_name(fpr) in unresolved else interval(tpr)
            for fpr, tpr in zip(fprs, tprs, strict=True)
        },
        epsilon_lower=interval(Limits(epsilon, epsilon, np.inf)),
        thresholds=thresholds,
        num_members=len(members),
        num_nonmembers=len(nonmembers),
        num_targets=members.num_rows,
        level=level,
        delta=float(delta),
        unresolved=unresolved,
        samples=(members, nonmembers),
        called=(called, false_called),
    )


def _samples(member, nonmember, scores, membership):
    """Read either form of input as the two samples."""
    given = [name for name, x in zip(("member", "nonmember", "scores", "membership"),
             (member, nonmember, scores, membership), strict=True) if x is not None]  # fmt: skip
    if given == ["member", "nonmember"]:
        sides = [_read_rows(name, x) for name, x in (("member", member), ("nonmember", nonmember))]
        if len(sides[0]) != len(sides[1]):
            raise InvalidInput(
                f"audit: expected member and nonmember with equal rows (target models), "
                f"got {len(sides[0])} and {len(sides[1])}."
            )
        pairs = [(x.ravel(), np.repeat(np.arange(len(x)), x.shape[1])) for x in sides]
        places = [np.tile(np.arange(x.shape[1]), len(x)) for x in sides]
    elif given == ["scores", "membership"]:
        all_scores = _read_rows("scores", scores)
        is_member = read_membership("audit", "membership", membership)
        if np.shape(scores) != is_member.shape:
            raise InvalidInput(
                f"audit: expected scores and membership of equal shape, "
                f"got {np.shape(scores)} and {is_member.shape}."
            )
        found = [np.nonzero(side.reshape(all_scores.shape)) for side in (is_member, ~is_member)]
        pairs = [(all_scores[index], index[0]) for index in found]
        places = [index[1] for index in found]
    else:
        raise InvalidInput(
            "audit: expected member and nonmember, or scores and membership, "
            f"got {', '.join(given) if given else 'none of them'}."
        )
    num_rows = len(sides[0]) if given[0] == "member" else len(all_scores)
    for name, (values, _) in zip(("members", "non-members"), pairs, strict=True):
        if len(values) < 2:
            raise InvalidInput(f"audit: expected at least 2 {name}, got {len(values)}.")
    return [Sample.sort(*pair, place, num_rows) for pair, place in zip(pairs, places, strict=True)]


def _read_rows(name, values):
    """Return scores of shape (T, N)."""
    values = read_scores("audit", name, values)
    if values.ndim not in (1, 2):
        shape = f"{name}.shape={values.shape}"
        raise InvalidInput(f"audit: expected {name} of shape (N,) or (T, N), got {shape}.")
    return np.atleast_2d(values)


def _exchange_thresholds(member, nonmember, seed):
    """Choose a threshold on each random half, let it decide about the other half.

    The halves depend on the seed and on the scores as a set: a fixed pattern over sorted scores would tie the
    halves to each other.
    """
    mark = zlib.crc32(nonmember.scores.tobytes(), zlib.crc32(member.scores.tobytes()))
    rng = np.random.default_rng([seed, mark])
    if member.num_rows > 1:
        half_of_row = rng.permutation(member.num_rows) % 2
        halves = half_of_row[member.rows], half_of_row[nonmember.rows]
    else:
        halves = rng.permutation(len(member)) % 2, rng.permutation(len(nonmember)) % 2
    thresholds = []
    for half in (0, 1):
        sides = [side.scores[which != half] for side, which in zip((member, nonmember), halves, strict=True)]
        if not all(len(side) for side in sides):
            raise InvalidInput(
                "audit: expected members and non-members in each half of the target models (rows), "
                "between which thresholds are exchanged."
            )
        thresholds.append(_central_threshold(*sides))
    decided = [
        side.scores >= np.array(thresholds)[which]
        for side, which in zip((member, nonmember), halves, strict=True)
    ]
    return tuple(thresholds), *decided


def _curve(member, nonmember):
    """Every threshold that is a score, ascending, with TPR and FPR of ``score >= threshold``."""
    thresholds = np.concatenate([member, nonmember])
    thresholds.sort()
    tpr = 1 - np.searchsorted(member, thresholds, "left") / len(member)
    return thresholds, tpr, 1 - np.searchsorted(nonmember, thresholds, "left") / len(nonmember)


def _central_threshold(member, nonmember):
    """Return the median of the thresholds whose TPR - FPR is within a standard error of the largest.

    The largest itself is a noisy place: its middle generalises better and depends on fewer single records.
    """
    thresholds, tpr, fpr = _curve(member, nonmember)
    difference = tpr - fpr
    best = np.argmax(difference)
    slack = np.sqrt(tpr[best] * (1 - tpr[best]) / len(member) + fpr[best] * (1 - fpr[best]) / len(nonmember))
    near = np.flatnonzero(difference >= difference[best] - slack)
    at = near[len(near) // 2]
    threshold, neighbour = thresholds[at], thresholds[max(at - 1, 0)]
    # Half way down to the next record: the best guess for those not seen.
    if np.isfinite(neighbour) and np.isfinite(threshold):
        middle = threshold / 2 + neighbour / 2
        threshold = middle if neighbour < middle < threshold else threshold
    return float(threshold)


def _advantage(member, nonmember, hits, false_hits, error):
    """Limits of TPR - FPR: from the exchanged thresholds below, from the best one above.

    The largest upper limit of all thresholds is at least that of the best one, wherever it is; it is sought
    among those that come first by the normal approximation, and some of all sizes.
    """
    exchanged = difference_limits(hits, member.sizes, false_hits, nonmember.sizes, error)
    thresholds, tpr, fpr = _curve(member.scores, nonmember.scores)
    variance = sum(
        (p * n + 2) * (n - p * n + 2) / (n + 4) ** 3 for p, n in ((tpr, len(member)), (fpr, len(nonmember)))
    )
    reach = tpr - fpr + special.ndtri(1 - error) * np.sqrt(variance)
    first = np.argpartition(reach, -min(CANDIDATES, len(reach)))[-CANDIDATES:]
    spread = np.linspace(0, len(reach) - 1, CANDIDATES).astype(int)
    candidates = np.unique(thresholds[np.concatenate([first, spread])])
    every = difference_limits(
        member.above(candidates, strict=False),
        member.sizes,
        nonmember.above(candidates, strict=False),
        nonmember.sizes,
        error,
    )
    return Limits(exchanged.lower, exchanged.value, max(exchanged.upper, every.upper.max()))


def _precision(member, nonmember, hits, false_hits, error):
    """Limits of recall, precision and F1 at balanced sides, from limits of TPR and FPR that hold together."""
    recall = rate_limits(hits, member.sizes, error)
    tpr = rate_limits(hits, member.sizes, error / 2)
    fpr = rate_limits(false_hits, nonmember.sizes, error / 2)
    worst, middle, best = zip(tpr, reversed(fpr), strict=True)
    precision = Limits(*(p / (p + a) if p + a > 0 else default for (p, a), default in
                         zip((worst, middle, best), (0.0, 0.5, 1.0), strict=True)))  # fmt: skip
    return recall, precision, Limits(*(2 * p / (1 + p + a) for p, a in (worst, middle, best)))


def _tpr_limits(member, nonmember, fprs, error):
    """Limits of the TPR at each FPR, and how many independent non-members those given are worth there.

    At the true threshold t of an FPR: with probability 1 - error / 2 an order statistic of the non-members is
    at least t, so the TPR there is at most the TPR at t; with probability 1 - error / 2 its lower limit is
    below it. The upper end likewise. Members and non-members may depend on each other.
    """
    part = error / 2
    count = len(nonmember)
    index = np.floor(fprs * count * (1 + 1e-12)).astype(int)
    at_index = _kth_largest(nonmember, index + 1)
    sizes = effective_size(nonmember.above(at_index, strict=True), nonmember.sizes, part)
    whole = np.floor(sizes)
    few = np.floor(stats.binom.ppf(part, whole, fprs) / np.maximum(whole, 1) * count).astype(int)
    many = np.ceil((stats.binom.ppf(1 - part, whole, fprs) + 1) / np.maximum(whole, 1) * count).astype(int)
    sure = member.above(_kth_largest(nonmember, few), strict=True)
    most = member.above(_kth_largest(nonmember, many), strict=False)
    lower, upper = rate_limits(sure, member.sizes, part).lower, rate_limits(most, member.sizes, part).upper
    value = member.above(at_index, strict=True).sum(axis=-1) / len(member)
    return [Limits(*x) for x in zip(lower, np.clip(value, lower, upper), upper, strict=True)], whole


def _unresolved(member, nonmember, fprs, worth, error):
    """Which rates lie below what the non-members can resolve, and why."""
    reasons = {}
    for fpr, size in zip(fprs, worth, strict=True):
        needed = int(np.ceil(np.log(error / 2) / np.log1p(-fpr)))
        if size < needed:
            got = f"got {len(nonmember)}"
            if member.num_rows > 1:
                got += f" in {member.num_rows} target models, worth {int(size)}"
            reasons[_tpr_name(fpr)] = f"needs at least {needed} independent non-members, {got}"
    return reasons


def _kth_largest(sample, k):
    """Return the k-th largest scores: infinite at 0, minus infinite beyond the last."""
    inside = sample.scores[-np.clip(k, 1, len(sample))]
    return np.where(k < 1, np.inf, np.where(k > len(sample), -np.inf, inside))


def _epsilon(member, nonmember, hits, false_hits, delta, error):
    """Lower bound on epsilon: from the exchanged thresholds, and from a grid of rates both ways round.

    Each of the three has a third of the error; on the grid, half of that is for the smallest rate.
    """
    share = error / 3
    tpr = rate_limits(hits, member.sizes, share / 2).lower
    fpr = rate_limits(false_hits, nonmember.sizes, share / 2).upper
    bounds = [_refuted(tpr, fpr, delta), _refuted(1 - fpr, 1 - tpr, delta)]
    for positives, negatives in ((member, nonmember), (nonmember.flip(), member.flip())):
        # The smallest rate that the largest score of all can resolve, and its doubles.
        smallest = min(-special.expm1(np.log(share / 4) / len(negatives)) * (1 + 1e-9), 0.5)
        doubles = smallest * 2.0 ** np.arange(1, 1 + int(np.log2(0.5 / smallest)))
        shares = share / 2, share / 2 / max(len(doubles), 1)
        for fprs, part in zip((np.array([smallest]), doubles), shares, strict=True):
            tprs, _ = _tpr_limits(positives, negatives, fprs, part)
            bounds += [_refuted(found.lower, rate, delta) for found, rate in zip(tprs, fprs, strict=True)]
    return float(max(bounds))


def _refuted(tpr, fpr, delta):
    """Return the largest epsilon, at least 0, that a test with these rates refutes."""
    return np.log(max(tpr - delta, fpr) / fpr) if fpr > 0 else 0.0


def _interval(limits, *, level):
    lower, value, upper = (float(limit) for limit in limits)
    return Interval(lower=lower, value=value, upper=upper, kind="attack", level=level)


def _limits(interval):
    return interval and {"lower": interval.lower, "value": interval.value, "upper": interval.upper}


def _tpr_name(fpr):
    return f"TPR at {100 * fpr:g}% FPR"
