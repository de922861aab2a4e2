import itertools

import numpy as np
import pytest
from scipy import stats

from mis.numerics.checks import InvalidInput
from mis.ranking import agreement, kendall, partial
from mis.ranking.agreement import INDICATORS, tau_limits


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
        {"release": f"q{q}"} | {name: float(values[q]) for name, values in columns.items()}
        for q in range(num)
    ]
    noise = rng.normal(size=(num, models))
    return rows, columns["advantage"][:, None] + noise - noise.mean(axis=1, keepdims=True)


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


def normal_points(rng, tau, *shape):
    """Pairs of columns whose law has this tau: Kruskal's rho = sin(pi tau / 2)."""
    x, z = rng.normal(size=(2, *shape))
    return x, np.sin(np.pi * tau / 2) * x + np.cos(np.pi * tau / 2) * z


@pytest.mark.parametrize("count", [4, 9, 12])
def test_limits_are_where_the_sample_would_be_unlikely(count, rng):
    """At each limit a sample this far off or further has half the error, by drawing it."""
    pairs, draws, level = count * (count - 1) // 2, 20_000, 0.9
    for least in (pairs // 2, pairs - 2):
        tau = 2 * least / pairs - 1
        lower, upper = tau_limits(tau, tau, count, level)
        for limit, side in ((lower, 1), (upper, -1)):
            found = kendall(*normal_points(rng, limit, draws, count))
            share = np.mean(side * found >= side * tau - 1e-9)
            # Both the law of the limit and this share are simulated.
            assert abs(share - 0.05) < 5 * np.sqrt(0.05 * 0.95 * (1 / draws + 1 / 10_000))


def test_a_perfect_order_of_few_has_an_interval_with_width(rng):
    advantage = np.arange(9.0)
    rows, advantages = made(rng, advantage=advantage, retained=advantage, weight_error=advantage + 1.0)
    found = agreement(rows, advantages, num_resamples=50)
    for name, tau in (("retained", 1.0), ("weight_error", -1.0)):
        one = find(found, name)
        assert one["tau"] == pytest.approx(tau)
        near, far = sorted([abs(one["lower"]), abs(one["upper"])])
        assert far == pytest.approx(1.0)
        # By drawing: nine normal points are in perfect order with probability 1/40 at the limit.
        share = np.mean(kendall(*normal_points(rng, near, 40_000, 9)) > 1 - 1e-9)
        assert share == pytest.approx(0.025, abs=5 * np.sqrt(0.025 * 0.975 * (1 / 40_000 + 1 / 10_000)))


@pytest.mark.parametrize("tau", [0.0, 0.5, 0.91, 0.97])
def test_intervals_cover_the_tau_of_the_law(tau, sweep_seed):
    """Nine quantizers: with normal copulas at the level, for others nearly; a bootstrap has .44 to .86 here."""
    rng, repetitions = np.random.default_rng(sweep_seed), 300
    for level in (0.8, 0.95):
        slack = 5 * np.sqrt(level * (1 - level) / repetitions)
        inside = []
        for _ in range(repetitions):
            x, y = normal_points(rng, tau, 9)
            rows, advantages = made(rng, models=2, advantage=y, retained=np.exp(x))
            found = find(agreement(rows, advantages, level=level, num_resamples=1), "retained")
            assert found["lower"] < found["upper"]
            inside.append(found["lower"] <= tau <= found["upper"])
        assert np.mean(inside) >= level - slack


@pytest.mark.parametrize(("third", "own"), [(0.0, 0.9), (0.5, 0.0), (0.9, 0.7), (0.9, 0.98)])
def test_intervals_cover_the_partial_tau_of_the_law(third, own, sweep_seed):
    """Trivariate normal: three taus by Kruskal's formula."""
    rng, repetitions, level = np.random.default_rng(sweep_seed), 300, 0.95
    z, e, f = rng.normal(size=(3, repetitions, 9))
    rest = np.sqrt(1 - third**2)
    x = third * z + rest * e
    y = third * z + rest * (own * e + np.sqrt(1 - own**2) * f)
    xy, xz = (2 / np.pi * np.arcsin(r) for r in (third**2 + rest**2 * own, third))
    truth = (xy - xz**2) / (1 - xz**2)
    inside = []
    for columns in zip(x, y, z, strict=True):
        rows, advantages = made(
            rng, models=2, **dict(zip(("retained", "advantage", "performance"), columns, strict=True))
        )
        found = [
            f
            for f in agreement(rows, advantages, level=level, num_resamples=1)
            if f["given"] == "performance"
        ]
        inside += [f["lower"] <= truth <= f["upper"] for f in found if f["indicator"] == "retained"]
    assert len(inside) > 0.9 * repetitions
    # Approximate: at worst .94.
    assert np.mean(inside) >= 0.94 - 5 * np.sqrt(level * (1 - level) / len(inside))


def test_ties_count_against_each_end(rng):
    """Broken one way or the other, they give a tau within, and the interval of each is within."""
    x, y = np.array([0.0, 0.0, 0.0, 1.0, 2.0, 3.0, 4.0]), rng.permutation(7).astype(float)
    rows, advantages = made(rng, 7, advantage=y, retained=x)
    tied = find(agreement(rows, advantages, num_resamples=50), "retained")
    for order in ([0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]):
        broken = x.copy()
        broken[:3] += 0.1 * np.array(order)
        one = stats.kendalltau(broken, y).statistic
        lower, upper = tau_limits(one, one, 7)
        assert tied["lower"] <= lower <= upper <= tied["upper"]


def test_full_precision_takes_no_part(rng):
    """It would flatter: the one point that every indicator places right."""
    advantage, retained = np.append(rng.normal(size=9), 9.0), np.append(rng.normal(size=9), 9.0)
    rows, advantages = made(rng, 10, advantage=advantage, retained=retained)
    rows[-1]["release"] = "full"
    found = find(agreement(rows, advantages, num_resamples=50), "retained")
    assert found["releases"] == 9
    assert found["tau"] == pytest.approx(stats.kendalltau(retained[:9], advantage[:9]).statistic)
    assert found["tau"] < stats.kendalltau(retained, advantage).statistic


def test_more_confidence_is_wider_and_what_draws_cannot_resolve_is_everything():
    ends = [tau_limits(0.5, 0.5, 9, level) for level in (0.5, 0.8, 0.95, 0.99, 1 - 1e-6, 1 - 1e-12)]
    assert all(a[0] > b[0] and a[1] < b[1] for a, b in itertools.pairwise(ends[:-1]))
    assert ends[-2] == ends[-1] == (-1.0, 1.0)
    with pytest.raises(InvalidInput, match=r"ranking\.tau_limits: expected level from 0.001 to 1 - 1e-12"):
        tau_limits(0.5, 0.5, 9, 0.9999999999999999)


def test_missing_values_take_no_part(rng):
    advantage, retained = rng.normal(size=(2, 7))
    rows, advantages = made(rng, 7, advantage=advantage, retained=retained, performance=-advantage)
    rows[2]["retained"], rows[5]["retained"] = None, float("nan")
    found = agreement(rows, advantages, num_resamples=50)
    keep = [0, 1, 3, 4, 6]
    some = find(found, "retained")
    assert some["releases"] == 5
    assert some["tau"] == pytest.approx(stats.kendalltau(retained[keep], advantage[keep]).statistic)
    # Nothing is left of any agreement once performance orders the advantage fully, nor of performance given itself.
    assert {(f["indicator"], f["given"]) for f in found} == {("retained", ""), ("performance", "")}
    for row in rows[:2]:
        row["retained"] = None
    assert {f["indicator"] for f in agreement(rows, advantages, num_resamples=50)} == {"performance"}


def test_full_precision_stopped_early_takes_no_part_either(rng):
    rows, advantages = made(rng, 10, advantage=rng.normal(size=10), retained=rng.normal(size=10))
    rows[0] |= {"release": "stop-150", "weight_error": 0.0}
    assert find(agreement(rows, advantages, num_resamples=50), "retained")["releases"] == 9
