"""What an attack's scores prove, with intervals that hold.

Every number is a lower bound on what the optimal attacker reaches: another attack may do better, none of
these intervals speaks of that.
"""

import functools
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from scipy import special

from mis.attacks.crossfit import widening
from mis.attacks.metrics import (
    advantage_limits,
    epsilon_bound,
    needed_nonmembers,
    precision_limits,
    tpr_limits,
)
from mis.attacks.rates import Limits, auc_limits
from mis.attacks.risk import record_risks
from mis.attacks.samples import Sample, deal_rows, exchange_thresholds, read_samples
from mis.attacks.tied import are_tied, by_record, outer
from mis.numerics.checks import InvalidInput, confidence, integer, probability, refuse, unmasked
from mis.results import Interval

__all__ = ["FPRS", "TIED", "WRONG_WAY", "Audit", "audit", "interval_error"]

# What is said where the AUC is surely below 1/2.
WRONG_WAY = "AUC below .5: are these losses? Larger scores must mean likelier members."

# What is said where target models do not repeat the game.
TIED = "Target models share members more than by chance: intervals allow for which records these are."

# What is said where nothing shows it.
UNNAMED = "No ids: records count as drawn anew for each target model; ids would tell whether they were."

# False positive rates that every audit reports, where it can resolve them.
FPRS = (0.1, 0.01, 0.001)


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
    targets, ids
        Names of target models and of records, their numbers where none were given; ``ids`` is None where nothing says
        which record of one target model is which of another.
    num_folds
        Of how many folds, shadows of each other, the target models are; 0 where shadows are others.
    tied
        Whether target models were trained on the same records more often than by chance: every interval then also
        holds with the records as the independent units.
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
    targets: np.ndarray = field(repr=False, compare=False)
    ids: np.ndarray | None = field(repr=False, compare=False)
    samples: tuple[Sample, Sample] = field(repr=False, compare=False)
    called: tuple[np.ndarray, np.ndarray] = field(repr=False, compare=False)
    num_folds: int = 0
    tied: bool = False

    @property
    def error(self) -> float:
        """Probability of error asked for at each end of an interval: smaller where folds are shadows of each other."""
        return interval_error(self.level, self.num_folds)

    @property
    def warning(self) -> str:
        """What the scores themselves say is wrong with them: the sign, where even the AUC's upper end is below 1/2.

        The numbers stay those of the scores as given.
        """
        return WRONG_WAY if self.auc.upper < 0.5 else ""

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
            "tied": self.tied,
            "warning": self.warning,
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
        missing = (
            self.num_targets * len(self.ids) - sum(map(len, self.samples)) if self.ids is not None else 0
        )
        if missing:
            units += f" ({missing} pairs of target and id have no score)"
        lines = [
            f"{self.num_members} members, {self.num_nonmembers} non-members, {units}; "
            f"{100 * self.level:g}% intervals"
        ]
        for row in self.rows():
            numbers = ("      -" if row[k] is None else f"{row[k]:7.4f}" for k in ("value", "lower", "upper"))
            lines.append(f"{row['metric']:<18} {'  '.join(numbers)}  {row['note']}".rstrip())
        lines.insert(1, f"{'':<18} {'value':>7}  {'lower':>7}  {'upper':>7}")
        lines += [TIED] if self.tied else [UNNAMED] if self.ids is None and self.num_targets > 1 else []
        return "\n".join([*lines, self.warning] if self.warning else lines)

    def records(self) -> dict[str, np.ndarray]:
        """Return one row a record, as columns.

        ``target`` and ``example`` (its position in the input, or that of its id among the sorted ones), ``member``,
        ``score``, and whether the threshold ``called`` it a member; ``id`` where it is known.
        """
        rows, examples, scores = (
            np.concatenate([getattr(side, name) for side in self.samples])
            for name in ("models", "places", "scores")
        )
        member = np.repeat([True, False], [len(side) for side in self.samples])
        order = np.lexsort((examples, ~member, rows))
        columns = {"target": self.targets[rows], "example": examples, "member": member, "score": scores}
        columns["called"] = np.concatenate(self.called)
        if self.ids is not None:
            columns["id"] = self.ids[examples]
        return {name: column[order] for name, column in columns.items()}

    def risks(self) -> dict[str, np.ndarray]:
        """Return one row a record over all its target models, as columns, most at risk first; see ``record_risks``.

        No columns where there is one target model, where nothing says which record of one is which of another, or
        where no record is a member for some and a non-member for others.
        """
        if self.ids is None or self.num_targets == 1:
            return {}
        return record_risks(
            [side.places for side in self.samples],
            self.called,
            self.ids,
            self.level,
            num_folds=self.num_folds,
        )

    def roc(self, num_points: int = 61) -> list[dict[str, float]]:
        """Return the ROC with a pointwise band of the audit's level: rows of ``fpr, lower, value, upper``.

        Rates are spaced evenly in the logarithm from one non-member to 1. Where a rate cannot be resolved the
        lower end of the band is 0.
        """
        integer("Audit.roc", "num_points", num_points, at_least=2)
        member, nonmember = self.samples
        fprs = np.geomspace(1 / len(nonmember), 1, num_points)[:-1]
        tprs, _ = tpr_limits(member, nonmember, fprs, self.error)
        if self.tied and self.ids is not None:
            first, second = (by_record(side, len(self.ids)) for side in self.samples)
            others, _ = tpr_limits(first, second, fprs, self.error)
            tprs = [
                Limits(min(tpr.lower, other.lower), tpr.value, max(tpr.upper, other.upper))
                for tpr, other in zip(tprs, others, strict=True)
            ]
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
    targets: Any = None,
    ids: Any = None,
    level: float = 0.95,
    delta: float = 1e-5,
    fprs: float | Sequence[float] = FPRS,
    seed: int = 0,
    scored: Any = None,
    folds: Any = None,
) -> Audit:
    r"""Return what the scores of members and non-members prove about membership inference.

    Either ``member`` and ``nonmember``, or ``scores`` and ``membership``; larger scores for likelier members.
    Scores of one target model are taken as independent records, and the intervals speak of this model. With
    several, one row each, records of a row may depend on each other in any way (they share a model), rows are
    independent given the examples and the shadow models, and the intervals speak of models trained like
    these. That takes members drawn anew for each row. Where the records show that they were not, and rows that all
    trained on one half of the pool only repeat one draw of it, every interval also reaches as far as with the records
    as the independent units. ``member`` and ``nonmember`` of several rows do not show it, nor do ``targets`` without
    ``ids``: records are then taken as drawn anew.

    Parameters
    ----------
    member, nonmember
        Scores, shape ``(m,)`` and ``(k,)``, or ``(T, m)`` and ``(T, k)``.
    scores, membership
        Scores and whether each belongs to a member, both of shape ``(N,)`` or ``(T, N)``.
    targets
        With scores of shape ``(N,)``, integers or text of that shape: the target model of each, in any order. A record
        need not have a score for every target model, as long as none is missing because of its value.
    ids
        Integers or text, one a column of ``scores``, or with ``targets`` one a score: which record it is.
    level
        Confidence of every interval by itself.
    delta
        The delta at which epsilon is bounded, in [0, 1).
    fprs
        False positive rates at which the TPR is reported.
    seed
        Of the random halves between which thresholds are exchanged.
    scored
        Which of ``scores`` there are, bool of their shape; all if None. None may be missing because of its value, and
        what stands in the place of a missing one is ignored.
    folds
        Where target models were shadows of each other: the fold of each, integers from 0, shape ``(T,)``. The
        folds are then the independent units, and intervals are widened as those of ``mean_over_networks``.

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
    *TPR at an FPR*: half the error is spent on finding, from order statistics of the non-members, a threshold whose
    FPR is surely at most (at least) the rate, half on the TPR there, by Clopper and Pearson: exact for one row, no
    assumption on the law, no choice on the scored points; for several rows with Korn and Graubard's effective size,
    asymptotic in their number. *Advantage, recall, precision, F1*: rates at the exchanged thresholds, limits
    of a difference from two p-values, precision and F1 from limits of both rates that hold together. Each half's
    decision is independent of its choice; that the two halves choose for each other is neglected (the tests find no
    trace of it in the coverage). *AUC*: DeLong's variance as an effective size; for several rows that of pairs of
    two rows, leaving out each row. *Epsilon*: TPR bounds as above on a fixed grid of rates, for members and for
    non-members, and the rates at the exchanged thresholds, the error divided among them (Bonferroni). A test with
    TPR ``p`` at FPR ``a`` refutes every ``epsilon < log((p - delta) / a)``.

    Between rows everything rests on their variance: a few models that are all alike cannot show that one in a
    hundred leaks far more. Two rows differ once, so their intervals are wide.

    References
    ----------
    Clopper, Pearson (1934); Fisher (1932); Korn, Graubard (1998); DeLong et al. (1988); Obuchowski (1997);
    see ``rates.py``. Kairouz, Oh, Viswanath (2015), The Composition Theorem for Differential Privacy, theorem
    2.1.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> found = audit(member=rng.normal(1, 1, 5000), nonmember=rng.normal(0, 1, 5000))
    >>> found.advantage  # the truth is 0.3829
    Interval(0.3606 in [0.339803, 0.38562], attack, level=0.95)
    >>> found.unresolved
    {}
    """
    level = confidence("audit", level)
    real = isinstance(delta, int | float | np.number) and not isinstance(delta, bool)
    if not real or not 0 <= delta < 1:
        raise refuse("audit", "delta", "a number in [0, 1)", delta)
    unmasked("audit", "fprs", fprs)
    fprs = [probability("audit", "fprs", fpr) for fpr in np.atleast_1d(np.asarray(fprs)).tolist()]
    seed = integer("audit", "seed", seed, at_least=0)
    members, nonmembers, *names = read_samples(member, nonmember, scores, membership, targets, ids, scored)
    num_folds = 0
    if folds is not None:
        folds = _read_folds(folds, members.num_rows)
        members, nonmembers = deal_rows(members, folds), deal_rows(nonmembers, folds)
        num_folds = members.num_rows
    measured = functools.partial(
        _measured,
        targets=names[0],
        ids=names[1],
        level=level,
        delta=float(delta),
        fprs=fprs,
        seed=seed,
        num_folds=num_folds,
    )
    found, ids = measured(members, nonmembers), names[1]
    if ids is None or len(names[0]) == 1 or not are_tied(members, nonmembers, len(ids)):
        return found
    return outer(found, measured(by_record(members, len(ids)), by_record(nonmembers, len(ids))))


def _read_folds(folds, num_targets):
    unmasked("audit", "folds", folds)
    folds = np.asarray(folds)
    if folds.shape != (num_targets,) or folds.dtype.kind not in "iu":
        raise InvalidInput(
            f"audit: expected folds, integers of shape ({num_targets},), got {folds.dtype} of shape {folds.shape}."
        )
    if not np.array_equal(np.unique(folds), np.arange(max(folds.max() + 1, 3))):
        raise InvalidInput("audit: expected folds 0, 1, 2, … of which none is empty, at least three.")
    return folds.astype(np.intp)


def interval_error(level, num_folds):
    """Return the error at each end of an interval.

    With folds, that of one ``sqrt(widening)`` times as wide in quantiles of Student's t: every limit is some quantile
    away from its value, and lies so much further out whatever shares of the error go into it.
    """
    error = (1 - level) / 2
    if not num_folds:
        return error
    freedom = num_folds - 1
    return float(special.stdtr(freedom, np.sqrt(widening(num_folds)) * special.stdtrit(freedom, error)))


def _measured(members, nonmembers, *, targets, ids, level, delta, fprs, seed, num_folds):
    """Compute every metric from what has been checked."""
    # Each end of an interval errs with at most this probability.
    error = interval_error(level, num_folds)
    interval = functools.partial(_interval, level=level)
    thresholds, called, false_called = exchange_thresholds(members, nonmembers, seed)
    hits, false_hits = members.hits(called), nonmembers.hits(false_called)
    advantage = advantage_limits(members, nonmembers, hits, false_hits, error)
    rows = members.rows, nonmembers.rows
    auc = auc_limits(members.scores, nonmembers.scores, *rows, members.num_rows, error)
    recall, precision, f1 = precision_limits(members, nonmembers, hits, false_hits, error)
    tprs, worth = tpr_limits(members, nonmembers, np.array(fprs), error)
    unresolved = _unresolved(members, nonmembers, fprs, worth, error)
    epsilon = epsilon_bound(members, nonmembers, hits, false_hits, delta, 2 * error)
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
        num_targets=len(targets),
        num_folds=num_folds,
        level=level,
        delta=delta,
        unresolved=unresolved,
        targets=targets,
        ids=ids,
        samples=(members, nonmembers),
        called=(called, false_called),
    )


def _unresolved(member, nonmember, fprs, worth, error):
    """Which rates lie below what the non-members can resolve, and why."""
    reasons = {}
    for fpr, size in zip(fprs, worth, strict=True):
        needed = needed_nonmembers(fpr, error)
        if size < needed:
            got = f"got {len(nonmember)}"
            if member.num_rows > 1:
                units = "target models" if member.dealt is None else "folds"
                got += f" in {member.num_rows} {units}, worth {int(size)}"
            reasons[_tpr_name(fpr)] = f"needs at least {needed} independent non-members, {got}"
    return reasons


def _interval(limits, *, level):
    lower, value, upper = (float(limit) for limit in limits)
    return Interval(lower=lower, value=value, upper=upper, kind="attack", level=level)


def _limits(interval):
    return interval and {"lower": interval.lower, "value": interval.value, "upper": interval.upper}


def _tpr_name(fpr):
    return f"TPR at {100 * fpr:g}% FPR"
