"""Calibrated quantizers against hand computation, enumeration and the algorithms as they were first written down."""

import itertools
from fractions import Fraction
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mis.numerics.checks import InvalidInput, UnsupportedSetting
from mis.quantizers import BRECQ, GPTQ, AdaRound, Calibration, Realised, parse
from mis.quantizers.brecq import output_loss
from mis.quantizers.calibrated import Lattice, best_ternary
from mis.quantizers.gptq import round_in_order


def of_one_layer(inputs):
    """A network of one linear layer; its inputs are known."""

    def run(replace):
        replace(0, inputs)

    return Calibration(outputs=lambda tensors: inputs @ tensors[0], run=run)


@partial(jax.jit, static_argnames="quantizer")
def fitted(quantizer, weights, inputs):
    """What a layer is released as, and the grid of each weight."""
    (channel,) = quantizer.fit_network([weights], of_one_layer(inputs))
    return channel, quantizer.lattice(weights)


rounded = jax.jit(round_in_order, static_argnames="stored")


def nearest(lattice, weights):
    """The values next to the weights, by NumPy."""
    step, zero = np.asarray(lattice.step), np.asarray(lattice.zero)
    return step * (np.clip(np.round(weights / step) + zero, 0, int(lattice.last)) - zero)


def integers(shape, last=3):
    return Lattice(np.ones(shape), np.zeros(shape), last)


def loss(error, inputs):
    """The calibration loss of each channel, in float64."""
    return np.square(np.asarray(inputs, float) @ np.asarray(error, float)).mean(axis=0)


@pytest.fixture(scope="module")
def layer():
    """A layer of 6 inputs, correlated and not all of one size, and 24 channels."""
    rng = np.random.default_rng(1)
    inputs = np.maximum(rng.normal(size=(40, 6)) @ rng.normal(size=(6, 6)) + 0.5, 0)
    return rng.normal(size=(6, 24)).astype(np.float32), inputs.astype(np.float32)


def test_gptq_by_hand():
    # x x' is [[1, 0.8], [0.8, 1]] on average. The first weight goes from 0.6 to 1; of the second least squares makes
    # 0.6 + 0.8 (0.6 - 1) = 0.28, which goes to 0.
    root = np.sqrt(2) * np.linalg.cholesky([[1.0, 0.8], [0.8, 1.0]]).T
    weights = np.full((2, 1), 0.6)
    codes = np.asarray(rounded(weights, integers((2, 1)), root, damp=1e-7, stored=True))
    assert codes.ravel().tolist() == [1, 0]
    every = {q: Fraction(0) for q in itertools.product(range(4), repeat=2)}
    for q in every:
        a, b = (Fraction(3, 5) - k for k in q)
        every[q] = a * a + b * b + Fraction(8, 5) * a * b
    assert every[1, 1] == Fraction(576, 1000)
    assert every[1, 0] == min(every.values()) == Fraction(136, 1000)


def brain_surgeon(weights, moments, order):
    """Optimal brain compression as it is told: after each weight the rest is updated by the inverse, then shrinks."""
    weights, left = np.array(weights, float), list(order)
    codes = np.zeros_like(weights)
    while left:
        inverse = np.linalg.inv(moments[np.ix_(left, left)])
        first = left[0]
        codes[first] = np.clip(np.round(weights[first]), -4, 3)
        error = (weights[first] - codes[first]) / inverse[0, 0]
        weights[left] -= inverse[:, :1] * error
        left.pop(0)
    return codes


@pytest.mark.parametrize("stored", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_gptq_is_optimal_brain_compression(layer, stored):
    weights, inputs = layer
    moments = inputs.T.astype(float) @ inputs / len(inputs)
    damped = moments + 0.05 * np.trace(moments) / 6 * np.eye(6)
    order = np.arange(6) if stored else np.argsort(-np.diag(moments))
    lattice = Lattice(np.ones((6, 24)), np.full((6, 24), 4.0), 7)
    found = np.asarray(rounded(2 * weights, lattice, inputs, damp=0.05, stored=stored))
    np.testing.assert_array_equal(found - 4, brain_surgeon(2 * weights, damped, order))


def test_gptq_lies_between_the_best_grid_point_and_the_bound_of_nearest_planes(rng):
    inputs = rng.normal(size=(9, 3)) @ rng.normal(size=(3, 3))
    weights = rng.uniform(1.5, 5.5, size=(3, 16))
    codes = np.asarray(rounded(weights, integers((3, 16), 7), inputs, damp=1e-6, stored=True))
    every = np.array(list(itertools.product(range(8), repeat=3)))
    best = np.array([loss(w[:, None] - every.T, inputs).min() for w in weights.T])
    found = loss(weights - codes, inputs)
    assert (found >= best * (1 - 1e-6)).all()
    # Half a step for each plane, Babai (1986), as long as no code is clipped.
    assert ((codes > 0) & (codes < 7)).all()
    factor = np.linalg.cholesky((inputs.T @ inputs / 9)[::-1, ::-1])
    assert (found <= np.square(np.diag(factor)).sum() / 4 * (1 + 1e-4)).all()
    assert found.sum() < loss(weights - np.round(weights), inputs).sum()
    # Of inputs that do not go together each weight is by itself, and rounding to nearest is best.
    apart = np.tile(np.diag([1.0, 3.0, 2.0]), (3, 1))
    codes = rounded(weights, integers((3, 16), 7), apart, damp=0.3, stored=True)
    np.testing.assert_array_equal(codes, np.round(weights))


@pytest.mark.parametrize(
    "name", ["gptq-2", "adaround-2", pytest.param("gptq-1.58-channel", marks=pytest.mark.slow)]
)
def test_no_channel_does_worse_than_rounding_to_nearest(layer, name):
    weights, inputs = layer
    quantizer = parse(name)
    channel, lattice = fitted(quantizer, weights, inputs)
    plain = loss(weights - nearest(lattice, weights), inputs)
    found = loss(weights - channel.released, inputs)
    assert (found <= plain * (1 + 1e-5)).all()
    # Not what rounding to nearest makes of it, and much better.
    assert found.sum() < 0.8 * plain.sum()
    codes = np.asarray(channel.codes)
    np.testing.assert_allclose(np.asarray(lattice.step) * (codes - lattice.zero), channel.released, rtol=1e-6)
    assert codes.min() >= 0
    assert codes.max() < quantizer.num_levels
    # Farther from the weights than rounding to nearest: the realised error says so.
    error = channel.squared_error(weights).sum()
    assert error > np.square(weights - nearest(lattice, weights)).sum()


def best_of_up_and_down(weights, lattice, cost):
    """The least cost of each channel over all ways to round its weights up or down."""
    below, step, zero = np.floor(weights / lattice.step), np.asarray(lattice.step), np.asarray(lattice.zero)
    ways = itertools.product((0, 1), repeat=len(weights))
    codes = (np.clip(below + np.array(up)[:, None] + zero, 0, lattice.last) for up in ways)
    return np.min([cost(step * (code - zero)) for code in codes], axis=0)


def test_adaround_finds_nearly_the_best_of_all_ways_to_round(layer):
    weights, inputs = layer
    channel, lattice = fitted(AdaRound(bits=2), weights, inputs)
    best = best_of_up_and_down(weights, lattice, lambda released: loss(weights - released, inputs))
    found = loss(weights - channel.released, inputs)
    assert (found >= best * (1 - 1e-5)).all()
    assert found.sum() < 1.25 * best.sum()
    # Up or down, nothing else.
    assert (np.abs(np.asarray(channel.released) - weights) < np.asarray(lattice.step) * (1 + 1e-6)).all()


def test_brecq_finds_nearly_the_best_of_all_ways_to_round(layer):
    weights, inputs = layer[0][:, :2], layer[1]
    channel, lattice = fitted(BRECQ(bits=2), weights, inputs)
    target = inputs @ weights

    # Two classes have one logit between them: their errors count by the difference.
    def divergence(released):
        return float(output_loss(target, inputs @ np.asarray(released)))

    step, zero, below = (
        np.asarray(a) for a in (lattice.step, lattice.zero, np.floor(weights / lattice.step))
    )
    ways = np.array(list(itertools.product((0, 1), repeat=12))).reshape(-1, 6, 2)
    errors = inputs @ (step * np.clip(below + ways + zero, 0, 3) - step * zero - weights)
    p = np.exp(target) / np.exp(target).sum(axis=1, keepdims=True)
    costs = (p.prod(axis=1) * (errors[..., 0] - errors[..., 1]) ** 2).mean(axis=1)
    found = divergence(channel.released)
    assert found >= costs.min() * (1 - 1e-4)
    assert found < 1.5 * costs.min()
    assert found < 0.7 * divergence(nearest(lattice, weights))


def test_output_loss_is_twice_the_divergence_to_second_order(rng):
    target, error = rng.normal(size=(7, 4)), rng.normal(size=(7, 4))
    for size, tolerance in ((1e-1, 0.2), (1e-2, 0.02)):
        p, q = (np.exp(z) / np.exp(z).sum(axis=1, keepdims=True) for z in (target, target + size * error))
        divergence = (p * np.log(p / q)).sum(axis=1).mean()
        found = float(output_loss(target, target + size * error + 3.0)) / size**2
        assert found == pytest.approx(2 * divergence / size**2, rel=tolerance)
    assert float(output_loss(np.zeros((2, 1)), np.array([[1.0], [3.0]]))) == 5.0


def test_the_ternary_scale_is_best(rng):
    blocks = rng.standard_t(3, size=(2, 30, 3)).astype(np.float32)

    def error(scale):
        return np.square(blocks - scale * np.clip(np.round(blocks / scale), -1, 1)).sum(axis=1)

    found = error(np.asarray(best_ternary(jnp.asarray(blocks)))[:, None])
    others = np.min([error(s) for s in np.linspace(0.01, np.abs(blocks).max(), 3000)], axis=0)
    assert (found <= others * (1 + 1e-6)).all()


def test_grids_of_tensors_channels_and_groups():
    weights = jnp.arange(10.0).reshape(5, 2) - 3.0
    steps = {
        "gptq-2": np.full((5, 2), (6 + 3) / 3),
        "gptq-2-channel": np.tile([(5 + 3) / 3, (6 + 2) / 3], (5, 1)),
        # Two rows each; the row left over goes to the last group, or it would be released exactly.
        "gptq-2-group-2": np.repeat([[1.0, 2 / 3], [5 / 3, 2.0]], [2, 3], axis=0),
        "gptq-2-group-9": np.tile([8 / 3, 8 / 3], (5, 1)),
    }
    for name, expected in steps.items():
        lattice = jax.jit(parse(name).lattice)(weights)
        np.testing.assert_allclose(lattice.step, expected, rtol=1e-6)
        # Zero is a level everywhere.
        np.testing.assert_array_equal(nearest(lattice, np.zeros((5, 2))), 0)
    # A channel of one weight would be released exactly.
    assert np.ptp(np.asarray(jax.jit(parse("gptq-2-channel").lattice)(weights[:1]).step)) == 0
    zero = jax.jit(parse("gptq-2").lattice)(0 * weights)
    np.testing.assert_array_equal(nearest(zero, np.zeros((5, 2))), 0)


def test_inputs_that_tell_nothing_leave_rounding_to_nearest(layer):
    weights, inputs = layer
    for quantizer in (GPTQ(bits=2), AdaRound(bits=2)):
        for nothing in (0 * inputs, None):
            channel, lattice = fitted(quantizer, weights, nothing)
            np.testing.assert_array_equal(channel.released, nearest(lattice, weights))
    # Inputs that never vary have moments of rank one.
    channel, lattice = fitted(GPTQ(bits=2), weights, 0 * inputs + 1)
    assert np.abs((weights - channel.released).sum(axis=0)).max() < float(lattice.step[0, 0])


def test_what_is_not_finite_shows_or_is_refused(layer):
    weights, inputs = layer
    broken = np.where(weights == weights[0, 0], np.nan, weights)
    with pytest.raises(InvalidInput, match="GPTQ: expected weights finite"):
        GPTQ(bits=2).fit_network([broken], of_one_layer(inputs))
    channel, _ = fitted(GPTQ(bits=2), broken, inputs)
    assert np.isnan(channel.released).all()
    assert (np.asarray(channel.codes) == -1).all()


def test_what_was_released_says_nothing_of_one_weight():
    channel = Realised(released=np.array([[0.0], [1.0]]), codes=np.array([[0], [1]]))
    assert channel.entropy(None) == 1.0
    np.testing.assert_array_equal(channel.squared_error(np.array([[0.5], [1.0]])), [[0.25], [0.0]])
    with pytest.raises(InvalidInput, match=r"those of shape \(2, 1\), got weights=\(3, 1\)"):
        channel.apply(np.zeros((3, 1)))
    for ask in (
        lambda: channel.observation(channel.released),
        lambda: channel.information(channel.released, channel.released),
    ):
        with pytest.raises(UnsupportedSetting, match="depends on the others"):
            ask()
    with pytest.raises(UnsupportedSetting, match="only cells"):
        channel.pruned(0.5)
    with pytest.raises(UnsupportedSetting, match="gptq-2: it rounds the tensors of a network together"):
        parse("gptq-2").fit(np.ones(3))


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("gptq-5", r"of the form gptq-8\|4\|3\|2\|1.58\[-channel\]\[-group-GROUP\]\[-examples-EXAMPLES\]"),
        ("gptq", "of the form gptq-8"),
        ("gptq-x", "of the form gptq-8"),
        ("brecq-2-damp-1", "of the form brecq-8"),
        ("gptq-2-group-1", r"expected group an integer in 2..65536, got group=1"),
        ("gptq-2-examples-0", "expected examples an integer in 1..65536"),
        ("adaround-2-steps-0", "expected steps an integer in 1..1000000"),
        ("gptq-2-damp-0", "expected damp > 0"),
        ("gptq-2-channel-group-4", "groups lie within channels; leave channel or group"),
        ("prune-50+gptq-2", "makes up for errors with every weight, pruned ones too"),
        ("noise-like-gptq-2", "random or calibrated"),
    ],
)
def test_names_that_are_refused(name, message):
    with pytest.raises((InvalidInput, UnsupportedSetting), match=message):
        parse(name)


@pytest.mark.parametrize("bits", [5, 1, True, "2", 1.6])
def test_bits_are_one_of_a_few(bits):
    with pytest.raises(InvalidInput, match=r"GPTQ: expected bits one of 8, 4, 3, 2, 1\.58, got bits="):
        GPTQ(bits=bits)
