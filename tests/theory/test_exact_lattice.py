"""Convolution on lattices against enumeration and the binomial law; the ROC of exact values."""

import math

import numpy as np
import pytest
from scipy import stats

from mis import theory
from mis.theory.enumeration import choices
from mis.theory.exact_lattice import choices_on_lattice

LATTICES = [
    ([-0.9, 0.15, 0.6], [0.2, 0.5, 0.3]),
    ([-1.0, 2 / 3], [0.25, 0.75]),
    ([-3.0, 1.0, 2.0, 5.0], [0.4, 0.2, 0.2, 0.2]),
    ([-1.0, 1.0], [0.5, 0.5]),
    ([0.0, 1.0, 1.5], [0.3, 0.2, 0.5]),
    ([-1.0, math.sqrt(2)], [0.4, 0.6]),
]


def pair(difference, probs, minimiser_first=True):
    zeros = [0.0] * len(probs)
    losses = [zeros, difference] if minimiser_first else [difference, zeros]
    return theory.DiscreteLosses(losses=losses, probs=probs)


def coin(p, n, minimiser_first=True):
    """Advantage when the rare candidate needs more than half of n examples: the atom's pmf at the threshold."""
    needed = n // 2 + 1 if minimiser_first else (n + 1) // 2
    return 2 * p * (1 - p) * stats.binom.pmf(needed - 1, n - 1, p)


@pytest.mark.parametrize(("difference", "probs"), LATTICES)
@pytest.mark.parametrize("minimiser_first", [True, False])
@pytest.mark.parametrize("n", [1, 2, 3, 17, 60])
def test_convolution_equals_enumeration(difference, probs, minimiser_first, n):
    law = pair(difference, probs, minimiser_first)
    found, truth = choices_on_lattice(law, n), choices(law, n)
    rival = 1 - law.best()
    assert found.given[rival] == pytest.approx(truth.given[rival], rel=1e-12, abs=1e-300)
    assert found.shift == pytest.approx(truth.shift, rel=1e-11, abs=1e-300)


@pytest.mark.parametrize(
    ("p", "n"),
    [(0.49, 10**6), (0.4999, 10**6), (0.5, 10**6), (0.482, 10**6), (0.46, 10**5), (0.3, 3001), (1e-3, 101)],
)
@pytest.mark.parametrize("minimiser_first", [True, False])
def test_a_million_examples_against_the_binomial(p, n, minimiser_first):
    losses = [[0.0, 1.0], [1.0, 0.0]] if minimiser_first else [[1.0, 0.0], [0.0, 1.0]]
    result = theory.exact(theory.DiscreteLosses(losses=losses, probs=[1 - p, p]), n)
    truth = coin(p, n, minimiser_first or p == 0.5)
    assert result.value == pytest.approx(truth, rel=1e-12 + 1e-15 * n, abs=0)
    assert result.value > 1e-300


def test_a_fine_or_absent_lattice_is_left_to_enumeration():
    no_lattice = pair([-1.0, 0.1, math.sqrt(0.5)], [0.4, 0.3, 0.3])
    assert choices_on_lattice(no_lattice, 10) is None
    too_fine = pair([-1.0, 1e-6, 1.3], [0.4, 0.3, 0.3])
    assert choices_on_lattice(too_fine, 10**4) is None
    assert 0 < theory.exact(no_lattice, 10).value < 1


@pytest.mark.parametrize(("difference", "probs"), LATTICES[:3])
def test_roc_of_a_discrete_law_by_neyman_and_pearson(difference, probs):
    law = pair(difference, probs)
    result = theory.exact(law, 8)
    given = choices(law, 8).given
    members, others = given * law.probs, np.outer(given @ law.probs, law.probs)
    order = np.argsort(-(members / others).ravel())
    fpr, tpr = (np.concatenate([[0], np.cumsum(x.ravel()[order])]) for x in (others, members))
    roc = result.roc()
    for rate in (0.001, 0.1, 0.5):
        assert roc.tpr(rate).value == pytest.approx(np.interp(rate, fpr, tpr), rel=1e-9, abs=0)
    assert roc.advantage().value == pytest.approx(result.value, rel=1e-9, abs=0)


@pytest.mark.parametrize(("delta", "n"), [(0.3, 10), (0.0, 50), (0.3, 1), (1.5, 2), (0.3, 100), (1.0, 100)])
def test_roc_of_a_normal_law_brackets_the_truth(delta, n):
    result = theory.exact(theory.GaussianLosses(mean=[0.0, delta], cov=[[0.0, 0.0], [0.0, 1.0]]), n)
    roc = result.roc()
    advantage = roc.advantage()
    assert advantage.kind == "certified"
    assert advantage.lower <= result.value <= advantage.upper
    assert advantage.width < 1e-6 * result.value + 1e-10
    assert roc.tpr(0.001).width < 1e-6


def test_roc_of_a_normal_law_against_many_atoms():
    # The same law on the midpoints of 20 000 equally likely cells, each choice probability in closed form.
    delta, n, cells = 0.3, 10, 20_000
    d = stats.norm.ppf((np.arange(cells) + 0.5) / cells, loc=delta)
    wins = stats.norm.cdf((-d - (n - 1) * delta) / math.sqrt(n - 1))
    members = np.stack([wins, 1 - wins]) / cells
    others = np.stack([np.full(cells, wins.mean()), np.full(cells, 1 - wins.mean())]) / cells
    order = np.argsort(-(members / others).ravel())
    fpr, tpr = (np.cumsum(x.ravel()[order]) for x in (others, members))
    roc = theory.exact(theory.GaussianLosses(mean=[0.0, delta], cov=[[0.0, 0.0], [0.0, 1.0]]), n).roc()
    for rate in (0.001, 0.01, 0.1, 0.6):
        found = roc.tpr(rate)
        assert found.value == pytest.approx(np.interp(rate, fpr, tpr), abs=2e-5)
        assert found.width < 1e-5
