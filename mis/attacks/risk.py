"""Which records an attack betrays, over several target models that some trained on and some did not."""

import numpy as np

from mis.attacks.crossfit import widening
from mis.attacks.rates import least_difference

__all__ = ["record_risks", "risk_table", "with_risks"]


def record_risks(places, called, ids, level, *, num_folds=0):
    r"""Return one row a record, most at risk first, as columns; no columns where no record was in and out.

    Claim: with probability ``level`` at least the advantages of *all* rows lie within their limits, so also those of
    the rows that come first because of their scores.

    Parameters
    ----------
    places, called
        Of members and of non-members: which record each score is of, and whether the threshold, chosen on other target
        models, called it a member.
    ids
        Names of the records, shape (N,); ``places`` points into them.
    level
        Probability that all limits hold.
    num_folds
        Of how many folds, shadows of each other, the target models are; 0 if none. Their shadows make the calls of all
        targets depend on each other: counts are then worth as many less as ``widening`` says, which is approximate.

    Returns
    -------
    dict
        ``id``; ``advantage`` with ``advantage_lower`` and ``advantage_upper``: the share of its targets that trained
        on the record in which it is called a member, less that of those that did not; ``hits`` of ``trained``,
        ``false_hits`` of ``untrained``: the counts behind it; ``right``: the share of all its targets in which the
        verdict is right. Records that all of their targets trained on, or none, have no advantage and no row.

    Notes
    -----
    Assumes that target models are independent given the records, and that no score is missing because of its value.
    Each limit of each of ``R`` rows is wrong with probability ``(1 - level) / (2 R)`` at most, see
    ``least_difference``: exact by the union bound, conservative. That the thresholds of the two halves of the targets
    differ a little is neglected. Sorted by the lower limit, then by the advantage itself: a record with few targets
    comes after one that is as bad for sure. An attack with a threshold for each record may do better.

    References
    ----------
    Clopper, Pearson (1934), Biometrika 26. Fisher (1932), Statistical Methods for Research Workers, section 21.1.
    """
    member, nonmember = (np.bincount(side, minlength=len(ids)) for side in places)
    hits, false_hits = (
        np.bincount(side[which], minlength=len(ids)) for side, which in zip(places, called, strict=True)
    )
    both = np.flatnonzero((member > 0) & (nonmember > 0))
    if not len(both):
        return {}
    member, nonmember, hits, false_hits = (count[both] for count in (member, nonmember, hits, false_hits))
    error = (1 - level) / (2 * len(both))
    worth = widening(num_folds) if num_folds else 1.0
    into, out = (hits / worth, member / worth), (false_hits / worth, nonmember / worth)
    columns = {
        "id": ids[both],
        "advantage": hits / member - false_hits / nonmember,
        "advantage_lower": least_difference(*into, *out, error),
        "advantage_upper": -least_difference(*out, *into, error),
        "hits": hits,
        "trained": member,
        "false_hits": false_hits,
        "untrained": nonmember,
        "right": (hits + nonmember - false_hits) / (member + nonmember),
    }
    order = np.lexsort((-columns["advantage"], -columns["advantage_lower"]))
    return {name: column[order] for name, column in columns.items()}


def risk_table(risks, top, *, level):
    """Return the first rows as aligned text."""
    count = len(risks["id"])
    rows = zip(*(column[:top].tolist() for column in risks.values()), strict=True)
    cells = [("id", "advantage", "lower", "upper", "called: in", "out", "right")]
    cells += [
        (str(name), f"{value:.4f}", f"{lower:.4f}", f"{upper:.4f}", f"{hits}/{trained}",
         f"{false_hits}/{untrained}", f"{100 * right:.0f}%")
        for name, value, lower, upper, hits, trained, false_hits, untrained, right in rows
    ]  # fmt: skip
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    lines = [
        "  ".join(
            [row[0].ljust(widths[0]), *(cell.rjust(w) for cell, w in zip(row[1:], widths[1:], strict=True))]
        )
        for row in cells
    ]
    shown = f"{min(top, count)} of {count}"
    title = f"Records most at risk first, {shown}; the intervals of all {count} hold together with {100 * level:g}%"
    note = "called: targets that call it a member, of those trained with (in) and without it (out); right: of all"
    return "\n".join([title, *lines, note])


def with_risks(records, risks):
    """Return all scores with the columns of their record beside them, most at risk first; NaN where unknown."""
    if not risks:
        return records
    rank = {name: i for i, name in enumerate(risks["id"].tolist())}
    ranks = np.array([rank.get(name, len(rank)) for name in records["id"].tolist()])
    order = np.lexsort((np.arange(len(ranks)), ranks))
    records = {name: column[order] for name, column in records.items()}
    for name in ("advantage", "advantage_lower", "advantage_upper", "right"):
        records[name] = np.append(risks[name], np.nan)[ranks[order]]
    return records
