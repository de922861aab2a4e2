"""What the ``table.json`` of ``mis attack`` says."""

import functools
from typing import Any

from mis.report.audit import risks_of
from mis.report.page import Answers, Cell, Column, Estimate, Facts, Forest, Part, Roc, Section, Table
from mis.report.reading import estimate, number, optional, sentence
from mis.report.words import ADVANTAGE, correct_of_100, listed, seen

__all__ = ["read"]

RATE = "tpr_at_fpr_"


def read(document: dict[str, Any]) -> Part:
    """Return what the attacks on somebody's networks found, as a part of a page."""
    rows, strongest = document["attacks"], optional(document["strongest"])
    names = [str(row["attack"]) for row in rows]
    if strongest is None and len(rows) == 1:
        strongest = estimate(rows[0]["advantage"])
    weights = document["weights"] is not None
    targets, level = number(document["targets"]), number(document["level"])
    risks = risks_of(document, functools.partial(estimate, kind="attack", level=level))
    return Part(
        title=f"Attacks on {targets} networks by {'their outputs and weights' if weights else 'their outputs'}",
        made=document["made"],
        answers=Answers(
            released=[
                f"{targets} networks, given by {document['kind']} on {number(document['records'])} records"
                + (f" and by {number(document['weights'])} released weights each." if weights else ".")
            ],
            attacker=[
                "Somebody who holds a record with its true label or target, and asks whether it was in the training "
                "data.",
                f"This attacker sees {seen({'outputs', 'weights'} if weights else {'outputs'})}. Many of the attacks "
                "compare with networks trained alike (shadow networks).",
                *map(str, document["notes"]),
            ],
            gain=_gain(strongest, len(rows)),
            theory=["Nothing: only attacks were run. mis rank and mis inspect predict."],
            untested=[
                f"Attacks besides {listed(names)}."
                if names
                else "All attacks: no membership of a target is known.",
                *(
                    [f"These outputs do not serve {listed(document['left_out'])}."]
                    if document["left_out"]
                    else []
                ),
                "Reconstruction, extraction, inference of attributes: only membership was attacked.",
            ],
        ),
        opinion=_opinion(strongest, names, targets, document["num_at_risk"] if risks else 0),
        sections=[
            Section(title="The attacks", blocks=_attacks(rows)),
            *(
                [Section(title="At every threshold", blocks=_rocs(document, level))]
                if document["rocs"]
                else []
            ),
            *([Section(title="Records most at risk", blocks=risks)] if risks else []),
            Section(title="What ran", blocks=[Facts(_facts(document))]),
        ],
    )


def _gain(strongest: Estimate | None, count: int) -> list[str]:
    if strongest is None:
        return ["Not known: no membership of a target is known, or no attack was run."]
    chosen = ", chosen on other networks than those it is tried on" if count > 1 else ""
    return [
        correct_of_100(strongest),
        f"That is an advantage of {sentence(strongest)}: {ADVANTAGE}. It is that of the strongest attack{chosen}.",
        "It is a lower bound: another attack, or more shadow networks, may gain more.",
    ]


def _opinion(
    strongest: Estimate | None, names: list[str], targets: int, risks: int
) -> dict[str, tuple[str, str]]:
    found = {
        "documentation": (
            "in part",
            "How the attacks were run and with which results: this page. How the networks were trained, by whom and "
            "when they were tested is for the controller to add.",
        )
    }
    if strongest is not None:
        found["membership"] = (
            "in part",
            f"{len(names)} attacks ({listed(names)}) on {targets} networks; the strongest reaches "
            f"{sentence(strongest)}. A lower bound.",
        )
    if risks:
        found["everyone"] = (
            "in part",
            f"{risks} records are bounded one by one, their intervals hold together.",
        )
    return found


def _attacks(rows: Any) -> list[Any]:
    if not rows:
        return ["No membership of a target is known: there are scores only."]
    rates = [name for name in rows[0] if name.startswith(RATE)]
    columns = [
        Column(name="attack"),
        Column(name="advantage", what="True positive rate less false positive rate."),
        Column(name="auc", what="Probability that a member scores higher than a non-member."),
        *(Column(name=f"TPR at {100 * float(name.removeprefix(RATE)):g}% FPR") for name in rates),
        Column(name="epsilon", what="Epsilon of differential privacy is at least this.", end="lower"),
    ]
    cells: list[list[Cell]] = []
    notes, lacking = [], dict[str, list[str]]()
    for row in rows:
        advantage, bound = estimate(row["advantage"]), number(row["epsilon_lower"])
        epsilon = Estimate(value=bound, lower=bound, upper=bound, kind=advantage.kind)
        found = [advantage, *(optional(row[name]) for name in ("auc", *rates))]
        cells.append([str(row["attack"]), *found, epsilon])
        for name, why in row["unresolved"].items():
            lacking.setdefault(f"No {name}, which {why}", []).append(str(row["attack"]))
        notes += [f"{row['attack']}: {row['warning']}"] if row["warning"] else []
    notes += [f"{why}: {listed(names)}." for why, names in lacking.items()]
    marks = [(str(row[0]), {"advantage": row[1]}) for row in cells if isinstance(row[1], Estimate)]
    return [
        Table(title="Attack by attack", columns=columns, rows=cells, notes=notes),
        Forest(title="What each attack gains", axis="advantage", marks=marks, reference=(0.0, "guessing")),
    ]


def _rocs(document: dict[str, Any], level: float) -> list[Any]:
    """Return the curve of the attack with the largest advantage."""
    best = max(document["attacks"], key=lambda row: number(row["advantage"]["value"]))["attack"]
    points = [
        tuple(number(one[end]) for end in ("fpr", "lower", "value", "upper"))
        for one in document["rocs"][best]
    ]
    title = f"True against false positive rate of {best}, with its band at each point"
    return [Roc(title=title, points=points, level=level)]  # type: ignore[arg-type]


def _facts(document: dict[str, Any]) -> list[tuple[str, Any]]:
    names = ("outputs", "kind", "classes", "targets", "known_targets", "shadows_apart", "records", "pairs_left_out",
             "folds", "level", "delta", "seed")  # fmt: skip
    return [(name, document[name]) for name in names if document[name] is not None]
