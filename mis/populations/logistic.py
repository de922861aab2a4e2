"""Two classes by a logistic teacher."""

from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from mis.numerics.checks import integer, number
from mis.populations.base import MAX_SEED, Examples, Law

__all__ = ["LogisticTeacher"]


@dataclass(frozen=True, kw_only=True)
class LogisticTeacher(Law):
    """Two classes, ``P(y=1 | x) = 1 / (1 + exp(-<coefficients, x>))``, x standard normal.

    Parameters
    ----------
    dim
        Number of features.
    strength
        Length of the coefficients: the standard deviation of the logit.
    law_seed
        Decides the direction of the coefficients: it is part of the law, not of the sample.

    Examples
    --------
    >>> import jax
    >>> LogisticTeacher(dim=3).sample(jax.random.key(0), 5).features.shape
    (5, 3)
    """

    dim: int = 16
    strength: float = 2.0
    law_seed: int = 0

    def __post_init__(self):
        super().__post_init__()
        integer("logistic", "dim", self.dim, at_least=1)
        number("logistic", "strength", self.strength, above=0.0)
        integer("logistic", "law_seed", self.law_seed, at_least=0, at_most=MAX_SEED)

    @property
    def name(self) -> str:
        return "logistic"

    @property
    def num_classes(self) -> int:
        return 2

    @property
    def coefficients(self) -> np.ndarray:
        """The teacher, ``(dim,)`` float64, of length ``strength``."""
        direction = np.random.default_rng(self.law_seed).standard_normal(self.dim)
        return direction * (self.strength / np.linalg.norm(direction))

    def sample(self, key: Any, n: int) -> Examples:
        feature_key, class_key = jax.random.split(key)
        features = jax.random.normal(feature_key, (n, self.dim), dtype=jnp.float32)
        logits = features @ jnp.asarray(self.coefficients, dtype=jnp.float32)
        ones = jax.random.bernoulli(class_key, jax.nn.sigmoid(logits))
        return Examples(features=features, targets=ones.astype(jnp.int32))
