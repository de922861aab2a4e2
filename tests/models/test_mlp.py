import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.special import logsumexp
from sklearn.metrics import log_loss

from mis.models import MLP
from mis.numerics.checks import InvalidInput


def example(rng, model, num=7):
    params = [rng.normal(size=shape).astype(np.float32) for shape in model.shapes]
    x = rng.normal(size=(num, model.num_inputs)).astype(np.float32)
    y = rng.normal(size=num) if model.num_classes is None else rng.integers(model.num_classes, size=num)
    return params, x, y.astype(np.float32 if model.num_classes is None else np.int32)


def outputs_by_neuron(params, x):
    """One example and one neuron at a time, float64."""
    values = []
    for row in np.asarray(x, np.float64):
        for depth, layer in enumerate(np.asarray(p, np.float64) for p in params):
            sums = [sum(w * v for w, v in zip(column, [*row, 1.0], strict=True)) for column in layer.T]
            row = sums if depth == len(params) - 1 else [max(s, 0.0) for s in sums]
        values.append(row)
    return np.array(values)


CASES = [
    MLP(input_shape=(3,), width=5),
    MLP(input_shape=(3,), width=4, depth=2, num_classes=3),
    MLP(input_shape=(4,), depth=0),
    MLP(input_shape=(4,), depth=0, num_classes=2),
]


@pytest.mark.parametrize("model", CASES, ids=str)
def test_outputs_neuron_by_neuron(rng, model):
    params, x, _ = example(rng, model)
    np.testing.assert_allclose(model.predict(params, x), outputs_by_neuron(params, x), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("model", [c for c in CASES if c.num_classes], ids=str)
def test_cross_entropy_is_scikit_learns(rng, model):
    params, x, y = example(rng, model)
    logits = outputs_by_neuron(params, x)
    probs = np.exp(logits - logsumexp(logits, axis=1, keepdims=True))
    each = [
        log_loss([label], [p], labels=np.arange(model.num_classes)) for label, p in zip(y, probs, strict=True)
    ]
    np.testing.assert_allclose(model.losses(params, x, y), each, rtol=1e-4, atol=1e-6)


def test_cross_entropy_of_sure_logits_neither_overflows_nor_vanishes():
    model = MLP(input_shape=(1,), depth=0, num_classes=2)
    params = [jnp.array([[0.0, 0.0], [200.0, 0.0]])]
    losses = model.losses(params, jnp.zeros((2, 1)), jnp.array([0, 1]))
    np.testing.assert_array_equal(losses, [0.0, 200.0])


def test_regression_loss_is_half_the_squared_error(rng):
    params, x, y = example(rng, CASES[0])
    residual = outputs_by_neuron(params, x)[:, 0] - y
    np.testing.assert_allclose(CASES[0].losses(params, x, y), residual**2 / 2, rtol=1e-4)


def test_depth_0_is_linear(rng):
    params, x, _ = example(rng, CASES[2])
    np.testing.assert_allclose(CASES[2].predict(params, x), x @ params[0][:-1] + params[0][-1], rtol=1e-5)


@pytest.mark.parametrize("model", CASES, ids=str)
def test_one_example_is_a_row_of_many(rng, model):
    params, x, y = example(rng, model)
    one_by_one = jax.vmap(model.losses, in_axes=(None, 0, 0))(params, x, y)
    np.testing.assert_allclose(one_by_one, model.losses(params, x, y), rtol=1e-5, atol=1e-6)


def test_initial_point_has_the_scales_of_he_and_lecun():
    model = MLP(input_shape=(200,), width=300, depth=2, num_classes=100)
    layers = model.init(jax.random.key(5))
    assert [layer.shape for layer in layers] == model.shapes == [(201, 300), (301, 300), (301, 100)]
    for layer, variance in zip(layers, (2 / 200, 2 / 300, 1 / 300), strict=True):
        weights = np.asarray(layer[:-1], np.float64)
        # Five standard errors of the mean and of the variance of normal draws.
        assert abs(weights.mean()) < 5 * np.sqrt(variance / weights.size)
        assert abs(weights.var() / variance - 1) < 5 * np.sqrt(2 / weights.size)
        np.testing.assert_array_equal(layer[-1], 0.0)
    assert abs(np.corrcoef(layers[1][:300, :100].ravel(), layers[2][:300].ravel())[0, 1]) < 5 / np.sqrt(30000)


@pytest.mark.parametrize(
    ("field", "value", "condition"),
    [
        ("width", 0, "in 1..16384"),
        ("width", 2**32 - 1, "in 1..16384"),
        ("depth", -1, "in 0..100"),
        ("num_classes", 1, ">= 2"),
    ],
)
def test_impossible_networks_are_refused(field, value, condition):
    with pytest.raises(
        InvalidInput, match=f"MLP: expected {field} an integer {condition}, got {field}={value}"
    ):
        MLP(**{"input_shape": (3,), field: value})
