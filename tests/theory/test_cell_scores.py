"""Scores of cells, against truncated normal laws and bivariate normal cells."""

import itertools
import math

import numpy as np
import pytest
from scipy import stats

from mis.theory.cell_scores import CellScores


def test_scores_of_signs_obey_the_arcsine_law():
    for rho in (-0.99, -0.3, 0.0, 0.5, 0.9):
        cells = CellScores(np.zeros((2, 1)), np.zeros(2, bool))
        found = cells.correlation(np.array([[1.0, rho], [rho, 1.0]]))[0, 1]
        assert found == pytest.approx(2 / math.pi * math.asin(rho), abs=2e-9)


@pytest.mark.parametrize("rho", [-0.8, -0.2, 0.4, 0.95])
def test_correlation_of_scores_from_bivariate_normal_cells(rho):
    edges = np.array([[-1.2, 0.1, 0.8], [-0.3, 0.4, np.inf]])
    cells = CellScores(edges, np.zeros(2, bool))
    law = stats.multivariate_normal([0, 0], [[1, rho], [rho, 1]])
    below = np.array([[law.cdf([x, y]) for y in [-9.0, -0.3, 0.4, 9.0]] for x in [-9.0, -1.2, 0.1, 0.8, 9.0]])
    mass = np.diff(np.diff(below, axis=0), axis=1)
    covariance = cells.scores[0] @ mass @ cells.scores[1, :3]
    variances = [np.square(cells.scores[0]) @ mass.sum(1), np.square(cells.scores[1, :3]) @ mass.sum(0)]
    np.testing.assert_allclose(variances, cells.shares, rtol=1e-6)
    found = cells.correlation(np.array([[1.0, rho], [rho, 1.0]]))[0, 1]
    assert found == pytest.approx(covariance / math.sqrt(np.prod(variances)), abs=1e-6)


def test_scores_are_truncated_normal_means():
    edges = np.array([[-30.0, -6.0, -1.0, 0.3, 0.30001, 9.0]])
    ends = np.concatenate([[-np.inf], edges[0], [np.inf]])
    found = CellScores(edges, np.zeros(1, bool)).scores[0]
    np.testing.assert_allclose(
        found, [stats.truncnorm.mean(a, b) for a, b in itertools.pairwise(ends)], rtol=1e-8
    )
