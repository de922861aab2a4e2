import numpy as np
import pytest

from mis.ranking.performance import performance, train_performance


def test_train_performance_counts_members_only(rng):
    targets, members = rng.normal(size=20).astype(np.float32), rng.random((32, 20)) < 0.5
    outputs = np.where(members, targets, 99.0)[..., None].astype(np.float32)
    assert train_performance(outputs, targets, members) == 1.0
    classes = rng.integers(3, size=20)
    right = np.where(members, classes, (classes + 1) % 3)
    assert train_performance(np.eye(3)[right], classes, members) == 1.0


def crossed(rng, models, examples):
    """Residuals with an effect of each model, each example and each pair, on targets with mean and spread."""
    targets = 0.3 + rng.standard_t(6, size=examples)
    effects = 0.3 * rng.normal(size=(models, 1)) + 0.5 * rng.normal(size=examples)
    return (targets + effects + 0.3 * rng.normal(size=(models, examples)))[..., None], targets


def test_r2_interval_is_that_of_a_plain_bootstrap(rng):
    outputs, targets = crossed(rng, 60, 600)
    found = performance(outputs, targets).interval(0.9)
    resampled = []
    for _ in range(2000):
        m, i = rng.integers(60, size=60), rng.integers(600, size=600)
        errors = (outputs[m][:, i, 0] - targets[i]) ** 2
        resampled.append(1 - errors.mean() / targets[i].var())
    lower, upper = np.quantile(resampled, [0.05, 0.95])
    assert found.width == pytest.approx(upper - lower, rel=0.15, abs=0)
    np.testing.assert_allclose([found.lower, found.upper], [lower, upper], atol=0.15 * found.width)


@pytest.mark.parametrize("regression", [True, False])
def test_performance_intervals_cover(regression):
    """The truth is that of endless models and examples: most of the error is that of too few examples."""
    intervals = []
    for seed in range(400):
        outputs, targets = crossed(np.random.default_rng(seed), 30, 100)
        if not regression:
            targets = targets > 0.3
            right = np.abs(outputs[..., 0] - targets) < 1.0
            outputs, targets = np.eye(2)[np.where(right, targets, ~targets).astype(int)], targets.astype(int)
        intervals.append(performance(outputs, targets).interval(0.9))
    truth = np.mean([i.value for i in intervals])
    share = np.mean([i.lower <= truth <= i.upper for i in intervals])
    assert abs(share - 0.9) < 5 * np.sqrt(0.9 * 0.1 / 400)
