"""The boundary law, against quadrature and against the information that quantizers retain."""

import math

import numpy as np
import pytest
from scipy import integrate, stats

from mis.numerics.checks import InvalidInput
from mis.quantizers import Sign, Ternary, Uniform
from mis.theory.boundary import boundary_information
from mis.theory.retained import retained_information


def test_what_one_edge_lets_through():
    def share(u):
        return stats.norm.pdf(u) ** 2 / (stats.norm.cdf(u) * stats.norm.sf(u))

    exact = integrate.quad(share, -30, 30, points=[0], epsabs=1e-13)[0]
    found = boundary_information([1.0], 1.0)
    assert found.value == pytest.approx(exact, rel=1e-10, abs=0)
    assert found.kind == "asymptotic"
    assert found.lower == found.value == found.upper


@pytest.mark.parametrize("quantizer", [Sign(), Ternary(zeros=0.33), Ternary(zeros=0.9), Uniform(bits=3)])
@pytest.mark.parametrize("law", [stats.norm, stats.logistic], ids=["normal", "logistic"])
def test_boundary_law_against_retained_information(quantizer, law):
    """Error of second order in the fluctuation: a quarter at half of it, where the quantile grid is fine enough."""
    weights = law.ppf((np.arange(400_000) + 0.5) / 400_000)
    edges = quantizer.fit(weights).edges
    errors = []
    for spread in (0.2, 0.1):
        predicted = boundary_information(law.pdf(edges), spread).value
        errors.append(predicted / retained_information(weights, spread, quantizer).value - 1)
    assert abs(errors[1]) < 0.02
    assert abs(errors[1]) < 0.4 * abs(errors[0]) + 1e-4


def test_sparsity_protects_once_edges_are_rare():
    """Ternary below sign: beyond 76.1% of zeros for normal weights, beyond half for Laplace weights."""
    for law, crossing in (
        (stats.norm, 2 * stats.norm.cdf(math.sqrt(2 * math.log(2))) - 1),
        (stats.laplace, 0.5),
    ):
        weights = law.ppf((np.arange(200_000) + 0.5) / 200_000)
        sign = retained_information(weights, 0.01, Sign()).value
        for zeros, less in ((crossing - 0.03, False), (crossing + 0.03, True)):
            assert (retained_information(weights, 0.01, Ternary(zeros=zeros)).value < sign) is less
    assert 2 * stats.norm.cdf(math.sqrt(2 * math.log(2))) - 1 == pytest.approx(0.761, abs=5e-4)


def test_refusals():
    with pytest.raises(InvalidInput, match=r"expected density >= 0, got density=-0\.1"):
        boundary_information([-0.1], 0.1)
    with pytest.raises(InvalidInput, match="expected spread a finite number > 0"):
        boundary_information([0.1], 0.0)
