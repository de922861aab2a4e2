import itertools
import math

import numpy as np
import pytest
from scipy.optimize import linprog
from scipy.stats import norm

from mis.numerics.checks import InvalidInput
from mis.theory.roc import Roc


@pytest.fixture
def laws(rng):
    members, others = rng.dirichlet(np.ones(7), size=2)
    members[2], others[5] = 0, 0
    return members / members.sum(), others / others.sum()


@pytest.mark.parametrize("fpr", [0.0, 1e-3, 0.1, 0.35, 0.8, 1.0])
def test_tpr_is_the_linear_programme_of_neyman_and_pearson(laws, fpr):
    members, others = laws
    best = linprog(-members, A_ub=others[None], b_ub=[fpr], bounds=(0, 1))
    assert Roc.discrete(members, others).tpr(fpr).value == pytest.approx(-best.fun, abs=1e-12)


@pytest.mark.parametrize("epsilon", [-2.0, -0.3, 0.0, 0.7, 3.0])
def test_hockey_stick_is_the_best_of_all_tests(laws, epsilon):
    members, others = laws
    best = max(
        np.dot(test, members) - np.exp(epsilon) * np.dot(test, others)
        for test in itertools.product([0, 1], repeat=len(members))
    )
    assert Roc.discrete(members, others).hockey_stick(epsilon).value == pytest.approx(best, abs=1e-14)


def test_membership_game_glues_the_curves_of_each_example(rng):
    """Rows z, columns codes: the threshold is common to all z, so the mean of the rows at one fpr is less."""
    given, prob = rng.dirichlet(np.ones(4), size=3), np.array([0.2, 0.3, 0.5])
    code = prob @ given
    roc = Roc.discrete(prob[:, None] * given, prob[:, None] * code)
    assert roc.advantage().value == pytest.approx(0.5 * prob @ np.abs(given - code).sum(1), abs=1e-15)
    separate = sum(p * Roc.discrete(row, code).tpr(0.1).value for p, row in zip(prob, given, strict=True))
    assert roc.tpr(0.1).value > separate


def test_bounds_of_the_gaussian_shift_enclose_it_at_every_point():
    """Merging cells bounds from below; giving each cell its end points, masses kept, from above."""
    edges, mu = np.linspace(-7, 7, 400), 1.0
    others, members = (
        np.where(e[:-1] < 0, np.diff(norm.cdf(e)), -np.diff(norm.sf(e))) for e in (edges, edges - mu)
    )
    ratio = np.exp(mu * edges - mu**2 / 2)
    share = (members / others - ratio[:-1]) / np.diff(ratio)
    split = np.concatenate([others * share, others * (1 - share)])
    rise = np.concatenate([ratio[1:], ratio[:-1]]) * split
    order = np.argsort(-rise / split)
    roc = Roc(
        lower=(members[::-1], others[::-1]), upper=(rise[order], split[order]), slack=2e-9, kind="certified"
    )
    fpr = np.concatenate([[0], np.geomspace(1e-9, 1, 500)])
    low, high = roc.bounds(fpr)
    truth = norm.cdf(mu + norm.ppf(fpr))
    assert (low <= truth).all()
    assert (truth <= high).all()
    assert (high - low).max() < 2e-3
    assert (np.diff(np.diff(high) / np.diff(fpr)) < 1e-9).all()
    for epsilon in (-1.0, 0.0, 0.5, 2.0):
        bounds = roc.hockey_stick(epsilon)
        exact = norm.cdf(mu / 2 - epsilon / mu) - np.exp(epsilon) * norm.cdf(-mu / 2 - epsilon / mu)
        assert bounds.lower <= exact <= bounds.upper
        assert bounds.kind == "certified"


def test_gain_and_delta_are_hockey_sticks(laws):
    members, others = laws
    roc = Roc.discrete(members, others)
    assert roc.gain(prior=0.1, cost=3.0).value == pytest.approx(roc.hockey_stick(np.log(27)).value, abs=1e-14)
    assert roc.gain().value == roc.advantage().value
    back = Roc.discrete(others, members)
    for epsilon in (0.0, 0.4, 2.0):
        want = max(roc.hockey_stick(epsilon).value, back.hockey_stick(epsilon).value)
        assert roc.delta(epsilon).value == pytest.approx(want, abs=1e-13)
        assert back.delta(epsilon).value == pytest.approx(want, abs=1e-13)


def test_equal_laws_leak_nothing_and_disjoint_laws_everything():
    same = Roc.discrete([0.5, 0.5], [0.5, 0.5])
    assert (same.advantage().lower, same.tpr(0.3).lower) == (0.0, 0.3)
    assert same.advantage().upper < 1e-14
    assert same.tpr(0.3).upper < 0.3 + 1e-14
    apart = Roc.discrete([1.0, 0.0], [0.0, 1.0])
    assert (apart.advantage().upper, apart.tpr(0.0).upper) == (1.0, 1.0)
    assert min(apart.advantage().lower, apart.tpr(0.0).lower) > 1 - 1e-14


def test_the_slack_of_atoms_covers_the_rounding_of_their_sums(rng):
    members, others = (x / x.sum() for x in rng.exponential(size=(2, 10_000)))
    roc, order = Roc.discrete(members, others), np.argsort(others / members)
    for k in (1, 100, 5000, 9999):
        fpr, tpr = (math.fsum(x[order[:k]]) for x in (others, members))
        assert roc.tpr(fpr).lower <= tpr <= roc.tpr(fpr).upper
    truth = math.fsum(np.maximum(members - others, 0))
    assert roc.advantage().lower <= truth <= roc.advantage().upper
    assert 0 < roc.advantage().width < 1e-11


def test_slack_widens_but_not_beyond_chance_or_certainty():
    atoms = (np.array([0.5, 0.5]), np.array([0.25, 0.75]))
    roc = Roc(lower=atoms, upper=atoms, slack=0.1, kind="certified")
    at_zero = roc.tpr(0.0)
    assert (at_zero.lower, at_zero.upper) == (0.0, 0.1)
    assert (roc.tpr(0.25).lower, roc.tpr(0.25).upper) == (0.4, 0.6)
    assert roc.tpr(1.0).upper == 1.0
    assert roc.tpr(1.0).lower == 1.0
    assert (roc.advantage().lower, roc.advantage().upper) == (0.15, 0.35)


@pytest.mark.parametrize(
    ("members", "others", "message"),
    [
        ([0.5, 0.6], [0.5, 0.5], "expected members non-negative and summing to 1"),
        ([0.5, 0.5], [1.5, -0.5], "expected others non-negative and summing to 1"),
        ([0.5, 0.5], [[0.5, 0.5]], "expected others of shape"),
        ([0.5, np.nan], [0.5, 0.5], "expected members finite"),
    ],
)
def test_refuses_what_is_no_pair_of_laws(members, others, message):
    with pytest.raises(InvalidInput, match=message):
        Roc.discrete(members, others)


def test_refuses_a_negative_error():
    with pytest.raises(InvalidInput, match=r"Roc\.discrete: expected error >= 0, got error=-0\.1"):
        Roc.discrete([1.0], [1.0], error=-0.1)


def test_refuses_rates_and_priors_outside_their_range(laws):
    roc = Roc.discrete(*laws)
    with pytest.raises(InvalidInput, match=r"Roc.tpr: expected fpr in \[0, 1\], got fpr=1.5"):
        roc.tpr(1.5)
    with pytest.raises(InvalidInput, match=r"Roc.bounds: expected fpr in \[0, 1\], got fpr=\(-1.0, 2.0\)"):
        roc.bounds([-1, 2])
    with pytest.raises(InvalidInput, match=r"Roc\.bounds: expected fpr finite"):
        roc.bounds(np.nan)
    with pytest.raises(InvalidInput, match=r"Roc\.delta: expected epsilon >= 0, got epsilon=-1"):
        roc.delta(-1)
    with pytest.raises(InvalidInput, match=r"Roc.gain: expected prior a finite number > 0 and < 1"):
        roc.gain(prior=1.0)
    with pytest.raises(InvalidInput, match=r"Roc.gain: expected cost a finite number > 0"):
        roc.gain(cost=0.0)
    with pytest.raises(InvalidInput, match=r"Roc.delta: expected epsilon"):
        roc.delta(-1.0)
