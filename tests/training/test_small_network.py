import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import optimize

from mis import theory
from mis.numerics.checks import InvalidInput
from mis.studies.refits import attack
from mis.studies.teachers import TETRAHEDRAL, Optimum, Teacher
from mis.training.small_network import SmallNetwork

ACTIVATIONS = {"tanh": jnp.tanh, "softplus": jax.nn.softplus, "relu": jax.nn.relu}


def by_autodiff(network, weights, x, y):
    """Gradients of the examples' losses, Hessian of the mean loss, in double precision."""

    def losses(weights):
        first = weights[:16].reshape(4, 4)
        hidden = ACTIVATIONS[network.activation](first[None, :, 0] + x @ first[:, 1:].T)
        return jnp.square(hidden @ weights[16:20] + weights[20] - y) / 2

    with jax.enable_x64(True):
        weights, x, y = (jnp.asarray(a) for a in (weights, x, y))
        both = jax.jit(lambda w: (jax.jacfwd(losses)(w), jax.hessian(lambda w: losses(w).mean())(w)))
        return [np.asarray(part) for part in both(weights)]


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_derivatives_are_those_of_automatic_differentiation(rng, activation):
    network = SmallNetwork(inputs=3, hidden=4, activation=activation)
    weights, x, y = rng.normal(size=(2, 21)), rng.normal(size=(2, 30, 3)), rng.normal(size=(2, 30))
    gradients, hessian = network.expand(weights, x, y)
    descent = network.descent(weights, x, y)
    for i in range(2):
        want, curvature = by_autodiff(network, weights[i], x[i], y[i])
        np.testing.assert_allclose(gradients[i], want, rtol=1e-12, atol=1e-12)
        np.testing.assert_allclose(hessian[i], curvature, rtol=1e-12, atol=1e-12)
        np.testing.assert_allclose(
            descent[i], want.mean(axis=0) + network.penalty * weights[i], rtol=1e-12, atol=1e-12
        )
        step = 1e-6 * rng.normal(size=21)
        change = network.objective(weights[i] + step, x[i], y[i]) - network.objective(weights[i], x[i], y[i])
        assert change == pytest.approx(descent[i] @ step, rel=1e-3)


def test_a_fit_is_the_minimum_that_scipy_comes_to(rng):
    teacher = Teacher.of_four(rng)
    x, y = teacher.sample(rng, 3, 300)
    fit = teacher.network.fit(teacher.weights, x, y)
    assert fit.converged.all()
    for i in range(3):
        found = optimize.minimize(
            lambda w, i=i: teacher.network.objective(w, x[i], y[i]),
            teacher.weights,
            jac=lambda w, i=i: teacher.network.descent(w, x[i], y[i]),
            tol=1e-9,
        )
        np.testing.assert_allclose(fit.weights[i], found.x, atol=1e-5)
        _, hessian = teacher.network.expand(fit.weights[i], x[i], y[i])
        assert np.linalg.eigvalsh(hessian).min() > 0


def test_one_more_example_moves_the_minimum_by_its_influence(rng):
    """Added with weight 1/n: the difference of two fits, to first order."""
    teacher = Teacher.of_four(rng)
    x, y = teacher.sample(rng, 50_000)
    optimum = Optimum.of(teacher.network, teacher.weights, x, y)
    extra = np.tile([[1.5, -0.5, 0.3]], (20, 1)), np.full(20, 3.0)
    both = [np.concatenate(pair) for pair in zip((x, y), extra, strict=True)]
    moved = teacher.network.fit(optimum.weights, *both).weights - optimum.weights
    psi = optimum.influence(*extra)[0]
    np.testing.assert_allclose(moved * 50_020 / 20, psi, atol=0.03 * np.abs(psi).max())


def test_a_ramp_has_minima_on_its_kinks(rng):
    """Most fits end where no gradient vanishes, and yet no small step goes down."""
    teacher = Teacher.of_four(rng, activation="relu")
    x, y = teacher.sample(rng, 20, 200)
    network = teacher.network
    fit = network.fit(teacher.weights, x, y, steps=100)
    assert fit.converged.mean() < 0.5
    lowest = network.objective(fit.weights, x, y)
    for scale in (1e-3, 1e-2):
        moved = fit.weights + scale * rng.normal(size=fit.weights.shape)
        assert (network.objective(moved, x, y) > lowest).mean() > 0.9


@pytest.mark.parametrize("angle", [TETRAHEDRAL, 30.0])
def test_two_units_of_a_teacher_are_an_angle_apart(rng, angle):
    units = Teacher.of_four(rng, angle=angle).weights[:16].reshape(4, 4)[:, 1:]
    np.testing.assert_allclose(np.linalg.norm(units, axis=1), 1.5)
    cosines = units @ units.T / 1.5**2
    assert math.degrees(math.acos(cosines[0, 2])) == pytest.approx(angle)
    np.testing.assert_allclose([cosines[0, 1], cosines[1, 3]], -1 / 3)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"inputs": 0}, "expected inputs an integer >= 1"),
        ({"hidden": 2.5}, "expected hidden an integer >= 1"),
        ({"activation": "tan"}, "expected activation one of tanh, softplus, relu"),
        ({"penalty": 0.0}, "expected penalty a finite number > 0"),
    ],
)
def test_bad_networks_are_refused(changed, message):
    with pytest.raises(InvalidInput, match=message):
        SmallNetwork(**({"inputs": 3, "hidden": 4} | changed))


def test_the_attack_reaches_what_the_mean_of_normal_vectors_leaks(rng):
    """Released in full precision: the exact advantage, but for what four thousand refits tell of its law."""
    dim, n = 6, 40
    members, others = rng.standard_normal((2, 4000, n, dim))
    estimates = members.mean(axis=1)
    gains = attack(estimates, estimates, members / n, others / n)
    error = gains.std() / math.sqrt(len(gains))
    assert abs(gains.mean() - theory.full_precision_mean(dim, n).value) < 5 * error
    assert error < 0.02 * gains.mean()


def test_refits_that_went_elsewhere_are_attacked_but_not_learned_from(rng):
    dim, n = 6, 40
    members, others = rng.standard_normal((2, 2000, n, dim))
    estimates = members.mean(axis=1)
    estimates[::10] += 50 * rng.standard_normal((200, dim))
    usual = np.arange(2000) % 10 != 0
    moves = members / n, others / n
    spoilt, kept = (attack(estimates, estimates, *moves, usual=u).mean() for u in (None, usual))
    assert kept > 0.8 * theory.full_precision_mean(dim, n).value
    assert spoilt < 0.7 * kept
