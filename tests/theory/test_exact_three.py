"""Three normal candidates: certified bounds against two candidates, other orders, simulation, and SciPy."""

import itertools

import numpy as np
import pytest
from scipy import stats

from mis import theory
from mis.numerics.checks import UnsupportedSetting
from mis.theory.exact_three import GAP, bivariate_normal

MEAN, COV = np.array([0.0, 0.2, 0.35]), np.array([[0.2, 0.1, 0.0], [0.1, 1.0, 0.3], [0.0, 0.3, 1.5]])


@pytest.mark.parametrize("r", [-0.95, -0.3, 0.0, 0.6, 0.99])
def test_bivariate_normal_against_scipy(r):
    points = np.array(
        [[0.0, 0.0], [0.0, 1.0], [-1.0, 0.0], [1.0, 2.0], [-2.0, -3.0], [-4.0, 5.0], [2.0, -0.5]]
    )
    truth = stats.multivariate_normal([0, 0], [[1, r], [r, 1]]).cdf(points)
    assert bivariate_normal(points[:, 0], points[:, 1], r) == pytest.approx(truth, abs=1e-14)


@pytest.mark.parametrize(("delta", "n"), [(0.3, 10), (0.0, 30), (0.5, 50)])
def test_a_third_that_never_wins_leaves_the_pair(delta, n):
    truth = theory.exact(theory.GaussianLosses(mean=[0, delta], cov=np.diag([0.0, 1.0])), n).value
    result = theory.exact(theory.GaussianLosses(mean=[0, delta, 20.0], cov=np.diag([0.0, 1.0, 2.0])), n)
    assert result.kind == "certified"
    assert result.lower <= truth <= result.upper
    assert result.width <= GAP * truth + 2.1 * result.roc().slack


ORDERS = {2: [0, 1, 2], 12: [2, 0, 1], 60: [1, 2, 0]}


@pytest.mark.parametrize(
    ("order", "n"),
    [
        pytest.param(order, n, marks=() if order == ORDERS[n] else pytest.mark.slow)
        for order, n in itertools.product(ORDERS.values(), ORDERS)
    ],
)
def test_against_simulation_in_every_order(order, n):
    law = theory.GaussianLosses(mean=MEAN[order], cov=COV[np.ix_(order, order)])
    result = theory.exact(law, n)
    simulated = theory.simulate(0, law, n, 8000)
    slack = 5 * simulated.details["standard_error"]
    assert result.lower - slack <= simulated.value <= result.upper + slack
    assert result.width <= GAP * result.value + 2.1 * result.roc().slack
    advantage = result.roc().advantage()
    assert (advantage.lower, advantage.upper) == (result.lower, result.upper)


@pytest.mark.parametrize("num_laws", [3, pytest.param(60, marks=pytest.mark.slow)])
def test_random_laws_are_bounded_as_closely_as_is_said(sweep_seed, num_laws):
    for i in range(num_laws):
        rng = np.random.default_rng([sweep_seed, i])
        root, n = rng.normal(size=(3, 3)), int(rng.choice([2, 2, 3, 5, 20]))
        law = theory.GaussianLosses(mean=rng.normal(size=3) * rng.choice([0.05, 0.5]), cov=root @ root.T)
        try:
            result = theory.exact(law, n)
        except UnsupportedSetting:
            continue
        assert result.width <= GAP * result.value + 2.1 * result.roc().slack, (sweep_seed, i)
        simulated = theory.simulate(0, law, n, 20_000)
        slack = 5 * simulated.details["standard_error"] + simulated.width / 2
        assert result.lower - slack <= simulated.value <= result.upper + slack, (sweep_seed, i)


def test_covariances_that_all_but_cancel_widen_the_bounds():
    # The same three candidates beside a loss that all of them share.
    cov = np.pad(COV[1:, 1:], ((1, 0), (1, 0)))
    apart = theory.exact(theory.GaussianLosses(mean=MEAN, cov=cov), 5)
    for shared, more in ((1e2, 0.0), (1e6, 1e-11), (1e10, 1e-7)):
        together = theory.exact(theory.GaussianLosses(mean=MEAN, cov=cov + shared), 5)
        assert together.lower <= apart.upper
        assert together.upper >= apart.lower
        assert together.roc().slack >= apart.roc().slack + more


def test_a_discretised_law_stays_inside():
    # The law of 5 x 5 Gauss-Hermite atoms has the same first nine moments: close to, not equal to the normal
    # law.
    nodes, weights = np.polynomial.hermite_e.hermegauss(5)
    root = np.linalg.cholesky(COV[1:, 1:])
    z = np.stack(np.meshgrid(nodes, nodes), -1).reshape(-1, 2) @ root.T + MEAN[1:]
    probs = np.outer(weights, weights).ravel() / weights.sum() ** 2
    atoms = theory.DiscreteLosses(losses=np.column_stack([np.zeros(25), z]).T, probs=probs)
    law = theory.GaussianLosses(mean=MEAN, cov=np.pad(COV[1:, 1:], ((1, 0), (1, 0))))
    assert theory.simulate(0, atoms, 40, 20_000).value == pytest.approx(
        theory.exact(law, 40).value, rel=0.05, abs=0
    )


@pytest.mark.parametrize(
    ("mean", "cov", "n", "reason"),
    [
        (MEAN, COV, 1, "three normal candidates need n > 1"),
        ([0.0, 0.2, 0.2], [[0, 0, 0], [0, 1, 1], [0, 1, 1]], 5, "correlated beyond 0.99 or constant"),
        ([0.0, 1.0, 1.5], np.eye(3), 500, "certified down to 1e-06"),
        (np.arange(4.0), np.eye(4), 5, "orthant probabilities of 4 candidates come without a guarantee"),
    ],
)
def test_refuses(mean, cov, n, reason):
    with pytest.raises(UnsupportedSetting, match=f"theory.exact: .*{reason}"):
        theory.exact(theory.GaussianLosses(mean=mean, cov=cov), n)
