"""The README tells the truth: its examples run, its commands are those that are run for every change."""

import doctest
import pathlib
import re
import subprocess

import pytest

from mis.ranking.columns import COLUMNS

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


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda text: text.split("\n")[0])
def test_examples_run(example):
    test = doctest.DocTestParser().get_doctest(example, {}, "README", "README.md", 0)
    assert doctest.DocTestRunner(optionflags=doctest.ELLIPSIS).run(test).failed == 0


@pytest.mark.parametrize(
    "command",
    ["python -m pip install . && mis rank solubility", 'python -m pip install ".[test]" && python -m pytest'],
)
def test_commands_stand_in_the_readme(command):
    assert command in COMMANDS


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
