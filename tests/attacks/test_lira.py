import numpy as np
import pytest
from scipy.stats import norm

from mis.attacks import LiRA
from mis.numerics.checks import InvalidInput, UnsupportedSetting


def example(rng, models=12, examples=7, targets=3):
    membership = rng.random((models, examples)) < 0.5
    membership[:4] = np.array([True, False, True, False])[:, None]
    return {
        "shadow_scores": rng.normal(size=(models, examples)) * np.where(membership, 0.5, 2.0) + membership,
        "shadow_membership": membership,
        "target_scores": rng.normal(size=(targets, examples)),
    }


def naive(arrays, *, online, pooled):
    """Loop over examples and targets, densities by SciPy."""
    shadow, membership = arrays["shadow_scores"], arrays["shadow_membership"]
    into = [column[side] for column, side in zip(shadow.T, membership.T, strict=True)]
    out = [column[~side] for column, side in zip(shadow.T, membership.T, strict=True)]

    def spread(scores, i):
        if pooled:
            return np.sqrt(sum(((s - s.mean()) ** 2).sum() for s in scores) / sum(len(s) - 1 for s in scores))
        return scores[i].std(ddof=1)

    expected = np.empty_like(arrays["target_scores"])
    for (t, i), score in np.ndenumerate(arrays["target_scores"]):
        if online:
            expected[t, i] = norm.logpdf(score, into[i].mean(), spread(into, i))
            expected[t, i] -= norm.logpdf(score, out[i].mean(), spread(out, i))
        else:
            expected[t, i] = (score - out[i].mean()) / spread(out, i)
    return expected


@pytest.mark.parametrize("online", [True, False])
@pytest.mark.parametrize("variance", ["per-example", "pooled"])
def test_naive_loop(rng, online, variance):
    arrays = example(rng)
    scores = LiRA(online=online, variance=variance).scores(**arrays)
    expected = naive(arrays, online=online, pooled=variance == "pooled")
    np.testing.assert_allclose(scores, expected, rtol=1e-11, atol=1e-12)


@pytest.mark.parametrize("variance", ["per-example", "pooled"])
def test_each_side_has_its_own_variance(variance):
    """The peers' defect: the out variance taken from the in scores gives this score as 0."""
    into, out = np.array([-1.0, 0.0, 1.0]), 10.0 * np.array([-1.0, 0.0, 1.0])
    shadow_scores = np.concatenate([into, out])[:, None]
    membership = np.array([True] * 3 + [False] * 3)[:, None]
    score = LiRA(variance=variance).scores(
        shadow_scores=shadow_scores, shadow_membership=membership, target_scores=[3.0]
    )
    np.testing.assert_allclose(score, -(9 - 0.09) / 2 + np.log(10), rtol=1e-14)


def test_reaches_the_optimal_error_when_the_gaussians_are_true(rng):
    """With many shadows the score is the true log likelihood ratio: AUC is Phi(1 / sqrt 2)."""
    membership = np.zeros((400, 2000), bool)
    membership[::2] = True
    target_membership = rng.random(2000) < 0.5
    offset = rng.normal(size=2000) * 10
    scores = LiRA().scores(
        shadow_scores=rng.normal(size=membership.shape) + membership + offset,
        shadow_membership=membership,
        target_scores=rng.normal(size=2000) + target_membership + offset,
    )
    member, nonmember = scores[target_membership], scores[~target_membership]
    auc = np.mean(member[:, None] > nonmember)
    assert abs(auc - norm.cdf(np.sqrt(0.5))) < 5 * 0.5 / np.sqrt(1000)


def test_large_offset_costs_no_digits(rng):
    """Shifting by a power of two is exact, so the scores may not move at all beyond rounding of the input."""
    arrays = example(rng)
    arrays = {k: np.round(v * 2**10) / 2**10 if v.dtype != bool else v for k, v in arrays.items()}
    shifted = {k: v + 2.0**40 if v.dtype != bool else v for k, v in arrays.items()}
    np.testing.assert_allclose(LiRA().scores(**shifted), LiRA().scores(**arrays), rtol=1e-9)


def test_blocks_do_not_show(rng):
    arrays = example(rng, models=40, examples=2000, targets=1)
    whole = LiRA().scores(**arrays)
    one = LiRA().scores(**{k: v[:, 1234:1235] for k, v in arrays.items()})
    np.testing.assert_allclose(whole[:, 1234:1235], one, rtol=1e-12)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, object])
def test_other_types_are_read_as_their_values(rng, dtype):
    arrays = example(rng)
    rounded = {k: v.astype(np.float16) if v.dtype != bool else v for k, v in arrays.items()}
    as_given = {k: v.astype(dtype) if v.dtype != bool else v for k, v in rounded.items()}
    as_float64 = {k: v.astype(np.float64) if v.dtype != bool else v for k, v in rounded.items()}
    np.testing.assert_array_equal(LiRA().scores(**as_given), LiRA().scores(**as_float64))


def test_infinite_scores_count_as_extremes(rng):
    arrays = example(rng)
    arrays["shadow_scores"][0, 0] = np.inf
    arrays["shadow_scores"][1, 0] = -np.inf
    arrays["target_scores"][0, :2] = np.inf, -np.inf
    finite = {k: v.copy() for k, v in arrays.items()}
    known = arrays["shadow_scores"][np.isfinite(arrays["shadow_scores"])]
    row = arrays["target_scores"][0, 2:]
    finite["shadow_scores"][:2, 0] = known.max(), known.min()
    finite["target_scores"][0, :2] = max(known.max(), row.max()), min(known.min(), row.min())
    np.testing.assert_array_equal(LiRA().scores(**arrays), LiRA().scores(**finite))


def test_only_infinite_scores_still_separate():
    membership = np.array([[True], [True], [False], [False]])
    scores = LiRA().scores(
        shadow_scores=np.where(membership, np.inf, -np.inf),
        shadow_membership=membership,
        target_scores=[[np.inf], [-np.inf]],
    )
    assert scores[0] > 0 > scores[1]


def test_all_scores_equal_tell_nothing():
    membership = np.array([[True, True], [True, True], [False, False], [False, False]])
    scores = LiRA().scores(
        shadow_scores=np.full((4, 2), 0.1), shadow_membership=membership, target_scores=[0.1, 0.7]
    )
    np.testing.assert_array_equal(scores, 0.0)


def test_one_model_on_a_side_takes_the_pooled_variance(rng):
    arrays = example(rng)
    arrays["shadow_membership"][:, 0] = False
    arrays["shadow_membership"][3, 0] = True
    per_example, pooled = LiRA().scores(**arrays), naive(arrays, online=True, pooled=True)
    out = arrays["shadow_scores"][~arrays["shadow_membership"][:, 0], 0]
    spread = np.sqrt(
        np.sum([((s - s.mean()) ** 2).sum() for s in _in_scores(arrays)])
        / np.sum([len(s) - 1 for s in _in_scores(arrays)])
    )
    target = arrays["target_scores"][:, 0]
    expected = norm.logpdf(target, arrays["shadow_scores"][3, 0], spread)
    expected -= norm.logpdf(target, out.mean(), out.std(ddof=1))
    np.testing.assert_allclose(per_example[:, 0], expected, rtol=1e-11)
    np.testing.assert_allclose(LiRA(variance="pooled").scores(**arrays), pooled, rtol=1e-11)


def _in_scores(arrays):
    pairs = zip(arrays["shadow_scores"].T, arrays["shadow_membership"].T, strict=True)
    return [column[side] for column, side in pairs]


def test_empty_sides(rng):
    arrays = example(rng)
    arrays["shadow_membership"][:, 2] = False
    with pytest.raises(
        UnsupportedSetting, match="1 of 7 examples have no 'in' shadow model, the first is number 2"
    ):
        LiRA().scores(**arrays)
    np.testing.assert_allclose(
        LiRA(online=False).scores(**arrays), naive(arrays, online=False, pooled=False), rtol=1e-11
    )
    arrays["shadow_membership"][:, 2] = True
    with pytest.raises(UnsupportedSetting, match="no 'out' shadow model"):
        LiRA(online=False).scores(**arrays)


def test_no_variance_from_one_model():
    with pytest.raises(UnsupportedSetting, match="no example has two 'in' shadow models"):
        LiRA().scores(shadow_scores=[[1.0], [0.0]], shadow_membership=[[True], [False]], target_scores=[1.0])


def test_settings_are_refused():
    with pytest.raises(InvalidInput, match=r"variance one of per-example, pooled, got variance='pool'"):
        LiRA(variance="pool")
    with pytest.raises(InvalidInput, match="online True or False"):
        LiRA(online="yes")


def auc(scores, membership):
    member, nonmember = scores[membership], scores[~membership]
    return np.mean(member[:, None] > nonmember)


# What stands for infinity after ``nan_to_num`` in half, single and double precision, and sizes between.
WILD = [65504.0, 1e15, 1e37, 3.4e38, float(np.finfo(np.float32).max), 1e300, np.inf]


@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize("wild", WILD)
@pytest.mark.parametrize("model", [0, 5])
@pytest.mark.parametrize("online", [True, False])
def test_one_wild_score_is_its_own_examples_matter(wild, sign, model, online):
    rng = np.random.default_rng(0)
    membership = rng.random((16, 300)) < 0.5
    membership[:4] = np.array([True, False, True, False])[:, None]
    of_target = rng.random(300) < 0.5
    clean = {
        "shadow_scores": rng.normal(size=membership.shape) + 2.0 * membership,
        "shadow_membership": membership,
        "target_scores": rng.normal(size=300) + 2.0 * of_target,
    }
    scores = clean["shadow_scores"].copy()
    scores[model, 0] = sign * wild
    poisoned = clean | {"shadow_scores": scores}
    others = np.arange(300) > 0
    before, after = (LiRA(online=online).scores(**given) for given in (clean, poisoned))
    np.testing.assert_array_equal(after[others], before[others])
    pooled = LiRA(online=online, variance="pooled")
    before, after = (pooled.scores(**given) for given in (clean, poisoned))
    # One of three hundred examples is pooled with the others or not.
    np.testing.assert_allclose(after[others], before[others], rtol=0.03, atol=0.03)
    assert auc(after[others], of_target[others]) == pytest.approx(
        auc(before[others], of_target[others]), abs=1e-3
    )


def test_a_single_model_takes_no_variance_from_a_wild_example(rng):
    arrays = example(rng, models=12, examples=30)
    arrays["shadow_membership"][:, 1] = np.arange(12) == 3
    before = LiRA().scores(**arrays)
    arrays["shadow_scores"][0, 0] = 1e20
    np.testing.assert_allclose(LiRA().scores(**arrays)[:, 1], before[:, 1], rtol=0.2)


def test_examples_of_another_kind_keep_their_own_variance(rng):
    arrays = example(rng, models=12, examples=30)
    arrays["shadow_scores"][:, 0] *= 1e4
    pooled, own = LiRA(variance="pooled").scores(**arrays), LiRA().scores(**arrays)
    np.testing.assert_allclose(pooled[:, 0], own[:, 0], rtol=1e-12)
    alone = LiRA(variance="pooled").scores(**{k: v[..., 1:] for k, v in arrays.items()})
    np.testing.assert_allclose(pooled[:, 1:], alone, rtol=1e-12)


def test_ties_of_one_example_beside_a_wild_one():
    """The floor that ties take is that of a usual example, not a share of the wildest score."""
    membership = np.tile(np.array([[True], [False]] * 3), 6)
    shadow = np.tile(np.array([[2.0], [0.0], [3.0], [1.0], [2.5], [0.5]]), 6)
    shadow[:, 1] = 1.0 + membership[:, 1]
    arrays = {"shadow_scores": shadow, "shadow_membership": membership, "target_scores": np.full(6, 1.9)}
    before = LiRA().scores(**arrays)
    arrays["shadow_scores"] = shadow.copy()
    arrays["shadow_scores"][2, 0] = 1e30
    np.testing.assert_array_equal(LiRA().scores(**arrays)[1:], before[1:])
    assert before[1] > 1e10
