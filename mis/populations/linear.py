"""Regression by a linear teacher."""

import math
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from mis.numerics.checks import integer, probability
from mis.populations.base import MAX_SEED, Examples, Law

__all__ = ["LinearTeacher"]


@dataclass(frozen=True, kw_only=True)
class LinearTeacher(Law):
    """Regression ``y = <coefficients, x> + noise``, x standard normal, y of variance 1.

    Parameters
    ----------
    dim
        Number of features.
    r_squared
        Variance of the linear part, hence the R^2 of the best predictor; the rest is Gaussian noise.
    law_seed
        Decides the direction of the coefficients: it is part of the law, not of the sample.

    Examples
    --------
    >>> law = LinearTeacher(dim=3, r_squared=0.64)
    >>> f"{law.coefficients @ law.coefficients:.6f}"
    '0.640000'
    """

    dim: int = 16
    r_squared: float = 0.8
    law_seed: int = 0

    def __post_init__(self):
        super().__post_init__()
        integer("linear", "dim", self.dim, at_least=1)
        probability("linear", "r_squared", self.r_squared)
        integer("linear", "law_seed", self.law_seed, at_least=0, at_most=MAX_SEED)

    @property
    def name(self) -> str:
        return "linear"

    @property
    def num_classes(self) -> None:
        return None

    @property
    def coefficients(self) -> np.ndarray:
        """The teacher, ``(dim,)`` float64, of length ``sqrt(r_squared)``."""
        direction = np.random.default_rng(self.law_seed).standard_normal(self.dim)
        return direction * (math.sqrt(self.r_squared) / np.linalg.norm(direction))

    def sample(self, key: Any, n: int) -> Examples:
        feature_key, noise_key = jax.random.split(key)
        features = jax.random.normal(feature_key, (n, self.dim), dtype=jnp.float32)
        noise = math.sqrt(1 - self.r_squared) * jax.random.normal(noise_key, (n,), dtype=jnp.float32)
        return Examples(
            features=features, targets=features @ jnp.asarray(self.coefficients, dtype=jnp.float32) + noise
        )
