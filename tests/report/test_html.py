"""The page: well formed, whole, and every number on it that of the file."""

import itertools
import json
import re
from html.parser import HTMLParser
from xml.etree import ElementTree

import pytest

from mis.report.writing import report

ALL = ("ranking", "audit", "inspection", "attack", "all")
HOSTILE = ("ranking-hostile", "audit-hostile", "inspection-hostile", "all-hostile")
NAMED = (
    "What was released?",
    "Who is the attacker, and what does it see?",
    "How much does the best known attack gain?",
    "What does theory predict?",
    "What was not tested?",
)


def parsed(folder, out):
    text = report(folder, out)[0].read_text(encoding="utf-8")
    return text, ElementTree.fromstring(text.removeprefix("<!DOCTYPE html>"))


def text_of(element):
    return " ".join("".join(element.itertext()).split())


def tables(tree):
    """Every table by its caption: headings, and rows of cells."""
    found = {}
    for table in tree.iter("table"):
        heads = [
            text_of(head.find("span[@class='name']"))
            for head in table.iter("th")
            if head.get("scope") == "col"
        ]
        rows = [list(row) for row in table.find("tbody")]
        found.setdefault(text_of(table.find("caption")), []).append((heads, rows))
    return found


@pytest.mark.parametrize("name", [*ALL, *HOSTILE])
def test_structure(folders, tmp_path, name):
    text, tree = parsed(folders / name, tmp_path)
    ids = [element.get("id") for element in tree.iter() if element.get("id")]
    assert len(ids) == len(set(ids)) > 0
    for svg in tree.iter("svg"):
        assert set(svg.get("aria-labelledby").split()) <= set(ids)
    headings = [text_of(heading) for heading in tree.iter("h3")]
    assert [heading for heading in headings if heading in NAMED] == [*NAMED] * (3 if "all" in name else 1)
    for heads, rows in itertools.chain(*tables(tree).values()):
        assert all(len(row) == len(heads) for row in rows)
    # The parser of HTML sees the same elements as that of XML: no name closed or opened one.
    counted = Counted()
    counted.feed(text)
    assert counted.names == [element.tag for element in tree.iter()]
    assert counted.names.count("script") == counted.names.count("style") == 1


class Counted(HTMLParser):
    def __init__(self):
        super().__init__()
        self.names = []

    def handle_starttag(self, tag, attrs):  # noqa: ARG002
        # HTML knows no case of names.
        self.names.append({"viewbox": "viewBox"}.get(tag, tag))


@pytest.mark.parametrize("name", [*ALL, *HOSTILE])
def test_needs_nothing_else(folders, tmp_path, name):
    _, tree = parsed(folders / name, tmp_path)
    for element in tree.iter():
        assert not {"src", "href", "srcset", "action", "data", "style"} & set(element.attrib)
        assert not [key for key in element.attrib if key.startswith("on")]
    assert not re.search(r"url\(|@import", text_of(next(tree.iter("style"))))


def holds(cell, value):
    """Whether a cell holds a number of a file: exactly in its data, rounded in what is read."""
    if value is None:
        return text_of(cell) == "–" and cell.get("data-value") == ""
    if isinstance(value, str):
        return text_of(cell) == value
    shown = re.sub(r"[^\d.e-]", " ", text_of(cell).replace("−", "-")).split()
    if not isinstance(value, dict):
        return float(cell.get("data-value")) == value and close(shown[0], value)
    ends = [value[end] for end in ("value", "lower", "upper")]
    data = [float(cell.get(f"data-{end}")) for end in ("value", "lower", "upper")]
    if "≤" in text_of(cell):
        return data == [ends[2], *ends[1:]] and close(shown[0], ends[2])
    return data == ends and all(close(text, end) for text, end in zip(shown, ends, strict=False))


def close(text, value):
    digits = len(text.partition("e")[0].partition(".")[2])
    power = int(text.partition("e")[2] or 0)
    return abs(float(text) - value) <= 0.5000001 * 10.0 ** (power - digits)


def test_numbers_of_a_ranking(folders, tmp_path):
    document = json.loads((folders / "ranking/ranking.json").read_text())
    _, tree = parsed(folders / "ranking", tmp_path)
    found, rows = tables(tree), {row["release"]: row for row in document["rows"]}
    seen = set()
    for title in (
        "What is released, and what the strongest attack finds",
        "Attack by attack",
        "What is known without attacking",
    ):
        [(heads, lines)] = found[title]
        assert [text_of(line[0]) for line in lines] == list(rows)
        for line in lines:
            for name, cell in zip(heads[1:], line[1:], strict=True):
                assert holds(cell, rows[text_of(line[0])][name]), (title, name, text_of(cell))
        seen |= set(heads)
    # Nothing that the file knows is left out.
    unshown = {"level", "tied_with", "missing", "tpr_of"}
    assert (
        seen == {name for row in rows.values() for name, value in row.items() if value is not None} - unshown
    )
    [(_, lines)] = found["Does it order the quantizers as the advantage does?"]
    for line, one in zip(lines, document["agreement"], strict=True):
        assert [text_of(cell) for cell in line[:2]] == [one["indicator"], one["given"]]
        assert holds(line[2], {"value": one["tau"], **one})
        assert float(line[3].get("data-value")) == one["p_value"]
    [(_, lines)] = found["Pairs of releases"]
    for line, one in zip(lines, document["pairs"], strict=True):
        assert [text_of(cell) for cell in line[:2]] == [one["first"], one["second"]]
        assert holds(line[2], {"value": one["difference"], **one})
        assert text_of(line[4]) == ("no" if one["tied"] else "yes")


def test_words_of_a_ranking(folders, tmp_path):
    document = json.loads((folders / "ranking/ranking.json").read_text())
    _, tree = parsed(folders / "ranking", tmp_path)
    said, found = text_of(tree), document["answer"]["advantage"]
    ends = "{value:.3f} [{lower:.3f}, {upper:.3f}]".format(**found)
    assert f"an advantage of {ends} (attack, {100 * found['level']:.4g}%)" in said
    right = [50 + 50 * found[end] for end in ("value", "lower", "upper")]
    assert "training examples, {:.1f} [{:.1f}, {:.1f}] are right on average".format(*right) in said
    for sentence in document["answer"]["text"].splitlines():
        assert sentence in said
    # 63 networks that did not diverge, less two folds of eight.
    assert f"trains {63 * 6 // 8} networks of its own" in said
    assert "the released network on that record and the released weights" in said
    assert "No local: a reason <b>." in said
    for reason in ("no legal conclusion", "monte-carlo", "jax", "2250 parameters"):
        assert reason in said


def test_numbers_of_an_audit(folders, tmp_path):
    document = json.loads((folders / "audit/audit.json").read_text())
    _, tree = parsed(folders / "audit", tmp_path)
    found, said = tables(tree), text_of(tree)
    [(_, lines)] = found["Metrics of the attack"]
    shown = {text_of(line[0]): line for line in lines}
    for name, key in (("advantage",) * 2, ("balanced accuracy", "balanced_accuracy"), ("AUC", "auc"), ("F1", "f1"),
                      ("precision",) * 2, ("recall",) * 2):  # fmt: skip
        assert holds(shown[name][1], document[key])
    for fpr, value in document["tpr_at_fpr"].items():
        line = shown[f"TPR at {100 * float(fpr):g}% FPR"]
        assert holds(line[1], value)
        assert value is not None or text_of(line[2]) in document["unresolved"].values()
    assert (
        f"epsilon of differential privacy is at least {document['epsilon_lower']:.3f} (attack, 95%)" in said
    )
    right = [100 * document["balanced_accuracy"][end] for end in ("value", "lower", "upper")]
    assert "training examples, {:.1f} [{:.1f}, {:.1f}] are right on average".format(*right) in said
    [(_, lines)] = found["Records most at risk first"]
    risks = document["most_at_risk"]
    assert [text_of(line[0]) for line in lines] == risks["id"]
    assert len(lines) == 10
    for i, line in enumerate(lines):
        assert holds(line[1], {end: risks[f"advantage{part}"][i] for end, part in
                               (("value", ""), ("lower", "_lower"), ("upper", "_upper"))})  # fmt: skip
        assert text_of(line[2]) == f"{risks['hits'][i]} of {risks['trained'][i]}"
    assert document["made"]["command"] in said


def test_numbers_of_an_inspection(folders, tmp_path):
    document = json.loads((folders / "inspection/inspect.json").read_text())
    _, tree = parsed(folders / "inspection", tmp_path)
    found = tables(tree)
    for (heads, lines), release in zip(found["By tensor"], document["releases"], strict=True):
        for line, row in zip(lines, [*release["tensors"], release["all"]], strict=True):
            assert text_of(line[0]) == row["tensor"]
            for name, cell in zip(heads[1:], line[1:], strict=True):
                assert holds(cell, row[name] if row[name] != "" else None), name
    [(heads, lines)] = found["By file"]
    for line, release in zip(lines, document["releases"], strict=False):
        for name, cell in zip(heads[1:], line[1:], strict=True):
            assert holds(cell, release["all"][name]), name
    together = dict(zip(heads, lines[-1], strict=True))
    assert holds(together["information"], document["together"]["information"])


def test_numbers_of_attacks(folders, tmp_path):
    document = json.loads((folders / "attack/table.json").read_text())
    _, tree = parsed(folders / "attack", tmp_path)
    [(heads, lines)] = tables(tree)["Attack by attack"]
    assert [text_of(line[0]) for line in lines] == [row["attack"] for row in document["attacks"]]
    for line, row in zip(lines, document["attacks"], strict=True):
        for name, cell in zip(heads[1:-1], line[1:-1], strict=True):
            key = f"tpr_at_fpr_{float(name.split()[2][:-1]) / 100:g}" if name.startswith("TPR") else name
            assert holds(cell, row[key]), name
        assert float(line[-1].get("data-value")) == row["epsilon_lower"]
    ends = "{value:.3f} [{lower:.3f}, {upper:.3f}]".format(**document["strongest"])
    assert f"an advantage of {ends} (attack, 95%)" in text_of(tree)


def test_kinds_stand_beside_numbers(folders, tmp_path):
    _, tree = parsed(folders / "ranking", tmp_path)
    heads = {}
    for head in tree.iter("th"):
        kind = head.find("span[@class='kind']")
        if head.get("scope") == "col" and kind is not None:
            heads.setdefault(text_of(head.find("span[@class='name']")), text_of(kind))
    kinds = {
        "performance": "monte-carlo",
        "advantage": "attack",
        "predicted": "asymptotic",
        "retained": "bootstrap",
    }
    assert {name: heads[name] for name in kinds} == {name: f"{kind}, 95%" for name, kind in kinds.items()}


@pytest.mark.parametrize("name", HOSTILE)
def test_names_are_shown_as_they_are(folders, tmp_path, name):
    _, tree = parsed(folders / name, tmp_path)
    said = text_of(tree)
    # Control characters and marks of direction are not.
    assert "<script>alert(1)<" in said
    assert not {"\x1b", "\u202e", "\ud800"} & set(said)
