"""Pruning, noise and chains against what they are made of."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from mis import quantizers, theory
from mis.numerics.checks import InvalidInput, UnsupportedSetting
from mis.quantizers import Noise, Prune, parse
from mis.quantizers.joint import Joint

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


@pytest.mark.parametrize("xp", [np, pytest.param(jnp, marks=pytest.mark.slow)], ids=["numpy", "jax"])
def test_pruning_globally_has_one_threshold_and_leaves_no_tensor_empty(xp, rng):
    layers = [rng.standard_normal(shape).astype(np.float32) * c for shape, c in (((20, 5), 3), ((6, 7), 1))]
    layers.append(np.float32([[1e-3], [-2e-3]]))
    fitted = parse("prune-70-global").fit_network
    # In one program: one operation after another takes seconds to compile.
    channels = (jax.jit(fitted) if xp is jnp else fitted)([xp.asarray(layer) for layer in layers])
    released = [np.asarray(channel.apply(xp.asarray(w))) for channel, w in zip(channels, layers, strict=True)]
    together = np.concatenate([layer.ravel() for layer in layers])
    cut = np.sort(np.abs(together))[round(0.7 * together.size)]
    for layer, found in zip(layers[:2], released[:2], strict=True):
        np.testing.assert_array_equal(found, np.where(np.abs(layer) >= cut, layer, 0))
    np.testing.assert_array_equal(released[2], np.float32([[0], [-2e-3]]))
    # A zero tells that the weight is below the threshold of its tensor, which is seen: the least that survives.
    for channel, found in zip(channels, released, strict=True):
        cell = channel.observation(xp.asarray(found))
        least = cut if found.size > 2 else np.float32(2e-3)
        np.testing.assert_array_equal(cell.upper, np.where(found == 0, least, found))
        np.testing.assert_array_equal(cell.lower, np.where(found == 0, -least, found))
    assert quantizers.quantize(parse("prune-70-global"), layers)[1].tolist() == released[1].tolist()


def test_theory_sees_the_tensors_pruned_together(rng):
    layers = [rng.standard_normal((30, 4)), 0.1 * rng.standard_normal((20, 4))]
    alone, together = (
        [theory.retained_information(layers, 0.05, parse(n)).value for n in pair]
        for pair in (("prune-50", "prune-50+uniform-8"), ("prune-50-global", "prune-50-global+uniform-8"))
    )
    channels = parse("prune-50-global").fit_network(layers)
    shares = [
        channel.information(w, np.full(w.shape, 0.05)).ravel()
        for channel, w in zip(channels, layers, strict=True)
    ]
    assert together[0] == pytest.approx(np.concatenate(shares).mean(), rel=1e-12)
    assert together[0] != pytest.approx(alone[0], rel=1e-3)
    assert together[1] < together[0]
    error = sum(
        float(np.square(channel.apply(w) - w).sum()) for channel, w in zip(channels, layers, strict=True)
    )
    size = sum(np.square(layer).sum() for layer in layers)
    assert theory.weight_error(layers, parse("prune-50-global")) == pytest.approx(error / size, rel=1e-12)
    # Noise beside it has the error of each tensor, here pruned with the other.
    noise = parse("noise-like-prune-50-global").fit_network(layers)
    for channel, one, w in zip(channels, noise, layers, strict=True):
        assert one.sd == pytest.approx(np.sqrt(np.square(channel.apply(w) - w).mean()), rel=1e-12)
    # Cells of both intersected: the zone of the network, not one of each tensor.
    both = Joint(quantizers=(parse("prune-50-global+uniform-8"), parse("sign"))).fit_network(layers)
    for joint, channel in zip(both, channels, strict=True):
        assert {np.nextafter(-channel.threshold, 0), 0.0, channel.threshold} <= set(joint.edges)


def test_a_zero_drawn_at_random_says_nothing(rng):
    weights = rng.standard_normal((40, 25))
    channel = parse("prune-60-random").fit(weights)
    released = channel.apply(weights)
    zero = released == 0
    assert zero.sum() == 600
    np.testing.assert_array_equal(released[~zero], weights[~zero])
    cell = channel.observation(released)
    assert (cell.lower[zero] == -np.inf).all()
    assert (cell.upper[zero] == np.inf).all()
    np.testing.assert_array_equal(cell.posterior_mean(0.3, 2.0), np.where(zero, 0.3, weights))
    shares = channel.information(weights, np.full(weights.shape, 0.1))
    np.testing.assert_array_equal(shares, np.where(zero, 0.0, 1.0))
    # A share of any magnitudes: 600 draws without replacement, of the sum of squares its mean and deviation.
    squares = np.square(weights)
    deviation = squares.std() * np.sqrt(600 * 400 / 999)
    assert abs(squares[zero].sum() - 600 * squares.mean()) < 5 * deviation


def test_the_draw_is_by_seed_place_and_size_and_nested(rng):
    layers = [rng.standard_normal((30, 4)) for _ in range(2)]
    first, second = (channel.survives for channel in parse("prune-50-random").fit_network(layers))
    assert not np.array_equal(first, second)
    again = parse("prune-50-random").fit_network([10 * layer for layer in layers])
    np.testing.assert_array_equal(again[1].survives, second)
    other = parse("prune-50-random-seed-1").fit_network(layers)
    assert not np.array_equal(other[0].survives, first)
    more = parse("prune-80-random").fit_network(layers)
    assert not more[0].survives[~first].any()
    # One weight survives, as after pruning by size.
    assert (parse("prune-99-random")(np.ones(5)) != 0).sum() == 1


def test_a_random_choice_is_quantized_on_its_own_grid(rng):
    weights = rng.standard_normal((30, 4))
    channel = parse("prune-50-random+sign").fit(weights)
    kept = channel.survives
    level = np.abs(weights[kept]).mean()
    np.testing.assert_allclose(
        channel.apply(weights), np.where(kept, np.sign(weights) * level, 0), rtol=1e-14
    )
    cell = channel.observation(channel.apply(weights))
    assert (np.isinf(cell.lower) & np.isinf(cell.upper) == ~kept).all()
    assert ((cell.lower == 0) | (cell.upper == 0) == kept).all()
    # Fine-tuning moves each level by the slopes of what is on it, and no zero.
    slopes = rng.standard_normal(weights.shape)
    moved = np.asarray(channel.followed(jnp.asarray(channel.apply(weights)), jnp.asarray(slopes)))
    for side in (weights < 0, weights >= 0):
        np.testing.assert_allclose(moved[kept & side], slopes[kept & side].sum(), rtol=1e-4)
    assert not moved[~kept].any()
    signs = np.mean(weights[kept] < 0)
    assert channel.entropy(weights) == pytest.approx(
        0.5 * stats.entropy([signs, 1 - signs], base=2), rel=1e-12
    )
    assert parse("prune-50-random").fit(weights).entropy(weights) == 16.0


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("prune-50-global-random", "a random choice has no threshold; leave global or random"),
        ("prune-50-seed-3", "only a random choice has a seed"),
        ("prune-50+prune-60+sign", "prune-50.prune-60.sign prunes twice; take the larger share once"),
        ("prune-50-global+sign", "whose number is not fixed after prune-50-global; prune by tensor, or"),
        ("uniform-4+prune-50", "expected first a Prune, got"),
        ("prune-50+full", "expected second a quantizer with levels"),
    ],
)
def test_what_makes_no_sense(name, message):
    with pytest.raises((InvalidInput, UnsupportedSetting), match=message):
        parse(name)


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
