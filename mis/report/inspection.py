"""What the JSON of ``mis inspect`` says."""

from typing import Any

from mis.report.page import Answers, Cell, Column, Facts, Forest, Part, Section, Table
from mis.report.reading import estimate, number, optional, sentence
from mis.report.words import listed

__all__ = ["read"]

COLUMNS = (
    Column(name="weights"),
    Column(name="quantizer", what="By its levels, or by the type of a block."),
    Column(name="per", what="What shares a scale."),
    Column(name="bits", what="Bits a weight, with scales, zero points and codebooks.", digits=2),
    Column(name="stored", what="Bits a weight that the file spends.", digits=2),
    Column(name="zeros", what="Share of weights that are zero."),
    Column(name="entropy", what="Entropy of the codes, bits a weight.", digits=2),
    Column(
        name="error",
        what="Squared error over the squared norm of the weights before release.",
        significant=True,
    ),
    Column(name="outside", what="Share of weights that were outside the cell they are released in."),
    Column(name="information", what="Share of the information about a weight that its code passes."),
)
# Beyond so many a figure is not read.
LONGEST = 40


def read(document: dict[str, Any]) -> Part:
    """Return what an inspection says, as a part of a page."""
    releases = document["releases"]
    return Part(
        title=f"Inspection of {listed(one['file'] for one in releases)}",
        made=document["made"],
        answers=Answers(
            released=[_released(one) for one in releases] + _nested(document["together"]),
            attacker=[
                "None was tried: no attack was run, and no data were needed. Whoever has these files sees the released "
                "weights, and so all that the network answers."
            ],
            gain=_gain(document),
            theory=_theory(document),
            untested=[
                "Every attack: an inspection reads weights. mis rank attacks networks trained alike, mis audit says "
                "what an attack's scores prove.",
                "What scales and codebooks tell besides the codes, and weights that vary together.",
            ],
        ),
        opinion=_opinion(releases),
        sections=[
            Section(title="The files", blocks=[_files(document)]),
            *(Section(title=str(one["file"]), blocks=_blocks(one)) for one in releases),
            Section(title="What ran", blocks=[Facts(_facts(document))]),
        ],
    )


def _released(one: dict[str, Any]) -> str:
    whole = one["all"]
    shares = listed(
        f"{name} ({100 * number(share):.3g}% of the weights)" for name, share in one["quantizers"].items()
    )
    bits = (
        ""
        if whole["bits"] is None
        else f", {number(whole['bits']):.2f} bits a weight with all that is published"
    )
    return f"{one['file']}: {number(whole['weights'])} weights, released as {shares or 'nothing'}{bits}."


def _nested(together: dict[str, Any] | None) -> list[str]:
    if together is None:
        return []
    pairs = together["inside"]
    found = [f"{one['cells']} tells all that {one['within']} does." for one in pairs if one["holds"] is True]
    both = {(one["cells"], one["within"]): one["holds"] for one in pairs}
    found += [
        f"{one} and {other} are not nested: together they tell more than either."
        for (one, other), holds in both.items()
        if holds is False and both.get((other, one)) is False and str(one) < str(other)
    ]
    return found


def _gain(document: dict[str, Any]) -> list[str]:
    given = document["full_advantage"]
    if given is None:
        return ["Not known: no attack was run."]
    known = f"{number(given):g}" if not isinstance(given, dict) else sentence(estimate(given))
    return [
        f"Not measured on these files. At full precision an attack was said to reach an advantage of {known} "
        "(--full-advantage, taken as given)."
    ]


def _theory(document: dict[str, Any]) -> list[str]:
    found = []
    for one in document["releases"]:
        passed, predicted = optional(one["all"]["information"]), optional(one["all"]["predicted"])
        if passed is not None:
            found.append(f"{one['file']} passes {sentence(passed)} of the information about each weight.")
        if predicted is not None:
            found.append(
                f"From that, theory predicts an advantage of {sentence(predicted)} on {one['file']}: a level, no bound."
            )
    together = document["together"]
    if together is not None and together["information"] is not None:
        both = sentence(estimate(together["information"]))
        found.append(f"Together the files pass {both} of the information about each weight.")
    return found or ["Nothing: that takes files that give the spread of each weight (--spread)."]


def _opinion(releases: Any) -> dict[str, tuple[str, str]]:
    return {
        "membership": ("no", "The inspection ran no attack; a level that theory predicts is no test."),
        "design": (
            "in part",
            f"The quantization of {listed(one['file'] for one in releases)}, and how much of the information about "
            "each weight it lets through.",
        ),
        "resistance": (
            (
                "in part",
                "How much of the information about a weight passes, and the level that theory predicts from it.",
            )
            if any(optional(one["all"]["information"]) is not None for one in releases)
            else ("no", "Without files that give the spread of the weights theory says nothing of these.")
        ),
        "documentation": (
            "in part",
            "What the released files are: this page, its commands and versions. By whom and when is for the controller "
            "to add.",
        ),
    }


PREDICTED = Column(name="predicted", what="Advantage that theory predicts from it, a level and no bound.")


def _files(document: dict[str, Any]) -> Table:
    columns = [column for column in COLUMNS if column.name != "per"] + [PREDICTED]
    rows = [(str(one["file"]), one["all"]) for one in document["releases"]]
    if document["together"] is not None:
        rows.append(("together", document["together"] | {"weights": document["together"]["num_weights"]}))
    shown = [column for column in columns if any(row.get(column.name) not in (None, "") for _, row in rows)]
    cells = [[name, *(_cell(row.get(column.name)) for column in shown)] for name, row in rows]
    return Table(title="By file", columns=[Column(name="file"), *shown], rows=cells)


def _blocks(one: dict[str, Any]) -> list[Any]:
    rows = [*one["tensors"], one["all"]]
    shown = [column for column in COLUMNS if any(row[column.name] not in (None, "") for row in rows)]
    cells = [[str(row["tensor"]), *(_cell(row[column.name]) for column in shown)] for row in rows]
    notes = dict.fromkeys(f"{row['quantizer']}: {row['note']}." for row in rows if row["note"])
    table = Table(title="By tensor", columns=[Column(name="tensor"), *shown], rows=cells, notes=[*notes])
    passed = [(str(row["tensor"]), optional(row["information"])) for row in rows]
    marks = [(name, {"information": found}) for name, found in passed if found is not None]
    if not marks:
        return [table]
    most = f", the first {LONGEST - 1} and all" if len(marks) > LONGEST else ""
    marks = marks if len(marks) <= LONGEST else [*marks[: LONGEST - 1], marks[-1]]
    return [
        table,
        Forest(title=f"Information that passes, by tensor{most}", axis="share that passes", marks=marks),
    ]


def _cell(value: Any) -> Cell:
    if isinstance(value, dict):
        return estimate(value)
    return value or None if isinstance(value, str) else None if value is None else number(value)


def _facts(document: dict[str, Any]) -> list[tuple[str, Any]]:
    return [("level", document["level"]), ("files that gave the spread", document["num_spread"])]
