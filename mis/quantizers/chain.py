"""Pruning, then a quantizer of the survivors."""

import math
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from mis.numerics.checks import UnsupportedSetting, refuse
from mis.quantizers.base import Quantizer
from mis.quantizers.channels import Channel
from mis.quantizers.prune import Prune, least_survivor, num_zeroed

__all__ = ["Chain"]


@dataclass(frozen=True, kw_only=True)
class Chain(Quantizer):
    """Prune a tensor, then quantize the survivors on a grid fitted to them alone; zeros stay zero.

    A survivor keeps its sign, or becomes 0 where its level would have another. So the release is a grid again, of the
    second quantizer's levels and 0, with one cell for everything released as 0.

    Parameters
    ----------
    first
        What prunes.
    second
        A deterministic quantizer with levels. Per channel it fits each channel with the pruned weights as zeros, which
        no largest or smallest weight depends on.

    Examples
    --------
    >>> from mis.quantizers import Sign
    >>> Chain(first=Prune(zeros=0.5), second=Sign())(np.array([0.1, -0.2, 3.0, -5.0]))
    array([ 0.,  0.,  4., -4.])
    """

    family: ClassVar[str] = "chain"
    first: Prune
    second: Quantizer

    def __post_init__(self):
        if not isinstance(self.first, Prune):
            raise refuse("Chain", "first", "a Prune", self.first)
        if not (isinstance(self.second, Quantizer) and math.isfinite(self.second.num_levels)):
            raise refuse("Chain", "second", "a quantizer with levels", self.second)
        if not self._trial.is_sharp:
            raise UnsupportedSetting(
                "Chain",
                f"{self.second.name} rounds at random, so what it releases has no cell; choose another.",
            )

    @property
    def _trial(self) -> Any:
        return self.second.fit(np.array([-1.0, 1.0]))

    @property
    def name(self) -> str:
        """The names joined by a plus sign, e.g. ``"prune-90+uniform-4"``."""
        return f"{self.first.name}+{self.second.name}"

    @property
    def num_levels(self) -> float:
        """Those of the second, and 0 if that is none of them."""
        return self.second.num_levels + (0.0 not in self._trial.levels)

    @property
    def num_scales(self) -> int:
        """Those of the second; the threshold shows only in the codes."""
        return self.second.num_scales

    @property
    def bits(self) -> float:
        """Of the second's format, or log2 of the levels where these need more."""
        return max(self.second.bits, math.log2(self.num_levels))

    def _fit(self, weights: Any) -> Channel:
        """Return the grid of the survivors with the dead zone in it."""
        xp = weights.__array_namespace__()
        magnitude, zeros = xp.abs(weights), self.first.zeros
        threshold = least_survivor(weights, zeros)
        if getattr(self.second, "channel", False):
            survivors = xp.where(magnitude < threshold, 0, weights)
        else:
            # The largest, of which there are as many whatever the weights are: of equal ones the rest may be missing.
            order = xp.argsort(magnitude.ravel())
            survivors = weights.ravel()[order[num_zeroed(weights.size, zeros) :]]
        return self.second._fit(survivors).pruned(threshold)
