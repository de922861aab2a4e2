"""What every population must do, whatever it is a population of."""

import dataclasses
import math
import pickle

import jax
import numpy as np
import pytest

from mis import populations
from mis.numerics.checks import InvalidInput, UnsupportedSetting
from mis.populations import POPULATIONS, Digits, FiniteSupport, Law, Npz
from mis.store import fingerprint

ATOMS = FiniteSupport(atoms=[[0.0, 1.0], [2.0, 3.0], [4.0, 5.0]], targets=[0, 1, 1], probs=[0.2, 0.5, 0.3])
CASES = {name: lambda _, name=name: populations.get(name) for name in POPULATIONS} | {
    "modes-3": lambda _: populations.get("modes", num_modes=3, dim=5, num_heldout=40),
    "finite-support": lambda _: ATOMS,
    "npz": lambda folder: Npz(path=user_file(folder)),
    "npz-grey": lambda folder: Npz(path=user_file(folder, (6, 5))),
    "npz-colour": lambda folder: Npz(path=user_file(folder, (6, 5, 3))),
    "digits-images": lambda _: Digits(images=True),
}
IMAGES = {
    "fashion-mnist": (28, 28, 1),
    "fashion-mnist-full": (28, 28, 1),
    "cifar-10": (32, 32, 3),
    "npz-grey": (6, 5, 1),
    "npz-colour": (6, 5, 3),
    "digits-images": (8, 8, 1),
}
# Of images no more than these are held out.
MOST = 2048


def user_file(folder, shape=(4,)):
    rng = np.random.default_rng(3)
    path = folder / "user.npz"
    np.savez(
        path, features=rng.normal(size=(90, *shape)), target=rng.normal(size=90), test=np.arange(90) >= 70
    )
    return path


@pytest.fixture(autouse=True)
def named_folder(data_folder, monkeypatch):
    monkeypatch.setenv("MIS_DATA", str(data_folder))


@pytest.fixture(params=CASES)
def case(request):
    return request.param


@pytest.fixture
def population(case, tmp_path):
    return CASES[case](tmp_path)


def columns(split):
    return [split.pool.features, split.pool.targets, split.heldout.features, split.heldout.targets]


def test_split_arrays_are_ready_for_training(population):
    split = population.split(seed=0, pool=50)
    target_dtype = np.float32 if population.num_classes is None else np.int32
    assert split.pool.features.shape == (50, *population.shape)
    assert population.dim == math.prod(population.shape)
    assert len(split.pool) == 50
    assert len(split.heldout) >= 16
    for part in (split.pool, split.heldout):
        assert part.features.dtype == np.float32
        assert part.targets.dtype == target_dtype
        assert part.features.shape == (len(part), *population.shape)
        assert part.targets.shape == (len(part),)
        for column in (part.features, part.targets):
            assert type(column) is np.ndarray
            assert column.flags.c_contiguous
            assert np.isfinite(column).all()
    if population.num_classes is not None:
        assert set(np.concatenate([split.pool.targets, split.heldout.targets])) == set(
            range(population.num_classes)
        )


def test_split_is_decided_by_its_seed(population):
    first, again, other = (population.split(seed=seed, pool=50) for seed in (1, 1, 2))
    assert all(np.array_equal(a, b) for a, b in zip(columns(first), columns(again), strict=True))
    assert not np.array_equal(first.pool.features, other.pool.features)


# Each compiles: the laws, and one table of each kind.
FEW = ("solubility", "solubility-3", "modes", "linear", "logistic", "finite-support", "npz", "digits-images")


@pytest.mark.parametrize("case", [n if n in FEW else pytest.param(n, marks=pytest.mark.slow) for n in CASES])
def test_sample_is_decided_by_its_key_and_jits(population):
    key = jax.random.key(4)
    eager, again = population.sample(key, 20), population.sample(key, 20)
    jitted = jax.jit(population.sample, static_argnums=1)(key, 20)
    for a, b, c in zip(*map(jax.tree.leaves, (eager, again, jitted)), strict=True):
        assert np.array_equal(a, b)
        assert a.dtype == c.dtype
        # A compiled product may sum in another order.
        assert np.allclose(a, c, rtol=1e-5, atol=1e-5)
    assert eager.features.shape == (20, *population.shape)
    assert eager.features.dtype == np.float32
    assert not np.array_equal(eager.features, population.sample(jax.random.key(5), 20).features)


def test_spec_is_hashable_and_prints_as_its_constructor(population):
    again = eval(repr(population), vars(populations))
    assert again == population
    assert hash(again) == hash(population)
    assert dataclasses.replace(population) == population
    assert pickle.loads(pickle.dumps(population)) == population


@pytest.mark.parametrize("seed", [-1, 0.5, 2**32, True])
def test_split_refuses_a_seed(population, seed):
    with pytest.raises(InvalidInput, match=r"expected seed an integer in 0\.\.4294967295, got seed="):
        population.split(seed=seed, pool=50)


@pytest.mark.parametrize("pool", [1, 2.0])
def test_split_refuses_a_pool(population, pool):
    with pytest.raises(InvalidInput, match=rf"expected pool an integer >= 2, got pool={pool}"):
        population.split(seed=0, pool=pool)


def test_the_largest_pool_is_the_largest(population):
    if isinstance(population, Law):
        assert population.largest_pool is None
        return
    assert len(population.split(seed=0, pool=population.largest_pool).heldout) >= 16
    with pytest.raises(InvalidInput, match=f"expected pool of at most {population.largest_pool} examples"):
        population.split(seed=0, pool=population.largest_pool + 1)


def test_a_real_split_cuts_the_table_in_two(case, population):
    if isinstance(population, Law):
        return
    split, table = population.split(seed=0, pool=50), population.table
    rows = np.concatenate([split.pool_rows, split.heldout_rows])
    assert len(np.unique(rows)) == len(rows)
    outside = len(table.test) - 50
    assert len(split.heldout_rows) == (outside if case not in IMAGES else min(outside, MOST))
    assert not table.test[split.pool_rows].any()
    assert np.array_equal(split.pool.features, table.examples.features[split.pool_rows])
    assert np.array_equal(split.heldout.targets, table.examples.targets[split.heldout_rows])


def test_what_is_read_enters_a_fingerprint_by_content(population):
    first, other = (population.split(seed=0, pool=50) for _ in range(2))
    key = fingerprint(*columns(first))
    assert key == fingerprint(*columns(other))
    changed = first.heldout.features.copy()
    changed.flat[-1] += 1
    assert key != fingerprint(first.pool.features, first.pool.targets, changed, first.heldout.targets)


def test_images_are_standardised_all_pixels_alike(case, population):
    if case not in IMAGES:
        return
    assert population.shape == IMAGES[case]
    assert population.as_images() == population
    table = population.table
    seen = table.examples.take(~table.test).features.astype(np.float64)
    # One affine map a channel: whole channels are standard, and single pixels need not be.
    np.testing.assert_allclose(seen.mean(axis=(0, 1, 2)), 0, atol=1e-5)
    np.testing.assert_allclose(seen.std(axis=(0, 1, 2)), 1, atol=1e-5)
    assert np.ptp(seen.mean(axis=0)) > 0.01


def test_tables_and_laws_are_no_images(case, population):
    if case in IMAGES:
        return
    if case == "digits":
        assert population.as_images().shape == IMAGES["digits-images"]
        return
    with pytest.raises(
        UnsupportedSetting, match=f"its examples are {population.dim} numbers, not images; take"
    ):
        population.as_images()


@pytest.mark.parametrize("name", POPULATIONS)
def test_registry(name):
    population = populations.get(name)
    assert population.name == name
    line = type(population).__doc__.splitlines()[0]
    assert line.endswith(".")
    assert len(line) <= 110


def test_get_takes_paths(tmp_path, monkeypatch):
    path = user_file(tmp_path)
    assert populations.get(str(path)) == Npz(path=path)
    assert populations.get(str(path)).name == "user"
    monkeypatch.chdir(tmp_path)
    assert populations.get("user.npz").dim == 4
    with pytest.raises(InvalidInput, match=r"^no/such: cannot be read: No such file or directory\.$"):
        populations.get("no/such")


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("solubilty", {}, r"expected name one of solubility, .*got name='solubilty'\. Nearest: solubility"),
        ("modes", {"seperation": 2}, r"expected option one of .*Nearest: separation"),
        ("freesolv", {"dim": 3}, r"^freesolv: expected no options, got dim\.$"),
        ("digits", {"image": True}, r"expected option one of images, got option='image'\. Nearest: images"),
        ("modes", {"separation": 0}, "expected separation a finite number > 0, got separation=0"),
        ("modes", {"num_modes": 1}, "expected num_modes an integer >= 2, got num_modes=1"),
        ("modes", {"num_modes": 9, "dim": 8}, "expected num_modes at most dim=8, got num_modes=9"),
        ("modes", {"dim": 1}, "expected dim an integer >= 2"),
        ("modes", {"num_heldout": 0}, "modes: expected num_heldout an integer >= 1"),
        ("modes", {"law_seed": -1}, r"expected law_seed an integer in 0\.\."),
        ("linear", {"r_squared": 1.0}, "linear: expected r_squared a finite number > 0 and < 1"),
        ("linear", {"dim": 0}, "linear: expected dim an integer >= 1"),
        ("linear", {"law_seed": "a"}, "linear: expected law_seed an integer"),
        ("logistic", {"strength": float("nan")}, "logistic: expected strength a finite number > 0"),
        ("logistic", {"dim": 2.5}, "logistic: expected dim an integer >= 1"),
        ("logistic", {"law_seed": 2**40}, "logistic: expected law_seed an integer"),
    ],
)
def test_get_refuses(name, options, message):
    with pytest.raises(InvalidInput, match=message):
        populations.get(name, **options)
