import itertools

import jax
import numpy as np
import pytest

from mis import quantizers, theory
from mis.attacks import LiRA
from mis.models import MLP
from mis.populations import BreastCancer, Examples, Modes, Split
from mis.ranking.evidence import ATTACKS, Evidence
from mis.ranking.measure import indicator_columns, measure, publish_together, together
from mis.ranking.networks import Networks
from mis.ranking.published import release
from mis.ranking.releases import Release
from mis.ranking.row import Row
from mis.ranking.spec import RankingSpec
from mis.ranking.whitebox import layer_scores
from mis.training import Compression, Ensemble, Learner, predict

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
    spec = RankingSpec(
        population=population,
        learner=Learner(num_steps=STEPS),
        model=MLP(input_shape=(3,), width=2),
        pool=20,
        seed=3,
    )
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


def measured(networks, release):
    (published,) = publish_together({release: networks}, [release])
    return measure(published, release)


def flat(layers):
    return np.concatenate([np.asarray(p).reshape(len(p), -1) for p in layers], axis=1)


def test_stochastic_rounding_repeats_by_network_and_differs_between_networks(networks, rng):
    quantizer = quantizers.Stochastic(bits=2)
    released = flat(release(networks, Compression(quantizer=quantizer))[0])
    np.testing.assert_array_equal(flat(release(networks, Compression(quantizer=quantizer))[0]), released)
    order = rng.permutation(NUM)
    permuted = flat(
        release(changed(networks, ensemble=networks.ensemble[order]), Compression(quantizer=quantizer))[0]
    )
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
    rounded = flat(release(same, Compression(quantizer=quantizer))[0])
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
    released, _, cells = release(networks, Compression(quantizer=quantizer))
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
    released = release(
        changed(networks, ensemble=numbered), Compression(quantizer=quantizers.Stochastic(bits=2))
    )[0][0][0]
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
        (block,) = networks.gradients()
        found = np.concatenate(block[fold], axis=1)
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
    (moved,), (still,) = other.gradients(), networks.gradients()
    for fold in (0, 1):
        for layer, expected in zip(moved[fold], still[fold], strict=True):
            np.testing.assert_array_equal(layer, expected)
    assert not np.allclose(moved[2][0], still[2][0])


def test_gradients_come_in_blocks_where_they_are_large(networks, monkeypatch):
    (whole,) = networks.gradients()
    monkeypatch.setattr("mis.ranking.networks.HELD", 4 * FOLDS * 11 * 7)
    for kept in (2**29, 0):
        monkeypatch.setattr("mis.ranking.networks.KEPT", kept)
        other = changed(networks)
        blocks = list(other.gradients())
        assert len(blocks) == 3
        for fold, layers in enumerate(whole):
            for k, layer in enumerate(layers):
                parts = np.concatenate([block[fold][k] for block in blocks])
                np.testing.assert_allclose(parts, layer, rtol=1e-5, atol=1e-6)
        assert ("_kept_gradients" in vars(other)) == bool(kept)
        expected = layer_scores(networks, [networks.layers])[0]
        for fold, scores in enumerate(layer_scores(other, [networks.layers])[0]):
            for name, values in scores.items():
                np.testing.assert_allclose(values, expected[fold][name], rtol=1e-3, atol=1e-4)


def test_several_releases_share_one_pass_over_the_gradients(networks, monkeypatch):
    releases = [Release(transform=quantizers.Sign()), Release(transform=quantizers.Uniform(bits=3))]
    single = [publish_together({release: networks}, [release])[0][0] for release in releases]
    monkeypatch.setattr("mis.ranking.networks.KEPT", 0)
    passes = []
    monkeypatch.setattr(
        Networks, "gradients", lambda self, of=Networks.gradients: passes.append(self) or of(self)
    )
    both = publish_together(dict.fromkeys(releases, networks), releases)
    assert [(release.name, one.compression) for release, (one,) in zip(releases, both, strict=True)] == [
        (release.name, release.published) for release in releases
    ]
    for (one,), expected in zip(both, single, strict=True):
        for scores, right in zip(one.layer_scores, expected.layer_scores, strict=True):
            assert set(scores) == set(right)
            for name, values in scores.items():
                np.testing.assert_allclose(values, right[name], rtol=1e-3, atol=1e-4)
    assert passes == [networks]


def test_releases_are_published_together_where_gradients_are_not_kept(networks, monkeypatch):
    releases = [Release(transform=quantizers.Uniform(bits=bits)) for bits in (2, 3, 4, 5, 6)]
    assert together(networks, releases) == [[release] for release in releases]
    monkeypatch.setattr("mis.ranking.networks.KEPT", 0)
    assert together(networks, releases) == [releases]
    # A network has 11 weights of 4 bytes.
    for held, sizes in ((2 * 44 * NUM, [1, 2, 2]), (3 * 44 * NUM, [2, 3]), (1, [1] * 5)):
        monkeypatch.setattr("mis.ranking.measure.HELD", held)
        groups = together(networks, releases)
        assert [len(group) for group in groups] == sizes
        assert [release for group in groups for release in group] == releases


@pytest.mark.parametrize(("steps", "num"), [(12, 12), (600, 30), (59, 30), (25, 6), (6, 6)])
def test_spread_is_that_of_the_last_third_of_one_run(networks, rng, steps, num):
    """Row k of the path is the iterate after step ``steps - (num - 1 - k) * (steps // num)``."""
    path = [rng.normal(size=(RUNS, num, *shape)).astype(np.float32) for shape in networks.spec.model.shapes]
    other = changed(
        networks,
        spec=RankingSpec(
            population=networks.spec.population,
            learner=Learner(num_steps=steps),
            model=networks.model,
            pool=20,
        ),
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
    found = measured(networks, Release(transform=quantizer))
    row, advantages = found.row, found.advantages
    released = [[quantizer(layer[m]) for layer in networks.ensemble.params] for m in range(NUM)]
    assert row.zeros == pytest.approx(
        np.mean([np.concatenate([p.ravel() for p in n]) == 0 for n in released])
    )
    pool, heldout, members = networks.split.pool, networks.split.heldout, networks.ensemble.membership

    def outputs(network, x):
        hidden = np.maximum(x @ network[0][:-1] + network[0][-1], 0.0)
        return (hidden @ network[1][:-1] + network[1][-1])[:, 0]

    errors = [(outputs(n, heldout.features) - heldout.targets) ** 2 for n in released]
    assert row.performance.value == pytest.approx(
        1 - np.mean(errors) / np.var(heldout.targets), rel=1e-4, abs=0
    )
    errors = [
        ((outputs(n, pool.features) - pool.targets) ** 2)[m] for n, m in zip(released, members, strict=True)
    ]
    assert row.train_performance == pytest.approx(1 - np.mean(errors) / np.var(pool.targets), rel=1e-4, abs=0)
    last = [layer[0, -1].astype(float) for layer in networks.trajectories.params]
    assert row.retained == theory.retained_information(last, networks.spread_of_run, quantizer)
    assert row.retained_ensemble == theory.retained_information(last, networks.spread, quantizer)
    assert row.weight_error == theory.weight_error(last, quantizer)
    assert row.num_candidates == RUNS * 4
    # A scale for each matrix.
    assert row.bits == pytest.approx(np.log2(3) + 32 * len(last) / sum(layer.size for layer in last))
    # Networks that learned nothing leak nothing.
    assert advantages.shape == (NUM,)
    for name in ("lira", "whitebox", "combined", "advantage"):
        assert abs(row[name].value) < 5 * advantages.std() / np.sqrt(NUM)
        assert row[name].lower < row[name].value < row[name].upper
        assert (row[name].kind, row[name].level) == ("attack", 0.95)
    assert row.advantage.value == pytest.approx(advantages.mean(), rel=1e-12, abs=0)
    assert set(row.attacks) == {"lira", "whitebox", "combined"}


def test_indicator_sees_the_candidates_on_held_out_examples(networks):
    quantizer = quantizers.Uniform(bits=3)
    row = measured(changed(networks, attacks=("lira",)), Release(transform=quantizer)).row
    losses = []
    for run, k in itertools.product(range(RUNS), range(4)):
        network = [quantizer(layer[run, k]) for layer in networks.trajectories.params]
        losses.append(networks.spec.model.losses(network, *vars(networks.split.heldout).values()))
    expected = theory.indicator(theory.SampledLosses(losses=np.array(losses)))
    for end in ("lower", "value", "upper"):
        assert getattr(row.indicator, end) == pytest.approx(getattr(expected, end), rel=1e-3, abs=0)
    assert row.indicator.kind == "bootstrap"
    assert row.indicator_naive == pytest.approx(expected.details["naive"], rel=1e-3, abs=0)


def test_one_and_the_same_release_has_no_indicator():
    row, missing = indicator_columns(np.ones((3, 1)) * np.arange(9.0), 0.95)
    assert row == {"num_candidates": 1}
    assert "no two candidates differ at random" in missing["indicator"]


def test_too_few_held_out_examples_have_no_indicator_whatever_the_candidates(rng):
    row, missing = indicator_columns(rng.normal(size=(4, 19)), 0.95)
    assert row == {"num_candidates": 4}
    assert missing["indicator"] == "19 examples say nothing; it takes at least 20"


MODEL = MLP(input_shape=(30,), num_classes=2)


def test_spec_refuses_what_cannot_be_ranked():
    for fields, message in (
        ({"pool": 15}, "pool an integer >= 16, got pool=15"),
        ({"pool": 9000}, "pool at most 553 on breast-cancer, got pool=9000"),
        ({"learner": Learner(num_steps=5)}, "num_steps an integer >= 6, got num_steps=5"),
        ({"seed": -1}, "seed an integer in 0..4294967295, got seed=-1"),
    ):
        with pytest.raises(ValueError, match=f"rank: expected {message}"):
            RankingSpec(**{"population": BreastCancer(), "learner": Learner(), "model": MODEL, **fields})


def test_an_attacker_who_ignores_the_release_has_shadows_in_full_precision(networks):
    asked = changed(networks, attacks=("lira", "lira_unadapted"))
    one = Release(transform=quantizers.Sign())
    ((published,),) = publish_together({one: asked}, [one])
    is_shadow = np.arange(NUM) % FOLDS > 1
    evidence = Evidence(published, 0, is_shadow)
    y = asked.split.pool.targets
    of_full = predict(asked.model, asked.layers, asked.split.pool.features)[is_shadow, :, 0] - y
    of_released = predict(asked.model, published.released, asked.split.pool.features)[~is_shadow, :, 0] - y
    expected = LiRA().scores(
        shadow_scores=of_full,
        shadow_membership=asked.ensemble.membership[is_shadow],
        target_scores=of_released,
    )
    np.testing.assert_allclose(ATTACKS["lira_unadapted"].scores(evidence), expected, rtol=1e-3, atol=1e-4)
    assert not np.allclose(ATTACKS["lira"].scores(evidence), expected)
    row = measure([published], one).row
    # Two rates of positives, each with its own threshold.
    assert set(row.tpr_of) == {"lira", "lira_unadapted"}
    again = Row.from_json(row.to_json())
    assert again.tpr_of == row.tpr_of
