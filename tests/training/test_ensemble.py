import os
import pathlib
import subprocess
import sys
import textwrap

import jax
import numpy as np
import pytest
from scipy.special import softmax

from mis.models import MLP
from mis.numerics.checks import InvalidInput
from mis.populations.base import DATA_STREAM
from mis.training import Ensemble, Learner, joined, memberships, num_devices, train, train_chunk
from mis.training.ensemble import batches_of, initial_points
from mis.training.loops import FETCH, fit_compiled, steps_at_once

POOL, DIM, SEED = 22, 3, 7
REGRESSION, CLASSES = MLP(input_shape=(DIM,), width=4), MLP(input_shape=(DIM,), width=4, num_classes=3)
# 11 members: epochs end within a batch, and stretches of a path do not divide its steps.
LEARNER = Learner(learning_rate=0.05, num_steps=25, batch_size=4)


def pool(model):
    rng = np.random.default_rng(99)
    x = rng.normal(size=(POOL, DIM)).astype(np.float32)
    y = rng.normal(size=POOL).astype(np.float32) if model.num_classes is None else rng.integers(3, size=POOL)
    return x, y


def fit(model=REGRESSION, learner=LEARNER, indices=(0, 1, 2), **options):
    return train_chunk(model, learner, *pool(model), seed=SEED, indices=np.array(indices), **options)


@pytest.fixture(scope="module")
def chunk():
    return fit()


def assert_close(some, others, rtol=2e-5):
    for a, b in zip(some.params, others.params, strict=True):
        np.testing.assert_allclose(a, b, rtol=rtol, atol=rtol)
    np.testing.assert_array_equal(some.membership, others.membership)


def slopes(model, params, x, y):
    """Gradient of the mean loss of a network with one hidden layer, by hand."""
    (w, v), ones = params, np.ones((len(x), 1))
    x = np.hstack([x, ones])
    hidden = np.maximum(x @ w, 0.0)
    outputs = np.hstack([hidden, ones]) @ v
    if model.num_classes is None:
        error = outputs - y[:, None]
    else:
        error = softmax(outputs, axis=1) - np.eye(model.num_classes)[y]
    back = error @ v[:-1].T * (hidden > 0.0)
    return [x.T @ back / len(x), np.hstack([hidden, ones]).T @ error / len(x)]


def by_hand(model, learner, start, batches):
    """The whole training in NumPy, float64; the path of parameters."""
    features, targets = pool(model)
    params = [layer.astype(np.float64) for layer in start]
    first, second = ([np.zeros_like(p) for p in params] for _ in range(2))
    path = []
    for t, rows in enumerate(batches, start=1):
        grads = slopes(model, params, features[rows].astype(np.float64), targets[rows])
        for i, g in enumerate(grads):
            if learner.optimiser == "adam":
                first[i] = 0.9 * first[i] + 0.1 * g
                second[i] = 0.999 * second[i] + 0.001 * g**2
                step = first[i] / (1 - 0.9**t) / (np.sqrt(second[i] / (1 - 0.999**t)) + 1e-8)
            else:
                first[i] = 0.9 * first[i] + g if learner.optimiser == "momentum" else g
                step = first[i]
            params[i] = params[i] - learner.learning_rate * (step + learner.weight_decay * params[i])
        path.append([p.copy() for p in params])
    return path


@pytest.mark.parametrize(
    ("model", "learner"),
    [
        (REGRESSION, LEARNER),
        pytest.param(CLASSES, LEARNER, marks=pytest.mark.slow),
        (
            REGRESSION,
            Learner(optimiser="momentum", learning_rate=0.02, num_steps=25, batch_size=4, weight_decay=0.5),
        ),
        (
            CLASSES,
            Learner(optimiser="sgd", learning_rate=0.2, num_steps=25, batch_size=4, initialisation="random"),
        ),
    ],
    ids=lambda spec: f"{getattr(spec, 'optimiser', '')}{getattr(spec, 'num_classes', '')}",
)
def test_a_network_is_what_a_hand_written_loop_trains(model, learner):
    members = np.flatnonzero(memberships(SEED, np.array([5]), POOL)[0])
    start = [layer[0] for layer in initial_points(SEED, np.array([5]), model, learner)]
    path = by_hand(model, learner, start, batches_of(SEED, 5, members, learner))
    found = fit(model, learner, [5], num_snapshots=6)
    # One step, then six stretches of four.
    for k, step in enumerate(range(5, 26, 4)):
        for layer, expected in zip(found.params, path[step - 1], strict=True):
            np.testing.assert_allclose(layer[0, k], expected, rtol=1e-3, atol=1e-5)


def test_many_are_the_single_ones(chunk):
    """Any chunk, any order, any number of devices at work: a network depends on the seed and its number alone."""
    one_by_one = joined([fit(indices=[i]) for i in (0, 1, 2)])
    assert_close(chunk, one_by_one)
    assert_close(fit(indices=[2, 0])[np.array([1, 0])], chunk[np.array([0, 2])])
    whole = train(REGRESSION, LEARNER, *pool(REGRESSION), seed=SEED, num_networks=3, chunk=2)
    assert_close(whole, chunk)
    np.testing.assert_array_equal(whole.indices, [0, 1, 2])


def test_a_gpus_wide_map_trains_the_same_networks(chunk, monkeypatch):
    """The other strategy of the one place that chooses, run here on the CPU."""
    monkeypatch.setattr(jax, "default_backend", lambda: "gpu")
    fit_compiled.clear_cache()
    try:
        assert_close(fit(), chunk)
        assert_close(fit(num_snapshots=4)[np.array([2])], fit(indices=[2], num_snapshots=4))
    finally:
        fit_compiled.clear_cache()


def test_repeats_exactly_and_seeds_differ(chunk):
    again = fit()
    other = train_chunk(REGRESSION, LEARNER, *pool(REGRESSION), seed=SEED + 1, indices=np.arange(3))
    for a, b, c in zip(chunk.params, again.params, other.params, strict=True):
        np.testing.assert_array_equal(a, b)
        assert (a != c).all()


def test_progress_counts_chunks():
    seen = []

    def progress(firsts):
        for first in firsts:
            seen.append(first)
            yield first

    train(REGRESSION, LEARNER, *pool(REGRESSION), seed=SEED, num_networks=5, chunk=2, progress=progress)
    assert seen == [0, 2, 4]


@pytest.mark.parametrize("num_pool", [22, 23])
def test_members_are_a_random_half(num_pool):
    halves = memberships(SEED, np.arange(4000), num_pool)
    assert (halves.sum(axis=1) == num_pool // 2).all()
    share = num_pool // 2 / num_pool
    error = np.sqrt(share * (1 - share) / 4000)
    assert np.abs(halves.mean(axis=0) - share).max() < 5 * error
    # Halves of a fixed size: two examples repel each other by 1 / (N - 1).
    pairs = np.corrcoef(halves.T)[np.triu_indices(num_pool, 1)]
    assert np.abs(pairs + 1 / (num_pool - 1)).max() < 5 / np.sqrt(4000)
    np.testing.assert_array_equal(memberships(SEED, np.array([17, 3]), num_pool), halves[[17, 3]])


@pytest.mark.parametrize("batch", [1, 4, 11, 30])
def test_batches_run_through_members_epoch_by_epoch(batch):
    members = np.flatnonzero(memberships(SEED, np.array([3]), POOL)[0])
    order = batches_of(SEED, 3, members, Learner(num_steps=40, batch_size=batch))
    assert order.shape == (40, batch)
    epochs = [order.ravel()[i : i + 11] for i in range(0, order.size, 11)]
    for epoch in epochs[:-1]:
        np.testing.assert_array_equal(np.sort(epoch), members)
    assert len(set(epochs[-1])) == len(epochs[-1])
    assert set(epochs[-1]) <= set(members)
    assert len({tuple(epoch) for epoch in epochs[:-1]}) == len(epochs) - 1


def test_only_members_are_learned(chunk):
    """Other features and targets for everybody who is no member leave the network as it is."""
    x, y = pool(REGRESSION)
    outside = ~chunk.membership[1]
    x[outside], y[outside] = 1e3, -1e3
    changed = train_chunk(REGRESSION, LEARNER, x, y, seed=SEED, indices=np.array([1]))
    for a, b in zip(changed.params, chunk.params, strict=True):
        np.testing.assert_array_equal(a[0], b[1])


def test_the_last_snapshot_is_the_last_iterate(chunk):
    path = fit(num_snapshots=4)
    for layer, last, shape in zip(path.params, chunk.params, REGRESSION.shapes, strict=True):
        assert layer.shape == (3, 4, *shape)
        np.testing.assert_allclose(layer[:, -1], last, rtol=2e-5, atol=2e-6)


def starts(initialisation, indices, model=REGRESSION):
    layers = initial_points(SEED, np.array(indices), model, Learner(initialisation=initialisation))
    return [layer.reshape(len(indices), -1) for layer in layers]


def test_initial_points_fixed_or_random():
    numbers = [0, 1, 9]
    for fixed, random, alone in zip(
        starts("fixed", numbers), starts("random", numbers), starts("random", [9]), strict=True
    ):
        assert (fixed == fixed[0]).all()
        assert len({row.tobytes() for row in (fixed[0], *random)}) == 4
        np.testing.assert_array_equal(random[2], alone[0])


@pytest.mark.parametrize("initialisation", ["fixed", "random"])
def test_training_starts_at_the_initial_points(initialisation):
    still = Learner(optimiser="sgd", learning_rate=1e-20, num_steps=1, initialisation=initialisation)
    for layer, start in zip(fit(learner=still).params, starts(initialisation, [0, 1, 2]), strict=True):
        np.testing.assert_allclose(layer.reshape(3, -1), start, rtol=1e-6, atol=1e-15)


def test_streams_of_one_seed_do_not_meet():
    """Halves, initial points and data come from the same seed; none may repeat the draws of another."""
    rows = np.random.default_rng(SEED).permutation(POOL)[: POOL // 2]
    assert not memberships(SEED, np.array([0]), POOL)[0][rows].all()
    # Laws draw their noise from the second half of this key; shared, it would be the last layer's weights.
    key = jax.random.split(jax.random.fold_in(jax.random.key(SEED), DATA_STREAM))[1]
    noise = np.asarray(jax.random.normal(key, (REGRESSION.width,)))
    for initialisation in ("fixed", "random"):
        weights = starts(initialisation, [0, 1])[-1][:, :-1]
        ratios = weights / noise
        assert (np.ptp(ratios, axis=1) > 0.1 * np.abs(ratios).max(axis=1)).all()


def test_diverged_networks_are_flagged():
    assert fit(learner=Learner(optimiser="sgd", learning_rate=1e3, num_steps=40, batch_size=4)).diverged.all()
    assert not fit().diverged.any()
    params = [np.zeros((5, 3, 2)), np.zeros((5, 2, 1))]
    params[0][1, 2, 1], params[1][2, 0, 0], params[1][3, 1, 0] = np.nan, -np.inf, -2e6
    ensemble = Ensemble(params=params, membership=np.eye(5, dtype=bool), indices=np.arange(10, 15))
    np.testing.assert_array_equal(ensemble.diverged, [False, True, True, True, False])
    kept = ensemble[~ensemble.diverged]
    np.testing.assert_array_equal(kept.indices, [10, 14])
    np.testing.assert_array_equal(kept.membership, np.eye(5, dtype=bool)[[0, 4]])
    paths = Ensemble(
        params=[p[:, None] for p in params], membership=ensemble.membership, indices=ensemble.indices
    )
    np.testing.assert_array_equal(paths.diverged, ensemble.diverged)


def test_one_compilation_per_spec(caplog):
    """Seeds, numbers and data are arguments; only the spec and the size of a chunk compile."""
    learner = Learner(learning_rate=0.0123, num_steps=6, batch_size=4)
    x, y = pool(REGRESSION)

    def compiled(seed, features, indices):
        caplog.clear()
        with jax.log_compiles():
            train_chunk(REGRESSION, learner, features, y, seed=seed, indices=indices)
        return sum("Compiling" in r.message and "fit_compiled" in r.message for r in caplog.records)

    assert compiled(0, x, np.arange(4)) == 1
    assert compiled(1, 2 * x, np.arange(4, 8)) == 0
    caplog.clear()
    with jax.log_compiles():
        train(REGRESSION, learner, x, y, seed=3, num_networks=10, chunk=4)
    assert not [r.message for r in caplog.records if "Compiling" in r.message]
    if num_devices() == 2:
        # An odd number is padded to the next even one.
        assert compiled(2, x, np.arange(3)) == 0


def test_fewer_devices_train_the_same_networks(chunk, tmp_path):
    """JAX started too early keeps its one device: a warning, and the same networks."""
    script = """
        import sys, warnings
        import jax, numpy as np
        jax.numpy.zeros(1).block_until_ready()
        from mis.models import MLP
        from mis.training import Learner, num_devices, train_chunk
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            num = num_devices()
        arrays = np.load(sys.argv[1])
        model, learner = MLP(input_shape=(3,), width=4), Learner(learning_rate=0.05, num_steps=25, batch_size=4)
        found = train_chunk(model, learner, arrays["x"], arrays["y"],
                            seed=7, indices=np.arange(3))
        said = " ".join(str(w.message) for w in caught)
        np.savez(sys.argv[2], *found.params, num=num, said=said, membership=found.membership)
    """
    x, y = pool(REGRESSION)
    np.savez(tmp_path / "pool.npz", x=x, y=y)
    path = tmp_path / "found.npz"
    subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script), tmp_path / "pool.npz", path],
        check=True,
        cwd=pathlib.Path(__file__).parents[2],
    )
    found = np.load(path)
    assert_close(
        Ensemble(
            params=[found["arr_0"], found["arr_1"]], membership=found["membership"], indices=np.arange(3)
        ),
        chunk,
    )
    if jax.default_backend() == "cpu":
        assert found["num"] == 1
        if len(os.sched_getaffinity(0)) > 1:
            assert "training will use 1 of" in str(found["said"])


def test_impossible_requests_are_refused():
    with pytest.raises(InvalidInput, match=r"num_snapshots an integer in 0..25, got num_snapshots=26"):
        fit(num_snapshots=26)
    with pytest.raises(InvalidInput, match="a pool of at least 4 examples, got 3"):
        train_chunk(REGRESSION, LEARNER, np.zeros((3, 3)), np.zeros(3), seed=0, indices=np.arange(2))
    with pytest.raises(InvalidInput, match="num_networks an integer >= 1, got num_networks=0"):
        train(REGRESSION, LEARNER, *pool(REGRESSION), seed=0, num_networks=0)


@pytest.mark.parametrize("steps", [1, 7, 59, 600, 2000])
@pytest.mark.parametrize("step_bytes", [4, FETCH // 10, FETCH // 3, 5 * FETCH])
def test_examples_fetched_at_once_divide_the_steps_and_fit(steps, step_bytes):
    found = steps_at_once(steps, step_bytes)
    fitting = [d for d in range(1, steps + 1) if steps % d == 0 and d * step_bytes <= FETCH]
    assert found == max(fitting, default=1)
