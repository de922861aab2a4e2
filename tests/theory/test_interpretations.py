"""Advantage read as differential privacy and as Bayes security, on mechanisms whose answers are known."""

import math

import mpmath
import numpy as np
import pytest
from scipy import optimize, stats

from mis.numerics.checks import InvalidInput
from mis.results import Interval
from mis.theory.interpretations import bayes_security, implied_epsilon, private_advantage
from mis.theory.limits import enumerate_learner
from mis.theory.roc import Roc


def exactly(value, **options):
    return Interval(lower=value, value=value, upper=value, **{"kind": "exact"} | options)


@pytest.mark.parametrize("epsilon", [0.0, 0.1, 1.0, 4.0])
@pytest.mark.parametrize("delta", [0.0, 0.05, 0.5, 1.0])
def test_private_advantage_is_the_largest_there_is(epsilon, delta):
    """Linear program over pairs of laws on four points, indistinguishable both ways."""
    # p (4), q (4), then the excesses p - e^eps q and q - e^eps p above 0, each at most delta in sum.
    e, eye, zero = math.exp(epsilon), np.eye(4), np.zeros((4, 4))
    excess = np.block([[eye, -e * eye, -eye, zero], [-e * eye, eye, zero, -eye]])
    sums = np.kron([[0, 0, 1, 0], [0, 0, 0, 1]], np.ones(4))
    best = max(
        -optimize.linprog(
            -np.concatenate([side, -np.asarray(side), np.zeros(8)]),
            A_ub=np.vstack([excess, sums]),
            b_ub=[0.0] * 8 + [delta] * 2,
            A_eq=np.kron([[1, 0, 0, 0], [0, 1, 0, 0]], np.ones(4)),
            b_eq=[1.0, 1.0],
        ).fun
        for side in ([1, 0, 0, 0], [1, 1, 0, 0])
    )
    assert private_advantage(epsilon, delta).value == pytest.approx(best, abs=1e-9)


@pytest.mark.parametrize("epsilon", [0.0, 1e-9, 0.3, 2.0, 40.0, 800.0])
@pytest.mark.parametrize("delta", [0.0, 1e-5, 0.3, 1.0])
def test_private_advantage_is_an_upper_bound_with_its_rounding(epsilon, delta):
    found = private_advantage(epsilon, delta)
    assert (found.kind, found.lower, found.level) == ("certified", 0.0, 1.0)
    # In forty digits: only the exponential is not rational.
    with mpmath.workdps(400):
        power = mpmath.exp(epsilon)
        truth = (power - 1 + 2 * mpmath.mpf(delta)) / (power + 1)
        assert truth <= found.upper <= 1.0
        assert found.upper <= truth * (1 + mpmath.mpf(2e-15))


def test_mis_is_at_least_one_minus_delta():
    assert private_advantage(0.0, 0.125).value == 0.125


def test_private_advantage_at_any_epsilon():
    assert private_advantage(800.0).value == 1.0
    assert private_advantage(1e-9).value == pytest.approx(5e-10, rel=1e-12, abs=0)


def test_randomised_response_on_the_counts_stays_below():
    """Each bit is flipped with probability f before the learner counts them: epsilon = log((1-f)/f), any
    n."""
    flip = 0.3
    epsilon = math.log((1 - flip) / flip)
    for n in (1, 2, 5, 20):
        # Joint law of the true z_1 and the count of reported ones, z uniform.
        counts = np.arange(n + 1)
        with_own = [stats.binom.pmf(counts - reported, n - 1, 0.5) for reported in (0, 1)]
        members = [0.5 * (own * with_own[1] + (1 - own) * with_own[0]) for own in (flip, 1 - flip)]
        others = [0.5 * stats.binom.pmf(counts, n, 0.5)] * 2
        advantage = np.abs(np.array(members) - others).sum() / 2
        assert advantage <= private_advantage(epsilon).value * (1 + 1e-12)
        if n == 1:
            assert advantage == pytest.approx(private_advantage(epsilon).value / 2, rel=1e-12, abs=0)


@pytest.mark.parametrize("epsilon", [0.01, 1.0, 5.0])
@pytest.mark.parametrize("delta", [0.0, 0.01, 0.3])
def test_implied_epsilon_undoes_private_advantage(epsilon, delta):
    advantage = exactly(private_advantage(epsilon, delta).value)
    assert implied_epsilon(advantage, delta).value == pytest.approx(epsilon, rel=1e-9, abs=0)


def test_implied_epsilon_of_an_interval():
    attack = Interval(lower=0.05, value=0.2, upper=1.0, kind="attack", level=0.95)
    implied = implied_epsilon(attack, 0.1)
    assert implied.lower == 0.0
    assert implied.value == pytest.approx(math.log((1 + 0.2 - 0.2) / 0.8))
    assert implied.upper == math.inf
    assert (implied.kind, implied.level) == ("attack", 0.95)


@pytest.fixture
def roc():
    return enumerate_learner(lambda counts: int(counts[0] // 2), [0.5, 0.3, 0.2], 4).roc()


@pytest.mark.parametrize("prior", [0.02, 0.3, 0.5, 0.6, 0.97])
def test_bayes_security_is_the_error_of_the_best_guess(prior):
    rng = np.random.default_rng(9)
    members, others = rng.dirichlet(np.ones(6), size=2)
    best_error = np.minimum(prior * members, (1 - prior) * others).sum()
    security = bayes_security(Roc.discrete(members=members, others=others), prior)
    assert security.value == pytest.approx(best_error / min(prior, 1 - prior), rel=1e-9, abs=0)
    assert security.kind == "exact"


def test_bayes_security_is_least_at_one_half_where_it_is_mis(roc):
    securities = [bayes_security(roc, prior).value for prior in np.linspace(0.05, 0.95, 19)]
    assert int(np.argmin(securities)) == 9
    assert securities[9] == pytest.approx(1 - roc.advantage().value, abs=1e-12)


def test_bayes_security_keeps_bounds_in_order():
    from mis.theory.full_precision import full_precision_mean

    exact = full_precision_mean(3, 40)
    security = bayes_security(exact.roc())
    assert security.kind == "certified"
    assert security.lower <= 1 - exact.value <= security.upper


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda _: private_advantage(-1.0),
            "theory.private_advantage: expected epsilon >= 0, got epsilon=-1.0",
        ),
        (
            lambda _: private_advantage(math.inf),
            "theory.private_advantage: expected epsilon a finite number",
        ),
        (lambda _: private_advantage(1.0, 1.5), r"expected delta in 0\.\.1, got delta=1\.5"),
        (lambda _: implied_epsilon(exactly(0.5), -0.1), r"theory.implied_epsilon: expected delta in 0\.\.1"),
        (lambda _: implied_epsilon(0.5), r"expected advantage an Interval within 0\.\.1, got advantage=0\.5"),
        (lambda _: implied_epsilon(exactly(1.5)), r"expected advantage an Interval within 0\.\.1"),
        (
            lambda _: bayes_security(None),
            "expected roc a Roc, as .roc\\(\\) of an Interval returns it, got roc=None",
        ),
        (
            lambda roc: bayes_security(roc, 0.0),
            "theory.bayes_security: expected prior a finite number > 0 and < 1",
        ),
        (
            lambda roc: bayes_security(roc, 1.0),
            "theory.bayes_security: expected prior a finite number > 0 and < 1",
        ),
    ],
)
def test_refuses(call, message, roc):
    with pytest.raises(InvalidInput, match=message):
        call(roc)
