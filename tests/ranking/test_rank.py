"""Whole rankings, tiny ones: what is reused, what is not, and what is written."""

import csv
import dataclasses
import json
import shutil
from pathlib import Path

import jax
import numpy as np
import pytest
from scipy import stats

import mis
from mis.models import MLP
from mis.numerics.checks import InputWarning, InvalidInput, UnsupportedSetting
from mis.populations import BreastCancer, Modes
from mis.quantizers import Sign
from mis.ranking import ShardsMissing, asked, rank
from mis.ranking import run as running
from mis.ranking import trained as training
from mis.ranking.columns import COLUMNS
from mis.ranking.measure import measure
from mis.ranking.row import Row
from mis.ranking.spec import RankingSpec
from mis.report.writing import report
from mis.results import Interval
from mis.store import Store, fingerprint
from mis.training import CHUNK, Learner, train_chunk
from mis.training.ensemble import initial_points

SMALL = {"num_networks": 32, "num_steps": 24, "batch_size": 8, "pool": 40, "width": 4, "num_folds": 4}
LAW = {"num_modes": 3, "dim": 6, "num_heldout": 64}
QUANTIZERS = ["sign", "ternary-90", "uniform-2", "uniform-3"]

# Columns that readers of the file rely on, in this order.
FIRST = [
    "release",
    "bits",
    "zeros",
    "performance",
    "performance_lower",
    "performance_upper",
    "performance_kind",
    "train_performance",
    "indicator",
    "indicator_lower",
    "indicator_upper",
    "indicator_kind",
    "num_candidates",
]


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """One ranking, and the folder it was saved in."""
    out = tmp_path_factory.mktemp("ranking")
    return rank("modes", QUANTIZERS, out=out, **SMALL, **LAW), out


def test_the_report_reads_what_was_written(made, tmp_path):
    ranking, out = made
    html, markdown = report(out, tmp_path)
    best = ranking[ranking.choice().least].performance
    # 6 inputs and a bias into 4, these and a bias into 3 classes.
    assert Modes(**LAW).num_classes == 3
    for text in (html.read_text(encoding="utf-8"), markdown.read_text(encoding="utf-8")):
        assert all(row.release in text for row in ranking)
        assert f"[{best.lower:.3f}, {best.upper:.3f}]" in text
        assert f"{7 * 4 + 5 * 3} parameters, trained on 20 examples each" in text
    document = json.loads((out / "ranking.json").read_text())
    assert {name for name, column in document["columns"].items() if "sees" in column} == {*ranking[0].attacks}
    assert document["columns"]["lira"]["sees"] == ["outputs", "shadows"]


def unsaved(monkeypatch):
    """Figures and tables take longer than a tiny ranking."""
    monkeypatch.setattr(running.Ranking, "save", lambda *_: None)


@pytest.fixture
def copy(made, tmp_path, monkeypatch):
    """The folder again, free to be spoiled."""
    unsaved(monkeypatch)
    return shutil.copytree(made[1], tmp_path / "copy", ignore=shutil.ignore_patterns("ranking.*"))


def parts(out):
    return {path.name: path for path in sorted((out / "runs").glob("*/*.npz"))}


def same(one, other):
    assert one.rows == other.rows
    assert one.answer() == other.answer()
    np.testing.assert_array_equal(one.advantages, other.advantages)


def test_files_say_what_the_ranking_says(made):
    ranking, out = made
    with open(out / "ranking.csv", newline="") as file:
        reader = csv.DictReader(file)
        rows = list(reader)
    assert reader.fieldnames[: len(FIRST)] == FIRST
    assert [row["release"] for row in rows] == [row.release for row in ranking]
    document = json.loads((out / "ranking.json").read_text())
    for written, plain, row in zip(rows, document["rows"], ranking, strict=True):
        assert Row.from_json(plain) == row
        for name, column in COLUMNS.items():
            value = row[name]
            if column.kind is None:
                assert written[name] == (
                    " ".join(value) if name == "tied_with" else str("" if value is None else value)
                )
            elif value is None:
                assert {written[name + part] for part in ("", "_lower", "_upper", "_kind")} == {""}
                assert plain.get(name) is None
            else:
                ends = [float(written[name + part]) for part in ("_lower", "", "_upper")]
                assert ends == [value.lower, value.value, value.upper]
                assert written[f"{name}_kind"] == value.kind
                assert value.level == (
                    1.0 if value.kind in ("exact", "certified") else float(written["level"])
                )
                assert plain[name] == {
                    end: getattr(value, end) for end in ("lower", "value", "upper", "kind", "level")
                }
    assert document["answer"]["text"] == ranking.answer()
    assert document["answer"]["least"] == ranking.choice().least
    assert document["agreement"] == json.loads(json.dumps(ranking.agreement()))
    assert {"task", "num_networks", "device", "seconds", "hash", "excluded"} <= set(document)
    assert document["versions"]["mis"] == mis.__version__
    assert document["spec"]["population"] == {"name": "modes", **dataclasses.asdict(Modes(**LAW))}
    assert document["spec"]["learner"] == dataclasses.asdict(
        Learner(learning_rate=3e-3, num_steps=24, batch_size=8)
    )
    assert {**{k: document["spec"][k] for k in ("pool", "seed")}, **document["spec"]["model"]} == {
        "name": "mlp",
        "pool": 40,
        "width": 4,
        "depth": 1,
        "activation_bits": None,
        "seed": 0,
    }
    assert (out / "ranking.pdf").read_bytes().startswith(b"%PDF")
    assert (out / "ranking.png").read_bytes().startswith(b"\x89PNG")
    assert "<svg" in (out / "ranking.svg").read_text(encoding="utf-8")
    assert "on modes: 5 releases" in (out / "ranking.txt").read_text(encoding="utf-8")
    assert not list(out.glob(".*"))


def test_most_private_first(made):
    ranking, _ = made
    assert sorted(row.release for row in ranking) == sorted(["full", *QUANTIZERS])
    advantages = [row.advantage.value for row in ranking]
    assert advantages == sorted(advantages)
    np.testing.assert_allclose(ranking.advantages.mean(axis=1), advantages, rtol=1e-12)


def test_a_prediction_holds_at_the_level_of_both_its_arguments(made):
    # Of full precision the share is known to be one: the interval is that of the advantage, at half the error.
    ranking, _ = made
    row = ranking["full"]
    errors = [found.upper - found.value for found in (row.predicted, row.advantage)]
    folds = SMALL["num_folds"] - 1
    assert errors[0] / errors[1] == pytest.approx(
        stats.t.isf(0.0125, folds) / stats.t.isf(0.025, folds), rel=1e-6
    )


def test_rows_hang_together(made):
    full = made[0]["full"]
    for row in made[0]:
        for name, kind in (("performance", "monte-carlo"), ("predicted", "asymptotic"), ("lira", "attack")):
            assert row[name].kind == kind
        assert row.predicted.value <= full.advantage.value + 1e-12
        assert 0.0 <= row.fpr_realised < 0.05
        assert (
            row.mis.upper == pytest.approx(1.0 - row.advantage.lower, rel=1e-12) or row.advantage.lower < 0.0
        )
    assert full.retained.value == full.retained_ensemble.value == 1.0
    assert full.predicted.value == pytest.approx(full.advantage.value, rel=1e-9, abs=0)
    assert full.weight_error == 0.0
    assert made[0]["ternary-90"].zeros == pytest.approx(0.9, abs=0.03)
    assert full.advantage.value > 0.1
    # Some attack's column is the strongest's, fold by fold, so on the whole no attack is far above it.
    assert full.advantage.value >= max(found.value for found in full.attacks.values()) - 0.05


def test_a_ranking_is_a_sequence_of_rows(made):
    ranking, _ = made
    assert len(ranking) == 5
    assert repr(ranking).startswith(f"Ranking(modes: {ranking[0].release} {ranking[0].advantage.value:.3f}, ")
    assert list(ranking) == [ranking[i] for i in range(5)] == [ranking[row.release] for row in ranking]
    assert ranking[-1] == ranking[4]
    assert ranking[1:3] == (ranking[1], ranking[2])
    assert "sign" in ranking
    assert ranking["sign"] in ranking
    assert "nf4" not in ranking
    assert isinstance(ranking["sign"].advantage, Interval)
    assert ranking["sign"]["lira"] is ranking["sign"].attacks["lira"]
    assert ranking["sign"]["rmia"] is None
    with pytest.raises(InvalidInput, match=r"Ranking: expected release one of .*Nearest: sign"):
        ranking["sgn"]
    with pytest.raises(KeyError):
        ranking["sign"]["advantage_lower"]
    with pytest.raises(dataclasses.FrozenInstanceError):
        ranking["sign"].bits = 2


def test_table_names_everything(made):
    ranking, _ = made
    printed = ranking.table()
    for row in ranking:
        assert row.release in printed
        assert f"{row.advantage.value:.3f}".lstrip("0") in printed
        assert f"≤{row.mis.upper:.3f}".replace("0.", ".") in printed
    assert "32 networks" in printed
    assert "Kendall tau" in printed


def test_a_second_call_computes_nothing(made, copy, monkeypatch):
    monkeypatch.setattr(training, "train_chunk", None)
    monkeypatch.setattr(running, "measure", None)
    same(rank("modes", QUANTIZERS, out=copy, **SMALL, **LAW), made[0])
    # Another choice of the same quantizers, in any order, is a part of the same results.
    some = rank("modes", ["uniform-2"], out=copy, **SMALL, **LAW)
    assert [row.advantage for row in some] == [
        row.advantage for row in made[0] if row.release in ("full", "uniform-2")
    ]


def test_results_are_read_back(copy):
    """The other side of resuming: what lies there is what is reported."""
    name = next(name for name in parts(copy) if name.startswith("row-sign"))
    stored = dict(np.load(parts(copy)[name]))
    row = json.loads(str(stored["row"]))
    row["advantage"] |= {"value": 0.99, "upper": 1.0}
    np.savez(parts(copy)[name], **{**stored, "row": np.array(json.dumps(row))})
    assert rank("modes", QUANTIZERS, out=copy, **SMALL, **LAW)[-1].release == "sign"


def test_a_run_goes_on_where_it_was(made, copy):
    """Networks lost, a row lost, a row and the trajectories damaged: the same result, and the rest untouched."""
    files = parts(copy)
    rows = [name for name in files if name.startswith("row-")]
    files["networks-00000.npz"].unlink()
    files[rows[0]].unlink()
    for name in ("trajectories.npz", rows[1]):
        files[name].write_bytes(files[name].read_bytes()[:-100])
    kept = {name: files[name].stat().st_mtime_ns for name in rows[2:]}
    same(rank("modes", QUANTIZERS, out=copy, **SMALL, **LAW), made[0])
    assert {name: parts(copy)[name].stat().st_mtime_ns for name in kept} == kept
    for name, path in parts(made[1]).items():
        for key, array in np.load(path).items():
            np.testing.assert_array_equal(np.load(parts(copy)[name])[key], array)


def test_fresh_forgets(made, copy):
    before = {name: path.stat().st_mtime_ns for name, path in parts(copy).items()}
    same(rank("modes", QUANTIZERS, out=copy, fresh=True, **SMALL, **LAW), made[0])
    after = {name: path.stat().st_mtime_ns for name, path in parts(copy).items()}
    assert before.keys() == after.keys()
    assert all(after[name] > before[name] for name in before)


LIRA = {"attacks": ["lira"]}
MORE = {**SMALL, "num_networks": 64}


@pytest.fixture(scope="module")
def sharded(tmp_path_factory):
    """64 networks, trained in two shards."""
    out = tmp_path_factory.mktemp("shards")
    with pytest.raises(ShardsMissing, match="shard 1/2 is done; 1 parts of the other shards are not yet"):
        rank("modes", ["sign"], out=out, shard=(1, 2), **MORE, **LAW, **LIRA)
    assert not (out / "ranking.csv").exists()
    with pytest.MonkeyPatch.context() as monkeypatch:
        unsaved(monkeypatch)
        return rank("modes", ["sign"], out=out, shard=(2, 2), **MORE, **LAW, **LIRA), out


def test_more_models_go_on_from_fewer_and_shards_do_not_show(copy, sharded):
    before = {name: path.stat().st_mtime_ns for name, path in parts(copy).items()}
    more = rank("modes", ["sign"], out=copy, **MORE, **LAW, **LIRA)
    assert {name: parts(copy)[name].stat().st_mtime_ns for name in before} == before
    same(more, sharded[0])
    for name in ("networks-00000.npz", "networks-00001.npz", "trajectories.npz"):
        for key, array in np.load(parts(sharded[1])[name]).items():
            np.testing.assert_array_equal(np.load(parts(copy)[name])[key], array)
    assert more.advantages.shape == (2, 64)


def test_networks_are_those_of_the_training_engine(sharded):
    split = Modes(**LAW).split(0, 40)
    model = MLP(input_shape=(6,), num_classes=Modes(**LAW).num_classes, width=4)
    chunk = train_chunk(
        model,
        Learner(learning_rate=3e-3, num_steps=24, batch_size=8),
        split.pool.features,
        split.pool.targets,
        seed=0,
        indices=np.arange(CHUNK, 2 * CHUNK),
    )
    stored = np.load(parts(sharded[1])["networks-00001.npz"])
    np.testing.assert_array_equal(stored["membership"], chunk.membership)
    for i, layer in enumerate(chunk.params):
        np.testing.assert_array_equal(stored[f"layer{i}"], layer)


def test_diverged_networks_are_named_and_left_out(sharded, tmp_path, monkeypatch):
    unsaved(monkeypatch)
    out = shutil.copytree(sharded[1], tmp_path / "copy", ignore=shutil.ignore_patterns("ranking.*"))
    arrays = {name: dict(np.load(parts(out)[name])) for name in ("networks-00000.npz", "networks-00001.npz")}
    arrays["networks-00000.npz"]["layer0"][3, 1, 2] = np.nan
    arrays["networks-00001.npz"]["layer1"][8, 0, 0] = 1e12
    for name, content in arrays.items():
        np.savez(parts(out)[name], **content)
    ranking = rank("modes", ["sign"], out=out, **MORE, **LAW, **LIRA)
    assert ranking.about["excluded"] == ["network 3", "network 40"]
    assert "Excluded because they diverged: network 3, network 40." in ranking.table()
    assert ranking.advantages.shape == (2, 62)


def test_too_few_that_converge(tmp_path):
    with pytest.raises(
        InvalidInput,
        match=r"but 32 of 32 diverged \(numbers 0, 1, 2, 3, 4, 5, 6, 7, …\); lower the learning rate",
    ):
        rank("breast-cancer", ["sign"], out=tmp_path, optimiser="sgd", learning_rate=1e9, **SMALL)


class Enough(Exception):
    pass


def folder_of(out, monkeypatch, *task, **options):
    """Name of the folder of a run that is stopped before it trains."""

    def stop(*_, **__):
        raise Enough

    monkeypatch.setattr(training, "train_chunk", stop)
    # Whether the network works says nothing on what is stored, and costs a compilation each.
    monkeypatch.setattr("mis.ranking.asked.check", lambda *_: None)
    with pytest.raises(Enough):
        rank(*task, out=out, **{**SMALL, **options})
    return {path.name for path in (out / "runs").iterdir()}


def test_another_spec_never_reuses(tmp_path, monkeypatch):
    base = folder_of(tmp_path, monkeypatch, "breast-cancer", ["sign"])
    assert len(base) == 1
    others = {
        "seed": 1,
        "pool": 41,
        "width": 5,
        "depth": 2,
        "activation_bits": 8,
        "num_steps": 25,
        "batch_size": 9,
        "optimiser": "momentum",
        "learning_rate": 0.0031,
        "weight_decay": 1e-6,
        "initialisation": "random",
    }
    # Whatever defines learner and networks is here, so that a new option cannot be forgotten.
    fields = {f.name for spec in (Learner, RankingSpec) for f in dataclasses.fields(spec)}
    fields |= set(MLP(input_shape=(1,)).options())
    # Releases decide the last three, which tests/ranking/test_releases.py tells apart.
    by_release = {"forward", "tuning"}
    assert fields == others.keys() | {"learner", "population", "model"} | by_release
    found = set(base)
    for i, (name, value) in enumerate(others.items(), start=2):
        found = folder_of(tmp_path, monkeypatch, "breast-cancer", ["sign"], **{name: value})
        assert len(found) == i, name
    # What is measured of the networks does not decide what they are.
    for name, value in (
        ("num_networks", 64),
        ("num_folds", 5),
        ("level", 0.9),
        ("quick", True),
        ("attacks", ["lira"]),
    ):
        assert folder_of(tmp_path, monkeypatch, "breast-cancer", ["full"], **{name: value}) == found


@pytest.mark.parametrize(
    "context",
    [
        lambda: jax.enable_x64(True),
        lambda: jax.threefry_partitionable(False),
        lambda: jax.default_matmul_precision("highest"),
    ],
)
def test_another_setting_of_jax_never_reuses(tmp_path, monkeypatch, context):
    base = folder_of(tmp_path, monkeypatch, "breast-cancer", ["sign"])
    with context():
        assert len(folder_of(tmp_path, monkeypatch, "breast-cancer", ["sign"])) == 2
    assert len(folder_of(tmp_path, monkeypatch, "breast-cancer", ["sign"]) - base) == 1


def test_jaxs_default_generator_changes_nothing():
    split = Modes(**LAW).split(0, 40).pool.features
    point = initial_points(0, np.arange(2), MLP(input_shape=(6,)), Learner())[0]
    with jax.default_prng_impl("rbg"):
        np.testing.assert_array_equal(Modes(**LAW).split(0, 40).pool.features, split)
        np.testing.assert_array_equal(
            initial_points(0, np.arange(2), MLP(input_shape=(6,)), Learner())[0], point
        )


def test_rows_of_other_code_are_computed_again(made, copy, monkeypatch):
    measured = []

    def again(published, release):
        measured.append(release.name)
        found = measure(published, release)
        return dataclasses.replace(found, row=dataclasses.replace(found.row, bits=99.0))

    monkeypatch.setattr(training, "train_chunk", None)
    monkeypatch.setattr(running, "measure", again)
    monkeypatch.setattr(running, "code", lambda: "another")
    ranking = rank("modes", ["sign"], out=copy, **SMALL, **LAW)
    assert sorted(measured) == ["full", "sign"]
    assert {row.bits for row in ranking} == {99.0}
    monkeypatch.undo()
    unsaved(monkeypatch)
    same(rank("modes", QUANTIZERS, out=copy, **SMALL, **LAW), made[0])


def test_networks_of_other_code_are_trained_again(tmp_path, monkeypatch):
    folder_of(tmp_path, monkeypatch, "breast-cancer", ["sign"])
    monkeypatch.setattr(training, "code", lambda *_: "another")
    assert len(folder_of(tmp_path, monkeypatch, "breast-cancer", ["sign"])) == 2


def test_a_quantizer_of_ones_own_never_meets_the_rows_of_a_namesake(copy):
    class Mine(Sign):
        def fit(self, weights):
            grid = super().fit(weights)
            return dataclasses.replace(grid, levels=2.0 * grid.levels)

    assert Mine().name == "sign"
    rows = {row.release: row for row in rank("modes", [Mine()], out=copy, **SMALL, **LAW)}
    theirs = {row.release: row for row in rank("modes", ["sign"], out=copy, **SMALL, **LAW)}
    assert rows["full"].advantage == theirs["full"].advantage
    assert rows["sign"].weight_error != theirs["sign"].weight_error


def test_one_content_is_one_run_wherever_it_lies(tmp_path, monkeypatch, rng):
    monkeypatch.chdir(tmp_path)
    features = rng.normal(size=(90, 5))
    arrays = {"features": features, "target": features[:, 0] + rng.normal(size=90)}
    np.savez("mine.npz", **arrays)
    np.savez_compressed("packed.npz", **arrays)
    (tmp_path / "copy.npz").write_bytes((tmp_path / "mine.npz").read_bytes())
    (tmp_path / "link.npz").symlink_to("mine.npz")
    names = ["mine.npz", "./mine.npz", "copy.npz", "link.npz", "packed.npz"]
    for path in [*names, tmp_path / "mine.npz", str(tmp_path / "mine.npz"), Path("mine.npz")]:
        assert len(folder_of(tmp_path / "out", monkeypatch, path, ["sign"])) == 1
    np.savez("mine.npz", **arrays | {"target": arrays["target"] + features[:, 1]})
    assert len(folder_of(tmp_path / "out", monkeypatch, "mine.npz", ["sign"])) == 2
    # Read otherwise, the same file is other data.
    np.savez("mine.npz", features=features, target=np.arange(90) % 12)
    with pytest.warns(
        InputWarning, match=r"mine\.npz: 12 classes in 90 examples\? If they are values: a regression"
    ):
        assert len(folder_of(tmp_path / "out", monkeypatch, "mine.npz", ["sign"])) == 3
    assert len(folder_of(tmp_path / "out", monkeypatch, "mine.npz", ["sign"], regression=True)) == 4


def test_a_ranking_in_the_way_is_known_before_training(made, tmp_path, monkeypatch):
    out = shutil.copytree(made[1], tmp_path / "copy")
    monkeypatch.setattr(training, "train_chunk", None)
    monkeypatch.setattr("mis.figures.save", lambda *_: None)
    before = {path: path.read_bytes() for path in out.glob("ranking.*")}
    for task, options in (
        ("modes", {**SMALL, **LAW, "quick": True, "num_networks": None}),
        ("modes", {**SMALL, **LAW, "seed": 1}),
        ("breast-cancer", SMALL),
    ):
        with pytest.raises(InvalidInput, match="expected out without the results of another ranking"):
            rank(task, QUANTIZERS, out=out, **options)
    with pytest.raises(InvalidInput, match=r"releases .*'ternary-90'"):
        rank("modes", ["sign"], out=out, **SMALL, **LAW)
    assert {path: path.read_bytes() for path in out.glob("ranking.*")} == before
    # The same once more, from what is stored, and another where it is asked for.
    same(rank("modes", QUANTIZERS, out=out, **SMALL, **LAW), made[0])
    rank("modes", ["sign"], out=out, replace=True, **SMALL, **LAW)
    assert json.loads((out / "ranking.json").read_text())["asked"]["releases"] == ["full", "sign"]
    with pytest.raises(InvalidInput, match=r"^Ranking\.save: expected out without"):
        dataclasses.replace(
            made[0], about={"task": "modes", "num_folds": 4, "level": 0.95, "within": 0.02}
        ).save(out)


def test_why_there_is_no_indicator(tmp_path, rng):
    path = tmp_path / "mine.npz"
    np.savez(path, features=rng.normal(size=(48, 3)), target=rng.normal(size=48))
    ranking = rank(path, ["sign"], **{**SMALL, "pool": 32}, attacks="lira")
    for row in ranking.rows:
        assert row.indicator is None
        assert row.missing["indicator"] == "16 examples say nothing; it takes at least 20"
        assert row.num_candidates > 1
    text = " ".join(ranking.table().split())
    assert "no indicator: 16 examples say nothing; it takes at least 20." in text
    assert "trained on n = 16 of a pool of 32 examples; 16 held out" in text


def test_another_population_never_reuses():
    base = Modes()
    others = {"num_modes": 9, "dim": 127, "separation": 4.1, "law_seed": 1, "num_heldout": 2047}
    assert {f.name for f in dataclasses.fields(Modes)} == others.keys()
    hashes = {
        fingerprint(RankingSpec(population=population, learner=Learner(), model=MLP(input_shape=(6,))))
        for population in (base, *(dataclasses.replace(base, **{k: v}) for k, v in others.items()))
    }
    assert len(hashes) == 6


def test_rows_of_other_measurements_are_kept_apart(made, copy):
    """Another level, other folds or attacks: the same networks, other rows."""
    before = parts(copy)
    for options in ({"level": 0.5}, {"num_folds": 5}, {"attacks": ["loss"]}):
        rank("modes", ["full"], out=copy, **{**SMALL, **options}, **LAW)
        found = parts(copy)
        assert len(found) == len(before) + 1
        assert all(name.startswith("row-full") for name in found.keys() - before.keys())
        before = found
    assert len({path.parent for path in before.values()}) == 1
    same(rank("modes", QUANTIZERS, out=copy, **SMALL, **LAW), made[0])


def test_sizes_by_default(monkeypatch):
    seen = []

    def stop(spec, *_, num_networks, **__):
        seen.append((num_networks, spec.pool, spec.learner.learning_rate))
        raise Enough

    monkeypatch.setattr(running, "train_or_load", stop)
    monkeypatch.setattr("mis.ranking.asked.check", lambda *_: None)
    for options in ({}, {"quick": True}, {"num_networks": 96, "quick": True}):
        with pytest.raises(Enough):
            rank("solubility", **options)
    with pytest.raises(Enough):
        rank("breast-cancer", pool=100)
    assert seen == [(512, 512, 1e-3), (64, 512, 1e-3), (96, 512, 1e-3), (512, 100, 3e-3)]


def test_a_users_regression_in_memory(tmp_path, rng):
    features = rng.normal(size=(48, 3))
    path = tmp_path / "mine.npz"
    np.savez(path, features=features, target=features[:, 0] + rng.normal(size=48))
    ranking = mis.rank(path.as_posix(), "full, full", **{**SMALL, "pool": 32}, attacks="lira,lira-loss")
    assert ranking.about["performance"] == "R2"
    assert ranking.about["task"] == "mine"
    assert [row.release for row in ranking] == ["full"]
    assert set(ranking["full"].attacks) == {"lira", "lira_loss"}
    assert "Only full precision was measured." in ranking.answer()
    assert list(tmp_path.iterdir()) == [path]
    # The content decides, not the name.
    digest = ranking.about["spec"]["population"]["digest"]
    np.savez(path, features=features, target=features[:, 1])
    with pytest.raises(InvalidInput, match=f"expected content of digest {digest}"):
        mis.rank(path.as_posix(), digest=digest)


BAD = [
    (("solubilty",), {}, InvalidInput, "name='solubilty'. Nearest: solubility"),
    (("digits", ["sgn"]), {}, InvalidInput, "sgn.*Nearest: sign"),
    (("digits", ["uniform-9"]), {}, InvalidInput, "bits"),
    (("digits", []), {}, InvalidInput, "at least one release, got none"),
    (("nowhere.npz",), {}, InvalidInput, "nowhere.npz: cannot be read"),
    (("digits",), {"num_networks": 31}, InvalidInput, "num_networks an integer >= 32, got num_networks=31"),
    (("digits",), {"num_networks": 0}, InvalidInput, "num_networks an integer >= 32, got num_networks=0"),
    (("digits",), {"num_folds": 2}, InvalidInput, "num_folds an integer in 3..8, got num_folds=2"),
    (("digits",), {"num_folds": 9}, InvalidInput, "num_folds an integer in 3..8, got num_folds=9"),
    (("digits",), {"level": 1.0}, InvalidInput, "level a finite number > 0 and < 1, got level=1.0"),
    (("digits",), {"level": 1 - 1e-10}, InvalidInput, "rank: expected level from 0.001 to 1 - 1e-09"),
    (("digits",), {"shard": (3, 2)}, InvalidInput, "shard an integer in 1..2, got shard=3"),
    (("digits",), {"shard": (1, 2), "fresh": True}, InvalidInput, "fresh without shard"),
    (("digits",), {"num_steps": 5}, InvalidInput, "num_steps an integer >= 6, got num_steps=5"),
    (
        ("digits",),
        {"learning_rate": -1.0},
        InvalidInput,
        "learning_rate a finite number > 0, got learning_rate=-1.0",
    ),
    (("digits",), {"optimiser": "adamm"}, InvalidInput, "Nearest: adam"),
    (("digits",), {"initialisation": "fix"}, InvalidInput, "Nearest: fixed"),
    (("digits",), {"width": 0}, InvalidInput, "width an integer in 1..16384, got width=0"),
    (("digits",), {"pool": 8}, InvalidInput, "pool an integer >= 16, got pool=8"),
    (("solubility",), {"pool": 9000}, InvalidInput, "pool at most 1025 on solubility, got pool=9000"),
    (("digits",), {"seed": -1}, InvalidInput, "seed an integer in 0..4294967295, got seed=-1"),
    (("modes",), {"separation": 0.0}, InvalidInput, "separation a finite number > 0"),
    (("modes",), {"seperation": 1.0}, InvalidInput, "Nearest: separation"),
    (("solubility",), {"num_modes": 3}, InvalidInput, "num_modes"),
    ((BreastCancer(),), {"num_modes": 3}, InvalidInput, "options within the population, got also num_modes"),
    (("modes",), {"num_heldout": 15}, InvalidInput, "at least 16 examples outside the pool, got 15"),
    (("digits",), {"attacks": ["lyra"]}, InvalidInput, "Nearest: lira"),
    (("digits",), {"attacks": []}, InvalidInput, "at least one attack, got none"),
    (
        ("solubility",),
        {"attacks": ["rmia"]},
        UnsupportedSetting,
        "attack rmia needs .*of classes; the task is a regression",
    ),
]


@pytest.mark.parametrize(("task", "options", "error", "message"), BAD, ids=lambda v: str(v)[:40])
def test_bad_input_before_anything_is_computed(task, options, error, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(training, "train_chunk", None)
    with pytest.raises(error, match=message):
        rank(*task, out=tmp_path / "out", **{"num_networks": 32, **options})
    assert not list(tmp_path.iterdir())


RNG = np.random.default_rng(5)
X, Y = RNG.normal(size=(60, 3)), RNG.normal(size=60)
BAD_FILES = [
    ({"features": np.where(X > 2, np.nan, X), "target": Y}, "features finite"),
    ({"features": X, "target": np.where(Y > 1, np.inf, Y)}, "target finite"),
    ({"features": X, "target": Y[:59]}, r"features.shape=\(60, 3\), target.shape=\(59,\)"),
    ({"features": X, "target": np.ones(60)}, "a target that varies, got 1 throughout"),
    ({"features": X, "target": np.ones(60, int)}, "at least 2 classes"),
    ({"features": X[:20], "target": Y[:20]}, "pool an integer >= 16, got pool=4"),
    ({"features": X}, "lacks target"),
    (b"PK\x03\x04 and then nothing", "damaged or truncated"),
    (b"x,y\n1,2\n", "another format"),
]


@pytest.mark.parametrize(("content", "message"), BAD_FILES, ids=lambda v: str(v)[:30])
def test_bad_files(content, message, tmp_path, monkeypatch):
    path = tmp_path / "mine.npz"
    if isinstance(content, bytes):
        path.write_bytes(content)
    else:
        np.savez(path, **content)
    monkeypatch.setattr(training, "train_chunk", None)
    with pytest.raises(InvalidInput, match=message):
        rank(path.as_posix(), num_networks=32, out=tmp_path / "out")
    assert list(tmp_path.iterdir()) == [path]


def test_an_out_that_cannot_be_written_is_known_before_training(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setattr(training, "train_chunk", None)
    with pytest.raises(InvalidInput, match=r"expected out a folder that can be written, got out='.*file"):
        rank("breast-cancer", ["sign"], out=tmp_path / "file", **SMALL)


def test_the_store_of_a_ranking_is_named_by_its_hash(made):
    ranking, out = made
    assert [path.name for path in (out / "runs").iterdir()] == [ranking.about["hash"]]
    assert Store(out / "runs" / ranking.about["hash"]).read("trajectories", ["layer0"])["layer0"].shape == (
        4,
        24,
        7,
        4,
    )


def test_local_asymptotics_where_they_apply():
    ranking = rank(
        "linear",
        ["sign", "stochastic-2"],
        dim=3,
        depth=0,
        learning_rate=0.03,
        num_steps=200,
        num_networks=32,
        pool=64,
        attacks="lira",
    )
    assert ranking.about["local"] == "applies"
    for row in ranking:
        assert 0.0 < row.local.lower < row.local.value < row.local.upper < 1.0
    by_name = {row.release: row.local.value for row in ranking}
    assert by_name["full"] > max(by_name["sign"], by_name["stochastic-2"])
    assert "  local: " in ranking.table()
    assert len(ranking.figure().axes[2].containers) == 2


def test_the_table_has_a_column_for_every_attack_that_was_asked_for(made):
    ranking, _ = made
    text = ranking.table()
    assert all(f"  {name}: " in text for name in (*ranking[0].attacks, "advantage"))
    assert "rmia" not in text
    other = rank("modes", ["sign"], attacks=["rmia", "loss"], **SMALL, **LAW)
    text = other.table()
    assert "  rmia: " in text
    assert "  loss: " in text
    assert not any(f"  {name}: " in text for name in ("lira", "lira_decoded", "whitebox"))
    assert "No agreement between orders: that takes 4 quantizers." in text


def test_full_precision_stopped_early_is_measured_if_asked_for(made, monkeypatch):
    unsaved(monkeypatch)
    ranking = rank("modes", ["sign"], early=True, attacks=["lira"], **SMALL, **LAW)
    stops = [(steps, stop.row) for steps, stop in ranking.stops]
    assert [steps for steps, _ in stops] == [6, 12, 24]
    # The last stop is no stop.
    assert stops[-1][1].advantage == ranking["full"].advantage
    for row in ranking:
        reached = [(steps, stop) for steps, stop in stops if stop.performance.value >= row.performance.value]
        assert 6 <= row.early_steps <= reached[0][0]
        assert row.early.value <= max(stop.advantage.value for _, stop in stops)
        assert (row.early.kind, row.early.level) == ("attack", 0.95)
    assert [stop["steps"] for stop in ranking.about["early_stops"]] == [6, 12, 24]
    assert "  early: " in ranking.table()
    assert "--early" not in ranking.answer()
    assert made[0]["sign"].early is None
    assert "no early: measured with --early." in made[0].table()


def test_where_linear_attacks_would_end(made):
    ranking = rank(
        "linear", ["sign"], dim=3, attacks="lira", **{**SMALL, "num_networks": 64, "pool": 32, "width": 2}
    )
    for row in ranking:
        assert 0.0 <= row.limit.lower <= row.limit.value <= row.limit.upper < 1.0
    assert ranking[-1].limit.upper > 0.1
    assert "  limit: " in ranking.table()
    # With more weights that move than networks it cannot be told.
    assert made[0]["full"].limit is None
    assert made[0]["ternary-90"].limit is not None
    assert "  no limit of " in made[0].table()
    assert "it takes more networks than there are weights that move" in " ".join(made[0].table().split())


def test_local_asymptotics_where_they_do_not(made):
    ranking, _ = made
    assert "hidden layers" in ranking.about["local"]
    assert all(row.local is None for row in ranking)
    assert "  local: " not in ranking.table()
    assert "  no local: a network with hidden layers" in ranking.table()


def test_controls_stand_beside_what_they_control():
    names = ["sign", "stochastic-3", "qat:uniform-3", "sign/uniform-2"]
    assert [one.name for one in asked.releases_of(names, controls=True)] == [
        "full",
        *names,
        "noise-like-sign",
    ]
    with pytest.raises(InvalidInput, match=r"rank: expected at_most in \[0, 1\], got at_most=1.5"):
        rank("digits", ["sign"], at_most=1.5)
