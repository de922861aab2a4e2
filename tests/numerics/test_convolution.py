import math
from fractions import Fraction

import numpy as np
import pytest
from scipy import stats

from mis.numerics.convolution import direct_power, fourier_power, lattice_sum, power, window


def wrapped(mass, size):
    return np.bincount(np.arange(len(mass)) % size, mass, minlength=size)


@pytest.mark.parametrize(("count", "size"), [(1, 16), (7, 64), (1000, 1024), (100_000, 2**17)])
def test_sum_of_coins_is_binomial_within_the_stated_error(count, size):
    masses, error = lattice_sum([(np.array([[0.7, 0.3]]), np.array([count]))], size)
    exact = wrapped(stats.binom.pmf(np.arange(count + 1), count, 0.3), size)
    assert np.abs(masses - exact).sum() <= error + 1e-11
    assert error < 1e-5


def test_stated_error_covers_the_rounding_of_a_law_with_dyadic_powers():
    """Fair coins: every mass is binomial / 2^d, so SciPy's values are right to the last bits."""
    size, count = 512, 400
    masses, error = lattice_sum([(np.array([[0.5, 0.5]]), np.array([count]))], size)
    from math import comb

    exact = np.array([float(Fraction(comb(count, k), 2**count)) for k in range(count + 1)])
    assert 0 < np.abs(masses - wrapped(exact, size)).sum() <= error


def test_sum_of_different_laws_is_their_convolution(rng):
    laws, counts = [rng.dirichlet(np.ones(5)), 0.9 * rng.dirichlet(np.ones(9))], [2, 3]
    naive = np.array([1.0])
    for law, count in zip(laws, counts, strict=True):
        for _ in range(count):
            naive = np.convolve(naive, law)
    table = np.zeros((2, 9))
    for row, law in zip(table, laws, strict=True):
        row[: len(law)] = law
    masses, error = lattice_sum([(table, np.array(counts))], 32)
    np.testing.assert_allclose(masses, wrapped(naive, 32), atol=error)
    assert error < 1e-11


@pytest.mark.parametrize("exponent", [1, 2, 3, 10, 1000, 1023])
def test_power_is_repeated_multiplication(exponent):
    base = np.exp(2j * np.pi * np.linspace(0, 1, 7)) * np.linspace(0.99, 1, 7)
    np.testing.assert_allclose(power(base, exponent), base**exponent, rtol=1e-12)


@pytest.mark.parametrize("tail", [1e-3, 1e-14])
@pytest.mark.parametrize(("count", "prob"), [(1, 0.5), (40, 0.1), (10_000, 0.7)])
def test_window_leaves_out_no_more_than_the_tail(count, prob, tail):
    total = stats.binom(count, prob)
    law = (np.array([[1 - prob, prob]]), np.array([count]))
    low, high = window(np.array([0.0, 2.0]), [law], tail, 2 * total.std())
    assert total.sf(np.floor(high / 2)) <= tail
    assert total.cdf(np.ceil(low / 2) - 1) <= tail
    assert high - low < 2 * (count * 2 + 1)
    if count == 10_000:
        assert high - low < 40 * 2 * total.std()


def test_window_of_different_laws_adds_them(rng):
    values, table, counts = rng.normal(size=6), rng.dirichlet(np.ones(6), 2), np.array([3, 2])
    low, high = window(values, [(table[:1], counts[:1]), (table[1:], counts[1:])], 1e-2, 2.0)
    draws = sum(
        rng.choice(values, p=masses, size=(count, 20_000)).sum(0)
        for masses, count in zip(table, counts, strict=True)
    )
    assert np.mean(draws > high) <= 1e-2
    assert np.mean(draws < low) <= 1e-2
    assert high - low < 12 * draws.std()


@pytest.mark.parametrize("scale", [1e-300, 1e-3, 1e3])
def test_any_scale_gives_a_valid_window(scale):
    """Ladders in the wrong place, or cut where exponentials overflow: wider, never wrong."""
    law = (np.array([[0.5, 0.5]]), np.array([400]))
    low, high = window(np.array([0.0, 1.0]), [law], 1e-6, scale)
    total = stats.binom(400, 0.5)
    assert total.cdf(math.ceil(low) - 1) <= 1e-6
    assert total.sf(math.floor(high)) <= 1e-6


def test_laws_wider_than_the_circle_are_wrapped_and_many_come_in_blocks(rng):
    table, counts = rng.dirichlet(np.ones(20), 6), np.array([1, 1, 3, 1, 2, 1])
    whole, _ = lattice_sum([(table, counts)], 16)
    blocks, error = lattice_sum([(table[:2], counts[:2]), (table[2:], counts[2:])], 16)
    naive = np.array([1.0])
    for law, count in zip(table, counts, strict=True):
        for _ in range(count):
            naive = np.convolve(naive, law)
    np.testing.assert_allclose(whole, wrapped(naive, 16), atol=error)
    np.testing.assert_allclose(blocks, whole, atol=error)


def rational_power(masses, num):
    total = [Fraction(1)]
    for _ in range(num):
        longer = [Fraction(0)] * (len(total) + len(masses) - 1)
        for i, x in enumerate(total):
            for j, y in enumerate(masses):
                longer[i + j] += x * Fraction(y)
        total = longer
    return total


@pytest.mark.parametrize("num", [1, 2, 3, 7, 24])
@pytest.mark.parametrize("dtype", [np.float64, np.longdouble])
def test_powers_of_a_law_are_right_to_the_stated_error(rng, num, dtype):
    for rare in (0.1, 1e-6, 1e-13):
        law = rng.dirichlet(np.ones(5)) * np.array([1, rare, 1, rare**2, 1])
        law /= law.sum()
        truth = rational_power(law.tolist(), num)
        size = 2 ** math.ceil(math.log2(len(truth)))
        masses, error = fourier_power(np.pad(law, (0, size - 5)).astype(dtype), num)
        assert max(abs(Fraction(float(x)) - t) for x, t in zip(masses, truth, strict=False)) <= error + 1e-16
        assert error < 1e-13
        masses, first, relative = direct_power(law.astype(dtype), -2, num, 0.0, 1000.0)
        assert (first, len(masses)) == (-2 * num, len(truth))
        allowed = relative + 1.2e-16
        assert all(abs(Fraction(float(x)) - t) <= allowed * t for x, t in zip(masses, truth, strict=True))
        assert relative < 1e-13


def test_the_error_of_a_transform_is_hardly_more_than_it_must_be():
    size = 2**12
    law = np.pad([0.25, 0.5, 0.25], (0, size - 3))
    _, far_too_much = lattice_sum([(law[None], np.array([1000]))], size)
    masses, error = fourier_power(law, 1000)
    truth = stats.binom.pmf(np.arange(2001), 2000, 0.5)
    assert np.abs(masses[:2001] - truth).max() <= error + 1e-15
    assert error < 0.2 * far_too_much / math.sqrt(size)


def test_products_may_leave_out_what_is_out_of_reach():
    law, num = np.array([0.3, 0.45, 0.25], np.longdouble), 200
    drift = float(law @ [-1, 0, 1])
    whole, start, _ = direct_power(law, -1, num, drift, 1e9)
    part, first, _ = direct_power(law, -1, num, drift, 100.0)
    assert len(part) <= 202
    assert part[50:150] == pytest.approx(
        whole[first - start + 50 : first - start + 150].astype(float), rel=1e-12
    )
    assert direct_power(law, -1, 0, drift, 5.0)[0].tolist() == [1.0]
