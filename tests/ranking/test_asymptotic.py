import numpy as np
import pytest
from scipy import stats

from mis import quantizers
from mis.models import MLP
from mis.numerics.checks import UnsupportedSetting
from mis.populations import Examples, get
from mis.ranking.asymptotic import local_fit
from mis.ranking.spec import RankingSpec
from mis.training import Ensemble, Learner

POOL, DIM, REFITS = 400, 4, 4000


def design(rng, num, dim=DIM):
    """Features with a column of ones, noise that grows with the first feature: G and H differ."""
    x = rng.normal(size=(num, dim))
    y = x @ np.linspace(-0.6, 0.9, dim) + (0.2 + 0.5 * np.abs(x[:, 0])) * rng.normal(size=num)
    return x.astype(np.float32), y.astype(np.float32)


def refits(rng, x, y, num, penalty=0.0):
    """Least squares on random halves of the pool, in closed form."""
    whole = np.concatenate([x, np.ones((len(x), 1))], axis=1).astype(float)
    membership = np.argsort(rng.random((num, len(x))), axis=1) < len(x) // 2
    size = len(x) // 2
    fits = [
        np.linalg.solve(
            whole[m].T @ whole[m] / size + penalty * np.eye(whole.shape[1]), whole[m].T @ y[m] / size
        )
        for m in membership
    ]
    layers = np.array(fits)[..., None]
    return Ensemble(params=[layers], membership=membership, indices=np.arange(num))


def linear_spec(learner=None, *, dim=DIM, depth=0, pool=POOL):
    return RankingSpec(
        population=get("linear", dim=dim),
        learner=learner or Learner(),
        model=MLP(input_shape=(dim,), depth=depth),
        pool=pool,
    )


@pytest.mark.parametrize(
    ("learner", "penalty"),
    [
        (Learner(), 0.0),
        (Learner(optimiser="sgd", weight_decay=0.3), 0.3),
        (Learner(optimiser="momentum", weight_decay=3.0), 0.3),
    ],
    ids=["plain", "sgd", "momentum"],
)
def test_covariance_and_shifts_are_those_of_refits_on_halves(rng, learner, penalty):
    """V/N spreads the refits, and having an example or not moves their mean by 2 psi/N; few percent at n = 200."""
    x, y = design(rng, POOL)
    ensemble = refits(rng, x, y, REFITS, penalty)
    fit = local_fit(linear_spec(learner), Examples(features=x, targets=y), ensemble)
    params = ensemble.params[0][..., 0]
    np.testing.assert_allclose(
        np.cov(params.T), fit.covariance / POOL, atol=0.1 * np.max(fit.covariance) / POOL
    )
    strongest = np.argsort(-np.linalg.norm(fit.influence, axis=1))[20:40]
    for example in strongest:
        having = ensemble.membership[:, example]
        shift = params[having].mean(axis=0) - params[~having].mean(axis=0)
        error = params.std(axis=0) * 2 / np.sqrt(REFITS)
        assert np.all(np.abs(shift - 2 * fit.influence[example] / POOL) < 5 * error + 0.1 * np.abs(shift))


@pytest.mark.parametrize("name", ["full", "uniform-4", "uniform-3", "sign", "ternary-50"])
def test_prediction_is_what_the_law_allows_on_refits(rng, name):
    """Against the linear score that knows the law, on 4000 refits, each released on the grid of the mean."""
    x, y = design(rng, POOL)
    ensemble = refits(rng, x, y, REFITS)
    fit = local_fit(linear_spec(), Examples(features=x, targets=y), ensemble)
    quantizer = quantizers.parse(name)
    params = ensemble.params[0][..., 0]
    mean, inverse = params.mean(axis=0), np.linalg.inv(np.cov(params.T))
    grid = quantizer.fit(fit.mean[0])
    if name == "full":
        scores = (params - mean) @ inverse @ fit.influence.T
    else:
        # The best linear score of the codes, its law learned from the other half of the refits.
        codes = np.asarray(grid.codes(params))
        shown = np.concatenate([codes == k for k in range(1, codes.max() + 1)], axis=1).astype(float)
        half = np.arange(REFITS) % 2 == 0
        decode = np.linalg.lstsq(
            np.concatenate([np.ones((half.sum(), 1)), shown[half]], axis=1), params[half], rcond=None
        )[0]
        decoded = np.concatenate([np.ones((REFITS, 1)), shown], axis=1) @ decode
        spread = np.linalg.pinv(np.cov(decoded[half].T), rcond=1e-6, hermitian=True)
        slope = np.cov(decoded[half].T, params[half].T)[: DIM + 1, DIM + 1 :] @ inverse
        scores = (decoded - decoded[half].mean(axis=0)) @ spread @ slope @ fit.influence.T
        scores = np.where(half[:, None], np.nan, scores)
    used = np.isfinite(scores).all(axis=1)
    member, scores = ensemble.membership[used], scores[used]
    gains = [np.mean(s[m] > 0) - np.mean(s[~m] > 0) for m, s in zip(member.T, scores.T, strict=True)]
    predicted = fit.advantage(quantizer, 0.95)
    error = np.hypot(2 / np.sqrt(used.sum() * POOL), (predicted.upper - predicted.lower) / 4)
    assert abs(np.mean(gains) - predicted.value) < max(3 * error, 0.1 * predicted.value)


def test_redundant_classes_predict_as_one_logit(rng):
    """Two columns that only their difference matters of: in full precision, the binary regression's V."""
    pool = 2000
    x = rng.normal(size=(pool, 2)).astype(np.float32)
    labels = (rng.random(pool) < 1 / (1 + np.exp(-x @ [1.0, -0.5]))).astype(np.int32)
    whole = np.concatenate([x, np.ones((pool, 1))], axis=1).astype(float)
    weights = np.zeros(3)
    for _ in range(20):
        p = 1 / (1 + np.exp(-whole @ weights))
        hessian = whole.T @ (whole * (p * (1 - p))[:, None]) / pool
        weights += np.linalg.solve(hessian, whole.T @ (labels - p) / pool)
    common = rng.normal(size=3)
    layer = np.stack([common - weights / 2, common + weights / 2], axis=1)
    ensemble = Ensemble(
        params=[np.stack([layer, layer])], membership=np.zeros((2, pool), bool), indices=np.arange(2)
    )
    model = MLP(input_shape=(2,), num_classes=2, depth=0)
    spec = RankingSpec(population=get("logistic", dim=2), learner=Learner(), model=model, pool=pool)
    found = local_fit(spec, Examples(features=x, targets=labels), ensemble).advantage(quantizers.Full(), 0.95)
    scores = whole * (p - labels)[:, None]
    outer = scores.T @ scores / pool
    information = np.einsum("ni,ij,nj->n", scores, np.linalg.inv(outer), scores) * 4 / pool
    assert found.value == pytest.approx(
        np.mean(2 * stats.norm.cdf(np.sqrt(information) / 2) - 1), rel=1e-3, abs=0
    )


@pytest.mark.parametrize(
    ("spec", "change", "message"),
    [
        (linear_spec(depth=1), 0.0, "hidden layers"),
        (linear_spec(Learner(weight_decay=0.1)), 0.0, "no penalised loss"),
        (linear_spec(), 0.3, r"not at a minimum \(score"),
    ],
    ids=["depth", "decay", "unfinished"],
)
def test_refuses_where_it_does_not_apply(rng, spec, change, message):
    x, y = design(rng, POOL)
    ensemble = refits(rng, x, y, 50)
    ensemble = Ensemble(
        params=[p + change for p in ensemble.params], membership=ensemble.membership, indices=ensemble.indices
    )
    with pytest.raises(UnsupportedSetting, match=message):
        local_fit(spec, Examples(features=x, targets=y), ensemble)


def test_refuses_few_examples(rng):
    x, y = design(rng, 64, dim=12)
    with pytest.raises(UnsupportedSetting, match="32 examples are too few for 13 parameters"):
        local_fit(linear_spec(dim=12, pool=64), Examples(features=x, targets=y), refits(rng, x, y, 50))
