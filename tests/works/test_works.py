"""Published works done again: the registry, what a run writes and refuses, verdicts; the works themselves are tried
in files of their own."""

import csv
import json
from dataclasses import dataclass

import numpy as np
import pytest

from mis import works
from mis.cli import main
from mis.figures import FigureError
from mis.numerics.checks import InvalidInput
from mis.results import Interval
from mis.works.settings import changed
from mis.works.text import text_of
from mis.works.writing import flat, plain

SHARE = Interval(lower=0.6, value=0.7, upper=0.9, kind="monte-carlo", level=0.95)


@dataclass(frozen=True, kw_only=True)
class Few:
    seed: int = 0
    folder: str = ""
    images: int = 3
    rate: float = 0.5
    tasks: tuple[str, ...] = ("digits",)
    sizes: tuple[int, ...] = (1, 2)


class Small:
    """A work of two parts, of which the second fails as long as ``fails``."""

    fails = False
    computed = 0
    figure_fails = False

    @staticmethod
    def settings(size, seed, folder):
        return Few(seed=seed, folder=folder or "", images={"quick": 1, "default": 3, "full": 9}[size])

    def study(self, settings, store, progress):
        assert progress in (True, False)
        parts = []
        for i in range(2):
            kept = store.read(f"part-{i}", ("x",))
            if kept is None:
                if self.fails and i == 1:
                    raise KeyboardInterrupt
                self.computed += 1
                kept = {"x": np.random.default_rng([settings.seed, i]).normal(size=settings.images)}
                store.write(f"part-{i}", **kept)
            parts.append(kept["x"].sum())
        return works.Study(
            rows=[
                {"name": "a", "share": SHARE, "none": float("nan")},
                {"name": "b", "sum": np.float64(sum(parts))},
            ],
            verdicts=[works.verdict("It is so.", "share", SHARE, above=0.5)],
            published=[{"what": "share", "theirs": 0.5, "ours": {"here": SHARE}, "source": "page 1"}],
            text="our own lines",
            details={"curve": np.arange(3.0)},
            figures={"small": self._draw} if self.figure_fails else {},
        )

    def _draw(self):
        raise RuntimeError("no ink")


@pytest.fixture
def small(monkeypatch):
    work, module = Small(), works.base.importlib.import_module
    monkeypatch.setitem(
        works.WORKS, "small",
        works.Work(place="here.small", asks="Is it so?", work="Nobody", takes={"quick": "no time"}, needs="nothing"),
    )  # fmt: skip
    monkeypatch.setattr(
        works.base.importlib, "import_module", lambda place: work if place == "here.small" else module(place)
    )
    return work


def run(capsys, *tokens):
    code = 0
    try:
        main([str(t) for t in tokens])
    except SystemExit as stop:
        code = stop.code or 0
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def test_without_a_name_every_work_is_listed(capsys):
    code, printed, _ = run(capsys, "run")
    assert code == 0
    for name, work in works.WORKS.items():
        assert {name, f"  {work.asks}", f"  After {work.work}."} <= set(printed.splitlines())
        assert set(work.takes) == set(works.SIZES)
        assert all(time in printed for time in work.takes.values())


@pytest.mark.parametrize("name", works.WORKS)
def test_every_work_has_settings_of_three_sizes_that_files_can_hold(name):
    module = works.base.importlib.import_module(works.WORKS[name].place)
    found = [module.settings(size, 3, None) for size in works.SIZES]
    assert all(settings.seed == 3 for settings in found)
    assert len(set(found)) == 3
    for settings in found:
        assert changed(settings, []) == settings
        json.dumps(works.base.dataclasses.asdict(settings), allow_nan=False)


@pytest.mark.usefixtures("small")
def test_files_hold_intervals_with_their_kind(tmp_path, capsys):
    code, printed, _ = run(capsys, "run", "small", "--out", tmp_path / "s", "--seed", 4, "--quick")
    assert code == 0
    assert "our own lines" in printed
    assert "holds    It is so.  share 0.7 [0.6, 0.9], claimed above 0.5" in printed
    assert printed.splitlines()[-1] == f"Written to {tmp_path / 's'}: table.csv, table.json, study.json"
    document = json.loads((tmp_path / "s/study.json").read_text())
    assert document["settings"]["seed"] == 4
    assert document["size"] == "quick"
    assert document["device"].startswith("cpu")
    assert 0 <= document["seconds"] < 600
    assert document["settings"]["images"] == 1
    assert document["verdicts"][0]["verdict"] == "holds"
    assert document["verdicts"][0]["quantity"] == plain(SHARE)
    assert document["published"][0]["ours"]["here"]["kind"] == "monte-carlo"
    assert document["curve"] == [0, 1, 2]
    rows = json.loads((tmp_path / "s/table.json").read_text())
    assert rows == document["rows"]
    assert rows[0] == {"name": "a", "share": plain(SHARE), "none": None}
    expected = sum(np.random.default_rng([4, i]).normal() for i in range(2))
    with open(tmp_path / "s/table.csv", newline="") as file:
        table = list(csv.DictReader(file))
    assert (table[0]["share"], table[0]["share_lower"], table[0]["share_kind"]) == (
        "0.7",
        "0.6",
        "monte-carlo",
    )
    assert float(table[1]["sum"]) == pytest.approx(expected, rel=1e-15)
    assert table[1]["share"] == ""


def test_what_was_interrupted_goes_on(small, tmp_path):
    small.fails = True
    with pytest.raises(KeyboardInterrupt):
        works.run("small", out=tmp_path)
    assert not (tmp_path / "study.json").exists()
    small.fails = False
    works.run("small", out=tmp_path)
    assert small.computed == 2
    works.run("small", out=tmp_path)
    assert small.computed == 2
    # Other settings share nothing.
    works.run("small", out=tmp_path, seed=1, replace=True)
    assert small.computed == 4


def test_parts_of_other_code_are_not_read(small, tmp_path, monkeypatch):
    works.run("small", out=tmp_path)
    monkeypatch.setattr(works.base, "code", lambda *_: "other")
    works.run("small", out=tmp_path)
    assert small.computed == 4


@pytest.mark.usefixtures("small")
def test_code_of_a_work_is_its_own_alone(tmp_path, monkeypatch):
    rooms = []
    monkeypatch.setattr(works.base, "code", lambda *names: str(rooms.append(names)))
    works.run("small", out=tmp_path)
    assert () in rooms
    assert next(names for names in rooms if names)[:2] == ("small", "small.py")


def test_numbers_are_written_before_pictures_fail(small, tmp_path, capsys):
    small.figure_fails = True
    with pytest.raises(FigureError, match="no ink"):
        works.run("small", out=tmp_path)
    assert (tmp_path / "study.json").exists()
    code, printed, errors = run(capsys, "run", "small", "--out", tmp_path)
    assert (code, errors.count("\n")) == (1, 1)
    assert "our own lines" in printed


@pytest.mark.usefixtures("small")
def test_results_of_another_run_are_not_replaced(tmp_path):
    works.run("small", out=tmp_path)
    kept = (tmp_path / "study.json").read_text()
    with pytest.raises(InvalidInput, match=r"without the results of another run.*seed 0, not 1.*--replace"):
        works.run("small", out=tmp_path, seed=1)
    assert (tmp_path / "study.json").read_text() == kept
    (tmp_path / "study.json").write_text("{}")
    with pytest.raises(InvalidInput, match="work None, not 'small'"):
        works.run("small", out=tmp_path)
    (tmp_path / "study.json").write_text("[")
    with pytest.raises(InvalidInput, match="does not say what was asked"):
        works.run("small", out=tmp_path)
    (tmp_path / "study.json").unlink()
    with pytest.raises(InvalidInput, match="does not say what was asked"):
        works.run("small", out=tmp_path)
    works.run("small", out=tmp_path, replace=True)
    # But for the time it took.
    again, before = json.loads((tmp_path / "study.json").read_text()), json.loads(kept)
    assert {**again, "seconds": 0} == {**before, "seconds": 0}


@pytest.mark.parametrize(
    ("tokens", "message"),
    [
        (["smal"], "got name='smal'. Nearest: small"),
        (["small", "--quick", "--full"], "one of --quick and --full, got both"),
        (["small", "--seed", "-1"], "seed"),
        (["small", "--seed", "1.5"], "integer"),
        (["small", "--set", "images"], "--set NAME=VALUE, got 'images'"),
        (["small", "--set", "image=3"], "setting one of seed, folder, images"),
        (["small", "--set", "images=x"], "images of type int, got 'x'"),
        (["small", "--set", "sizes=1,x"], "sizes of type int, commas between, got '1,x'"),
        (["small", "--set", "images=1", "--set", "images=2"], "images once, got it twice"),
        (["small", "--out", "/proc/none"], "out a folder that can be written"),
    ],
)
def test_bad_input_is_one_line(small, tmp_path, monkeypatch, capsys, tokens, message):
    monkeypatch.chdir(tmp_path)
    code, printed, errors = run(capsys, "run", *tokens)
    assert (code, printed, errors.count("\n")) == (2, "", 1)
    assert message in errors
    assert small.computed == 0


def test_settings_by_hand():
    found = changed(Few(), ["images= 8", "rate=1e-2", "tasks=a, b", "sizes="])
    assert found == Few(images=8, rate=0.01, tasks=("a", "b"), sizes=())


@pytest.mark.parametrize(
    ("ends", "border", "above", "below"),
    [
        ((0.6, 0.9), 0.5, "holds", "falls"),
        ((0.1, 0.4), 0.5, "falls", "holds"),
        ((0.4, 0.6), 0.5, "cannot be told", "cannot be told"),
        # At the border: not above it, not below it.
        ((0.5, 0.5), 0.5, "falls", "falls"),
        ((0.5, 0.6), 0.5, "cannot be told", "falls"),
        ((0.4, 0.5), 0.5, "falls", "cannot be told"),
    ],
)
def test_verdicts_need_the_whole_interval(ends, border, above, below):
    found = Interval(lower=ends[0], value=sum(ends) / 2, upper=ends[1], kind="bootstrap", level=0.95)
    assert works.judged(found, above=border) == above
    assert works.judged(found, below=border) == below


def test_an_estimate_decides_nothing():
    assert works.judged(Interval.point(0.9, "asymptotic"), above=0.5) == "cannot be told"
    assert works.judged(Interval.point(0.9, "exact"), above=0.5) == "holds"
    with pytest.raises(InvalidInput, match="one of above and below"):
        works.judged(SHARE)
    with pytest.raises(InvalidInput, match="one of above and below"):
        works.judged(SHARE, above=0.1, below=0.2)


def test_text_has_theirs_beside_ours():
    study = works.Study(
        rows=[], verdicts=[], text="above",
        published=[{"what": "loss", "theirs": 31.98, "ours": {"digits": SHARE, "modes": 2.0}, "source": ""},
                   {"what": "time", "theirs": "hours", "ours": {}, "source": ""}],
    )  # fmt: skip
    lines = [line.split("  ") for line in text_of(study).splitlines()[3:]]
    assert [[cell.strip() for cell in line if cell] for line in lines] == [
        ["what", "theirs", "ours"],
        ["loss", "31.98", "0.7 [0.6, 0.9] (digits), 2 (modes)"],
        ["time", "hours", "not here"],
    ]


def test_plain_and_flat():
    assert plain(np.array([1.0, np.inf])) == [1.0, None]
    assert plain({1: (np.int64(2), None, True, "x")}) == {"1": [2, None, True, "x"]}
    assert list(flat({"a": SHARE})) == ["a_lower", "a", "a_upper", "a_kind", "a_level"]
