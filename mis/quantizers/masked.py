"""Some weights released as 0, whatever they are, and the others through a channel."""

from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from scipy import stats

from mis.numerics.checks import UnsupportedSetting, refuse
from mis.quantizers.channels import Channel
from mis.quantizers.observations import Cell, Observation
from mis.quantizers.weights import floats, traced, wide

__all__ = ["Masked"]


@jax.tree_util.register_dataclass
@dataclass(frozen=True, kw_only=True)
class Masked(Channel):
    """The weights of a mask that was chosen without looking at them are released as 0, the others through ``inner``.

    A 0 of the mask says nothing of the weight: its cell is the whole line. The mask is known to who sees the release.

    Parameters
    ----------
    survives
        Which weights are released, of their shape.
    inner
        What those go through; of cells or points.
    """

    survives: Any
    inner: Channel

    @property
    def has_free_levels(self) -> bool:  # type: ignore[override]
        """That of what survivors go through."""
        return self.inner.has_free_levels

    def apply(self, weights: Any, *, key: Any = None) -> Any:
        weights = wide(floats("Masked.apply", weights))
        if weights.shape != self.survives.shape:
            raise refuse(
                "Masked.apply", "weights", f"of the mask's shape {self.survives.shape}", weights.shape
            )
        xp = weights.__array_namespace__()
        released = xp.where(self.survives, self.inner.apply(weights, key=key), 0)
        return xp.where(xp.isfinite(weights), released, np.nan) if traced(weights) else released

    def observation(self, released: Any) -> Observation:
        inner = self.inner.observation(released)
        if not isinstance(inner, Cell):
            raise UnsupportedSetting(
                "Masked", "only cells and points can be masked: deterministic quantizers."
            )
        xp = released.__array_namespace__()
        return Cell(
            lower=xp.where(self.survives, inner.lower, -xp.inf),
            upper=xp.where(self.survives, inner.upper, xp.inf),
        )

    def information(self, weights: Any, spread: Any) -> np.ndarray:
        return np.where(self.survives, self.inner.information(weights, spread), 0.0)

    def entropy(self, weights: Any) -> float:
        """Return that of the survivors for their share of the weights; which they are is known."""
        survives = np.asarray(self.survives)
        if hasattr(self.inner, "codes"):
            counts = np.bincount(np.asarray(self.inner.codes(weights))[survives])
            return float(survives.mean() * stats.entropy(counts, base=2))
        return float(survives.mean() * self.inner.entropy(np.asarray(weights)[survives]))

    def followed(self, released: Any, slopes: Any) -> Any:
        # What is masked must not move the level that 0 is nearest to.
        free = jnp.where(self.survives, slopes, 0)
        return jnp.where(self.survives, self.inner.followed(released, free), 0)
