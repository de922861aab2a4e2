"""Tests of `attacks.linear_limit`: what more shadow models would bring, told from few."""

from dataclasses import replace

import numpy as np
import pytest
from scipy import special, stats

from mis.attacks import LinearLimit, linear_limit
from mis.numerics.checks import InvalidInput


def draw(rng, shifts, num_networks):
    """Membership, and parameters that are correlated normal plus the shifts of the members."""
    num, dim = shifts.shape
    # The same law in every test: only what is drawn from it differs.
    mixing = np.random.default_rng(7).standard_normal((dim, dim)) / np.sqrt(dim) + np.eye(dim)
    membership = rng.random((num_networks, num)) < 0.5
    noise = rng.standard_normal((num_networks, dim)) @ mixing.T
    return noise + membership @ shifts, membership, mixing @ mixing.T


def optimal(shifts, noise):
    """Advantage at each example of the best attack that knows the law: normal, the other members' shifts included."""
    covariance = noise + shifts.T @ shifts / 4.0
    found = []
    for shift in shifts:
        within = covariance - np.outer(shift, shift) / 4.0
        found.append(special.erf(np.sqrt(shift @ np.linalg.solve(within, shift) / 8.0)))
    return np.array(found)


@pytest.mark.parametrize("num_networks", [60, 200, 1000])
def test_few_models_tell_the_limit_without_bias(num_networks):
    # Thirty directions: from sixty models, least squares finds no attack to speak of.
    rng = np.random.default_rng(0)
    shifts = 0.5 * np.random.default_rng(1).standard_normal((60, 30))
    found = []
    for _ in range(40):
        params, membership, noise = draw(rng, shifts, num_networks)
        found.append(linear_limit(params, membership).advantage)
    values = np.array([interval.value for interval in found])
    truth = optimal(shifts, noise).mean()
    error = values.std(ddof=1) / np.sqrt(len(values))
    # The beta law of the shares and the curvature of the advantage: a bias of a hundredth at most.
    assert abs(values.mean() - truth) < 5 * error + 0.01
    covered = np.mean([interval.lower <= truth <= interval.upper for interval in found])
    assert covered >= 0.9


def test_the_raw_share_would_be_far_off():
    # What the adjustment is for: with 60 models and 30 directions noise alone explains half of the variance.
    rng = np.random.default_rng(3)
    params, membership = rng.standard_normal((60, 30)), rng.random((60, 200)) < 0.5
    limit = linear_limit(params, membership)
    assert abs(limit.explained) < 0.05
    # And the examples' estimates differ by 0.18 where their truths do not.
    assert limit.spread < 0.09


@pytest.mark.parametrize("num_shadows", [60, 120, 1000])
def test_the_price_of_few_shadows(num_shadows):
    # The attack itself: least squares on the shadows, scored on models it has not seen.
    rng = np.random.default_rng(4)
    shifts = 0.5 * np.random.default_rng(1).standard_normal((60, 30))
    params, membership, _ = draw(rng, shifts, 4000)
    expected = linear_limit(params, membership).with_shadows(num_shadows).value
    found = []
    for _ in range(20):
        shadows, inside, _ = draw(rng, shifts, num_shadows)
        mean, share = shadows.mean(axis=0), inside.mean(axis=0)
        coefficients = np.linalg.lstsq(shadows - mean, inside - share, rcond=None)[0]
        called = (params - mean) @ coefficients > 0.5 - share
        found.append(called[membership].mean() - called[~membership].mean())
    error = np.std(found, ddof=1) / np.sqrt(len(found))
    assert abs(np.mean(found) - expected) < 5 * error + 0.01


def test_more_shadows_bring_more_and_all_bring_the_limit():
    rng = np.random.default_rng(5)
    shifts = rng.standard_normal((10, 8))
    params, membership, _ = draw(rng, shifts, 500)
    limit = linear_limit(params, membership)
    values = [limit.with_shadows(m).value for m in (9, 20, 100, 1000, 10**9)]
    assert values == sorted(values)
    assert values[-1] == pytest.approx(limit.advantage.value, abs=1e-6)
    assert limit.advantage.kind == "asymptotic"


def test_collinear_and_constant_columns_do_no_harm():
    rng = np.random.default_rng(6)
    params, membership, _ = draw(rng, rng.standard_normal((5, 4)), 300)
    # As sign releases them: one scale for all weights that keep their sign, in single precision.
    scale = rng.random((300, 1)).astype(np.float32)
    wide = np.hstack([params, scale, scale, -scale, np.full((300, 2), 0.1)])
    alone, among = linear_limit(np.hstack([params, scale]), membership), linear_limit(wide, membership)
    assert among.rank == alone.rank == 5
    assert among.explained == pytest.approx(alone.explained, rel=1e-9)


def test_one_example_one_weight():
    # mu = 1: R² = mu² / (4 + mu²) = 1/5.
    rng = np.random.default_rng(8)
    member = rng.random((200_000, 1)) < 0.5
    limit = linear_limit(member + rng.standard_normal(member.shape), member)
    assert limit.explained == pytest.approx(0.2, abs=0.01)
    assert limit.advantage.value == pytest.approx(2 * stats.norm.cdf(0.5) - 1, abs=0.01)


def test_one_example_among_many_that_leak_nothing():
    # Shares of nearly 0 and of nearly 1: the mean advantage is the share of examples that are told for sure.
    rng = np.random.default_rng(10)
    shifts = np.zeros((50, 5))
    shifts[0, 0] = 20.0
    params, membership, noise = draw(rng, shifts, 400)
    limit = linear_limit(params, membership)
    truth = optimal(shifts, noise).mean()
    assert truth == pytest.approx(0.02, abs=1e-3)
    for interval in (limit.advantage, limit.with_shadows(100)):
        assert 0.0 <= interval.lower <= interval.value <= interval.upper <= 1.0
        assert interval.value == pytest.approx(truth, abs=0.01)


@pytest.mark.parametrize("spread", [0.0, 0.01, 0.06, 0.3])
@pytest.mark.parametrize("explained", [-0.01, 0.0, 0.002, 0.005, 0.1, 0.5, 0.999])
def test_every_limit_lies_between_its_ends(explained, spread):
    for num_examples in (1, 2, 400):
        limit = LinearLimit(
            explained=explained,
            spread=spread,
            rank=20,
            num_networks=100,
            num_examples=num_examples,
            level=0.95,
        )
        for interval in (limit.advantage, limit.with_shadows(21), limit.with_shadows(1000)):
            assert 0.0 <= interval.lower <= interval.value <= interval.upper <= 1.0
        assert limit.with_shadows(1000).value <= limit.advantage.value + 1e-12


@pytest.mark.parametrize("explained", [-0.2, 0.0, 0.05, 0.4, 0.9, 1.0])
@pytest.mark.parametrize(("num_examples", "spread"), [(1, 0.0), (2, 0.1), (3, 0.0), (300, 0.2)])
def test_ends_are_where_the_share_is_just_not_excluded(explained, num_examples, spread):
    """The same inequality on a grid of shares."""
    limit = LinearLimit(
        explained=explained, spread=spread, rank=4, num_networks=40, num_examples=num_examples, level=0.9
    )
    t = stats.t.isf(0.05, num_examples - 1 if num_examples > 1 else 35)
    grid = np.linspace(0.0, 1.0, 100_001)
    variance = (1 - grid) ** 2 * (4 * grid + 2 * 4 / 41) / 35
    inside = grid[np.abs(grid - explained) <= t * np.sqrt((spread**2 + variance) / num_examples)]
    value = min(max(explained, 0.0), 1.0)
    expected = min(inside.min(initial=value), value), max(inside.max(initial=value), value)
    np.testing.assert_allclose(limit.mean_shares(), expected, atol=1.1e-5)


@pytest.mark.parametrize("shift", [0.3, 1.0, 3.0])
def test_one_example_is_covered(shift, sweep_seed):
    """Few models, one weight: an error taken at the estimate covered .87."""
    rng, repetitions = np.random.default_rng(sweep_seed), 400
    inside = []
    for _ in range(repetitions):
        params, membership, noise = draw(rng, np.array([[shift]]), 30)
        interval = linear_limit(params, membership).advantage
        inside.append(interval.lower <= optimal(np.array([[shift]]), noise).mean() <= interval.upper)
    assert np.mean(inside) >= 0.95 - 3 * np.sqrt(0.95 * 0.05 / repetitions)


@pytest.mark.parametrize("num", [2, 3, 5])
def test_few_examples_cover_their_law(num, sweep_seed):
    """A normal quantile of what two or three examples differ by covered .7 and .8."""
    rng, repetitions = np.random.default_rng(sweep_seed), 200
    limits, truths = [], []
    for _ in range(repetitions):
        shifts = 1.5 * rng.standard_normal((num, 1)) * np.array([[1.0, 0.5]])
        params, membership, noise = draw(rng, shifts, 100)
        limits.append(linear_limit(params, membership))
        truths.append(optimal(shifts, noise).mean())
    for level in (0.8, 0.95):
        intervals = [replace(limit, level=level).advantage for limit in limits]
        inside = [interval.lower <= np.mean(truths) <= interval.upper for interval in intervals]
        assert np.mean(inside) >= level - 3 * np.sqrt(level * (1 - level) / repetitions)


@pytest.mark.parametrize(
    ("params", "membership", "message"),
    [
        (np.zeros((4, 2, 2)), np.eye(4, dtype=bool), "params with 2 axes"),
        (np.full((4, 2), np.nan), np.eye(4, dtype=bool), "params"),
        (np.zeros((4, 2)), np.eye(3, dtype=bool), r"membership.shape \(4, N\)"),
        (np.zeros((4, 2)), np.full((4, 1), 2), "membership boolean"),
        (np.zeros((4, 2)), np.array([[1, 0], [1, 1], [1, 0], [1, 1]]), "example 0 is not"),
        (np.random.default_rng(0).random((4, 5)), np.eye(4, dtype=bool), "more models than directions"),
    ],
)
def test_what_cannot_be_told_is_refused(params, membership, message):
    with pytest.raises(InvalidInput, match=message):
        linear_limit(params, membership)


def test_parameters_that_do_not_vary_leak_nothing():
    limit = linear_limit(np.ones((20, 3)), np.arange(20)[:, None] % 2 == 0)
    assert (limit.rank, limit.advantage.value) == (0, 0.0)


def test_too_few_shadows_are_refused():
    rng = np.random.default_rng(9)
    params, membership, _ = draw(rng, rng.standard_normal((5, 4)), 100)
    with pytest.raises(InvalidInput, match=r"num_shadows an integer >= 5, got num_shadows=4"):
        linear_limit(params, membership).with_shadows(4)
