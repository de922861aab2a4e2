"""Target models that share their members do not repeat the game: what intervals then allow for."""

import numpy as np
import pytest

from mis.attacks import audit


def scores_of(rng, targets, records):
    """Scores that know nothing of membership, of records that are easy or hard for all target models."""
    return 1.5 * rng.normal(size=records) + rng.normal(size=(targets, records))


@pytest.mark.parametrize("share", [1.0, pytest.param(0.7, marks=pytest.mark.slow)])
def test_nothing_is_found_where_nothing_is(share, rng):
    """Whether all members are shared or most: as often as the level says. With targets as the only units, half."""
    wrong, repetitions = 0, 20
    for _ in range(repetitions):
        half, own = rng.random(100) < 0.5, rng.random((16, 100)) < 0.5
        membership = np.where(rng.random(100) < share, half, own)
        found = audit(scores=scores_of(rng, 16, 100), membership=membership)
        assert found.tied
        wrong += found.advantage.lower > 0 or found.auc.lower > 0.5 or found.auc.upper < 0.5
    assert wrong <= repetitions * 0.05 + 5 * np.sqrt(repetitions * 0.05 * 0.95)


def test_what_is_there_is_found(rng):
    membership = np.tile(rng.random(400) < 0.5, (8, 1))
    found = audit(scores=scores_of(rng, 8, 400) + 3 * membership, membership=membership)
    assert found.advantage.lower > 0.3
    assert "share members more than by chance" in found.table()
    assert found.to_json()["tied"]
    # The band allows for it too.
    assert any(row["upper"] - row["lower"] > 0.15 for row in found.roc())


@pytest.mark.parametrize("design", ["drawn", "halves", "each in half", "unequal"])
def test_members_drawn_anew_are_not_tied(design, rng):
    """Nor are exact halves of the records, or of the targets, or other shares for other targets."""
    tied = 0
    for _ in range(12):
        membership = {
            "drawn": rng.random((8, 200)) < 0.5,
            "halves": np.stack([rng.permutation(200) < 100 for _ in range(8)]),
            "each in half": np.stack([rng.permutation(8) < 4 for _ in range(200)], axis=1),
            "unequal": rng.random((8, 200)) < np.linspace(0.1, 0.9, 8)[:, None],
        }[design]
        tied += audit(scores=np.zeros((8, 200)), membership=membership).tied
    # Beyond three standard errors on one side, .0013.
    assert tied <= 1


def test_what_is_missing_does_not_count(rng):
    """Scores that are not there, with any value in their place, against the same in a long list."""
    scores, membership = rng.normal(size=(6, 50)), rng.random((6, 50)) < 0.5
    scored = rng.random((6, 50)) < 0.8
    rows, columns = np.nonzero(scored)
    expected = audit(scores=scores[scored], membership=membership[scored], targets=rows, ids=columns, seed=3)
    found = audit(scores=np.where(scored, scores, np.nan), membership=membership, scored=scored, seed=3)
    assert found == expected
    assert found.risks()["id"].tolist() == expected.risks()["id"].tolist()
