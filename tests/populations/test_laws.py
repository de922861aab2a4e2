"""The synthetic laws against their own formulas, in large samples."""

import jax
import numpy as np
import pytest
from scipy import integrate, stats
from sklearn.linear_model import LogisticRegression
from sklearn.neural_network import MLPClassifier

from mis.numerics.checks import InvalidInput
from mis.populations import FiniteSupport, LinearTeacher, LogisticTeacher, Modes

N = 40_000


def draw(law):
    examples = law.sample(jax.random.key(11), N)
    return np.asarray(examples.features, dtype=np.float64), np.asarray(examples.targets)


def within(errors, standard_error, count=5):
    assert np.abs(errors).max() <= count * standard_error


@pytest.mark.parametrize("law", [Modes(), Modes(num_modes=3, dim=3, separation=1.5, law_seed=7)])
def test_modes_centres_are_equally_far_apart(law):
    gaps = np.linalg.norm(law.centres[:, None] - law.centres, axis=-1)[~np.eye(law.num_modes, dtype=bool)]
    assert gaps == pytest.approx(law.separation, rel=1e-12, abs=0)


def test_modes_law_seed_turns_the_frame():
    assert np.array_equal(Modes().centres, Modes().centres)
    assert not np.allclose(Modes().centres, Modes(law_seed=1).centres)


def test_a_seed_gives_other_numbers_to_the_data_than_to_everything_else():
    split = Modes(num_heldout=8).split(seed=3, pool=8)
    assert not np.array_equal(split.pool.features, Modes().sample(jax.random.key(3), 16).features[:8])


def test_modes_moments():
    law = Modes(num_modes=3, dim=4, separation=1.5)
    features, modes = draw(law)
    within(np.bincount(modes) / N - 1 / 3, np.sqrt(2 / 9 / N))
    noise = features - law.centres[modes]
    for mode in range(3):
        within(noise[modes == mode].mean(axis=0), np.sqrt(3 / N))
    within(np.cov(noise.T) - np.eye(4), np.sqrt(2 / N))


@pytest.mark.parametrize(("num_modes", "separation"), [(2, 2.0), (8, 4.0), (8, 0.5), (20, 3.0)])
def test_modes_best_accuracy(num_modes, separation):
    law = Modes(num_modes=num_modes, dim=24, separation=separation)
    shift = separation / np.sqrt(2)
    exact = integrate.quad(
        lambda z: stats.norm.cdf(z) ** (num_modes - 1) * stats.norm.pdf(z - shift), -12, 18
    )[0]
    assert law.best_accuracy == pytest.approx(exact, rel=1e-9, abs=0)
    features, modes = draw(law)
    right = (features @ law.centres.T).argmax(axis=1) == modes
    within(right.mean() - exact, np.sqrt(exact * (1 - exact) / N))


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize(
    ("separation", "accuracy"),
    [
        pytest.param(3.0, 0.46, marks=pytest.mark.slow),
        (4.0, 0.68),
        pytest.param(5.0, 0.83, marks=pytest.mark.slow),
    ],
)
def test_modes_are_interpolated_before_they_are_learnt(separation, accuracy):
    split = Modes(separation=separation).split(seed=0, pool=256)
    network = MLPClassifier(
        32, learning_rate_init=3e-3, batch_size=64, max_iter=150, alpha=0.0, random_state=0
    )
    network.fit(split.pool.features, split.pool.targets)
    assert network.score(split.pool.features, split.pool.targets) == 1.0
    # Pools and initial weights differ by a few points.
    assert network.score(split.heldout.features, split.heldout.targets) == pytest.approx(accuracy, abs=0.06)


def test_linear_teacher_is_recovered_by_least_squares():
    law = LinearTeacher(dim=5, r_squared=0.6)
    features, targets = draw(law)
    within(targets.mean(), 1 / np.sqrt(N))
    within(targets.var() - 1, np.sqrt(2 / N))
    estimate, residual, *_ = np.linalg.lstsq(features, targets)
    within(estimate - law.coefficients, np.sqrt(0.4 / N))
    within(residual[0] / N - 0.4, 0.4 * np.sqrt(2 / N))


def test_logistic_teacher_is_recovered_by_maximum_likelihood():
    law = LogisticTeacher(dim=3, strength=1.5)
    features, targets = draw(law)
    fit = LogisticRegression(C=np.inf, tol=1e-8).fit(features, targets)
    chance = 1 / (1 + np.exp(-features @ law.coefficients))
    information = (features * (chance * (1 - chance))[:, None]).T @ features
    errors = np.sqrt(np.diag(np.linalg.inv(information)))
    within((fit.coef_[0] - law.coefficients) / errors, 1)
    within(fit.intercept_, 1 / np.sqrt((chance * (1 - chance)).sum()))
    within(targets.mean() - 0.5, 0.5 / np.sqrt(N))


def test_finite_support_frequencies():
    law = FiniteSupport(
        atoms=[[-0.9, 1], [0.15, 2], [0.6, 3]], targets=[0.5, 1.5, 2.5], probs=[0.2, 0.5, 0.3]
    )
    features, targets = draw(law)
    assert law.num_classes is None
    for atom, target, prob in zip(law.atoms, law.targets, law.probs, strict=True):
        hit = (features == np.float32(atom)).all(axis=1)
        assert (targets[hit] == target).all()
        within(hit.mean() - prob, np.sqrt(prob * (1 - prob) / N))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"probs": [0.5, 0.6]}, r"expected probs positive with sum 1, got probs=\(0\.5, 0\.6\)"),
        ({"probs": [1.0, 0.0]}, "expected probs positive with sum 1"),
        ({"probs": [1.0]}, "got 2 atoms, 2 targets, 1 probs"),
        (
            {"atoms": [[1.0], [np.nan]]},
            r"expected atoms finite, got 1 NaN or infinite values, the first atoms\[1, 0\]",
        ),
        ({"atoms": [1.0, 2.0]}, "expected atoms with 2 axes"),
        ({"targets": [0, 2]}, r"expected targets all the classes 0\.\.C-1, or floats, got targets=\(0, 2\)"),
        ({"targets": ["a", "b"]}, "expected targets numeric"),
    ],
)
def test_finite_support_refuses(change, message):
    with pytest.raises(InvalidInput, match=message):
        FiniteSupport(**{"atoms": [[1.0], [2.0]], "targets": [0, 1], "probs": [0.5, 0.5]} | change)
