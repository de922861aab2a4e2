"""The study of DoReFa networks: published numbers, verdicts on planted numbers, a small run through files."""

import json

import pytest

from mis.cli import main
from mis.numerics.checks import InvalidInput
from mis.works import kowalski
from mis.works.kowalski import PUBLISHED, RELEASES, Settings


def test_published_numbers_are_of_what_is_measured():
    for published in PUBLISHED.values():
        assert {theirs.release for theirs in published} == {"full", *RELEASES}
        at = {(theirs.release, theirs.column): theirs.value for theirs in published}
        assert at["full", "gap_accuracy"] > at["dorefa-4-4", "gap_accuracy"]
        assert at["full", "performance"] < at["dorefa-4-4", "performance"]
    assert all(one.releases == RELEASES for one in kowalski.experiments(Settings(pools=3)))


@pytest.mark.parametrize(
    "changes", [{"pools": 0}, {"networks": 31}, {"pool": 8}, {"steps": -1}, {"task": ""}]
)
def test_settings_refuse(changes):
    with pytest.raises(InvalidInput, match=f"kowalski: expected .*{next(iter(changes))}"):
        Settings(**changes)


def rankings(planted, *, strongest, performance=0.85):
    def one(name, value, gap, **more):
        attacks = {"gap": gap, "confidence": gap, "lira": value}
        return planted.row(
            name, advantage=value, attacks=attacks, early=planted.interval(0.25), **more,
        )  # fmt: skip

    rows = [one("full", 0.4, 0.2, performance=0.8)]
    rows += [one(name, strongest, 0.1, performance=performance) for name in RELEASES]
    return [planted.ranking(rows)]


def verdicts(found):
    return {row["claim"].rstrip("."): row["verdict"] for row in kowalski.claims_of(found, 0.99)}


def test_generalising_better_is_told_apart_from_hiding_more(planted):
    found = verdicts(rankings(planted, strongest=0.45))
    assert found["dorefa-4-4 generalises better than full precision"] == "holds"
    assert found["dorefa-4-4 leaks less than full precision to gap"] == "holds"
    assert found["dorefa-4-4 leaks less than full precision to the strongest attack"] == "falls"
    assert found["dorefa-4-4 leaks less than full precision stopped at equal accuracy"] == "falls"
    hides = verdicts(rankings(planted, strongest=0.1, performance=0.7))
    assert hides["dorefa-16-4 generalises better than full precision"] == "falls"
    assert hides["dorefa-16-4 leaks less than full precision to LiRA on outputs"] == "holds"
    assert hides["dorefa-16-4 leaks less than full precision stopped at equal accuracy"] == "holds"


@pytest.mark.slow
def test_a_small_study_writes_theirs_beside_ours(tmp_path, capsys):
    tokens = ["run", "kowalski", "--quick", "--out", str(tmp_path)]
    for change in ("networks=32", "steps=6", "pool=64"):
        tokens += ["--set", change]
    main(tokens)
    assert "a rule that calls everything a member" in capsys.readouterr().out
    found = json.loads((tmp_path / "study.json").read_text())
    [full] = [row for row in found["rows"] if row["release"] == "full" and row["seed"] is None]
    assert full["gap_accuracy"]["value"] == pytest.approx(0.5 + full["gap"]["value"] / 2)
    assert full["gap_accuracy_theirs"] == 0.56
    assert full["gap_accuracy_difference"] == pytest.approx(full["gap_accuracy"]["value"] - 0.56)
    for name in ("attackers", "privacy-against-accuracy"):
        assert (tmp_path / f"{name}.pdf").stat().st_size > 1000
