"""The README tells the truth: its examples run, its commands are those that are run for every change."""

import csv
import doctest
import json
import pathlib
import re
import shlex
import subprocess

import numpy as np
import pytest

from mis.cli import app
from mis.ranking.columns import COLUMNS
from mis.version import RELEASE
from mis.works.indicator import NORMAL_CROSSING

ROOT = pathlib.Path(__file__).parents[1]
TEXT = (ROOT / "README.md").read_text()
BLOCKS = re.findall(r"^```(\w*)\n(.*?)^```", TEXT, flags=re.DOTALL | re.MULTILINE)
EXAMPLES = [body for _, body in BLOCKS if ">>>" in body]
COMMANDS = [
    line
    for language, body in BLOCKS
    if language in ("bash", "sh", "console", "")
    for line in body.splitlines()
]
NUMBER = re.compile(r"\d+\.\d+")


class Close(doctest.OutputChecker):
    """The same text, numbers near to each other: processors round differently, and training amplifies it."""

    def check_output(self, want, got, optionflags):  # noqa: ARG002
        if NUMBER.sub("#", want) != NUMBER.sub("#", got):
            return False
        numbers = ([float(number) for number in NUMBER.findall(text)] for text in (want, got))
        return np.allclose(*numbers, rtol=0.0, atol=0.03)


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda text: text.split("\n")[0])
def test_examples_run(example, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    test = doctest.DocTestParser().get_doctest(example, {}, "README", "README.md", 0)
    checker = Close() if "mis.rank(" in example else None
    assert doctest.DocTestRunner(checker=checker).run(test).failed == 0


@pytest.mark.parametrize(
    "command",
    ["python -m pip install . && mis rank solubility", 'python -m pip install ".[test]" && python -m pytest'],
)
def test_commands_stand_in_the_readme(command):
    assert command in COMMANDS


@pytest.mark.parametrize("command", [line for line in COMMANDS if line.startswith("mis ")])
def test_commands_are_understood(command, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("my", "losses", "scores"):
        np.savez(f"{name}.npz", features=np.zeros((2, 1)))
    app.parse_args(shlex.split(command, comments=True)[1:], exit_on_error=False, print_error=False)


RECORD = ROOT / "benchmarks/results/ranking-solubility"


def test_first_table_is_the_record():
    with open(f"{RECORD}.csv", newline="") as file:
        rows = {row["release"]: row for row in csv.DictReader(file)}
    lines = re.findall(r"^\| ([\w-]+) \| (.*) \|$", TEXT.split("## ")[0], flags=re.MULTILINE)
    (_, head), *body = lines
    assert head == "bits | performance | lira | advantage | mis"
    assert len(body) == 5
    for name, line in body:
        row = {
            key: float(value) for key, value in rows[name].items() if re.fullmatch(r"-?[\d.]+(e-\d+)?", value)
        }
        half = (row["advantage_upper"] - row["advantage_lower"]) / 2
        assert line == (
            f"{row['bits']:.3g} | {row['performance']:.2f} | {row['lira']:.3f} | "
            f"{row['advantage']:.3f} ± {half:.3f} | ≤ {row['mis_upper']:.3f}"
        )


def test_columns_of_the_first_table_are_explained():
    explained = re.findall(r"`(\w+)`:", TEXT.split("## ")[0])
    assert explained == ["bits", "performance", "lira", "advantage", "mis"]


def test_the_answer_is_the_record():
    [answer] = [body for language, body in BLOCKS if language == "text"]
    sentences = json.loads(pathlib.Path(f"{RECORD}.json").read_text())["answer"]["text"].splitlines()
    assert answer.split() == " ".join(f"- {sentence}" for sentence in sentences).split()


def test_sentences_on_leakage_are_the_record():
    """Shares with their intervals by defence and attacker, then the membership of one round."""
    found = json.loads((ROOT / "benchmarks/results/leakage.json").read_text())
    coarse = "levels-20", "levels-240-stochastic", "prune-40"

    def share(task, defence, attacker):
        [row] = [r for r in found["rows"] if (r["task"], r["defence"], r["attacker"]) == (task, defence, attacker)
                 and (r["network"], r["batch"]) == ("lenet", 1)]  # fmt: skip
        return "{value:.2f} [{lower:.2f}, {upper:.2f}]".format(**row["recovered"])

    def membership(defence, basis):
        [row] = [r for r in found["theory"] if (r["task"], r["defence"], r["rounds"]) == ("digits", defence, 1)
                 and r["basis"].startswith(basis)]  # fmt: skip
        return row

    shares = {share("digits", name, "adapted") for name in coarse}
    clothes = [share("fashion-mnist", name, "adapted") for name in (*coarse, "full")]
    full, noise = membership("full", "estimate"), membership("noise-1000", "bound")
    assert len(shares) == 1
    assert full["exceeded"]
    assert found["settings"]["images"] == 32
    for sentence in (
        f"each share recovered is {shares.pop()};",
        f"{found['settings']['steps']} iterations recover {clothes[0]}, {clothes[1]} and {clothes[2]}, "
        f"and {clothes[3]} without",
        f"the published attacker recovers {share('digits', 'sign', 'naive')} of the digits",
        f"one who adapts {share('digits', 'sign', 'adapted')}.",
        f"advantage of at least {np.floor(1000 * full['attack']['lower']) / 1000:.3f} in full precision",
        f"more than the {full['advantage']['upper']:.3f} that normal means would allow",
        f"every attack on these below {np.ceil(1000 * noise['advantage']['upper']) / 1000:.3f}, with",
    ):
        assert sentence in works_text()


def works_text():
    return " ".join(TEXT.split("### Published works, done again")[1].split("## ")[0].split())


def quantities(work):
    """What the verdicts of a record rest on, as the README writes it, by claim."""
    found = json.loads((ROOT / f"benchmarks/results/{work}.json").read_text())
    return {
        one["claim"]: "{value:.2f} [{lower:.2f}, {upper:.2f}]".format(**one["quantity"]).replace(
            "-0.00", "0.00"
        )
        for one in found["verdicts"]
    }, {one["claim"]: one["verdict"] for one in found["verdicts"]}


def test_sentences_on_the_indicator_are_the_record():
    _, verdicts = quantities("indicator")
    record = json.loads((ROOT / "benchmarks/results/indicator.json").read_text())
    tasks = record["settings"]["tasks"]
    assert len(tasks) == 7
    found = {one["claim"]: one["quantity"] for one in record["verdicts"]}
    order = [f"{task}: r_Q orders the releases as the strongest attack does." for task in tasks]
    assert {verdicts[one] for one in order} == {"cannot be told"}
    taus = [found[one]["value"] for one in order]
    passing = [
        one["tau"]
        for one in record["agreement"]
        if (one["indicator"], one["given"]) == ("retained_ensemble", "")
    ]
    pair = [
        verdicts[f"{task}: sign is less private than ternary-33, by the strongest attack."] for task in tasks
    ]
    assert (pair.count("falls"), pair.count("cannot be told")) == (4, 3)
    peak = {
        task: f"{task}: sign is less private than ternary with zeros below 33% of the largest weight."
        for task in tasks
    }
    assert [task for task in tasks if verdicts[peak[task]] == "holds"] == ["ames"]
    zeros = [100 * one["zeros"] for one in record["rows"] if one["release"] == "ternary-33-peak"]
    foretold = [100 * one["foretold"] for one in record["crossings"].values()]
    more = "{value:.2f} [{lower:.2f}, {upper:.2f}]".format(**found[peak["ames"]])
    text = works_text()
    for sentence in (
        f"tau from {min(taus):.2f} to {max(taus):.2f}",
        f"with tau from {min(passing):.2f} to {max(passing):.2f}",
        f"then {min(zeros):.0f}% to {max(zeros):.0f}% are zero",
        f"on AMES sign tells {more} more",
        f"J̄ foretells {min(foretold):.0f}% to {max(foretold):.0f}%",
        f"sign tells more from {100 * NORMAL_CROSSING:.0f}% zeros on",
    ):
        assert sentence in text


def test_sentences_on_calibrated_quantizers_are_the_record():
    found, verdicts = quantities("calibrated")
    tenth = "{}: brecq-1.58 leaks at most a tenth of what full precision leaks to {}."
    of = {(task, who): found[tenth.format(task, who)] for task in ("digits", "fashion-mnist")
          for who in ("their attacker", "any attack")}  # fmt: skip
    members = (
        "digits: gptq-2 leaks more of its members when it is calibrated on some of them than on nonmembers."
    )
    assert verdicts[members] == "holds"
    assert {verdicts[tenth.format(task, "any attack")] for task in ("digits", "fashion-mnist")} == {"falls"}
    text = works_text()
    for sentence in (
        f"published attacker {of['digits', 'their attacker']} of what full precision leaks on digits",
        f"and {of['fashion-mnist', 'their attacker']} on pictures of clothes",
        f"those who adapt {of['digits', 'any attack']} and {of['fashion-mnist', 'any attack']}: protection",
        f"costs {found['digits: brecq-1.58 keeps the accuracy.']} and "
        f"{found['fashion-mnist: brecq-1.58 keeps the accuracy.']} of accuracy",
        f"tells of digits {found[members]} of advantage more",
    ):
        assert sentence in text


def test_sentences_on_compressed_releases_are_the_record():
    found, verdicts = quantities("compleak")
    pair = "SR beats NR, to {}: the original beside {} tells more than either alone."
    int8, mild = (
        pair.format("an attacker with one network", name) for name in ("qat:uniform-8", "tune-100:prune-60")
    )
    pairs = {claim: verdict for claim, verdict in verdicts.items() if claim.startswith("SR beats NR")}
    assert {claim for claim, verdict in pairs.items() if verdict != "cannot be told"} == {int8, mild}
    assert pairs[int8] == pairs[mild] == "holds"
    together = "MR beats SR, to an attacker with one network: prunings and int8, the original with them tell more than "
    together += "the original and any one of them."
    alone = "{}, tune-100:prune-{} leaks {} on its own {} the original, to an attacker with one network."
    less = alone.format("Strongly compressed", 90, "less", "than")
    some = alone.format("Not strongly compressed", 70, "as much", "as")
    rule = "Members queried augmented are found without any network: a border that is exactly zero."
    assert [verdicts[claim] for claim in (together, less, some, rule)] == [
        "cannot be told",
        "holds",
        "falls",
        "holds",
    ]
    text = works_text()
    for sentence in (
        f"a classifier of both {found[int8]} of AUC more than either alone",
        f"pruned by 60% {found[mild]}, and no gain can be told",
        f"gain {found[together]} on the best pair",
        f"by 70% loses {found[some]} already, by 90% {found[less]}.",
        f"with an advantage of {found[rule]} by a rule that sees no network",
    ):
        assert sentence in text


def test_sentences_on_sparsity_are_the_record():
    found, verdicts = quantities("sparsity-quick")
    slope = "Sparser networks leak less than others of equal accuracy, to the {}."
    theirs, strongest = slope.format("published attacker"), slope.format("strongest attack")
    assert (verdicts[theirs], verdicts[strongest]) == ("cannot be told", "holds")
    rewound, on = (
        f"{{}}% zeros, {name}: leaks more than pruned in one shot."
        for name in ("iterative-rewound", "iterative")
    )
    assert [verdicts[one.format(74)] for one in (rewound, on)] == ["holds", "falls"]
    assert {verdicts[one.format(89)] for one in (rewound, on)} == {"cannot be told"}
    record = json.loads((ROOT / "benchmarks/results/sparsity-quick.json").read_text())
    assert (record["settings"]["pools"], record["settings"]["networks"]) == (3, 32)
    [less] = [one["quantity"] for one in record["verdicts"] if one["claim"] == on.format(74)]
    text = works_text()
    for sentence in (
        f"with the share of zeros by {found[theirs]}, so that accuracy may be all of it",
        f"changes by {found[strongest]}: sparse networks hide more",
        f"with rewinding they leak {found[rewound.format(74)]} more than in one shot",
        f"without rewinding {-less['value']:.2f} [{-less['upper']:.2f}, {-less['lower']:.2f}] less",
    ):
        assert sentence in text


def test_version_to_cite_is_that_of_the_code():
    assert f"version = {{{RELEASE}}}" in TEXT
    assert f"### {RELEASE}" in TEXT.split("## Changes")[1]


def test_columns_are_those_of_the_data_dictionary():
    section = TEXT.split("## Columns")[1].split("## ")[0]
    found = dict(re.findall(r"^\| `(\w+)` \| (.*) \|$", section, flags=re.MULTILINE))
    assert found == {name: column.what for name, column in COLUMNS.items()}


def test_ci_takes_its_command_from_the_readme():
    script = (ROOT / ".ci/run").read_text()
    extraction = re.search(r"command=\$\((.*)\) \|\|", script).group(1)
    found = subprocess.run(
        ["bash", "-c", extraction], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout
    assert found.strip() in COMMANDS
    assert "${command%% && *}" in script
    assert "${command#* && }" in script


def test_ci_script_is_bash_and_executable():
    subprocess.run(["bash", "-n", ROOT / ".ci/run"], check=True)
    assert (ROOT / ".ci/run").stat().st_mode & 0o111


def test_relative_links_lead_somewhere():
    targets = re.findall(r"\]\(([^)#]+?)(?:#[^)]*)?\)", TEXT) + re.findall(r'src="([^"]+)"', TEXT)
    missing = [t for t in targets if "://" not in t and not (ROOT / t).exists()]
    assert not missing
