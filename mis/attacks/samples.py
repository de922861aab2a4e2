"""The scores of members and of non-members, and thresholds that part them."""

import functools
import itertools
import zlib
from dataclasses import dataclass, replace

import numpy as np

from mis.attacks.base import read_membership, read_scores
from mis.numerics.checks import InvalidInput, unmasked

__all__ = ["Sample", "deal_rows", "exchange_thresholds", "first_repeated", "read_samples", "roc_curve"]


# Draws of halves before it is said that none has records of both kinds in each.
TRIES = 1000


@dataclass(frozen=True)
class Sample:
    """Scores of members or of non-members, ascending, each with the number of its target model.

    ``rows`` are the independent units: the target models, or the folds that they were dealt to; then ``dealt`` are the
    models.
    """

    scores: np.ndarray
    rows: np.ndarray
    places: np.ndarray
    num_rows: int
    dealt: np.ndarray | None = None

    @classmethod
    def sort(cls, scores, rows, places, num_rows):
        """Make a sample from scores in any order; ``places`` says where each came from."""
        # Adding zero makes -0.0 and 0.0 the same bytes: they are one score.
        scores = scores + 0.0
        order = np.argsort(scores)
        return cls(scores[order], rows[order], places[order], num_rows)

    def __len__(self):
        return len(self.scores)

    @property
    def models(self):
        """The number of each score's target model."""
        return self.rows if self.dealt is None else self.dealt

    @functools.cached_property
    def sizes(self):
        """Number of records of each row, shape (T,)."""
        return np.bincount(self.rows, minlength=self.num_rows)

    def hits(self, called):
        """Count the records of each row for which ``called`` holds, shape (T,)."""
        return np.bincount(self.rows[called], minlength=self.num_rows)

    def above(self, thresholds, *, strict):
        """Count the records of each row above thresholds ``(G,)``, or not below them, shape (G, T)."""
        first = np.searchsorted(self.scores, thresholds, "right" if strict else "left")
        if self.num_rows == 1:
            return (len(self) - first)[:, None]
        # Each record is counted once, between the two thresholds that it lies between.
        order = np.argsort(first, kind="stable")
        between = [self.hits(slice(*ends)) for ends in itertools.pairwise([*first[order], len(self)])]
        hits = np.empty((len(first), self.num_rows), dtype=int)
        hits[order] = np.array(between, dtype=int).reshape(hits.shape)[::-1].cumsum(axis=0)[::-1]
        return hits

    def flip(self):
        """Return the sample with the opposite scores."""
        return replace(self, scores=-self.scores[::-1], rows=self.rows[::-1], places=self.places[::-1],
                       dealt=self.models[::-1])  # fmt: skip


def read_samples(member, nonmember, scores, membership, targets=None, ids=None, scored=None):
    """Read any form of input as the two samples, names of the target models (T,) and of the records (N,).

    These are None where nothing says which record of one target model is which of another.
    """
    given = [name for name, x in zip(("member", "nonmember", "scores", "membership"),
             (member, nonmember, scores, membership), strict=True) if x is not None]  # fmt: skip
    if given != ["scores", "membership"] and (targets is not None or ids is not None):
        raise InvalidInput("audit: expected scores and membership with targets or ids.")
    if given != ["scores", "membership"] and scored is not None:
        raise InvalidInput("audit: expected scores and membership with scored.")
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
        there = _read_scored(scored, scores)
        all_scores = _read_rows("scores", scores if there is True else np.where(there, scores, 0.0))
        is_member = read_membership("audit", "membership", membership)
        if np.shape(scores) != is_member.shape:
            raise InvalidInput(
                f"audit: expected scores and membership of equal shape, "
                f"got {np.shape(scores)} and {is_member.shape}."
            )
        all_scores = all_scores.ravel()
        rows, columns, targets, ids = _read_names(np.shape(scores), targets, ids)
        found = [(side & there).ravel() for side in (is_member, ~is_member)]
        pairs = [(all_scores[side], rows[side]) for side in found]
        places = [columns[side] for side in found]
    else:
        raise InvalidInput(
            "audit: expected member and nonmember, or scores and membership, "
            f"got {', '.join(given) if given else 'none of them'}."
        )
    if given[0] == "member":
        targets = np.arange(len(sides[0]))
    for name, (values, _) in zip(("members", "non-members"), pairs, strict=True):
        if len(values) < 2:
            raise InvalidInput(f"audit: expected at least 2 {name}, got {len(values)}.")
    samples = [Sample.sort(*pair, place, len(targets)) for pair, place in zip(pairs, places, strict=True)]
    return *samples, targets, ids


def _read_scored(scored, scores):
    """Return which scores there are, bool of their shape; True where nothing is said."""
    if scored is None:
        return True
    unmasked("audit", "scores", scores)
    there = read_membership("audit", "scored", scored)
    if np.shape(scores) != there.shape:
        raise InvalidInput(
            f"audit: expected scores and scored of equal shape, got {np.shape(scores)} and {there.shape}."
        )
    return there


def first_repeated(rows, columns):
    """Return where a pair first stands for the second time, and where it stood before; None where all differ."""
    order = np.lexsort((np.arange(len(rows)), columns, rows))
    same = (np.diff(rows[order]) == 0) & (np.diff(columns[order]) == 0)
    if not same.any():
        return None
    again, before = order[1:][same], order[:-1][same]
    first = np.argmin(again)
    return int(again[first]), int(before[first])


def _read_names(shape, targets, ids):
    """Return target model and record of each score, flat, by number; and the names of both, ids None if unknown."""
    if targets is None:
        num_rows, num_columns = (1, *shape)[-2:]
        rows, columns = np.repeat(np.arange(num_rows), num_columns), np.tile(np.arange(num_columns), num_rows)
        names = np.arange(num_columns) if ids is None else _read_labels("ids", ids, num_columns)
        if len(np.unique(names)) < len(names):
            raise InvalidInput("audit: expected ids that differ, or targets that say which model is meant.")
        return rows, columns, np.arange(num_rows), names
    if len(shape) != 1:
        raise InvalidInput(f"audit: expected scores of shape (N,) with targets, got scores.shape={shape}.")
    names, rows = np.unique(_read_labels("targets", targets, *shape), return_inverse=True)
    if ids is None:
        return rows, np.arange(*shape), names, None
    ids, columns = np.unique(_read_labels("ids", ids, *shape), return_inverse=True)
    repeated = first_repeated(rows, columns)
    if repeated is not None:
        again, before = repeated
        raise InvalidInput(
            f"audit: expected one score for each target and id, got target={names[rows[again]]} and "
            f"id={ids[columns[again]]} at {before} and {again}."
        )
    return rows, columns, names, ids


def _read_labels(name, values, count):
    """Return integers or text, shape (count,)."""
    unmasked("audit", name, values)
    labels = np.asarray(values)
    if labels.shape != (count,) or labels.dtype.kind not in "iuU":
        raise InvalidInput(
            f"audit: expected {name} integers or text of shape ({count},), "
            f"got {labels.dtype} of shape {labels.shape}."
        )
    return labels


def _read_rows(name, values):
    """Return scores of shape (T, N)."""
    values = read_scores("audit", name, values)
    if values.ndim not in (1, 2):
        shape = f"{name}.shape={values.shape}"
        raise InvalidInput(f"audit: expected {name} of shape (N,) or (T, N), got {shape}.")
    return np.atleast_2d(values)


def deal_rows(sample, folds):
    """Make the folds that target models were dealt to the independent units; ``folds`` of each model, ``(T,)``."""
    return replace(sample, rows=folds[sample.rows], num_rows=int(folds.max()) + 1, dealt=sample.rows)


def exchange_thresholds(member, nonmember, seed):
    """Choose a threshold on each random half, let it decide about the other half.

    The halves depend on the seed and on the scores as a set: a fixed pattern over sorted scores would tie the
    halves to each other.
    """
    mark = zlib.crc32(nonmember.scores.tobytes(), zlib.crc32(member.scores.tobytes()))
    rng = np.random.default_rng([seed, mark])
    for _ in range(TRIES):
        if member.num_rows > 1:
            half_of_row = rng.permutation(member.num_rows) % 2
            halves = half_of_row[member.rows], half_of_row[nonmember.rows]
        else:
            halves = rng.permutation(len(member)) % 2, rng.permutation(len(nonmember)) % 2
        if all(0 < half.sum() < len(half) for half in halves):
            break
    else:
        raise InvalidInput(
            "audit: expected members and non-members in each half of the target models (rows), "
            "between which thresholds are exchanged."
        )
    thresholds = []
    for half in (0, 1):
        sides = [side.scores[which != half] for side, which in zip((member, nonmember), halves, strict=True)]
        thresholds.append(_central_threshold(*sides))
    decided = [
        side.scores >= np.array(thresholds)[which]
        for side, which in zip((member, nonmember), halves, strict=True)
    ]
    return tuple(thresholds), *decided


def roc_curve(member, nonmember):
    """Every threshold that is a score, ascending, with TPR and FPR of ``score >= threshold``."""
    thresholds = np.concatenate([member, nonmember])
    thresholds.sort()
    tpr = 1 - np.searchsorted(member, thresholds, "left") / len(member)
    return thresholds, tpr, 1 - np.searchsorted(nonmember, thresholds, "left") / len(nonmember)


def _central_threshold(member, nonmember):
    """Return the median of the thresholds whose TPR - FPR is within a standard error of the largest.

    The largest itself is a noisy place: its middle generalises better and depends on fewer single records.
    """
    thresholds, tpr, fpr = roc_curve(member, nonmember)
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
