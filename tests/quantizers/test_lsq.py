"""Learned steps: the gradients and a step of training by hand."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mis.models import MLP
from mis.quantizers import LSQ, Full, parse
from mis.ranking.releases import parse as release
from mis.training import Compression, Learner, train_chunk
from mis.training.ensemble import batches_of, initial_points


def by_hand(weights, step, bits):
    """Equation 1 and 2 of the paper: the released weights; and equation 3, their slope in the step."""
    low, high = -(2 ** (bits - 1)), 2 ** (bits - 1) - 1
    v = weights / step
    released = step * np.round(np.clip(v, low, high))
    slope = np.where(v <= low, low, np.where(v >= high, high, np.round(v) - v))
    return released, slope, (low < v) & (v < high)


def test_numbers_on_paper():
    # Two bits: codes -2 to 1, of steps of 1: -2.6 and 1.4 are cut, 0.4 is 0.6 ahead of its weight of 1.
    weights, step = jnp.array([-2.6, -0.3, 0.6, 1.4]), jnp.array(1.0)
    learned, begin = LSQ(bits=2).learned, LSQ(bits=3).begin

    @jax.jit
    def found(weights, step):
        starts = begin(jnp.array([0.5, -1.5])), begin(jnp.zeros(2))
        return learned(weights, step), *jax.jacrev(learned, argnums=(0, 1))(weights, step), starts

    released, of_weights, of_step, starts = found(weights, step)
    assert released.tolist() == [-2, 0, 1, 1]
    assert np.array_equal(of_weights, np.diag([0, 1, 1, 0]))
    np.testing.assert_allclose(of_step, np.array([-2, 0.3, 0.4, 1]) / np.sqrt(4 * 1), rtol=1e-6)
    assert starts == (pytest.approx(2 / np.sqrt(3), rel=1e-6), 1)


def test_one_step_of_training_by_the_chain_rule():
    rng = np.random.default_rng(1)
    x, y = rng.normal(size=(20, 4)).astype(np.float32), rng.integers(0, 2, size=20)
    model = MLP(input_shape=(4,), num_classes=2, depth=0)
    of = Compression(quantizer=parse("lsq-3"), vectors="exact")
    learner = Learner(optimiser="sgd", learning_rate=0.3, num_steps=1, batch_size=5, forward=of)
    found = train_chunk(model, learner, x, y, seed=0, indices=np.array([0]))
    (start,) = (np.asarray(p[0], np.float64) for p in initial_points(0, np.array([0]), model, learner))
    (rows,) = batches_of(0, 0, np.flatnonzero(found.membership[0]), learner)
    step = 2 * np.abs(start[:-1]).mean() / np.sqrt(3)
    used, of_step, inside = by_hand(start[:-1], step, 3)
    outputs = x[rows] @ used + start[-1]
    shares = np.exp(outputs) / np.exp(outputs).sum(axis=1, keepdims=True) - np.eye(2)[y[rows]]
    slope = x[rows].T @ shares / 5
    weights = start[:-1] - 0.3 * slope * inside
    moved = step - 0.3 * (slope * of_step).sum() / np.sqrt(8 * 3)
    wanted = np.vstack([by_hand(weights, moved, 3)[0], start[-1] - 0.3 * shares.mean(axis=0)])
    # What is kept is what is released, on the learned step.
    np.testing.assert_allclose(found.params[0][0], wanted, rtol=2e-5, atol=1e-6)
    assert abs(moved / step - 1) > 1e-3


def test_what_is_published_is_what_was_trained():
    learned = release("exact-vectors:qat:lsq-4")
    assert learned.published == Compression(quantizer=Full())
    model = MLP(input_shape=(4,), num_classes=2, depth=0)
    # Codes, the step, biases as they are.
    assert learned.bits(model) == (4 * 8 + 32 + 32 * 2) / 10
    assert release("lsq-4").published == Compression(quantizer=LSQ(bits=4))
