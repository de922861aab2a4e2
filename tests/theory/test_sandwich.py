"""The sandwich, against statsmodels and against refits."""

import numpy as np
import pytest
import statsmodels.api as sm

from mis.numerics.checks import InvalidInput
from mis.theory.sandwich import sandwich


def test_sandwich_is_the_robust_covariance_of_statsmodels(rng):
    x = rng.standard_normal((400, 3))
    y = x @ [1.0, -0.5, 0.2] + rng.standard_normal(400) * np.exp(0.5 * x[:, 0])
    fit = sm.OLS(y, x).fit(cov_type="HC0")
    found = sandwich(-x * fit.resid[:, None], x.T @ x / 400)
    np.testing.assert_allclose(found.covariance / 400, fit.cov_params(), rtol=1e-9)


def test_sandwich_of_logistic_regression(rng):
    x = rng.standard_normal((500, 3))
    y = (rng.random(500) < 1 / (1 + np.exp(-x @ [1.0, -0.5, 0.2]))).astype(float)
    fit = sm.Logit(y, x).fit(disp=0, cov_type="HC0")
    prob = fit.predict()
    found = sandwich(-x * (y - prob)[:, None], (x * (prob * (1 - prob))[:, None]).T @ x / 500)
    np.testing.assert_allclose(found.covariance / 500, fit.cov_params(), rtol=1e-6)


def test_influence_is_the_effect_of_one_more_example(rng):
    """The change of a ridge fit when one example gets a little more weight, by refitting."""
    x, damping, eps = rng.standard_normal((60, 3)), 0.3, 1e-6
    y = x @ [1.0, 2.0, -1.0] + rng.standard_normal(60)

    def fit(weights):
        return np.linalg.solve(
            (x * weights[:, None]).T @ x / 60 + damping * np.eye(3), x.T @ (weights * y) / 60
        )

    theta = fit(np.ones(60))
    # The penalty is part of the loss; its gradient is the same for all examples, so centring takes it out.
    found = sandwich(-x * (y - x @ theta)[:, None], x.T @ x / 60, damping=damping).influence
    for i in (0, 17):
        more = np.full(60, 1 - eps)
        more[i] += 60 * eps
        expected = (fit(more) - theta) / eps
        gradient = -x[i] * (y[i] - x[i] @ theta) + damping * theta
        np.testing.assert_allclose(found[i], expected, rtol=1e-3, atol=1e-3 * np.abs(gradient).max())


def test_diagonal_sandwich(rng):
    gradients = rng.standard_normal((50, 4))
    found = sandwich(gradients, np.arange(1.0, 5), damping=0.5)
    full = sandwich(gradients, np.diag(np.arange(1.0, 5)), damping=0.5)
    np.testing.assert_allclose(found.influence, full.influence, rtol=1e-12)
    np.testing.assert_allclose(found.covariance, np.diag(full.covariance), rtol=1e-12)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (([[1.0, 2.0]], np.eye(3)), r"theory\.sandwich: expected hessian\.shape \(2, 2\) or \(2,\)"),
        (([[1.0], [2.0]], [[0.0]]), r"theory\.sandwich: expected hessian plus damping positive definite"),
        (([[1.0], [2.0]], [-1.0]), r"theory\.sandwich: expected hessian plus damping positive definite"),
    ],
)
def test_sandwich_refusals(arguments, message):
    with pytest.raises(InvalidInput, match=message):
        sandwich(*arguments)


def test_damping_is_not_negative():
    with pytest.raises(InvalidInput, match="expected damping >= 0, got damping=-1"):
        sandwich([[1.0], [2.0]], [[1.0]], damping=-1)
