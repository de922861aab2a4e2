import tracemalloc

import jax.numpy as jnp
import numpy as np
import pytest
from sklearn import linear_model

from mis.attacks import Decoded, GradientNorm, Influence, Linearised, Ridge
from mis.attacks.decoded import decoded
from mis.attacks.linearised import linearised
from mis.attacks.ridge import gram, ridge

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


def regressed(released, membership, shadows, penalty=0.2):
    return ridge(gram(released, shadows), membership, shadows, penalty=penalty)


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
    model = linear_model.Ridge(alpha=alpha, fit_intercept=False).fit(
        standard[shadows], (labels - labels[shadows].mean(0))[shadows]
    )
    found = regressed(*arrays(case, "released", "membership"), penalty=penalty)
    np.testing.assert_allclose(found, model.predict(standard), rtol=1e-4, atol=1e-5)


def test_nothing_released_differently_tells_nothing(case):
    case["released"] = np.ones((MODELS, WEIGHTS))
    for attack, names in (
        (linearised, ("released", "gradients")),
        (decoded, ("released", "full", "gradients")),
        (regressed, ("released", "membership")),
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
        (regressed, ("released", "membership")),
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


@pytest.mark.parametrize("kind", ["linearised", "decoded", "ridge"])
def test_an_attack_scores_what_its_function_does(case, kind):
    """In float64 on NumPy arrays, targets apart from shadows."""
    order = np.argsort(~case["shadows"], kind="stable")
    num = case["shadows"].sum()
    case |= {name: case[name][order] for name in ("released", "full", "membership", "shadows")}
    given = {"shadow_params": case["released"][:num], "target_params": case["released"][num:]}
    if kind == "linearised":
        found = Linearised().scores(**given, gradients=case["gradients"])
        expected = linearised(*arrays(case, "released", "gradients"))
    elif kind == "decoded":
        found = Decoded().scores(**given, shadow_full=case["full"][:num], gradients=case["gradients"])
        expected = decoded(*arrays(case, "released", "full", "gradients"))
    else:
        found = Ridge().scores(**given, shadow_membership=case["membership"][:num])
        expected = regressed(*arrays(case, "released", "membership"))
    np.testing.assert_allclose(found, expected[num:], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("targets", [1, 4, 700])
def test_ridge_of_many_targets(targets, rng):
    """All models in one Gram matrix, the targets without weight, and memory for little more than what was given."""
    shadow_params, target_params = rng.normal(5, 1, size=(6, 40)), rng.normal(5, 1, size=(targets, 40))
    membership = rng.random((6, 3)) < 0.5
    given = {"shadow_params": shadow_params, "target_params": target_params, "shadow_membership": membership}
    shadows = np.repeat([1.0, 0.0], [6, targets])
    labels = np.concatenate([membership, np.zeros((targets, 3))])
    expected = regressed(np.concatenate([shadow_params, target_params]), labels, shadows)[6:]
    tracemalloc.start()
    found = Ridge().scores(**given)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-14)
    assert peak < 100_000 + 8 * targets * 40 + 3 * 8 * targets * 6


def test_gram_of_layers_adds_up(case):
    released, shadows = arrays(case, "released")
    whole = gram(released, shadows)
    np.testing.assert_allclose(
        gram(released[:, :2], shadows) + gram(released[:, 2:], shadows), whole, atol=1e-5
    )


@pytest.fixture
def regression(rng):
    """Least squares with unequal noise, so that G and H differ; refits near their asymptotics."""
    num, weights = 400, 3
    x = rng.normal(size=(num, weights)) @ np.diag([1.0, 2.0, 0.5])
    noise = (0.3 + x[:, 0] ** 2) * rng.normal(size=num)
    return x, noise, -x * noise[:, None]


def dense(gradients, factors, centred, damping):
    """``-g' (G + m)^{-1} (H + m) (w - mean w)`` with every matrix written out."""
    num, weights = gradients.shape
    slopes = gradients - gradients.mean(axis=0)
    outer = slopes.T @ slopes / num
    size = damping * np.trace(outer) / weights
    outer, curved = (
        outer + size * np.eye(weights),
        factors.T @ factors / len(factors) + size * np.eye(weights),
    )
    return -(slopes @ np.linalg.solve(outer, curved @ centred.T)).T


@pytest.mark.parametrize("damping", [1e-6, 0.1, 10.0])
def test_influence_is_the_dense_formula(regression, rng, damping):
    x, _, gradients = regression
    params = rng.normal(size=(30, 3))
    scores = dense(gradients, x, params - params[:20].mean(axis=0), damping)
    expected = scores[20:] / scores[:20].std(axis=0, ddof=1)
    found = Influence(damping=damping).scores(
        shadow_params=params[:20], target_params=params[20:], gradients=gradients, factors=x
    )
    np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-8)


def test_influence_with_equal_matrices_is_linearised(regression, rng):
    _, _, gradients = regression
    gradients = gradients - gradients.mean(axis=0)
    params = rng.normal(size=(30, 3))
    given = {"shadow_params": params[:20], "target_params": params[20:], "gradients": gradients}
    influence, other = Influence().scores(**given, factors=gradients), Linearised().scores(**given)
    # In units of different spreads, one for each example.
    ratio = influence / other
    np.testing.assert_allclose(ratio, np.broadcast_to(ratio[0], ratio.shape), rtol=1e-6)


def test_influence_is_the_log_likelihood_ratio_where_linearised_is_not(regression, rng):
    """Parameters of the sandwich law N(0, V / n), shifted by psi / n if a member: no linear score separates better."""
    x, _, gradients = regression
    num = len(x)
    slopes = gradients - gradients.mean(axis=0)
    inverse = np.linalg.inv(x.T @ x / num)
    influences = -slopes @ inverse
    covariance = influences.T @ influences / num
    base = rng.multivariate_normal(np.zeros(3), covariance / num, size=4000)
    example = int(np.abs(influences[:, 1]).argmax())
    shift = influences[example] / num
    separation = {}
    for name, attack, extra in (
        ("influence", Influence(damping=1e-9), {"factors": x}),
        ("linearised", Linearised(), {}),
    ):
        score = attack.scores(
            shadow_params=base, target_params=np.stack([np.zeros(3), shift]), gradients=slopes, **extra
        )[:, example]
        spread = attack.scores(shadow_params=base, target_params=base, gradients=slopes, **extra)[
            :, example
        ].std()
        separation[name] = (score[1] - score[0]) / spread
    best = np.sqrt(shift @ np.linalg.solve(covariance / num, shift))
    assert abs(separation["influence"] / best - 1.0) < 5 / np.sqrt(2 * 4000)
    assert separation["linearised"] < 0.9 * best


def test_gradient_norm(rng):
    gradients = rng.normal(size=(2, 5, 7))
    found = GradientNorm().scores(target_gradients=gradients)
    np.testing.assert_allclose(found, -np.sqrt((gradients**2).sum(axis=2)))
    np.testing.assert_array_equal(GradientNorm().scores(target_gradients=gradients[1]), found[1])


@pytest.mark.parametrize(
    ("attack", "change", "message"),
    [
        (
            Linearised(),
            {"shadow_params": np.ones((1, 3))},
            "Linearised: expected at least 2 shadow models, got 1",
        ),
        (Linearised(), {"gradients": np.full((5, 3), np.inf)}, "Linearised: expected gradients finite"),
        (Decoded(), {"shadow_full": np.full((4, 3), np.inf)}, "Decoded: expected shadow_full finite"),
        (Ridge(), {"target_params": np.full(3, -np.inf)}, "Ridge: expected target_params finite"),
        (Influence(), {"factors": np.ones((5, 2))}, "expected factors and shadow_params with equal P"),
    ],
)
def test_refuses(attack, change, message, rng):
    given = {
        "shadow_params": rng.normal(size=(4, 3)),
        "target_params": rng.normal(size=3),
        "shadow_full": rng.normal(size=(4, 3)),
        "shadow_membership": rng.random((4, 5)) < 0.5,
        "gradients": rng.normal(size=(5, 3)),
        "factors": rng.normal(size=(6, 3)),
    } | change
    with pytest.raises(ValueError, match=message):
        attack.scores(**{name: given[name] for name in attack.needs})


@pytest.mark.parametrize("spec", [lambda: Ridge(penalty=0.0), lambda: Influence(damping=-1.0)])
def test_refuses_settings(spec):
    with pytest.raises(ValueError, match="expected"):
        spec()
