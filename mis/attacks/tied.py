"""Whether target models were trained on the same records, so that they do not repeat the game."""

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from mis.attacks.samples import Sample
from mis.results import Interval

if TYPE_CHECKING:
    from mis.attacks.audit import Audit

__all__ = ["are_tied", "by_record", "outer"]

# In standard errors: a little more than chance does is enough, since intervals only get wider.
SURE = 3.0

METRICS = ("advantage", "balanced_accuracy", "auc", "recall", "precision", "f1")


def are_tied(member: Sample, nonmember: Sample, num_records: int) -> bool:
    r"""Return whether the same records are members of several target models, more often than chance lets them.

    Parameters
    ----------
    member, nonmember
        Scores, with the number of the target model and of the record of each.
    num_records
        Of all target models.

    Notes
    -----
    Of a record with scores of :math:`T_i` targets, :math:`C_i` as a member, each with the share :math:`p_t` of its
    target's records, :math:`(C_i - \sum p_t)^2 - \sum p_t (1 - p_t)` has mean 0 where targets drew their records
    independently, and grows with every pair of targets that share them. Compared is the mean over records.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> drawn = rng.random((8, 100)) < 0.5
    >>> def sides(membership):
    ...     at = np.nonzero(membership), np.nonzero(~membership)
    ...     return [Sample.sort(np.zeros(len(t)), t, i, 8) for t, i in at]
    >>> are_tied(*sides(drawn), 100), are_tied(*sides(drawn[[0] * 8]), 100)
    (False, True)
    """
    inside, outside = (
        np.bincount(side.models, minlength=side.models.max() + 1) for side in (member, nonmember)
    )
    size = max(len(inside), len(outside))
    inside, outside = (np.pad(count, (0, size - len(count))) for count in (inside, outside))
    share = inside / np.maximum(inside + outside, 1)
    places, models = (
        np.concatenate([getattr(side, name) for side in (member, nonmember)]) for name in ("places", "models")
    )
    expected = np.bincount(places, share[models], num_records)
    spread = np.bincount(places, (share * (1 - share))[models], num_records)
    count = np.bincount(member.places, minlength=num_records)
    excess = np.square(count - expected) - spread
    excess = excess[np.bincount(places, minlength=num_records) > 1]
    if len(excess) < 2:
        return False
    # Where all records were in as many targets the excess is a constant, to a rounding.
    error = excess.std(ddof=1) / np.sqrt(len(excess)) + 1e-9
    return bool(excess.mean() > SURE * error)


def by_record(sample: Sample, num_records: int) -> Sample:
    """Make the records, over all target models, the independent units."""
    return replace(sample, rows=sample.places, num_rows=num_records, dealt=sample.models)


def outer(found: "Audit", other: "Audit") -> "Audit":
    """Return the first with every interval reaching as far as that of either."""
    rates = {fpr: _outer(tpr, other.tpr_at_fpr[fpr]) for fpr, tpr in found.tpr_at_fpr.items()}
    metrics: dict[str, Any] = {name: _outer(getattr(found, name), getattr(other, name)) for name in METRICS}
    metrics["epsilon_lower"] = min(found.epsilon_lower, other.epsilon_lower, key=lambda bound: bound.lower)
    unresolved = {name: reason.replace(" folds", " records") for name, reason in other.unresolved.items()}
    unresolved |= found.unresolved
    return replace(found, **metrics, tpr_at_fpr=rates, unresolved=unresolved, tied=True)


def _outer(one: Interval | None, other: Interval | None) -> Interval | None:
    if one is None or other is None:
        return None
    return replace(one, lower=min(one.lower, other.lower), upper=max(one.upper, other.upper))
