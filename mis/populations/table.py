"""Spec and value: a population known through a table of real examples."""

import abc
import functools
import math
from dataclasses import dataclass
from typing import Any

import jax
import numpy as np

from mis.numerics.checks import InvalidInput, integer
from mis.populations.base import MAX_SEED, Examples, Population, Split
from mis.populations.images import Pixels, stacked

__all__ = ["Table", "Tabulated"]

CLIP = 5.0
# A coordinate with one value but for this share of the examples carries no spread to standardise by.
RARE = 0.002
LEAST_HELDOUT = 16
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
    """

    examples: Examples
    test: np.ndarray
    kept: np.ndarray
    labels: np.ndarray | None
    target_mean: float
    target_scale: float

    @classmethod
    def prepare(cls, where: str, features: Any, target: Any, test: Any = None) -> "Table":
        """Check raw arrays and standardise them with the statistics of the examples outside ``test``.

        Coordinates with one and the same value on all but 0.2% of those examples are dropped; the rest is
        clipped at 5 standard deviations. Integer, boolean and string targets are classes, floats are values.
        Features ``(N, H, W)`` or ``(N, H, W, C)`` are images: one mean and standard deviation a channel, no clipping.
        """
        images = stacked(where, features)
        features = _numeric(where, "features", features, ndim=2) if images is None else images
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
        if target.dtype.kind == "f":
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
    array = np.asarray(value)
    if array.dtype.kind not in "biuf":
        raise InvalidInput(f"{where}: expected {name} to be numbers, got an array of dtype {array.dtype}.")
    if array.ndim != ndim:
        raise InvalidInput(f"{where}: expected {name} with {ndim} axes, got {name}.shape={array.shape}.")
    if array.size == 0:
        raise InvalidInput(f"{where}: expected {name} not empty, got {name}.shape={array.shape}.")
    array = array.astype(np.float64)
    bad = ~(np.abs(array) <= LARGEST_MAGNITUDE)
    if bad.any():
        first = tuple(np.argwhere(bad)[0].tolist())
        raise InvalidInput(
            f"{where}: expected {name} finite and at most {LARGEST_MAGNITUDE:g} in magnitude, got "
            f"{int(bad.sum())} other values, the first {name}[{', '.join(map(str, first))}]={array[first]}."
        )
    return array


def _mask(where, test, num_examples):
    if test is None:
        return np.zeros(num_examples, dtype=bool)
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
    typical = np.median(features[seen], axis=0)
    deviation = np.abs(features[seen] - typical)
    # Relative to the coordinate's range, so that rounding noise around one value counts as that value;
    # relative to its magnitude, because the networks see float32.
    noise = np.maximum(1e-3 * deviation.max(axis=0), 1e-7 * np.abs(features[seen]).max(axis=0))
    kept = np.mean(deviation > noise, axis=0) > RARE
    if not kept.any():
        raise InvalidInput(f"{where}: expected a feature that varies, got {features.shape[1]} constant ones.")
    mean, scale = features[seen][:, kept].mean(axis=0), features[seen][:, kept].std(axis=0)
    standard = np.clip((features[:, kept] - mean) / scale, -CLIP, CLIP)
    return np.ascontiguousarray(standard, dtype=np.float32), np.flatnonzero(kept)


def _values(where, target, seen):
    target = _numeric(where, "target", target, ndim=1)
    mean, scale = target[seen].mean(), target[seen].std()
    if scale <= 1e-7 * np.abs(target[seen]).max():
        raise InvalidInput(f"{where}: expected a target that varies, got {target[seen][0]:g} throughout.")
    return ((target - mean) / scale).astype(np.float32), float(mean), float(scale)


def _classes(where, target, seen):
    if target.dtype.kind not in "iubUS":
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
            "examples; store a regression target as floats."
        )
    return targets.astype(np.int32), labels
