"""What every population must do, whatever it is a population of."""

import dataclasses

import jax
import numpy as np
import pytest

from mis import populations
from mis.numerics.checks import InvalidInput
from mis.populations import POPULATIONS, FiniteSupport, Law, Npz

ATOMS = FiniteSupport(atoms=[[0.0, 1.0], [2.0, 3.0], [4.0, 5.0]], targets=[0, 1, 1], probs=[0.2, 0.5, 0.3])
CASES = {name: lambda _, name=name: populations.get(name) for name in POPULATIONS} | {
    "modes-3": lambda _: populations.get("modes", num_modes=3, dim=5, num_heldout=40),
    "finite-support": lambda _: ATOMS,
    "npz": lambda folder: Npz(path=user_file(folder)),
}


def user_file(folder):
    rng = np.random.default_rng(3)
    path = folder / "user.npz"
    np.savez(path, features=rng.normal(size=(90, 4)), target=rng.normal(size=90), test=np.arange(90) >= 70)
    return path


@pytest.fixture(params=CASES)
def population(request, tmp_path):
    return CASES[request.param](tmp_path)


def columns(split):
    return [split.pool.features, split.pool.targets, split.heldout.features, split.heldout.targets]


def test_split_arrays_are_ready_for_training(population):
    split = population.split(seed=0, pool=50)
    target_dtype = np.float32 if population.num_classes is None else np.int32
    assert split.pool.features.shape == (50, population.dim)
    assert len(split.pool) == 50
    assert len(split.heldout) >= 16
    for part in (split.pool, split.heldout):
        assert part.features.dtype == np.float32
        assert part.targets.dtype == target_dtype
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


def test_sample_is_decided_by_its_key_and_jits(population):
    key = jax.random.key(4)
    eager, again = population.sample(key, 20), population.sample(key, 20)
    jitted = jax.jit(population.sample, static_argnums=1)(key, 20)
    for a, b, c in zip(*map(jax.tree.leaves, (eager, again, jitted)), strict=True):
        assert np.array_equal(a, b)
        assert a.dtype == c.dtype
        # A compiled product may sum in another order.
        assert np.allclose(a, c, rtol=1e-5, atol=1e-5)
    assert eager.features.shape == (20, population.dim)
    assert not np.array_equal(eager.features, population.sample(jax.random.key(5), 20).features)


def test_spec_is_hashable_and_prints_as_its_constructor(population):
    again = eval(repr(population), vars(populations))
    assert again == population
    assert hash(again) == hash(population)
    assert dataclasses.replace(population) == population


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


def test_a_real_split_cuts_the_table_in_two(population):
    if isinstance(population, Law):
        return
    split, table = population.split(seed=0, pool=50), population.table
    rows = np.concatenate([split.pool_rows, split.heldout_rows])
    assert np.array_equal(np.sort(rows), np.arange(len(table.test)))
    assert not table.test[split.pool_rows].any()
    assert np.array_equal(split.pool.features, table.examples.features[split.pool_rows])
    assert np.array_equal(split.heldout.targets, table.examples.targets[split.heldout_rows])


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
        ("digits", {"dim": 3}, r"^digits: expected no options, got dim\.$"),
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
