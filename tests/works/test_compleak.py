"""The study of compressed releases: measures, queries and verdicts by themselves; a tiny run through files."""

import csv
import io
import json
from types import SimpleNamespace

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from mis import works
from mis.numerics.checks import InvalidInput
from mis.ranking.releases import parse
from mis.works.compleak import queried, study
from mis.works.compleak.settings import FULL, PUBLISHED, WITH, Settings, settings


class Rankings(list):
    """What verdicts ask of a ranking: releases in order, the advantage on each network."""

    def __init__(self, sets, advantage, rng):
        super().__init__(SimpleNamespace(release="/".join(parts)) for parts in sets.values())
        common = 0.01 * rng.normal(size=32)
        self.advantages = np.array([advantage(name) + common + 1e-4 * rng.normal(size=32) for name in sets])
        self.about = {"num_folds": 8}


@pytest.fixture
def few():
    return Settings(pruned=("tune-STEPS:prune-60", "tune-STEPS:prune-90"), clustered=(), networks=32)


def claims_of(few, auc, advantage, rng):
    common = 0.02 * rng.normal(size=32)
    values = {}
    for name, releases in few.sets.items():
        for attack in ("trained", "loss") if len(releases) == 1 else ("trained",):
            own = auc(name) - 0.1 * (attack == "loss") + common + 1e-3 * rng.normal(size=32)
            values[f"{name}|{attack}"] = [np.stack([own, own, own], axis=1)]
    for name in study.QUERIES:
        found = (0.99 if name in ("rule", "blind") else 0.5) + 1e-4 * rng.normal(size=32)
        values[f"queries|{name}"] = [np.stack([found, found, found], axis=1)]
    rows = study.claims_of(few, values, [Rankings(few.sets, advantage, rng)], 0.999)
    return {row["claim"]: row["verdict"] for row, _ in rows}


def judged(claims, *words):
    return {verdict for claim, verdict in claims.items() if all(word in claim for word in words)}


def test_verdicts_follow_from_what_attackers_gain(few, rng):
    """Pairs gain over one, more do not over pairs; the strongly pruned leaks less, the others as much."""

    def auc(name):
        return 0.6 if name == few.strong[0] else 0.75 if "/" in name or name in few.multiple else 0.7

    found = claims_of(few, auc, lambda name: 2 * auc(name) - 1, rng)
    for who in ("one network", "many shadows"):
        assert judged(found, "SR beats NR", who) == {"holds"}
        assert judged(found, "MR beats SR", who) <= {"cannot be told", "falls"}
        assert judged(found, "Strongly compressed", who) == {"holds"}
        assert judged(found, "Not strongly", who) == {"holds"}
    assert judged(found, "Members queried augmented") == judged(found, "Queried alike") == {"holds"}
    # A pair is judged against the better of both, and against all attacks on each.
    worse = claims_of(
        few, lambda name: 0.65 if "/" in name else 0.7, lambda name: 0.4 - 0.1 * ("/" in name), rng
    )
    assert judged(worse, "SR beats NR") == {"falls"}
    assert judged(worse, "MR beats SR") == {"holds"}
    assert judged(worse, "Strongly compressed") == {"falls"}
    # Also where the compressed one leaks more than the original.
    more = claims_of(
        few, lambda name: {FULL: 0.65}.get(name, 0.7 if "/" in name else 0.72), lambda _: 0.3, rng
    )
    assert judged(more, "SR beats NR", "one network") == {"falls"}
    # Only one mild release that leaks less is enough for its claim to fall.
    mild = claims_of(few, lambda name: 0.6 if "prune" in name else 0.7, lambda _: 0.3, rng)
    assert judged(mild, "Not strongly", "prune-60", "one network") == {"falls"}
    assert judged(mild, "Not strongly", "uniform-8", "one network") == {"holds"}


def test_the_least_gain_has_an_interval_of_its_own():
    ends = [(0.0, 0.2, 0.4), (0.1, 0.15, 0.2)]
    given = [
        works.base.Study and study.Interval(lower=a, value=b, upper=c, kind="attack", level=0.9)
        for a, b, c in ends
    ]
    least = study.least_of(given)
    assert (least.lower, least.value, least.upper, least.level) == (0.0, 0.15, 0.2, 0.9)


def test_measures_on_the_victim(rng):
    member, scores = rng.random(400) < 0.5, rng.integers(0, 20, 400) / 10.0
    scores += member
    auc, accuracy, tpr = queried.measures(scores, member, 1.5)
    assert auc == pytest.approx(roc_auc_score(member, scores), abs=1e-12)
    assert accuracy == pytest.approx(
        ((scores >= 1.5) == member)[member].mean() / 2 + (scores < 1.5)[~member].mean() / 2
    )
    best = max(
        (scores[member] >= t).mean() for t in np.unique(scores) if (scores[~member] >= t).mean() <= 0.01
    )
    assert tpr == pytest.approx(best)


def side(rng, num=6, examples=400):
    images = rng.normal(size=(examples, 9, 9, 2))
    return queried.Side(
        membership=rng.random((num, examples)) < 0.5,
        labels=np.zeros(examples, int),
        heldout_labels=np.zeros(3, int),
        published={},
        images=images,
    )


def test_augmented_members_have_a_border_of_zeros(rng):
    few, one = Settings(padding=4), side(rng)
    shown = np.array([queried.queries(few, one, 0, i) for i in range(len(one.membership))])
    for images, member in zip(shown, one.membership, strict=True):
        np.testing.assert_array_equal(images[~member], one.images[~member])
    found = np.array([queried.rule(images) for images in shown])
    assert (found[~one.membership] == 0).all()
    # Moved neither down nor across: one in 81.
    share, count = found[one.membership].mean(), one.membership.sum()
    assert abs(share - 80 / 81) < 5 * np.sqrt(80 / 81**2 / count)
    # Where they were not moved they are themselves or their mirror image.
    i, row = np.argwhere(one.membership & (found == 0))[0]
    same = [np.array_equal(shown[i, row], image) for image in (one.images[row], one.images[row][:, ::-1])]
    assert any(same)


def test_a_threshold_is_the_attackers_own(rng):
    victim, own = side(rng), side(rng)

    def attack(i, shift):
        return victim.membership[i] + shift, own.membership[i] * 1.0

    found = queried.measured(victim, own, lambda i: attack(i, 0.0))
    np.testing.assert_array_equal(found, 1.0)
    shifted = queried.measured(victim, own, lambda i: attack(i, 5.0))
    np.testing.assert_array_equal(shifted[:, 0], 1.0)
    np.testing.assert_array_equal(shifted[:, 1], 0.5)


@pytest.mark.parametrize("size", works.SIZES)
def test_every_published_number_is_asked_for(size):
    asked = settings(size, 0, None)
    for theirs in PUBLISHED:
        assert theirs.release in asked.multiple
        assert theirs.column in queried.MEASURES
    assert {name for parts in asked.sets.values() for name in parts} == {FULL, *asked.compressed}
    for name in asked.sets:
        if name.endswith(WITH):
            assert asked.sets[name] == (FULL, *asked.sets[name.removesuffix(WITH)])
    for parts in asked.sets.values():
        parse("/".join(parts))


def test_settings_that_cannot_be():
    with pytest.raises(InvalidInput, match="networks"):
        Settings(networks=4)
    with pytest.raises(InvalidInput, match="at least one pruning"):
        Settings(pruned=())
    with pytest.raises(InvalidInput, match="got digits with"):
        study.refuse_small(Settings(task="digits", pool=2000))
    with pytest.raises(InvalidInput, match="classifier"):
        Settings(classifier="tree")


SMALL = ["task=digits", "pool=100", "steps=60", "tuning=20", "classifier=logistic", "clustered=", "model=mlp"]
SMALL += ["pruned=tune-STEPS:prune-60,tune-STEPS:prune-90"]


@pytest.mark.slow
def test_a_tiny_study_through_files(tmp_path):
    found = works.run("compleak", size="quick", assignments=SMALL, out=tmp_path / "c")
    again = works.run("compleak", size="quick", assignments=SMALL, out=tmp_path / "c", replace=True)
    assert [row["rests_on"] for row in again.verdicts] == [row["rests_on"] for row in found.verdicts]
    rows = list(csv.DictReader(io.StringIO((tmp_path / "c" / "table.csv").read_text())))
    by = {(row["release"], row["attack"]): row for row in rows}
    rule = by["full, members augmented", "border row or column exactly zero"]
    assert float(rule["auc"]) == pytest.approx(1 - 1 / 162, abs=0.01)
    plain = by["full, all alike", "a forest that sees pixels"]
    assert float(plain["auc_lower"]) < 0.5 < float(plain["auc_upper"])
    document = json.loads((tmp_path / "c" / "study.json").read_text())
    assert document["published"]
    assert all(one["ours"] for one in document["published"])
    assert len(document["verdicts"]) == 2 * (3 + 2 + 3) + 2
    for name in ("auc", "advantage"):
        assert (tmp_path / "c" / f"{name}.pdf").stat().st_size > 1000
