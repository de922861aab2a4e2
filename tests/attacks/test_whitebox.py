import jax.numpy as jnp
import numpy as np
import pytest
from sklearn.linear_model import Ridge

from mis.attacks.whitebox import decoded, linearised, ridge

MODELS, WEIGHTS, EXAMPLES = 14, 6, 9


@pytest.fixture
def case(rng):
    """Released weights of three levels that follow the full ones; one weight never varies among the shadows."""
    full = rng.normal(size=(MODELS, WEIGHTS)) + 3.0
    released = np.sign(full - 3.0) * (np.abs(full - 3.0) > 0.5)
    shadows = np.arange(MODELS) % 7 < 5
    released[:, 2] = np.where(shadows, 1.0, -1.0)
    return {
        "full": full,
        "released": released,
        "gradients": rng.normal(size=(EXAMPLES, WEIGHTS)),
        "membership": rng.random((MODELS, EXAMPLES)) < 0.5,
        "shadows": shadows,
    }


def arrays(case, *names):
    return [jnp.asarray(case[name], jnp.float32) for name in (*names, "shadows")]


def by_loops(case, decode):
    """Score by score and weight by weight, float64."""
    released, full, shadows = case["released"], case["full"], case["shadows"]
    scores = np.zeros((MODELS, EXAMPLES))
    for m in range(MODELS):
        for n, gradient in enumerate(case["gradients"]):
            total = variance = 0.0
            for j, g in enumerate(gradient):
                seen = released[shadows, j]
                slope = 1.0
                if decode:
                    together = np.cov(seen, full[shadows, j])
                    slope = together[0, 1] / together[0, 0] if together[0, 0] > 0 else 0.0
                total -= g * slope * (released[m, j] - seen.mean())
                variance += (g * slope) ** 2 * seen.var(ddof=1)
            scores[m, n] = total / np.sqrt(variance)
    return scores


def test_linearised_by_loops(case):
    found = linearised(*arrays(case, "released", "gradients"))
    np.testing.assert_allclose(found, by_loops(case, decode=False), rtol=2e-5, atol=1e-5)


def test_decoded_by_loops(case):
    found = decoded(*arrays(case, "released", "full", "gradients"))
    np.testing.assert_allclose(found, by_loops(case, decode=True), rtol=2e-5, atol=1e-5)


def test_decoding_full_precision_changes_nothing(case):
    found = decoded(*arrays(case, "full", "full", "gradients"))
    np.testing.assert_allclose(found, linearised(*arrays(case, "full", "gradients")), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("penalty", [0.2, 3.0])
def test_ridge_is_scikit_learns(case, penalty):
    released, shadows, labels = case["released"], case["shadows"], case["membership"].astype(float)
    seen = released[shadows]
    spread = seen.std(axis=0, ddof=1)
    standard = np.divide(released - seen.mean(axis=0), spread, out=np.zeros_like(released), where=spread > 0)
    # A share of the mean eigenvalue of the Gram matrix.
    alpha = penalty * np.square(standard[shadows]).sum() / shadows.sum()
    model = Ridge(alpha=alpha, fit_intercept=False).fit(
        standard[shadows], (labels - labels[shadows].mean(0))[shadows]
    )
    found = ridge(*arrays(case, "released", "membership"), penalty=penalty)
    np.testing.assert_allclose(found, model.predict(standard), rtol=1e-4, atol=1e-5)


def test_nothing_released_differently_tells_nothing(case):
    case["released"] = np.ones((MODELS, WEIGHTS))
    for attack, names in (
        (linearised, ("released", "gradients")),
        (decoded, ("released", "full", "gradients")),
        (ridge, ("released", "membership")),
    ):
        np.testing.assert_array_equal(attack(*arrays(case, *names)), 0.0)


@pytest.mark.parametrize("changed", ["released", "full", "membership"])
@pytest.mark.parametrize("target", [5, 6, 13])
def test_shadows_only(case, rng, changed, target):
    """Whatever becomes of a model that is no shadow, the other models' scores stay, bit by bit."""
    other = dict(case)
    other[changed] = case[changed].copy()
    other[changed][target] = rng.integers(2, size=EXAMPLES) if changed == "membership" else 50.0
    rest = np.arange(MODELS) != target
    for attack, names in (
        (linearised, ("released", "gradients")),
        (decoded, ("released", "full", "gradients")),
        (ridge, ("released", "membership")),
    ):
        before, after = attack(*arrays(case, *names)), attack(*arrays(other, *names))
        np.testing.assert_array_equal(after[rest], before[rest])
        own = changed == "released"
        assert np.allclose(after[target], before[target], rtol=1e-6, atol=1e-7) != own, attack


def test_linearised_reaches_what_a_gaussian_shift_allows(rng):
    """Weights N(0, 1), moved by -0.4 g if a member, |g| = 1: scores differ by 0.4 with variance 1."""
    models, weights, examples = 600, 40, 300
    gradients = rng.normal(size=(examples, weights))
    gradients /= np.linalg.norm(gradients, axis=1, keepdims=True)
    member = np.zeros((models, examples))
    member[np.arange(300, 600), np.arange(300)] = 1.0
    released = rng.normal(size=(models, weights)) - 0.4 * member @ gradients
    scores = linearised(
        *(jnp.asarray(a, jnp.float32) for a in (released, gradients, np.arange(models) < 300))
    )
    shift = scores[300:][np.eye(300, dtype=bool)].mean() - scores[300:][~np.eye(300, dtype=bool)].mean()
    assert abs(shift - 0.4) < 5 / np.sqrt(300)
