"""What a population is, the examples it yields, and how it is cut into a pool and the rest.

To add a population: copy ``linear.py`` (a law that can be sampled) or ``freesolv.py`` (a table of real
examples); add it to ``POPULATIONS`` in ``__init__.py``; add one row to ``CASES`` in
``tests/contracts/test_populations.py``. Rankings, the command line and the contract tests then meet it by
themselves.
"""

import abc
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import jax
import numpy as np

from mis.numerics.checks import UnsupportedSetting, integer
from mis.numerics.seeds import jax_key

__all__ = ["Examples", "Law", "Population", "Split"]

MAX_SEED = 2**32 - 1
DEFAULT_POOL = 512
# Keeps the data of a seed apart from whatever else is made from the same seed, initial weights above all.
DATA_STREAM = 1


@jax.tree_util.register_dataclass
@dataclass(frozen=True, kw_only=True)
class Examples:
    """Features ``(n, *shape)`` float32 with their targets ``(n,)``: int32 classes or float32 values."""

    features: Any
    targets: Any

    def __len__(self) -> int:
        return self.targets.shape[0]

    def take(self, indices: Any) -> "Examples":
        """Return the examples at ``indices``."""
        return Examples(features=self.features[indices], targets=self.targets[indices])

    def reshaped(self, change: Callable[[Any], Any]) -> "Examples":
        """Return the examples with features of another shape."""
        return Examples(features=change(self.features), targets=self.targets)


@dataclass(frozen=True, kw_only=True, eq=False)
class Split:
    """A pool, from which members are drawn, and examples outside it. NumPy arrays, C-contiguous.

    Parameters
    ----------
    pool, heldout
        The two parts.
    target_mean, target_scale
        A regression target in its own units is ``target_mean + target_scale * targets``.
    labels
        For classes of a real set, ``(num_classes,)``: ``labels[c]`` is what the set itself calls class c.
    pool_rows, heldout_rows
        For a real set, the rows of its table that each part holds.
    """

    pool: Examples
    heldout: Examples
    target_mean: float = 0.0
    target_scale: float = 1.0
    labels: Any = None
    pool_rows: Any = None
    heldout_rows: Any = None

    def reshaped(self, change: Callable[[Any], Any]) -> "Split":
        """Return both parts with features of another shape."""
        return replace(self, pool=self.pool.reshaped(change), heldout=self.heldout.reshaped(change))


@dataclass(frozen=True, kw_only=True)
class Population(abc.ABC):
    """A law ``P`` of examples ``z = (features, target)``.

    A spec: frozen, hashable, numbers and strings (or tuples of them) only, validated in ``__post_init__``.
    """

    @property
    @abc.abstractmethod
    def name(self) -> str:
        """The registry name, e.g. ``"solubility"``."""

    @property
    @abc.abstractmethod
    def dim(self) -> int:
        """Number of features; of images, of their pixels and channels."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of one example's features: ``(dim,)``, or ``(H, W, C)`` of images."""
        return (self.dim,)

    @property
    def source(self) -> str:
        """Where the examples were found, for the head of a table; empty where the name says it."""
        return ""

    def as_images(self) -> "Population":
        """Return the same task with features ``(H, W, C)``, for a network that takes images.

        Raises
        ------
        UnsupportedSetting
            Where the examples are no images.
        """
        if len(self.shape) == 3:
            return self
        raise UnsupportedSetting(
            self.name,
            f"its examples are {self.dim} numbers, not images; take a network for those, as mlp is, or a task of "
            "images, as fashion-mnist is.",
        )

    @property
    @abc.abstractmethod
    def num_classes(self) -> int | None:
        """Number of classes; None for regression."""

    @property
    @abc.abstractmethod
    def largest_pool(self) -> int | None:
        """The largest pool that ``split`` can give; None where there is no limit."""

    @property
    def default_pool(self) -> int:
        """The pool of a ranking where none is asked for."""
        return DEFAULT_POOL

    @property
    def doubt(self) -> str:
        """What of the data may be meant otherwise than it is taken, and how to ask for that; empty if nothing."""
        return ""

    @abc.abstractmethod
    def sample(self, key: Any, n: int) -> Examples:
        """Return ``n`` i.i.d. examples, made from a JAX key."""

    @abc.abstractmethod
    def split(self, seed: int, pool: int) -> Split:
        """Return a pool of ``pool`` examples and held-out ones; ``seed`` decides which."""


@dataclass(frozen=True, kw_only=True)
class Law(Population):
    """A population known by its law: every split is a fresh draw.

    Parameters
    ----------
    num_heldout
        Held-out examples of each split.
    """

    num_heldout: int = 2048

    def __post_init__(self):
        integer(self.name, "num_heldout", self.num_heldout, at_least=1)

    @property
    def largest_pool(self) -> None:
        return None

    def split(self, seed: int, pool: int) -> Split:
        seed = integer(self.name, "seed", seed, at_least=0, at_most=MAX_SEED)
        pool = integer(self.name, "pool", pool, at_least=2)
        key = jax.random.fold_in(jax_key(seed), DATA_STREAM)
        drawn = self.sample(key, pool + self.num_heldout)
        drawn = jax.tree.map(np.asarray, drawn)
        return Split(pool=drawn.take(np.s_[:pool]), heldout=drawn.take(np.s_[pool:]))
