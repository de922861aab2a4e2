"""The indicator: exact values, coverage of its interval, and the two biases of the plain minimum."""

import time

import numpy as np
import pytest

from mis import theory
from mis.numerics.checks import InvalidInput, UnsupportedSetting
from mis.theory.indicator import ratio_of_pair


def repetitions(means, num_examples, repeats, seed, **kwargs):
    """Indicators of samples from independent normal losses of variance one half (differences have variance one)."""
    rng = np.random.default_rng(seed)
    draws = rng.normal(np.asarray(means)[:, None], np.sqrt(0.5), size=(repeats, len(means), num_examples))
    return [
        theory.indicator(theory.SampledLosses(losses=losses), seed=i, **kwargs)
        for i, losses in enumerate(draws)
    ]


def test_normal_and_discrete_laws_are_exact():
    law = theory.GaussianLosses(mean=[0.0, 0.3, 0.6], cov=np.diag([0.0, 1.0, 9.0]))
    result = theory.indicator(law)
    assert result.kind == "exact"
    assert result.lower == result.value == result.upper == pytest.approx(0.6**2 / 18, rel=1e-14, abs=0)
    discrete = theory.DiscreteLosses(losses=[[0, 0, 0], [-0.9, 0.15, 0.6]], probs=[0.2, 0.5, 0.3])
    assert theory.indicator(discrete).value == pytest.approx(0.075**2 / (2 * 0.275625), rel=1e-12, abs=0)


def test_a_tie_has_indicator_zero():
    law = theory.GaussianLosses(mean=[0.0, 0.0, 1.0], cov=np.eye(3))
    assert theory.indicator(law).value == 0.0


def test_a_competitor_at_a_constant_distance_does_not_count():
    law = theory.DiscreteLosses(losses=[[0, 1], [0.1, 1.1], [1, 0.5]], probs=[0.5, 0.5])
    assert theory.indicator(law).value == pytest.approx(0.25**2 / (2 * 0.75**2), rel=1e-12, abs=0)
    assert theory.indicator(law).details["num_candidates"] == 3


def test_duplicates_are_one_candidate(rng):
    losses = rng.normal(size=(4, 200)) + np.arange(4)[:, None] * 0.3
    single = theory.indicator(theory.SampledLosses(losses=losses))
    double = theory.indicator(theory.SampledLosses(losses=losses[[0, 0, 1, 2, 2, 3]]))
    assert double == single
    assert double.details == single.details
    assert double.details["num_candidates"] == 4
    twice = theory.GaussianLosses(mean=[0, 0, 1], cov=[[1, 1, 0], [1, 1, 0], [0, 0, 1]])
    assert theory.indicator(twice).details["num_candidates"] == 2
    assert theory.indicator(twice).value == 0.25


def test_the_naive_value_is_the_plain_minimum(rng):
    losses = rng.normal(size=(5, 300)) + np.arange(5)[:, None] * 0.2
    differences = np.delete(losses, losses.mean(1).argmin(), 0) - losses[losses.mean(1).argmin()]
    plain = (differences.mean(1) ** 2 / (2 * differences.var(1))).min()
    assert theory.indicator(theory.SampledLosses(losses=losses)).details["naive"] == pytest.approx(
        plain, rel=1e-12, abs=0
    )


def test_seed_and_unit_of_the_losses(rng):
    losses = rng.normal(size=(5, 300)) + np.arange(5)[:, None] * 0.2
    first = theory.indicator(theory.SampledLosses(losses=losses), seed=3)
    assert first == theory.indicator(theory.SampledLosses(losses=losses), seed=3)
    assert first != theory.indicator(theory.SampledLosses(losses=losses), seed=4)
    other_unit = theory.indicator(theory.SampledLosses(losses=1e-6 * losses), seed=3)
    assert other_unit.value == pytest.approx(first.value, rel=1e-6, abs=0)
    assert other_unit.upper == pytest.approx(first.upper, rel=1e-6, abs=0)


SETTINGS = [
    (2, [0.0, 0.4]),
    (2, [0.0, 0.02]),
    (10, [0.0, *np.full(9, 0.4)]),
    (10, [0.0, *np.linspace(0.3, 1.5, 9)]),
    (50, [0.0, *np.full(49, 0.4)]),
    (50, [0.0, *np.linspace(0.1, 1.0, 49)]),
]


@pytest.mark.parametrize("repeats", [100, pytest.param(800, marks=pytest.mark.slow)], ids=["few", "many"])
@pytest.mark.parametrize(("num_losses", "means"), SETTINGS)
def test_coverage(num_losses, means, repeats):
    truth = means[1] ** 2 / 2
    results = repetitions(means, 400, repeats, seed=num_losses, num_resamples=200)
    covered = np.mean([r.lower <= truth <= r.upper for r in results])
    assert covered >= 0.95 - 5 * np.sqrt(0.95 * 0.05 / repeats)
    # Not covered by being vacuous: well apart from zero where the competitors are.
    if means[1] == 0.4 and num_losses == 2:
        assert np.median([r.lower for r in results]) > truth / 4
        assert np.median([r.upper for r in results]) < truth * 2.5


def lognormal(shape):
    return lambda rng, size: (
        (np.exp(shape * rng.normal(size=size)) - np.exp(shape**2 / 2))
        / np.sqrt((np.exp(shape**2) - 1) * np.exp(shape**2))
    )


def event(prob):
    return lambda rng, size: ((rng.random(size) < prob) - prob) / np.sqrt(prob * (1 - prob))


# Differences of mean 0 and variance 1.
TAILS = {
    "t5": lambda rng, size: rng.standard_t(5, size) / np.sqrt(5 / 3),
    "t3": lambda rng, size: rng.standard_t(3, size) / np.sqrt(3),
    "exponential": lambda rng, size: rng.exponential(size=size) - 1,
    "lognormal 0.5": lognormal(0.5),
    "lognormal 1": lognormal(1.0),
    "lognormal 1.5": lognormal(1.5),
    "event of 2%": event(0.02),
}


@pytest.mark.parametrize("repeats", [60, pytest.param(800, marks=pytest.mark.slow)], ids=["few", "many"])
@pytest.mark.parametrize("ratio", [0.2, 0.6, -0.2, -0.6])
@pytest.mark.parametrize("tail", TAILS)
def test_coverage_of_heavy_tails(sweep_seed, tail, ratio, repeats):
    """Negative ratios: the tail is on the other side."""
    rng, truth, size, found = np.random.default_rng([sweep_seed, 3]), ratio**2 / 2, 300, []
    for i in range(repeats):
        losses = [np.zeros(size), ratio + TAILS[tail](rng, size)]
        if np.ptp(losses[1]):
            law = theory.SampledLosses(losses=losses)
            found.append(theory.indicator(law, seed=i, num_resamples=100))
    covered = np.mean([r.lower <= truth <= r.upper for r in found])
    assert covered >= 0.95 - 5 * np.sqrt(0.95 * 0.05 / len(found))


def test_heavy_tails_are_not_covered_by_saying_nothing(rng):
    found = [
        theory.indicator(theory.SampledLosses(losses=[np.zeros(400), 0.6 + TAILS["t5"](rng, 400)]))
        for _ in range(20)
    ]
    assert np.median([r.lower for r in found]) > 0.3 * 0.18
    assert np.median([r.upper for r in found]) < 2.5 * 0.18


@pytest.mark.parametrize("ratio", [0.2121, -0.2121])
@pytest.mark.parametrize("tail", ["t5", "exponential", "lognormal 0.5"])
def test_the_value_of_a_pair_is_right_on_average_where_tails_are_heavy(tail, ratio):
    rng = np.random.default_rng(4)
    parts = ratio + TAILS[tail](rng, (4000, 5, 80))
    values = np.array([ratio_of_pair(list(p)) for p in parts])
    truth = ratio**2 / 2
    assert abs(values.mean() - truth) < 5 * values.std() / np.sqrt(len(values)) + 0.02 * truth


def test_cross_fitting_removes_the_bias_of_the_minimum():
    truth = 0.4**2 / 2
    results = repetitions([0.0, *np.full(29, 0.4)], 400, 120, seed=1, num_resamples=60)
    values = np.array([r.value for r in results])
    naive = np.array([r.details["naive"] for r in results])
    assert abs(values.mean() - truth) < 5 * values.std() / np.sqrt(len(values))
    assert naive.mean() < truth - 20 * naive.std() / np.sqrt(len(naive))


@pytest.mark.parametrize("delta", [0.0, 0.3])
def test_ratio_of_one_pair_is_unbiased(rng, delta):
    estimates = np.array([ratio_of_pair([d]) for d in rng.normal(delta, 2.0, size=(20_000, 12))])
    assert abs(estimates.mean() - delta**2 / 8) < 5 * estimates.std() / np.sqrt(20_000)


def test_a_tie_is_not_told_from_zero():
    results = repetitions(np.zeros(5), 400, 40, seed=2, num_resamples=60)
    assert all(r.lower == 0.0 for r in results)
    assert all(r.upper < 20 / 400 for r in results)


def test_interval_narrows_with_examples():
    widths = [
        np.mean([r.width for r in repetitions([0, 0.4], n, 20, 5, num_resamples=100)]) for n in (200, 3200)
    ]
    assert widths[0] / widths[1] == pytest.approx(4, rel=0.3, abs=0)


def test_losses_that_differ_on_few_examples():
    losses = np.zeros((3, 100))
    losses[1, 0], losses[2, :3] = 1.0, 1.0
    result = theory.indicator(theory.SampledLosses(losses=losses))
    assert result.lower == 0.0
    assert np.isfinite(result.upper)


def test_hundreds_of_candidates_take_a_tenth_of_a_second(rng):
    law = theory.SampledLosses(losses=rng.normal(size=(300, 800)) + np.linspace(0, 1, 300)[:, None])
    times = []
    for _ in range(3):
        start = time.process_time()
        theory.indicator(law)
        times.append(time.process_time() - start)
    assert min(times) < 0.2  # 0.04 s on an idle core


@pytest.mark.parametrize(
    ("law", "kwargs", "error", "message"),
    [
        (
            theory.SampledLosses(losses=[[0, 1, 2], [0, 1, 2]]),
            {},
            UnsupportedSetting,
            "no two candidates differ",
        ),
        (
            theory.SampledLosses(losses=[[0, 1, 2], [1, 2, 3]]),
            {},
            UnsupportedSetting,
            "no two candidates differ",
        ),
        (
            theory.GaussianLosses(mean=[0, 1], cov=np.ones((2, 2))),
            {},
            UnsupportedSetting,
            "no two candidates",
        ),
        (
            theory.SampledLosses(losses=[[0, 1], [1, 0]]),
            {"level": 1.0},
            InvalidInput,
            "level a finite number > 0",
        ),
        (
            theory.SampledLosses(losses=[[0, 1], [1, 0]]),
            {"num_resamples": 3},
            InvalidInput,
            "num_resamples an",
        ),
        (
            theory.SampledLosses(losses=np.eye(7)),
            {"seed": -1},
            InvalidInput,
            "seed an integer >= 0, got seed=-1",
        ),
        (
            theory.SampledLosses(losses=np.eye(7)),
            {"seed": "a"},
            InvalidInput,
            "seed an integer >= 0, got seed='a'",
        ),
        (theory.SampledLosses(losses=np.eye(7)), {}, UnsupportedSetting, "7 examples"),
    ],
)
def test_refuses(law, kwargs, error, message):
    with pytest.raises(error, match=message):
        theory.indicator(law, **kwargs)
