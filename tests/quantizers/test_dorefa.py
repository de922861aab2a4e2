"""DoReFa's weights and the gradient of training through them, by hand."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mis.models import MLP
from mis.numerics.checks import InvalidInput
from mis.quantizers import Dorefa, parse
from mis.training import Compression, Learner, train_chunk
from mis.training.ensemble import batches_of, initial_points


def by_hand(weights, bits):
    """Equations 7 to 9 of the paper, as they stand."""
    if bits == 1:
        return np.mean(np.abs(weights)) * np.where(weights >= 0, 1.0, -1.0)
    r = np.tanh(weights) / (2 * np.max(np.abs(np.tanh(weights)))) + 0.5
    steps = 2**bits - 1
    return 2 * np.round(steps * r) / steps - 1


@pytest.mark.parametrize("bits", [1, 2, 3, 4, 8, 16])
def test_release_is_the_papers(bits, rng):
    weights = rng.standard_t(3, size=(40, 30))
    released = Dorefa(bits=bits)(weights)
    np.testing.assert_allclose(released, by_hand(weights, bits), atol=1e-12)
    assert len(np.unique(released)) <= 2**bits
    if bits > 1:
        assert np.abs(released).max() == 1.0
    cells = Dorefa(bits=bits).fit(weights).observation(released)
    assert np.all((cells.lower <= weights) & (weights <= cells.upper))


def test_numbers_on_paper():
    # tanh: -.7616, 0.0997, .4621; over twice the largest, plus a half: 0, .5654, .8034; in thirds: 0, 2/3, 2/3.
    np.testing.assert_allclose(Dorefa(bits=2)(np.array([-1.0, 0.1, 0.5])), [-1, 1 / 3, 1 / 3])
    np.testing.assert_allclose(Dorefa(bits=1)(np.array([-1.0, 0.1, 0.4])), [-0.5, 0.5, 0.5])


def test_training_goes_through_the_tangent_and_the_scaling():
    """One step by the chain rule: the loss at the rounded weights, times the slope of what was rounded."""
    rng = np.random.default_rng(1)
    x, y = rng.normal(size=(20, 4)).astype(np.float32), rng.integers(0, 2, size=20)
    model = MLP(input_shape=(4,), num_classes=2, depth=0)
    of = Compression(quantizer=parse("dorefa-3"), vectors="exact")
    learner = Learner(optimiser="sgd", learning_rate=0.1, num_steps=1, batch_size=5, forward=of)
    found = train_chunk(model, learner, x, y, seed=0, indices=np.array([0]))
    (start,) = (
        np.asarray(layer[0], np.float64) for layer in initial_points(0, np.array([0]), model, learner)
    )
    (rows,) = batches_of(0, 0, np.flatnonzero(found.membership[0]), learner)
    used = np.vstack([by_hand(start[:-1], 3), start[-1:]])
    outputs = x[rows] @ used[:-1] + used[-1]
    shares = np.exp(outputs) / np.exp(outputs).sum(axis=1, keepdims=True) - np.eye(2)[y[rows]]
    inputs = np.hstack([x[rows], np.ones((5, 1))])
    slope = inputs.T @ shares / 5
    tangent = np.tanh(start[:-1])
    k = np.unravel_index(np.abs(tangent).argmax(), tangent.shape)
    largest = abs(tangent[k])
    # d (t_i / |t_k|) / d w_j: of its own tangent, and of the largest by which all are divided.
    weight = slope[:-1] * (1 - tangent**2) / largest
    weight[k] -= (slope[:-1] * tangent).sum() * np.sign(tangent[k]) * (1 - tangent[k] ** 2) / largest**2
    wanted = start - 0.1 * np.vstack([weight, slope[-1:]])
    np.testing.assert_allclose(found.params[0][0], wanted, rtol=2e-5, atol=1e-6)


def test_what_is_rounded_is_where_its_cell_is(rng):
    weights = rng.normal(size=50)
    spec = Dorefa(bits=4)
    smooth = np.asarray(spec.differentiable(jnp.asarray(weights)))
    assert np.abs(smooth - spec(weights)).max() <= 1 / 15 + 1e-6
    assert jax.jit(spec.differentiable)(jnp.zeros(3)).tolist() == [0.0, 0.0, 0.0]
    np.testing.assert_array_equal(Dorefa(bits=1).differentiable(weights), weights)
    with pytest.raises(InvalidInput, match=r"Dorefa: expected bits an integer in 1\.\.16, got bits=17"):
        Dorefa(bits=17)
