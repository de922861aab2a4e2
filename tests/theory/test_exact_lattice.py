"""Convolution on lattices against enumeration and the binomial law; the ROC of exact values."""

import math
import sys

import numpy as np
import pytest
from scipy import stats

from mis import theory
from mis.theory import exact_lattice
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


def advantage_and_error(choices, law):
    return (0.5 * float(np.abs(x).sum(axis=0) @ law.probs) for x in (choices.shift, choices.error))


def random_lattice_law(rng):
    steps = rng.integers(-6, 7, int(rng.integers(2, 5)))
    steps[0] += len(set(steps.tolist())) == 1
    difference = steps * rng.choice([1.0, 0.1, 1 / 3]) + rng.choice([0.0, 0.7])
    probs = 10.0 ** -rng.uniform(0, rng.choice([2, 6, 12]), len(steps))
    order = slice(None, None, int(rng.choice([-1, 1])))
    losses = np.stack([np.full(len(steps), rng.choice([0.0, 0.7])), difference])[order]
    return theory.DiscreteLosses(losses=losses, probs=probs / probs.sum())


@pytest.mark.parametrize("num_laws", [40, pytest.param(1000, marks=pytest.mark.slow)])
def test_transform_and_products_state_their_errors(sweep_seed, num_laws, monkeypatch):
    longest = exact_lattice.MAX_DIRECT
    for i in range(num_laws):
        rng = np.random.default_rng([sweep_seed, i])
        law = random_lattice_law(rng)
        n = int(rng.integers(2, [0, 0, 300, 60, 20][len(law.probs)]))
        truth, _ = advantage_and_error(choices(law, n), law)
        monkeypatch.setattr(exact_lattice, "MAX_DIRECT", 0)
        by_transform, its_error = advantage_and_error(choices_on_lattice(law, n), law)
        assert abs(by_transform - truth) <= its_error + 1e-12 * truth + 1e-300, (sweep_seed, i)
        monkeypatch.setattr(exact_lattice, "MAX_DIRECT", longest)
        found, error = advantage_and_error(choices_on_lattice(law, n), law)
        assert error <= 2e-11 * found + 1e-300, (sweep_seed, i)
        assert abs(found - truth) <= error + 1e-12 * truth + 1e-300, (sweep_seed, i)


def test_where_only_a_transform_is_left_the_interval_is_wider(monkeypatch):
    law = pair([6.0, -6.0, 1.0], np.array([1, 1e-15, 1e-15]) / (1 + 2e-15))
    truth = theory.exact(law, 2)
    assert truth.value == pytest.approx(6e-30, rel=1e-12, abs=0)
    monkeypatch.setattr(exact_lattice, "MAX_DIRECT", 0)
    monkeypatch.setattr(sys.modules["mis.theory.exact"], "MAX_COUNTS", 0)
    found = theory.exact(law, 2)
    assert found.width > 1e4 * truth.width
    assert found.lower <= truth.lower <= truth.upper <= found.upper


def test_what_all_but_sits_on_a_lattice_does_not():
    for moved in (1e-11, 1e-13):
        law = pair([-1.0, 0.5, 1.5 + moved], [0.5, 0.3, 0.2])
        assert law.difference(1, 0).lattice()[1] == 0
        assert choices_on_lattice(law, 10) is None
    assert pair([-1.0, 0.5, 1.5 + 2e-16], [0.5, 0.3, 0.2]).difference(1, 0).lattice()[1] == 0.5
    # Losses of a million are known to 1e-9 only, but not those of the other atoms.
    wide = theory.DiscreteLosses(losses=[[0, 0, 1e6], [-1, 1 - 1e-9, 1e6 + 1]], probs=[0.5, 0.3, 0.2])
    assert wide.difference(1, 0).lattice()[1] == 0


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
