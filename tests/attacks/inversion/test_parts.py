"""What gradient inversion is made of: gradients, labels, targets, descents, image quality."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from scipy import optimize, special

from mis.attacks import inversion
from mis.attacks.inversion.invert import total_variation
from mis.attacks.inversion.target import cosine_distance, misfit, rounded_misfit
from mis.models import MLP, LeNet
from mis.numerics.checks import InvalidInput, UnsupportedSetting
from mis.quantizers.gradients import parse_gradient, release

LINEAR = MLP(input_shape=(5,), num_classes=3, depth=0)


def test_gradient_of_logistic_regression_in_closed_form(rng):
    weights, x, y = rng.normal(size=(2, 6, 3)), rng.normal(size=(2, 4, 5)), rng.integers(3, size=(2, 4))
    ones = np.concatenate([x, np.ones((2, 4, 1))], axis=-1)
    residual = special.softmax(ones @ weights, axis=-1) - np.eye(3)[y]
    expected = np.swapaxes(ones, -1, -2) @ residual / 4
    assert np.allclose(inversion.shared_gradient(LINEAR, [weights], x, y)[0], expected, atol=1e-6)


def test_first_layer_gives_its_input_away(rng):
    """An affine layer with biases and one image: no descent, no error."""
    network = MLP(input_shape=(4, 4, 1), num_classes=3, width=6)
    layers = [np.asarray(layer)[None] for layer in network.init(jax.random.key(0))]
    image = rng.uniform(size=(1, 1, 4, 4, 1))
    # As rows: the network's own features are flat.
    flat = MLP(input_shape=(16,), num_classes=3, width=6)
    gradient = inversion.shared_gradient(flat, layers, image.reshape(1, 1, 16), np.array([[2]]))
    assert np.allclose(inversion.first_layer_input(gradient[0])[0], image.ravel(), atol=1e-5)


def test_label_of_one_image_is_exact(rng):
    """Whatever the network says: probabilities of one, of nearly one, of anything."""
    logits = 10 * rng.normal(size=(500, 7))
    labels = rng.integers(7, size=500)
    gradient = special.softmax(logits, axis=-1) - np.eye(7)[labels]
    assert np.array_equal(inversion.inferred_labels(gradient, 1)[:, 0], labels)


@pytest.mark.parametrize("batch", [2, 5, 8])
def test_labels_of_a_batch_where_probabilities_are_nearly_alike(batch, rng):
    mean = rng.dirichlet(np.full(10, 50.0), size=200)
    labels = np.sort(rng.integers(10, size=(200, batch)), axis=1)
    counts = np.eye(10)[labels].mean(axis=1)
    sure = np.ptp(mean, axis=1) < 1 / batch
    assert sure.sum() > 50
    assert np.array_equal(inversion.inferred_labels(mean - counts, batch)[sure], labels[sure])


def release_of(name, gradient):
    released = release(parse_gradient(name), gradient, jax.random.key(1))
    return released, inversion.adapted(released.values, released.observations, released.levels)


@pytest.fixture
def gradient(rng):
    return [
        rng.standard_t(4, size=(6, 4)).astype(np.float32),
        0.01 * rng.standard_t(4, size=(3, 2)).astype(np.float32),
    ]


def weighted(target, layers):
    return float(misfit(jax.tree.map(jnp.asarray, target), [jnp.asarray(layer) for layer in layers]))


@pytest.mark.parametrize(
    "name", ["levels-5", "levels-20", "codebook-4", "ternary-50", "prune-40", "top-20", "sign"]
)
def test_the_true_gradient_leaves_no_cell(name, gradient):
    """Adapted to cells the true gradient costs the pull to the middle alone; the naive attacker is misled."""
    released, target = release_of(name, gradient)
    pull = sum(
        near * np.square(true - value).sum()
        for near, true, value in zip(target.near, gradient, released.values, strict=True)
    )
    assert weighted(target, gradient) == pytest.approx(pull, abs=1e-9)
    assert weighted(inversion.naive(released.values), gradient) > 10 * weighted(target, gradient)
    further = [layer + 3 * np.abs(layer).max() for layer in gradient]
    assert weighted(target, further) > 1


def test_naive_target_is_the_relative_squared_distance(gradient):
    others = [layer + 0.1 for layer in gradient]
    size = sum(np.square(layer).sum() for layer in gradient)
    away = sum(0.01 * layer.size for layer in gradient)
    assert weighted(inversion.naive(gradient), others) == pytest.approx(away / size, rel=1e-5)
    assert weighted(inversion.naive(gradient), [0 * layer for layer in gradient]) == pytest.approx(1)


@pytest.mark.parametrize(("name", "tolerance"), [("noise-30", 1e-5), ("laplace-300", 0.1)])
def test_noise_is_matched_by_its_likelihood(name, tolerance, gradient):
    """Differences of the misfit are differences of log likelihoods, all in one unit."""
    released, target = release_of(name, gradient)
    zero = [0 * layer for layer in gradient]
    fits = [weighted(target, layers) for layers in (gradient, zero)]
    likelihoods = [
        sum(
            float(np.sum(seen.log_likelihood(layer.astype(float), 1e-6)))
            for seen, layer in zip(released.observations, layers, strict=True)
        )
        for layers in (gradient, zero)
    ]
    at_zero = -sum(
        float(np.sum(seen.log_likelihood(0.0, 1e-6) - seen.log_likelihood(value.astype(float), 1e-6)))
        for seen, value in zip(released.observations, released.values, strict=True)
    )
    assert (fits[1] - fits[0]) * at_zero == pytest.approx(likelihoods[0] - likelihoods[1], rel=tolerance)


def test_hat_is_matched_by_variance_and_support(gradient):
    released, target = release_of("levels-5-stochastic", gradient)
    inside = weighted(target, gradient)
    near = sum(
        weight * np.square(true - value).sum()
        for weight, true, value in zip(target.near, gradient, released.values, strict=True)
    )
    assert inside == pytest.approx(near, rel=1e-5)
    step = np.diff(released.levels[0] if len(released.levels[0]) else [0.0, np.abs(gradient[0]).max() / 2])[0]
    # The variance of a hat is a sixth of a squared step.
    assert target.near[0] / target.near[1] == pytest.approx(
        (np.abs(gradient[1]).max() / np.abs(gradient[0]).max()) ** 2, rel=1e-4
    )
    assert step > 0


def test_rounded_misfit_sees_codes_alone_and_passes_the_slope_through(gradient):
    released, target = release_of("levels-5", gradient)
    one = jax.tree.map(lambda array: jnp.asarray(array[0]), inversion.stack([target]))
    layers = [jnp.asarray(layer) for layer in gradient]
    assert float(rounded_misfit(one, layers)) == 0
    moved = [layers[0].at[0, 1].set(2 * jnp.abs(layers[0]).max()), layers[1]]
    value, slope = jax.value_and_grad(lambda layers: rounded_misfit(one, layers))(moved)
    top = np.abs(gradient[0]).max()
    size = sum(np.square(layer).sum() for layer in released.values)
    jump = top - released.values[0][0, 1]
    assert float(value) == pytest.approx(jump**2 / size, rel=1e-5)
    assert float(slope[0][0, 1]) == pytest.approx(2 * jump / size, rel=1e-5)
    assert not np.any(slope[1])


def test_cosine_distance_forgets_the_size(gradient):
    target = jax.tree.map(jnp.asarray, inversion.naive(gradient))
    assert float(cosine_distance(target, [7 * jnp.asarray(layer) for layer in gradient])) == pytest.approx(
        0, abs=1e-6
    )
    assert float(cosine_distance(target, [-jnp.asarray(layer) for layer in gradient])) == pytest.approx(
        2, abs=1e-6
    )


def test_cells_that_all_hold_zero_are_degenerate(gradient):
    assert release_of("sign", gradient)[1].degenerate
    assert not release_of("levels-20", gradient)[1].degenerate
    assert not release_of("noise-20", gradient)[1].degenerate
    assert not inversion.naive(gradient).degenerate


def run(method, objective, start):
    step = jax.jit(lambda state: method.step(objective, state))
    state = method.start(jnp.asarray(start))
    while not method.done(state):
        state = step(state)
    return state


def test_lbfgs_meets_scipy_on_a_curved_valley():
    def valley(x):
        return 100 * jnp.sum((x[1:] - x[:-1] ** 2) ** 2) + jnp.sum((1 - x[:-1]) ** 2)

    state = run(inversion.LBFGS(steps=300, tolerance=1e-9, memory=4), valley, [-1.2, 1.0, -0.5])
    expected = optimize.minimize(optimize.rosen, [-1.2, 1.0, -0.5], jac=optimize.rosen_der, tol=1e-10)
    assert np.allclose(state.best, expected.x, atol=1e-3)
    trace = np.asarray(state.trace)[: int(state.iterations) + 1]
    assert np.all(np.diff(trace) < 0)
    assert trace[-1] == state.least
    assert state.evaluations < 2 * state.iterations
    again = inversion.LBFGS(steps=300, tolerance=1e-9, memory=4).step(valley, state)
    assert all(
        np.array_equal(a, b, equal_nan=True)
        for a, b in zip(*map(jax.tree.leaves, (state, again)), strict=True)
    )


def test_lbfgs_stalls_where_nothing_is_finite():
    state = run(inversion.LBFGS(steps=5), lambda x: jnp.sum(jnp.log(-jnp.square(x))), [1.0, 2.0])
    assert state.stalled
    assert state.evaluations == 1


def test_adam_is_optax_and_keeps_the_best():
    method = inversion.Adam(steps=20, rate=0.3, signed=False)
    state = run(method, lambda x: jnp.sum(x**2), [1.0, -3.0])
    moves = optax.adam(optax.piecewise_constant_schedule(0.3, {7: 0.1, 12: 0.1, 17: 0.1}))
    x = jnp.array([1.0, -3.0])
    memory, values = moves.init(x), []
    for _ in range(21):
        values.append(float(jnp.sum(x**2)))
        updates, memory = moves.update(2 * x, memory, x)
        x = optax.apply_updates(x, updates)
    assert np.allclose(state.trace, values, rtol=1e-5)
    assert state.least == pytest.approx(min(values), rel=1e-5)


def test_structural_similarity_by_its_definition(rng):
    found, true = rng.uniform(size=(2, 13, 12, 2))
    taps = np.exp(-(np.arange(-5, 6) ** 2) / 4.5)
    window = np.outer(taps, taps) / taps.sum() ** 2
    values = []
    for c in range(2):
        for i in range(3):
            for j in range(2):
                a, b = (image[i : i + 11, j : j + 11, c] for image in (found, true))
                ma, mb = (window * a).sum(), (window * b).sum()
                va, vb = (window * (a - ma) ** 2).sum(), (window * (b - mb) ** 2).sum()
                cov = (window * (a - ma) * (b - mb)).sum()
                values.append(
                    (2 * ma * mb + 1e-4) * (2 * cov + 9e-4) / ((ma**2 + mb**2 + 1e-4) * (va + vb + 9e-4))
                )
    assert inversion.structural_similarity(found, true) == pytest.approx(np.mean(values), abs=1e-12)
    assert inversion.structural_similarity(found[None, :8, :8], found[None, :8, :8])[0] == pytest.approx(1)


def test_errors_of_images(rng):
    true = rng.uniform(size=(2, 8, 8, 1))
    assert np.allclose(inversion.squared_error(true + 0.1, true), 0.01)
    assert np.allclose(inversion.absolute_error(true - 0.1, true), 0.1)
    assert np.allclose(inversion.peak_signal_to_noise(true + 0.1, true), 20)
    assert np.array_equal(inversion.peak_signal_to_noise(true, true), [100, 100])
    order = rng.permutation(6)
    images = rng.uniform(size=(6, 4, 4, 1))
    assert np.array_equal(images[order][inversion.matched(images[order], images)], images)


def test_total_variation():
    assert float(total_variation(jnp.arange(4.0).reshape(1, 2, 2, 1))) == 3
    assert float(total_variation(jnp.ones((2, 5)))) == 0


def test_refuses(rng):
    lenet = LeNet(input_shape=(8, 8, 1), num_classes=3, activation="sigmoid")
    nan = [np.full((1, *shape), np.nan) for shape in lenet.shapes]
    with pytest.raises(InvalidInput, match=r"structure of lenet.*26x12.*got 1x6x3"):
        inversion.check_gradient(lenet, [np.ones((1, 6, 3))])
    with pytest.raises(InvalidInput, match="NaN or infinite values"):
        inversion.check_gradient(lenet, nan)
    with pytest.raises(InvalidInput, match="nothing to recover"):
        inversion.check_gradient(LINEAR, [np.stack([np.ones((6, 3)), np.zeros((6, 3))])])
    with pytest.raises(InvalidInput, match="nothing to recover"):
        inversion.naive([np.zeros((2, 2))])
    with pytest.raises(InvalidInput, match="a list of matrices"):
        inversion.check_gradient(LINEAR, np.ones((1, 6, 3)))
    with pytest.raises(InvalidInput, match="without masked values"):
        inversion.check_gradient(LINEAR, [np.ma.masked_less(rng.normal(size=(1, 6, 3)), 0)])
    with pytest.raises(InvalidInput, match=r"expected batch in 1\.\.8, got batch=9"):
        inversion.shared_gradient(LINEAR, [np.ones((1, 6, 3))], np.ones((1, 9, 5)), np.zeros((1, 9), int))
    with pytest.raises(InvalidInput, match=r"targets in 0\.\.2"):
        inversion.shared_gradient(LINEAR, [np.ones((1, 6, 3))], np.ones((1, 1, 5)), np.full((1, 1), 3))
    with pytest.raises(InvalidInput, match="expected images of shape"):
        inversion.shared_gradient(LINEAR, [np.ones((1, 6, 3))], np.ones((1, 1, 4)), np.zeros((1, 1), int))
    with pytest.raises(UnsupportedSetting, match="labels of a regression"):
        inversion.shared_gradient(
            MLP(input_shape=(5,)), [np.ones((1, 6, 1))], np.ones((1, 1, 5)), np.zeros((1, 1))
        )
    with pytest.raises(InvalidInput, match=r"images .* of one shape"):
        inversion.squared_error(np.ones((8, 8, 1)), np.ones((8, 8)))
    with pytest.raises(InvalidInput, match="steps an integer"):
        inversion.LBFGS(steps=0)
    with pytest.raises(InvalidInput, match="distance one of"):
        inversion.Objective(distance="cosin")
    with pytest.raises(InvalidInput, match="variation >= 0"):
        inversion.Objective(variation=-1.0)
    assert math.isfinite(inversion.Adam().rate)
