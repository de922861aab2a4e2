"""Images: standardised by channel, stored as they come, refused where they are none."""

import jax
import numpy as np
import pytest

from mis.numerics.checks import InvalidInput
from mis.populations import Digits, FashionMnist, Npz, Table, Tabulated

N = 80
TARGET = np.arange(N) % 2
TEST = np.arange(N) >= 60


def by_channel(images):
    """Return the truth: images less the mean over those outside TEST, over their standard deviation, in float64."""
    images = images.reshape(*images.shape[:3], -1).astype(np.float64)
    seen = images[~TEST]
    return np.stack(
        [
            (images[..., c] - seen[..., c].mean())
            / np.sqrt(np.mean((seen[..., c] - seen[..., c].mean()) ** 2))
            for c in range(images.shape[-1])
        ],
        axis=-1,
    )


@pytest.mark.parametrize("shape", [(N, 5, 7), (N, 5, 7, 1), (N, 5, 7, 3), (N, 1, 1, 2), (N, 9, 9, 12)])
@pytest.mark.parametrize("dtype", [np.uint8, np.float32, np.float64, np.int16, bool])
def test_one_mean_and_deviation_a_channel(rng, shape, dtype):
    images = rng.integers(0, 2 if dtype is bool else 256, size=shape).astype(dtype)
    features = Table.prepare("t", images, TARGET, TEST).examples.take(np.arange(N)).features
    assert features.dtype == np.float32
    np.testing.assert_allclose(features, by_channel(images), atol=2e-6)


def test_pixels_beside_a_large_offset(rng):
    images = 1e9 + rng.normal(size=(N, 4, 4))
    features = Table.prepare("t", images, TARGET, TEST).examples.take(np.arange(N)).features
    np.testing.assert_allclose(features, by_channel(images), atol=1e-5)


def test_no_pixel_is_clipped_or_dropped():
    images = np.zeros((N, 8, 8), dtype=np.uint8)
    images[:, 0, 0], images[7, 3, 3] = 9, 255
    table = Table.prepare("t", images, TARGET, TEST)
    features = table.examples.take(np.arange(N)).features
    assert features.max() > 5
    np.testing.assert_allclose(features, by_channel(images), rtol=1e-6)
    assert len(table.kept) == 64


def test_bytes_stay_bytes(rng):
    images = rng.integers(0, 256, size=(N, 8, 8, 3), dtype=np.uint8)
    table = Table.prepare("t", images, TARGET, TEST)
    stored = [leaf for leaf in jax.tree.leaves(table.examples.features) if leaf.size > 3]
    assert [leaf.nbytes for leaf in stored] == [images.nbytes]


def with_value(value, dtype=np.float64, shape=(N, 4, 4)):
    images = np.random.default_rng(3).normal(size=shape).astype(dtype)
    images[3, 1, 2] = value
    return images


def objects():
    images = np.empty(N, dtype=object)
    images[:] = [np.zeros((4, 4 + i % 2)) for i in range(N)]
    return images


RANDOM = np.random.default_rng(4).integers(0, 256, size=(N, 3, 8, 8), dtype=np.uint8)


@pytest.mark.parametrize(
    ("images", "message"),
    [
        (
            with_value(np.nan),
            r"features finite, got 1 NaN or infinite values, the first features\[3, 1, 2\]=nan",
        ),
        (with_value(np.inf, np.float32), r"features finite, .* the first features\[3, 1, 2\]=inf"),
        (objects(), "features of one shape, got examples of unequal sizes"),
        (list(objects()), "features of one shape, got examples of unequal sizes"),
        ([[[1], [2, 3]]] * N, "features of one shape, got examples of unequal sizes"),
        (np.zeros((N, 4, 4), dtype=object), "features to be numbers, got an array of dtype object"),
        (np.zeros((N, 4, 4), dtype="U3"), "features to be numbers, got an array of dtype <U3"),
        (1j * np.ones((N, 4, 4)), "features to be numbers, got an array of dtype complex128"),
        (
            np.zeros((N, 2, 2, 2, 2)),
            r"images \(N, H, W\) or \(N, H, W, C\), got features\.shape=\(80, 2, 2, 2, 2\)",
        ),
        (np.ma.masked_less(RANDOM[:, 0], 9), "features without masked values; leave those examples out"),
        (
            np.ma.masked_less(RANDOM[:, 0] / 255, 0.1),
            "features without masked values; leave those examples out",
        ),
        (np.zeros((N, 0, 4)), r"features not empty, got features\.shape=\(80, 0, 4\)"),
        (np.zeros((N, 0, 4), dtype=np.uint8), r"features not empty, got features\.shape=\(80, 0, 4\)"),
        (np.zeros(N), r"features with 2 axes, got features\.shape=\(80,\)"),
        (RANDOM, r"channels last, \(N, H, W, C\), got features\.shape=\(80, 3, 8, 8\); numpy\.moveaxis"),
        (
            RANDOM[:, :1],
            r"channels last, \(N, H, W, C\), got features\.shape=\(80, 1, 8, 8\); numpy\.moveaxis",
        ),
        (
            RANDOM[:50].swapaxes(1, 3),
            r"one target for each row of features, got features\.shape=\(50, 8, 8, 3\)",
        ),
        (np.full((N, 4, 4), 0.1), "channels that vary, got 0.1 throughout channel 0; leave it out"),
        (np.stack([RANDOM[:, 0], 0 * RANDOM[:, 0] + 255], -1), "got 255 throughout channel 1; leave it out"),
        (np.where(TEST[:, None, None], RANDOM[:, 0], 7), "got 7 throughout channel 0"),
    ],
)
def test_refuses(images, message):
    with pytest.raises(InvalidInput, match=f"^t: expected .*{message}") as refusal:
        Table.prepare("t", images, TARGET, TEST)
    assert "\n" not in str(refusal.value)


def test_targets_of_images_may_be_values(rng):
    target = rng.normal(5, 3, size=N)
    table = Table.prepare("t", rng.normal(size=(N, 4, 4)), target, TEST)
    np.testing.assert_allclose(
        table.target_mean + table.target_scale * table.examples.targets, target, atol=1e-5
    )


def test_npz_of_unequal_images_is_one_line(tmp_path):
    np.savez(tmp_path / "x.npz", features=objects(), target=TARGET)
    with pytest.raises(InvalidInput, match=r"got Python objects; save it .*, all examples in one shape\.$"):
        _ = Npz(path=tmp_path / "x.npz").shape


class Many(Tabulated):
    """More images than are held out, each with its row number in a corner."""

    name = "many"
    size = 3000

    def read(self):
        images = np.zeros((self.size, 2, 2))
        images[:, 0, 0] = np.arange(self.size)
        return Table.prepare("many", images, np.arange(self.size) % 2, np.arange(self.size) >= 2500)


def test_held_out_images_are_at_most_2048_drawn_evenly_by_the_seed():
    splits = [Many().split(seed=seed, pool=16) for seed in range(40)]
    assert np.array_equal(splits[3].heldout_rows, Many().split(seed=3, pool=16).heldout_rows)
    assert not np.array_equal(splits[0].heldout_rows, splits[1].heldout_rows)
    shares = []
    for split in splits:
        assert len(np.unique(split.heldout_rows)) == len(split.heldout) == 2048
        assert not np.isin(split.heldout_rows, split.pool_rows).any()
        order = np.argsort(split.heldout.features[:, 0, 0, 0])
        assert np.array_equal(order, np.arange(2048))
        shares.append((split.heldout_rows >= 2500).mean())
    # Drawn without replacement from 2984, of which 500 are for testing.
    share = 500 / 2984
    deviation = np.sqrt(share * (1 - share) / 2048 * (2984 - 2048) / 2983 / len(splits))
    assert abs(np.mean(shares) - share) <= 5 * deviation


def test_pool_of_images_is_that_of_a_table_with_as_many_rows():
    flat, images = Digits().split(seed=5, pool=512), Digits(images=True).split(seed=5, pool=512)
    assert np.array_equal(flat.pool_rows, images.pool_rows)
    assert np.array_equal(flat.heldout_rows, images.heldout_rows)


def test_digits_as_images_are_the_pixels_of_scikit_learn():
    from sklearn.datasets import load_digits

    split = Digits().as_images().split(seed=0, pool=64)
    raw = load_digits().images
    expected = (raw - raw.mean()) / raw.std()
    np.testing.assert_allclose(split.pool.features[..., 0], expected[split.pool_rows], atol=1e-5)


def test_the_excerpt_is_balanced_and_learnt():
    table = FashionMnist().table
    for part, each in ((~table.test, 400), (table.test, 100)):
        assert np.bincount(table.examples.targets[part]).tolist() == [each] * 10
    assert table.examples.features.stored.dtype == np.uint8
    # The first training images of the set are a boot, two tops and two dresses; in units of bytes as the set has them.
    assert table.examples.targets[:5].tolist() == [9, 0, 0, 3, 0]
    # The nearest class mean is right on 68% of the test images of the whole set.
    x, y = (
        table.examples.take(np.s_[:]).reshaped(lambda x: x.reshape(len(x), -1)).features,
        table.examples.targets,
    )
    means = np.stack([x[~table.test & (y == label)].mean(axis=0) for label in range(10)])
    found = np.argmin(((x[table.test, None] - means) ** 2).sum(axis=-1), axis=1)
    assert np.mean(found == y[table.test]) == pytest.approx(0.68, abs=5 * np.sqrt(0.68 * 0.32 / 1000))
