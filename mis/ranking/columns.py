"""What each column of a ranking is, the one place that tables, legends, files and ``mis explain`` read."""

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any

from mis.numerics.checks import known
from mis.ranking.evidence import ATTACKS as RANKED
from mis.ranking.evidence import sees

__all__ = ["ATTACKS", "COLUMNS", "Column", "described", "explain", "header"]


@dataclass(frozen=True, kw_only=True)
class Column:
    """One column of a ranking.

    Parameters
    ----------
    what
        One sentence that says what it is.
    unit
        Its unit.
    kind
        The usual kind of its ``Interval``; None for a plain number or for text.
    errs
        In which direction it errs, and what its interval covers.
    """

    what: str
    unit: str = "a share, 0 to 1"
    kind: str | None = None
    errs: str = "an exact description of the released weights"


_ATTACK = (
    "a lower bound on the best attack; the interval is over repetitions of the whole experiment on this pool, for "
    "this attack with this many shadow networks"
)


def _attack(what: str) -> Column:
    return Column(what=what, unit="advantage, TPR - FPR", kind="attack", errs=_ATTACK)


ATTACKS = {
    "lira": _attack(
        "Attack on outputs: likelihood ratio (LiRA) of log-odds, or of residuals in a regression."
    ),
    "lira_loss": _attack("Attack on outputs: likelihood ratio (LiRA) of losses."),
    "rmia": _attack("Attack on outputs: likelihood ratios against other examples (RMIA), for classes only."),
    "loss": _attack("Attack on outputs: one threshold on the loss for all examples."),
    "calibrated_loss": _attack("Attack on outputs: loss less its mean over networks without the example."),
    "lira_decoded": _attack("LiRA on the outputs of the network that the released codes let one expect."),
    "lira_unadapted": _attack(
        "LiRA by an attacker who ignores the release: shadows in full precision, target as released."
    ),
    "whitebox": _attack("Attack on the released weights: linear scores by layer, joined with lira_decoded."),
    "combined": _attack("All the other attacks asked for, joined by a logistic regression."),
}
# The others say what they are in the first line of their docstring.
ATTACKS |= {
    name: _attack((type(one.attack).__doc__ or "").strip().splitlines()[0].replace("``", ""))
    for name, one in RANKED.items()
    if name not in ATTACKS
}

COLUMNS: dict[str, Column] = {
    "release": Column(what="Name of the release.", unit="a name", errs="none"),
    "bits": Column(
        what="Bits a weight takes with all that is published beside its code: scales, zero points, levels, masks.",
        unit="bits per weight",
    ),
    "zeros": Column(what="Share of released weights that are zero.", errs="a mean over the networks"),
    "performance": Column(
        what="Accuracy, or R2 in a regression, on examples outside the pool.",
        unit="accuracy, 0 to 1, or R2, at most 1",
        kind="monte-carlo",
        errs="unbiased; the interval is over networks and over held-out examples",
    ),
    "train_performance": Column(
        what="Accuracy or R2 on the examples that each network was trained on.",
        unit="accuracy, 0 to 1, or R2, at most 1",
        errs="a mean over the networks",
    ),
    "indicator": Column(
        what="r_Q: MIS is at least 1 - exp(-n r_Q) to leading order; larger is more private.",
        unit="nats per example",
        kind="bootstrap",
        errs="the value on average too large, never too small; the interval is over held-out examples",
    ),
    "num_candidates": Column(
        what="Distinct released networks along the training runs, among which r_Q is a minimum.",
        unit="a count",
        errs="exact",
    ),
    "indicator_naive": Column(
        what="The plain minimum that indicator corrects.", unit="nats per example", errs="too small"
    ),
    "retained": Column(
        what="Share of the information about each weight that passes its cell, from one training run.",
        kind="bootstrap",
        errs="its order is right, its level too low; the interval is over weights",
    ),
    "retained_ensemble": Column(
        what="The same share, where each weight spreads as it does over all the networks.",
        kind="bootstrap",
        errs="counts weights one by one, too high where they vary together; the interval is over weights",
    ),
    "local": Column(
        what="Advantage predicted by local asymptotics, where networks are at a minimum.",
        unit="advantage, TPR - FPR",
        kind="asymptotic",
        errs="a limit formula, no bound; either side",
    ),
    "weight_error": Column(
        what="Squared error of the released weights over their squared norm.", unit="a ratio, 0 or more"
    ),
    "code_entropy": Column(what="Entropy of the codes of the released weights.", unit="bits per weight"),
    **ATTACKS,
    "advantage": Column(
        what="Advantage of the strongest of these attacks, chosen on other networks.",
        unit="advantage, TPR - FPR",
        kind="attack",
        errs=_ATTACK,
    ),
    "mis": Column(
        what="Membership inference security, at most 1 - advantage_lower; larger is more private.",
        kind="attack",
        errs="an upper bound: these attacks prove nothing from below, so mis_lower is 0",
    ),
    "predicted": Column(
        what="Advantage that retained_ensemble and the advantage at full precision foretell.",
        unit="advantage, TPR - FPR",
        kind="asymptotic",
        errs="a limit formula, no bound; either side, and too low where attacks at full precision are weak",
    ),
    "tpr_at_fpr_01": Column(
        what="True positive rate of the strongest attack at a false positive rate of 1%.",
        kind="attack",
        errs=_ATTACK,
    ),
    "fpr_realised": Column(
        what="False positive rate that the threshold of tpr_at_fpr_01 had on the networks attacked.",
        errs="a mean over the networks",
    ),
    "limit": Column(
        what="Advantage that attacks linear in the weights would reach with ever more networks.",
        unit="advantage, TPR - FPR",
        kind="asymptotic",
        errs="an estimate for normal weights, no bound; either side",
    ),
    "early": Column(
        what="Advantage at full precision when training stops as soon as it performs as well.",
        unit="advantage, TPR - FPR",
        kind="attack",
        errs=f"{_ATTACK}; neither the stop nor its performance is counted as uncertain",
    ),
    "early_steps": Column(
        what="Training steps at that stop, interpolated.", unit="steps", errs="none is counted"
    ),
    "given_performance": Column(
        what="Advantage less what a line in performance through the other releases expects.",
        unit="advantage, TPR - FPR",
        kind="asymptotic",
        errs="either side; the interval holds 0 where this release is of one kind with the others",
    ),
    "tied_with": Column(
        what="Releases whose advantage cannot be told from this one's (paired by network, Holm).",
        unit="names",
        errs="a release missing here differs, all pairs together at the level of the intervals",
    ),
    "level": Column(
        what="Level of every interval of the row; those of kind exact or certified hold for sure.",
        errs="none",
    ),
}

# What follows the name of an interval's column in a file, with what it holds.
PARTS = {
    "": "the value",
    "_lower": "the lower end of the interval",
    "_upper": "the upper end of the interval",
    "_kind": "what the interval is: exact, certified, asymptotic, monte-carlo, bootstrap or attack",
}


def header() -> list[str]:
    """Return the header of ``ranking.csv``: four columns for every interval.

    Examples
    --------
    >>> header()[3:8]
    ['performance', 'performance_lower', 'performance_upper', 'performance_kind', 'train_performance']
    """
    return [name + part for name, column in COLUMNS.items() for part in (PARTS if column.kind else [""])]


def described(names: Iterable[str]) -> dict[str, dict[str, Any]]:
    """Return what columns are as ``ranking.json`` has it, and what an attack sees.

    Examples
    --------
    >>> described(["lira", "whitebox"])["whitebox"]["sees"]
    ['outputs', 'weights', 'shadows']
    """
    return {
        name: asdict(COLUMNS[name]) | ({"sees": sees(name)} if name in ATTACKS else {})
        for name in names
        if name in COLUMNS
    }


def explain(name: str) -> str:
    """Return what a column of the tables or of ``ranking.csv`` is, in lines.

    Raises
    ------
    InvalidInput
        Where there is no such column; the message names the nearest.

    Examples
    --------
    >>> print(explain("code_entropy"))
    code_entropy: Entropy of the codes of the released weights.
      unit: bits per weight
      errs: an exact description of the released weights
    """
    known("explain", "column", name, header())
    base = name if name in COLUMNS else name.rpartition("_")[0]
    column = COLUMNS[base]
    part = f" Here: {PARTS[name.removeprefix(base)]}." if base != name else ""
    lines = [f"{name}: {column.what}{part}", f"  unit: {column.unit}"]
    if column.kind:
        lines.append(f"  kind: {column.kind}, with {base}_lower, {base}_upper and {base}_kind beside it")
    return "\n".join([*lines, f"  errs: {column.errs}"])
