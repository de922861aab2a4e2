import dataclasses
import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import statsmodels.api as sm
from scipy import optimize, special, stats

from mis.numerics.checks import InvalidInput
from mis.populations import Examples, FiniteSupport
from mis.training import NotConverged, Regression, refit, refit_weighted
from mis.training.refits import block_sizes, fit_drawn

LOSSES = {
    "linear": lambda eta, y: (eta - y) ** 2 / 2,
    "logistic": lambda eta, y: np.logaddexp(0, eta) - y * eta,
    "poisson": lambda eta, y: np.exp(eta) - y * eta,
}
TARGETS = {
    "linear": lambda rng, eta: eta + rng.normal(size=eta.shape),
    "logistic": lambda rng, eta: (rng.random(eta.shape) < special.expit(eta)).astype(float),
    "poisson": lambda rng, eta: rng.poisson(np.exp(eta)).astype(float),
}
ATOMS = FiniteSupport(
    atoms=[[1.0, 0.3], [1.0, -0.8], [0.4, 1.1], [-0.7, 0.2]], targets=[1, 0, 0, 1], probs=[0.4, 0.3, 0.2, 0.1]
)


@dataclasses.dataclass(frozen=True)
class Numbers:
    """A user's own sampler: standard normal targets on a constant feature."""

    def sample(self, key, n):
        return Examples(features=jnp.ones((n, 1)), targets=jax.random.normal(key, (n,)))


@dataclasses.dataclass(frozen=True)
class Slope:
    """Another: classes by whether a uniform number is below that of the feature."""

    def sample(self, key, n):
        x, u = jax.random.uniform(key, (2, n))
        return Examples(features=x[:, None], targets=u < x)


def minimiser(family, penalty, x, y, weights):
    """The same objective in float64 by SciPy, whose gradient is by finite differences of its own."""

    def objective(params):
        return np.average(LOSSES[family](x @ params, y), weights=weights) + penalty / 2 * params @ params

    return optimize.minimize(objective, np.zeros(x.shape[1]), method="BFGS", tol=1e-10).x


@pytest.mark.parametrize("family", LOSSES)
def test_minimises_the_weighted_loss(family, rng):
    x = rng.normal(size=(60, 4)).astype(np.float32)
    y = TARGETS[family](rng, x @ [0.5, -0.3, 0.2, 0.1])
    weights = rng.integers(0, 4, (7, 60))
    found = refit_weighted(Regression(family=family, penalty=0.3), x, y, weights)
    assert found.converged.all()
    for params, row in zip(found.params, weights, strict=True):
        np.testing.assert_allclose(params, minimiser(family, 0.3, x, y, row), atol=2e-5)


@pytest.mark.parametrize("family", LOSSES)
def test_agrees_with_statsmodels(family, rng):
    """Maximum likelihood, no penalty."""
    theirs = {"linear": "Gaussian", "logistic": "Binomial", "poisson": "Poisson"}[family]
    x = rng.normal(size=(300, 5)).astype(np.float32)
    y = TARGETS[family](rng, x @ np.full(5, 0.4))
    expected = sm.GLM(y, x, getattr(sm.families, theirs)()).fit(tol=1e-12).params
    found = refit_weighted(Regression(family=family, penalty=0.0), x, y, np.ones((1, 300)))
    np.testing.assert_allclose(found.params[0], expected, atol=1e-5)


def test_separable_classes_have_a_finite_answer_with_a_penalty_and_none_without():
    x, y = np.array([[1.0, 0.1], [2.0, -0.2], [-1.5, 0.0], [-0.5, 0.3]]), np.array([1.0, 1, 0, 0])
    clash = np.concatenate([x, x + 0.1]), np.concatenate([y, 1 - y])
    for penalty in (1e-4, 1e-2):
        found = refit_weighted(Regression(penalty=penalty), x, y, np.ones((1, 4)))
        assert found.converged.all()
        np.testing.assert_allclose(
            found.params[0], minimiser("logistic", penalty, x, y, np.ones(4)), rtol=1e-3
        )
    with pytest.warns(NotConverged, match="1 of 2 refits did not converge; see converged"):
        found = refit_weighted(Regression(penalty=0.0), *clash, [[1] * 4 + [0] * 4, [1] * 8])
    np.testing.assert_array_equal(found.converged, [False, True])


def test_too_few_steps_and_singular_samples_are_said(rng):
    x, y = rng.normal(size=(30, 3)), rng.integers(0, 2, 30)
    with pytest.warns(NotConverged, match="1 of 1"):
        refit_weighted(Regression(steps=1), x, y, np.ones((1, 30)))
    with pytest.warns(NotConverged, match="1 of 1"):
        refit_weighted(Regression(family="linear", penalty=0.0), x, y, np.eye(1, 30))


@pytest.mark.parametrize(
    ("family", "x", "y"),
    [
        ("poisson", [[4.0], [0.1], [-2.0]], [3000.0, 0.0, 1.0]),
        ("poisson", [[0.01], [0.02]], [50.0, 60.0]),
        ("logistic", [[100.0, 1.0], [-0.01, 1.0], [0.02, -1.0], [-90.0, 2.0]], [1, 0, 1, 1]),
    ],
)
def test_converges_where_undamped_steps_would_not(family, x, y):
    found = refit_weighted(Regression(family=family, penalty=1e-5), x, y, np.ones((1, len(y))))
    assert found.converged.all()
    loss = [
        np.mean(LOSSES[family](np.array(x) @ p, np.array(y))) + 1e-5 / 2 * p @ p
        for p in (found.params[0].astype(float), minimiser(family, 1e-5, np.array(x), np.array(y), None))
    ]
    assert loss[0] <= loss[1] + 1e-5 * abs(loss[1])


def by_hand(counts):
    """The estimate from these counts of the atoms."""
    atoms, targets = np.array(ATOMS.atoms), np.array(ATOMS.targets)
    return minimiser("logistic", 0.05, atoms, targets, np.array(counts))


@pytest.mark.parametrize("member", [None, 2])
def test_refits_have_the_law_of_the_estimate(member):
    """Samples of four atoms, gone through: chi-square of how often each estimate is found, with an atom and without."""
    n, num_refits = 4, 20_000
    law = {}
    for rest in itertools.product(range(n + 1), repeat=4):
        if sum(rest) == n - (member is not None):
            counts = np.array(rest) + (np.arange(4) == member)
            law[tuple(by_hand(counts).round(3))] = stats.multinomial.pmf(rest, sum(rest), ATOMS.probs)
    example = None if member is None else (ATOMS.atoms[member], ATOMS.targets[member])
    model = Regression(penalty=0.05)
    found = refit(model, ATOMS, n=n, num_refits=num_refits, seed=3, member=example)
    assert found.converged.all()
    estimates, counts = np.unique(found.params.astype(float).round(3), axis=0, return_counts=True)
    distances = np.abs(np.array(list(law))[None] - estimates[:, None]).max(axis=-1)
    assert distances.min(axis=1).max() < 2e-3
    observed = np.bincount(distances.argmin(axis=1), counts, len(law))
    expected = num_refits * np.array(list(law.values()))
    common = expected > 5
    observed, expected = (np.append(a[common], a[~common].sum()) for a in (observed, expected))
    assert stats.chisquare(observed[expected > 0], expected[expected > 0]).pvalue > 1e-6


def test_a_refit_depends_on_its_seed_and_number_only(monkeypatch):
    arguments = {"model": Regression(), "population": Slope(), "n": 30}
    long = refit(**arguments, num_refits=701, seed=1).params[:, 0]
    assert len(long) == 701
    assert len(np.unique(long)) > 690
    other = refit(**arguments, num_refits=701, seed=2).params[:, 0]
    assert (np.abs(other - long) > 1e-4).mean() > 0.99
    monkeypatch.setattr("mis.training.refits.CHUNK_NUMBERS", 2000)
    chunks = refit(**arguments, num_refits=300, seed=1).params[:, 0]
    np.testing.assert_allclose(chunks, long[:300], rtol=1e-4, atol=1e-5)


def test_weights_in_chunks(monkeypatch):
    monkeypatch.setattr("mis.training.refits.CHUNK_NUMBERS", 1)
    monkeypatch.setattr("mis.training.refits.BLOCK", 2)
    targets, weights = np.arange(11.0), np.eye(11)
    mean = Regression(family="linear", penalty=0.0)
    np.testing.assert_allclose(refit_weighted(mean, np.ones((11, 1)), targets, weights).params[:, 0], targets)


def test_examples_without_weight_do_not_matter():
    x, y = [[1.0], [0.5], [1e4]], [2.0, 1.0, 5.0]
    found = refit_weighted(Regression(family="poisson"), x, y, [[1, 1, 0]])
    assert found.converged.all()
    expected = minimiser("poisson", 1e-3, np.array(x[:2]), np.array(y[:2]), None)
    np.testing.assert_allclose(found.params[0], expected, atol=1e-5)


def test_chunks_are_bounded():
    block, blocks = block_sizes(10**6, 1000, 2)
    assert block * blocks * 1000 <= 2**25
    assert block_sizes(10**6, 10**9, 2) == (1, 2)
    assert block_sizes(3, 10, 2) == (2, 2)


def test_the_only_example_is_the_member():
    found = refit(
        Regression(family="linear", penalty=1.0), Numbers(), n=1, num_refits=3, seed=0, member=([2.0], 3.0)
    )
    np.testing.assert_allclose(found.params[:, 0], 6 / 5, rtol=1e-6)


def test_a_users_sampler():
    """The mean of normal numbers, with one known number and without."""
    mean = Regression(family="linear", penalty=0.0)
    without = refit(mean, Numbers(), n=25, num_refits=4000, seed=0).params[:, 0]
    assert stats.kstest(without, stats.norm(0, 1 / 5).cdf).pvalue > 1e-6
    having = refit(mean, Numbers(), n=25, num_refits=4000, seed=1, member=([1.0], 2.0)).params[:, 0]
    assert stats.kstest(having, stats.norm(2 / 25, np.sqrt(24) / 25).cdf).pvalue > 1e-6


def test_compiles_once():
    arguments = {"model": Regression(), "population": Slope(), "n": 20, "num_refits": 100}
    refit(**arguments, seed=0, member=([1.0], 1))
    before = fit_drawn._cache_size()
    refit(**arguments, seed=5, member=([0.0], 0))
    refit(**(arguments | {"population": Slope()}), seed=6, member=([0.0], 0))
    assert fit_drawn._cache_size() == before


GOOD = {"n": 5, "num_refits": 2, "seed": 0}
REFUSED = {
    "family": (lambda: Regression(family="probit"), "family one of linear, logistic, poisson"),
    "penalty": (lambda: Regression(penalty=-1.0), "penalty >= 0, got penalty=-1.0"),
    "steps": (lambda: Regression(steps=0), "steps an integer >= 1"),
    "n": (lambda: refit(Regression(), ATOMS, **(GOOD | {"n": 0})), "refit: expected n an integer >= 1"),
    "num_refits": (lambda: refit(Regression(), ATOMS, **(GOOD | {"num_refits": 0})), "num_refits an integer in"),
    "seed": (lambda: refit(Regression(), ATOMS, **(GOOD | {"seed": -1})), "seed an integer in 0"),
    "member": (lambda: refit(Regression(), ATOMS, **GOOD, member=([1.0], 0)), "member with 2 features, got 1"),
    "member's target": (
        lambda: refit(Regression(), ATOMS, **GOOD, member=([1.0, 2.0], 3)),
        r"refit: expected targets in \[0, 1\] for family 'logistic', got 3",
    ),
    "targets": (
        lambda: refit_weighted(Regression(family="poisson"), [[1.0]], [-1.0], [[1]]),
        r"refit_weighted: expected targets in \[0, inf\] for family 'poisson', got -1",
    ),
    "lengths": (lambda: refit_weighted(Regression(), [[1.0]], [1.0], [[1, 2]]), "got 1 examples, 1 targets, 2"),
    "weights": (lambda: refit_weighted(Regression(), [[1.0]], [1.0], [[0]]), "positive sum in each row"),
    "negative": (lambda: refit_weighted(Regression(), [[1.0]] * 2, [1.0, 0], [[2, -1]]), "weights >= 0"),
    "nan": (lambda: refit_weighted(Regression(), [[np.nan]], [1.0], [[1]]), "features finite"),
}  # fmt: skip


@pytest.mark.parametrize(("call", "message"), REFUSED.values(), ids=REFUSED)
def test_refusals(call, message):
    with pytest.raises(InvalidInput, match=message):
        call()
