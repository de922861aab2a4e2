"""Observations against quadrature with thirty digits, and as the limits of each other."""

import itertools

import jax
import jax.numpy as jnp
import mpmath
import numpy as np
import pytest
from scipy import stats

from mis.quantizers import Cell, Hat, Normal, parse

LAWS = list(itertools.product([0.0, 0.3, -2.0, 9.0], [0.1, 1.0, 30.0]))


def quadrature(likelihood, points, mean, sd):
    """Log probability and posterior mean, by pieces between the points."""
    with mpmath.workdps(30):
        mean, sd = mpmath.mpf(mean), mpmath.mpf(sd)
        points = [mpmath.mpf(p) for p in points]
        fine = [a + (b - a) * i / 8 for a, b in itertools.pairwise(points) for i in range(8)] + points[-1:]

        def density(w):
            return likelihood(w) * mpmath.npdf(w, mean, sd)

        prob = mpmath.quad(density, fine)
        first = mpmath.quad(lambda w: (w - mean) * density(w), fine)
        return float(mpmath.log(prob)), float(mean + first / prob)


def check(observation, truth, mean, sd):
    log_prob, posterior = truth
    distance = 1 + abs(float(posterior) - mean) / sd
    assert observation.log_likelihood(mean, sd) == pytest.approx(log_prob, rel=1e-13, abs=1e-13 * distance**4)
    assert observation.posterior_mean(mean, sd) == pytest.approx(
        posterior, abs=sd * 1e-13 * distance**4, rel=1e-13
    )


@pytest.mark.parametrize(("mean", "sd"), LAWS)
@pytest.mark.parametrize("width", [0.01, 0.3, 2.0])
def test_cells(mean, sd, width):
    lower, upper = 0.7 - width * sd / 3, 0.7 + width * sd
    truth = quadrature(lambda _: 1, [lower, 0.7, upper], mean, sd)
    check(Cell(lower=lower, upper=upper), truth, mean, sd)


@pytest.mark.parametrize(("mean", "sd"), LAWS)
@pytest.mark.parametrize(
    ("below", "above"),
    [
        pair if pair in ((0.01, 2.0), (0.3, 0.3)) else pytest.param(*pair, marks=pytest.mark.slow)
        for pair in itertools.product([0.01, 0.3, 2.0], repeat=2)
    ],
)
def test_hats(mean, sd, below, above):
    lower, centre, upper = 0.7 - below * sd, 0.7, 0.7 + above * sd

    def likelihood(w):
        return (
            (w - lower) / mpmath.mpf(centre - lower)
            if w < centre
            else (upper - w) / mpmath.mpf(upper - centre)
        )

    truth = quadrature(likelihood, [lower, centre, upper], mean, sd)
    # The ends are rounded to float64 before they come here.
    log_prob, posterior = truth
    hat = Hat(lower=lower, centre=centre, upper=upper)
    distance = 1 + abs(posterior - mean) / sd
    assert hat.log_likelihood(mean, sd) == pytest.approx(log_prob, rel=1e-12, abs=3e-12 * distance**4)
    assert hat.posterior_mean(mean, sd) == pytest.approx(posterior, abs=sd * 3e-12 * distance**4, rel=1e-12)


@pytest.mark.parametrize(("mean", "sd"), LAWS)
@pytest.mark.parametrize("width", [1e-3, 1e-6, 1e-9, 1e-12])
def test_posterior_means_stay_relative_to_the_width_of_narrow_hats(mean, sd, width):
    """To first order ``E[w - c] = h**2 / 6 * (d log density / dw)`` of a symmetric hat of half width h."""
    hat = Hat(lower=-width * sd, centre=0.0, upper=width * sd)
    slope = mean / sd
    expected = sd * width**2 / 6 * slope
    assert hat.posterior_mean(mean, sd) == pytest.approx(
        expected, rel=1e-3, abs=1e-15 * sd * (1 + abs(slope))
    )
    log_density = -(slope**2) / 2 - np.log(2 * np.pi) / 2 + np.log(width)
    assert hat.log_likelihood(mean, sd) == pytest.approx(
        log_density, rel=1e-12, abs=width**2 * (1 + slope**2)
    )


@pytest.mark.parametrize(("mean", "sd"), [law for law in LAWS if law != (9.0, 0.1)])
@pytest.mark.parametrize("side", [pytest.param(-1, marks=pytest.mark.slow), 1])
def test_hats_of_outermost_levels(mean, sd, side):
    ends = sorted([side * np.inf, 0.7 - side * 2 * sd])
    hat = Hat(lower=ends[0], centre=0.7, upper=ends[1])
    kink, far = 0.7 - side * 2 * sd, mean + side * 40 * sd + side * 20

    def likelihood(w):
        return mpmath.mpf(1) if side * (w - 0.7) > 0 else (w - kink) / mpmath.mpf(0.7 - kink)

    log_prob, posterior = quadrature(
        likelihood, sorted([kink, 0.7, *np.linspace(0.7, far, 12)[1:]]), mean, sd
    )
    distance = 1 + abs(posterior - mean) / sd
    assert hat.log_likelihood(mean, sd) == pytest.approx(log_prob, rel=1e-11, abs=3e-12 * distance**4)
    assert hat.posterior_mean(mean, sd) == pytest.approx(posterior, abs=sd * 3e-12 * distance**4, rel=1e-11)


@pytest.mark.parametrize(("mean", "sd"), LAWS)
@pytest.mark.parametrize("noise", [0.0, 0.01, 2.0])
def test_normal_noise(mean, sd, noise):
    seen = Normal(centre=0.7, sd=noise)
    truth = stats.norm.logpdf(0.7, mean, np.hypot(sd, noise))
    assert seen.log_likelihood(mean, sd) == pytest.approx(truth, rel=1e-13)
    precision = 1 / sd**2, 1 / noise**2 if noise else 1e30
    posterior = (precision[0] * mean + precision[1] * 0.7) / sum(precision)
    assert seen.posterior_mean(mean, sd) == pytest.approx(posterior, rel=1e-12)


def test_points_are_cells_without_width():
    point = Cell(lower=0.7, upper=0.7)
    assert point.log_likelihood(0.1, 2.0) == pytest.approx(stats.norm.logpdf(0.7, 0.1, 2.0), rel=1e-14)
    assert point.posterior_mean(0.1, 2.0) == 0.7
    # A mass is a density times a width, also where both are tiny.
    for width in (1e-5, 1e-8, 1e-12):
        cell = Cell(lower=0.0, upper=width)
        assert cell.log_likelihood(0.1, 2.0) == pytest.approx(
            stats.norm.logpdf(width / 2, 0.1, 2.0) + np.log(width), rel=1e-9
        )


@pytest.mark.parametrize(
    "seen", [Cell(lower=-0.2, upper=0.9), Hat(lower=-0.5, centre=0.1, upper=0.4), Normal(centre=0.3, sd=0.5)]
)
@pytest.mark.parametrize("mean", [-1.0, 0.2, 3.0])
def test_slope_of_the_likelihood_is_the_posterior_mean(seen, mean):
    step, sd = 1e-4, 0.6
    slope = (seen.log_likelihood(mean + step, sd) - seen.log_likelihood(mean - step, sd)) / (2 * step)
    assert (seen.posterior_mean(mean, sd) - mean) / sd**2 == pytest.approx(slope, rel=1e-6)


def test_weights_that_do_not_move():
    mean = np.array([-3.0, 0.3, 7.0])
    assert Cell(lower=np.zeros(3), upper=np.ones(3)).posterior_mean(mean, 0.0).tolist() == [0.0, 0.3, 1.0]
    hat = Hat(lower=np.zeros(3), centre=np.full(3, 0.5), upper=np.ones(3))
    assert hat.posterior_mean(mean, 0.0).tolist() == [0.0, 0.3, 1.0]
    assert Normal(centre=np.zeros(3), sd=np.ones(3)).posterior_mean(mean, 0.0).tolist() == mean.tolist()
    assert Normal(centre=np.zeros(3), sd=np.zeros(3)).posterior_mean(mean, 0.0).tolist() == mean.tolist()


def observations(name, rng):
    """What one release says, in NumPy's float64, with a law of the weights before."""
    weights = rng.standard_normal((40, 3))
    channel = parse(name).fit(weights)
    released = np.asarray(channel.apply(weights, key=jax.random.key(1)))
    return channel, released, weights + 0.3 * rng.standard_normal((40, 3)), rng.uniform(0.05, 0.5, (40, 3))


NAMES = "full sign ternary-50 uniform-4 uniform-3-channel stochastic-3 stochastic-8 prune-60 noise-30"
NAMES += " prune-60+uniform-3 prune-90+codebook-5"


@pytest.mark.parametrize("name", NAMES.split())
def test_float32_under_jit_agrees(name, rng):
    channel, released, mean, sd = observations(name, rng)
    here = channel.observation(released)
    there = jax.jit(lambda c, r: c.observation(r))(
        jax.tree.map(lambda x: jnp.asarray(x, np.float32), channel), jnp.asarray(released, np.float32)
    )
    asked = [jax.jit(type(there).log_likelihood), jax.jit(type(there).posterior_mean)]
    logs, means = (f(there, jnp.asarray(mean, np.float32), jnp.asarray(sd, np.float32)) for f in asked)
    truth, posterior = here.log_likelihood(mean, sd), here.posterior_mean(mean, sd)
    usual = truth > -30
    assert usual.mean() > 0.9
    np.testing.assert_allclose(np.asarray(logs)[usual], truth[usual], rtol=1e-4, atol=1e-3)
    assert (np.abs(means - posterior) < 5e-3 * sd)[usual].all()
    # Far out a mean is known to a share of a standard deviation, and stays what can have been released so.
    assert (np.abs(means - posterior) < 0.2 * sd).all()


@pytest.mark.parametrize("name", NAMES.split())
def test_weights_are_possible_given_what_was_released(name, rng):
    weights = rng.standard_normal((50, 3))
    channel = parse(name).fit(weights)
    seen = channel.observation(np.asarray(channel.apply(weights, key=jax.random.key(2))))
    seen.check("test")
    if not isinstance(seen, Normal):
        assert (seen.lower <= weights).all()
        assert (weights <= seen.upper).all()
    # Of a law narrow around the true weight all releases have a finite likelihood.
    assert np.isfinite(seen.log_likelihood(weights, 1e-3)).all()


def test_all_releases_together_have_probability_one():
    """The sum over a stochastic grid's levels, in tails too."""
    channel = parse("stochastic-3").fit(np.array([-1.0, 1.0]))
    every = channel.observation(channel.levels)
    for mean, sd in ((0.0, 0.2), (0.9, 3.0), (4.0, 0.1), (-30.0, 1.0)):
        assert np.exp(every.log_likelihood(mean, sd)).sum() == pytest.approx(1, rel=1e-11)
