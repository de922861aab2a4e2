import json

import numpy as np
import pytest
from scipy.optimize import brentq
from scipy.stats import beta as betainv
from scipy.stats import binom, binomtest, norm, ttest_ind
from scipy.stats import t as t_law
from sklearn.metrics import f1_score, precision_score, roc_auc_score, roc_curve

from mis.attacks import audit, load
from mis.attacks.crossfit import widening
from mis.attacks.rates import clopper_pearson, difference_limits, effective_size, rate_limits
from mis.attacks.samples import Sample
from mis.numerics.checks import InvalidInput


@pytest.fixture
def scores(rng):
    return {"member": rng.normal(1, 1.5, 700), "nonmember": rng.normal(0, 1, 900)}


def pooled(scores):
    labels = np.repeat([1, 0], [np.size(scores["member"]), np.size(scores["nonmember"])])
    return labels, np.concatenate([np.ravel(scores["member"]), np.ravel(scores["nonmember"])])


def intervals(found):
    named = (found.advantage, found.balanced_accuracy, found.auc, found.precision, found.recall, found.f1)
    return [*named, *(tpr for tpr in found.tpr_at_fpr.values() if tpr), found.epsilon_lower]


@pytest.mark.parametrize("ties", [False, True])
def test_values_against_scikit_learn(scores, ties):
    if ties:
        scores = {name: np.round(x) for name, x in scores.items()}
    found = audit(**scores)
    labels, values = pooled(scores)
    fpr, tpr, _ = roc_curve(labels, values, drop_intermediate=False)
    np.testing.assert_allclose(found.auc.value, roc_auc_score(labels, values), rtol=1e-13)
    for rate, interval in found.tpr_at_fpr.items():
        if interval:
            np.testing.assert_allclose(interval.value, tpr[fpr <= rate].max(), rtol=1e-13)
    assert found.advantage.lower < (tpr - fpr).max() < found.advantage.upper
    records = found.records()
    weights = np.where(records["member"], 1 / 700, 1 / 900)
    truth, called = records["member"], records["called"]
    np.testing.assert_allclose(found.recall.value, called[truth].mean(), rtol=1e-13)
    expected = precision_score(truth, called, sample_weight=weights)
    np.testing.assert_allclose(found.precision.value, expected, rtol=1e-12)
    np.testing.assert_allclose(found.f1.value, f1_score(truth, called, sample_weight=weights), rtol=1e-12)
    advantage = called[truth].mean() - called[~truth].mean()
    np.testing.assert_allclose(found.advantage.value, advantage, rtol=1e-12)
    np.testing.assert_allclose(found.balanced_accuracy.value, (1 + advantage) / 2, rtol=1e-12)


def test_records_return_the_input(scores):
    records = audit(**scores).records()
    np.testing.assert_array_equal(records["score"][records["member"]], scores["member"])
    np.testing.assert_array_equal(records["score"][~records["member"]], scores["nonmember"])


def test_thresholds_are_exchanged(scores):
    """A record is called by one of two thresholds, about half of the records by each."""
    found = audit(**scores)
    records, (low, high) = found.records(), sorted(found.thresholds)
    assert records["called"][records["score"] >= high].all()
    assert not records["called"][records["score"] < low].any()
    between = (records["score"] >= low) & (records["score"] < high)
    assert 0.3 < records["called"][between].mean() < 0.7


def test_order_of_the_input_does_not_matter(scores, rng):
    shuffled = {name: rng.permutation(x) for name, x in scores.items()}
    assert audit(**shuffled).to_json() == audit(**scores).to_json()


def test_both_forms_agree(scores, rng):
    labels, values = pooled(scores)
    order = rng.permutation(len(labels))
    expected = audit(**scores)
    assert audit(scores=values[order], membership=labels[order]).to_json() == expected.to_json()
    assert audit(scores=values[None], membership=labels[None] == 1).to_json() == expected.to_json()


def test_higher_level_is_wider(scores):
    for narrow, wide in zip(intervals(audit(**scores, level=0.8)), intervals(audit(**scores)), strict=True):
        assert wide.lower <= narrow.lower
        assert wide.upper >= narrow.upper


def test_clopper_pearson_against_scipy():
    for x, n in ((0, 7), (7, 7), (3, 10), (999, 1000)):
        expected = binomtest(x, n).proportion_ci(0.9)
        np.testing.assert_allclose(clopper_pearson(x, n, 0.05), expected, rtol=1e-10)


def test_effective_size_of_fully_dependent_clusters():
    """Clusters that are all hits or none tell as much as one record each, less what the t quantile costs."""
    hits = np.array([8, 0, 0, 8, 8, 0, 0, 0, 0, 8])
    ratio = norm.ppf(0.975) / t_law.ppf(0.975, 9)
    np.testing.assert_allclose(effective_size(hits, np.full(10, 8), 0.025), 9 * ratio**2, rtol=1e-9)


def test_effective_size_never_exceeds_the_records():
    assert effective_size(np.array([5, 5, 5, 6]), np.full(4, 10), 0.025) == 40
    assert effective_size(np.array([0, 0, 0]), np.full(3, 10), 0.025) == 30


@pytest.mark.parametrize("error", [0.025, 0.005])
def test_limits_of_a_difference_hold_for_any_two_rates(error):
    """Every outcome enumerated; square-and-add errs up to 3.8 times as often as asked for at .025, 17 times at .005."""
    grid = np.linspace(0, 1, 41)
    for n, m in ((1, 1), (3, 3), (20, 20), (5, 50)):
        x, y = (a.ravel() for a in np.meshgrid(np.arange(n + 1), np.arange(m + 1), indexing="ij"))
        found = difference_limits(x[:, None], np.array([n]), y[:, None], np.array([m]), error)
        probability = binom.pmf(x, n, grid[:, None, None]) * binom.pmf(y, m, grid[:, None])
        truth = (grid[:, None] - grid)[..., None]
        for missed in (found.lower > truth + 1e-12, found.upper < truth - 1e-12):
            assert (probability * missed).sum(axis=-1).max() <= error
    # Not much wider: a tenth with 70 and 80 records.
    wide = difference_limits(np.array([56]), np.array([70]), np.array([48]), np.array([80]), 0.025)
    first, second = binomtest(56, 70).proportion_ci(), binomtest(48, 80).proportion_ci()
    assert 0.2 - wide.lower < 1.15 * np.hypot(0.8 - first.low, second.high - 0.6)


@pytest.mark.parametrize("counts", [(8, 8, 0, 8), (56, 70, 48, 80), (3, 5, 9, 40), (1, 1, 0, 1)])
def test_limit_of_a_difference_is_the_least_that_two_p_values_leave(counts):
    """The least p - q with P(X >= x; p) P(Y <= y; q) > c, where c (1 - log c) is the error: on a fine grid of p."""
    x, n, y, m = counts
    error = 0.025
    product = brentq(lambda c: c * (1 - np.log(c)) - error, 1e-12, error)
    p = np.linspace(0, 1, 200001)
    first = binom.sf(x - 1, n, p)
    # The largest q that the second p-value allows beside each p.
    share = np.divide(product, first, out=np.full_like(p, np.inf), where=first > 0)
    q = np.where(
        share < 1, betainv.isf(np.minimum(share, 1), y + 1, max(m - y, 1)) if y < m else 1.0, -np.inf
    )
    exact = np.min(p - q, where=np.isfinite(q), initial=1)
    found = difference_limits(*(np.array([k]) for k in counts), error).lower
    assert exact - 0.005 < found <= exact


def test_leaving_out_unequal_clusters(rng):
    """The variance by refitting without each cluster; few degrees of freedom where one cluster is most of the data."""
    sizes = np.array([3, 50, 20, 7, 1])
    hits = rng.binomial(sizes, [0.1, 0.7, 0.3, 0.9, 1.0])
    rates = [(hits.sum() - h) / (sizes.sum() - n) for h, n in zip(hits, sizes, strict=True)]
    rate = hits.sum() / sizes.sum()
    variance = np.square(np.subtract(rates, rate)).sum() * 4 / 5
    freedom = sizes.sum() ** 2 / (sizes**2).sum() - 1
    expected = rate * (1 - rate) / variance * (norm.ppf(0.975) / t_law.ppf(0.975, freedom)) ** 2
    np.testing.assert_allclose(effective_size(hits, sizes, 0.025), expected, rtol=1e-9)
    assert effective_size(np.array([3, 0]), np.array([10, 0]), 0.025) == 0
    limits = rate_limits(np.array([3, 0]), np.array([10, 0]), 0.025)
    assert (limits.lower, limits.upper) == (0, 1)


def test_clusters_widen_what_they_share(rng):
    hits, sizes = np.array([10, 90, 20, 80, 50]), np.full(5, 100)
    alone = rate_limits(hits.sum(keepdims=True), sizes.sum(keepdims=True), 0.025)
    clustered = rate_limits(hits, sizes, 0.025)
    assert clustered.upper - clustered.lower > 5 * (alone.upper - alone.lower)
    # The difference cancels a shift that a target model gives to both of its rates.
    difference = difference_limits(hits, sizes, hits - 5, sizes, 0.025)
    apart = difference_limits(hits, sizes, rng.permutation(hits) - 5, sizes, 0.025)
    assert difference.upper - difference.lower < apart.upper - apart.lower


def placements(member, nonmember):
    above = (member[:, None] > nonmember) + 0.5 * (member[:, None] == nonmember)
    return above.mean(1), above.mean(0)


@pytest.mark.parametrize(("members", "nonmembers"), [(80, 120), (4, 300)])
def test_auc_by_delong(members, nonmembers, rng):
    """With Welch's degrees of freedom, as in SciPy's t test of the placements."""
    member, nonmember = rng.normal(0.6, 1, members).round(1), rng.normal(0, 1, nonmembers).round(1)
    found = audit(member=member, nonmember=nonmember).auc
    first, second = placements(member, nonmember)
    test = ttest_ind(first, 1 - second, equal_var=False)
    error = test.confidence_interval(0.95).high - (first.mean() + second.mean() - 1)
    size = found.value * (1 - found.value) / (error / 1.959963984540054) ** 2
    size = min(size, 3 * members * nonmembers / (members + nonmembers + 1))
    expected = clopper_pearson(found.value * size, size, 0.025)
    np.testing.assert_allclose((found.lower, found.upper), expected, rtol=1e-9)


def won(scores, membership, kind):
    """Share of pairs won by the member: of all, or of one target model only, or of two."""
    of_member, of_nonmember = np.nonzero(membership)[0], np.nonzero(~membership)[0]
    kinds = {"all": np.ones_like, "within": lambda same: same, "between": np.logical_not}
    first, second = scores[membership][:, None], scores[~membership]
    counted = kinds[kind](of_member[:, None] == of_nonmember)
    return ((first > second) + (first == second) / 2)[counted].mean()


def limits_by_hand(low, high, variance, freedom):
    ends = []
    for value, end in ((low, 0), (high, 1)):
        size = value * (1 - value) / variance * (norm.ppf(0.975) / t_law.ppf(0.975, freedom)) ** 2
        ends.append(clopper_pearson(value * size, size, 0.025)[end])
    return ends


def test_auc_of_clusters_by_a_loop(rng):
    """Pairs of two target models, leaving out one after the other."""
    membership = np.arange(20) < np.array([[3], [15], [8], [10]])
    effect = np.array([[2.0], [0.0], [-1.0], [-3.0]])
    scores = (rng.normal(size=(4, 20)) + effect + membership).round(1)
    found = audit(scores=scores, membership=membership).auc
    across = won(scores, membership, "between")
    others = [np.arange(4) != t for t in range(4)]
    variance = np.square([won(scores[o], membership[o], "between") - across for o in others]).sum() * 3 / 4
    sizes = membership.sum(1), (~membership).sum(1)
    freedom = min(size.sum() ** 2 / np.square(size).sum() for size in sizes) - 1
    assert across < found.value - 0.01
    expected = limits_by_hand(across, found.value, variance, freedom)
    np.testing.assert_allclose((found.lower, found.upper), expected, rtol=1e-9)


def test_auc_of_two_clusters_by_hand(rng):
    """What moves a target model's members and non-members alike does not cancel."""
    membership = np.tile(np.arange(40) < 20, (2, 1))
    effect = np.array([[0.3], [-0.3]])
    scores = (rng.normal(size=(2, 40)) + effect + membership).round(1)
    found = audit(scores=scores, membership=membership).auc
    first, second = placements(scores[membership], scores[~membership])
    gaps = [np.subtract(*side.reshape(2, 20).mean(1)) for side in (first, second)]
    assert gaps[0] * gaps[1] < 0
    values = [won(scores, membership, kind) for kind in ("all", "within", "between")]
    expected = limits_by_hand(min(values), max(values), np.square(gaps).sum() / 4, 1)
    np.testing.assert_allclose((found.lower, found.upper), expected, rtol=1e-9)


def test_difference_of_two_clusters_does_not_cancel():
    """One pair of target models cannot say how much a shift moves the difference of their rates."""
    hits, false_hits, size = np.array([80, 40]), np.array([60, 20]), np.full(2, 100)
    found = difference_limits(hits, size, false_hits, size, 0.1)
    reach = t_law.ppf(0.9, 1) * np.sqrt(2 * 0.2**2)
    np.testing.assert_allclose((found.lower, found.upper), (0.2 - reach, min(0.2 + reach, 1)), rtol=1e-12)


def test_auc_of_copied_clusters_does_not_narrow(rng):
    """Fifty copies of a record in each of 40 target models tell as much as one."""
    member, nonmember = rng.normal(1, 1, (40, 1)), rng.normal(0, 1, (40, 1))
    once = audit(member=member, nonmember=nonmember)
    copied = audit(member=np.repeat(member, 50, 1), nonmember=np.repeat(nonmember, 50, 1))
    assert copied.auc.width > 0.9 * once.auc.width
    for few, many in zip(intervals(once)[:6], intervals(copied)[:6], strict=True):
        assert many.width > 0.5 * few.width


def test_what_cannot_be_resolved_is_said(rng):
    """(1 - 0.001)^k <= 0.0125, the error spent on the threshold, needs k >= 4380 non-members."""
    found = audit(member=rng.normal(5, 1, 500), nonmember=rng.normal(0, 1, 4379))
    assert found.tpr_at_fpr[0.001] is None
    name = "TPR at 0.1% FPR"
    assert found.unresolved == {name: "needs at least 4380 independent non-members, got 4379"}
    assert "needs at least 4380" in found.table()
    assert found.to_json()["tpr_at_fpr"]["0.001"] is None
    found = audit(member=rng.normal(5, 1, 500), nonmember=rng.normal(0, 1, 4380))
    assert found.tpr_at_fpr[0.001].lower > 0
    assert not found.unresolved


def test_target_models_are_worth_less_than_their_records(rng):
    shift = 3 * rng.normal(size=(10, 1))
    found = audit(member=rng.normal(1, 1, (10, 600)) + shift, nonmember=rng.normal(0, 1, (10, 600)) + shift)
    assert "got 6000 in 10 target models, worth" in found.unresolved["TPR at 0.1% FPR"]


def test_json(scores):
    found = audit(**scores, delta=0)
    read = json.loads(json.dumps(found.to_json(), allow_nan=False))
    assert read["advantage"] == {
        "lower": found.advantage.lower, "value": found.advantage.value, "upper": found.advantage.upper
    }  # fmt: skip
    assert set(read) >= {"balanced_accuracy", "auc", "tpr_at_fpr", "epsilon_lower"}
    assert set(read["tpr_at_fpr"]) == {"0.1", "0.01", "0.001"}
    assert (read["num_members"], read["num_nonmembers"], read["level"]) == (700, 900, 0.95)
    assert read["epsilon_lower"] == found.epsilon_lower.lower > 0.5


def test_table_names_every_metric(scores):
    table = audit(**scores).table()
    assert table.startswith("700 members, 900 non-members, one target model; 95% intervals\n")
    for name in (
        "advantage",
        "balanced accuracy",
        "AUC",
        "precision",
        "recall",
        "F1",
        "TPR at 1% FPR",
        "epsilon",
    ):
        assert f"\n{name} " in table


def test_roc_rows(scores):
    rows = audit(**scores).roc(num_points=21)
    assert len(rows) == 21
    assert rows[0]["fpr"] == pytest.approx(1 / 900)
    assert rows[0]["lower"] == 0
    assert all(row["lower"] <= row["value"] <= row["upper"] for row in rows)
    for key in ("fpr", "lower", "value", "upper"):
        assert np.all(np.diff([row[key] for row in rows]) >= 0)
    assert rows[-1] == {"fpr": 1.0, "lower": 1.0, "value": 1.0, "upper": 1.0}


@pytest.mark.parametrize("rows", [1, 6])
def test_all_scores_equal(rows):
    found = audit(member=np.ones((rows, 40)), nonmember=np.ones((rows, 50)))
    assert found.advantage.lower <= 0 <= found.advantage.upper < 0.2
    assert (found.auc.value, found.epsilon_lower.lower) == (0.5, 0)
    assert found.tpr_at_fpr[0.1].lower == 0


@pytest.mark.parametrize(("rows", "size"), [(1, 2), (2, 1), (2, 2), (3, 2), (5, 4)])
def test_hardly_any_records(rows, size, rng):
    found = audit(member=rng.normal(size=(rows, size)), nonmember=rng.normal(size=(rows, size)))
    assert found.advantage.lower <= 0 <= found.advantage.upper
    assert found.epsilon_lower.lower == 0
    assert found.tpr_at_fpr == dict.fromkeys((0.1, 0.01, 0.001))


@pytest.mark.parametrize("rows", [1, 6])
def test_perfect_separation(rows):
    found = audit(member=np.full((rows, 400), np.inf), nonmember=np.full((rows, 400), -np.inf))
    assert found.advantage.upper == 1
    assert found.advantage.lower > 0.98
    assert (found.auc.value, found.auc.upper) == (1, 1)
    assert 0.98 < found.auc.lower < 1
    assert found.tpr_at_fpr[0.1].lower > 0.98
    assert 3 < found.epsilon_lower.lower < np.log(rows * 400)


def test_infinite_scores_are_the_extremes(scores):
    sure = {name: np.where(x > 1.5, np.inf, np.where(x < -1, -np.inf, x)) for name, x in scores.items()}
    large = {name: np.where(x > 1.5, 1e300, np.where(x < -1, -1e300, x)) for name, x in scores.items()}
    for a, b in zip(intervals(audit(**sure))[2:], intervals(audit(**large))[2:], strict=True):
        if a.kind == b.kind and np.isfinite(a.upper):
            np.testing.assert_allclose(a.width, b.width, atol=0.05)
    np.testing.assert_equal(audit(**sure).auc, audit(**large).auc)
    assert audit(**sure).tpr_at_fpr == audit(**large).tpr_at_fpr


@pytest.mark.parametrize("dtype", [np.float16, np.float32, object, int])
def test_other_types_are_read_as_their_values(scores, dtype):
    rounded = {name: np.round(x * 4).astype(np.float16) for name, x in scores.items()}
    given = {name: x.astype(np.float64).astype(dtype) for name, x in rounded.items()}
    as_float64 = {name: x.astype(np.float64) for name, x in rounded.items()}
    assert audit(**given).to_json() == audit(**as_float64).to_json()


GOOD = np.arange(4.0)
BAD = {
    "nothing": ({}, "audit: expected member and nonmember, or scores and membership, got none of them"),
    "half": ({"member": GOOD}, "got member"),
    "mixed": ({"member": GOOD, "nonmember": GOOD, "scores": GOOD}, "got member, nonmember, scores"),
    "nan": ({"member": [1, np.nan], "nonmember": GOOD}, r"got 1 NaN, the first member\[1\]"),
    "masked": ({"member": np.ma.masked_greater(GOOD, 2), "nonmember": GOOD}, "member without masked values"),
    "empty": ({"member": [], "nonmember": GOOD}, "at least 2 members, got 0"),
    "one": ({"member": GOOD, "nonmember": [1.0]}, "at least 2 non-members, got 1"),
    "no member": ({"scores": GOOD, "membership": [0, 0, 0, 0]}, "at least 2 members, got 0"),
    "lengths": ({"scores": GOOD, "membership": [0, 1]}, r"equal shape, got \(4,\) and \(2,\)"),
    "membership": ({"scores": GOOD, "membership": GOOD}, "boolean, got values other than 0 and 1"),
    "rows": ({"member": np.ones((2, 4)), "nonmember": np.ones((3, 4))}, "equal rows .*, got 2 and 3"),
    "axes": ({"member": np.ones((2, 4, 1)), "nonmember": GOOD}, r"shape \(N,\) or \(T, N\)"),
    "text": ({"member": ["a", "b"], "nonmember": GOOD}, "member numeric"),
    "objects": ({"member": np.array([{}, 1.0], object), "nonmember": GOOD}, "member numeric"),
    "level": ({"member": GOOD, "nonmember": GOOD, "level": 95}, "level a finite number > 0 and < 1"),
    "delta": ({"member": GOOD, "nonmember": GOOD, "delta": 1.0}, r"delta a number in \[0, 1\)"),
    "one fpr": ({"member": GOOD, "nonmember": GOOD, "fprs": 2.0}, "fprs a finite number > 0 and < 1"),
    "fpr": ({"member": GOOD, "nonmember": GOOD, "fprs": [0.0]}, "fprs a finite number > 0 and < 1"),
    "halves of one kind": (
        {"scores": np.ones((4, 3)), "membership": [[1, 1, 1], [0, 0, 0], [0, 0, 0], [0, 0, 0]]},
        "members and non-members in each half of the target models",
    ),
    "halves": (
        {"scores": np.ones((2, 3)), "membership": [[1, 1, 1], [0, 0, 0]]},
        "members and non-members in each half of the target models",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("arguments", "message"), BAD.values(), ids=BAD)
def test_bad_inputs(arguments, message):
    with pytest.raises(InvalidInput, match=message) as caught:
        audit(**arguments)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("seed", range(20))
def test_rows_of_one_kind_are_spread_over_the_halves(seed, rng):
    membership = np.repeat([[True], [True], [False], [False]], 30, axis=1)
    found = audit(scores=rng.normal(size=(4, 30)) + membership, membership=membership, seed=seed)
    assert found.advantage.lower < found.advantage.value < found.advantage.upper


def test_files(tmp_path, scores):
    path = tmp_path / "scores.npz"
    np.savez_compressed(path, **scores, other=3)
    assert audit(**load(path)).to_json() == audit(**scores).to_json()
    np.savez(path, scores=[1.0, 2.0], membership=[True, False])
    assert list(load(path)) == ["scores", "membership"]


def damaged(path):
    np.savez(path, member=np.arange(1000.0), nonmember=np.arange(1000.0))
    path.write_bytes(path.read_bytes()[:5000])


FILES = {
    "missing": (lambda _: None, "cannot be read: No such file"),
    "damaged": (damaged, "damaged or truncated"),
    "text": (lambda path: path.write_text("member,nonmember\n"), "expected an .npz file"),
    "neither": (lambda path: np.savez(path, x=GOOD), "got none of them"),
    "one side": (lambda path: np.savez(path, member=GOOD), "but not both, got member"),
    "both": (
        lambda path: np.savez(path, member=GOOD, nonmember=GOOD, scores=GOOD, membership=GOOD),
        "but not both",
    ),
    "objects": (lambda path: np.savez(path, member=np.array([{}]), nonmember=GOOD), "got Python objects"),
}


@pytest.mark.parametrize(("write", "message"), FILES.values(), ids=FILES)
def test_bad_files(tmp_path, write, message):
    path = tmp_path / "scores.npz"
    write(path)
    with pytest.raises(InvalidInput, match=message) as caught:
        load(path)
    assert "\n" not in str(caught.value)


def test_epsilon_of_randomised_response(rng):
    """Bits kept with probability e / (1 + e): the truth is epsilon = 1, and many records come near it."""
    keep = np.e / (1 + np.e)
    n = 200_000
    found = audit(member=rng.random(n) < keep, nonmember=rng.random(n) > keep, delta=0.0)
    assert 0.9 < found.epsilon_lower.lower < 1
    less = audit(member=rng.random(n) < keep, nonmember=rng.random(n) > keep, delta=0.1)
    assert less.epsilon_lower.lower < np.log((keep - 0.1) / (1 - keep))


def test_epsilon_spends_its_error_on_three_families_of_tests():
    """One bit has one threshold: its two rates share a third of the error, by SciPy; the grid adds nothing."""
    bits = np.array([1.0] * 730 + [0.0] * 270)
    found = audit(member=bits, nonmember=1 - bits, level=0.9, delta=0.01).epsilon_lower
    level = 1 - 2 * 0.1 / 6
    tpr = binomtest(730, 1000).proportion_ci(level).low
    fpr = binomtest(270, 1000).proportion_ci(level).high
    np.testing.assert_allclose(found.lower, np.log((tpr - 0.01) / fpr), rtol=1e-9)


def test_epsilon_reads_both_directions(rng):
    """Sure non-members refute as much as sure members."""
    member, nonmember = rng.normal(size=5000), np.where(rng.random(5000) < 0.2, -9, rng.normal(size=5000))
    found = audit(member=member, nonmember=nonmember)
    mirrored = audit(member=-nonmember, nonmember=-member)
    assert mirrored.epsilon_lower.lower > 4
    assert found.epsilon_lower.lower > 4


def test_upper_end_is_the_largest_of_all_thresholds(rng):
    """Whichever threshold is best, its own upper limit is not larger; by SciPy, one threshold at a time."""
    for _ in range(20):
        member, nonmember = rng.normal(0.5, 1, 14), rng.normal(0, 1, 17)
        limits = []
        for threshold in [*member, *nonmember]:
            hits, false_hits = int((member >= threshold).sum()), int((nonmember >= threshold).sum())
            tpr, fpr = binomtest(hits, 14), binomtest(false_hits, 17)
            reach = np.hypot(tpr.proportion_ci().high - hits / 14, false_hits / 17 - fpr.proportion_ci().low)
            limits.append(min(hits / 14 - false_hits / 17 + reach, 1.0))
        assert audit(member=member, nonmember=nonmember).advantage.upper >= max(limits) - 1e-12


def test_more_records_tighten_at_the_root_rate():
    rng = np.random.default_rng(3)
    widths = [
        audit(member=rng.normal(1, 1, n), nonmember=rng.normal(0, 1, n)).advantage.width
        for n in (1000, 16000)
    ]
    assert 3.3 < widths[0] / widths[1] < 6


def test_gaussian_truth_with_many_records():
    """Everything known in closed form, a million records, a few thousandths of room."""
    rng = np.random.default_rng(11)
    found = audit(member=rng.normal(1, 1, 500_000), nonmember=rng.normal(0, 1, 500_000))
    for interval, truth in (
        (found.advantage, 2 * norm.cdf(0.5) - 1),
        (found.auc, norm.cdf(np.sqrt(0.5))),
        (found.tpr_at_fpr[0.01], norm.sf(norm.isf(0.01) - 1)),
        (found.tpr_at_fpr[0.001], norm.sf(norm.isf(0.001) - 1)),
        (found.recall, norm.cdf(0.5)),
    ):
        assert interval.width < 0.01
        assert abs(interval.value - truth) < 0.01


def test_scores_with_the_wrong_sign_are_said_and_left_as_they_are(rng):
    losses = {"member": rng.exponential(1.0, 300), "nonmember": rng.exponential(3.0, 300)}
    found = audit(**losses)
    assert found.auc.upper < 0.5
    said = "AUC below .5: are these losses? Larger scores must mean likelier members."
    assert found.table().endswith("\n" + said)
    assert found.to_json()["warning"] == found.warning == said
    labels, values = pooled(losses)
    np.testing.assert_allclose(found.auc.value, roc_auc_score(labels, values), rtol=1e-13)
    turned = audit(**{name: -x for name, x in losses.items()})
    assert not turned.warning
    assert "losses?" not in turned.table()
    np.testing.assert_allclose(turned.auc.value, 1 - found.auc.value, rtol=1e-12)


def test_what_may_be_chance_is_not_called_the_wrong_sign(rng):
    for _ in range(20):
        found = audit(member=rng.normal(-0.02, 1, 200), nonmember=rng.normal(0, 1, 200))
        assert bool(found.warning) == (found.auc.upper < 0.5)


@pytest.mark.parametrize("level", [1 - 1e-16, 1 - 1e-13, 1.0, 1e-300, 1e-6, 0.0, np.nan])
def test_levels_next_to_zero_and_one_are_refused(scores, level):
    with pytest.raises(InvalidInput, match="audit: expected level"):
        audit(**scores, level=level)


@pytest.mark.parametrize("rows", [1, 2, 5])
@pytest.mark.parametrize("level", [1e-3, 0.999999, 1 - 1e-12])
def test_levels_far_out_have_intervals(rng, rows, level):
    found = audit(member=rng.normal(1, 1, (rows, 50)), nonmember=rng.normal(0, 1, (rows, 50)), level=level)
    for interval in intervals(found):
        assert interval.lower <= interval.value <= interval.upper


@pytest.mark.parametrize("dtype", [np.int64, np.uint64, object])
def test_integers_of_more_digits_are_refused_and_exact_ones_told_apart(dtype):
    around = 1_700_000_000_000_000_000
    steps = np.arange(1, 101)
    with pytest.raises(InvalidInput, match="audit: expected member that float64 can tell apart"):
        audit(member=(around + steps).astype(dtype), nonmember=(around - steps).astype(dtype))
    found = audit(member=(around + 256 * steps).astype(dtype), nonmember=(around - 256 * steps).astype(dtype))
    assert found.auc.value == 1.0


@pytest.mark.parametrize(
    ("centre", "step"), [(1e9, 1e-6), (1e18, 256.0), (0.0, 5e-324), (1.0, 2.3e-16), (-1e300, 1e285)]
)
def test_floats_that_differ_by_their_last_digits_are_told_apart(centre, step):
    steps = np.arange(1, 101)
    found = audit(member=centre + step * steps, nonmember=centre - step * steps)
    assert found.auc.value == 1.0
    assert found.recall.value > 0.9


def test_folds_are_the_units_and_widen(rng):
    """Targets of a fold count as one row; its interval is sqrt(widening) times as wide in quantiles of Student's t."""
    membership = rng.random((12, 60)) < 0.5
    scores = rng.normal(size=(12, 60)) + 1.5 * membership
    folds = np.arange(12) % 4
    found = audit(scores=scores, membership=membership, folds=folds)
    order = np.argsort(folds, kind="stable")
    level = 1 - 2 * t_law.sf(t_law.ppf(0.975, 3) * np.sqrt(widening(4)), 3)
    expected = audit(
        scores=scores[order].reshape(4, 180), membership=membership[order].reshape(4, 180), level=level
    )
    for one, other in zip(intervals(found), intervals(expected), strict=True):
        np.testing.assert_allclose((one.lower, one.value, one.upper), (other.lower, other.value, other.upper))
        assert one.level == 0.95
    for one, other in zip(found.roc(), expected.roc(), strict=True):
        np.testing.assert_allclose(list(one.values()), list(other.values()))
    assert (found.num_targets, found.num_folds) == (12, 4)
    assert set(found.records()["target"]) == set(range(12))
    alone = audit(scores=scores, membership=membership)
    widths = [one.risks()["advantage_upper"] - one.risks()["advantage_lower"] for one in (found, alone)]
    assert widths[0].mean() > widths[1].mean() + 0.1


def test_folds_that_are_none_are_refused(rng):
    membership = rng.random((6, 60)) < 0.5
    arrays = {"scores": rng.normal(size=(6, 60)), "membership": membership}
    with pytest.raises(InvalidInput, match=r"expected folds, integers of shape \(6,\), got float64"):
        audit(**arrays, folds=np.zeros(6))
    with pytest.raises(InvalidInput, match="expected folds 0, 1, 2, … of which none is empty"):
        audit(**arrays, folds=[0, 0, 0, 1, 1, 1])


def test_counts_above_any_thresholds(rng):
    """Thresholds in any order, also equal ones, against counting one by one."""
    values, rows = rng.integers(0, 9, 200) / 1.0, rng.integers(0, 5, 200)
    sample = Sample.sort(values, rows, np.arange(200), 5)
    thresholds = np.array([3.0, 8.0, -1.0, 3.0, 9.0, 0.5])
    for strict, above in ((True, np.greater), (False, np.greater_equal)):
        expected = [[above(values[rows == t], x).sum() for t in range(5)] for x in thresholds]
        np.testing.assert_array_equal(sample.above(thresholds, strict=strict), expected)
