"""A population known through a table of real examples."""

import abc
import functools
import math
from dataclasses import dataclass
from typing import Any

import jax
import numpy as np

from mis.numerics.checks import InvalidInput, integer, unmasked
from mis.populations.base import DEFAULT_POOL, MAX_SEED, Examples, Population, Split
from mis.populations.images import Pixels, stacked

__all__ = ["Table", "Tabulated"]

CLIP = 5.0
# A coordinate with one value but for this share of the examples carries no spread to standardise by.
RARE = 0.002
LEAST_HELDOUT = 16
# On fewer held-out examples performance and indicator say little: the default pool leaves as many, or half of them all.
ENOUGH_HELDOUT = 128
# Integers of more values than this, with fewer examples each than that, count or measure something more often than not;
# whole floats of fewer values number classes.
MANY_CLASSES, FEW_EACH = 10, 20
# Every network predicts on every held-out example; of images there may be many, and large.
MOST_HELDOUT_IMAGES = 2048
LARGEST_MAGNITUDE = 1e30


@dataclass(frozen=True, kw_only=True, eq=False)
class Table:
    """Real examples, ready for training.

    Parameters
    ----------
    examples
        All of them: features standardised (images when they are taken, see ``Pixels``), targets classes or
        standardised.
    test
        ``(N,)`` bool: never in a pool.
    kept
        Which of the original coordinates the features are.
    labels
        Original names of the classes, ascending; None for regression.
    target_mean, target_scale
        A regression target in its own units is ``target_mean + target_scale * targets``.
    doubt
        What the target may be instead of what its type says; empty if nothing.
    """

    examples: Examples
    test: np.ndarray
    kept: np.ndarray
    labels: np.ndarray | None
    target_mean: float
    target_scale: float
    doubt: str = ""

    @classmethod
    def prepare(
        cls, where: str, features: Any, target: Any, test: Any = None, *, regression: bool | None = None
    ) -> "Table":
        """Check raw arrays and standardise them with the statistics of the examples outside ``test``.

        Coordinates with one and the same value on all but 0.2% of those examples are dropped; the rest is
        clipped at 5 standard deviations. Integer, boolean and string targets are classes, floats are values,
        unless ``regression`` says which.
        Features ``(N, H, W)`` or ``(N, H, W, C)`` are images: one mean and standard deviation a channel, no clipping.
        """
        images = stacked(where, features)
        features = _numeric(where, "features", features, ndim=2) if images is None else images
        unmasked(where, "target", target)
        target = np.asarray(target)
        if target.shape != (len(features),):
            raise InvalidInput(
                f"{where}: expected one target for each row of features, got "
                f"features.shape={features.shape}, target.shape={target.shape}."
            )
        test = _mask(where, test, len(features))
        if images is None:
            standard, kept = _standardise(where, features, ~test)
        else:
            standard, kept = Pixels.prepare(where, images, ~test), np.arange(math.prod(images.shape[1:]))
        if target.dtype.kind == "f" if regression is None else regression:
            targets, mean, scale = _values(where, target, ~test)
            labels = None
        else:
            (targets, labels), mean, scale = _classes(where, target, ~test), 0.0, 1.0
        return cls(
            examples=Examples(features=standard, targets=targets),
            test=test,
            kept=kept,
            labels=labels,
            target_mean=mean,
            target_scale=scale,
            doubt=_doubt(where, target, labels) if regression is None else "",
        )


@dataclass(frozen=True, kw_only=True)
class Tabulated(Population):
    """A population known through a table: the pool is a random part of it, the rest is held out.

    ``sample`` draws with replacement from the examples outside the test part, the empirical law. A row that
    occurs twice is two examples: it can be in the pool and outside at once, which can only hide membership.
    Of images at most 2048 are held out, drawn by the seed.
    """

    @abc.abstractmethod
    def read(self) -> Table:
        """Read the table; called once for equal specs."""

    @property
    def table(self) -> Table:
        """The table, read on first use."""
        return _read_once(self)

    @property
    def dim(self) -> int:
        return math.prod(self.shape)

    @property
    def shape(self) -> tuple[int, ...]:
        return self.table.examples.features.shape[1:]

    @property
    def num_classes(self) -> int | None:
        return None if self.table.labels is None else len(self.table.labels)

    @property
    def largest_pool(self) -> int:
        """Every example outside the test part, but for the few that must stay to measure performance on."""
        test = self.table.test
        return max(0, int((~test).sum()) - max(0, LEAST_HELDOUT - int(test.sum())))

    @property
    def default_pool(self) -> int:
        """512 examples, or as many as leave 128 held out, but no fewer than half of those outside the test part."""
        test = self.table.test
        candidates = int((~test).sum())
        leaving = candidates - max(0, ENOUGH_HELDOUT - int(test.sum()))
        return min(DEFAULT_POOL, self.largest_pool, max(candidates // 2, leaving))

    @property
    def doubt(self) -> str:
        return self.table.doubt

    def sample(self, key: Any, n: int) -> Examples:
        rows = np.flatnonzero(~self.table.test)
        drawn = jax.random.choice(key, rows, (n,))
        return jax.tree.map(jax.numpy.asarray, self.table.examples).take(drawn)

    def split(self, seed: int, pool: int) -> Split:
        seed = integer(self.name, "seed", seed, at_least=0, at_most=MAX_SEED)
        pool = integer(self.name, "pool", pool, at_least=2)
        if pool > self.largest_pool:
            raise InvalidInput(
                f"{self.name}: expected pool of at most {self.largest_pool} examples "
                f"({len(self.table.test)} in all, {int(self.table.test.sum())} of them for testing, "
                f"at least {LEAST_HELDOUT} held out), got pool={pool}."
            )
        rng = np.random.default_rng(seed)
        shuffled = rng.permutation(np.flatnonzero(~self.table.test))
        inside = np.sort(shuffled[:pool])
        outside = np.setdiff1d(np.arange(len(self.table.test)), inside)
        if len(self.shape) > 1 and len(outside) > MOST_HELDOUT_IMAGES:
            outside = np.sort(rng.choice(outside, MOST_HELDOUT_IMAGES, replace=False))
        return Split(
            pool=self.table.examples.take(inside),
            heldout=self.table.examples.take(outside),
            target_mean=self.table.target_mean,
            target_scale=self.table.target_scale,
            labels=self.table.labels,
            pool_rows=inside,
            heldout_rows=outside,
        )


@functools.lru_cache(maxsize=8)
def _read_once(population: Tabulated) -> Table:
    return population.read()


def _numeric(where, name, value, ndim):
    """Return an array of numbers in its own precision, refusing what float64 could not compute with."""
    unmasked(where, name, value)
    array = np.asarray(value)
    if array.dtype.kind not in "biuf":
        raise InvalidInput(f"{where}: expected {name} to be numbers, got an array of dtype {array.dtype}.")
    if array.ndim != ndim:
        raise InvalidInput(f"{where}: expected {name} with {ndim} axes, got {name}.shape={array.shape}.")
    if array.size == 0:
        raise InvalidInput(f"{where}: expected {name} not empty, got {name}.shape={array.shape}.")
    bad = ~(np.abs(array.astype(np.float64)) <= LARGEST_MAGNITUDE)
    if bad.any():
        first = tuple(np.argwhere(bad)[0].tolist())
        raise InvalidInput(
            f"{where}: expected {name} finite and at most {LARGEST_MAGNITUDE:g} in magnitude, got "
            f"{int(bad.sum())} other values, the first {name}[{', '.join(map(str, first))}]={array[first]}."
        )
    return array


def _centred(array, seen):
    """Return the array less its middle value, by column, and that value, both in float64.

    Centred first, in a precision that holds all digits: beside a large offset float64 would lose what varies.
    """
    wide = np.result_type(array.dtype, np.float64)
    if array.dtype.kind in "iu" and np.abs(array.astype(np.float64)).max() > 2.0**53:
        wide = np.dtype(object)
    array = array.astype(wide)
    middle = np.sort(array[seen], axis=0)[seen.sum() // 2]
    return (array - middle).astype(np.float64), middle.astype(np.float64) if array.ndim > 1 else float(middle)


def _noise(array, seen):
    """Return what rounding may add to a constant column; a unit of float16 or of integers is no rounding."""
    if array.dtype.kind != "f" or array.dtype.itemsize < 4:
        return 0.0
    units = 1 if array.dtype == np.float32 else 4
    return units * float(np.finfo(array.dtype).eps) * np.abs(array[seen].astype(np.float64)).max(axis=0)


def _mask(where, test, num_examples):
    if test is None:
        return np.zeros(num_examples, dtype=bool)
    unmasked(where, "test", test)
    test = np.asarray(test)
    if test.dtype != bool or test.shape != (num_examples,):
        raise InvalidInput(
            f"{where}: expected test to be {num_examples} booleans, one for each example, got "
            f"dtype {test.dtype}, shape {test.shape}."
        )
    if (~test).sum() < 2:
        raise InvalidInput(f"{where}: expected at least 2 examples outside test, got {int((~test).sum())}.")
    return test


def _standardise(where, features, seen):
    centred, _ = _centred(features, seen)
    deviation = np.abs(centred[seen])
    # Relative to the coordinate's range too, so that noise around one value counts as that value.
    noise = np.maximum(1e-3 * deviation.max(axis=0), _noise(features, seen))
    kept = np.mean(deviation > noise, axis=0) > RARE
    if not kept.any():
        raise InvalidInput(f"{where}: expected a feature that varies, got {features.shape[1]} constant ones.")
    centred = centred[:, kept]
    standard = np.clip((centred - centred[seen].mean(axis=0)) / centred[seen].std(axis=0), -CLIP, CLIP)
    return np.ascontiguousarray(standard, dtype=np.float32), np.flatnonzero(kept)


def _values(where, target, seen):
    target = _numeric(where, "target", target, ndim=1)
    centred, middle = _centred(target, seen)
    mean, scale = centred[seen].mean(), centred[seen].std()
    if scale <= _noise(target, seen):
        raise InvalidInput(f"{where}: expected a target that varies, got {target[seen][0]:g} throughout.")
    return ((centred - mean) / scale).astype(np.float32), float(middle + mean), float(scale)


def _doubt(where, target, labels):
    """Return what the target may be instead; empty where its type leaves no doubt."""
    count = len(target)
    if labels is not None and target.dtype.kind != "b" and len(labels) > max(MANY_CLASSES, count / FEW_EACH):
        instead = "a regression by --regression (regression=True)"
        instead = instead if target.dtype.kind in "iu" else "a regression takes a target of numbers"
        return f"{where}: {len(labels)} classes in {count} examples? If they are values: {instead}."
    few = labels is None and not np.any(target % 1) and len(np.unique(target))
    if few and few <= min(MANY_CLASSES, count / FEW_EACH):
        return (
            f"{where}: a regression on {few} whole numbers in {count} examples? "
            "If they are classes: --classification (classification=True)."
        )
    return ""


def _classes(where, target, seen):
    if target.dtype.kind not in "iubUSf" or (target.dtype.kind == "f" and not np.isfinite(target).all()):
        raise InvalidInput(
            f"{where}: expected target to be integers or strings (classes) or floats (values), "
            f"got dtype {target.dtype}."
        )
    labels, targets = np.unique(target, return_inverse=True)
    present = np.unique(target[seen])
    if len(present) < 2:
        raise InvalidInput(f"{where}: expected at least 2 classes outside test, got only {present[0]}.")
    if 2 * len(labels) > len(target):
        raise InvalidInput(
            f"{where}: expected at least 2 examples a class, got {len(labels)} classes in {len(target)} "
            "examples; a regression takes floats, or regression=True (--regression)."
        )
    return targets.astype(np.int32), labels
