"""The command line, run in process as a person would type it."""

import csv
import io
import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import get_args

import numpy as np
import pytest

from mis.cli import app, main

SMALL = ["--models", "32", "--steps", "20", "--pool", "32", "--width", "4", "--folds", "4", "--batch", "8"]
SMALL += ["--quantizers", "sign,uniform-3"]


def run(capsys, *tokens):
    """Return exit code, stdout and stderr."""
    code = 0
    try:
        main([str(t) for t in tokens])
    except SystemExit as stop:
        code = stop.code or 0
    captured = capsys.readouterr()
    return code, captured.out, captured.err


@pytest.fixture
def table(tmp_path, rng):
    features = rng.normal(size=(80, 3))
    path = tmp_path / "mine.npz"
    np.savez(path, features=features, target=features[:, 0] + 0.1 * rng.normal(size=80))
    return path


@pytest.fixture
def undrawn(monkeypatch):
    """Figures take longer than the tiny rankings here, and are drawn in the test of what ``mis rank`` writes."""

    def empty(_, folder, name):
        for suffix in (".pdf", ".png", ".svg", ".txt"):
            (folder / f"{name}{suffix}").touch()

    monkeypatch.setattr("mis.figures.save", empty)


def test_rank_writes_all_it_promises(capsys, tmp_path, table):
    out = tmp_path / "out"
    code, printed, errors = run(capsys, "rank", table, *SMALL, "--within", "0.5", "--out", out)
    assert code == 0
    assert "uniform-3" in printed
    assert "MIS at most" in printed
    assert "within 0.5" in printed
    # Without a terminal: lines of 80, and progress in lines of its own.
    assert max(map(len, printed.splitlines()[:-1])) <= 80
    assert errors.splitlines()[-1].startswith("releases: 3 of 3, 100%, ")
    written = {f"ranking.{suffix}" for suffix in ("csv", "json", "pdf", "png", "svg", "txt")}
    assert written | {"runs"} <= set(os.listdir(out))
    assert all(name in printed.splitlines()[-1] for name in written)
    with open(out / "ranking.csv") as file:
        rows = list(csv.DictReader(file))
    assert {row["release"] for row in rows} == {"full", "sign", "uniform-3"}
    advantages = [float(row["advantage"]) for row in rows]
    assert advantages == sorted(advantages)
    document = json.loads((out / "ranking.json").read_text())
    assert document["spec"]["learner"]["num_steps"] == 20
    assert document["spec"]["learner"]["initialisation"] == "fixed"


@pytest.mark.usefixtures("undrawn")
def test_config_is_read_and_the_command_line_wins(capsys, tmp_path, table):
    config = tmp_path / "c.toml"
    config.write_text(
        'steps = 20\nbatch = 8\nwidth = 7\nmodels = 32\npool = 32\nfolds = 4\nquantizers = ["sign"]\n'
    )
    out = tmp_path / "out"
    code, _, _ = run(capsys, "rank", table, "--config", config, "--width", "4", "--out", out)
    assert code == 0
    document = json.loads((out / "ranking.json").read_text())
    assert document["spec"]["model"]["width"] == 4
    assert document["spec"]["learner"]["num_steps"] == 20


@pytest.mark.usefixtures("undrawn")
def test_shards_in_turn(capsys, tmp_path, table):
    out = tmp_path / "out"
    models = [*SMALL[2:-2], "--models", "64", "--quantizers", "sign"]
    code, printed, _ = run(capsys, "rank", table, *models, "--shard", "1/2", "--out", out)
    assert code == 0
    assert "shard 1/2 is done" in printed
    assert not (out / "ranking.csv").exists()
    code, printed, _ = run(capsys, "rank", table, *models, "--shard", "2/2", "--out", out)
    assert code == 0
    assert (out / "ranking.csv").exists()


BAD = {
    "unknown task": (["rank", "solubilty"], "Nearest: solubility"),
    "unknown quantizer": (["rank", "digits", "--quantizers", "sgn"], "Nearest: sign"),
    "unknown option": (["rank", "digits", "--modles", "3"], "--models"),
    "not a number": (["rank", "digits", "--models", "many"], "--models"),
    "no task": (["rank"], "TASK"),
    "missing file": (["rank", "nowhere.npz"], "nowhere.npz"),
    "too large a pool": (["rank", "solubility", "--pool", "9000"], "pool at most"),
    "unwritable out": (["rank", "digits", "--out", "/dev/null/x"], "can be written"),
    "bad shard": (["rank", "digits", "--shard", "3/2"], "shard i/n"),
    "option of another task": (["rank", "solubility", "--num-modes", "3"], "num_modes"),
    "bad optimiser": (["rank", "digits", "--optimiser", "adamm"], "Nearest: adam"),
    "missing config": (["rank", "digits", "--config", "nowhere.toml"], "nowhere.toml"),
    "missing losses": (["indicator", "nowhere.npz"], "nowhere.npz"),
    "missing scores": (["audit", "nowhere.npz"], "nowhere.npz"),
    "unknown column": (["explain", "advantge"], "Nearest: advantage"),
    "a loss that is none": (["rank", "digits", "--within", "-0.1"], "within at least 0, got within=-0.1"),
    "unknown figure": (["figure", "nothing"], "figure"),
    "figures without a folder": (["figure", "boundary", "--out", "/dev/null/x"], "can be written"),
    "two numbers": (["audit", "s.npz", "--level", "0.9", "--level", "0.8"], "multiple times"),
    "two names of one option": (["rank", "digits", "--n", "64", "--pool", "64"], "multiple times"),
    "no table": (["audit", "nowhere.csv"], "nowhere.csv: cannot be read"),
    "an option for a path": (["audit", "--levl"], "Unknown option: --levl"),
    "negative top": (["audit", "s.npz", "--top", "-1"], "top an integer >= 0"),
    "top of what cannot be told apart": (
        ["audit", "s.npz", "--top", "3"],
        "expected with --top several target models",
    ),
    "no value": (["audit", "s.npz", "--level"], "--level requires an argument"),
    "one more path": (["audit", "s.npz", "t.npz"], "t.npz"),
    "empty path": (["audit", ""], "expected a value"),
    "empty task": (["rank", " "], "expected a value"),
    "switch with a value": (["rank", "digits", "--quick=perhaps"], "--quick"),
    "level": (["audit", "s.npz", "--level", "95"], "level a finite number > 0 and < 1"),
    "no level": (["audit", "s.npz", "--level", "nan"], "level a finite number"),
    "delta": (["audit", "s.npz", "--delta", "-1e-5"], "delta a number in [0, 1)"),
    "negative seed": (["audit", "s.npz", "--seed", "-1"], "seed an integer >= 0"),
    "negative seed of the indicator": (["indicator", "s.npz", "--seed", "-1"], "seed an integer >= 0"),
    "no picture": (["audit", "s.npz", "--plot", "roc.txt"], ".pdf, .png, .svg"),
    "no width": (["figure", "boundary", "--width", "3.4"], "width single, double, or"),
    "no width of a plot": (
        ["audit", "s.npz", "--plot", "roc.png", "--width", "1in"],
        "audit: expected width",
    ),
    "no style": (["figure", "boundary", "--style", "nowhere.mplstyle"], "a matplotlib style sheet"),
    "no style of a plot": (
        ["audit", "s.npz", "--plot", "r.png", "--style", "no"],
        "a matplotlib style sheet",
    ),
    "no recorded ranking": (["figure", "nowhere.json"], "nowhere.json: No such file"),
    "a figure twice": (["figure", "boundary", "boundary"], "names that differ"),
    "caption over numbers": (
        ["audit", "s.npz", "--plot", "r.png", "--csv", "r.txt"],
        "another name for r.txt",
    ),
    "more than memory": (["rank", "digits", "--steps", "4000000000"], "memory"),
}


def refused(capsys, *tokens):
    """Return the one line of a refusal."""
    code, printed, errors = run(capsys, *tokens)
    assert code == 2
    assert printed == ""
    assert sum(line.startswith("mis: ") for line in errors.splitlines()) == 1
    return errors


@pytest.fixture
def scores(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    np.savez("s.npz", member=[1.0, 2.0, 3.0], nonmember=[0.0, 1.0, 2.0], losses=np.eye(3))


@pytest.mark.parametrize("name", BAD)
@pytest.mark.usefixtures("scores")
def test_bad_input_is_one_line_and_code_2(name, capsys):
    tokens, part = BAD[name]
    assert part in refused(capsys, *tokens)


def options(kind):
    """Every option of every command whose type is ``kind``, with what stands before it."""
    commands = {
        "rank": "digits",
        "indicator": "s.npz",
        "audit": "s.npz",
        "verify": "--quick",
        "figure": "boundary",
    }
    return [
        pytest.param([command, argument, option.name], id=f"{command} {option.name}")
        for command, argument in commands.items()
        for option in app[command].assemble_argument_collection()
        if kind in (option.hint, *get_args(option.hint)) and option.name.startswith("--")
    ]


def test_all_options_are_tried():
    found = {case.values[0][-1] for kind in (int, float, str, Path) for case in options(kind)}
    assert {
        "--seed",
        "--num-steps",
        "--num-modes",
        "--level",
        "--learning-rate",
        "--attacks",
        "--config",
        "--json",
    } <= found


@pytest.mark.parametrize(
    "value", ["1.5", "1.0", "0x10", "1_0", "1e3", "nan", "", " ", "4294967296", "9" * 5000]
)
@pytest.mark.parametrize("tokens", options(int))
@pytest.mark.usefixtures("scores")
def test_no_integer(tokens, value, capsys):
    assert f"Invalid value for {tokens[-1]}: expected" in refused(capsys, *tokens, value)


@pytest.mark.parametrize("value", ["many", "", "0,5"])
@pytest.mark.parametrize("tokens", options(float))
@pytest.mark.usefixtures("scores")
def test_no_number(tokens, value, capsys):
    assert f"Invalid value for {tokens[-1]}" in refused(capsys, *tokens, value)


@pytest.mark.parametrize("tokens", [*options(str), *options(Path)])
@pytest.mark.usefixtures("scores")
def test_no_text(tokens, capsys):
    assert f"Invalid value for {tokens[-1]}: expected a value" in refused(capsys, *tokens, "")


@pytest.mark.parametrize("path", [".", "nowhere/x.png"])
@pytest.mark.parametrize(
    "tokens", [case for case in options(Path) if not {"--config", "--out"} & {case.values[0][-1]}]
)
@pytest.mark.usefixtures("scores")
def test_a_file_that_cannot_be_written_is_refused_first(tokens, path, capsys):
    assert "a file in a folder that exists" in refused(capsys, *tokens, path)


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("width = ", "TOML"),
        ("widht = 3", "Nearest: width"),
        ('width = "a"', "width int"),
        ("width = true", "width int"),
        ("quick = 1", "quick bool"),
        ("steps = [1, 2]", "steps int"),
        ("networks = 99999999999", "num_networks int"),
        ('attacks = ""', "attacks str"),
        ("weight-decay = 0.1\nweight_decay = 0.1", "weight_decay once"),
    ],
)
def test_bad_config(text, part, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "c.toml").write_text(text)
    code, _, errors = run(capsys, "rank", "digits", "--config", "c.toml")
    assert code == 2
    assert part in errors
    assert sum(line.startswith("mis: ") for line in errors.splitlines()) == 1


@pytest.mark.parametrize(
    ("arrays", "part"),
    [
        ({"features": np.full((50, 2), np.nan), "target": np.arange(50.0)}, "finite"),
        ({"features": np.ones((50, 2)), "target": np.arange(40.0)}, "40"),
        ({"features": np.random.default_rng(0).normal(size=(50, 2)), "target": np.ones(50)}, "target"),
        ({"features": np.ones((50, 2))}, "target"),
    ],
)
def test_bad_tables(arrays, part, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    np.savez("mine.npz", **arrays)
    code, _, errors = run(capsys, "rank", "mine.npz")
    assert code == 2
    assert part in errors
    assert sum(line.startswith("mis: ") for line in errors.splitlines()) == 1


def test_indicator_agrees_with_the_library(capsys, tmp_path, rng):
    from mis import theory

    losses = rng.normal(size=(3, 400)) + np.array([[0.0], [0.4], [0.6]])
    np.savez(tmp_path / "losses.npz", losses=losses, names=["a", "b", "c"])
    code, printed, _ = run(capsys, "indicator", tmp_path / "losses.npz", "--json", tmp_path / "r.json")
    assert code == 0
    assert "competitors of a" in printed
    found = json.loads((tmp_path / "r.json").read_text())
    assert found["value"] == theory.indicator(theory.SampledLosses(losses=losses)).value


def test_audit_writes_what_the_issue_of_a_user_needs(capsys, tmp_path, rng):
    np.savez(tmp_path / "s.npz", member=rng.normal(1.0, 1.0, 2000), nonmember=rng.normal(size=2000))
    paths = {name: tmp_path / f"a.{name}" for name in ("json", "csv", "png")}
    code, printed, _ = run(
        capsys,
        "audit",
        tmp_path / "s.npz",
        "--json",
        paths["json"],
        "--csv",
        paths["csv"],
        "--plot",
        paths["png"],
    )
    assert code == 0
    assert "advantage" in printed
    found = json.loads(paths["json"].read_text())
    # The best threshold on N(1, 1) against N(0, 1) has advantage 2 Phi(1/2) - 1 = 0.3829.
    assert found["advantage"]["lower"] < 0.3829 < found["advantage"]["upper"]
    assert len(paths["csv"].read_text().splitlines()) == 4001
    assert paths["png"].stat().st_size > 1000


def test_audit_of_a_table_lists_the_records_most_at_risk(capsys, tmp_path, rng, monkeypatch):
    monkeypatch.chdir(tmp_path)
    rows = [(t, i, int(rng.random() < 0.5)) for t in range(12) for i in range(15)]
    text = "target,id,member,score\n" + "".join(f"{t},r{i},{m},{i * m / 4 + 1e-3 * t}\n" for t, i, m in rows)
    Path("s.csv").write_text(text)
    code, printed, errors = run(capsys, "audit", "s.csv", "--top", "3", "--csv", "out.csv")
    assert (code, errors) == (0, "")
    listed = printed.partition("Records most at risk first, 3 of 15")[2].splitlines()[2:-1]
    with open("out.csv") as file:
        written = list(csv.DictReader(file))
    assert len(written) == len(rows)
    assert [line.split()[0] for line in listed] == list(dict.fromkeys(row["id"] for row in written))[:3]
    assert f"{float(written[0]['advantage_lower']):.4f}" == listed[0].split()[2]
    whole = run(capsys, "audit", "s.csv")[1]
    assert "Records most at risk first, 10 of 15" in whole
    assert "Records" not in run(capsys, "audit", "s.csv", "--top", "0")[1]
    with open("s.csv") as file:
        monkeypatch.setattr(sys, "stdin", file)
        assert run(capsys, "audit", "-")[1] == whole
    assert "never written to" in refused(capsys, "audit", "s.csv", "--csv", "s.csv")
    assert Path("s.csv").read_text() == text


@pytest.mark.usefixtures("scores")
def test_a_plot_has_its_caption_beside_it_and_replaces_no_notes(capsys):
    Path("other.txt").write_text("notes")
    assert "its caption would replace other.txt" in refused(capsys, "audit", "s.npz", "--plot", "other.png")
    for width in ("single", "12cm"):
        code, _, errors = run(
            capsys, "audit", "s.npz", "--plot", "roc.svg", "--width", width, "--level", "0.9"
        )
        assert (code, errors) == (0, "")
    assert "90% pointwise" in Path("roc.txt").read_text(encoding="utf-8")
    assert f'width="{12 / 2.54 * 72:.6f}'[:12] in Path("roc.svg").read_text(encoding="utf-8")
    assert sorted(os.listdir()) == ["other.txt", "roc.svg", "roc.txt", "s.npz"]


@pytest.mark.usefixtures("scores")
def test_numbers_of_an_audit_are_written_before_its_plot(capsys, monkeypatch):
    import mis.figures.audit

    monkeypatch.setattr(mis.figures.audit, "audit_roc", lambda *_, **__: 1 / 0)
    code, printed, errors = run(
        capsys, "audit", "s.npz", "--plot", "roc.png", "--json", "a.json", "--csv", "a.csv"
    )
    assert code == 1
    assert "advantage" in printed
    assert errors == "mis: roc: the figure could not be drawn (ZeroDivisionError: division by zero).\n"
    assert json.loads(Path("a.json").read_text())["advantage"]
    assert Path("a.csv").exists()
    assert not Path("roc.png").exists()


@pytest.mark.filterwarnings("default::RuntimeWarning")
def test_numbers_of_a_ranking_are_written_before_its_figure(capsys, tmp_path, table, monkeypatch):
    out = tmp_path / "out"
    monkeypatch.setattr("mis.figures.ranking.label_points", lambda *_: 1 / 0)
    code, printed, errors = run(capsys, "rank", table, *SMALL, "--out", out)
    assert code == 1
    assert "uniform-3" in printed
    assert printed.splitlines()[-1] == f"Written to {out}: ranking.csv, ranking.json"
    assert sum(line.startswith("mis: ") for line in errors.splitlines()) == 1
    assert "the figure could not be drawn (ZeroDivisionError: division by zero). ranking.csv" in errors
    with open(out / "ranking.csv", newline="") as file:
        assert len(list(csv.DictReader(file))) == 3
    assert json.loads((out / "ranking.json").read_text())["rows"]


def test_figures_write_what_they_say_and_nothing_elsewhere(capsys, tmp_path, monkeypatch):
    from mis import studies

    asked = []

    def recorded(quick, out):
        asked.append((quick, out))
        with open(results / "sandwich.csv", newline="") as file:
            rows = list(csv.DictReader(file))
        return [{k: v if k in ("label", "release") else float(v) for k, v in row.items()} for row in rows]

    results = Path(__file__).parents[1] / "benchmarks/results"
    monkeypatch.setitem(studies.STUDIES, "sandwich", recorded)
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    command = [
        "figure",
        "sandwich",
        results / "ranking-solubility.json",
        "--out",
        "../there",
        "--width",
        "single",
    ]
    for _ in range(2):
        code, printed, errors = run(capsys, *command)
        assert (code, errors) == (0, "")
        assert [line.split(":")[0] for line in printed.splitlines()] == ["Written to ../there"] * 2
    assert asked == [(False, Path("../there/sandwich"))] * 2
    names = [
        f"{name}{suffix}"
        for name in ("ranking-solubility", "sandwich")
        for suffix in (".pdf", ".png", ".svg", ".txt")
    ]
    assert sorted(os.listdir("../there")) == sorted([*names, "sandwich.csv"])
    assert os.listdir() == []
    # Fewer points never replace more of them silently.
    assert "another run's sandwich.csv" in refused(capsys, *command, "--quick")
    assert len(asked) == 2


def test_a_long_study_keeps_its_networks_within_out(monkeypatch, tmp_path):
    import mis.ranking
    from mis import studies

    folders = []

    def stop(*_, out, **__):
        folders.append(out)
        raise StopIteration

    monkeypatch.setattr(mis.ranking, "rank", stop)
    with pytest.raises(StopIteration):
        studies.STUDIES["sandwich"](False, tmp_path / "there")
    assert folders == [tmp_path / "there/solubility"]
    assert {"sandwich"} == studies.KEEPING


@pytest.mark.usefixtures("scores")
def test_a_reader_that_has_enough_is_no_error():
    command = [sys.executable, "-c", "from mis.cli import main; main(['audit', 's.npz'])"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        process.stdout.close()
        assert process.stderr.read() == ""
    assert process.returncode == 1


def test_list_names_everything(capsys):
    from mis.populations import POPULATIONS
    from mis.quantizers import QUANTIZERS

    code, printed, _ = run(capsys, "list")
    assert code == 0
    for name in [*POPULATIONS, *QUANTIZERS, "mlp"]:
        assert name in printed


def test_explain_is_the_data_dictionary(capsys):
    from mis.ranking.columns import COLUMNS

    code, printed, _ = run(capsys, "explain")
    assert code == 0
    assert max(map(len, printed.splitlines())) <= 80
    assert [line.partition(":")[0] for line in printed.splitlines() if not line.startswith(" ")] == list(
        COLUMNS
    )
    code, printed, _ = run(capsys, "explain", "advantage", "lira_upper")
    assert code == 0
    assert printed.startswith("advantage: Advantage of the strongest of these attacks")
    assert "a lower bound on the best attack" in " ".join(printed.split())
    assert "the upper end of the interval" in " ".join(printed.split())


def test_help_needs_no_heavy_import():
    loaded = "import sys; from mis.cli import main\ntry: main(['--help'])\nexcept SystemExit: pass\n"
    loaded += "print(sorted({'jax', 'numpy', 'scipy', 'matplotlib', 'sklearn'} & set(sys.modules)))"
    printed = subprocess.run(
        [sys.executable, "-c", loaded], capture_output=True, text=True, check=True
    ).stdout
    assert printed.splitlines()[-1] == "[]"


def in_a_shell(*tokens, **environment):
    """Run the command as a process of its own, whose streams and locale are those of the environment."""
    command = [sys.executable, "-c", "from mis.cli import main; main()", *map(str, tokens)]
    ended = subprocess.run(command, capture_output=True, env={**os.environ, **environment}, check=False)
    return ended.returncode, ended.stdout, ended.stderr


@pytest.fixture
def losses(tmp_path, monkeypatch, rng):
    """Write losses of three candidates under these names, in this folder."""
    monkeypatch.chdir(tmp_path)
    values = rng.normal(size=(3, 400)) + np.array([[0.0], [0.4], [0.6]])

    def write(names):
        np.savez("l.npz", losses=values, names=names)
        return "l.npz"

    return write


@pytest.mark.parametrize(
    ("names", "printed"),
    [
        (["resnet[int8]", "resnet[fp8]", "resnet"], ["resnet[int8]", "resnet[fp8]", "resnet"]),
        (["[bold]a[/bold]", "[/nothing]", "[link=x]"], ["[bold]a[/bold]", "[/nothing]", "[link=x]"]),
        ([":smile:", "$5", "a_b^{c}\\"], [":smile:", "$5", "a_b^{c}\\"]),
        (np.array([b"one", b"two", "µ".encode()]), ["one", "two", "µ"]),
        ([8, 4, 2], ["8", "4", "2"]),
        ([0.5, 0.25, np.nan], ["0.5", "0.25", "nan"]),
    ],
)
def test_names_are_printed_as_they_are(names, printed, losses, capsys):
    code, out, _ = run(capsys, "indicator", losses(names))
    assert code == 0
    assert f"competitors of {printed[0]}" in out
    assert {line.split()[0] for line in out.splitlines()[-2:]} == set(printed[1:])


@pytest.mark.parametrize(
    ("names", "part"),
    [
        (np.array("abc"), "expected names one name per candidate, in a sequence"),
        (np.array(3), "in a sequence"),
        (["a", "b", "a"], "expected names that differ, got 'a' twice"),
        ([1, 1.0, 2], "expected names that differ"),
        (["a", "", "b"], "expected names printable text that is not empty, got names=''"),
        (["a", " ", "b"], "printable text"),
        (["a", "b\nc", "d"], "printable text"),
        (["a", "\x1b[31mb", "d"], "printable text"),
        (["a", "b"], "expected 3 names, one per candidate, got 2"),
        (["a", "b", "c", "d"], "got 4"),
        ([], "got 0"),
        ([["a"], ["b"], ["c"]], "printable text"),
        (np.array([None, "a", "b"], dtype=object), "Python objects"),
    ],
)
def test_what_is_no_name(names, part, losses, capsys):
    assert part in refused(capsys, "indicator", losses(names))


@pytest.mark.parametrize("word", ["[/foo]", "x[red]", "[bold]", ":smile:"])
def test_errors_show_what_was_typed(word, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for tokens in (["rank", word], ["rank", f"{word}.npz"], ["rank", "digits", "--quantizers", word]):
        assert word in refused(capsys, *tokens)
    assert word in refused(capsys, "rank", "digits", f"--{word}")


@pytest.mark.usefixtures("undrawn")
def test_a_task_with_brackets_in_its_name(capsys, tmp_path, table, monkeypatch):
    monkeypatch.chdir(tmp_path)
    table.rename(tmp_path / "a[red]:smile:.npz")
    code, printed, _ = run(capsys, "rank", "a[red]:smile:.npz", *SMALL)
    assert code == 0
    assert printed.startswith("a[red]:smile:: a regression; 32 networks")
    assert Path("results/a[red]:smile:/ranking.csv").exists()


@pytest.mark.parametrize(
    "environment",
    [
        {"PYTHONIOENCODING": "ascii"},
        pytest.param({"PYTHONIOENCODING": "iso-8859-15"}, marks=pytest.mark.slow),
        pytest.param({"PYTHONIOENCODING": "cp1252:strict"}, marks=pytest.mark.slow),
        {"LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"},
    ],
    ids=str,
)
def test_output_that_the_terminal_cannot_write(environment, losses):
    names = ["plain", "α–β", "🙂"]
    code, out, errors = in_a_shell("indicator", losses(names), **environment)
    assert (code, errors) == (0, b"")
    assert b"competitors of plain" in out
    # A number and its sign survive.
    from mis.cli.plain import plain

    assert "R² = .5 ± .1…".encode("ascii", errors="mis-plain") == b"R2 = .5 +- .1..."
    assert "🙂\udc80".encode("ascii", errors="mis-plain") == b"??"
    with pytest.raises(UnicodeDecodeError):
        plain(UnicodeDecodeError("ascii", b"\xff", 0, 1, "no"))


@pytest.mark.usefixtures("undrawn")
def test_a_table_in_ascii(tmp_path, table, monkeypatch):
    narrow = io.TextIOWrapper(io.BytesIO(), "ascii")
    monkeypatch.setattr(sys, "stdout", narrow)
    main(["rank", str(table), *SMALL, "--out", str(tmp_path / "out")])
    narrow.flush()
    assert b" +-." in narrow.buffer.getvalue()


@pytest.mark.parametrize(
    "mark",
    [pytest.param("", marks=pytest.mark.slow, id="plain"), pytest.param("\ufeff", id="byte order mark")],
)
def test_a_config_is_utf8_in_any_locale(mark, tmp_path):
    config = tmp_path / "c.toml"
    config.write_text(f'{mark}# größer — 大\nquantizers = "sgn"\n', encoding="utf-8")
    code, _, errors = in_a_shell(
        "rank", "digits", "--config", config, LC_ALL="C", PYTHONCOERCECLOCALE="0", PYTHONUTF8="0"
    )
    assert code == 2
    assert b"Nearest: sign" in errors


@pytest.mark.parametrize(
    "environment",
    [
        pytest.param({"JAX_PLATFORMS": "tpu"}, marks=pytest.mark.slow),
        {"JAX_PLATFORMS": "cuda"},
        {"JAX_PLATFORMS": "nothing"},
        {"JAX_ENABLE_X64": "maybe"},
        pytest.param({"JAX_DEFAULT_MATMUL_PRECISION": "much"}, marks=pytest.mark.slow),
    ],
    ids=str,
)
def test_jax_that_cannot_start_is_one_line(environment, tmp_path):
    code, out, errors = in_a_shell("rank", "digits", "--out", tmp_path, **environment)
    assert code == 2
    assert out == b""
    line = errors.decode()
    assert line.startswith("mis: JAX cannot start")
    assert line.count("\n") == 1
    assert ("JAX_PLATFORMS" in environment) == ("(JAX_PLATFORMS=" in line)


@pytest.mark.usefixtures("scores")
def test_the_input_is_never_written_to(capsys, tmp_path):
    os.symlink("s.npz", "link.json")
    os.link("s.npz", "hard.json")
    Path("sub").mkdir()
    before = Path("s.npz").read_bytes()
    for output in ("s.npz", "./s.npz", "sub/../s.npz", tmp_path / "s.npz", "link.json", "hard.json"):
        for option in ("--json", "--csv"):
            assert "never written to" in refused(capsys, "audit", "s.npz", option, output)
        assert "never written to" in refused(capsys, "indicator", "s.npz", "--json", output)
    os.symlink("s.npz", "in.npz")
    assert "never written to" in refused(capsys, "audit", "in.npz", "--json", "s.npz")
    os.symlink("s.npz", "roc.png")
    assert "never written to" in refused(capsys, "audit", "s.npz", "--plot", "roc.png")
    assert Path("s.npz").read_bytes() == before


@pytest.mark.usefixtures("scores")
def test_no_output_takes_the_place_of_another(capsys):
    Path("b").symlink_to("a")
    for one, other in (("a", "./a"), ("a", "b")):
        tokens = ["--json", one, "--csv", other]
        assert "a file of its own for each output" in refused(capsys, "audit", "s.npz", *tokens)
    code, _, _ = run(capsys, "audit", "s.npz", "--json", os.devnull, "--csv", os.devnull)
    assert code == 0


def test_a_config_among_the_results_is_not_written_to(capsys, tmp_path):
    config = tmp_path / "ranking.json"
    config.write_text("steps = 20\n")
    tokens = ["rank", "digits", "--config", config, "--out", tmp_path, "--replace"]
    assert "never written to" in refused(capsys, *tokens)
    assert config.read_text() == "steps = 20\n"


def test_folders_by_default_tell_runs_apart():
    from mis.cli.rank import default_folder

    assert default_folder("solubility", {}) == "results/solubility"
    assert default_folder("data/my.npz", {"quick": True}) == "results/my-quick"
    assert default_folder("digits", {"seed": 3, "quick": True}) == "results/digits-quick-seed3"
    assert default_folder("digits", {"seed": 0}) == "results/digits"


@pytest.mark.usefixtures("undrawn")
def test_another_ranking_in_the_way_is_one_line(capsys, tmp_path, table):
    out = tmp_path / "out"
    assert run(capsys, "rank", table, *SMALL, "--out", out)[0] == 0
    before = (out / "ranking.csv").read_bytes()
    line = refused(capsys, "rank", table, *SMALL, "--out", out, "--seed", "1")
    assert "of task mine, with other data or seed" in line
    assert "--replace" in line
    assert "of task mine" in refused(capsys, "rank", "digits", *SMALL, "--out", out)
    assert (out / "ranking.csv").read_bytes() == before
    assert run(capsys, "rank", table, *SMALL, "--out", out, "--seed", "1", "--replace")[0] == 0
    assert (out / "ranking.csv").read_bytes() != before


@pytest.mark.usefixtures("undrawn")
def test_many_classes_get_a_word_before_and_after(capsys, tmp_path, rng):
    features = rng.normal(size=(80, 3))
    np.savez(tmp_path / "mine.npz", features=features, target=(10 * features[:, 0]).astype(int))
    tokens = ["rank", tmp_path / "mine.npz", *SMALL, "--attacks", "loss", "--out", tmp_path / "out"]
    code, printed, errors = run(capsys, *tokens)
    assert code == 0
    for text in (printed, errors):
        assert " classes in 80 examples? If they are values: a regression by --regression" in " ".join(
            text.split()
        )
    assert sum(line.startswith("mis: ") for line in errors.splitlines()) == 1
    code, printed, errors = run(capsys, *tokens, "--regression", "--replace")
    assert code == 0
    assert "mis: " not in errors
    assert " R2 " in printed
    assert "expected option one of images, got option='regression'" in refused(
        capsys, "rank", "digits", "--regression"
    )
    both = ["--regression", "--classification"]
    assert "regression or classification, got both" in refused(capsys, *tokens, *both)


@pytest.mark.parametrize(("sent", "expected"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_who_interrupts_is_told_what_is_kept(sent, expected, tmp_path):
    # What is started in the background of a shell inherits that nobody listens to an interrupt.
    command = "import signal\nsignal.signal(signal.SIGINT, signal.default_int_handler)\n"
    command += "import mis.ranking.trained as o, mis.cli\no.train_chunk = lambda *a, **k: print('training', flush=True)"
    command += " or __import__('time').sleep(60)\nmis.cli.main()"
    tokens = ["rank", "breast-cancer", *SMALL, "--out", tmp_path]
    with subprocess.Popen(
        [sys.executable, "-c", command, *map(str, tokens)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout.readline() == "training\n"
        process.send_signal(sent)
        _, errors = process.communicate(timeout=30)
    assert errors == "mis: interrupted; what was done is kept, and the same command goes on from there.\n"
    assert process.returncode == expected
