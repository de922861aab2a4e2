"""Loss laws: what they hold, what they refuse; loss differences, their tilts and lattices."""

import math
from fractions import Fraction

import numpy as np
import pytest
from scipy import optimize

from mis import theory
from mis.numerics.checks import InvalidInput
from mis.theory.differences import Atoms, Normal


def atoms(values, probs):
    return Atoms(np.asarray(values, float), np.log(np.asarray(probs, float)))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: theory.GaussianLosses(mean=[0.0], cov=[[1.0]]), "two candidates"),
        (lambda: theory.GaussianLosses(mean=[0.0, 1.0], cov=[[1.0]]), r"cov of shape \(2, 2\)"),
        (lambda: theory.GaussianLosses(mean=[0.0, np.nan], cov=np.eye(2)), "mean finite, got 1 NaN"),
        (lambda: theory.GaussianLosses(mean=[0.0, 1.0], cov=[[1.0, 0.5], [0.0, 1.0]]), "cov symmetric"),
        (lambda: theory.GaussianLosses(mean=[0.0, 1.0], cov=[[1.0, 2.0], [2.0, 1.0]]), "eigenvalue -1"),
        (lambda: theory.DiscreteLosses(losses=[[0.0, 1.0]], probs=[0.5, 0.5]), "two candidates"),
        (lambda: theory.DiscreteLosses(losses=np.eye(2), probs=[1.0]), "one probability per column"),
        (lambda: theory.DiscreteLosses(losses=np.eye(2), probs=[0.5, 0.4]), "sum to 1, got a sum of 0.9"),
        (lambda: theory.DiscreteLosses(losses=np.eye(2), probs=[1.5, -0.5]), "probs >= 0, got probs=-0.5"),
        (lambda: theory.DiscreteLosses(losses=[[0, np.inf], [0, 1]], probs=[0.5, 0.5]), "losses finite"),
        (lambda: theory.SampledLosses(losses=[[0.0, 1.0]]), "two candidates on two examples"),
        (lambda: theory.SampledLosses(losses=[[0.0], [1.0]]), "two candidates on two examples"),
        (lambda: theory.SampledLosses(losses=[0.0, 1.0]), "losses with 2 axes"),
        (lambda: theory.SampledLosses(losses=[["a", "b"], ["c", "d"]]), "losses numeric"),
        (lambda: theory.SampledLosses(losses=np.eye(2), names=["a"]), "2 names, one per candidate, got 1"),
        (lambda: theory.SampledLosses(losses=np.eye(2), names="ab"), "one name per candidate, in a sequence"),
        (lambda: theory.SampledLosses(losses=np.eye(2), names=2), "one name per candidate, in a sequence"),
        (
            lambda: theory.SampledLosses(losses=1e300 * np.eye(2)),
            r"largest of losses in 1e-50..1e\+50 in size",
        ),
        (lambda: theory.DiscreteLosses(losses=1e-60 * np.eye(2), probs=[0.5, 0.5]), "change the unit"),
        (lambda: theory.GaussianLosses(mean=[0.0, 1e60], cov=np.eye(2)), "the largest of mean in 0"),
        (
            lambda: theory.GaussianLosses(mean=[0.0, 1.0], cov=1e-200 * np.eye(2)),
            "the largest of cov in 1e-100",
        ),
    ],
)
def test_refuses(make, message):
    with pytest.raises(InvalidInput, match=message):
        make()


def test_a_law_is_asked_for():
    calls = [theory.exact, theory.saddlepoint, theory.sharp, lambda law, n: theory.simulate(0, law, n)]
    for call in [*calls, lambda law, _: theory.rate(law), lambda law, _: theory.indicator(law)]:
        for law in (None, 3, [[0.0, 1.0], [1.0, 0.0]], theory.GaussianLosses):
            with pytest.raises(
                InvalidInput, match="expected law a GaussianLosses, DiscreteLosses or Sampled"
            ):
                call(law, 5)


@pytest.mark.parametrize("rare", [1e-3, 1e-20, 1e-150])
def test_the_tilt_of_a_rare_win_is_found(rare):
    # p e^t = (1 - p) e^-t.
    for mean_is_negative in (False, True):
        losses = [[0.0, 0.0], [1.0, -1.0]] if mean_is_negative else [[0.0, 0.0], [-1.0, 1.0]]
        difference = theory.DiscreteLosses(losses=losses, probs=[rare, 1 - rare]).difference(1, 0)
        tilt = math.log((1 - rare) / rare) / 2 * (-1 if mean_is_negative else 1)
        assert difference.optimal_tilt() == pytest.approx(tilt, rel=1e-12)
        assert not difference.constant


def test_a_rare_win_is_counted_exactly():
    law = theory.DiscreteLosses(losses=[[0.0, 0.0], [-1.0, 1.0]], probs=[1e-150, 1.0])
    # Both examples must be rare, or one of them where the rival wins ties.
    assert theory.exact(law, 2).value == pytest.approx(2e-300, rel=1e-12, abs=0)
    tied = theory.DiscreteLosses(losses=[[-1.0, 1.0], [0.0, 0.0]], probs=[1e-150, 1.0])
    assert theory.exact(tied, 2).value == pytest.approx(2e-150, rel=1e-12, abs=0)
    assert theory.rate(law).value == pytest.approx(-math.log(2e-75), rel=1e-12)


def test_constant_up_to_rounding_is_constant():
    law = theory.DiscreteLosses(losses=[[0.1, 0.7], [1.1, 1.7]], probs=[0.5, 0.5])
    assert law.difference(1, 0).constant
    assert (
        not theory.DiscreteLosses(losses=[[0.1, 0.7], [1.1, 1.8]], probs=[0.5, 0.5]).difference(1, 0).constant
    )


def test_large_losses_blur_only_their_own_atoms():
    law = theory.DiscreteLosses(losses=[[0, 0, 1e6], [1e-10, 0, 1e6]], probs=[0.3, 0.3, 0.4])
    assert law.difference(1, 0).values.tolist() == [1e-10, 0.0, 0.0]
    assert not law.difference(1, 0).constant
    assert law.best() == 0
    # Of a million, 1e-10 is less than what a float holds.
    blurred = theory.DiscreteLosses(losses=[[0, 1e6], [0, 1e6 + 1.2e-10]], probs=[0.5, 0.5])
    assert blurred.difference(1, 0).constant


def test_a_sum_is_a_tie_within_what_is_known_of_its_losses():
    difference = theory.DiscreteLosses(losses=[[0.7, 0.7], [0.8, -2.0]], probs=[0.5, 0.5]).difference(1, 0)
    assert difference.tie(10) == pytest.approx(10 * 4 * 2.0**-52 * 2.7, rel=1e-15)
    assert atoms([1.0, -3.0], [0.5, 0.5]).tie(2) == pytest.approx(2 * 4 * 2.0**-52 * 3.0, rel=1e-15)


def test_differences_of_normal_losses_lose_nothing_where_they_cancel(rng):
    root = np.round(rng.normal(size=(3, 3)), 3)
    cov = root @ root.T + rng.choice([1e3, 1e6, 1e9])
    law = theory.GaussianLosses(mean=[1.0, 1.0 + 2.0**-40, -3.0], cov=cov)
    mean, found = law.differences([2, 1], 0)
    assert mean.tolist() == [-4.0, 2.0**-40]
    held = [[Fraction(x) for x in row] for row in law.cov.tolist()]
    for i, a in enumerate((2, 1)):
        for j, b in enumerate((2, 1)):
            assert found[i, j] == float(held[a][b] - held[a][0] - held[0][b] + held[0][0])
    assert law.difference(2, 0).variance == found[0, 0]


def test_atoms_of_probability_zero_are_dropped():
    law = theory.DiscreteLosses(losses=[[0, 1, 9], [1, 0, 9]], probs=[0.25, 0.75, 0.0])
    assert law.losses.shape == (2, 2)
    assert law.probs.tolist() == [0.25, 0.75]


def test_the_best_is_the_first_of_those_tied_up_to_rounding():
    law = theory.DiscreteLosses(losses=[[0.5, 0.5], [0.1 + 0.2, 0.3], [0.3, 0.3]], probs=[0.5, 0.5])
    assert law.best() == 1


def test_differences_of_the_three_laws_agree(rng):
    losses, probs = rng.normal(size=(3, 5)), rng.dirichlet(np.ones(5))
    discrete = theory.DiscreteLosses(losses=losses, probs=probs).difference(2, 1)
    gaussian = theory.GaussianLosses(mean=losses @ probs, cov=np.cov(losses, aweights=probs, bias=True))
    counts = rng.integers(1, 9, size=5)
    sampled = theory.SampledLosses(losses=np.repeat(losses, counts, axis=1)).difference(2, 1)
    counted = theory.DiscreteLosses(losses=losses, probs=counts / counts.sum()).difference(2, 1)
    assert discrete.mean == pytest.approx(gaussian.difference(2, 1).mean, rel=1e-12, abs=0)
    assert discrete.variance == pytest.approx(gaussian.difference(2, 1).variance, rel=1e-12, abs=0)
    assert sampled.log_mgf(0.7) == pytest.approx(counted.log_mgf(0.7), rel=1e-12, abs=0)


def test_rounding_residues_of_a_difference_are_zero():
    law = theory.DiscreteLosses(losses=[[0.1 + 0.2, 1.0], [0.3, 2.0]], probs=[0.5, 0.5])
    assert law.difference(1, 0).values.tolist() == [0.0, 1.0]
    assert theory.GaussianLosses(mean=[0, 1], cov=np.full((2, 2), 0.1)).difference(1, 0).variance == 0.0


@pytest.mark.parametrize("mean", [-0.4, 0.0, 0.3])
def test_optimal_tilt_minimises_the_cumulant(rng, mean):
    values = rng.normal(size=50)
    d = atoms(values - values.mean() + mean, np.full(50, 1 / 50))
    found = optimize.minimize_scalar(d.log_mgf, bracket=(-1, 1), options={"xtol": 1e-12})
    assert d.optimal_tilt() == pytest.approx(found.x, abs=1e-6)
    assert d.tilted(d.optimal_tilt()).mean == pytest.approx(0, abs=1e-12)


def test_one_sided_differences_have_no_tilt():
    assert atoms([0.0, 1.0], [0.5, 0.5]).optimal_tilt() == math.inf
    assert atoms([0.0, -1.0], [0.5, 0.5]).optimal_tilt() == -math.inf


def test_normal_is_the_limit_of_atoms():
    nodes, weights = np.polynomial.hermite_e.hermegauss(60)
    many = atoms(0.3 + 2 * nodes, weights / weights.sum())
    normal = Normal(0.3, 4.0)
    assert many.log_mgf(0.5) == pytest.approx(normal.log_mgf(0.5), rel=1e-12, abs=0)
    assert many.optimal_tilt() == pytest.approx(normal.optimal_tilt(), rel=1e-9, abs=0)
    assert many.tilted(0.2).variance == pytest.approx(normal.tilted(0.2).variance, rel=1e-9, abs=0)
    assert many.tilt_distance(0.2) == pytest.approx(normal.tilt_distance(0.2), abs=0.02)


@pytest.mark.parametrize(
    ("values", "origin", "span"),
    [
        ([-0.9, 0.15, 0.6], -0.9, 0.15),
        ([0.1, 0.4, 0.7], 0.1, 0.3),
        ([-1.0, math.sqrt(2)], -1.0, 1 + math.sqrt(2)),
        ([-1.0, 0.0, math.sqrt(2)], -1.0, 0.0),
        ([2.0, 2.0, 5.0, 11.0], 2.0, 3.0),
        ([1e6, 1e6 + 1, 1e6 + 3], 1e6, 1.0),
    ],
)
def test_lattice(values, origin, span):
    found = atoms(values, np.full(len(values), 1 / len(values))).lattice()
    assert found == pytest.approx((origin, span), rel=1e-9, abs=0)


def test_measured_losses_have_no_lattice_but_errors_do(rng):
    losses = rng.normal(size=(2, 2000))
    assert theory.SampledLosses(losses=losses).difference(1, 0).lattice()[1] == 0.0
    assert theory.SampledLosses(losses=losses > 0).difference(1, 0).lattice()[1] == 1.0
