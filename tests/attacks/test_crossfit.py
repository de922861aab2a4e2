import numpy as np
import pytest
import statsmodels.api as sm
from scipy import stats
from sklearn.linear_model import LogisticRegression

from mis.attacks import LiRA
from mis.attacks.crossfit import STRONGEST, assign_folds, cross_fit, mean_over_networks, thresholds, widening
from mis.numerics.checks import InvalidInput


def halves(rng, models, examples):
    return np.argsort(rng.random((models, examples)), axis=1) < examples // 2


def given(**scores):
    """Scores that nothing is estimated for."""
    return lambda fold, is_shadow: {name: values[~is_shadow] for name, values in scores.items()}  # noqa: ARG005


def test_folds_take_turns():
    membership = halves(np.random.default_rng(0), 20, 6)
    seen = []

    def features(fold, is_shadow):
        seen.append((fold, is_shadow))
        return {"a": np.zeros((20 - is_shadow.sum(), 6))}

    cross_fit(features, membership, {"a": ["a"]}, num_folds=5)
    assert [fold for fold, _ in seen] == [0, 1, 2, 3, 4]
    for fold, is_shadow in seen:
        np.testing.assert_array_equal(is_shadow, [m % 5 not in (fold, (fold + 1) % 5) for m in range(20)])


@pytest.mark.parametrize("shift", [0.4, 2.0])
def test_a_gaussian_shift_gives_its_advantage(rng, shift):
    membership = halves(rng, 80, 600)
    measured = cross_fit(given(a=rng.normal(size=(80, 600)) + shift * membership), membership, {"a": ["a"]})[
        "a"
    ]
    error = measured.advantage.std(ddof=1) / np.sqrt(80)
    # The best threshold is missed by little, and that costs little: one part in a hundred of the advantage.
    truth = 2 * stats.norm.cdf(shift / 2) - 1
    assert -5 * error - 0.01 * truth < measured.advantage.mean() - truth < 5 * error
    at_one_percent = stats.norm.sf(stats.norm.isf(0.01) - shift)
    interval = mean_over_networks(measured.tpr, 8, refitted=False)
    assert abs(interval.value - at_one_percent) < 5 * interval.width / (2 * stats.t.ppf(0.975, 7))
    assert abs(measured.fpr.mean() - 0.01) < 0.003


def test_a_combination_adds_what_independent_scores_know(rng):
    membership = halves(rng, 64, 600)
    a, b = (size * (rng.normal(size=membership.shape) + 0.7 * membership) for size in (1.0, 25.0))
    measured = cross_fit(given(a=a, b=b), membership, {"a": ["a"], "both": ["a", "b"]})
    for name, shift in (("a", 0.7), ("both", 0.7 * np.sqrt(2)), (STRONGEST, 0.7 * np.sqrt(2))):
        values = measured[name].advantage
        truth = 2 * stats.norm.cdf(shift / 2) - 1
        assert abs(values.mean() - truth) < 5 * values.std(ddof=1) / np.sqrt(64) + 0.01 * truth


def peeking(features, membership, names, num_folds):
    """What ``cross_fit`` must not do: weights and threshold from the models that are scored."""
    folds, advantages = assign_folds(len(membership), num_folds), np.empty(len(membership))
    for fold in range(num_folds):
        target = folds == fold
        table = np.stack([features(fold, ~target)[name] for name in names], axis=-1)
        known = membership[target]
        flat = table.reshape(-1, len(names))
        scores = LogisticRegression().fit(flat, known.ravel()).decision_function(flat).reshape(known.shape)
        positive = scores >= thresholds(scores, known, 0.01)[0]
        advantages[target] = positive[known].mean() - positive[~known].mean()
    return advantages


def test_noise_has_no_advantage_unless_one_peeks(rng):
    honest, dishonest = [], []
    names = [f"noise-{i}" for i in range(20)]
    for _ in range(30):
        membership = halves(rng, 16, 32)
        features = given(**{name: rng.normal(size=membership.shape) for name in names})
        attacks = {"all": names, **{name: [name] for name in names}}
        measured = cross_fit(features, membership, attacks, num_folds=4)
        honest.append([measured[name].advantage.mean() for name in ("all", "noise-3", STRONGEST)])
        dishonest.append(peeking(features, membership, names, 4).mean())
    error = np.std(honest, axis=0, ddof=1) / np.sqrt(len(honest))
    assert (np.abs(np.mean(honest, axis=0)) < 5 * error).all()
    assert error.max() < 0.02
    assert np.mean(dishonest) > 0.3


def test_labels_of_targets_decide_nothing(rng):
    """Labels of one fold turned round: its rates change places, folds that it does not calibrate keep theirs."""
    membership = halves(rng, 24, 40)
    scores = {name: rng.normal(size=membership.shape) + 0.5 * membership for name in "abc"}
    attacks = {"a": ["a"], "abc": ["a", "b", "c"]}
    folds = assign_folds(24, 6)
    turned = membership ^ (folds == 2)[:, None]
    before, after = (
        cross_fit(given(**scores), labels, attacks, num_folds=6) for labels in (membership, turned)
    )
    for name in (*attacks, STRONGEST):
        np.testing.assert_allclose(
            after[name].advantage[folds == 2], -before[name].advantage[folds == 2], atol=1e-15
        )
        # Fold 2 calibrates fold 1 and no other.
        rest = ~np.isin(folds, (1, 2))
        np.testing.assert_array_equal(after[name].advantage[rest], before[name].advantage[rest])
        np.testing.assert_array_equal(after[name].tpr[rest], before[name].tpr[rest])
    assert (before["abc"].advantage[folds == 1] != after["abc"].advantage[folds == 1]).any()


def test_the_strongest_is_chosen_by_calibrating_models_only(rng):
    membership = halves(rng, 24, 60)
    folds = assign_folds(24, 6)
    noise = rng.normal(size=membership.shape)

    def features(fold, is_shadow):
        lucky = np.where((folds == fold)[:, None], 18.0 * membership - 9.0, noise)
        return {"plain": (noise + membership)[~is_shadow], "lucky": lucky[~is_shadow]}

    measured = cross_fit(features, membership, {"lucky": ["lucky"], "plain": ["plain"]}, num_folds=6)
    assert measured["lucky"].advantage.mean() > 0.9
    np.testing.assert_array_equal(measured[STRONGEST].advantage, measured["plain"].advantage)
    np.testing.assert_array_equal(measured[STRONGEST].tpr, measured["plain"].tpr)


@pytest.mark.parametrize("fpr", [0.03, 0.05])
@pytest.mark.parametrize("levels", [2, 5, 10**6])
def test_thresholds_by_loops(levels, fpr):
    for seed in range(30):
        rng = np.random.default_rng(seed)
        scores = rng.integers(levels, size=(3, 40)) / 7
        members = halves(rng, 3, 40)
        best, strict = thresholds(scores, members, fpr)

        def rates(threshold, scores=scores, members=members):
            return (scores[members] >= threshold).mean(), (scores[~members] >= threshold).mean()

        candidates = sorted(set(scores.ravel()), reverse=True)
        gains = [np.subtract(*rates(t)) for t in candidates]
        assert np.subtract(*rates(best)) == pytest.approx(max(gains), abs=1e-12)
        assert best in candidates
        # The lowest threshold with no more than the asked share of 60 fresh examples, up to one of them.
        assert rates(strict)[1] <= fpr
        below = max(t for t in candidates if t < strict)
        assert rates(below)[1] > fpr * 59 / 60


def test_rates_by_loops(rng):
    """With ties, and scores so sure that they are infinite."""
    membership = halves(rng, 12, 30)
    scores = rng.integers(4, size=membership.shape) + 2.0 * membership
    scores[scores == 5.0] = np.inf
    folds = assign_folds(12, 4)
    measured = cross_fit(given(a=scores), membership, {"a": ["a"]}, num_folds=4, fpr=0.1)["a"]
    for m in range(12):
        calibrating = folds == (folds[m] + 1) % 4
        best, strict = thresholds(scores[calibrating], membership[calibrating], 0.1)
        rate = {
            (side, t): np.mean([s >= t for s, k in zip(scores[m], membership[m], strict=True) if k == side])
            for side in (True, False)
            for t in (best, strict)
        }
        assert measured.advantage[m] == pytest.approx(rate[True, best] - rate[False, best], abs=1e-12)
        assert measured.tpr[m] == pytest.approx(rate[True, strict], abs=1e-12)
        assert measured.fpr[m] == pytest.approx(rate[False, strict], abs=1e-12)


@pytest.mark.parametrize("num_networks", [24, 29])
def test_interval_is_that_of_a_cluster_robust_mean(rng, num_networks):
    values, folds = rng.random(num_networks), assign_folds(num_networks, 6)
    fit = sm.OLS(values, np.ones(num_networks)).fit(
        cov_type="cluster", cov_kwds={"groups": folds}, use_t=True
    )
    interval = mean_over_networks(values, 6, level=0.9, refitted=False)
    assert (interval.kind, interval.level) == ("attack", 0.9)
    assert interval.value == pytest.approx(values.mean(), rel=1e-14, abs=0)
    np.testing.assert_allclose([interval.lower, interval.upper], fit.conf_int(alpha=0.1)[0], rtol=1e-10)


def test_shared_shadows_widen_as_nadeau_and_bengio_say(rng):
    """Six folds, four of them shadows: in units of the spread of a fold, 1/6 + 1/4 in place of 1/6."""
    values = rng.random(24)
    alone, shared = (mean_over_networks(values, 6, refitted=refitted) for refitted in (False, True))
    assert shared.value == alone.value
    assert (shared.width / alone.width) ** 2 == pytest.approx((1 / 6 + 1 / 4) / (1 / 6), rel=1e-12)
    assert widening(6) == pytest.approx(2.5, rel=1e-15)


def repeated(seed, num_networks, repetitions, examples=96):
    """Whole experiments on one pool: new networks, LiRA fitted to them anew."""
    rng = np.random.default_rng(seed)
    offset, leak, spread = (
        rng.normal(size=examples),
        rng.gamma(1.0, size=examples),
        rng.gamma(4.0, size=examples) / 4,
    )
    for _ in range(repetitions):
        membership = halves(rng, num_networks, examples)
        scores = offset + spread * rng.normal(size=membership.shape) + leak * membership

        def features(fold, is_shadow, scores=scores, membership=membership):  # noqa: ARG001
            found = LiRA().scores(
                shadow_scores=scores[is_shadow],
                shadow_membership=membership[is_shadow],
                target_scores=scores[~is_shadow],
            )
            return {"lira": found}

        yield cross_fit(features, membership, {"lira": ["lira"]})["lira"]


@pytest.mark.parametrize("num_networks", [32, pytest.param(128, marks=pytest.mark.slow)])
def test_intervals_cover_the_mean_over_whole_experiments(num_networks, sweep_seed):
    count = 300
    found = list(repeated(sweep_seed, num_networks, count))
    for name in ("advantage", "tpr"):
        values = [getattr(measured, name) for measured in found]
        truth = np.mean(values)
        for level in (0.8, 0.95):
            shared, alone = (
                np.mean([i.lower <= truth <= i.upper for i in intervals])
                for intervals in (
                    [mean_over_networks(v, 8, level=level, refitted=refitted) for v in values]
                    for refitted in (True, False)
                )
            )
            assert shared >= level - 3 * np.sqrt(level * (1 - level) / count)
            # What this is for: .88 and .67 with 32 models.
            if name == "advantage":
                assert alone < level


@pytest.mark.parametrize("effect", [0.0, 0.4])
def test_intervals_cover(effect):
    """Models that leak more or less than others, thresholds that are estimated: the mean of many runs is inside."""
    rng = np.random.default_rng(1)
    examples = rng.normal(size=200) / 2
    intervals, naive = {"advantage": [], "tpr": []}, []
    for _ in range(300):
        membership = halves(rng, 64, 200)
        leak = 1.2 + effect * rng.normal(size=(64, 1))
        scores = (
            examples
            + rng.normal(size=membership.shape)
            + leak * membership
            + effect * rng.normal(size=(64, 1))
        )
        measured = cross_fit(given(a=scores), membership, {"a": ["a"]})["a"]
        for name, found in intervals.items():
            # Nothing is fitted to shadows here.
            found.append(mean_over_networks(getattr(measured, name), 8, refitted=False))
        naive.append(stats.sem(measured.tpr))
    for found in intervals.values():
        truth = np.mean([i.value for i in found])
        share = np.mean([i.lower <= truth <= i.upper for i in found])
        assert abs(share - 0.95) < 5 * np.sqrt(0.95 * 0.05 / 300)
    if not effect:
        # Models as the units would forget the error of a threshold that eight of them share.
        assert np.std([i.value for i in intervals["tpr"]]) > 1.4 * np.mean(naive)


def test_unusable_scores_are_refused(rng):
    membership = halves(rng, 8, 10)
    scores = rng.normal(size=membership.shape)
    scores[3, 4] = np.nan
    with pytest.raises(InvalidInput, match="cross_fit: expected scores without NaN, got some among b"):
        cross_fit(given(a=np.zeros((8, 10)), b=scores), membership, {"a": ["a"], "b": ["b"]}, num_folds=4)


@pytest.mark.parametrize(
    ("models", "folds", "message"),
    [
        (20, 2, "num_folds an integer >= 3, got num_folds=2"),
        (7, 4, "num_networks an integer >= 8, got num_networks=7"),
    ],
)
def test_too_few_models_or_folds(models, folds, message):
    with pytest.raises(InvalidInput, match=f"assign_folds: expected {message}"):
        assign_folds(models, folds)


@pytest.mark.parametrize("level", [1 - 1e-16, 1.0, 0.0])
def test_levels_without_a_quantile_are_refused(level):
    with pytest.raises(InvalidInput, match="mean_over_networks: expected level"):
        mean_over_networks(np.arange(8.0), 4, level=level)
    far = mean_over_networks(np.arange(8.0), 4, level=1 - 1e-12)
    assert -np.inf < far.lower < far.value < far.upper < np.inf
