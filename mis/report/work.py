"""What the ``study.json`` of ``mis run`` says."""

from typing import Any

from mis.report.page import Answers, Cell, Column, Facts, Forest, Part, Section, Table
from mis.report.reading import estimate, number, sentence
from mis.report.words import listed

__all__ = ["read"]

VERDICTS = {"holds": "hold", "falls": "fall", "cannot be told": "cannot be told at this size"}


def read(document: dict[str, Any]) -> Part:
    """Return what a published work, done again, found of its claims, as a part of a page."""
    verdicts, name = document["verdicts"], str(document["work"])
    counts = {said: sum(one["verdict"] == word for one in verdicts) for word, said in VERDICTS.items()}
    return Part(
        title=f"A published work done again: {name}",
        made=document["made"],
        answers=Answers(
            released=[
                f"What the study {name} releases and attacks; mis run lists the works with what each asks."
            ],
            attacker=["Those of the study, the published ones and others who adapt to what is released."],
            gain=[
                f"Of {len(verdicts)} claims about protection or its failure "
                f"{listed(f'{count} {said}' for said, count in counts.items())}. "
                "A verdict rests on an interval, beside it in the table."
            ],
            theory=["What the study sets beside its attacks stands in study.json."],
            untested=[
                "Other data, networks and sizes than those of the settings below.",
                "Attacks besides those of the study: an attack's number is a lower bound.",
            ],
        ),
        opinion={
            name: ("in part", f"The study's attacks, on its networks and data: {which}.")
            for name, which in (
                (
                    "membership",
                    "where it infers membership the claims below say what was found, a lower bound",
                ),
                (
                    "others",
                    "where it reconstructs or inverts the claims below say what was found, a lower bound",
                ),
                (
                    "documentation",
                    "which claims about protection were tested, at which size, with which results",
                ),
            )
        },
        sections=[
            Section(title="The claims", blocks=_verdicts(verdicts)),
            *(
                [Section(title="Theirs beside ours", blocks=[_beside(document["published"])])]
                if document["published"]
                else []
            ),
            Section(
                title="What ran", blocks=[Facts([(str(k), str(v)) for k, v in document["settings"].items()])]
            ),
        ],
    )


def _verdicts(verdicts: list[dict[str, Any]]) -> list[Any]:
    columns = [
        Column(name="claim"),
        Column(name="verdict", what="From the interval of what it rests on."),
        Column(name="quantity", what="What the verdict rests on."),
        Column(name="rests on"),
    ]
    cells: list[list[Cell]] = [
        [str(one["claim"]), str(one["verdict"]), estimate(one["quantity"]), str(one["rests_on"])]
        for one in verdicts
    ]
    marks = [(str(one["claim"]), {"quantity": estimate(one["quantity"])}) for one in verdicts]
    table = Table(title="Claim by claim", columns=columns, rows=cells)
    return [table, Forest(title="What each verdict rests on", axis="quantity", marks=marks)]


def _beside(published: list[dict[str, Any]]) -> Table:
    rows: list[list[Cell]] = []
    for one in published:
        ours = "; ".join(
            f"{name} {_shown(value)}" for name, value in one["ours"].items() if value is not None
        )
        rows.append([str(one["what"]), f"{number(one['theirs']):.4g}", ours or "not run", str(one["source"])])
    names = ("what", "theirs", "ours", "source")
    return Table(title="Published numbers", columns=[Column(name=name) for name in names], rows=rows)


def _shown(value: Any) -> str:
    return sentence(estimate(value)) if isinstance(value, dict) else f"{number(value):.3g}"
