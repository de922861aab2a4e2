"""What the JSON of ``mis audit`` says."""

import functools
from collections.abc import Callable, Sequence
from typing import Any

from mis.report.page import Answers, Cell, Column, Estimate, Facts, Forest, Part, Roc, Section, Table
from mis.report.reading import estimate, number, sentence
from mis.report.words import ADVANTAGE, correct_of_100

__all__ = ["read", "risks_of"]

WHAT_TPR = "True positive rate where so many non-members are called members."

Reader = Callable[[Any], Estimate]

METRICS = {
    "advantage": ("advantage", "True positive rate less false positive rate."),
    "balanced_accuracy": ("balanced accuracy", "Share of right guesses, half of them about members."),
    "auc": ("AUC", "Probability that a member scores higher than a non-member."),
    "precision": ("precision", "Share of members among those called so, members and others equally many."),
    "recall": ("recall", "Share of the members that are called so."),
    "f1": ("F1", "Harmonic mean of precision and recall."),
}


def read(document: dict[str, Any]) -> Part:
    """Return what an audit says, as a part of a page."""
    targets, level = number(document["num_targets"]), number(document["level"])
    members, others = number(document["num_members"]), number(document["num_nonmembers"])
    models = f"{targets} target models" if targets > 1 else "one target model"
    # All its intervals are of one kind and level.
    found = functools.partial(estimate, kind=document["kind"], level=level)
    advantage = found(document["advantage"])
    risks = risks_of(document, found)
    return Part(
        title=f"Audit of an attack's scores on {models}",
        made=document["made"],
        answers=Answers(
            released=[
                f"{models[0].upper()}{models[1:]}. The file of scores does not say what was released of them: whoever "
                "made the scores must add it."
            ],
            attacker=[
                "Whoever made the scores: what that attack saw (outputs, weights, shadow models) is not in the "
                "file and must be added.",
                f"It gave {members} scores of members and {others} of non-members; guesses are made at thresholds "
                "chosen on other records or target models than those they are tried on.",
            ],
            gain=_gain(document, advantage, found),
            theory=["Nothing: an audit looks at scores only. mis rank and mis inspect predict."],
            untested=_untested(bool(risks)),
        ),
        opinion=_opinion(document, advantage, models, bool(risks)),
        sections=[
            Section(title="What the scores prove", blocks=_metrics(document, found)),
            Section(title="At every threshold", blocks=_roc(document, level)),
            *([Section(title="Records most at risk", blocks=risks)] if risks else []),
            Section(title="What ran", blocks=[Facts(_facts(document))]),
        ],
    )


def _gain(document: dict[str, Any], advantage: Estimate, read_as: Reader) -> list[str]:
    found = [
        f"{correct_of_100(advantage)}",
        f"That is an advantage of {sentence(advantage)}: {ADVANTAGE}.",
    ]
    for fpr, one in document["tpr_at_fpr"].items():
        if one is not None:
            found.append(
                f"Where {100 * float(fpr):g}% of the non-members are called members by mistake, "
                f"{sentence(read_as(one))} of the members are called so."
            )
    found.append(
        f"At delta = {number(document['delta']):g} epsilon of differential privacy is at least "
        f"{number(document['epsilon_lower']):.3f} ({document['kind']}, {100 * number(document['level']):g}%)."
    )
    found.append("This is one attack, a lower bound on what is possible: another may gain more.")
    if document["warning"]:
        found.insert(0, f"Caution: {document['warning']}")
    return found


def _untested(risks: bool) -> list[str]:
    return [
        "Every other attack: an audit says what these scores prove, not whether a better attack exists.",
        "Single records"
        + (": those listed are bounded one by one, all together." if risks else ", one by one."),
        "Reconstruction, extraction, inference of attributes: only membership was attacked.",
    ]


def _opinion(
    document: dict[str, Any], advantage: Estimate, models: str, risks: bool
) -> dict[str, tuple[str, str]]:
    return {
        "membership": (
            "in part",
            f"One attack's scores on {models}: advantage {sentence(advantage)}. A lower bound.",
        ),
        "everyone": (
            (
                "in part",
                f"The audit bounds {document['num_at_risk']} records one by one, their intervals hold together.",
            )
            if risks
            else ("no", "The audit's numbers are averages over records.")
        ),
        "documentation": (
            "in part",
            "With which results, and how they were computed from the scores: this page. How the scores were made, by "
            "whom and when is for the controller to add.",
        ),
    }


def _metrics(document: dict[str, Any], read_as: Reader) -> list[Any]:
    named = {name: (shown, what, read_as(document[name])) for name, (shown, what) in METRICS.items()}
    rows: list[list[Cell]] = [[shown, found, what] for shown, what, found in named.values()]
    for fpr, one in document["tpr_at_fpr"].items():
        name = f"TPR at {100 * float(fpr):g}% FPR"
        why = str(document["unresolved"].get(name, ""))
        rows.append(
            [
                name,
                None if one is None else read_as(one),
                why or "True positive rate where so many non-members are called members.",
            ]
        )
    columns = [Column(name="metric"), Column(name="found"), Column(name="what it is, or why it is missing")]
    return [Table(title="Metrics of the attack", columns=columns, rows=rows)]


def _roc(document: dict[str, Any], level: float) -> Sequence[Any]:
    points = [
        (number(one["fpr"]), number(one["lower"]), number(one["value"]), number(one["upper"]))
        for one in document["roc"]
    ]
    return [
        Roc(title="True against false positive rate, with its band at each point", points=points, level=level)
    ]


def risks_of(document: dict[str, Any], read_as: Reader) -> list[Any]:
    """Return the records most at risk as a table and a figure; nothing where they are not known."""
    found = document["most_at_risk"]
    if not found or not found["id"]:
        return []
    rows: list[list[Cell]] = []
    for i, name in enumerate(found["id"]):
        ends = {
            end: found[f"advantage{part}"][i]
            for end, part in (("value", ""), ("lower", "_lower"), ("upper", "_upper"))
        }
        rows.append(
            [
                str(name),
                read_as(ends),
                f"{number(found['hits'][i])} of {number(found['trained'][i])}",
                f"{number(found['false_hits'][i])} of {number(found['untrained'][i])}",
                number(found["right"][i]),
            ]
        )
    columns = [
        Column(name="record"),
        Column(
            name="advantage",
            what="Share of the targets trained on it that call it a member, less that of the others.",
        ),
        Column(name="called, trained", what="Targets that call it a member, of those trained on it."),
        Column(name="called, untrained", what="Targets that call it a member, of those not trained on it."),
        Column(name="right", what="Share of all its targets in which the verdict is right.", digits=2),
    ]
    note = f"The intervals of all {document['num_at_risk']} records hold together, also those not shown."
    return [
        Table(title="Records most at risk first", columns=columns, rows=rows, notes=[note]),
        Forest(
            title="Records most at risk, with intervals that hold together",
            axis="advantage",
            marks=[(str(row[0]), {"advantage": row[1]}) for row in rows if isinstance(row[1], Estimate)],
            reference=(0.0, "guessing"),
        ),
    ]


def _facts(document: dict[str, Any]) -> list[tuple[str, Any]]:
    names = ("num_members", "num_nonmembers", "num_targets", "level", "delta")
    thresholds = " and ".join(str(one) for one in document["thresholds"])
    return [*((name, document[name]) for name in names), ("thresholds", thresholds)]
