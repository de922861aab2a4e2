"""Retained information against the definition of Fisher information, quadrature, and limits."""

import math
import time

import jax
import numpy as np
import pytest
from scipy import stats

from mis import theory
from mis.numerics.checks import InvalidInput
from mis.quantizers import Exact, Grid, Sign, StochasticGrid
from mis.results import Interval


class Fixed:
    """A quantizer that ignores what it is fitted to."""

    bits = 32.0

    def __init__(self, levels, *, edges=None, stochastic=False):
        self.levels = None if levels is None else np.asarray(levels, float)
        self.edges = (
            edges
            if edges is not None or levels is None
            else (self.levels[..., 1:] + self.levels[..., :-1]) / 2
        )
        self.stochastic = stochastic

    def fit(self, _):
        if self.levels is None:
            return Exact()
        return (StochasticGrid if self.stochastic else Grid)(levels=self.levels, edges=self.edges)


LEVELS = np.array([-1.0, -0.3, 0.2, 1.4])


def test_full_precision_keeps_everything(rng):
    result = theory.retained_information(rng.normal(size=(3, 4)), 0.0, Fixed(None))
    assert (result.lower, result.value, result.upper) == (1.0, 1.0, 1.0)


def test_a_network_is_its_layers_each_with_its_own_grid(rng):
    layers = [rng.normal(size=(4, 3)), 7 * rng.normal(size=5)]
    spreads = [np.full((4, 3), 0.3), np.full(5, 0.1)]
    whole = theory.retained_information(layers, spreads, Sign())
    shares = [Sign().fit(w).information(w, s) for w, s in zip(layers, spreads, strict=True)]
    assert whole.value == pytest.approx(np.concatenate([x.ravel() for x in shares]).mean(), rel=1e-12, abs=0)
    scalar = theory.retained_information(layers, 0.3, Sign())
    full = theory.retained_information(layers, [np.full((4, 3), 0.3), np.full(5, 0.3)], Sign())
    assert scalar == full


def test_interval_is_the_bootstraps(rng):
    weights = rng.normal(size=2000)
    result = theory.retained_information(weights, 0.2, Sign())
    shares = Sign().fit(weights).information(weights, np.full(2000, 0.2))
    resampled = stats.bootstrap((shares,), np.mean, method="percentile", n_resamples=2000, rng=rng)
    assert result.kind == "bootstrap"
    assert [result.lower, result.upper] == pytest.approx(
        list(resampled.confidence_interval), abs=0.1 * result.width
    )


def test_sixteen_thousand_weights_and_255_edges(rng):
    weights = rng.normal(size=16_000)
    quantizer = Fixed(np.linspace(-3, 3, 256))
    times = []
    for _ in range(3):
        start = time.process_time()
        theory.retained_information(weights, 0.02, quantizer)
        times.append(time.process_time() - start)
    assert min(times) < 0.6  # 0.2 s on an idle core


def interval(lower, value, upper, level=0.95):
    return Interval(lower=lower, value=value, upper=upper, kind="attack", level=level)


@pytest.mark.parametrize("full", [0.0, 0.3, 0.9, 1.0])
@pytest.mark.parametrize("kept", [0.0, 0.2, 1.0])
def test_predicted_advantage_is_that_of_a_smaller_gaussian_shift(full, kept):
    shift = 2 * stats.norm.ppf((1 + full) / 2)
    truth = 2 * stats.norm.cdf(shift * math.sqrt(kept) / 2) - 1 if kept > 0 else 0.0
    assert theory.predicted_advantage(kept, full).value == pytest.approx(truth, abs=1e-15)


def test_predicted_advantage_of_numbers_has_no_bounds():
    found = theory.predicted_advantage(0.2, 0.5)
    assert found.kind == "asymptotic"
    assert found.lower == found.value == found.upper


def test_predicted_advantage_of_a_shift_seen_through_one_edge():
    # One weight on an edge, seen n small shifts of size mu: the code keeps 2/pi of mu**2.
    mu = 0.01
    full = 2 * stats.norm.cdf(mu / 2) - 1
    seen = stats.norm.cdf(mu / 2) - stats.norm.cdf(-mu / 2)
    one = theory.retained_information(np.zeros(2), 1.0, Sign()).value
    assert theory.predicted_advantage(one, full).value == pytest.approx(
        seen * math.sqrt(2 / math.pi), rel=1e-4, abs=0
    )


def test_predicted_advantage_carries_intervals():
    full, kept = interval(-0.1, 0.5, 0.6), interval(0.1, 0.2, 0.3, level=0.9)
    result = theory.predicted_advantage(kept, full)
    assert result.kind == "asymptotic"
    assert result.level == pytest.approx(0.85)
    assert result.lower == 0.0
    assert result.value == theory.predicted_advantage(0.2, 0.5).value
    assert result.upper == theory.predicted_advantage(0.3, 0.6).value
    assert theory.predicted_advantage(0.2, full).level == 0.95


def test_weight_error_and_entropy_of_a_network(rng):
    layers = [rng.normal(size=(30, 3)), 7 * rng.normal(size=50)]
    squared = [np.sum((Sign()(w) - w) ** 2) for w in layers], [np.sum(w**2) for w in layers]
    assert theory.weight_error(layers, Sign()) == pytest.approx(
        sum(squared[0]) / sum(squared[1]), rel=1e-12, abs=0
    )
    assert theory.weight_error(layers, Fixed(None)) == 0.0
    entropies = [stats.entropy([np.sum(w < 0), np.sum(w >= 0)], base=2) for w in layers]
    assert theory.code_entropy(layers, Sign()) == pytest.approx((90 * entropies[0] + 50 * entropies[1]) / 140)
    assert theory.code_entropy(layers, Fixed(None)) == 32.0


@pytest.mark.parametrize("channels", [False, True])
def test_stochastic_baselines_against_simulation(rng, channels):
    levels = np.stack([LEVELS, 2 * LEVELS]) if channels else LEVELS
    quantizer = Fixed(levels, stochastic=True)
    weights = rng.normal(size=(40, 2))
    grid = quantizer.fit(weights)
    keys = jax.random.split(jax.random.key(0), 100)
    codes = np.stack([np.asarray(grid.codes(weights, key=key)) for key in keys])
    released = np.stack([levels[c, codes[..., c]] for c in range(2)], -1) if channels else levels[codes]
    errors = ((released - weights) ** 2).sum(axis=(1, 2)) / (weights**2).sum()
    assert theory.weight_error(weights, quantizer) == pytest.approx(errors.mean(), abs=5 * errors.std() / 10)
    entropy = stats.entropy(np.bincount(codes.ravel()), base=2)
    assert theory.code_entropy(weights, quantizer) == pytest.approx(entropy, abs=0.01)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: theory.retained_information([], 1.0, Sign()), "weights not empty"),
        (
            lambda: theory.retained_information(np.ones(3), np.ones(2), Sign()),
            "spread one number or shaped like",
        ),
        (lambda: theory.retained_information(np.ones(3), -1.0, Sign()), "spread >= 0, got spread=-1.0"),
        (lambda: theory.retained_information(np.array([1.0, np.nan]), 1.0, Sign()), "weights finite"),
        (lambda: theory.retained_information(np.ones(3), np.inf, Sign()), "spread finite"),
        (lambda: theory.retained_information(np.ones(3), 1.0, Sign(), level=2.0), "level a finite number"),
        (lambda: theory.predicted_advantage(1.5, 0.5), r"retained in \[0, 1\], got retained=1.5"),
        (lambda: theory.predicted_advantage(0.5, 1.5), "full_advantage at most 1"),
        (lambda: theory.predicted_advantage(float("nan"), 0.5), "retained a finite number"),
        (lambda: theory.predicted_advantage("a", 0.5), "retained a finite number, got retained='a'"),
        (
            lambda: theory.predicted_advantage(0.5, None),
            "full_advantage a finite number, got full_advantage=None",
        ),
        (lambda: theory.weight_error(np.zeros(3), Sign()), "not all zero"),
        (lambda: theory.weight_error(np.array([1e300, 1.0]), Sign()), "squares sum to a finite number"),
        (lambda: theory.weight_error(np.ones(3), "sign"), "weight_error: expected quantizer a quantizer"),
        (lambda: theory.code_entropy(np.ones(3), None), "code_entropy: expected quantizer a quantizer"),
        (
            lambda: theory.retained_information(np.ones(3), 1.0, Sign),
            "information: expected quantizer a quantizer",
        ),
    ],
)
def test_refuses(call, message):
    with pytest.raises(InvalidInput, match=message):
        call()
