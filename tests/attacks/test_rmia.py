import numpy as np
import pytest
from scipy.stats import kstest

from mis.attacks import RMIA
from mis.numerics.checks import InvalidInput, UnsupportedSetting


def example(rng, models=10, examples=6, population=40, targets=2):
    membership = rng.random((models, examples)) < 0.5
    membership[:2] = [[True], [False]]
    population_membership = rng.random((models, population)) < 0.5
    population_membership[:2] = [[True], [False]]
    return {
        "target_probabilities": rng.random((targets, examples)),
        "shadow_probabilities": rng.random((models, examples)),
        "shadow_membership": membership,
        "population_target": rng.random((targets, population)),
        "population_shadow": rng.random((models, population)),
        "population_membership": population_membership,
    }


def naive(arrays, expected, gamma):
    """Every pair, as the definition says."""
    x = arrays["target_probabilities"] / expected(arrays["shadow_probabilities"], arrays["shadow_membership"])
    z = arrays["population_target"] / expected(arrays["population_shadow"], arrays["population_membership"])
    return np.mean(x[:, :, None] > gamma * z[:, None], axis=-1)


def online(probabilities, membership):
    pairs = zip(probabilities.T, membership.T, strict=True)
    return np.array([(p[m].mean() + p[~m].mean()) / 2 for p, m in pairs])


def offline(a):
    def expected(probabilities, membership):
        out = np.array([p[~m].mean() for p, m in zip(probabilities.T, membership.T, strict=True)])
        return ((1 + a) * out + 1 - a) / 2

    return expected


@pytest.mark.parametrize("gamma", [1.0, 1.5])
def test_every_pair(rng, gamma):
    arrays = example(rng)
    np.testing.assert_allclose(RMIA(gamma=gamma).scores(**arrays), naive(arrays, online, gamma), atol=1e-12)
    found = RMIA(online=False, gamma=gamma, offline_a=0.4).scores(**arrays)
    np.testing.assert_allclose(found, naive(arrays, offline(0.4), gamma), atol=1e-12)


def world(rng, models, examples, population):
    """Non-members and population from one law: probabilities that spread over models, more when trained on."""
    total = examples + population
    membership = rng.random((models, total)) < 0.5
    membership[:2] = [[True], [False]]
    level = rng.normal(size=total)
    shadow = 1 / (1 + np.exp(-(level + membership + 1.5 * rng.normal(size=(models, total)))))
    target = 1 / (1 + np.exp(-(level + 1.5 * rng.normal(size=total))))
    return {
        "target_probabilities": target[:examples],
        "shadow_probabilities": shadow[:, :examples],
        "shadow_membership": membership[:, :examples],
        "population_target": target[examples:],
        "population_shadow": shadow[:, examples:],
        "population_membership": membership[:, examples:],
    }


def upper_half(shadow, membership):
    """The defect: the mean of the largest half of the population's out probabilities instead of all of them."""
    kept = np.where(membership, -1.0, shadow)
    order = np.sort(kept, axis=0)[::-1]
    half = np.maximum((~membership).sum(axis=0) // 2, 1)
    return np.where(np.arange(len(shadow))[:, None] < half, order, 0).sum(axis=0) / half


@pytest.mark.parametrize("attack", [RMIA(), RMIA(online=False)], ids=["online", "offline"])
def test_population_term_is_unbiased(rng, attack):
    """A non-member is one of the population: its score is uniform on (0, 1)."""
    arrays = world(rng, models=8, examples=4000, population=4000)
    scores = attack.scores(**arrays)
    # Two samples of 4000: the mean of the scores has a standard deviation of sqrt(1/12) sqrt(2/4000).
    assert abs(scores.mean() - 0.5) < 5 * np.sqrt(1 / 12 * 2 / 4000)
    assert kstest(scores, "uniform").statistic < 1.95 * np.sqrt(2 / 4000) * 1.5
    for rate in (0.1, 0.01):
        assert abs(np.mean(scores >= 1 - rate) - rate) < 5 * np.sqrt(2 * rate / 4000)
    # With the population's largest probabilities only, the same non-members seem to be members.
    biased = naive_with(arrays, offline(0.3), upper_half)
    assert biased.mean() > 0.5 + 8 * np.sqrt(1 / 12 * 2 / 4000)


def naive_with(arrays, expected, out_of_population):
    x = arrays["target_probabilities"] / expected(arrays["shadow_probabilities"], arrays["shadow_membership"])
    out = out_of_population(arrays["population_shadow"], arrays["population_membership"])
    z = np.sort(arrays["population_target"] / ((1.3 * out + 0.7) / 2))
    return np.searchsorted(z, x) / len(z)


def test_unbalanced_sides_do_not_bias(rng):
    """Each side's mean is its own: copying the in models changes nothing."""
    arrays = example(rng)
    copied = dict(arrays)
    everywhere = np.ones((1, 1), bool)
    for shadow, membership in (("shadow_probabilities", "shadow_membership"),
                               ("population_shadow", "population_membership")):  # fmt: skip
        inside = arrays[membership][:1] & everywhere
        assert inside.all()
        means = [p[m].mean() for p, m in zip(arrays[shadow].T, arrays[membership].T, strict=True)]
        copied[shadow] = np.vstack([arrays[shadow], [means], [means]])
        copied[membership] = np.vstack([arrays[membership], inside, inside])
    np.testing.assert_allclose(RMIA().scores(**copied), RMIA().scores(**arrays), atol=1e-12)


def test_ties_count_half(rng):
    arrays = example(rng)
    constant = {name: np.full(x.shape, 0.5) if x.dtype != bool else x for name, x in arrays.items()}
    np.testing.assert_array_equal(RMIA().scores(**constant), 0.5)


def test_impossible_and_infinite(rng):
    arrays = example(rng)
    arrays["target_probabilities"][0, :3] = 0.0, np.inf, 0.0
    arrays["shadow_probabilities"][:, 2] = 0.0
    scores = RMIA().scores(**arrays)
    assert scores[0, 0] == 0
    assert scores[0, 1] == 1
    others = arrays["population_target"][0] / online(
        arrays["population_shadow"], arrays["population_membership"]
    )
    assert scores[0, 2] == np.mean(others < 1)


def test_refusals(rng):
    arrays = example(rng)
    empty = arrays | {"population_membership": np.zeros_like(arrays["population_membership"])}
    with pytest.raises(
        UnsupportedSetting, match=r"40 of 40 examples have no 'in' shadow model.*use online=False"
    ):
        RMIA().scores(**empty)
    assert np.isfinite(RMIA(online=False).scores(**empty)).all()
    with pytest.raises(InvalidInput, match="densities >= 0, got negative"):
        RMIA().scores(**(arrays | {"shadow_probabilities": -arrays["shadow_probabilities"]}))
    with pytest.raises(InvalidInput, match="densities >= 0, got negative"):
        RMIA().scores(**(arrays | {"target_probabilities": -arrays["target_probabilities"]}))
    with pytest.raises(InvalidInput, match="probabilities <= 1 offline"):
        RMIA(online=False).scores(**(arrays | {"shadow_probabilities": 9 + arrays["shadow_probabilities"]}))
    with pytest.raises(InvalidInput, match="gamma a finite number > 0"):
        RMIA(gamma=0)
    with pytest.raises(InvalidInput, match=r"offline_a in \[0, 1\]"):
        RMIA(offline_a=1.5)
    with pytest.raises(InvalidInput, match="online True or False"):
        RMIA(online=1)


@pytest.mark.parametrize("wild", [3.4e38, 1e300, np.inf])
def test_one_wild_density_is_its_own_examples_matter(rng, wild):
    arrays = example(rng)
    before = RMIA().scores(**arrays)
    arrays["shadow_probabilities"][0, 0] = wild
    np.testing.assert_array_equal(RMIA().scores(**arrays)[:, 1:], before[:, 1:])
    # Of the population it is one example of forty.
    arrays["population_shadow"][0, 0] = wild
    assert np.abs(RMIA().scores(**arrays)[:, 1:] - before[:, 1:]).max() <= 1 / 40 + 1e-12
