"""Parts of one set of examples that share none: of a target and of whoever attacks it with data of their own."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from mis.numerics.checks import InvalidInput, integer
from mis.populations.base import Examples, Population, Split

__all__ = ["Part"]


@dataclass(frozen=True, kw_only=True)
class Part(Population):
    """One of several parts of a population whose pools are disjoint, with the same held-out examples.

    Parameters
    ----------
    whole
        The population.
    part, parts
        Which of how many, from 1.

    Examples
    --------
    >>> from mis.populations import Digits
    >>> one, two = (Part(whole=Digits(), part=part, parts=2).split(0, 300) for part in (1, 2))
    >>> np.intersect1d(one.pool_rows, two.pool_rows).size, np.array_equal(one.heldout_rows, two.heldout_rows)
    (0, True)
    """

    whole: Population
    part: int = 1
    parts: int = 2

    def __post_init__(self):
        integer("Part", "parts", self.parts, at_least=1)
        integer("Part", "part", self.part, at_least=1, at_most=self.parts)
        if not isinstance(self.whole, Population):
            raise InvalidInput(f"Part: expected whole a population, got whole={self.whole!r}.")

    @property
    def name(self) -> str:
        return f"{self.whole.name}-part-{self.part}-of-{self.parts}"

    @property
    def dim(self) -> int:
        return self.whole.dim

    @property
    def shape(self) -> tuple[int, ...]:
        return self.whole.shape

    @property
    def source(self) -> str:
        return self.whole.source

    @property
    def num_classes(self) -> int | None:
        return self.whole.num_classes

    @property
    def largest_pool(self) -> int | None:
        largest = self.whole.largest_pool
        return None if largest is None else largest // self.parts

    @property
    def doubt(self) -> str:
        return self.whole.doubt

    def as_images(self) -> Population:
        return replace(self, whole=self.whole.as_images())

    def sample(self, key: Any, n: int) -> Examples:
        return self.whole.sample(key, n)

    def split(self, seed: int, pool: int) -> Split:
        """Return this part of a pool so many times as large, dealt at random, whatever its order."""
        if self.largest_pool is not None and pool > self.largest_pool:
            raise InvalidInput(
                f"{self.name}: expected pool of at most {self.largest_pool} examples, got pool={pool}."
            )
        both = self.whole.split(seed, self.parts * pool)
        dealt = np.random.default_rng([seed, self.parts]).permutation(len(both.pool))
        own = np.sort(dealt[(self.part - 1) * pool : self.part * pool])
        rows = None if both.pool_rows is None else both.pool_rows[own]
        return replace(both, pool=both.pool.take(own), pool_rows=rows)
