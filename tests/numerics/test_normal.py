import itertools

import mpmath
import numpy as np
import pytest
from scipy import integrate, stats

from mis.numerics.normal import cell_mean, log_mass

CELLS = [
    (-1.0, 2.0),
    (-np.inf, 0.3),
    (0.3, np.inf),
    (-np.inf, np.inf),
    (5.0, 5.5),
    (-30.0, -29.9),
    (37.0, np.inf),
    (-np.inf, -60.0),
    (200.0, 200.5),
    (0.1, 0.1001),
]


def by_quadrature(low, high):
    """Log mass and mean, the density scaled by its largest value and integrated from where it has it."""
    if low < 0 and abs(high) < abs(low):
        mass, mean = by_quadrature(-high, -low)
        return mass, -mean
    top = max(low, 0.0)
    inside = [x for x in (-9.0, 0.0, top + 1 / (1 + top), top + 9 / (1 + top)) if low < x < high]
    ends = [max(low, -40.0), *inside, min(high, top + 40.0)]

    def total(power):
        def scaled(x):
            return (x - top) ** power * np.exp((top - x) * (top + x) / 2)

        pieces = [integrate.quad(scaled, *ab, epsabs=0, epsrel=1e-12) for ab in itertools.pairwise(ends)]
        return sum(value for value, _ in pieces)

    mass = total(0)
    return np.log(mass) - top**2 / 2 - np.log(2 * np.pi) / 2, top + total(1) / mass


@pytest.mark.parametrize(("low", "high"), CELLS)
def test_against_quadrature(low, high):
    expected_mass, expected_mean = by_quadrature(low, high)
    assert float(log_mass(np.array(low), np.array(high))) == pytest.approx(
        expected_mass, rel=1e-11, abs=1e-15
    )
    assert float(cell_mean(np.array(low), np.array(high))) == pytest.approx(
        expected_mean, rel=1e-9, abs=1e-15
    )


def test_against_scipys_truncated_normal(rng):
    low = rng.normal(size=20)
    high = low + rng.exponential(size=20)
    np.testing.assert_allclose(cell_mean(low, high), stats.truncnorm(low, high).mean(), rtol=1e-8, atol=1e-12)


def test_empty_and_single_cells():
    assert log_mass(np.array(1.0), np.array(1.0)) == -np.inf
    assert cell_mean(np.array(1.5), np.array(1.5)) == 1.5
    narrow = cell_mean(np.array([70.0, -70.0]), np.array([70.0 + 1e-9, -70.0 + 1e-9]))
    np.testing.assert_allclose(narrow, [70.0, -70.0], rtol=1e-9)


def many_digits(low, high):
    """Log mass and mean of a cell, with 60 digits; the mass from the tail that the cell lies in."""
    with mpmath.workdps(60):
        low, high, root = mpmath.mpf(float(low)), mpmath.mpf(float(high)), mpmath.sqrt(2)
        flip = low + high > 0
        a, b = (-high, -low) if flip else (low, high)
        mass = (mpmath.erfc(-b / root) - mpmath.erfc(-a / root)) / 2
        ends = mpmath.exp(-low * low / 2) - mpmath.exp(-high * high / 2)
        return mpmath.log(mass), ends / mpmath.sqrt(2 * mpmath.pi) / mass


@pytest.mark.parametrize("num_cells", [400, pytest.param(20_000, marks=pytest.mark.slow)])
def test_all_digits_at_any_position_and_width(sweep_seed, num_cells):
    rng = np.random.default_rng([sweep_seed, 0])
    low = np.where(rng.random(num_cells) < 0.5, rng.uniform(-40, 40, num_cells), rng.normal(size=num_cells))
    low[::7] = np.round(low[::7])
    high = low + 10.0 ** rng.uniform(-15, 1, num_cells)
    low[::11], high[1::11] = -np.inf, np.inf
    kept = high > low
    low, high = low[kept], high[kept]
    for a, b, log, mean in zip(low, high, log_mass(low, high), cell_mean(low, high), strict=True):
        true_log, true_mean = many_digits(a, b)
        assert abs(log - true_log) <= 1e-15 + 4 * np.spacing(abs(log)), (a, b)
        # Where both sides have mass the mean is as small as the density at the nearer end.
        near = min(abs(a), abs(b)) if a < 0 < b else 0.0
        assert abs(mean - true_mean) <= 1e-15 * (2 + near**2) * abs(true_mean) + 1e-307, (a, b)


@pytest.mark.parametrize("at", [-39.0, -3.0, 0.0, 0.5, 8.0, 40.0])
def test_mass_of_a_narrow_cell_is_density_times_width(at):
    width = 2.0 ** -np.arange(20, 40)
    density = np.exp(log_mass(np.full(20, at), at + width) - np.log(width) - stats.norm.logpdf(at))
    assert density == pytest.approx(1 - at * width / 2 + (at**2 - 1) * width**2 / 6, abs=1e-14 * (1 + at**2))


def test_empty_cells_and_all_of_the_line_without_a_warning():
    low, high = np.array([0.0, -np.inf, np.inf, 5.0, -1e200]), np.array([0.0, np.inf, np.inf, 4.0, 1e200])
    assert log_mass(low, high).tolist() == [-np.inf, 0.0, -np.inf, -np.inf, 0.0]
    assert log_mass(np.array(1e200), np.array(np.inf)) == -np.inf
