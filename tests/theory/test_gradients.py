"""Membership in a released gradient: enumeration, quadrature, dp-accounting."""

import math

import mpmath
import numpy as np
import pytest
from scipy import integrate, stats

from mis import theory
from mis.numerics.checks import InvalidInput
from mis.theory import gradients
from mis.theory.roc import Roc


def enumerated(members, others):
    """Both laws of all coordinates together, outcome by outcome."""
    laws = []
    for rows in (members, others):
        law = np.ones(1)
        for row in rows:
            law = np.outer(law, row).ravel()
        laws.append(law)
    return Roc.discrete(*laws)


@pytest.mark.parametrize("zeros", [False, True])
def test_product_of_discrete_laws_by_enumeration(zeros, rng):
    members, others = rng.dirichlet(np.ones(3), size=(2, 7))
    if zeros:
        others[2, 0], members[4, 1] = 0.0, 0.0
        members, others = (law / law.sum(axis=1, keepdims=True) for law in (members, others))
    # Something to tell, and something not to.
    members = 0.8 * others + 0.2 * members
    if zeros:
        members[2] = [0.05, 0.5, 0.45]
    members[6] = others[6]
    truth = enumerated(members, others)
    found = gradients.discrete_product(members, others, tolerance=1e-5)
    assert found.lower <= truth.advantage().value <= found.upper
    assert found.width < 1e-4
    for epsilon in (-0.5, 0.3, 1.5):
        bounds = found.roc().hockey_stick(epsilon)
        assert bounds.lower - 1e-12 <= truth.hockey_stick(epsilon).value <= bounds.upper + 1e-12


def test_equal_and_disjoint_laws():
    same = np.array([[0.3, 0.7], [0.5, 0.5]])
    assert gradients.discrete_product(same, same).upper == 0
    assert gradients.discrete_product([[1.0, 0.0]], [[0.0, 1.0]]).lower == 1
    assert gradients.discrete_product([[0.5, 0.5, 0.0]], [[0.0, 0.0, 1.0]]).lower == 1


def test_laws_of_stochastic_rounding_by_enumeration(rng):
    """Every place of one entry against the other's: the same interval, the next, the one before, far away."""
    levels = np.sort(rng.normal(size=6))
    member, other = (rng.uniform(levels[0], levels[-1], size=400) for _ in range(2))
    found = gradients.rounded_laws(levels, member, other)

    def law(value):
        weights = np.zeros(len(levels))
        below = min(np.flatnonzero(levels <= value)[-1], len(levels) - 2)
        up = (value - levels[below]) / (levels[below + 1] - levels[below])
        weights[[below, below + 1]] = 1 - up, up
        return weights

    expected = [0.5 * np.abs(law(a) - law(b)).sum() for a, b in zip(member, other, strict=True)]
    assert np.allclose(0.5 * np.abs(found[0] - found[1]).sum(axis=1), expected, atol=1e-12)
    assert np.allclose(found[0].sum(axis=1), 1)
    assert np.allclose(found[1].sum(axis=1), 1)


def test_rounds_are_one_long_gradient(rng):
    levels = np.linspace(-1, 1, 4)
    member, other = rng.uniform(-0.9, 0.9, size=(2, 3))
    other = 0.9 * member + 0.1 * other
    two = gradients.rounded_release(levels, np.tile(member, 2), np.tile(other, 2), tolerance=1e-5)
    members, others = (np.tile(law, (2, 1)) for law in gradients.rounded_laws(levels, member, other))
    truth = enumerated(members, others).advantage().value
    assert two.lower <= truth <= two.upper
    assert two.width < 1e-4
    one = gradients.rounded_release(levels, member, other)
    assert one.upper < two.lower


def test_normal_noise_is_its_closed_form_and_that_of_dp_accounting():
    dp = pytest.importorskip("dp_accounting.pld.privacy_loss_mechanism")
    for sigma in (0.5, 1.0, 3.0):
        noise = dp.GaussianPrivacyLoss(sigma)
        for epsilon in (0.0, 0.5, 2.0, 4.0):
            assert gradients.gaussian_delta(1 / sigma, epsilon) == pytest.approx(
                noise.get_delta_for_epsilon(epsilon), rel=1e-9, abs=1e-15
            )
        for delta in (1e-9, 1e-5, 0.01):
            epsilon = gradients.gaussian_epsilon(1 / sigma, delta)
            # The least: here at most delta, a hair below more.
            assert noise.get_delta_for_epsilon(epsilon) <= delta
            assert noise.get_delta_for_epsilon(epsilon * (1 - 1e-6)) > delta
        assert gradients.gaussian_release(1 / sigma).value == pytest.approx(
            2 * stats.norm.cdf(1 / (2 * sigma)) - 1, rel=1e-12
        )
    assert gradients.gaussian_release(0.0).upper == 0
    # Rounds: distances add as squares, by convolution of two normal laws.
    grid = np.linspace(-12, 12, 2001)
    one = stats.norm.pdf(grid)
    plane = np.abs(np.outer(one, one) - np.outer(stats.norm.pdf(grid - 0.6), stats.norm.pdf(grid - 0.8)))
    assert plane.sum() * (grid[1] - grid[0]) ** 2 / 2 == pytest.approx(
        gradients.gaussian_release(1.0).value, abs=1e-4
    )


def test_double_exponential_noise_by_quadrature():
    for shift in (0.05, 1.0, 6.0):
        truth = 0.5 * integrate.quad(
            lambda x, s=shift: abs(stats.laplace.pdf(x) - stats.laplace.pdf(x - s)), -40, 46,
            points=[0, shift / 2, shift], limit=200,
        )[0]  # fmt: skip
        assert gradients.laplace_release([shift]).value == pytest.approx(truth, abs=1e-7)
    grid = np.linspace(-25, 25, 2501)
    density, moved = stats.laplace.pdf(grid), stats.laplace.pdf(grid - 0.7)
    truth = np.abs(np.outer(density, density) - np.outer(moved, moved)).sum() * (grid[1] - grid[0]) ** 2 / 2
    found = gradients.laplace_release([0.7, -0.7])
    assert found.lower < truth < found.upper


@pytest.mark.parametrize("shift", [2e-9, 1e-6, 1e-3, 0.09, 0.11, 3.0])
def test_affinity_of_double_exponential_noise_keeps_its_digits(shift):
    """The upper end of two equal coordinates is Le Cam's wherever that is below their sum, never less than it."""
    with mpmath.workdps(60):
        x = mpmath.mpf(shift) / 2
        wanted = min(
            mpmath.sqrt(1 - ((1 + x) * mpmath.exp(-x)) ** 4), 2 * (1 - mpmath.exp(-x)), mpmath.mpf(1)
        )
        found = gradients.laplace_release([shift, shift])
        assert wanted <= found.upper <= wanted * (1 + mpmath.mpf(1e-12))
        assert found.lower <= wanted


def test_mean_over_pairs_with_hoeffding():
    pairs = [(0.0, distance) for distance in (0.5, 1.0, 1.5)] * 30
    found = gradients.averaged(pairs, lambda a, b: theory.gaussian_release(b - a))
    mean = np.mean([2 * stats.norm.cdf(d / 2) - 1 for d in (0.5, 1.0, 1.5)])
    assert found.value == pytest.approx(mean)
    assert found.upper == pytest.approx(mean + math.sqrt(math.log(20) / 180))
    assert found.lower == 0


def test_refuses():
    with pytest.raises(InvalidInput, match="rows of probabilities"):
        gradients.discrete_product([[0.5, 0.6]], [[0.5, 0.5]])
    with pytest.raises(InvalidInput, match="of one shape"):
        gradients.discrete_product([[0.5, 0.5]], [[1.0]])
    with pytest.raises(InvalidInput, match="tolerance in"):
        gradients.discrete_product([[0.5, 0.5]], [[0.5, 0.5]], tolerance=1.0)
    with pytest.raises(InvalidInput, match="at least 2, ascending"):
        gradients.rounded_laws([1.0], [1.0], [1.0])
    with pytest.raises(InvalidInput, match="within the levels"):
        gradients.rounded_laws([0.0, 1.0], [2.0], [1.0])
    with pytest.raises(InvalidInput, match="of one length"):
        gradients.rounded_laws([0.0, 1.0], [0.5], [0.5, 0.5])
    with pytest.raises(InvalidInput, match="distance >= 0"):
        gradients.gaussian_release(-1.0)
    with pytest.raises(InvalidInput, match="epsilon >= 0"):
        gradients.gaussian_delta(1.0, -1.0)
    assert gradients.gaussian_epsilon(0.0, 1e-5) == 0
    assert gradients.gaussian_epsilon(1e-3, 0.01) == 0
    for bad in (
        {"distance": -1.0, "delta": 0.1},
        {"distance": 1.0, "delta": 0.0},
        {"distance": 1.0, "delta": 1.0},
    ):
        with pytest.raises(
            InvalidInput, match=r"gaussian_epsilon: expected (distance >= 0|delta in \(0, 1\))"
        ):
            gradients.gaussian_epsilon(**bad)
    with pytest.raises(InvalidInput, match="at least one pair"):
        gradients.averaged([], None)
