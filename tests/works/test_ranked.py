"""What studies made of rankings share: pools together, differences and ratios, theirs beside ours, resuming."""

import numpy as np
import pytest
from scipy import stats

from mis.attacks.crossfit import mean_over_networks
from mis.numerics.checks import InvalidInput
from mis.results import Interval
from mis.store import Store
from mis.works import ranked
from mis.works.ranked import Experiment, Published


def interval(lower, value, upper, level=0.95):
    return Interval(lower=lower, value=value, upper=upper, kind="attack", level=level)


def test_pools_together_are_the_mean_with_the_error_of_a_mean(rng):
    values = rng.normal(0.3, 0.1, size=(5, 64))
    folds = 8
    found = ranked.over_pools([mean_over_networks(v, folds) for v in values], folds, 0.99)
    errors = [mean_over_networks(v, folds).width / 2 / stats.t.isf(0.025, folds - 1) for v in values]
    total = np.sum(np.square(errors))
    degrees = total**2 / (np.sum(np.power(errors, 4)) / (folds - 1))
    assert found.value == pytest.approx(values.mean(), rel=1e-12)
    assert found.width / 2 == pytest.approx(np.sqrt(total) / 5 * stats.t.isf(0.005, degrees), rel=1e-12)
    assert (found.kind, found.level) == ("attack", 0.99)
    # As many degrees as pools add, where all err alike.
    alike = ranked.over_pools([interval(0.1, 0.2, 0.3)] * 4, folds)
    assert alike.width / 2 == pytest.approx(
        0.1 / stats.t.isf(0.025, 7) / 2 * stats.t.isf(0.025, 28), rel=1e-12
    )


def test_one_pool_at_another_level_is_that_of_its_networks(rng):
    values = rng.normal(size=64)
    found = ranked.over_pools([mean_over_networks(values, 8)], 8, 0.999)
    assert found.lower == pytest.approx(mean_over_networks(values, 8, 0.999).lower, rel=1e-12)


def test_normal_intervals_share_their_examples():
    found = ranked.over_pools([interval(0.1, 0.2, 0.3), interval(0.2, 0.4, 0.6)], None, 0.99)
    assert found.value == pytest.approx(0.3)
    assert found.width / 2 == pytest.approx(0.15 / stats.norm.isf(0.025) * stats.norm.isf(0.005), rel=1e-12)
    nothing = ranked.over_pools([Interval.point(0.5, "exact")] * 2, 8)
    assert (nothing.lower, nothing.upper) == (0.5, 0.5)


def test_statements_hold_together():
    assert ranked.each(4) == pytest.approx(1 - 0.05 / 4)
    assert ranked.each(0) == 0.95
    both = ranked.less(interval(0.5, 0.6, 0.7, 0.99), interval(0.1, 0.2, 0.4, 0.99))
    assert (both.lower, both.upper) == pytest.approx((0.1, 0.6))
    assert (both.value, both.level) == pytest.approx((0.4, 0.98))
    share = ranked.ratio(interval(-0.1, 0.1, 0.2), interval(0.4, 0.5, 0.8))
    assert (share.lower, share.value, share.upper) == pytest.approx((0.0, 0.2, 0.5))
    assert ranked.ratio(interval(0.1, 0.1, 0.2), interval(0.0, 0.5, 0.8)) is None


def test_theirs_beside_ours():
    theirs = [
        Published("sign", "performance", 0.7, "page 1"),
        Published("full", "performance", 0.9, "page 1"),
    ]
    row = {"experiment": "here", "release": "sign", "performance": interval(0.6, 0.65, 0.68), "lira": None}
    found = ranked.with_theirs(row, [*theirs, Published("sign", "lira", 0.1, "page 2")])
    assert found["performance_theirs"] == 0.7
    assert found["performance_difference"] == pytest.approx(-0.05)
    assert found["performance_inside"] is False
    assert not [name for name in found if name.startswith("lira_")]
    assert ranked.with_theirs(row, [theirs[0]._replace(value=0.67)])["performance_inside"]
    first, second = ranked.beside(theirs, [row])
    assert first == {
        "what": "sign: performance", "theirs": 0.7, "ours": {"here": row["performance"]}, "source": "page 1",
    }  # fmt: skip
    assert second["ours"] == {}


def test_tables_leave_out_what_is_missing():
    rows = [{"release": "sign", "lira": interval(0.1, 0.2, 0.3)}, {"release": "full", "lira": None}]
    text = ranked.table_text(rows, {"release": "release", "lira": "LiRA"})
    assert [line.split() for line in text.splitlines()] == [
        ["release", "LiRA"], ["sign", "0.2", "[0.1,", "0.3]"], ["full"]
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("changes", "message"),
    [({"task": "digit"}, "Nearest: digits"), ({"releases": ("sing",)}, "sing"), ({"model": "lenot"}, "lenot"),
     ({"task": "cifar-10", "options": {"folder": "/nowhere"}}, "cifar-10"), ({"options": {"pool": 10**6}}, "pool"),
     ({"options": {"attacks": "lora"}}, "lora")],
)  # fmt: skip
def test_what_cannot_be_measured_is_refused_before_the_first_is(changes, message, monkeypatch):
    monkeypatch.setattr(ranked, "rank", lambda *_, **__: pytest.fail("something was measured"))
    asked = {"task": "breast-cancer", "releases": ("sign",)} | changes
    with pytest.raises(InvalidInput, match=message):
        ranked.ranked([Experiment(name="bad", **asked)], Store(None))


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """One small ranking with an attacker who ignores the release, kept in a folder, and asked for a second time."""
    store = Store(tmp_path_factory.mktemp("study") / "parts" / "key")
    options = {"num_networks": 32, "num_steps": 30, "pool": 64, "attacks": "lira,lira_unadapted", "width": 4}
    experiment = Experiment(
        name="few", task="breast-cancer", releases=("ternary-90", "uniform-8"), options=options
    )
    first = ranked.ranked([experiment], store)
    return experiment, store, first, ranked.ranked([experiment], store)


@pytest.mark.slow
def test_experiments_go_on_where_they_stopped(made):
    experiment, store, first, again = made
    assert (store.folder.parent / "rankings/few/ranking.json").exists()
    [(same, ranking)], [(_, kept)] = first, again
    assert same is experiment
    assert [row.to_json() for row in ranking] == [row.to_json() for row in kept]
    # Nothing was trained or measured again: each took its files.
    assert kept.about["seconds"]["training"] < ranking.about["seconds"]["training"]
    with pytest.raises(InvalidInput, match="experiments of different names, got few, few"):
        ranked.ranked([experiment, experiment], store)


@pytest.mark.slow
def test_rows_have_every_attack_with_its_rate(made):
    experiment, _, [(_, ranking)], _ = made
    rows = {row["release"]: row for row in ranked.rows_of(experiment, ranking, ("bits", "performance"))}
    assert set(rows) == {"ternary-90", "uniform-8", "full"}
    row = rows["full"]
    assert list(row) == [
        *("experiment", "task", "seed", "release", "bits", "performance", "lira", "lira_unadapted"),
        *("lira_tpr_at_fpr_01", "lira_unadapted_tpr_at_fpr_01"),
    ]
    # Without quantizing there is nothing to adapt to; the rate of the strongest attack is that of one of them.
    assert row["lira"] == row["lira_unadapted"]
    assert row["lira_tpr_at_fpr_01"].value == pytest.approx(ranking["full"].tpr_at_fpr_01.value)
    assert rows["ternary-90"]["lira"] != rows["ternary-90"]["lira_unadapted"]


@pytest.mark.slow
def test_differences_are_paired_by_network(made):
    _, _, [(_, ranking)], _ = made
    ours = ranked.of_networks(ranking, "full") - ranked.of_networks(ranking, "ternary-90")
    assert ours.mean() == pytest.approx(
        ranking["full"].advantage.value - ranking["ternary-90"].advantage.value
    )
    found = ranked.paired([ranking], "full", "ternary-90")
    assert found == mean_over_networks(ours, ranking.about["num_folds"])
    assert ranked.paired([ranking] * 2, "full", "ternary-90").width < found.width
