import numpy as np
import pytest
from scipy.integrate import quad
from scipy.stats import norm, t

from mis.attacks import Optimal, audit, counting_advantage
from mis.numerics.checks import InvalidInput, UnsupportedSetting


def exact_sign_of_mean(n, mean):
    """Delta of the sign of the mean of n draws of N(mean, 1), by quadrature of the shift of z."""
    prob = norm.cdf(mean * np.sqrt(n))

    def gap(z):
        return abs(norm.cdf((z + (n - 1) * mean) / np.sqrt(n - 1)) - prob) * norm.pdf(z, mean)

    # The conditional probability crosses the unconditional one here.
    kink = np.sqrt(n - 1) * norm.ppf(prob) - (n - 1) * mean
    return quad(gap, kink, np.inf)[0] + quad(gap, -np.inf, kink)[0]


def refits(rng, n, mean, examples, with_each, without):
    """Codes of the sign of the mean, with each of some examples and without."""
    z = rng.normal(mean, 1, examples)
    rest = rng.normal((n - 1) * mean, np.sqrt(n - 1), (examples, with_each))
    return (rest + z[:, None] > 0).astype(int), (rng.normal(n * mean, np.sqrt(n), without) > 0).astype(int)


@pytest.mark.parametrize(("n", "mean"), [(2, 0.0), (10, 0.3), (30, 0.0)])
def test_meets_the_exact_value(n, mean):
    truth = exact_sign_of_mean(n, mean)
    found = counting_advantage(*refits(np.random.default_rng(1), n, mean, 3000, 2000, 200_000))
    assert found.kind == "attack"
    assert found.lower <= truth <= found.upper
    assert found.width < 0.2 * truth


@pytest.mark.parametrize("repetitions", [200, pytest.param(2000, marks=pytest.mark.slow)])
@pytest.mark.parametrize(("n", "examples", "with_each"), [(4, 10, 20), (30, 40, 30), (10_000, 50, 20)])
def test_never_exceeds_the_exact_value(n, examples, with_each, repetitions):
    """Few refits: too weak an attack, but the lower limit is wrong in at most 2.5% (and the value not high)."""
    truth = exact_sign_of_mean(n, 0.0)
    rng = np.random.default_rng(5)
    found = [counting_advantage(*refits(rng, n, 0.0, examples, with_each, 400)) for _ in range(repetitions)]
    wrong = sum(interval.lower > truth for interval in found)
    assert wrong <= repetitions * 0.025 + 5 * np.sqrt(repetitions * 0.025)
    values = np.array([interval.value for interval in found])
    assert values.mean() <= truth + 5 * values.std() / np.sqrt(repetitions)


def test_without_exchange_it_would_exceed():
    """The plug-in distance finds an advantage where there is none; this one does not."""
    rng = np.random.default_rng(2)
    codes = rng.integers(0, 8, (200, 20)), rng.integers(0, 8, 2000)
    frequencies = [np.apply_along_axis(np.bincount, -1, x, minlength=8) / x.shape[-1] for x in codes]
    assert np.abs(frequencies[0] - frequencies[1]).sum(axis=1).mean() / 2 > 0.15
    found = counting_advantage(*codes)
    assert found.lower <= 0 <= found.upper < 0.05


def test_interval_by_a_loop(rng):
    """Halves, calls and both variances written out, one refit at a time."""
    with_each, without = rng.integers(0, 4, (5, 61)), rng.integers(0, 4, 301)
    with_each[:3, ::2] = 2
    hits, calls = np.zeros(5), np.zeros((5, 301))
    halves = (range(30), range(30, 61)), (range(150), range(150, 301))
    for learn, use in ((0, 1), (1, 0)):
        for j in range(5):
            codes, others = with_each[j, halves[0][learn]], without[halves[1][learn]]
            likelier = [np.mean(codes == k) > np.mean(others == k) for k in range(4)]
            hits[j] += sum(likelier[with_each[j, r]] for r in halves[0][use]) / 61
            for r in halves[1][use]:
                calls[j, r] = likelier[without[r]]
    differences = hits - calls.mean(axis=1)
    variance = differences.var(ddof=1) / 5 + calls.mean(axis=0).var(ddof=1) / 301
    reach = t.ppf(0.975, 4) * np.sqrt(variance)
    found = counting_advantage(with_each, without)
    expected = differences.mean() + np.array([-reach, 0, reach])
    np.testing.assert_allclose([found.lower, found.value, found.upper], expected, rtol=1e-12)


def test_one_example_and_certain_release():
    found = counting_advantage([[1] * 500], [0] * 500)
    assert (found.value, found.upper) == (1, 1)
    assert 0.98 < found.lower < 1
    none = counting_advantage([[0] * 500] * 30, [0] * 500)
    assert none.lower <= 0 <= none.upper < 0.02


def test_the_numbers_of_the_codes_do_not_matter(rng):
    with_each, without = rng.integers(0, 6, (5, 60)), rng.integers(0, 6, 300)
    large = np.array([7, 2**60, 3, 2**60 + 1, 2**62, 10**6])
    found, expected = (
        counting_advantage(*codes) for codes in ((large[with_each], large[without]), (with_each, without))
    )
    assert found.value == pytest.approx(expected.value, rel=1e-9)
    assert found.lower == pytest.approx(expected.lower, rel=1e-9)


def test_scores_are_the_log_ratio_of_counts(rng):
    membership = rng.random((500, 3)) < 0.5
    codes = membership[:, 0] * 10 + rng.integers(0, 2, 500) * 3
    scores = Optimal().scores(
        shadow_codes=codes, shadow_membership=membership, target_codes=[0, 3, 10, 13, 99]
    )
    assert scores.shape == (5, 3)
    for (i, j), score in np.ndenumerate(scores):
        code = (0, 3, 10, 13, 99)[i]
        sides = membership[:, j], ~membership[:, j]
        shares = [((codes[side] == code).sum() + 0.5) / (side.sum() + 2) for side in sides]
        expected = np.log(shares[0] / shares[1]) if code != 99 else 0
        np.testing.assert_allclose(score, expected, atol=1e-12)


def test_no_attack_on_the_release_does_better(rng):
    """On the number of members among five examples: Neyman and Pearson against the count itself."""
    membership = rng.random((20_000, 5)) < 0.5
    codes = membership.sum(axis=1) + rng.integers(0, 3, 20_000)
    fit, test = slice(None, 15_000), slice(15_000, None)
    scores = Optimal().scores(
        shadow_codes=codes[fit], shadow_membership=membership[fit], target_codes=codes[test]
    )
    best = audit(scores=scores, membership=membership[test]).advantage
    count = audit(scores=np.repeat(codes[test, None], 5, 1), membership=membership[test]).advantage
    assert best.upper >= count.lower
    assert abs(best.value - count.value) < 0.01


def test_refusals():
    with pytest.raises(UnsupportedSetting, match="no 'out' shadow model"):
        Optimal().scores(shadow_codes=[0, 1], shadow_membership=[[1], [1]], target_codes=[0])
    with pytest.raises(
        UnsupportedSetting, match=r"1 examples have no 'in' shadow model, .* leave them out\.$"
    ):
        Optimal().scores(shadow_codes=[0, 1], shadow_membership=[[0], [0]], target_codes=[0])
    with pytest.raises(InvalidInput, match="class numbers 0, 1, 2"):
        counting_advantage([[0.5, 1]], [0, 1])
    with pytest.raises(InvalidInput, match=r"got shapes \(2,\) and \(2,\)"):
        counting_advantage([0, 1], [0, 1])
    with pytest.raises(InvalidInput, match="level a finite number > 0 and < 1"):
        counting_advantage([[0, 1]], [0, 1], level=2)
