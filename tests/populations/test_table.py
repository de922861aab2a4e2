"""Preparing a table: standardisation, dropped coordinates, classes and refusals."""

import jax
import numpy as np
import pytest

from mis.numerics.checks import InvalidInput
from mis.populations import BreastCancer, Digits, FreeSolv, Solubility, Table, Tabulated

N = 1000


@pytest.fixture
def raw(rng):
    return {
        "features": rng.normal(3, 2, size=(N, 4)),
        "target": rng.normal(-1, 5, size=N),
        "test": np.arange(N) >= 800,
    }


def test_standardised_by_what_is_outside_test(raw):
    raw["features"][800:] += 100.0
    raw["target"][800:] += 100.0
    table = Table.prepare("t", **raw)
    seen = ~table.test
    mean, scale = raw["features"][seen].mean(axis=0), raw["features"][seen].std(axis=0)
    assert np.allclose(table.examples.features[seen], (raw["features"][seen] - mean) / scale, atol=1e-6)
    assert (table.examples.features[~seen] == 5).all()
    assert np.allclose(
        table.target_mean + table.target_scale * table.examples.targets, raw["target"], atol=1e-4
    )
    assert table.examples.targets[seen].std() == pytest.approx(1, abs=1e-6)
    assert table.labels is None


@pytest.mark.parametrize(
    ("column", "kept"),
    [
        (np.zeros(N), False),
        (np.full(N, 7.0) * (1 + 2.0**-52 * (np.arange(N) % 4)), False),
        (np.full(N, 7.0) + 1e-8 * np.arange(N) / N, True),
        (np.eye(N)[0], False),
        (1e-6 * np.eye(N)[0] + 1e-10 * np.sin(np.arange(N)), False),
        (np.arange(N) % 100 == 0, True),
        (1e-8 * np.sin(np.arange(N)), True),
        (1e9 + 1e7 * np.sin(np.arange(N)), True),
        (1e25 * np.sin(np.arange(N)), True),
    ],
    ids=[
        "zero",
        "rounding",
        "small-ramp",
        "one-row",
        "one-row-noise",
        "rare",
        "tiny-units",
        "large-offset",
        "huge-units",
    ],
)
def test_nearly_constant_coordinates_are_dropped(raw, column, kept):
    raw["features"][:, 2] = column
    table = Table.prepare("t", **raw)
    assert (2 in table.kept) is kept
    assert table.kept.tolist() == [0, 1, *([2] if kept else []), 3]
    assert np.abs(table.examples.features).max() <= 5


@pytest.mark.parametrize(
    ("target", "labels"),
    [
        (np.arange(N) % 3 * 5 - 5, [-5, 0, 5]),
        (np.arange(N) % 2 == 0, [False, True]),
        (np.array(["b", "a"])[np.arange(N) % 2], ["a", "b"]),
        ((np.arange(N) % 4).astype(np.uint8), [0, 1, 2, 3]),
    ],
)
def test_classes_are_renumbered_and_their_names_kept(raw, target, labels):
    table = Table.prepare("t", raw["features"], target)
    assert table.labels.tolist() == labels
    assert (table.labels[table.examples.targets] == target).all()
    assert table.examples.targets.dtype == np.int32


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.int8, np.uint16, bool])
def test_any_numeric_dtype_of_features(rng, dtype):
    features = rng.integers(0, 2, size=(N, 3)).astype(dtype)
    table = Table.prepare("t", features, np.arange(N) / N)
    assert np.allclose(table.examples.features.mean(axis=0), 0, atol=1e-6)


def varying(rng, kind):
    """Return a column that varies by little beside a large offset, and the column without the offset."""
    noise = rng.normal(size=N)
    if kind == "seconds":
        return 1.7e9 + 10 * noise, 10 * noise
    if kind == "milliseconds":
        return 1.7e12 + 10 * noise, 10 * noise
    if kind == "nearly all digits":
        return 2.0**52 + np.round(10 * noise), np.round(10 * noise)
    if kind == "nanoseconds":
        return 1_700_000_000_000_000_000 + np.round(100 * noise).astype(np.int64), np.round(100 * noise)
    if kind == "unsigned":
        return np.uint64(2**64 - 10_000) + np.round(100 * noise + 1000).astype(np.uint64), np.round(
            100 * noise
        )
    if kind == "both ends":
        return np.where(noise > 0, 2**62, -(2**62)), 2.0**62 * np.sign(noise)
    return np.longdouble(2.0**60) + np.round(20 * noise), np.round(20 * noise)


@pytest.mark.parametrize(
    "kind",
    ["seconds", "milliseconds", "nearly all digits", "nanoseconds", "unsigned", "both ends", "long doubles"],
)
def test_what_varies_beside_a_large_offset(kind, rng):
    column, noise = varying(rng, kind)
    if kind == "long doubles" and np.finfo(np.longdouble).eps > 2.0**-60:
        pytest.skip("long doubles are doubles here")
    truth = (noise - noise.mean()) / noise.std()
    table = Table.prepare("t", column[:, None], column, regression=True)
    # Doubles near 1.7e12 are 2.4e-4 apart.
    near = {"seconds": 1e-6, "milliseconds": 3e-5}.get(kind, 1e-6)
    np.testing.assert_allclose(table.examples.features[:, 0], truth, atol=near)
    np.testing.assert_allclose(table.examples.targets, truth, atol=near)
    assert table.target_scale == pytest.approx(noise.std(), rel=1e-6)


@pytest.mark.parametrize("name", ["features", "target", "test"])
def test_masked_arrays_are_refused(raw, name):
    raw[name] = np.ma.array(raw[name], mask=np.arange(raw[name].size).reshape(raw[name].shape) == 7)
    with pytest.raises(
        InvalidInput, match=f"^t: expected {name} without masked values; leave those examples out"
    ):
        Table.prepare("t", **raw)


@pytest.mark.parametrize(
    ("target", "doubt"),
    [
        (
            np.arange(N) % 214,
            "t: 214 classes in 1000 examples? If they are values: a regression by --regression",
        ),
        (np.arange(N) % 51, "51 classes"),
        (
            np.array([str(i % 300) for i in range(N)]),
            "300 classes in 1000 examples? If they are values: a regression t",
        ),
        (np.arange(N) % 50, ""),
        (np.arange(N) % 2 == 0, ""),
        (np.arange(N) / 7, ""),
        (np.arange(N) % 11.0, ""),
        (
            np.arange(N) % 3.0,
            "a regression on 3 whole numbers in 1000 examples? If they are classes: --classification",
        ),
    ],
)
def test_a_word_where_the_target_may_be_something_else(raw, target, doubt):
    found = Table.prepare("t", raw["features"], target).doubt
    assert doubt in found
    assert bool(doubt) == bool(found)
    if target.dtype.kind in "if":
        for regression in (True, False):
            if regression or len(np.unique(target)) < N / 2:
                assert Table.prepare("t", raw["features"], target, regression=regression).doubt == ""


def test_the_user_says_what_the_target_is(raw):
    whole = np.arange(N) % 60
    as_values = Table.prepare("t", raw["features"], whole, regression=True)
    assert as_values.labels is None
    np.testing.assert_allclose(in_own_units(as_values), whole, atol=1e-5)
    as_classes = Table.prepare("t", raw["features"], whole % 3 / 2, regression=False)
    assert as_classes.labels.tolist() == [0.0, 0.5, 1.0]
    with pytest.raises(InvalidInput, match="target to be numbers, got an array of dtype <U"):
        Table.prepare("t", raw["features"], whole.astype(str), regression=True)
    with pytest.raises(InvalidInput, match=r"target to be integers or strings \(classes\) or floats"):
        Table.prepare("t", raw["features"], np.where(whole == 3, np.nan, whole % 3), regression=False)


class Sized(Tabulated):
    """A table of ``rows`` examples, ``testing`` of them for testing."""

    rows: int
    testing: int = 0

    def __init__(self, rows, testing=0):
        object.__setattr__(self, "rows", rows)
        object.__setattr__(self, "testing", testing)

    name = "sized"

    def read(self):
        numbers = np.arange(float(self.rows))
        return Table.prepare("sized", numbers[:, None], numbers, numbers < self.testing)

    def __eq__(self, other):
        return self is other

    def __hash__(self):
        return id(self)


@pytest.mark.parametrize(
    ("rows", "testing", "pool"),
    [
        (10_000, 0, 512),
        (640, 0, 512),
        (639, 0, 511),
        (300, 0, 172),
        (256, 0, 128),
        (100, 0, 50),
        (40, 0, 20),
        (20, 0, 4),
        (300, 128, 172),
        (300, 100, 172),
    ],
)
def test_the_default_pool_leaves_enough_to_measure_on(rows, testing, pool):
    table = Sized(rows, testing)
    assert table.default_pool == pool
    assert len(table.split(0, pool).heldout) == rows - pool


def test_default_pools_of_the_shipped_sets():
    assert [t.default_pool for t in (Solubility(), FreeSolv(), Digits(), BreastCancer())] == [512] * 4


def with_value(array, index, value):
    array = np.array(array)
    array[index] = value
    return array


FEATURES = np.random.default_rng(5).normal(3, 2, size=(N, 4))
TARGET = np.random.default_rng(6).normal(-1, 5, size=N)
TEST = np.arange(N) >= 800


def put(array, index, value):
    array = np.array(array)
    array[index] = value
    return array


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        (
            "features",
            put(FEATURES, (3, 1), np.nan),
            r"finite and .*, got 1 other values, the first features\[3, 1\]=nan",
        ),
        ("features", put(FEATURES, (3, 1), -np.inf), r"finite and .*the first features\[3, 1\]=-inf"),
        ("features", put(FEATURES, (0, 0), 1e200), r"at most 1e\+30 in magnitude"),
        ("features", FEATURES[:, 0], r"features with 2 axes, got features\.shape=\(1000,\)"),
        ("features", FEATURES[:0], r"features not empty, got features\.shape=\(0, 4\)"),
        ("features", FEATURES.astype(str), "features to be numbers, got an array of dtype <U"),
        ("features", FEATURES + 0j, "features to be numbers, got an array of dtype complex128"),
        ("features", FEATURES.astype(object), "features to be numbers, got an array of dtype object"),
        ("features", np.ones((N, 2)), "a feature that varies, got 2 constant ones"),
        ("target", TARGET[:-1], r"got features\.shape=\(1000, 4\), target\.shape=\(999,\)"),
        ("target", TARGET[:, None], r"got features\.shape=\(1000, 4\), target\.shape=\(1000, 1\)"),
        ("target", put(TARGET, 5, np.nan), r"target finite .* the first target\[5\]=nan"),
        ("target", np.full(N, 2.5), r"a target that varies, got 2\.5 throughout"),
        ("target", 0.1 * (1 + 2.0**-52 * (np.arange(N) % 4)), r"a target that varies, got 0\.1 throughout"),
        ("target", put(np.ones(N), 900, 2.0), "a target that varies, got 1 throughout"),
        ("target", np.ones(N, dtype=int), "at least 2 classes outside test, got only 1"),
        ("target", put(np.ones(N, dtype=int), 900, 2), "at least 2 classes outside test, got only 1"),
        (
            "target",
            np.arange(N),
            "got 1000 classes in 1000 examples; a regression takes floats, or regression=True",
        ),
        ("target", TARGET.astype(object), r"target to be integers or strings \(classes\) or floats"),
        ("test", TEST.astype(int), "test to be 1000 booleans, .*got dtype int64"),
        ("test", TEST[:9], r"test to be 1000 booleans, .*shape \(9,\)"),
        ("test", np.arange(N) > 0, "at least 2 examples outside test, got 1"),
    ],
)
def test_refuses(name, value, message):
    arrays = {"features": FEATURES, "target": TARGET, "test": TEST} | {name: value}
    with pytest.raises(InvalidInput, match=f"^t: expected .*{message}"):
        Table.prepare("t", **arrays)


class Small(Tabulated):
    name = "small"

    def read(self):
        return Table.prepare("small", np.arange(40.0)[:, None], np.arange(40) % 2, np.arange(40) >= 34)


def test_pool_leaves_something_to_measure_on():
    assert Small().largest_pool == 24
    with pytest.raises(
        InvalidInput,
        match=r"^small: expected pool of at most 24 examples "
        r"\(40 in all, 6 of them for testing, at least 16 held out\), got pool=25\.$",
    ):
        Small().split(seed=0, pool=25)


def test_sample_draws_from_outside_test():
    rows = {tuple(row) for row in Small().table.examples.features[:34].tolist()}
    drawn = {tuple(row) for row in np.asarray(Small().sample(jax.random.key(0), 2000).features).tolist()}
    assert drawn == rows


def test_pools_are_uniform():
    hits = np.zeros(34)
    for seed in range(400):
        hits[Small().split(seed=seed, pool=12).pool_rows] += 1
    share = 12 / 34
    assert np.abs(hits / 400 - share).max() <= 5 * np.sqrt(share * (1 - share) / 400)


def in_own_units(table):
    return table.target_mean + table.target_scale * table.examples.targets.astype(np.float64)


def test_shipped_sets_hold_what_their_sources_hold():
    solubility, freesolv = Solubility(), FreeSolv()
    assert (len(solubility.table.test), solubility.table.test.sum(), solubility.dim) == (1282, 257, 510)
    assert (len(freesolv.table.test), freesolv.table.test.sum(), freesolv.dim) == (642, 0, 510)
    raw = (
        solubility.table.target_mean
        + solubility.table.target_scale * solubility.table.examples.targets.astype(float)
    )
    assert raw.min() == pytest.approx(-11.62, abs=1e-5)
    assert raw.max() == pytest.approx(1.58, abs=1e-5)
    raw = freesolv.table.target_mean + freesolv.table.target_scale * freesolv.table.examples.targets.astype(
        float
    )
    # 4-methoxy-N,N-dimethylbenzamide, methanesulfonyl chloride: the first two rows of FreeSolv.
    assert raw[:2] == pytest.approx([-11.01, -4.87], abs=1e-5)


@pytest.mark.parametrize(("population", "r_squared"), [(Solubility(), 0.89), (FreeSolv(), 0.90)])
def test_embeddings_predict_their_targets(population, r_squared):
    from sklearn.linear_model import Ridge
    from sklearn.model_selection import cross_val_score

    examples = population.table.examples
    scores = cross_val_score(Ridge(100.0), examples.features, examples.targets, cv=5)
    assert scores.mean() == pytest.approx(r_squared, abs=0.05)


def test_digits_are_read_in_order():
    assert Digits().table.examples.targets[:10].tolist() == list(range(10))
