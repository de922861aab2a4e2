"""Whole rankings, tiny ones: what is reused, what is not, and what is written."""

import csv
import dataclasses
import json
import shutil

import numpy as np
import pytest
from scipy import stats

import mis
from mis.numerics.checks import InvalidInput, UnsupportedSetting
from mis.populations import BreastCancer, Modes
from mis.ranking import ShardsMissing, rank
from mis.ranking import obtain as obtaining
from mis.ranking import run as running
from mis.ranking.spec import RankingSpec
from mis.store import Store, fingerprint
from mis.training import CHUNK, Learner, train_chunk

SMALL = {"models": 32, "steps": 24, "batch": 8, "pool": 40, "width": 4, "folds": 4}
LAW = {"num_modes": 3, "dim": 6, "num_heldout": 64}
QUANTIZERS = ["sign", "ternary-90", "uniform-2"]

# Columns that readers of the file rely on, in this order.
FIRST = [
    "quantizer",
    "bits",
    "zeros",
    "performance",
    "performance_lower",
    "performance_upper",
    "train_performance",
    "indicator",
    "indicator_lower",
    "indicator_upper",
    "num_candidates",
    "retained",
    "retained_lower",
    "retained_upper",
    "retained_ensemble",
    "predicted",
    "weight_error",
    "code_entropy",
    "lira",
    "whitebox",
    "advantage",
    "advantage_lower",
    "advantage_upper",
    "tpr_at_fpr_01",
]


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """One ranking, and the folder it was saved in."""
    out = tmp_path_factory.mktemp("ranking")
    return rank("modes", QUANTIZERS, out=out, **SMALL, **LAW), out


def unsaved(monkeypatch):
    """Figures and tables take longer than a tiny ranking."""
    monkeypatch.setattr(running.Ranking, "save", lambda *_: None)


@pytest.fixture
def copy(made, tmp_path, monkeypatch):
    """The folder again, free to be spoiled."""
    unsaved(monkeypatch)
    return shutil.copytree(made[1], tmp_path / "copy")


def parts(out):
    return {path.name: path for path in sorted((out / "runs").glob("*/*.npz"))}


def same(one, other):
    assert one.rows == other.rows
    np.testing.assert_array_equal(one.advantages, other.advantages)


def test_files_say_what_the_ranking_says(made):
    ranking, out = made
    with open(out / "ranking.csv", newline="") as file:
        reader = csv.DictReader(file)
        rows = list(reader)
    assert reader.fieldnames[: len(FIRST)] == FIRST
    assert [row["quantizer"] for row in rows] == [row["quantizer"] for row in ranking.rows]
    for row, values in zip(rows, ranking.rows, strict=True):
        assert {k for k, v in row.items() if v != ""} == {k for k, v in values.items() if v not in (None, "")}
        for name in FIRST[1:]:
            assert float(row[name]) == values[name]
    document = json.loads((out / "ranking.json").read_text())
    assert document["rows"] == ranking.rows
    assert document["agreement"] == json.loads(json.dumps(ranking.agreement()))
    assert {"task", "models", "versions", "device", "seconds", "hash", "excluded"} <= set(document)
    assert document["spec"]["population"] == {"name": "modes", **dataclasses.asdict(Modes(**LAW))}
    assert document["spec"]["learner"] == dataclasses.asdict(Learner(rate=3e-3, steps=24, batch=8))
    assert {k: document["spec"][k] for k in ("pool", "width", "depth", "seed")} == {
        "pool": 40,
        "width": 4,
        "depth": 1,
        "seed": 0,
    }
    assert (out / "ranking.pdf").read_bytes().startswith(b"%PDF")
    assert (out / "ranking.png").read_bytes().startswith(b"\x89PNG")
    assert "<svg" in (out / "ranking.svg").read_text(encoding="utf-8")
    assert "on modes: 4 releases" in (out / "ranking.txt").read_text(encoding="utf-8")
    assert not list(out.glob(".*"))


def test_most_private_first(made):
    ranking, _ = made
    assert sorted(row["quantizer"] for row in ranking.rows) == sorted(["full", *QUANTIZERS])
    advantages = [row["advantage"] for row in ranking.rows]
    assert advantages == sorted(advantages)
    np.testing.assert_allclose(ranking.advantages.mean(axis=1), advantages, rtol=1e-12)


def test_a_prediction_holds_at_the_level_of_both_its_arguments(made):
    # Of full precision the share is known to be one: the interval is that of the advantage, at half the error.
    ranking, _ = made
    row = next(row for row in ranking.rows if row["quantizer"] == "full")
    errors = [row[f"{name}_upper"] - row[name] for name in ("predicted", "advantage")]
    folds = SMALL["folds"] - 1
    assert errors[0] / errors[1] == pytest.approx(
        stats.t.isf(0.0125, folds) / stats.t.isf(0.025, folds), rel=1e-6
    )


def test_rows_hang_together(made):
    rows = {row["quantizer"]: row for row in made[0].rows}
    for row in rows.values():
        for name in ("performance", "indicator", "retained", "predicted", "lira", "whitebox", "advantage"):
            assert row[f"{name}_lower"] <= row[name] <= row[f"{name}_upper"]
        assert row["predicted"] <= rows["full"]["advantage"] + 1e-12
        assert 0.0 <= row["fpr_realised"] < 0.05
    assert rows["full"]["retained"] == rows["full"]["retained_ensemble"] == 1.0
    assert rows["full"]["predicted"] == pytest.approx(rows["full"]["advantage"], rel=1e-9, abs=0)
    assert rows["full"]["weight_error"] == 0.0
    assert rows["ternary-90"]["zeros"] == pytest.approx(0.9, abs=0.03)
    assert rows["full"]["advantage"] > 0.1
    # Some attack's column is the strongest's, fold by fold, so on the whole no attack is far above it.
    assert rows["full"]["advantage"] >= max(rows["full"][a] for a in ("lira", "whitebox")) - 0.05


def test_table_names_everything(made):
    ranking, _ = made
    printed = ranking.table()
    for row in ranking.rows:
        assert row["quantizer"] in printed
        assert f"{row['advantage']:.3f}" in printed
    assert "32 networks" in printed
    assert "Kendall tau" in printed


def test_a_second_call_computes_nothing(made, copy, monkeypatch):
    monkeypatch.setattr(obtaining, "train_chunk", None)
    monkeypatch.setattr(running, "measure", None)
    same(rank("modes", QUANTIZERS, out=copy, **SMALL, **LAW), made[0])
    # Another choice of the same quantizers, in any order, is a part of the same results.
    some = rank("modes", ["uniform-2"], out=copy, **SMALL, **LAW)
    assert [row["advantage"] for row in some.rows] == [
        row["advantage"] for row in made[0].rows if row["quantizer"] in ("full", "uniform-2")
    ]


def test_results_are_read_back(copy):
    """The other side of resuming: what lies there is what is reported."""
    name = next(name for name in parts(copy) if name.startswith("row-sign"))
    stored = dict(np.load(parts(copy)[name]))
    row = {**json.loads(str(stored["row"])), "advantage": 0.99}
    np.savez(parts(copy)[name], row=np.array(json.dumps(row)), advantage=stored["advantage"])
    assert rank("modes", QUANTIZERS, out=copy, **SMALL, **LAW).rows[-1]["quantizer"] == "sign"


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
MORE = {**SMALL, "models": 64}


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
    model = RankingSpec(population=Modes(**LAW), learner=Learner(), pool=40, width=4).model
    chunk = train_chunk(
        model,
        Learner(rate=3e-3, steps=24, batch=8),
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
    out = shutil.copytree(sharded[1], tmp_path / "copy")
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
        InvalidInput, match=r"but 32 of 32 diverged \(numbers 0, 1, 2, 3, 4, 5, 6, 7, …\); lower the rate"
    ):
        rank("breast-cancer", ["sign"], out=tmp_path, optimiser="sgd", rate=1e9, **SMALL)


class Enough(Exception):
    pass


def folder_of(out, monkeypatch, *task, **options):
    """Name of the folder of a run that is stopped before it trains."""

    def stop(*_, **__):
        raise Enough

    monkeypatch.setattr(obtaining, "train_chunk", stop)
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
        "steps": 25,
        "batch": 9,
        "optimiser": "momentum",
        "rate": 0.0031,
        "weight_decay": 1e-6,
        "initialisation": "random",
    }
    # Whatever defines learner and networks is here, so that a new option cannot be forgotten.
    fields = {f.name for spec in (Learner, RankingSpec) for f in dataclasses.fields(spec)}
    assert fields == others.keys() | {"learner", "population"}
    found = set(base)
    for i, (name, value) in enumerate(others.items(), start=2):
        found = folder_of(tmp_path, monkeypatch, "breast-cancer", ["sign"], **{name: value})
        assert len(found) == i, name
    # What is measured of the networks does not decide what they are.
    for name, value in (("models", 64), ("folds", 5), ("level", 0.9), ("quick", True), ("attacks", ["lira"])):
        assert folder_of(tmp_path, monkeypatch, "breast-cancer", ["full"], **{name: value}) == found


def test_another_population_never_reuses():
    base = Modes()
    others = {"num_modes": 9, "dim": 127, "separation": 4.1, "law_seed": 1, "num_heldout": 2047}
    assert {f.name for f in dataclasses.fields(Modes)} == others.keys()
    hashes = {
        fingerprint(RankingSpec(population=population, learner=Learner()))
        for population in (base, *(dataclasses.replace(base, **{k: v}) for k, v in others.items()))
    }
    assert len(hashes) == 6


def test_rows_of_other_measurements_are_kept_apart(made, copy):
    """Another level, other folds or attacks: the same networks, other rows."""
    before = parts(copy)
    for options in ({"level": 0.5}, {"folds": 5}, {"attacks": ["loss"]}):
        rank("modes", ["full"], out=copy, **{**SMALL, **options}, **LAW)
        found = parts(copy)
        assert len(found) == len(before) + 1
        assert all(name.startswith("row-full") for name in found.keys() - before.keys())
        before = found
    assert len({path.parent for path in before.values()}) == 1
    same(rank("modes", QUANTIZERS, out=copy, **SMALL, **LAW), made[0])


def test_sizes_by_default(monkeypatch):
    seen = []

    def stop(spec, *_, models, **__):
        seen.append((models, spec.pool, spec.learner.rate))
        raise Enough

    monkeypatch.setattr(running, "obtain", stop)
    for options in ({}, {"quick": True}, {"models": 96, "quick": True}):
        with pytest.raises(Enough):
            rank("solubility", **options)
    with pytest.raises(Enough):
        rank("breast-cancer", pool=100)
    assert seen == [(512, 512, 1e-3), (64, 512, 1e-3), (96, 512, 1e-3), (512, 100, 3e-3)]


def test_a_users_regression_in_memory(tmp_path, rng):
    features = rng.normal(size=(90, 5))
    path = tmp_path / "mine.npz"
    np.savez(path, features=features, target=features[:, 0] + rng.normal(size=90))
    ranking = mis.rank(path.as_posix(), "full, full", **SMALL, attacks="lira,lira-loss")
    assert ranking.about["performance"] == "R2"
    assert ranking.about["task"] == "mine"
    assert [row["quantizer"] for row in ranking.rows] == ["full"]
    assert all(np.isfinite(row["lira_loss"]) for row in ranking.rows)
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
    (("digits", []), {}, InvalidInput, "at least one quantizer, got none"),
    (("nowhere.npz",), {}, InvalidInput, "nowhere.npz: cannot be read"),
    (("digits",), {"models": 31}, InvalidInput, "models an integer >= 32, got models=31"),
    (("digits",), {"models": 0}, InvalidInput, "models an integer >= 32, got models=0"),
    (("digits",), {"folds": 2}, InvalidInput, "folds an integer in 3..8, got folds=2"),
    (("digits",), {"folds": 9}, InvalidInput, "folds an integer in 3..8, got folds=9"),
    (("digits",), {"level": 1.0}, InvalidInput, "level a finite number > 0 and < 1, got level=1.0"),
    (("digits",), {"shard": (3, 2)}, InvalidInput, "shard an integer in 1..2, got shard=3"),
    (("digits",), {"shard": (1, 2), "fresh": True}, InvalidInput, "fresh without shard"),
    (("digits",), {"steps": 5}, InvalidInput, "steps an integer >= 6, got steps=5"),
    (("digits",), {"rate": -1.0}, InvalidInput, "rate a finite number > 0, got rate=-1.0"),
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
    (("solubility",), {"attacks": ["rmia"]}, UnsupportedSetting, "rmia compares probabilities of classes"),
]


@pytest.mark.parametrize(("task", "options", "error", "message"), BAD, ids=lambda v: str(v)[:40])
def test_bad_input_before_anything_is_computed(task, options, error, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(obtaining, "train_chunk", None)
    with pytest.raises(error, match=message):
        rank(*task, out=tmp_path / "out", **{"models": 32, **options})
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
    monkeypatch.setattr(obtaining, "train_chunk", None)
    with pytest.raises(InvalidInput, match=message):
        rank(path.as_posix(), models=32, out=tmp_path / "out")
    assert list(tmp_path.iterdir()) == [path]


def test_an_out_that_cannot_be_written_is_known_before_training(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setattr(obtaining, "train_chunk", None)
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
        "linear", ["sign", "stochastic-2"], dim=6, depth=0, rate=0.02, steps=300, models=32, pool=128
    )
    assert ranking.about["local"] == "applies"
    for row in ranking.rows:
        assert 0.0 < row["local_lower"] < row["local"] < row["local_upper"] < 1.0
    by_name = {row["quantizer"]: row["local"] for row in ranking.rows}
    assert by_name["full"] > max(by_name["sign"], by_name["stochastic-2"])
    assert " local " in ranking.table()
    assert len(ranking.figure().axes[2].containers) == 2


def test_the_table_has_a_column_for_every_attack_that_was_asked_for(made):
    ranking, _ = made
    text = ranking.table()
    assert all(f" {title} " in text for title in ("LiRA", "decoded", "white box", "joined", "advantage"))
    assert " RMIA " not in text
    other = rank("modes", ["sign"], attacks=["rmia", "loss"], **SMALL, **LAW)
    text = other.table()
    assert " RMIA " in text
    assert " loss " in text
    assert not any(title in text for title in ("LiRA", "decoded", "white box"))
    assert "No agreement between orders: that takes 4 quantizers." in text


def test_where_linear_attacks_would_end(made):
    ranking = rank("linear", ["sign"], dim=3, width=2, steps=100, models=64, pool=64)
    for row in ranking.rows:
        assert 0.0 <= row["limit_lower"] <= row["limit"] <= row["limit_upper"] < 1.0
    assert ranking.rows[-1]["limit_upper"] > 0.1
    assert " limit " in ranking.table()
    # With more weights that move than networks it cannot be told.
    told = {row["quantizer"]: row["limit"] is not None for row in made[0].rows}
    assert not told["full"]
    assert told["ternary-90"]


def test_local_asymptotics_where_they_do_not(made):
    ranking, _ = made
    assert "hidden layers" in ranking.about["local"]
    assert all(row["local"] is None for row in ranking.rows)
    assert " local " not in ranking.table()
