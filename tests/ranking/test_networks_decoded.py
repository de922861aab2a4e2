import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mis.attacks import decode
from mis.quantizers import parse
from mis.quantizers.observations import joint
from mis.ranking.decoding import MOST_LEVELS, cells_of, codes, posterior_mean

MODELS, SHAPE = 12, (7, 3)


@pytest.fixture
def weights(rng):
    """Weights that some cells are tight and others wide for, and one that never moves."""
    base = rng.normal(size=SHAPE)
    found = base + rng.uniform(0.02, 0.5, size=SHAPE) * rng.normal(size=(MODELS, *SHAPE))
    found[:, 2, 1] = base[2, 1]
    return found.astype(np.float32)


def release(name, weights):
    quantizer = parse(name)

    def one(layer):
        grid = quantizer.fit(layer)
        return grid.apply(layer), cells_of(grid)

    return jax.lax.map(one, jnp.asarray(weights))


SHADOWS = np.arange(MODELS) < 9


@pytest.mark.parametrize(
    "name", ["sign", "uniform-2", "uniform-4", "uniform-3-channel", "uniform-3-asymmetric", "nf4"]
)
def test_decodes_every_network_in_its_own_cells(weights, name):
    """Where edges are in proportion to the largest level, they are the network's own."""
    released, cells = release(name, weights)
    full = jnp.asarray(weights)
    found = posterior_mean(full, [(codes(released, cells), cells)], jnp.asarray(SHADOWS))
    shadows = weights[SHADOWS].astype(float)
    mean, spread = shadows.mean(axis=0), shadows.std(axis=0, ddof=1)
    if name == "uniform-3-asymmetric":
        # Its ends move apart: cells of a few models differ from the shadows' mean.
        assert np.mean((found - weights) ** 2) < np.mean((released - weights) ** 2)
        return
    for m in range(MODELS):
        grid = parse(name).fit(weights[m])
        np.testing.assert_array_equal(codes(released, cells)[m], grid.codes(weights[m]))
        expected = decode(grid.observation(np.asarray(released[m])), mean, spread)
        np.testing.assert_allclose(found[m], expected, rtol=2e-3, atol=2e-4)


def test_two_releases_are_decoded_in_the_cells_they_share(weights):
    names, full = ("sign", "uniform-3"), jnp.asarray(weights)
    parts = [release(name, weights) for name in names]
    seen = [(codes(released, cells), cells) for released, cells in parts]
    found = posterior_mean(full, seen, jnp.asarray(SHADOWS))
    shadows = weights[SHADOWS].astype(float)
    mean, spread = shadows.mean(axis=0), shadows.std(axis=0, ddof=1)
    for m in range(MODELS):
        cells = [
            parse(name).fit(weights[m]).observation(np.asarray(part[0][m]))
            for name, part in zip(names, parts, strict=True)
        ]
        np.testing.assert_allclose(found[m], decode(joint(cells), mean, spread), rtol=2e-3, atol=2e-4)
    errors = [np.mean((posterior_mean(full, [one], jnp.asarray(SHADOWS)) - weights) ** 2) for one in seen]
    assert np.mean((found - weights) ** 2) < min(errors)


@pytest.mark.parametrize(
    "name",
    [
        *("prune-60", "noise-50", "stochastic-2", "prune-40+q4_0"),
        *(pytest.param(name, marks=pytest.mark.slow) for name in ("mxfp4", "prune-40-random+uniform-2")),
    ],
)
def test_decodes_what_has_no_cells_by_its_own_observation(weights, name):
    quantizer, keys = parse(name), jax.random.split(jax.random.key(0), MODELS)

    def one(layer, key):
        channel = quantizer.fit(layer)
        return channel.apply(layer, key=key), cells_of(channel)

    released, channels = jax.vmap(one)(jnp.asarray(weights), keys)
    seen = codes(released, channels)
    assert np.array_equal(seen, released)
    found = posterior_mean(jnp.asarray(weights), [(seen, channels)], jnp.asarray(SHADOWS))
    shadows = weights[SHADOWS].astype(float)
    mean, spread = shadows.mean(axis=0), shadows.std(axis=0, ddof=1)
    for m in range(MODELS):
        observation = quantizer.fit(weights[m]).observation(np.asarray(released[m]))
        np.testing.assert_allclose(found[m], decode(observation, mean, spread), rtol=5e-3, atol=5e-4)
    assert np.mean((found - weights) ** 2) < np.mean((released - weights) ** 2)


@pytest.mark.parametrize(
    "name",
    [
        "sign",
        "uniform-4",
        pytest.param("codebook-4", marks=pytest.mark.slow),
        "prune-60+uniform-3",
        pytest.param("prune-60+codebook-3", marks=pytest.mark.slow),
    ],
)
def test_codes_are_told_by_the_released_levels(weights, name):
    released, cells = release(name, weights)
    told = codes(released, cells)
    for m in range(MODELS):
        assert np.array_equal(told[m], parse(name).fit(weights[m]).codes(weights[m]))


@pytest.mark.parametrize("name", ["ternary-50", "codebook-4"])
def test_uses_of_others_only_what_they_released(weights, name):
    released, cells = release(name, weights)
    full = jnp.asarray(weights)
    found = posterior_mean(full, [(codes(released, cells), cells)], jnp.asarray(SHADOWS))
    other = cells._replace(edges=cells.edges.at[10].add(0.3))
    np.testing.assert_array_equal(
        posterior_mean(full.at[10].add(5.0), [(codes(released, cells), other)], jnp.asarray(SHADOWS)), found
    )
    moved = posterior_mean(full.at[3].add(5.0), [(codes(released, cells), cells)], jnp.asarray(SHADOWS))
    assert not np.array_equal(moved, found)
    assert np.mean((found - weights) ** 2) < np.mean((released - weights) ** 2)


@pytest.mark.parametrize("name", ["full", "uniform-8"])
def test_no_cells_to_decode(weights, name):
    quantizer = parse(name)
    assert cells_of(quantizer.fit(jnp.asarray(weights[0]))) is None


def test_one_shape_for_all_quantizers(weights):
    shapes = {
        tuple(a.shape for a in release(name, weights)[1]) for name in ("sign", "ternary-50", "uniform-4")
    }
    assert shapes == {((MODELS, 1, 1), *[(MODELS, 1, MOST_LEVELS - 1)] * 2)}


def test_far_cells_have_no_nan(weights):
    released, cells = release("sign", weights)
    full = jnp.asarray(weights)
    # Codes that no shadow's law expects.
    found = posterior_mean(100.0 + 0.01 * full, [(1 - codes(released, cells), cells)], jnp.asarray(SHADOWS))
    assert np.isfinite(np.asarray(found)).all()
