import numpy as np
import pytest
from scipy import stats

from mis.ranking import agreement, kendall, partial
from mis.ranking.agreement import INDICATORS


def tables(rng, *shape):
    """Columns with ties, and without."""
    return rng.integers(4, size=shape).astype(float), rng.normal(size=shape)


def test_kendall_is_scipys_with_ties(rng):
    for x in tables(rng, 30, 9):
        for y in tables(rng, 30, 9):
            expected = [stats.kendalltau(a, b).statistic for a, b in zip(x, y, strict=True)]
            np.testing.assert_allclose(kendall(x, y), expected, atol=1e-12)
    expected = [stats.kendalltau(a, y[0]).statistic for a in x]
    np.testing.assert_allclose(kendall(x, y[0]), expected, atol=1e-12)


def test_a_constant_orders_nothing():
    assert kendall(np.ones(5), np.arange(5.0)) == 0.0


def test_partial_is_kendalls_formula(rng):
    for x, y, z in (rng.normal(size=(3, 12)), rng.integers(5, size=(3, 12)).astype(float)):
        xy, xz, yz = (stats.kendalltau(a, b).statistic for a, b in ((x, y), (x, z), (y, z)))
        assert partial(x, y, z) == pytest.approx(
            (xy - xz * yz) / np.sqrt((1 - xz**2) * (1 - yz**2)), rel=1e-12, abs=0
        )


def test_partial_from_the_fourfold_table_of_pairs(rng):
    """Kendall's own definition: the correlation of x and y's agreements with z, over all pairs."""
    x, y, z = rng.normal(size=(3, 10))
    pairs = np.triu_indices(10, 1)
    with_z = [np.sign(np.subtract.outer(a, a) * np.subtract.outer(z, z))[pairs] > 0 for a in (x, y)]
    assert partial(x, y, z) == pytest.approx(np.corrcoef(*with_z)[0, 1], rel=1e-12, abs=0)


def test_partial_is_undefined_where_the_third_orders_one_fully(rng):
    x, y = rng.normal(size=(2, 8))
    assert np.isnan(partial(x, y, np.exp(y)))
    assert np.isnan(partial(x, y, -x))


def made(rng, num=9, models=16, **columns):
    rows = [
        {name: float(values[q]) for name, values in columns.items()}
        | {"advantage": float(columns["advantage"][q])}
        for q in range(num)
    ]
    return rows, columns["advantage"][:, None] + 0.01 * rng.normal(size=(num, models))


def find(found, name, given=""):
    return next(f for f in found if (f["indicator"], f["given"]) == (name, given))


# What there is more of where more leaks, and what there is less of.
MORE = {"retained", "retained_ensemble", "predicted", "local", "code_entropy", "performance", "bits"}
LESS = {"indicator", "indicator_naive", "weight_error", "zeros"}


def test_signs_say_which_way_more_leakage_lies(rng):
    assert INDICATORS.keys() == MORE | LESS
    advantage = np.arange(9.0)
    columns = {name: advantage if name in MORE else -advantage for name in INDICATORS}
    found = agreement(*made(rng, advantage=advantage, **columns), num_resamples=50)
    assert {f["indicator"] for f in found if not f["given"]} == set(INDICATORS)
    assert all(f["tau"] == pytest.approx(1.0) for f in found if not f["given"])
    turned = {name: -values for name, values in columns.items()}
    found = agreement(*made(rng, advantage=advantage, **turned), num_resamples=50)
    assert all(f["tau"] == pytest.approx(-1.0) for f in found if not f["given"])


def test_p_value_is_scipys_exact_one(rng):
    for seed in range(6):
        x, y = np.random.default_rng(seed).normal(size=(2, 7))
        found = find(agreement(*made(rng, 7, advantage=y, retained=x), num_resamples=4000), "retained")
        exact = stats.kendalltau(x, y, method="exact").pvalue
        assert abs(found["p_value"] - exact) < 5 * 2 * np.sqrt(exact / 2 / 4000) + 1e-3
        assert found["tau"] == pytest.approx(stats.kendalltau(x, y).statistic)


def test_p_values_under_no_association_are_no_smaller_than_chance():
    ps = []
    for seed in range(300):
        rng = np.random.default_rng(seed)
        x, y, z = rng.normal(size=(3, 9))
        rows, advantages = made(rng, models=2, advantage=y, retained=x, performance=z)
        found = agreement(rows, advantages, num_resamples=100, seed=seed)
        ps.append([find(found, "retained", given)["p_value"] for given in ("", "performance")])
    for level in (0.05, 0.2, 0.5):
        assert (
            np.mean(np.array(ps) <= level, axis=0) <= level + 5 * np.sqrt(level * (1 - level) / 300)
        ).all()
    # Nor much larger.
    assert (np.mean(np.array(ps) <= 0.5, axis=0) > 0.3).all()


def test_what_both_owe_to_performance_is_not_called_agreement():
    """Indicator and advantage follow performance and nothing else; permuting the indicator would be fooled."""
    ps, naive = [], []
    for seed in range(200):
        rng = np.random.default_rng(seed)
        z = rng.normal(size=11)
        x, y = z + 0.4 * rng.normal(size=(2, 11))
        observed = partial(x, y, z)
        if np.isnan(observed):
            continue
        rows, advantages = made(rng, 11, models=2, advantage=y, retained=x, performance=z)
        ps.append(find(agreement(rows, advantages, num_resamples=200), "retained", "performance")["p_value"])
        shuffled = np.array([partial(rng.permutation(x), y, z) for _ in range(100)])
        naive.append(np.mean(np.abs(shuffled) >= np.abs(observed)))
    assert len(ps) > 150
    assert np.mean(np.array(ps) <= 0.05) < 0.05 + 5 * np.sqrt(0.05 * 0.95 / len(ps))
    assert np.mean(np.array(naive) <= 0.05) > 0.2


def test_what_goes_beyond_performance_is_found():
    found = []
    for seed in range(20):
        rng = np.random.default_rng(seed)
        z, own = rng.normal(size=(2, 28))
        rows, advantages = made(
            rng, 28, advantage=z + own, retained=z + own + 0.2 * rng.normal(size=28), performance=z
        )
        found.append(
            find(agreement(rows, advantages, num_resamples=300), "retained", "performance")["p_value"]
        )
    assert np.mean(np.array(found) <= 0.05) > 0.9


def test_interval_is_a_plain_bootstrap(rng):
    x = rng.normal(size=10)
    advantages = (x + rng.normal(size=10))[:, None] + 2.0 * rng.normal(size=(10, 12))
    rows = [{"retained": a, "advantage": m} for a, m in zip(x, advantages.mean(axis=1), strict=True)]
    found = find(agreement(rows, advantages, level=0.8, num_resamples=4000), "retained")
    taus = []
    for _ in range(4000):
        models, picks = rng.integers(12, size=12), rng.integers(10, size=10)
        taus.append(stats.kendalltau(x[picks], advantages[picks][:, models].mean(axis=1)).statistic)
    np.testing.assert_allclose([found["lower"], found["upper"]], np.quantile(taus, [0.1, 0.9]), atol=0.04)
    wider = find(agreement(rows, advantages, level=0.95, num_resamples=1000), "retained")
    assert wider["lower"] < found["lower"] <= found["tau"] <= found["upper"] < wider["upper"]


def test_missing_values_take_no_part(rng):
    advantage, retained = rng.normal(size=(2, 7))
    rows, advantages = made(rng, 7, advantage=advantage, retained=retained, performance=-advantage)
    rows[2]["retained"], rows[5]["retained"] = None, float("nan")
    found = agreement(rows, advantages, num_resamples=50)
    keep = [0, 1, 3, 4, 6]
    some = find(found, "retained")
    assert some["quantizers"] == 5
    assert some["tau"] == pytest.approx(stats.kendalltau(retained[keep], advantage[keep]).statistic)
    # Nothing is left of any agreement once performance orders the advantage fully, nor of performance given itself.
    assert {(f["indicator"], f["given"]) for f in found} == {("retained", ""), ("performance", "")}
    for row in rows[:2]:
        row["retained"] = None
    assert {f["indicator"] for f in agreement(rows, advantages, num_resamples=50)} == {"performance"}
