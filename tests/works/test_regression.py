"""Regression with clustered errors, against statsmodels and against its own promise."""

import numpy as np
import pytest
import statsmodels.api as sm
from scipy import stats

from mis.numerics.checks import InvalidInput
from mis.works.regression import clustered


def data(rng, clusters=10, each=6):
    pool = np.repeat(np.arange(clusters), each)
    sparsity, shared = rng.uniform(size=len(pool)), rng.normal(size=clusters)
    error = 0.5 * sparsity + rng.normal(size=len(pool))
    noise = rng.normal(size=len(pool)) + shared[pool] * sparsity
    return 1.0 - 2.0 * sparsity - error + noise, {"sparsity": sparsity, "error": error}, pool


def test_agrees_with_statsmodels(rng):
    outcome, columns, pool = data(rng)
    found = clustered(outcome, columns, pool, level=0.9)
    design = np.column_stack([*columns.values(), pool[:, None] == np.arange(10)]).astype(float)
    theirs = sm.OLS(outcome, design).fit(cov_type="cluster", cov_kwds={"groups": pool})
    half = stats.t.isf(0.05, 9) * theirs.bse
    for i, name in enumerate(columns):
        assert found[name].value == pytest.approx(theirs.params[i], rel=1e-10)
        assert found[name].upper - found[name].value == pytest.approx(half[i], rel=1e-10)
    assert (found["error"].kind, found["error"].level) == ("monte-carlo", 0.9)


def test_order_and_names_of_clusters_do_not_matter(rng):
    outcome, columns, pool = data(rng)
    order = rng.permutation(len(pool))
    named = np.array([f"pool {9 - i}" for i in pool])
    again = clustered(outcome[order], {k: v[order] for k, v in columns.items()}, named[order])
    expected = clustered(outcome, columns, pool)
    for name in columns:
        assert again[name].lower == pytest.approx(expected[name].lower, rel=1e-10)


def test_intervals_cover_where_errors_hang_together(rng):
    hits = 0
    for _ in range(400):
        found = clustered(*data(rng))["sparsity"]
        hits += found.lower <= -2.0 <= found.upper
    assert abs(hits / 400 - 0.94) < 5 * np.sqrt(0.94 * 0.06 / 400)


def test_refuses_what_cannot_be_told(rng):
    outcome, columns, pool = data(rng)
    with pytest.raises(InvalidInput, match="at least two clusters, got one"):
        clustered(outcome, columns, np.zeros(60))
    with pytest.raises(InvalidInput, match="columns that do not follow from each other"):
        clustered(outcome, {"sparsity": columns["sparsity"], "twice": 2 * columns["sparsity"]}, pool)
    with pytest.raises(InvalidInput, match="got shift"):
        clustered(outcome, {"shift": pool * 1.0}, pool)
