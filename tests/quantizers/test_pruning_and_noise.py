"""Pruning, noise and chains against what they are made of."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from mis import theory
from mis.numerics.checks import InvalidInput
from mis.quantizers import Noise, Prune, parse

EACH = pytest.mark.parametrize("xp", [np, jnp], ids=["numpy", "jax"])


@EACH
@pytest.mark.parametrize("percent", [1, 50, 90, 99])
def test_pruning_zeroes_the_smallest_and_keeps_the_rest(percent, xp, rng):
    weights = rng.standard_normal((20, 25)).astype(np.float32)
    released = np.asarray(Prune(zeros=percent / 100)(xp.asarray(weights)))
    smallest = np.argsort(np.abs(weights), axis=None)[: round(percent / 100 * 500)]
    expected = weights.copy()
    expected.flat[smallest] = 0
    assert np.array_equal(released, expected)


def test_of_equal_magnitudes_all_survive():
    weights = np.array([1.0, -2.0, 2.0, 2.0, 0.5, 3.0])
    assert Prune(zeros=0.5)(weights).tolist() == [0, -2, 2, 2, 0, 3]
    assert not Prune(zeros=0.5)(np.zeros(4)).any()


@pytest.mark.parametrize("percent", [10, 50, 90])
def test_pruning_then_sign_is_ternary(percent, rng):
    weights = rng.standard_normal((30, 7))
    chain, ternary = parse(f"prune-{percent}+sign"), parse(f"ternary-{percent}")
    np.testing.assert_allclose(chain(weights), ternary(weights), rtol=1e-14)
    np.testing.assert_allclose(chain.fit(weights).edges, ternary.fit(weights).edges, rtol=1e-14)
    assert chain.bits == ternary.bits
    spread = np.full(weights.shape, 0.1)
    kept = [theory.retained_information(weights, spread, q).value for q in (chain, ternary)]
    assert kept[0] == pytest.approx(kept[1], rel=1e-12)


SECOND = ["uniform-4", "uniform-4-asymmetric", "nf4", "fp4-e2m1", "power-of-two-3", "codebook-8", "uniform-8"]


@pytest.mark.parametrize(
    ("second", "xp"),
    [
        *(pytest.param(second, np, id=f"{second}-numpy") for second in SECOND),
        # A compilation for every operation.
        pytest.param("uniform-4", jnp, id="uniform-4-jax"),
        *(pytest.param(second, jnp, id=f"{second}-jax", marks=pytest.mark.slow) for second in SECOND[1:]),
    ],
)
def test_a_chain_quantizes_the_survivors_on_their_own_grid(second, xp, rng):
    weights = rng.standard_normal((20, 30)).astype(np.float32)
    weights = xp.asarray(weights)
    pruned = np.asarray(Prune(zeros=0.6)(weights))
    survives = pruned != 0
    released = np.asarray(parse(f"prune-60+{second}")(weights))
    assert not released[~survives].any()
    grid = parse(second).fit(xp.asarray(np.sort(pruned[survives])))
    alone = np.asarray(grid.apply(xp.asarray(pruned[survives])))
    np.testing.assert_allclose(released[survives], alone, rtol=1e-5, atol=1e-6)


def test_a_survivor_keeps_its_sign(rng):
    # Of two levels fitted to one heap of small negative and one of large positive weights, both lie far from .5.
    weights = np.array([-0.45, -0.45, -0.45, 0.44, 9.0, 9.0, 0.01, 0.02])
    grid = parse("prune-25+codebook-2").fit(weights)
    assert np.array_equal(np.sign(grid.apply(weights)), [-1, -1, -1, 0, 1, 1, 0, 0])
    seen = grid.observation(grid.apply(weights))
    assert (seen.lower <= weights).all()
    assert (weights < seen.upper).all()
    # The release is a function of the weight that never falls.
    line = np.sort(rng.uniform(-10, 10, 1000))
    assert (np.diff(grid.apply(line)) >= 0).all()


def test_one_cell_for_all_that_is_released_as_zero(rng):
    weights = rng.standard_normal(400)
    threshold = float(Prune(zeros=0.5).fit(weights).threshold)
    step = np.abs(weights).max() / 3
    grid = parse("prune-50+uniform-3").fit(weights)
    zero = grid.observation(np.zeros(1))
    assert [zero.lower, zero.upper] == pytest.approx([-max(threshold, step / 2), max(threshold, step / 2)])


def test_chains_per_channel(rng):
    weights = rng.standard_normal((50, 3)) * [1, 10, 100]
    released = parse("prune-10+uniform-4-channel")(weights)
    survives = Prune(zeros=0.1)(weights) != 0
    alone = parse("uniform-4-channel")(np.where(survives, weights, 0))
    np.testing.assert_allclose(released, np.where(survives, alone, 0), rtol=1e-14)


@EACH
@pytest.mark.parametrize("sd", [0.1, 1.5])
def test_noise_is_normal_and_of_its_size(sd, xp, rng):
    weights = (7 + rng.standard_normal((100, 200))).astype(np.float32)
    noise = np.asarray(Noise(sd=sd)(xp.asarray(weights), key=jax.random.key(5))) - weights
    size = sd * np.sqrt(np.mean(np.square(weights, dtype=float)))
    assert stats.kstest(noise.ravel() / size, "norm").pvalue > 1e-4
    assert theory.weight_error(weights, Noise(sd=sd)) == pytest.approx(sd**2, rel=1e-5)


def test_noise_needs_a_key():
    with pytest.raises(
        InvalidInput, match=r"Noisy\.apply: expected key a JAX key, because the noise is random"
    ):
        Noise(sd=0.1)(np.ones(3))


def test_baselines_of_pruning(rng):
    weights = rng.standard_normal(1000)
    pruned = Prune(zeros=0.9)(weights)
    expected = np.sum((pruned - weights) ** 2) / np.sum(weights**2)
    assert theory.weight_error(weights, Prune(zeros=0.9)) == pytest.approx(expected, rel=1e-12)
    entropy = stats.entropy([0.9, 0.1], base=2) + 3.2
    assert theory.code_entropy(weights, Prune(zeros=0.9)) == pytest.approx(entropy, rel=1e-12)
    assert Prune(zeros=0.9).bits == pytest.approx(entropy, rel=1e-12)


def test_more_pruning_lets_less_through(rng):
    weights = rng.standard_normal((40, 5))
    names = ["prune-10", "prune-50", "prune-90", "prune-90+uniform-8", "prune-90+uniform-3", "prune-90+sign"]
    kept = [theory.retained_information(weights, 0.1, parse(name)).value for name in names]
    assert sorted(kept, reverse=True) == kept
    assert kept[0] < 1
