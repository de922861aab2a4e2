import numpy as np
import pytest
from scipy.special import expit, softmax
from scipy.stats import entropy

from mis.attacks import statistics
from mis.numerics.checks import InvalidInput


@pytest.fixture
def outputs(rng):
    return rng.normal(size=(2, 50, 4)) * 3, rng.integers(0, 4, 50)


def true_class(probabilities, labels):
    return probabilities[:, np.arange(len(labels)), labels]


def test_against_probabilities(outputs):
    logits, labels = outputs
    p = softmax(logits, axis=-1)
    p_y = true_class(p, labels)
    np.testing.assert_allclose(statistics.log_likelihood(logits, labels), np.log(p_y), rtol=1e-12)
    np.testing.assert_allclose(expit(statistics.logit_confidence(logits, labels)), p_y, rtol=1e-12)
    np.testing.assert_allclose(expit(statistics.max_confidence(logits)), p.max(-1), rtol=1e-12)
    np.testing.assert_allclose(statistics.negative_entropy(logits), -entropy(p, axis=-1), rtol=1e-12)


def test_modified_entropy_by_its_sum(outputs):
    logits, labels = outputs
    p = softmax(logits, axis=-1)
    expected = np.zeros(p.shape[:-1])
    for index in np.ndindex(expected.shape):
        for c, prob in enumerate(p[index]):
            if c == labels[index[1]]:
                expected[index] += (1 - prob) * np.log(prob)
            else:
                expected[index] += prob * np.log(1 - prob)
    # The sum itself loses digits in 1 - p.
    np.testing.assert_allclose(statistics.negative_modified_entropy(logits, labels), expected, atol=1e-14)


def test_probabilities_by_their_logarithm(outputs):
    logits, labels = outputs
    log_p = np.log(softmax(logits, axis=-1))
    for statistic in (statistics.logit_confidence, statistics.negative_modified_entropy):
        np.testing.assert_allclose(statistic(log_p, labels), statistic(logits, labels), rtol=1e-10)


def test_sure_models_keep_their_order():
    """Probabilities 1 - e^-50 and 1 - e^-100 are both 1 in double precision."""
    logits = np.array([[50.0, 0.0], [100.0, 0.0], [-800.0, 800.0]])
    np.testing.assert_array_equal(statistics.logit_confidence(logits, [0, 0, 0]), [50, 100, -1600])
    np.testing.assert_array_equal(statistics.max_confidence(logits), [50, 100, 1600])
    for statistic in (statistics.log_likelihood, statistics.negative_modified_entropy):
        low, high, wrong = statistic(logits, [0, 0, 0])
        assert low < high < 0
        assert wrong <= -1600
    low, high, _ = statistics.negative_entropy(logits)
    assert low < high < 0


def test_impossible_classes():
    logits = np.array([[0.0, -np.inf, 0.0]])
    np.testing.assert_allclose(statistics.negative_entropy(logits), -np.log(2))
    np.testing.assert_allclose(statistics.negative_modified_entropy(logits, [0]), np.log(0.5))
    assert statistics.logit_confidence(logits, [1]) == -np.inf
    assert statistics.negative_modified_entropy(logits, [1]) == -np.inf
    sure = np.array([[0.0, -np.inf, -np.inf]])
    assert statistics.logit_confidence(sure, [0]) == np.inf
    assert statistics.log_likelihood(sure, [0]) == 0
    assert statistics.negative_modified_entropy(sure, [0]) == 0


def test_regression(rng):
    predictions, targets = rng.normal(size=(3, 5)), rng.normal(size=5)
    residual = statistics.signed_residual(predictions, targets)
    np.testing.assert_array_equal(residual, predictions - targets)
    np.testing.assert_array_equal(statistics.negative_squared_error(predictions, targets), -(residual**2))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: statistics.logit_confidence([0.0, 1.0], [0]), r"logits \(…, N, C\) with C >= 2"),
        (lambda: statistics.logit_confidence([[0.0, 1.0]], [2]), "labels below 2 classes, got 2"),
        (lambda: statistics.logit_confidence([[0.0, 1.0]], [0, 1]), r"labels of shape \(1,\)"),
        (lambda: statistics.max_confidence([[0.0, np.nan]]), "without NaN"),
        (lambda: statistics.max_confidence([[0.0, np.inf]]), "the largest logit of each example finite"),
        (lambda: statistics.max_confidence([[-np.inf, -np.inf]]), "the largest logit of each example finite"),
        (lambda: statistics.signed_residual([1.0, 2.0], [1.0]), "expected predictions"),
        (lambda: statistics.signed_residual([1.0], [np.inf]), "finite targets"),
    ],
)
def test_refusals(call, message):
    with pytest.raises(InvalidInput, match=message):
        call()
