import itertools

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
