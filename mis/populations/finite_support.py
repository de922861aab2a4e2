"""A law on finitely many examples."""

from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from mis.numerics.checks import InvalidInput, finite, refuse
from mis.populations.base import Examples, Law

__all__ = ["FiniteSupport"]


@dataclass(frozen=True, kw_only=True)
class FiniteSupport(Law):
    """A law on m atoms, each an example with its probability.

    Parameters
    ----------
    atoms
        Features of the atoms, ``(m, dim)``; arrays are turned into tuples, so that the spec stays hashable.
    targets
        Their targets, ``(m,)``: integers are classes ``0..C-1``, floats are values.
    probs
        Their probabilities, ``(m,)``, positive, summing to 1 within 1e-9.

    Examples
    --------
    >>> FiniteSupport(atoms=[[-0.9], [0.15], [0.6]], targets=[0.0, 0.0, 0.0], probs=[0.2, 0.5, 0.3]).dim
    1
    """

    atoms: Any
    targets: Any
    probs: Any

    def __post_init__(self):
        super().__post_init__()
        atoms = finite("finite-support", "atoms", self.atoms, ndim=2)
        values = finite("finite-support", "targets", self.targets, ndim=1)
        probs = finite("finite-support", "probs", self.probs, ndim=1)
        if not len(atoms) == len(values) == len(probs):
            raise InvalidInput(
                "finite-support: expected one target and one probability for each atom, got "
                f"{len(atoms)} atoms, {len(values)} targets, {len(probs)} probs."
            )
        if (probs <= 0).any() or abs(probs.sum() - 1) > 1e-9:
            raise refuse("finite-support", "probs", "positive with sum 1", tuple(probs.tolist()))
        classes = np.asarray(self.targets)
        if classes.dtype.kind in "iu" and set(classes.tolist()) != set(range(int(classes.max()) + 1)):
            raise refuse(
                "finite-support", "targets", "all the classes 0..C-1, or floats", tuple(classes.tolist())
            )
        object.__setattr__(self, "atoms", tuple(map(tuple, atoms.tolist())))
        object.__setattr__(self, "targets", tuple(classes.tolist()))
        object.__setattr__(self, "probs", tuple(probs.tolist()))

    @property
    def name(self) -> str:
        return "finite-support"

    @property
    def dim(self) -> int:
        return len(self.atoms[0])

    @property
    def num_classes(self) -> int | None:
        return max(self.targets) + 1 if isinstance(self.targets[0], int) else None

    def sample(self, key: Any, n: int) -> Examples:
        drawn = jax.random.choice(key, len(self.probs), (n,), p=jnp.asarray(self.probs, dtype=jnp.float32))
        dtype = jnp.float32 if self.num_classes is None else jnp.int32
        return Examples(
            features=jnp.asarray(self.atoms, dtype=jnp.float32)[drawn],
            targets=jnp.asarray(self.targets, dtype=dtype)[drawn],
        )
