import itertools

import jax
import numpy as np
import pytest

from mis import quantizers, theory
from mis.models import MLP
from mis.populations import BreastCancer, Examples, Modes, Split
from mis.ranking.measure import Networks, _performance, _theory_columns, _train_performance, measure, release
from mis.ranking.spec import RankingSpec
from mis.training import Ensemble, Learner

NUM, FOLDS, RUNS, STEPS = 32, 4, 2, 12


def examples(rng, num, dim=3):
    return Examples(
        features=rng.normal(size=(num, dim)).astype(np.float32),
        targets=rng.normal(size=num).astype(np.float32),
    )


class Regression(Modes):
    """Only its sizes are asked for."""

    num_classes = None


@pytest.fixture
def networks(rng):
    """Random networks: what is checked here does not depend on what they learned."""
    population = Regression(num_modes=2, dim=3)
    spec = RankingSpec(population=population, learner=Learner(steps=STEPS), pool=20, width=2, seed=3)
    shapes = spec.model.shapes

    def ensemble(*axes, indices):
        params = [rng.normal(size=(*axes, *shape)).astype(np.float32) for shape in shapes]
        halves = np.argsort(rng.random((len(indices), 20)), axis=1) < 10
        return Ensemble(params=params, membership=halves, indices=indices)

    return Networks(
        spec=spec,
        split=Split(pool=examples(rng, 20), heldout=examples(rng, 25)),
        ensemble=ensemble(NUM, indices=np.arange(100, 100 + NUM)),
        trajectories=ensemble(RUNS, 4, indices=np.arange(RUNS)),
        num_folds=FOLDS,
        level=0.95,
        attacks=("lira", "whitebox", "combined"),
    )


def changed(networks, **fields):
    names = ("spec", "split", "ensemble", "trajectories", "num_folds", "level", "attacks")
    return Networks(**{name: fields.get(name, getattr(networks, name)) for name in names})


def flat(layers):
    return np.concatenate([np.asarray(p).reshape(len(p), -1) for p in layers], axis=1)


def test_stochastic_rounding_repeats_by_network_and_differs_between_networks(networks, rng):
    quantizer = quantizers.Stochastic(bits=2)
    released = flat(release(networks, quantizer)[0])
    np.testing.assert_array_equal(flat(release(networks, quantizer)[0]), released)
    order = rng.permutation(NUM)
    permuted = flat(release(changed(networks, ensemble=networks.ensemble[order]), quantizer)[0])
    np.testing.assert_array_equal(permuted[:NUM], released[order])
    np.testing.assert_array_equal(permuted[NUM:], released[NUM:])
    # Equal weights everywhere: networks and iterates are rounded each in its own way.
    equal = [np.broadcast_to(p[:1], p.shape) for p in networks.ensemble.params]
    iterates = [np.broadcast_to(p[0], (RUNS, 4, *p.shape[1:])) for p in equal]
    same = changed(
        networks,
        ensemble=Ensemble(
            params=equal, membership=networks.ensemble.membership, indices=networks.ensemble.indices
        ),
        trajectories=Ensemble(
            params=iterates, membership=networks.ensemble.membership, indices=np.arange(RUNS)
        ),
    )
    rounded = flat(release(same, quantizer)[0])
    rounds = [row for row in rounded if not np.array_equal(row, rounded[0])]
    assert len(rounds) > 0.8 * len(rounded)
    # Unbiased over networks: five standard errors, at most half a step of spread each.
    levels = np.unique(rounded)
    error = (levels[-1] - levels[0]) / 4 / np.sqrt(len(rounded))
    assert np.abs(rounded.mean(axis=0) - flat(equal)[0]).max() < 5 * error


@pytest.mark.parametrize(
    "name", ["full", "sign", "uniform-3-channel", "stochastic-2", "prune-90+uniform-3", "noise-10"]
)
def test_a_network_is_released_as_the_quantizer_does_it(networks, name):
    quantizer = quantizers.parse(name)
    released, cells = release(networks, quantizer)
    key = jax.random.fold_in(jax.random.fold_in(jax.random.key(3), 3), 107)
    expected = jax.jit(lambda p: quantizers.quantize(quantizer, p, key))([p[7] for p in networks.layers])
    for layer, cell, found in zip(expected, cells, released, strict=True):
        np.testing.assert_array_equal(found[7], layer)
        assert (cell is None) == (name == "full")


def test_stochastic_rounding_does_not_reuse_the_draws_of_the_initial_point(networks):
    """Network 0 of a seed was once rounded by the bits that drew the point it started from."""
    first, last = (np.full((NUM, *shape), 0.5, np.float32) for shape in networks.spec.model.shapes)
    first[:, 0, 0] = last[:, 0, 0] = 1.0
    numbered = Ensemble(params=[first, last], membership=networks.ensemble.membership, indices=np.arange(NUM))
    released = release(changed(networks, ensemble=numbered), quantizers.Stochastic(bits=2))[0][0][0]
    up = np.asarray(released)[:-1].ravel()[1:] > 0
    for key in (jax.random.key(3), jax.random.fold_in(jax.random.key(3), 2)):
        old = jax.random.split(jax.random.fold_in(key, 0), 2)[0]
        uniform = np.asarray(jax.random.uniform(old, first.shape[1:]))[:-1].ravel()[1:]
        assert not np.array_equal(up, uniform < 0.5)


def test_gradients_are_means_over_shadows_only(networks):
    model, pool = networks.spec.model, networks.split.pool
    folds = np.arange(NUM) % FOLDS
    slope = jax.jit(jax.vmap(jax.grad(model.losses), in_axes=(None, 0, 0)))
    for fold in range(FOLDS):
        references = [
            np.flatnonzero(folds == other)[:5]
            for other in range(FOLDS)
            if other not in (fold, (fold + 1) % FOLDS)
        ]
        each = [
            flat(slope([p[m] for p in networks.ensemble.params], pool.features, pool.targets))
            for m in np.concatenate(references)
        ]
        found = np.concatenate(networks.gradients[fold], axis=1)
        np.testing.assert_allclose(found, np.mean(each, axis=0), rtol=2e-4, atol=2e-5)


def test_nothing_of_a_target_is_left_in_its_gradients(networks):
    params = [p.copy() for p in networks.ensemble.params]
    for p in params:
        p[np.arange(NUM) % FOLDS == 1] *= 1e3
    ensemble = Ensemble(
        params=params, membership=networks.ensemble.membership, indices=networks.ensemble.indices
    )
    other = changed(networks, ensemble=ensemble)
    # Fold 1 is the target of fold 1 and calibrates fold 0.
    for fold in (0, 1):
        for layer, expected in zip(other.gradients[fold], networks.gradients[fold], strict=True):
            np.testing.assert_array_equal(layer, expected)
    assert not np.allclose(other.gradients[2][0], networks.gradients[2][0])


@pytest.mark.parametrize(("steps", "num"), [(12, 12), (600, 30), (59, 30), (25, 6), (6, 6)])
def test_spread_is_that_of_the_last_third_of_one_run(networks, rng, steps, num):
    """Row k of the path is the iterate after step ``steps - (num - 1 - k) * (steps // num)``."""
    path = [rng.normal(size=(RUNS, num, *shape)).astype(np.float32) for shape in networks.spec.model.shapes]
    other = changed(
        networks,
        spec=RankingSpec(population=networks.spec.population, learner=Learner(steps=steps), pool=20, width=2),
        trajectories=Ensemble(params=path, membership=np.ones((RUNS, 20), bool), indices=np.arange(RUNS)),
    )
    late = [k for k in range(num) if steps - (num - 1 - k) * (steps // num) > 2 * steps / 3]
    assert len(late) >= 2
    for found, layer in zip(other.spread_of_run, path, strict=True):
        np.testing.assert_allclose(found, np.std([layer[0, k] for k in late], axis=0, ddof=1), rtol=1e-5)


def test_spread_over_the_ensemble(networks):
    for found, layer in zip(networks.spread, networks.ensemble.params, strict=True):
        np.testing.assert_allclose(found, np.std(layer.astype(float), axis=0, ddof=1), rtol=1e-5)


def test_columns_by_other_routes(networks):
    quantizer = quantizers.Ternary(zeros=0.5)
    row, advantages = measure(networks, quantizer)
    released = [[quantizer(layer[m]) for layer in networks.ensemble.params] for m in range(NUM)]
    assert row["zeros"] == pytest.approx(
        np.mean([np.concatenate([p.ravel() for p in n]) == 0 for n in released])
    )
    pool, heldout, members = networks.split.pool, networks.split.heldout, networks.ensemble.membership

    def outputs(network, x):
        hidden = np.maximum(x @ network[0][:-1] + network[0][-1], 0.0)
        return (hidden @ network[1][:-1] + network[1][-1])[:, 0]

    errors = [(outputs(n, heldout.features) - heldout.targets) ** 2 for n in released]
    assert row["performance"] == pytest.approx(1 - np.mean(errors) / np.var(heldout.targets), rel=1e-4, abs=0)
    errors = [
        ((outputs(n, pool.features) - pool.targets) ** 2)[m] for n, m in zip(released, members, strict=True)
    ]
    assert row["train_performance"] == pytest.approx(
        1 - np.mean(errors) / np.var(pool.targets), rel=1e-4, abs=0
    )
    last = [layer[0, -1].astype(float) for layer in networks.trajectories.params]
    assert row["retained"] == theory.retained_information(last, networks.spread_of_run, quantizer).value
    assert row["retained_ensemble"] == theory.retained_information(last, networks.spread, quantizer).value
    assert row["weight_error"] == theory.weight_error(last, quantizer)
    assert row["num_candidates"] == RUNS * 4
    assert row["bits"] == np.log2(3)
    # Networks that learned nothing leak nothing.
    assert advantages.shape == (NUM,)
    for name in ("lira", "whitebox", "combined", "advantage"):
        assert abs(row[name]) < 5 * advantages.std() / np.sqrt(NUM)
        assert row[f"{name}_lower"] < row[name] < row[f"{name}_upper"]


def test_indicator_sees_the_candidates_on_held_out_examples(networks):
    quantizer = quantizers.Uniform(bits=3)
    row, _ = measure(changed(networks, attacks=("lira",)), quantizer)
    losses = []
    for run, k in itertools.product(range(RUNS), range(4)):
        network = [quantizer(layer[run, k]) for layer in networks.trajectories.params]
        losses.append(networks.spec.model.losses(network, *vars(networks.split.heldout).values()))
    expected = theory.indicator(theory.SampledLosses(losses=np.array(losses)))
    for name, value in (("", expected.value), ("_lower", expected.lower), ("_upper", expected.upper)):
        assert row[f"indicator{name}"] == pytest.approx(value, rel=1e-3, abs=0)
    assert row["indicator_naive"] == pytest.approx(expected.details["naive"], rel=1e-3, abs=0)


def test_one_and_the_same_release_has_no_indicator(networks):
    row = _theory_columns(
        networks, quantizers.Sign(), theory.SampledLosses(losses=np.ones((3, 1)) * np.arange(9.0))
    )
    assert row["indicator"] is None
    assert row["indicator_naive"] is None
    assert row["num_candidates"] == 1


def test_train_performance_counts_members_only(networks, rng):
    targets, members = networks.split.pool.targets, networks.ensemble.membership
    outputs = np.where(members, targets, 99.0)[..., None].astype(np.float32)
    assert _train_performance(outputs, networks) == 1.0
    classes = rng.integers(3, size=20)
    split = Split(pool=Examples(features=networks.split.pool.features, targets=classes), heldout=None)
    right = np.where(members, classes, (classes + 1) % 3)
    assert _train_performance(np.eye(3)[right], changed(networks, split=split)) == 1.0


def crossed(rng, models, examples):
    """Residuals with an effect of each model, each example and each pair, on targets with mean and spread."""
    targets = 0.3 + rng.standard_t(6, size=examples)
    effects = 0.3 * rng.normal(size=(models, 1)) + 0.5 * rng.normal(size=examples)
    return (targets + effects + 0.3 * rng.normal(size=(models, examples)))[..., None], targets


def test_r2_interval_is_that_of_a_plain_bootstrap(rng):
    outputs, targets = crossed(rng, 60, 600)
    found = _performance(outputs, targets, 0.9)
    resampled = []
    for _ in range(2000):
        m, i = rng.integers(60, size=60), rng.integers(600, size=600)
        errors = (outputs[m][:, i, 0] - targets[i]) ** 2
        resampled.append(1 - errors.mean() / targets[i].var())
    lower, upper = np.quantile(resampled, [0.05, 0.95])
    assert found.width == pytest.approx(upper - lower, rel=0.15, abs=0)
    np.testing.assert_allclose([found.lower, found.upper], [lower, upper], atol=0.15 * found.width)


@pytest.mark.parametrize("regression", [True, False])
def test_performance_intervals_cover(regression):
    """The truth is that of endless models and examples: most of the error is that of too few examples."""
    intervals = []
    for seed in range(400):
        outputs, targets = crossed(np.random.default_rng(seed), 30, 100)
        if not regression:
            targets = targets > 0.3
            right = np.abs(outputs[..., 0] - targets) < 1.0
            outputs, targets = np.eye(2)[np.where(right, targets, ~targets).astype(int)], targets.astype(int)
        intervals.append(_performance(outputs, targets, 0.9))
    truth = np.mean([i.value for i in intervals])
    share = np.mean([i.lower <= truth <= i.upper for i in intervals])
    assert abs(share - 0.9) < 5 * np.sqrt(0.9 * 0.1 / 400)


def test_spec_refuses_what_cannot_be_ranked():
    for fields, message in (
        ({"pool": 15}, "pool an integer >= 16, got pool=15"),
        ({"pool": 9000}, "pool at most 553 on breast-cancer, got pool=9000"),
        ({"learner": Learner(steps=5)}, "steps an integer >= 6, got steps=5"),
        ({"seed": -1}, "seed an integer in 0..4294967295, got seed=-1"),
    ):
        with pytest.raises(ValueError, match=f"rank: expected {message}"):
            RankingSpec(**{"population": BreastCancer(), "learner": Learner(), **fields})
    assert RankingSpec(population=BreastCancer(), learner=Learner()).model == MLP(
        num_inputs=30, num_classes=2
    )
