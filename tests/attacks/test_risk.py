"""Records at risk: counts by hand, limits against enumeration of all outcomes."""

import numpy as np
import pytest
from scipy.optimize import brentq
from scipy.special import xlogy
from scipy.stats import binom

from mis.attacks import audit
from mis.attacks.rates import clopper_pearson, least_difference
from mis.attacks.risk import risk_table, with_risks
from mis.numerics.checks import InvalidInput


def test_the_limit_holds_for_all_probabilities():
    """By enumeration: wrong with at most the error asked for, at a few trials too."""
    ps = np.concatenate([[0, 1e-3], np.linspace(0.02, 0.98, 33), [0.999, 1]])
    for error in (0.025, 1e-3, 1e-5):
        for n, k in ((1, 1), (2, 5), (8, 8), (13, 4)):
            x, y = (grid.ravel() for grid in np.mgrid[: n + 1, : k + 1])
            low = least_difference(x, np.full_like(x, n), y, np.full_like(y, k), error)
            chance = binom.pmf(x, n, ps[:, None, None]) * binom.pmf(y, k, ps[:, None])
            missed = (chance * (low > (ps[:, None] - ps)[..., None] + 1e-12)).sum(-1)
            assert missed.max() <= error
    assert least_difference(*(np.array([n]) for n in (32, 32, 0, 32)), 5e-7)[0] > 0.5


def test_the_limit_in_closed_form():
    """All hits and no false ones: P Q = ((1 + d) / 2)^(2n) at the least difference d."""
    for n, error in ((8, 0.025), (32, 1e-6)):
        product = brentq(lambda c, e=error: c - xlogy(c, c) - e, 1e-300, error)
        expected = 2 * product ** (1 / (2 * n)) - 1
        found = least_difference(*(np.array([k]) for k in (n, n, 0, n)), error)[0]
        assert expected - 0.05 < found <= expected + 1e-12


def test_no_cell_is_passed_over_that_is_the_least(rng):
    """All cells of the grid one after the other give the same limit."""
    n, k = rng.integers(1, 60, size=(2, 40))
    x, y = rng.binomial(n, 0.7), rng.binomial(k, 0.3)
    product = brentq(lambda c: c - xlogy(c, c) - 0.025, 1e-300, 0.025)
    edges = product ** np.linspace(1, 0, 129)
    ends = zip(edges[:-1], product / edges[1:], strict=True)
    cells = [clopper_pearson(x, n, a)[0] - clopper_pearson(y, k, b)[1] for a, b in ends]
    np.testing.assert_allclose(least_difference(x, n, y, k, 0.025), np.min(cells, axis=0), rtol=0, atol=1e-10)
    # A rate that is not known has no limit, least of all 1.
    assert np.isnan(
        least_difference(np.array([np.nan]), np.array([8]), np.array([0]), np.array([8]), 0.025)[0]
    )


@pytest.fixture(scope="module")
def found():
    """Record 0 is always betrayed, 1 never tells, 2 is wrong once; 3 is in all training sets."""
    membership = (
        np.array([[1, 1, 0, 1], [0, 1, 1, 1], [1, 0, 1, 1], [0, 0, 0, 1], [1, 1, 1, 1], [0, 0, 0, 1]]) == 1
    )
    scores = np.where(membership, 5.0, -5.0)
    scores[:, 1] = -5.0
    scores[1, 2] = -5.0
    return audit(scores=scores, membership=membership, ids=["a", "b", "c", "d"], level=0.9)


def test_counts_by_hand(found):
    risks = found.risks()
    assert risks["id"].tolist() == ["a", "c", "b"]
    assert risks["hits"].tolist() == [3, 2, 0]
    assert risks["trained"].tolist() == [3, 3, 3]
    assert risks["false_hits"].tolist() == [0, 0, 0]
    assert risks["untrained"].tolist() == [3, 3, 3]
    np.testing.assert_allclose(risks["advantage"], [1, 2 / 3, 0])
    np.testing.assert_allclose(risks["right"], [1, 5 / 6, 1 / 2])
    expected = least_difference(
        risks["hits"], risks["trained"], risks["false_hits"], risks["untrained"], 0.1 / 6
    )
    np.testing.assert_array_equal(risks["advantage_lower"], expected)
    assert (risks["advantage"] <= risks["advantage_upper"]).all()
    lines = risk_table(risks, 2, level=0.9).splitlines()
    assert "2 of 3" in lines[0]
    assert [line.split()[0] for line in lines[2:4]] == ["a", "c"]
    assert lines[2].split()[-3:] == ["3/3", "0/3", "100%"]
    assert len(lines) == 5


def test_all_scores_beside_the_risk_of_their_record(found):
    columns = with_risks(found.records(), found.risks())
    assert columns["id"].tolist() == [name for name in "acbd" for _ in range(6)]
    assert columns["target"].tolist() == list(range(6)) * 4
    assert columns["advantage"][:6].tolist() == [1.0] * 6
    assert np.isnan(columns["advantage"][-6:]).all()


def test_no_risk_where_nothing_tells_records_apart(rng):
    scores = rng.normal(size=(4, 20))
    assert audit(member=scores, nonmember=scores).risks() == {}
    always = np.tile(np.arange(20) < 10, (4, 1))
    assert audit(scores=scores, membership=always).risks() == {}
    assert audit(scores=scores[0], membership=always[0], ids=np.arange(20)).risks() == {}
    targets = np.repeat(np.arange(4), 20)
    drawn = rng.random((4, 20)) < 0.5
    without = audit(scores=scores.ravel(), membership=drawn.ravel(), targets=targets)
    assert without.risks() == {}
    assert without.to_json() == audit(scores=scores, membership=drawn).to_json()
    assert "No ids: records count as drawn anew for each target model" in without.table()


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"targets": [0, 0, 1, 1], "ids": [1, 1, 1, 2]}, "one score for each target and id, got target=0 and id=1"),
        ({"ids": [1, 1, 2, 3]}, "ids that differ"),
        ({"targets": [0, 1]}, r"targets integers or text of shape \(4,\)"),
        ({"targets": [0, 1, np.nan, 1]}, "targets integers or text"),
        ({"ids": [[1, 2], [3, 4]]}, "ids integers or text"),
        ({"scores": np.eye(2), "membership": np.eye(2) == 1, "targets": [0, 1]}, "with targets, got"),
        ({"scores": None, "membership": None, "member": [1, 2], "nonmember": [1, 2], "ids": [1, 2]},
         "scores and membership with targets or ids"),
    ],
)  # fmt: skip
def test_bad_names(given, said):
    with pytest.raises(InvalidInput, match=said):
        audit(**({"scores": [1.0, 2.0, 3.0, 4.0], "membership": [1, 0, 1, 0]} | given))
