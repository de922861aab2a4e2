"""The saddlepoint against exact values at every n, on and off lattices, at ties, and for measured losses."""

import math
import time
import warnings

import numpy as np
import pytest
from scipy import stats

from mis import theory
from mis.numerics.checks import InvalidInput, UnsupportedSetting
from mis.theory.differences import Atoms
from mis.theory.saddlepoint import log_lower_tail

THREE = ([-0.9, 0.15, 0.6], [0.2, 0.5, 0.3])


def pair(difference, probs, minimiser_first=True):
    zeros = [0.0] * len(probs)
    losses = [zeros, difference] if minimiser_first else [difference, zeros]
    return theory.DiscreteLosses(losses=losses, probs=probs)


def relative_error(law, n):
    return abs(theory.saddlepoint(law, n).value / theory.exact(law, n).value - 1)


@pytest.mark.parametrize("minimiser_first", [True, False])
def test_uniform_in_n_on_the_three_atoms(minimiser_first):
    law = pair(*THREE, minimiser_first)
    errors = np.array([relative_error(law, n) for n in range(5, 401)])
    assert errors.max() < 0.05
    assert np.delete(errors, 7 - 5).max() < 0.04
    assert errors[45:].max() < 0.006
    assert errors[-1] < 1e-4


@pytest.mark.parametrize(
    ("difference", "probs"),
    [
        ([-1.0, 2 / 3], [0.25, 0.75]),
        ([-3.0, 1.0, 2.0, 5.0], [0.4, 0.2, 0.2, 0.2]),
        ([-1.0, 1.0], [0.5, 0.5]),
        ([-1.0, 1 - 1e-9], [0.45, 0.55]),
        ([-1.0, 1 + 1e-9], [0.45, 0.55]),
        ([-1.0, math.sqrt(2)], [0.45, 0.55]),
        ([-1.0, 0.1, math.sqrt(0.5), 0.9], [0.25, 0.25, 0.2, 0.3]),
    ],
)
@pytest.mark.parametrize("minimiser_first", [True, False])
def test_error_falls_with_n(difference, probs, minimiser_first):
    law = pair(difference, probs, minimiser_first)
    assert max(relative_error(law, n) for n in range(10, 15)) < 0.05
    assert max(relative_error(law, n) for n in range(100, 105)) < 0.011


@pytest.mark.parametrize("n", [3, 4])
def test_few_examples_and_few_atoms_cost_twelve_per_cent(n):
    assert 0.1 < relative_error(pair(*THREE), n) < 0.125


@pytest.mark.filterwarnings("ignore::mis.theory.NearLattice")
@pytest.mark.parametrize("n", [2, 3, 4, 5])
@pytest.mark.parametrize("family", [stats.norm(0.3), stats.expon(-0.6)])
def test_losses_of_many_values_cost_five_from_the_start(n, family):
    assert relative_error(pair(family.ppf((np.arange(12) + 0.5) / 12), [1 / 12] * 12), n) < 0.05


@pytest.mark.parametrize("n", [1, 2])
def test_extremes_of_the_support_are_exact(n):
    assert relative_error(pair([-1.0, 2 / 3], [0.25, 0.75]), n) < 1e-12


@pytest.mark.parametrize("n", [2, 3, 20])
@pytest.mark.parametrize("rare", [1e-3, 1e-6, 1e-10, 1e-14])
def test_a_rare_win_keeps_its_accuracy(rare, n):
    assert relative_error(pair([-1.0, 1.0], [rare, 1 - rare]), n) < 0.015


def test_a_rare_win_among_many_values_is_not_interpolated():
    common = 1 + np.arange(60) / 100
    law = pair(np.append(-1.0, common), np.append(1e-12, np.full(60, (1 - 1e-12) / 60)))
    # The rival wins by two rare examples: p (p - p**2) + (1 - p) p**2.
    with pytest.warns(theory.NearLattice):
        found = theory.saddlepoint(law, 2).value
    assert found == pytest.approx(2e-24, rel=1e-9, abs=0)


def test_a_rare_atom_beside_common_ones_misleads_by_what_the_docstring_says():
    law = pair([-1.0, 0.5, math.sqrt(2)], [1e-3, 0.5, 0.499])
    for n, error in ((3, 32.8), (20, 0.35)):
        with pytest.warns(
            theory.NearLattice, match="nearly on a lattice, and the value may be off by a factor of"
        ):
            assert relative_error(law, n) == pytest.approx(error, abs=0.1)


def test_an_extreme_that_nearly_all_must_be_is_warned_of():
    law = pair([-0.04, 1.99, 1.89], [0.122, 0.863, 0.015])
    with pytest.warns(theory.NearLattice, match=r"200 losses.*use theory.exact or theory.simulate"):
        assert relative_error(law, 200) > 20


def random_pair(rng):
    """Two to six atoms of one candidate's loss less the other's, a third of them integers, some nearly tied."""
    size = int(rng.integers(2, 7))
    values = rng.normal(size=size) if rng.random() < 2 / 3 else rng.integers(-5, 6, size).astype(float)
    few = rng.random() < 0.5
    probs = np.exp(rng.uniform(-8, 0, size)) if few else rng.dirichlet(np.full(size, rng.choice([0.3, 1, 3])))
    probs = np.maximum(probs, 1e-6) / np.maximum(probs, 1e-6).sum()
    if rng.random() < 0.3:
        values = values - probs @ values + rng.uniform(0, 0.3)
    return pair(values, probs, rng.random() < 2 / 3), int(rng.choice([2, 3, 5, 8, 16, 32, 64, 128, 200, 400]))


def factor_and_warning(law, n):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        ratio = theory.saddlepoint(law, n).value / theory.exact(law, n).value
    return max(ratio, 1 / ratio), bool(caught)


@pytest.mark.parametrize("num_laws", [300, pytest.param(6000, marks=pytest.mark.slow)], ids=["few", "many"])
def test_random_laws_that_pass_are_as_right_as_the_docstring_says(sweep_seed, num_laws):
    rng, passed, warned = np.random.default_rng([sweep_seed, 4]), [], []
    for _ in range(num_laws):
        law, n = random_pair(rng)
        difference = law.difference(1, 0)
        one_sign = difference.values.min() >= 0 or difference.values.max() <= 0
        size = len(law.probs)
        cheap = math.comb(n + size - 2, size - 1) < (1e4 if num_laws < 1000 else 1e5)
        if not one_sign and cheap and theory.exact(law, n).value > 1e-290:
            factor, caught = factor_and_warning(law, n)
            (warned if caught else passed).append(factor)
    assert len(passed) > len(warned)
    assert np.max(passed) < 4
    assert np.quantile(passed, 0.75) < 1.1
    assert np.quantile(passed, 0.9) < 1.25
    # Not by warning of everything alike.
    assert np.mean(np.array(warned) > 1.4) > 3 * np.mean(np.array(passed) > 1.4)


def test_the_lattice_correction_is_what_makes_it_accurate():
    law = pair([-1.0, 1.0], [0.4, 0.6])
    difference, n = law.difference(1, 0), 101
    truth = stats.binom.logcdf(40, 100, 0.6)
    with_lattice = log_lower_tail(difference, n - 1, np.array([-20.0]), 2.0)
    without = log_lower_tail(difference, n - 1, np.array([-20.0]), 0.0)
    assert with_lattice[0] == pytest.approx(truth, abs=0.002)
    assert abs(without[0] - truth) > 0.1


def test_tail_of_a_sum_against_the_gamma_law():
    # A sum of 7 standard exponentials, by 4000 quantiles of one of them.
    values = stats.expon.ppf((np.arange(4000) + 0.5) / 4000)
    law = Atoms(values, np.full(4000, -math.log(4000)))
    thresholds = np.array([0.5, 2.0, 5.0, 7.0, 7.0001, 9.0, 15.0])
    assert log_lower_tail(law, 7, thresholds) == pytest.approx(stats.gamma.logcdf(thresholds, 7), abs=0.02)


def test_nothing_jumps_at_tilt_zero():
    values = np.array([-1.0, 0.2, math.sqrt(2)])
    law = Atoms(values, np.log([0.3, 0.4, 0.3]))
    thresholds = 50 * law.mean + np.linspace(-0.5, 0.5, 2001)
    log_probs = log_lower_tail(law, 50, thresholds)
    assert np.ptp(np.diff(log_probs)) < 1e-5
    assert log_probs[1000] == pytest.approx(math.log(0.5), abs=0.05)


def test_an_exact_tie():
    law = pair([-1.0, 0.5, math.sqrt(0.5)], [1 / 3, 1 / 3, 1 / 3])
    centred = pair(np.array([-1.0, 0.5, math.sqrt(0.5)]) - law.difference(1, 0).mean, [1 / 3] * 3)
    difference = centred.difference(1, 0)
    absolute = np.abs(difference.values).mean()
    local = stats.norm.pdf(0) * absolute / math.sqrt(1000 * difference.variance)
    assert theory.saddlepoint(centred, 1000).value == pytest.approx(local, rel=0.005, abs=0)


def test_near_ties_it_is_the_local_limit():
    law = pair(np.array([-1.0, 0.0, 1.05]), [0.4, 0.2, 0.4])
    d, n = law.difference(1, 0), 100
    absolute = float(np.exp(d.log_probs) @ np.abs(d.values - d.mean))
    sd = math.sqrt(d.variance)
    local = stats.norm.pdf(math.sqrt(n) * d.mean / sd) * absolute / (sd * math.sqrt(n))
    assert theory.saddlepoint(law, n).value == pytest.approx(local, rel=0.05, abs=0)


def test_far_out_it_is_the_sharp_asymptotics():
    law = pair([-1.0, 0.1, math.sqrt(0.5), 0.9], [0.25, 0.25, 0.2, 0.3])
    ratios = [theory.saddlepoint(law, n).value / theory.sharp(law, n).value - 1 for n in (4000, 8000, 16_000)]
    assert np.abs(ratios[-1]) < 2e-3
    assert np.diff(np.log(np.abs(ratios))) == pytest.approx([-math.log(2)] * 2, abs=0.1)


def test_normal_losses_are_exact():
    law = theory.GaussianLosses(mean=[0.0, 0.3], cov=[[0.0, 0.0], [0.0, 1.0]])
    assert theory.saddlepoint(law, 37) == theory.exact(law, 37)


@pytest.mark.parametrize("n", [2, 5, 100])
def test_measured_losses(n):
    quantiles = stats.norm.ppf((np.arange(20_000) + 0.5) / 20_000)
    law = theory.SampledLosses(losses=[np.zeros(20_000), 0.3 + quantiles])
    truth = theory.exact(theory.GaussianLosses(mean=[0.0, 0.3], cov=[[0.0, 0.0], [0.0, 1.0]]), n).value
    assert theory.saddlepoint(law, n).value == pytest.approx(truth, rel=0.003, abs=0)


def test_a_hundred_thousand_losses_are_quick(rng):
    law = theory.SampledLosses(losses=rng.normal([[0.0], [0.3]], size=(2, 100_000)))
    times = []
    for _ in range(3):
        start = time.process_time()
        theory.saddlepoint(law, 100)
        times.append(time.process_time() - start)
    assert min(times) < 0.2  # 0.04 s on an idle core


@pytest.mark.parametrize(
    ("law", "n", "error", "message"),
    [
        (theory.SampledLosses(losses=np.eye(3)), 5, UnsupportedSetting, "covers two candidates, not 3"),
        (theory.GaussianLosses(mean=[0, 1], cov=np.ones((2, 2))), 5, UnsupportedSetting, "never varies"),
        (theory.SampledLosses(losses=[[0, 1], [1, 2]]), 5, UnsupportedSetting, "never varies"),
        (
            pair([-1.0, 1.0], [1e-20, 1]),
            5,
            UnsupportedSetting,
            "but for an event below 1e-15; use theory.exact",
        ),
        (
            None,
            5,
            InvalidInput,
            "expected law a GaussianLosses, DiscreteLosses or SampledLosses, got law=None",
        ),
        (pair(*THREE), 0, InvalidInput, "theory.saddlepoint: expected n an integer >= 1"),
    ],
)
def test_refuses(law, n, error, message):
    with pytest.raises(error, match=message):
        theory.saddlepoint(law, n)
