"""What a ``ranking.json`` says."""

from collections.abc import Sequence
from typing import Any

from mis.report.page import Answers, Cell, Column, Facts, Forest, Items, Part, Section, Table
from mis.report.reading import estimate, number, optional, sentence
from mis.report.words import ADVANTAGE, correct_of_100, facts, listed, seen

__all__ = ["read"]

TABLES = (
    (
        "What is released, and what the strongest attack finds",
        (
            *("bits", "zeros", "performance", "train_performance", "advantage", "mis", "predicted", "limit"),
            *("early", "early_steps"),
        ),
    ),
    ("Attack by attack", ("ATTACKS", "tpr_at_fpr_01", "fpr_realised")),
    (
        "What is known without attacking",
        (
            *("indicator", "num_candidates", "indicator_naive", "retained", "retained_ensemble", "local"),
            *("weight_error", "code_entropy", "given_performance"),
        ),
    ),
)
DIGITS = {"zeros": 2, "code_entropy": 2, "early_steps": 0}
SIGNIFICANT = ("bits", "indicator", "indicator_naive")


def read(document: dict[str, Any]) -> Part:
    """Return what a ranking says, as a part of a page."""
    rows, level = document["rows"], number(document["level"])
    ran = [name for name, column in document["columns"].items() if "sees" in column]
    sees = {what for name in ran for what in document["columns"][name]["sees"]}
    tables = [_table(document, title, [*_spread(names, ran)]) for title, names in TABLES]
    return Part(
        title=f"Ranking of {len(rows)} releases: {document['task']}",
        made=document["made"],
        answers=Answers(
            released=_released(document),
            attacker=_attacker(document, sees),
            gain=_gain(document),
            theory=_theory(document),
            untested=_untested(ran, sees),
        ),
        opinion=_opinion(document, ran),
        sections=[
            Section(title="What to release", blocks=[Items(str(document["answer"]["text"]).splitlines())]),
            Section(title="The releases", blocks=[tables[0], _figure(rows), _performances(document)]),
            Section(title="The attacks", blocks=[tables[1]]),
            Section(title="Theory", blocks=[tables[2], *_agreement(document["agreement"])]),
            Section(title="Which releases differ", blocks=_pairs(document["pairs"], level)),
            *_stops(document["early_stops"]),
            _provenance(document),
        ],
    )


def _spread(names: Sequence[str], ran: Sequence[str]):
    for name in names:
        yield from ran if name == "ATTACKS" else (name,)


def _table(document: dict[str, Any], title: str, names: Sequence[str]) -> Table:
    rows = document["rows"]
    shown = [name for name in names if any(row.get(name) is not None for row in rows)]
    columns = [
        Column(name="release"),
        *(
            Column(
                name=name,
                what=str(document["columns"][name]["what"]),
                digits=DIGITS.get(name, 3),
                end="upper" if name == "mis" else "",
                significant=name in SIGNIFICANT,
            )
            for name in shown
        ),
    ]
    notes = []
    for name in names:
        reasons = [row["missing"].get(name) if row.get(name) is None else None for row in rows]
        for reason in dict.fromkeys(filter(None, reasons)):
            lacking = [row["release"] for row, why in zip(rows, reasons, strict=True) if why == reason]
            whose = "" if len(lacking) == len(rows) else f" of {listed(lacking)}"
            notes.append(f"No {name}{whose}: {reason}.")
    return Table(
        title=title, columns=columns, rows=[[str(row["release"]), *(_cell(row.get(n)) for n in shown)] for row in rows],
        notes=notes,
    )  # fmt: skip


def _cell(value: Any) -> Cell:
    if isinstance(value, dict):
        return estimate(value)
    return value if value is None else number(value)


def _of(document: dict[str, Any], release: str) -> dict[str, Any]:
    return {row["release"]: row for row in document["rows"]}[release]


def _released(document: dict[str, Any]) -> list[str]:
    spec, classes = document["spec"], document["classes"]
    task = "a regression" if classes is None else f"{classes} classes"
    source = f", {document['source']}" if document.get("source") else ""
    return [
        f"Neural networks for the task {document['task']} ({task}{source}): {document['model']}, "
        f"{document['num_weights']} parameters, trained on {number(spec['pool']) // 2} examples each, half of a pool "
        f"of {spec['pool']}.",
        f"{document['num_networks']} such networks were trained, each on a half of its own; of each, these releases "
        f"were attacked: {listed([row['release'] for row in document['rows']])}.",
    ]


def _attacker(document: dict[str, Any], sees: set[str]) -> list[str]:
    networks, folds = number(document["num_networks"]), number(document["num_folds"])
    shadows = (networks - len(document["excluded"])) * (folds - 2) // folds
    found = [
        "Somebody who holds a record with its true label or target, and asks whether it was in the training data.",
        f"This attacker sees {seen(sees)}.",
    ]
    if "shadows" in sees:
        found.append(
            f"It knows how the network was trained and trains {shadows} networks of its own alike, on other halves of "
            "the same pool, releases them alike, and compares (shadow networks). That is more than most outsiders have."
        )
    return found


def _gain(document: dict[str, Any]) -> list[str]:
    chosen, within = document["answer"], number(document["answer"]["within"])
    least, advantage, bound = chosen["least"], estimate(chosen["advantage"]), estimate(chosen["mis"])
    if list(chosen["eligible"]) == ["full"]:
        where = f"At full precision, as no other release is sure to perform within {within:g} of it"
    else:
        where = f"On {least}, which leaks least of what performs within {within:g} of full precision"
    found = [
        f"{where}: {correct_of_100(advantage)[0].lower()}{correct_of_100(advantage)[1:]}",
        f"That is an advantage of {sentence(advantage)}: {ADVANTAGE}. Its interval also covers that the release was "
        "chosen after looking at all of them.",
    ]
    rows = sorted(document["rows"], key=lambda row: number(row["advantage"]["value"]))
    others: dict[str, str] = {"full": "at full precision"}
    for row, which in ((rows[0], "the least of all"), (rows[-1], "the most of all")):
        name = row["release"]
        others[name] = f"{others.get(name, f'on {name}')}, {which}"
    for name, which in others.items():
        if name != least:
            one = estimate(_of(document, name)["advantage"])
            found.append(f"{which[0].upper()}{which[1:]}: an advantage of {sentence(one)}.")
    found.append(
        "These are lower bounds: another attack, or this one with more shadow networks, may gain more. Membership "
        f"inference security {'at full precision' if least == 'full' else f'of {least}'} is at most "
        f"{bound.upper:.3f}; nothing is proved from below."
    )
    return found


def _theory(document: dict[str, Any]) -> list[str]:
    name = document["answer"]["least"]
    row, found = _of(document, name), []
    predicted, indicator = optional(row.get("predicted")), optional(row.get("indicator"))
    if predicted is not None and name != "full":
        found.append(
            f"From the information that {name} retains of the weights, and what attacks reach at full precision: an "
            f"advantage of {sentence(predicted)}, a limit formula and no bound. The figure below has the others."
        )
    elif "predicted" in row["missing"]:
        found.append(f"No level for {name}: {row['missing']['predicted']}.")
    if indicator is not None:
        found.append(
            f"The indicator r_Q of {name} is {indicator.value:.3g} [{indicator.lower:.3g}, {indicator.upper:.3g}] "
            f"({indicator.read_as}) nats per example: to leading order in n membership inference security is at least "
            "1 - exp(-n r_Q)."
        )
    if document.get("local", "applies") != "applies":
        found.append(f"Local asymptotics do not apply: {document['local']}")
    return found or ["Nothing: no prediction applies to these releases."]


def _untested(ran: Sequence[str], sees: set[str]) -> list[str]:
    lacking = [
        text
        for what, text in (
            ("outputs", "attacks on what the network answers"),
            ("weights", "attacks on the released weights"),
        )
        if what not in sees
    ]
    return [
        f"Attacks besides {listed(ran)}" + (f", among them all {listed(lacking)}" if lacking else "") + ".",
        "Other attackers: more shadow networks, other auxiliary data, a part in the training, many releases over time "
        "(unless listed above as one release).",
        "Single people: all numbers are averages over the examples of the pool; some examples may be far more exposed.",
        "Other pools and other tasks: the intervals are for networks trained anew on this pool.",
        "Reconstruction, extraction, inference of attributes: only membership was attacked.",
    ]


def _opinion(document: dict[str, Any], ran: Sequence[str]) -> dict[str, tuple[str, str]]:
    spec, chosen = document["spec"], estimate(document["answer"]["advantage"])
    releases = [row for row in document["rows"] if row["release"] != "full"]
    found = [optional(row.get("predicted")) for row in releases]
    levels = [level for level in found if level is not None]
    return {
        "membership": (
            "in part",
            f"{len(ran)} attacks ({listed(ran)}) on {document['num_networks']} networks; the strongest reaches "
            f"{sentence(chosen)} on {document['answer']['least']}. A lower bound.",
        ),
        "everyone": (
            "no",
            "The ranking's numbers are averages over the examples of the pool, none is of a single one.",
        ),
        "means": (
            "in part",
            "The ranking's attacker is the one described above, strong in knowledge, limited in shadow networks.",
        ),
        "design": (
            "in part",
            f"{number(spec['pool']) // 2} training examples and {document['num_weights']} parameters a network; the "
            "releases compared are measures taken in the design.",
        ),
        "resistance": (
            "in part" if levels else "no",
            f"Theory predicts a level for {len(levels)} of {len(releases)} releases, the highest "
            f"{sentence(max(levels, key=lambda level: level.value))}: what an optimal attack would reach if its "
            "assumptions held, no bound. The attacks' advantages above are the metrics."
            if levels
            else "Theory predicts no level for these releases; the attacks' advantages above are the only metrics.",
        ),
        "documentation": (
            "in part",
            "How, to what extent and with which results: this page, its commands and versions. By whom and when is for "
            "the controller to add.",
        ),
    }


def _marks(rows, *names):
    found = []
    for row in rows:
        ends = {label: optional(row.get(name)) for label, name in names}
        found.append((str(row["release"]), {label: end for label, end in ends.items() if end is not None}))
    return found


def _figure(rows: Sequence[dict[str, Any]]) -> Forest:
    return Forest(
        title="What the strongest attack gains on each release, and what theory predicts",
        axis="advantage",
        marks=_marks(rows, ("strongest attack", "advantage"), ("predicted", "predicted")),
        reference=(0.0, "guessing"),
    )


def _performances(document: dict[str, Any]) -> Forest:
    return Forest(
        title="What each release performs on examples outside the pool",
        axis=str(document["performance"]),
        marks=_marks(document["rows"], (str(document["performance"]), "performance")),
    )


def _agreement(found: Sequence[dict[str, Any]]) -> list[Any]:
    if not found:
        return ["Too few quantizers to compare orders."]
    rows: list[list[Cell]] = [
        [
            str(one["indicator"]),
            str(one["given"]),
            estimate({"value": one["tau"], **one}, kind="", level=0.0),
            number(one["p_value"]),
            number(one["releases"]),
        ]
        for one in found
    ]
    columns = [
        Column(name="column"),
        Column(name="given", what="What is held fixed in the comparison."),
        Column(name="tau", what="Kendall's rank correlation with the advantage: +1 is the same order, -1 the reverse.",
               digits=2),
        Column(name="p", what="Two-sided permutation p-value.", small=True),
        Column(name="releases", what="Quantizers compared."),
    ]  # fmt: skip
    note = "Full precision takes no part. The intervals take the quantizers as a sample of such."
    return [
        Table(
            title="Does it order the quantizers as the advantage does?",
            columns=columns,
            rows=rows,
            notes=[note],
        )
    ]


def _pairs(found: Sequence[dict[str, Any]], level: float) -> list[Any]:
    rows: list[list[Cell]] = [
        [
            str(one["first"]),
            str(one["second"]),
            estimate({"value": one["difference"], **one}, kind="", level=level),
            number(one["p_holm"]),
            "no" if one["tied"] else "yes",
        ]
        for one in found
    ]
    columns = [
        Column(name="first"),
        Column(name="second"),
        Column(name="difference", what="Advantage on the first less that on the second, paired by network."),
        Column(name="p", what="p-value, by Holm for all pairs.", small=True),
        Column(name="differ", what="Whether the two can be told apart, all pairs together."),
    ]
    return (
        [Table(title="Pairs of releases", columns=columns, rows=rows)]
        if rows
        else ["There is one release only."]
    )


def _stops(found: Sequence[dict[str, Any]]) -> list[Section]:
    if not found:
        return []
    rows: list[list[Cell]] = [
        [number(one["steps"]), estimate(one["performance"]), estimate(one["advantage"])] for one in found
    ]
    columns = [Column(name="steps"), Column(name="performance"), Column(name="advantage")]
    title = "Full precision, stopped early"
    return [Section(title=title, blocks=[Table(title=title, columns=columns, rows=rows)])]


def _provenance(document: dict[str, Any]) -> Section:
    spec = document["spec"]
    pairs = [
        *facts(
            {name: document[name] for name in ("num_networks", "num_folds", "level", "within", "heldout")}
        ),
        *facts(spec),
        ("attacks", listed(document["asked"]["attacks"])),
        ("device", document["device"]),
        *((f"seconds, {name}", f"{number(value):.0f}") for name, value in document["seconds"].items()),
        *((f"version of {name}", value) for name, value in document["versions"].items()),
        ("hash of the code", document["code"]),
        ("hash of data, networks and training", document["hash"]),
        ("diverged and excluded", listed(document["excluded"]) or "none"),
    ]
    doubt = [str(document["doubt"])] if document.get("doubt") else []
    return Section(title="What ran", blocks=[*doubt, Facts(pairs)])
