"""Information that passes a channel, against the definition of Fisher information, quadrature, and limits."""

import itertools
import math

import numpy as np
import pytest
from scipy import integrate, special, stats

from mis.quantizers import DeadZone, Exact, Grid, Noisy, StochasticGrid


def fixed(levels, *, edges=None, stochastic=False):
    levels = np.asarray(levels, float)
    edges = (levels[..., 1:] + levels[..., :-1]) / 2 if edges is None else edges
    return (StochasticGrid if stochastic else Grid)(levels=levels, edges=edges)


LEVELS = np.array([-1.0, -0.3, 0.2, 1.4])


def code_probabilities(w, s, grid):
    """P(code = q) for a weight N(w, s**2), by quadrature for a stochastic grid."""
    if grid.is_sharp:
        return np.diff(stats.norm.cdf([-np.inf, *np.ravel(grid.edges), np.inf], w, s))
    kinks = [-8.0, *(k for k in (grid.levels - w) / s if abs(k) < 8), 8.0]

    def prob(hat):
        def density(u):
            return np.interp(w + s * u, grid.levels, hat) * stats.norm.pdf(u)

        return sum(integrate.quad(density, a, b, epsabs=1e-13)[0] for a, b in itertools.pairwise(kinks))

    return np.array([prob(hat) for hat in np.eye(len(grid.levels))])


@pytest.mark.parametrize("stochastic", [False, True])
@pytest.mark.parametrize("s", [0.1, 0.5, 3.0])
@pytest.mark.parametrize("w", [-1.2, -0.3, 0.05, 0.9, 1.5])
def test_share_is_the_fisher_information_of_the_code(w, s, stochastic):
    grid = fixed(LEVELS, stochastic=stochastic)
    step = 1e-3
    low, mid, high = (code_probabilities(w + h * s, s, grid) for h in (-step, 0, step))
    slope = (high - low) / (2 * step)
    truth = np.sum(slope[mid > 1e-11] ** 2 / mid[mid > 1e-11])
    assert grid.information(np.array([w]), np.array([s]))[0] == pytest.approx(truth, rel=1e-4, abs=1e-7)


def test_one_edge_in_closed_form():
    a = np.linspace(-30, 30, 13)
    truth = np.exp(stats.norm.logpdf(a) * 2 - stats.norm.logcdf(a) - stats.norm.logsf(a))
    found = fixed([-1.0, 1.0]).information(a, np.ones(13))
    assert found == pytest.approx(truth, rel=1e-12, abs=1e-150)
    assert found[6] == pytest.approx(2 / math.pi, rel=1e-14, abs=0)


def test_far_cells_keep_their_relative_accuracy():
    grid = fixed([0.0, 1.0, 2.0])
    # 20 spreads below the first edge: everything comes from two tiny cells.
    a, b = 20.0, 30.0
    tails = special.ndtr(-a) - special.ndtr(-b), special.ndtr(-b)
    densities = stats.norm.pdf(a) - stats.norm.pdf(b), stats.norm.pdf(b)
    truth = densities[0] ** 2 / tails[0] + densities[1] ** 2 / tails[1] + stats.norm.pdf(a) ** 2
    for w, sign in ((0.5 - 2.0, 1), (1.5 + 2.0, -1)):
        assert sign * (1.0 - w) > 0
        assert grid.information(np.array([w]), np.array([0.1]))[0] == pytest.approx(truth, rel=1e-10, abs=0)


@pytest.mark.parametrize("width", [0.02, 0.2, 0.5])
@pytest.mark.parametrize("stochastic", [False, True])
def test_fine_grids_lose_what_their_noise_adds(width, stochastic):
    # Rounding adds the variance of a uniform error, h**2/12; stochastic rounding to a random neighbour
    # h**2/6.
    grid = fixed(np.arange(-12, 12 + width, width), stochastic=stochastic)
    shares = grid.information(np.linspace(-0.1, 0.1, 7), np.ones(7))
    assert shares == pytest.approx(1 / (1 + width**2 / (6 if stochastic else 12)), rel=0.1 * width**2, abs=0)


def test_coarser_codes_keep_less(rng):
    w, s = rng.normal(size=200), rng.uniform(0.01, 1, size=200)
    edges = np.sort(rng.normal(size=15))
    fine, coarse = (Grid(levels=np.zeros(len(e) + 1), edges=e).information(w, s) for e in (edges, edges[::3]))
    assert (coarse <= fine + 1e-12).all()
    assert (fine <= 1).all()
    rounded = fixed(LEVELS, stochastic=True).information(w, s)
    assert (rounded >= 0).all()
    assert (rounded <= 1).all()


def test_mirror_image(rng):
    w, s = rng.normal(size=50), rng.uniform(0.01, 1, size=50)
    for stochastic in (False, True):
        here = fixed(LEVELS, stochastic=stochastic).information(w, s)
        there = fixed(-LEVELS[::-1], stochastic=stochastic).information(-w, s)
        assert there == pytest.approx(here, rel=1e-9, abs=1e-15)


@pytest.mark.parametrize("stochastic", [False, True])
def test_mirror_image_far_out(stochastic):
    w, s = np.array([-4.0, -3.0, -2.5]), np.full(3, 0.3)
    here = fixed(LEVELS, stochastic=stochastic).information(w, s)
    there = fixed(-LEVELS[::-1], stochastic=stochastic).information(-w, s)
    assert (here > 0).all()
    assert there == pytest.approx(here, rel=1e-9, abs=0)


def test_channels_are_the_last_axis(rng):
    w, s = rng.normal(size=(6, 5, 3)), rng.uniform(0.1, 1, size=(6, 5, 3))
    levels = np.sort(rng.normal(size=(3, 4)), axis=1)
    for stochastic in (False, True):
        together = fixed(levels, stochastic=stochastic).information(w, s)
        for c in range(3):
            alone = fixed(levels[c], stochastic=stochastic).information(w[..., c], s[..., c])
            assert together[..., c] == pytest.approx(alone, rel=1e-12, abs=0)


def test_blocks_change_nothing(rng):
    w = rng.normal(size=20_000)
    grid = fixed(np.linspace(-1, 1, 8))
    together = grid.information(w, np.full(20_000, 0.1))
    apart = [grid.information(w[i : i + 1], np.array([0.1]))[0] for i in range(0, 20_000, 997)]
    assert together[::997] == pytest.approx(apart, rel=1e-13, abs=0)


def test_weights_that_do_not_move():
    weights, spread = np.array([-0.5, 0.0, 0.5]), np.zeros(3)
    assert fixed([-1.0, 1.0]).information(weights, spread).tolist() == [0, 2 / math.pi, 0]
    assert fixed([-1.0, 1.0]).information(weights, spread + 1e-9) == pytest.approx([0, 2 / math.pi, 0])
    assert fixed(LEVELS, stochastic=True).information(weights, spread).tolist() == [0, 0, 0]
    assert fixed(LEVELS, stochastic=True).information(np.array([0.1]), np.array([1e-12])) < 1e-11


@pytest.mark.parametrize("t", [0.05, 0.7, 3.0])
@pytest.mark.parametrize("s", [0.1, 1.0])
@pytest.mark.parametrize("w", [0.0, 0.6, -0.7, 2.5])
def test_dead_zone_is_a_censored_observation(w, s, t):
    """1 - J is the probability of the zone times the variance within it, the only place where something is lost."""
    law = stats.truncnorm((-t - w) / s, (t - w) / s)
    lost = (stats.norm.cdf(t, w, s) - stats.norm.cdf(-t, w, s)) * law.var()
    found = DeadZone(threshold=t).information(np.array([w]), np.array([s]))[0]
    assert found == pytest.approx(1 - lost, rel=1e-9, abs=1e-12)


def test_deep_in_a_dead_zone_the_tails_keep_their_relative_accuracy():
    found = DeadZone(threshold=12.0).information(np.array([2.0]), np.array([1.0]))[0]
    tails = [integrate.quad(lambda x: x**2 * stats.norm.pdf(x), a, a + 20, epsabs=0)[0] for a in (10, 14)]
    cell = (stats.norm.pdf(14) - stats.norm.pdf(10)) ** 2
    assert found == pytest.approx(sum(tails) + cell, rel=1e-9, abs=0)


def test_dead_zone_of_weights_that_do_not_move():
    found = DeadZone(threshold=1.0).information(np.array([0.5, 1.0, -1.0, 2.0]), np.zeros(4))
    assert found == pytest.approx([0, 0.5 + 1 / math.pi, 0.5 + 1 / math.pi, 1])
    near = DeadZone(threshold=1.0).information(np.array([0.5, 1.0, -1.0, 2.0]), np.full(4, 1e-9))
    assert near == pytest.approx(found)


def test_noise_adds_its_variance():
    found = Noisy(sd=2.0).information(np.zeros(3), np.array([0.0, 1.0, 4.0]))
    assert found == pytest.approx([0, 1 / 5, 16 / 20])
    assert Noisy(sd=0.0).information(np.zeros(2), np.array([0.0, 1.0])).tolist() == [1, 1]


def test_full_precision_passes_everything(rng):
    assert Exact().information(rng.normal(size=(3, 4)), 0.0).tolist() == np.ones((3, 4)).tolist()


def outcomes(channel):
    """All that the channel can release, as one observation."""
    return channel.observation(np.unique(np.asarray(channel.levels)))


@pytest.mark.parametrize("stochastic", [False, True])
@pytest.mark.parametrize("s", [0.1, 0.5, 3.0])
@pytest.mark.parametrize("w", [-1.2, -0.3, 0.05, 0.9, 1.5])
def test_share_is_the_variance_of_the_posterior_mean(w, s, stochastic):
    """Two routes: what passes the edges, and the observations of all released values (Fisher's identity)."""
    channel = fixed(LEVELS, stochastic=stochastic)
    every = outcomes(channel)
    prob = np.exp(every.log_likelihood(w, s))
    assert prob.sum() == pytest.approx(1, rel=1e-12)
    assert (prob * every.posterior_mean(w, s)).sum() == pytest.approx(w, rel=1e-9, abs=1e-12)
    variance = (prob * ((every.posterior_mean(w, s) - w) / s) ** 2).sum()
    found = channel.information(np.array([w]), np.array([s]))[0]
    assert found == pytest.approx(variance, rel=1e-9, abs=1e-12)
