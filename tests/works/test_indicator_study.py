"""The study of the indicator: its experiments, crossings and verdicts on planted numbers, a small run through files."""

import json

import numpy as np
import pytest
from scipy import stats

from mis.cli import main
from mis.numerics.checks import InvalidInput
from mis.ranking.releases import parse
from mis.works import indicator
from mis.works.indicator import CHANGES, NORMAL_CROSSING, SWEEP, Settings


def test_experiments_measure_what_the_claims_compare():
    found = {one.name: one for one in indicator.experiments(Settings())}
    assert len(found) == len(Settings().tasks) + len(CHANGES)
    for task in Settings().tasks:
        assert {*indicator.THEIRS, indicator.PEAK, *(f"ternary-{z}" for z in SWEEP)} <= {
            *found[task].releases
        }
    assert found["modes-32"].options["num_modes"] == 32
    assert "lira_loss" in found["freesolv"].options["attacks"]
    for number, (options, pair) in enumerate(CHANGES.values()):
        one = found[f"change-{number}"]
        assert one.releases == pair
        assert options.items() <= one.options.items()
        assert [parse(name).name for name in pair] == list(pair)


@pytest.mark.parametrize(
    ("changes", "message"),
    [({"networks": 8}, "networks"), ({"tasks": ()}, "expected tasks"), ({"changes": ("none",)}, "none"),
     ({"more": ("unifrom-4",)}, "unifrom-4")],
)  # fmt: skip
def test_settings_refuse(changes, message):
    with pytest.raises(InvalidInput, match=message):
        Settings(**changes)


def test_where_normal_weights_would_turn_the_order():
    """Twice the density of |Z| at its quantile is that at the sign's edge: 2 f(t) = f(0)."""
    edge = stats.norm.ppf((1 + NORMAL_CROSSING) / 2)
    assert 2 * stats.norm.pdf(edge) == pytest.approx(stats.norm.pdf(0), rel=2e-3)


def planted_ranking(planted, gaps, sign=0.3, r_q=None):
    """Ternary with each share of zeros leaks so much more than sign, passing information in the same order."""

    def one(name, advantage, **more):
        passing = planted.interval(0.5 * advantage)
        kept = planted.interval(0.01 if r_q is None else r_q(advantage), 0.005)
        return planted.row(
            name, advantage=advantage, attacks={"lira": 0.8 * advantage}, retained_ensemble=passing,
            indicator=kept, indicator_naive=kept.value, weight_error=1 - advantage, performance=0.5 + advantage / 2,
            **more,
        )  # fmt: skip

    rows = [one("full", 0.9), one("sign", sign)]
    rows += [one(f"ternary-{zeros}", sign + gap) for zeros, gap in zip(SWEEP, gaps, strict=True)]
    rows += [one(indicator.PEAK, sign - 0.05)]
    rows += [one(f"uniform-{bits}", value) for bits, value in ((2, 0.19), (3, 0.6), (4, 0.7))]
    return planted.ranking(rows)


def test_the_crossing_is_where_ternary_stops_leaking_more(planted):
    found = indicator.crossing(planted_ranking(planted, (0.15, 0.1, 0.05, 0.0, -0.05, -0.1)))
    assert found["more"] == 0.67
    assert found["less"] == 0.80
    assert found["foretold"] == pytest.approx(0.75)
    nowhere = indicator.crossing(planted_ranking(planted, (0.15, 0.12, 0.1, 0.08, 0.05, 0.04)))
    assert nowhere == {"more": 0.9, "less": None, "foretold": None}


def verdicts(ranking):
    return {row["claim"].rstrip("."): row["verdict"] for row in indicator.claims_of({"t": ranking}, {}, 0.99)}


def test_verdicts_follow_the_planted_order(planted):
    ours = verdicts(planted_ranking(planted, (0.15, 0.1, 0.05, 0.0, -0.05, -0.1), r_q=lambda a: 0.1 - a / 10))
    assert ours["t: sign is less private than ternary-33, by the strongest attack"] == "falls"
    assert ours["t: sign is less private than ternary-33, by LiRA on outputs"] == "falls"
    assert ours["t: sign is less private than ternary with zeros below 33% of the largest weight"] == "holds"
    # uniform-2 leaks .19, ternary-90 .20.
    assert ours["t: ternary-90 is the most private of theirs"] != "holds"
    assert ours["t: r_Q orders the releases as the strongest attack does"] == "holds"
    theirs = verdicts(
        planted_ranking(planted, (-0.05, -0.07, -0.09, -0.1, -0.12, -0.2), r_q=lambda a: a / 10)
    )
    assert theirs["t: sign is less private than ternary-33, by the strongest attack"] == "holds"
    assert theirs["t: ternary-90 is the most private of theirs"] == "holds"
    assert theirs["t: r_Q orders the releases as the strongest attack does"] == "falls"


@pytest.mark.slow
def test_a_small_study_finds_order_crossing_and_changes(tmp_path, capsys):
    tokens = ["run", "indicator", "--quick", "--out", str(tmp_path)]
    for change in ("networks=32", "steps=30", "tasks=modes-3,freesolv", "changes=as it is"):
        tokens += ["--set", change]
    main(tokens)
    found = json.loads((tmp_path / "study.json").read_text())
    assert "What might turn the order" in capsys.readouterr().out
    assert {row["experiment"] for row in found["rows"]} == {"modes-3", "freesolv", "change-0"}
    assert set(found["crossings"]) == {"modes-3", "freesolv"}
    assert found["changes"][0]["first"] == "sign"
    assert {row["indicator"] for row in found["agreement"]} >= {"indicator", "indicator_naive", "retained"}
    [full] = [r for r in found["rows"] if (r["experiment"], r["release"]) == ("freesolv", "full")]
    # The most over their encoders, the last that was published.
    assert full["performance_theirs"] == 0.87
    assert np.isfinite(full["performance_difference"])
