"""The study of calibrated quantizers: what it releases, its verdicts on planted numbers, a small run through files."""

import json

import pytest

from mis import works
from mis.cli import main
from mis.numerics.checks import InvalidInput
from mis.works import calibrated
from mis.works.calibrated import PUBLISHED, Settings

SMALL = Settings(
    tasks=("digits",), pools=(2,), methods=("brecq",), bits=("2", "1.58"), compared=("brecq-1.58",)
)


def test_every_published_release_is_measured():
    measured = {"full", *Settings().releases}
    assert {theirs.release for theirs in PUBLISHED} <= measured
    assert len(set(Settings().releases)) == len(Settings().releases)
    assert {"from-nonmembers:gptq-2", "from-heldout:brecq-1.58"} < measured
    # Calibrated on members unless the name says otherwise.
    assert len(calibrated.experiments(Settings())) == sum(Settings().pools)
    few = [Settings(seed=seed, tasks=("digits",), pools=(4,)) for seed in (0, 1)]
    seeds = {one.seed for asked in few for one in calibrated.experiments(asked)}
    assert seeds == set(range(8))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"pools": (0, 1)}, "pools"),
        ({"pools": (1,)}, "a number for each of 2 tasks, got 1"),
        ({"networks": 31}, "networks"),
        ({"methods": ()}, "at least one task, one method"),
        ({"methods": ("bric",)}, "bric"),
        ({"compared": ("gptq-3",)}, "compared among the releases, got gptq-3"),
    ],
)
def test_settings_refuse(changes, message):
    with pytest.raises(InvalidInput, match=message):
        Settings(**changes)


def rankings(planted, *, theirs, strongest, performance=0.89, members=0.2, early=0.3):
    """Two pools: full precision leaks .4, TPR .31; brecq-1.58 what is asked for."""

    def one(name, advantage, unadapted, rates, **more):
        attacks = {"lira_unadapted": unadapted}
        return planted.row(
            name, advantage=advantage, attacks=attacks, tpr_of={"lira_unadapted": rates[0]},
            tpr_at_fpr_01=planted.interval(rates[1], 0.005), early=planted.interval(early), **more,
        )  # fmt: skip

    rows = [
        one("full", 0.4, 0.4, (0.31, 0.31)),
        one("brecq-1.58", members, 0.1, (theirs, strongest), performance=performance),
        one("brecq-2", 0.1, 0.1, (0.02, 0.05)),
        one("uniform-2", 0.2, 0.1, (0.02, 0.05)),
        *(one(f"from-{who}:brecq-1.58", 0.12, 0.1, (0.02, 0.05)) for who in ("nonmembers", "heldout")),
    ]
    return [planted.ranking(rows) for _ in range(2)]


def verdicts(found):
    return {row["claim"].rstrip("."): row["verdict"] for row in calibrated.claims_of(SMALL, found, 0.99)}


def test_protection_that_needs_an_attacker_who_never_adapted_is_told_apart(planted):
    found = verdicts(rankings(planted, theirs=0.011, strongest=0.11, performance=0.9))
    tenth = "brecq-1.58 leaks at most a tenth of what full precision leaks to"
    assert found[f"{tenth} their attacker"] == "holds"
    assert found[f"{tenth} any attack"] == "falls"
    assert found["Their attacker finds all that there is in brecq-1.58"] == "falls"
    assert found["brecq-1.58 keeps the accuracy"] == "holds"
    assert found["brecq-1.58 leaks less than full precision stopped early at equal accuracy"] == "holds"
    more = "brecq-1.58 leaks more of its members when it is calibrated on some of them than on nonmembers"
    assert found[more] == "holds"
    assert found["brecq-2 leaks less than rounding to the nearest at 2 bits"] == "holds"


def test_verdicts_turn_with_the_numbers(planted):
    # A tenth of .30 above guessing is a rate of .04.
    found = verdicts(rankings(planted, theirs=0.1, strongest=0.012, performance=0.8, members=0.1, early=0.05))
    tenth = "brecq-1.58 leaks at most a tenth of what full precision leaks to"
    assert found[f"{tenth} their attacker"] == "falls"
    assert found[f"{tenth} any attack"] == "holds"
    assert found["brecq-1.58 keeps the accuracy"] == "falls"
    assert found["brecq-1.58 leaks less than full precision stopped early at equal accuracy"] == "falls"
    more = "brecq-1.58 leaks more of its members when it is calibrated on some of them than on nonmembers"
    assert found[more] == "falls"
    near = verdicts(rankings(planted, theirs=0.04, strongest=0.04))
    assert near[f"{tenth} their attacker"] == near[f"{tenth} any attack"] == "cannot be told"


@pytest.mark.slow
def test_a_small_study_writes_theirs_beside_ours_and_goes_on(tmp_path, capsys):
    tokens = ["run", "calibrated", "--quick", "--out", str(tmp_path)]
    for change in ("networks=32", "steps=20", "bits=1.58", "methods=gptq", "compared=gptq-1.58"):
        tokens += ["--set", change]
    main(tokens)
    first = json.loads((tmp_path / "study.json").read_text())
    assert "cannot be told" in capsys.readouterr().out
    main(tokens)
    again = json.loads((tmp_path / "study.json").read_text())
    assert again["rows"] == first["rows"]
    [mean] = [row for row in first["rows"] if row["release"] == "gptq-1.58" and row["seed"] is None]
    assert mean["pools"] == 2
    assert mean["performance_theirs"] == 0.6547
    assert mean["performance_difference"] == pytest.approx(mean["performance"]["value"] - 0.6547)
    own = [row for row in first["rows"] if row["release"] == "gptq-1.58" and row["seed"] is not None]
    assert [row["seed"] for row in own] == [0, 1]
    assert mean["lira"]["value"] == pytest.approx(sum(row["lira"]["value"] for row in own) / 2)
    assert {one["verdict"] for one in first["verdicts"]} <= {works.HOLDS, works.FALLS, works.CANNOT_BE_TOLD}
    for name in ("attackers", "privacy-against-accuracy"):
        assert (tmp_path / f"{name}.pdf").stat().st_size > 1000
