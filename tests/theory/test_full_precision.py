"""The exact mean in any dimension, against closed forms, other routes to the same law, and simulation."""

import itertools
import math

import numpy as np
import pytest
from scipy import integrate, stats

from mis.numerics.checks import InvalidInput
from mis.theory.full_precision import full_precision_mean


def plane(n):
    """Closed form in dimension 2, where chi-squares are exponential."""
    rho = 1 / math.sqrt(n)
    return rho * math.exp(math.log1p(-(rho**2)) / rho) / (2 * (1 - rho))


def line(n):
    """Dimension 1 from the definition: two normal laws of the mean, their crossing points, integrated over
    z."""
    scale = math.sqrt(1 - 1 / n)

    def variation(z):
        centre, radius = math.sqrt(n) * z, math.sqrt((n - 1) * (z**2 - math.log1p(-1 / n)))
        member, other = stats.norm(z / math.sqrt(n), scale), stats.norm()
        low, high = centre - radius, centre + radius
        return member.cdf(high) - member.cdf(low) - other.cdf(high) + other.cdf(low)

    return (
        2
        * integrate.quad(
            lambda z: variation(z) * stats.norm.pdf(z), 0, 12, points=[0.01, 0.1, 1], epsabs=1e-12
        )[0]
    )


def by_noncentral(dim, n):
    """Any dimension from the definition: given z the likelihood ratio falls with a noncentral chi-square."""

    def variation(r):
        threshold = (n - 1) * (r - dim * math.log1p(-1 / n))
        member = stats.ncx2.cdf(threshold * n / (n - 1), dim, r * (n - 1))
        return member - stats.ncx2.cdf(threshold, dim, n * r)

    low, high = stats.chi2.isf([1 - 1e-13, 1e-13], dim)
    return integrate.quad(lambda r: variation(r) * stats.chi2.pdf(r, dim), low, high, epsabs=1e-10)[0]


@pytest.mark.parametrize("n", [2, 3, 10, 100, 10**4, 10**6, 10**9, 10**12])
def test_plane(n):
    interval = full_precision_mean(2, n)
    assert interval.lower <= plane(n) <= interval.upper
    assert interval.width <= 1e-13


@pytest.mark.parametrize("n", [2, 10**3, 10**6, 10**9, 10**12])
@pytest.mark.parametrize("dim", [1, 3, 1000])
def test_quadrature_is_settled(dim, n):
    # Branch points come within n^(-1/4) of the path in dimension 1.
    assert full_precision_mean(dim, n).width <= 5e-13


@pytest.mark.parametrize("n", [2, 5, 100, 1000])
def test_line(n):
    assert full_precision_mean(1, n).value == pytest.approx(line(n), abs=1e-11)


@pytest.mark.parametrize(("dim", "n"), [(1, 7), (3, 50), (5, 2), (20, 30), (100, 100)])
def test_by_the_noncentral_law(dim, n):
    assert full_precision_mean(dim, n).value == pytest.approx(by_noncentral(dim, n), abs=1e-8)


@pytest.mark.parametrize(("dim", "n"), [(3, 4), (100, 100), (50, 400)])
def test_by_simulation(dim, n, rng):
    """The likelihood-ratio attack on means, its two rates counted."""
    num = 20_000
    z = rng.normal(size=(num, dim))
    other = rng.normal(size=(num, dim)) / math.sqrt(n)
    member = z / n + rng.normal(size=(num, dim)) * math.sqrt((n - 1) / n**2)

    def called(mean):
        log_member = stats.norm.logpdf(mean, z / n, math.sqrt((n - 1) / n**2)).sum(axis=1)
        return log_member > stats.norm.logpdf(mean, 0, 1 / math.sqrt(n)).sum(axis=1)

    tpr, fpr = called(member).mean(), called(other).mean()
    error = math.sqrt((tpr * (1 - tpr) + fpr * (1 - fpr)) / num)
    assert abs(tpr - fpr - full_precision_mean(dim, n).value) <= 5 * error


def test_large_dimension_is_a_gaussian_shift():
    gaps = [
        abs(full_precision_mean(dim, 4 * dim).value - (2 * stats.norm.cdf(0.25) - 1))
        for dim in (10**2, 10**4, 10**6)
    ]
    assert np.polyfit([2, 4, 6], np.log10(gaps), 1)[0] == pytest.approx(-1, abs=0.1)


def test_one_coordinate_leaks_like_an_edge():
    # A tie between two cells leaks 1/(pi sqrt(n)) too.
    gaps = [full_precision_mean(1, n).value * math.pi * math.sqrt(n) - 1 for n in (10**2, 10**4, 10**6)]
    assert np.polyfit([2, 4, 6], np.log10(gaps), 1)[0] == pytest.approx(-1, abs=0.1)


@pytest.mark.parametrize("dim", [1, 2, 7, 300])
def test_falls_with_n_and_grows_with_dim(dim):
    values = [full_precision_mean(dim, n).value for n in (1, 2, 3, 10, 100, 10**5)]
    assert values[0] == 1.0
    assert all(a > b for a, b in itertools.pairwise(values))
    assert full_precision_mean(dim + 1, 100).value > full_precision_mean(dim, 100).value


@pytest.mark.parametrize(
    ("dim", "n"),
    [
        (1, 2),
        (1, 10**9),
        (100, 100),
        pytest.param(1000, 2, marks=pytest.mark.slow),
        pytest.param(10**6, 10**6, marks=pytest.mark.slow),
    ],
)
def test_roc_holds_the_advantage(dim, n):
    interval, roc = full_precision_mean(dim, n), full_precision_mean(dim, n).roc()
    advantage = roc.advantage()
    assert advantage.lower <= interval.upper
    assert interval.lower <= advantage.upper
    assert advantage.width <= 1e-3
    false_positives = np.array([0.0, 1e-6, 1e-3, 0.1, 0.5, 0.9, 1.0])
    low, high = roc.bounds(false_positives)
    assert (low <= high).all()
    assert (low >= false_positives).all()
    assert (high[1:] - low[1:]).max() <= 1e-3


def test_roc_in_the_plane():
    """Dimension 2: both tails of a difference of exponentials in closed form, at every threshold."""
    n = 50
    rho, roc = 1 / math.sqrt(n), full_precision_mean(2, n).roc()
    a, b = 2 / (1 + rho), 2 / (1 - rho)

    def exceeds(c, a, b):  # P(X - Y > c), exponentials of means a and b
        return a / (a + b) * math.exp(-c / a) if c > 0 else 1 - b / (a + b) * math.exp(c / b)

    for c in np.linspace(-20, 40, 61):
        low, high = roc.bounds(exceeds(c, a, b))
        assert low - 1e-11 <= exceeds(c, 2, 2) <= high + 1e-11
        assert high - low <= 1e-4


def test_roc_of_one_example_is_certain():
    assert full_precision_mean(3, 1).roc().tpr(0.0).lower == 1.0


@pytest.mark.parametrize(
    ("dim", "n", "message"),
    [
        (0, 5, r"expected dim an integer in 1\.\.10000000, got dim=0"),
        (1.0, 5, "expected dim an integer"),
        (10**8, 5, "expected dim an integer"),
        (3, 0, r"expected n an integer in 1\.\.1000000000000, got n=0"),
        (3, float("nan"), "expected n an integer"),
        (3, 10**13, "expected n an integer"),
    ],
)
def test_refuses(dim, n, message):
    with pytest.raises(InvalidInput, match=f"theory.full_precision_mean: {message}"):
        full_precision_mean(dim, n)
