"""Parts of a population: disjoint, together the pool of the whole, the same examples outside."""

import numpy as np
import pytest

from mis import populations
from mis.numerics.checks import InvalidInput
from mis.populations import Part


def test_parts_share_nothing_and_make_up_the_whole():
    whole = populations.get("digits").as_images()
    parts = [Part(whole=whole, part=part, parts=3) for part in (1, 2, 3)]
    splits, all_of = [part.split(5, 100) for part in parts], whole.split(5, 300)
    rows = np.concatenate([split.pool_rows for split in splits])
    np.testing.assert_array_equal(np.sort(rows), all_of.pool_rows)
    for split, part in zip(splits, parts, strict=True):
        at = np.searchsorted(all_of.pool_rows, split.pool_rows)
        np.testing.assert_array_equal(split.pool.features, all_of.pool.features[at])
        np.testing.assert_array_equal(split.pool.targets, all_of.pool.targets[at])
        np.testing.assert_array_equal(split.heldout_rows, all_of.heldout_rows)
        assert part.as_images() == part
        assert (part.shape, part.dim, part.num_classes) == ((8, 8, 1), 64, 10)
    # Dealt at random, not by the order of the table.
    assert abs(np.corrcoef(splits[0].pool_rows, np.arange(100))[0, 1]) > 0.9
    assert abs(np.diff(splits[0].pool_rows).mean() - np.diff(all_of.pool_rows).mean() * 3) < 2


def test_refusals():
    digits = populations.get("digits")
    with pytest.raises(InvalidInput, match="pool of at most"):
        Part(whole=digits).split(0, digits.largest_pool // 2 + 1)
    with pytest.raises(InvalidInput, match="part"):
        Part(whole=digits, part=3, parts=2)
    with pytest.raises(InvalidInput, match="whole a population"):
        Part(whole="digits")
    # A law has as many examples as one likes.
    assert Part(whole=populations.get("linear")).largest_pool is None
