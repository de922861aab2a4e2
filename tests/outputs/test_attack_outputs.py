"""Attacks on the outputs of networks: what is found, nothing where there is nothing, and every bad file refused."""

import csv
import json
import re
import zipfile

import numpy as np
import pytest
from scipy.special import softmax
from scipy.stats import norm

from mis.attacks import RMIA, LiRA, LossThreshold, QuantileRegression, audit, load, statistics
from mis.attacks.trained import Trained
from mis.cli import main
from mis.numerics.checks import InputWarning, InvalidInput, UnsupportedSetting
from mis.outputs import arrays, attack, read_outputs
from mis.outputs.folds import make_plan
from mis.outputs.saving import keeping
from mis.outputs.serve import OF_ALL, OF_CLASSES, choose, served, unserved
from mis.outputs.strongest import Groups, decide, strongest


def simulated(rng, networks=24, records=120, classes=3, shift=1.5, membership=None):
    """Logits that know their members by ``shift``; a difficulty of each record that all networks share."""
    labels = rng.integers(classes, size=records)
    if membership is None:
        membership = rng.random((networks, records)) < 0.5
    truth = rng.normal(size=records) + shift * membership
    logits = rng.normal(size=(networks, records, classes)) + truth[..., None] * np.eye(classes)[labels]
    return {"logits": logits, "labels": labels, "membership": membership}


@pytest.fixture
def given(rng):
    return simulated(rng)


def saved(path, **given):
    np.savez(path, **given)
    return path


def kept(path, attacks, **options):
    """Return the result and everything that is kept, by name."""
    found = {}
    result = attack(path, attacks, keep=lambda name, values: found.update({name: values}), **options)
    return result, found


def test_each_fold_is_attacked_by_the_others_and_never_by_its_own(given, tmp_path):
    """Scores against the attacks themselves, called fold by fold."""
    path = saved(tmp_path / "o.npz", **given)
    result, found = kept(path, "lira,rmia,loss,trained", num_folds=4)
    folds, members, labels = np.arange(24) % 4, given["membership"], given["labels"]
    np.testing.assert_array_equal(found["folds"], folds)
    odds = statistics.logit_confidence(given["logits"], labels)
    losses = np.logaddexp(0, -odds)
    expected = {name: np.empty_like(odds) for name in ("lira", "rmia", "trained")}
    assert found["scored"].all()
    for k in range(4):
        shadow, target = folds != k, folds == k
        sides = {"shadow_membership": members[shadow]}
        expected["lira"][target] = LiRA().scores(
            shadow_scores=odds[shadow], target_scores=odds[target], **sides
        )
        probabilities = np.exp(-losses)
        expected["rmia"][target] = RMIA().scores(
            target_probabilities=probabilities[target], population_target=probabilities[target],
            shadow_probabilities=probabilities[shadow], population_shadow=probabilities[shadow],
            population_membership=sides["shadow_membership"], **sides,
        )  # fmt: skip
        expected["trained"][target] = Trained().scores(
            shadow_logits=given["logits"][shadow], target_logits=given["logits"][target], **{
                "shadow_membership": members[shadow]})  # fmt: skip
    for name, scores in expected.items():
        # A record ties with itself in RMIA's population, up to a rounding: half a rank.
        ranks = 0.5 / 120 if name == "rmia" else 0.0
        np.testing.assert_allclose(found[name], scores, rtol=1e-9, atol=ranks + 1e-9)
    np.testing.assert_allclose(found["loss"], LossThreshold().scores(target_losses=losses), rtol=1e-12)
    # Fitted attacks have the folds as units, others the networks.
    assert result["lira"].auc == audit(scores=found["lira"], membership=members, folds=folds).auc
    assert result["loss"].auc == audit(scores=found["loss"], membership=members).auc


def test_networks_of_a_fold_do_not_influence_each_other(given, tmp_path):
    """The outputs of one network change: the scores of its fold's others stay, those it is a shadow of change."""
    _, before = kept(saved(tmp_path / "o.npz", **given), "lira", num_folds=4)
    given["logits"][4] += np.random.default_rng(1).normal(size=given["logits"][4].shape)
    _, after = kept(saved(tmp_path / "p.npz", **given), "lira", num_folds=4)
    same = [np.array_equal(a, b) for a, b in zip(before["lira"], after["lira"], strict=True)]
    assert [i for i, x in enumerate(same) if x] == [0, 8, 12, 16, 20]


def test_every_attack_that_outputs_serve_finds_the_members(given, tmp_path):
    result = attack(saved(tmp_path / "o.npz", **given))
    assert {row.attack for row in result.rows} == set(served(OF_ALL | OF_CLASSES))
    # Of a shift of 1.5 in one of three logits with unit noise about half is found.
    assert result["lira"].advantage.lower > 0.15
    assert all(row.auc.lower > 0.5 for row in result.rows)
    assert result.strongest.lower > 0.15
    assert set(result.left_out) == set(unserved(OF_ALL | OF_CLASSES))
    assert "quantile_regression" in result.table()


def test_one_content_in_every_form(given, tmp_path):
    """Compressed, a folder, half the precision of labels, probabilities: one answer."""
    expected = attack(saved(tmp_path / "o.npz", **given), "lira,rmia,gap")
    np.savez_compressed(tmp_path / "c.npz", **given)
    folder = tmp_path / "folder"
    folder.mkdir()
    for name, values in given.items():
        np.save(folder / f"{name}.npy", values.astype(np.int8) if name != "logits" else values)
    for path in (tmp_path / "c.npz", folder):
        found = attack(path, "lira,rmia,gap")
        assert [row.advantage for row in found.rows] == [row.advantage for row in expected.rows]
    probabilities = softmax(given.pop("logits"), axis=-1)
    found = attack(saved(tmp_path / "p.npz", probabilities=probabilities, **given), "lira,rmia,gap")
    for row in expected.rows:
        # Half a rank of 120 where RMIA compares a record with itself.
        np.testing.assert_allclose(found[row.attack].auc.value, row.auc.value, atol=1e-3)


def test_blocks_of_any_size_are_one_answer(given, tmp_path, monkeypatch):
    path = saved(tmp_path / "o.npz", **given)
    expected = kept(path, "lira,entropy,trained")[1]
    monkeypatch.setattr(arrays, "BLOCK", 100)
    found = kept(path, "lira,entropy,trained")[1]
    for name, values in found.items():
        if values.dtype.kind == "U":
            assert values.tolist() == expected[name].tolist()
            continue
        np.testing.assert_allclose(values, expected[name], rtol=1e-12, atol=1e-12)


def test_a_regression(rng, tmp_path):
    membership = rng.random((18, 100)) < 0.5
    targets = rng.normal(size=100)
    predictions = targets + rng.normal(size=(18, 100)) * np.where(membership, 0.3, 1.0)
    path = saved(tmp_path / "r.npz", predictions=predictions, targets=targets, membership=membership)
    result = attack(path)
    assert {row.attack for row in result.rows} == set(served(OF_ALL))
    # |N(0, .3)| against |N(0, 1)| at the best threshold: .50.
    cut = np.sqrt(2 * np.log(1 / 0.3) / (1 / 0.09 - 1))
    truth = 2 * (norm.cdf(cut / 0.3) - norm.cdf(cut))
    assert result["loss"].advantage.lower < truth < result["loss"].advantage.upper
    with pytest.raises(
        UnsupportedSetting, match=r"rmia needs target_probabilities, .*, which predictions do not tell"
    ):
        attack(path, "rmia")


def test_shadows_apart_and_targets_of_unknown_membership(given, tmp_path):
    logits, membership, labels = given["logits"], given["membership"], given["labels"]
    apart = {"shadow_logits": logits[6:], "shadow_membership": membership[6:], "target_logits": logits[:6]}
    result, found = kept(
        saved(tmp_path / "a.npz", **apart, target_membership=membership[:6], labels=labels), "lira"
    )
    odds = statistics.logit_confidence(logits, labels)
    expected = LiRA().scores(shadow_scores=odds[6:], shadow_membership=membership[6:], target_scores=odds[:6])
    np.testing.assert_allclose(found["lira"], expected, rtol=1e-12, atol=1e-12)
    assert result["lira"].num_folds == 0
    assert len(result.risks["id"]) > 60
    result, unknown = kept(saved(tmp_path / "u.npz", **apart, labels=labels), "lira")
    np.testing.assert_array_equal(unknown["lira"], found["lira"])
    assert (result.rows, result.strongest) == ([], None)
    assert "scores only" in result.table()
    # One target needs no axis of its own; its records are the units.
    one = apart | {"target_logits": logits[0], "target_membership": membership[0], "labels": labels}
    result, single = kept(saved(tmp_path / "s.npz", **one), "lira,loss")
    np.testing.assert_allclose(single["lira"], expected[:1], rtol=1e-12, atol=1e-12)
    assert result.strongest.lower < result["lira"].advantage.value < result.strongest.upper
    assert result.risks == {}


def test_a_network_of_unknown_membership_among_others(given, tmp_path):
    """It is attacked by all the others, is no shadow, and is in no rate."""
    known = {**given, "logits": given["logits"][1:], "membership": given["membership"][1:]}
    expected = attack(saved(tmp_path / "k.npz", **known), "lira")
    membership = given["membership"].astype(float)
    membership[0] = np.nan
    # The known ones first, so that folds are the same.
    order = np.roll(np.arange(24), -1)
    path = saved(
        tmp_path / "u.npz",
        logits=given["logits"][order],
        membership=membership[order],
        labels=given["labels"],
    )
    result, found = kept(path, "lira")
    assert result["lira"].auc == expected["lira"].auc
    assert found["lira"].shape[0] == 24
    assert np.isfinite(found["lira"]).all()
    np.testing.assert_array_equal(found["known"], np.arange(24) < 23)


def columns_balanced(rng, networks, records):
    """Each record in exactly half of the networks."""
    return np.stack([rng.permutation(networks) < networks // 2 for _ in range(records)], axis=1)


def test_numbers_of_shadows_tell_nothing(rng, tmp_path):
    """With each record in half of the networks fewer shadows mean a member; thinned, there are as many for all."""
    balanced = columns_balanced(rng, 16, 400)
    outputs = read_outputs(saved(tmp_path / "b.npz", **simulated(rng, 16, 400, membership=balanced)))
    plan = make_plan(outputs, 8, rng)
    assert plan.thinned is not None
    for pair in plan.pairs:
        members = pair.of_shadows(balanced)
        assert members.shape[1] == pair.records.sum() > 350
        assert (members[: plan.thinned[0]]).all()
        assert not members[plan.thinned[0] :].any()
        assert set(np.unique(pair.kept)) <= set(pair.shadows)
        for record in range(5):
            assert len(set(pair.kept[:, record])) == len(pair.kept)
    free = read_outputs(saved(tmp_path / "f.npz", **simulated(rng, 16, 400)))
    assert make_plan(free, 8, rng).thinned is None


def test_records_without_shadows_of_both_kinds_are_left_out(given, tmp_path):
    """Of each network by itself, by its shadows alone: whether it was trained on the record plays no part."""
    given["membership"][:, 0] = True
    given["membership"][:, 1] = np.arange(24) == 3
    path = saved(tmp_path / "o.npz", **given, ids=[f"r{i}" for i in range(120)])
    result, found = kept(path, "lira,loss")
    left_out = np.zeros((24, 120), bool)
    left_out[:, 0] = True
    # Network 3 is in fold 3 of 8.
    left_out[3::8, 1] = True
    np.testing.assert_array_equal(found["scored"], ~left_out)
    assert (found["lira"][left_out] == 0).all()
    assert "27 of 2880 pairs of a network and a record are left out" in result.table()
    assert {"r0", "r1"}.isdisjoint(result.risks["id"])
    expected = audit(scores=found["loss"], membership=given["membership"], scored=~left_out)
    assert result["loss"].advantage == expected.advantage
    assert kept(path, "loss")[1]["scored"].all()


def test_few_networks(rng, tmp_path):
    """Eight drawn at random keep nearly all pairs; four have no two shadows of a kind, three serve RMIA."""
    outputs = read_outputs(saved(tmp_path / "e.npz", **simulated(rng, 8, 2000)))
    plan = make_plan(outputs, 8, rng)
    assert plan.thinned is None
    # A record is left out where the seven others all have it or none: 2 of 128 times.
    assert abs((~plan.attacked).mean() - 1 / 64) < 5 * np.sqrt(1 / 64 / 2000)
    result = attack(saved(tmp_path / "t.npz", **simulated(rng, 3, 60)))
    assert {"rmia", "calibrated_loss", "loss"} < {row.attack for row in result.rows}
    assert "no example has two 'in' shadow models" in result.left_out["lira"]


def test_shadows_trained_on_none_of_the_records(given, tmp_path):
    """What needs no others is served: LiRA and RMIA offline, calibrated losses."""
    given = {
        "shadow_logits": given["logits"][6:], "shadow_membership": np.zeros((18, 120), bool),
        "target_logits": given["logits"][:6], "target_membership": given["membership"][:6], "labels": given["labels"],
    }  # fmt: skip
    result = attack(saved(tmp_path / "n.npz", **given))
    assert {"lira_offline", "bavaria_offline", "rmia_offline", "calibrated_loss"} < {
        x.attack for x in result.rows
    }
    assert {"lira", "bavaria", "rmia", "trained"} < set(result.left_out)


def test_the_same_half_for_every_network_is_one_draw(rng, tmp_path):
    """No shadow differs in what it was trained on; the networks do not repeat the game, and that is said."""
    membership = np.tile(rng.random(60) < 0.5, (6, 1))
    path = saved(tmp_path / "t.npz", **simulated(rng, 6, 60, shift=0.0, membership=membership))
    result = attack(path)
    assert "share members more than by chance" in result.table()
    assert "records that some were trained on and some not" in result.left_out["lira"]
    assert result.strongest.lower < 0 < result.strongest.upper


@pytest.mark.parametrize("design", ["known", "some unknown", "one target"])
def test_audit_reads_what_attack_writes(design, given, tmp_path, capsys):
    """The same intervals, attack by attack; which is asked for by name."""
    logits, membership = given["logits"], given["membership"].astype(float)
    membership[:, 1] = np.arange(24) == 3
    if design == "some unknown":
        membership[2] = np.nan
    given = given | {"membership": membership, "ids": np.array([f"r{i}" for i in range(120)])}
    if design == "one target":
        sides = {"shadow_logits": logits[1:], "shadow_membership": membership[1:]}
        sides |= {"target_logits": logits[:1], "target_membership": membership[:1]}
        given = {"labels": given["labels"], "ids": given["ids"]} | sides
    path, scores = saved(tmp_path / "o.npz", **given), tmp_path / "scores.npz"
    with keeping(tmp_path) as keep:
        result = attack(path, "lira,loss", keep=keep)
    for row in result.rows:
        found = audit(**load(scores, row.attack))
        assert (found.advantage, found.auc, found.epsilon_lower) == (
            row.advantage,
            row.auc,
            row.epsilon_lower,
        )
    if design != "known":
        return
    main(["audit", str(scores), "--attack", "lira"])
    assert f"{result['lira'].advantage.lower:.4f}" in capsys.readouterr().out
    for asked, message in (
        ([], "expected --attack, which of lira, loss"),
        (["--attack", "rmia"], "one of lira, loss"),
    ):
        with pytest.raises(SystemExit) as stop:
            main(["audit", str(scores), *asked])
        assert stop.value.code == 2
        assert message in capsys.readouterr().err.replace("\n", " ")


def test_the_strongest_is_chosen_on_other_networks(given, tmp_path):
    result = attack(saved(tmp_path / "o.npz", **given), "lira,loss,gap", num_folds=4)
    assert len(result.chosen) == 4
    best = max(row.advantage.value for row in result.rows)
    assert abs(result.strongest.value - best) < 0.05
    assert result.strongest.lower < result.strongest.value < result.strongest.upper


def test_no_group_has_a_say_in_what_decides_about_it(rng):
    """Perfect on group 0 alone, an attack is chosen for all others and not for it; its threshold is the others'."""
    membership = rng.random((8, 200)) < 0.5
    groups = Groups.deal(8, 200, 4, rng)
    of_0 = groups.codes == 0
    weak = rng.normal(size=(8, 200)) + membership
    lucky = np.where(of_0, 9.0 * membership, rng.normal(size=(8, 200)))
    decided = {
        name: decide(audit(scores=scores, membership=membership), scores, groups)
        for name, scores in {"weak": weak, "lucky": lucky}.items()
    }
    assert decided["lucky"].reached[0] < decided["weak"].reached[0]
    assert decided["lucky"].reached[1:].min() > decided["lucky"].reached[0] + 0.2
    chosen, called = strongest(decided, groups)
    assert chosen[0] == "weak"
    np.testing.assert_array_equal(called[[0, 4]], decided["weak"].called[[0, 4]])
    # Its own scores, moved beyond any threshold of the others, do not move it.
    moved = weak + 100.0 * of_0
    again = decide(audit(scores=moved, membership=membership), moved, groups)
    assert again.called[[0, 4]].all()


def test_under_shuffled_membership_nothing_is_found(rng, tmp_path):
    """Outputs that know nothing: in designs of both kinds, with few networks too."""
    misses, trials = 0, 0
    for networks, design in ((12, None), (12, columns_balanced), (24, columns_balanced)):
        membership = None if design is None else design(rng, networks, 300)
        given = simulated(rng, networks, 300, shift=0.0, membership=membership)
        result = attack(saved(tmp_path / "n.npz", **given), "lira,lira_pooled,rmia,loss,trained")
        intervals = [row.auc for row in result.rows]
        misses += sum(x.lower > 0.5 or x.upper < 0.5 for x in intervals)
        misses += result.strongest.lower > 0
        trials += len(intervals) + 1
        assert not (result.risks["advantage_lower"] > 0).any()
    assert misses <= 0.05 * trials + 5 * np.sqrt(0.05 * 0.95 * trials) / 2


@pytest.mark.slow
@pytest.mark.parametrize("balanced", [False, True])
def test_intervals_cover_over_repetitions(rng, tmp_path, balanced):
    """Repeating all of it on one pool: the mean over repetitions lies in .95 of the intervals, or more.

    Among them the null: no AUC interval leaves 1/2 too often.
    """
    repetitions, networks, records = 60, 16, 200
    for shift in (0.0, 1.0):
        found = []
        for _ in range(repetitions):
            membership = columns_balanced(rng, networks, records) if balanced else None
            given = simulated(rng, networks, records, shift=shift, membership=membership)
            result = attack(saved(tmp_path / "c.npz", **given), "lira_pooled,rmia,loss")
            rows = [(x.lower, x.value, x.upper) for row in result.rows for x in (row.advantage, row.auc)]
            order = np.argsort([row.attack for row in result.rows], kind="stable")
            rows = np.array(rows).reshape(3, 2, 3)[order]
            strongest = result.strongest
            found.append([*rows.reshape(6, 3), (strongest.lower, strongest.value, strongest.upper)])
        lower, value, upper = np.moveaxis(np.array(found), -1, 0)
        truth = value.mean(axis=0)
        if shift == 0.0:
            truth[[1, 3, 5]] = 0.5
        covered = ((lower <= truth) & (truth <= upper)).mean(axis=0)
        assert (covered >= 0.95 - 5 * np.sqrt(0.05 * 0.95 / repetitions)).all()


NULLS = {
    "five networks": {"networks": 5, "records": 60},
    "eight networks, many records": {"networks": 8, "records": 1000},
    "each record in half": {"networks": 12, "records": 100, "design": columns_balanced},
    "one in ten": {"networks": 16, "records": 200, "share": 0.1},
    "four in five": {"networks": 8, "records": 60, "share": 0.8},
    "one target": {"networks": 17, "records": 100, "apart": 1},
    "three targets": {"networks": 19, "records": 60, "apart": 3},
    "ties": {"networks": 12, "records": 60, "change": np.round},
    "constant": {"networks": 8, "records": 40, "change": np.zeros_like},
    "networks that differ": {"networks": 9, "records": 30, "change": lambda x: x + 3 * x[:, :1]},
}


@pytest.mark.slow
@pytest.mark.parametrize("case", NULLS)
def test_no_limit_claims_more_than_its_level_where_nothing_is(case, rng, tmp_path):
    """Lower limits of every kind, of every attack and the strongest, from designs of every kind."""
    repetitions, claims, null = 20, {}, {"networks": 0, "records": 0, "share": 0.5, "apart": 0} | NULLS[case]
    for _ in range(repetitions):
        shape = null["networks"], null["records"]
        membership = rng.random(shape) < null["share"]
        membership[:, :2] = [True, False]
        membership = null["design"](rng, *shape) if "design" in null else rng.permuted(membership, axis=1)
        given = simulated(rng, *shape, shift=0.0, membership=membership)
        given["logits"] = null.get("change", np.asarray)(given["logits"])
        if apart := null["apart"]:
            sides = {"target": slice(apart), "shadow": slice(apart, None)}
            given = {"labels": given["labels"]} | {
                f"{side}_{name}": given[name][part]
                for side, part in sides.items()
                for name in ("logits", "membership")
            }
        result = attack(saved(tmp_path / "n.npz", **given))
        found = {"strongest": result.strongest.lower > 0, "risks": (result.risks.get("advantage_lower", 0) > 0).any()
                 if result.risks else False}  # fmt: skip
        for row in result.rows:
            found |= {(row.attack, 1): row.advantage.lower > 0, (row.attack, 2): row.auc.lower > 0.5}
            found |= {(row.attack, 3): row.epsilon_lower.lower > 0}
        for name, claimed in found.items():
            claims[name] = claims.get(name, 0) + claimed
    # One-sided; five standard errors, for some fifty limits.
    most = repetitions * 0.025 + 5 * np.sqrt(repetitions * 0.025 * 0.975)
    assert not {name: count for name, count in claims.items() if count > most}


def test_what_is_written(given, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    saved("o.npz", **given, ids=[f"r{i}" for i in range(120)])
    before = (tmp_path / "o.npz").read_bytes()
    main(["attack", "o.npz", "--attacks", "lira,loss", "--out", "found", "--top", "3"])
    printed = capsys.readouterr().out
    names = {"scores.npz", "table.csv", "table.json", "records.csv", "roc.csv"}
    names |= {f"roc.{kind}" for kind in ("pdf", "png", "svg", "txt")}
    assert {path.name for path in (tmp_path / "found").iterdir()} == names
    result, arrays_kept = kept("o.npz", "lira,loss")
    with np.load("found/scores.npz") as scores:
        assert set(scores) == {
            "known",
            "membership",
            "scored",
            "folds",
            "ids",
            "lira",
            "loss",
            "attacks",
            "fitted",
        }
        np.testing.assert_array_equal(scores["lira"], arrays_kept["lira"])
    with open("found/table.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["attack"] for row in rows] == ["strongest", *(row.attack for row in result.rows)]
    assert float(rows[1]["auc_lower"]) == result.rows[0].auc.lower
    assert rows[1]["auc_kind"] == "attack"
    assert json.loads((tmp_path / "found/table.json").read_text())["folds"] == 8
    with open("found/records.csv", newline="") as file:
        listed = [row["id"] for row in csv.DictReader(file)]
    assert listed[:3] == [line.split()[0] for line in printed.splitlines()[-5:-2]]
    assert "95% pointwise" in (tmp_path / "found/roc.txt").read_text()
    with pytest.raises(SystemExit):
        main(["attack", "o.npz", "--attacks", "loss", "--out", "found"])
    assert "expected out a folder without results" in capsys.readouterr().err
    capsys.readouterr()
    main(["attack", "o.npz", "--attacks", "loss", "--out", "found", "--replace", "--latex"])
    tables, written = capsys.readouterr().out.split("\n% Written to ")
    assert written.startswith("found: ")
    main(["report", "found", "--latex"])
    assert tables == capsys.readouterr().out.rstrip("\n")
    assert r"\toprule" in tables
    with np.load("found/scores.npz") as scores:
        assert "lira" not in scores
    assert (tmp_path / "o.npz").read_bytes() == before


def test_the_input_is_never_written_to(given, tmp_path, capsys):
    folder = tmp_path / "mine"
    folder.mkdir()
    for name, values in given.items():
        np.save(folder / f"{name}.npy", values)
    saved(tmp_path / "scores.npz", **given)
    for path, out in ((folder, folder), (tmp_path / "scores.npz", tmp_path)):
        with pytest.raises(SystemExit) as stop:
            main(["attack", str(path), "--out", str(out), "--replace"])
        assert stop.value.code == 2
        assert "input" in capsys.readouterr().err
    assert sorted(path.name for path in folder.iterdir()) == ["labels.npy", "logits.npy", "membership.npy"]


def test_a_bad_file_leaves_no_folder(given, tmp_path, capsys):
    given["labels"][0] = 9
    saved(tmp_path / "o.npz", **given)
    with pytest.raises(SystemExit) as stop:
        main(["attack", str(tmp_path / "o.npz"), "--out", str(tmp_path / "out")])
    assert stop.value.code == 2
    assert capsys.readouterr().err.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_probabilities_called_logits_are_pointed_out(given, tmp_path):
    given["logits"] = softmax(given["logits"], axis=-1)
    with pytest.warns(InputWarning, match="if these are probabilities, call them so"):
        attack(saved(tmp_path / "o.npz", **given), "loss")


BAD = {
    "no outputs": (lambda g: g.pop("logits"), "expected logits or probabilities .*; got labels, membership"),
    "two outputs": (lambda g: g.update(probabilities=g["logits"]), "expected logits or probabilities"),
    "no labels": (lambda g: g.pop("labels"), r"expected labels or targets, of shape \(120,\), got neither"),
    "no membership": (lambda g: g.pop("membership"), r"expected membership \(24, 120\), who was trained on what"),
    "objects": (lambda g: g.update(logits=g["logits"].astype(object)), "logits: expected numbers, got Python objects"),
    "text": (lambda g: g.update(labels=g["labels"].astype(str)), "expected labels real numbers, got an array of <U"),
    "complex": (lambda g: g.update(logits=g["logits"] + 0j), "expected logits real numbers"),
    "axes": (lambda g: g.update(logits=g["logits"].swapaxes(0, 1)), "expected membership of shape"),
    "one axis less": (lambda g: g.update(logits=g["logits"][0]), "outputs of a regression are predictions"),
    "one class": (lambda g: g.update(logits=g["logits"][..., :1]), "at least 2 classes"),
    "no records": (lambda g: g.update(logits=g["logits"][:, :0]), "expected logits of networks, records"),
    "labels beyond": (lambda g: g["labels"].__setitem__(5, 3), "expected labels below the 3 classes .*, got 3"),
    "labels below": (lambda g: g["labels"].__setitem__(5, -1), "expected labels class numbers"),
    "half labels": (lambda g: g.update(labels=g["labels"] + 0.5), "expected labels class numbers"),
    "labels missing": (lambda g: g.update(labels=g["labels"][1:]), r"expected labels of shape \(120,\)"),
    "labels NaN": (lambda g: g.update(labels=np.full(120, np.nan)), "expected labels finite"),
    "member of all": (lambda g: g["membership"][3].fill(True), "network 3 as a member of all records"),
    "member of none": (lambda g: g["membership"][3].fill(False), "network 3 as a member of none; .*row of NaN"),
    "membership 2": (lambda g: g.update(membership=g["membership"] * 2), "expected membership 0 or 1 .*, got 2"),
    "some unknown": (
        lambda g: g.update(membership=np.where(np.arange(120) == 7, np.nan, g["membership"])),
        "got nan for network 0, record 7",
    ),
    "NaN in one network": (
        lambda g: g["logits"].__setitem__((4, 9, 1), np.nan), "without NaN, got NaN in network 4, record 9"),
    "infinite": (
        lambda g: g["logits"].__setitem__((4, 9, 1), np.inf), "finite largest one, .* in network 4, record 9"),
    "ids twice": (lambda g: g.update(ids=np.zeros(120, int)), "expected ids that differ"),
    "ids of floats": (lambda g: g.update(ids=np.arange(120.0)), "expected ids integers or text, got an array of float"),
    "ids not printable": (lambda g: g.update(ids=[f"{i}\x1b[31m" for i in range(120)]), "that is not printable"),
    "records": (lambda g: g.update(labels=np.zeros(120, [("a", int)])), "labels: expected numbers, got records"),
    "columns first": (lambda g: g.update(logits=np.asfortranarray(g["logits"])), "got Fortran order; save"),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD)
def test_a_bad_array_is_refused_in_one_line(case, given, tmp_path):
    change, message = BAD[case]
    change(given)
    path = saved(tmp_path / "bad.npz", **given)
    with pytest.raises(InvalidInput, match=message) as refused:
        attack(path, "loss,lira")
    assert str(path) in str(refused.value)
    assert "\n" not in str(refused.value)


def test_bad_probabilities_and_predictions(given, tmp_path):
    given["probabilities"] = softmax(given.pop("logits"), axis=-1)
    for factor, message in ((1.5, "to 1 over the classes|in \\[0, 1\\]"), (-1, "in \\[0, 1\\]")):
        bad = {**given, "probabilities": given["probabilities"].copy()}
        bad["probabilities"][2, 3] *= factor
        with pytest.raises(InvalidInput, match=f"({message}), got another .* in network 2, record 3"):
            attack(saved(tmp_path / "p.npz", **bad), "loss")
    predictions = given.pop("probabilities")[..., 0]
    predictions[1, 2] = np.inf
    with pytest.raises(InvalidInput, match=r"expected predictions finite, .* in network 1, record 2"):
        attack(saved(tmp_path / "r.npz", predictions=predictions, **given), "loss")


def test_damaged_files(given, tmp_path):
    path = saved(tmp_path / "o.npz", **given)
    content = path.read_bytes()
    cases = {
        "expected an .npz file .*, got an empty file": b"",
        "expected an .npz file .*, got another format": b"score,member\n",
        "damaged or truncated": content[: len(content) // 2],
        "damaged or truncated: Bad CRC": content.replace(given["logits"].tobytes()[:64], bytes(64)),
    }
    for message, bad in cases.items():
        (tmp_path / "bad.npz").write_bytes(bad)
        with pytest.raises(InvalidInput, match=message):
            attack(tmp_path / "bad.npz", "loss")
    with pytest.raises(InvalidInput, match="cannot be read: No such file"):
        attack(tmp_path / "no.npz", "loss")
    (tmp_path / "empty").mkdir()
    with pytest.raises(InvalidInput, match=r"expected \.npy files in this folder, got none"):
        attack(tmp_path / "empty", "loss")


def test_a_header_that_claims_a_hundred_gigabytes(tmp_path):
    header = {"descr": "<f4", "fortran_order": False, "shape": (250, 10**6, 100)}
    with zipfile.ZipFile(tmp_path / "o.npz", "w") as archive, archive.open("logits.npy", "w") as file:
        np.lib.format.write_array_header_1_0(file, header)
        file.write(bytes(100))
    with pytest.raises(InvalidInput, match="its header claims 100000000000 bytes, 100 are there"):
        attack(tmp_path / "o.npz", "loss")


def test_what_is_not_read_may_be_anything(given, tmp_path):
    path = saved(tmp_path / "o.npz", **given, notes=np.array([{"a": 1}], object), name="mine")
    assert attack(path, "loss").rows


def test_attacks_that_are_none(given, tmp_path):
    path = saved(tmp_path / "o.npz", **given)
    with pytest.raises(InvalidInput, match=r"expected attacks one of .* got attacks='lirra'\. Nearest: lira"):
        attack(path, "lirra")
    with pytest.raises(InvalidInput, match="expected attacks that differ"):
        attack(path, "lira,lira")
    with pytest.raises(UnsupportedSetting, match="ridge needs shadow_params, target_params, which logits"):
        attack(path, "ridge")
    two = {name: values[:2] if name != "labels" else values for name, values in given.items()}
    path = saved(tmp_path / "t.npz", **two)
    with pytest.raises(UnsupportedSetting, match="lira needs shadows: at least 3 networks"):
        attack(path, "lira")
    result = attack(path)
    assert "lira" in result.left_out
    assert "loss" in {row.attack for row in result.rows}


@pytest.fixture
def public(given, rng):
    """Records that no network knows, and a feature from which their difficulty can be told."""
    features, labels = rng.normal(size=(300, 2)), rng.integers(3, size=300)
    truth = 3 * features[:, 0] + rng.normal(size=(3, 300))
    logits = rng.normal(size=(3, 300, 3)) + truth[..., None] * np.eye(3)[labels]
    own = given["logits"].mean(axis=(0, 2))[:, None] * np.ones(2)
    few = given | {name: given[name][:3] for name in ("logits", "membership")}
    return few | {
        "features": own, "public_features": features, "public_labels": labels, "public_logits": logits,
    }  # fmt: skip


def test_public_records_serve_quantile_regression(public, tmp_path):
    path = saved(tmp_path / "o.npz", **public)
    result, found = kept(path, "quantile_regression,loss")
    assert {row.num_folds for row in result.rows} == {0}
    expected = QuantileRegression().scores(
        public_features=public["public_features"],
        public_scores=statistics.logit_confidence(public["public_logits"], public["public_labels"]),
        features=public["features"],
        target_scores=statistics.logit_confidence(public["logits"], public["labels"]),
    )
    np.testing.assert_allclose(found["quantile_regression"], expected)
    assert "quantile_regression" in choose("all", read_outputs(path))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"features": None}, "got no features"),
        ({"public_labels": None}, "expected public_labels or public_targets, of shape (300,), got neither"),
        ({"public_logits": np.zeros((2, 300, 3))}, "expected public_logits of shape (3, 'S', 3)"),
        ({"public_features": np.full((300, 2), np.nan)}, "expected public_features finite"),
        ({"public_features": np.zeros((300, 3))}, "as many numbers a record, got 3 and 2"),
        ({"features": np.zeros(120)}, "expected features of shape (120, D)"),
        ({"public_labels": np.full(300, 3)}, "expected public_labels below the 3 classes"),
        (
            {"public_logits": np.full((3, 300, 3), np.inf)},
            "expected public_logits with a finite largest one",
        ),
    ],
)
def test_bad_public_records(public, tmp_path, change, said):
    arrays_given = {name: values for name, values in (public | change).items() if values is not None}
    with pytest.raises(InvalidInput, match=re.escape(said)):
        attack(saved(tmp_path / "o.npz", **arrays_given), "quantile_regression")
