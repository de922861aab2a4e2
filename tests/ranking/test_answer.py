"""The answer, held to experiments in which every tempting statement is false, and to t tests by hand."""

import numpy as np
import pytest
from scipy import stats

from mis.numerics.checks import InvalidInput
from mis.ranking.answer import answer, performance_differences
from mis.ranking.performance import Performance

FOLDS, NETWORKS, EXAMPLES = 8, 64, 80
NAMES = ["full", "a", "b", "c", "d", "e"]


def crossed(rng, means, noise):
    """Performances with an effect of each network and example that all share, and one for each release."""
    shared = rng.normal(size=(NETWORKS, 1)) + rng.normal(size=EXAMPLES)
    found = []
    for mean in means:
        own = rng.normal(size=(NETWORKS, 1)) + rng.normal(size=EXAMPLES)
        values = mean + 0.3 * shared + noise * (own + rng.normal(size=(NETWORKS, EXAMPLES)))
        found.append(Performance(of_networks=values.mean(axis=1), of_examples=values.mean(axis=0)))
    return found


def attacked(rng, means):
    """Advantages with an effect of each network that all share, and one for each release, network and fold."""
    shared, own = rng.normal(size=NETWORKS), rng.normal(size=(len(means), NETWORKS))
    of_fold = 0.2 * rng.normal(size=(len(means), FOLDS))
    return np.array(means)[:, None] + 0.03 * (shared + own + of_fold[:, np.arange(NETWORKS) % FOLDS])


def share_wrong(experiment, num=300):
    """Share of experiments with a false statement, which should be .05 at most but for five standard errors."""
    wrong = sum(experiment(np.random.default_rng([7, seed])) for seed in range(num))
    return wrong / num, 0.05 + 5 * np.sqrt(0.05 * 0.95 / num)


def test_equal_advantages_are_rarely_told_apart_anywhere():
    """Performances differ for sure, so every claim of domination, or of a best one, is a false one about advantages."""

    def experiment(rng):
        performances = crossed(rng, [0.9 - 0.01 * k for k in range(6)], 1e-4)
        found = answer(NAMES, attacked(rng, [0.3] * 6), performances, num_folds=FOLDS, within=1.0)
        assert len(found.eligible) == 6
        level_is_wrong = not found.advantage.lower <= 0.3 <= found.advantage.upper
        return bool(found.dominated) or len(found.as_good) < 5 or level_is_wrong

    share, allowed = share_wrong(experiment)
    assert share <= allowed


def test_performances_at_the_bound_are_rarely_called_within_or_beyond_or_better():
    """Advantages differ for sure. The others perform 0.02 worse than full, no more and no less, and all alike."""

    def experiment(rng):
        performances = crossed(rng, [0.9] + [0.88] * 5, 0.02)
        advantages = attacked(rng, [0.9, 0.8, 0.7, 0.6, 0.5, 0.4])
        found = answer(NAMES, advantages, performances, num_folds=FOLDS)
        false_domination = any(set(better) - {"full"} for better in found.dominated.values())
        return len(found.eligible) > 1 or bool(found.beyond) or false_domination

    share, allowed = share_wrong(experiment)
    assert share <= allowed


def test_differences_in_performance_cover_together():
    means = [0.9, 0.9, 0.85, 0.7]

    def experiment(rng):
        found = performance_differences(crossed(rng, means, 0.05))
        return not all(x.lower <= means[i] - means[j] <= x.upper for (i, j), x in found.items())

    share, allowed = share_wrong(experiment)
    assert share <= allowed


def test_differences_are_paired_t_intervals_where_examples_agree(rng):
    of_networks = rng.normal(size=(3, 20))
    performances = [
        Performance(of_networks=values, of_examples=np.full(50, values.mean())) for values in of_networks
    ]
    found = performance_differences(performances, level=0.9)
    for (i, j), interval in found.items():
        by_hand = stats.ttest_rel(of_networks[i], of_networks[j]).confidence_interval(1 - 0.1 / 3)
        np.testing.assert_allclose([interval.lower, interval.upper], by_hand, rtol=1e-9)
    assert len(found) == 6


# Sure in everything: what is to be said can be read off.
MEANS = {"full": (0.90, 0.40), "a": (0.895, 0.20), "b": (0.893, 0.20), "c": (0.70, 0.10), "d": (0.60, 0.30)}


@pytest.fixture
def sure(rng):
    performs, leaks = zip(*MEANS.values(), strict=True)
    performances = crossed(rng, performs, 1e-5)
    advantages = np.array(leaks)[:, None] + 1e-3 * rng.normal(size=(5, NETWORKS))
    return list(MEANS), advantages, performances


def test_what_is_sure_is_said(sure):
    found = answer(*sure, num_folds=FOLDS)
    assert set(found.eligible) == {"full", "a", "b"}
    assert {found.least, *found.as_good} == {"a", "b"}
    assert found.undecided == ()
    assert set(found.beyond) == {"c", "d"}
    # a performs better than b and d, and leaks less than d; c leaks less than d and performs better.
    assert {name: set(better) for name, better in found.dominated.items()} == {"d": {"a", "b", "c"}}
    assert 1 - 0.21 < found.mis.upper < 1 - 0.19
    assert found.mis.upper == pytest.approx(1 - found.advantage.lower, rel=1e-12)
    text = str(found)
    assert f"Least leaking within 0.02 of full performance: {found.least}." in text
    assert f"MIS at most {found.mis.upper:.3f}" in text
    assert "d (by a, b, c)" in text
    assert "--early" in text


def test_more_is_accepted_if_asked_for(sure):
    assert answer(*sure, num_folds=FOLDS, within=0.25).least == "c"
    assert set(answer(*sure, num_folds=FOLDS, within=0.006).eligible) == {"full", "a"}
    alone = answer(*sure, num_folds=FOLDS, within=0.0)
    assert (alone.least, alone.eligible) == ("full", ("full",))
    assert "No quantizer is sure to perform within 0 of full precision." in str(alone)


def test_releases_below_a_bound_are_rarely_wrong_together():
    """All advantages are at the bound or just beside it: whatever is called below or above is called so wrongly."""

    def experiment(rng):
        means = [0.3 + 1e-9 * (-1) ** k for k in range(6)]
        found = answer(
            NAMES,
            attacked(rng, means),
            crossed(rng, [0.9] * 6, 0.1),
            num_folds=FOLDS,
            within=1.0,
            at_most=0.3,
        )
        return bool(found.below or found.above)

    share, allowed = share_wrong(experiment)
    assert share <= allowed


def test_what_stays_below_a_bound_is_said_best_first(sure):
    found = answer(*sure, num_folds=FOLDS, at_most=0.45)
    levels = dict(zip(sure[0], sure[1].mean(axis=1), strict=True))
    assert set(found.below) == {name for name, level in levels.items() if level < 0.45}
    assert set(found.above) == {name for name, level in levels.items() if level > 0.45}
    performs = dict(zip(sure[0], [one.of_networks.mean() for one in sure[2]], strict=True))
    assert list(found.below) == sorted(found.below, key=performs.get, reverse=True)
    assert f"stays at or below 0.45 on: {', '.join(found.below)}; {found.below[0]} performs best" in str(
        found
    )
    assert "stays at or below" not in str(answer(*sure, num_folds=FOLDS))


def test_what_too_few_examples_cannot_tell_is_not_said(rng):
    performances = [
        Performance(
            of_networks=0.9 + 1e-3 * rng.normal(size=NETWORKS), of_examples=0.9 + 0.2 * rng.normal(size=8)
        )
        for _ in range(2)
    ]
    found = answer(["full", "sign"], attacked(rng, [0.5, 0.1]), performances, num_folds=FOLDS)
    assert (found.least, found.undecided) == ("full", ("sign",))
    assert "Too few held-out examples to say whether within 0.02: sign." in str(found)


@pytest.mark.parametrize(
    ("early", "verdict"),
    [(0.1, "leaks more than that"), (0.3, "leaks less than that"), (0.2, "cannot be told")],
)
def test_full_precision_stopped_early_is_set_beside(early, verdict, sure, rng):
    names, advantages, performances = sure
    as_well = performances[1].of_networks.mean()
    stops = [
        (steps, as_well + more, leak + 1e-3 * rng.normal(size=NETWORKS))
        for steps, more, leak in ((10, -0.3, 0.05), (20, 0.001, early), (40, 0.004, 0.4))
    ]
    found = answer(names, advantages, performances, stops, num_folds=FOLDS, within=0.006)
    assert found.least == "a"
    assert 19.9 < found.early_steps < 20
    assert found.early.value == pytest.approx(early, abs=0.01)
    text = str(found)
    assert "Full precision stopped after 20 steps performs as a does" in text
    assert f"a {verdict}" in text
    assert "--early" not in text


def test_only_what_holds_is_written_to_json(sure):
    plain = answer(*sure, num_folds=FOLDS).to_json()
    assert plain["mis"]["lower"] == 0.0
    assert plain["mis"]["kind"] == plain["advantage"]["kind"] == "attack"
    assert plain["early"] is None


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"within": -0.01}, "answer: expected within at least 0, got within=-0.01"),
        ({"within": np.nan}, "answer: expected within a finite number"),
        ({"level": 1.0}, "answer: expected level a finite number > 0 and < 1, got level=1.0"),
    ],
)
def test_refused(options, message, sure):
    with pytest.raises(InvalidInput, match=message):
        answer(*sure, num_folds=FOLDS, **options)


def test_full_precision_is_the_reference(sure):
    names, advantages, performances = sure
    with pytest.raises(InvalidInput, match="answer: expected names with full among them"):
        answer(["x", *names[1:]], advantages, performances, num_folds=FOLDS)
