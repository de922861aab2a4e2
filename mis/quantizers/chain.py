"""Pruning, then a quantizer of the survivors."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from mis.numerics.checks import UnsupportedSetting, refuse
from mis.quantizers.base import Quantizer
from mis.quantizers.channels import Channel
from mis.quantizers.masked import Masked
from mis.quantizers.prune import Prune, num_zeroed

__all__ = ["Chain"]


@dataclass(frozen=True, kw_only=True)
class Chain(Quantizer):
    """Prune a tensor, then quantize the survivors on a grid fitted to them alone; zeros stay zero.

    A survivor keeps its sign, or becomes 0 where its level would have another. So the release is a grid again, of the
    second quantizer's levels and 0, with one cell for everything released as 0. After pruning at random it is the
    second's release, masked.

    Parameters
    ----------
    first
        What prunes.
    second
        A deterministic quantizer with levels. Where its grid depends on nothing but the largest and the smallest
        weight, of the tensor, a channel or a block, it is fitted with the pruned weights as zeros. After pruning
        globally it must be such a one: how many weights of a tensor survive is not known before.

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
        if self.second.num_calibration:
            raise UnsupportedSetting(
                "Chain",
                f"{self.second.name} makes up for errors with every weight, pruned ones too; choose another.",
            )
        if self.second.learns:
            raise UnsupportedSetting(
                "Chain",
                f"{self.second.name} learns a step for all weights of a tensor; take uniform, or leave pruning.",
            )
        if isinstance(self.second, Chain):
            raise UnsupportedSetting("Chain", f"{self.name} prunes twice; take the larger share once.")
        if not (isinstance(self.second, Quantizer) and math.isfinite(self.second.num_levels)):
            raise refuse("Chain", "second", "a quantizer with levels", self.second)
        if not self._trial.is_sharp:
            raise UnsupportedSetting(
                "Chain",
                f"{self.second.name} rounds at random, so what it releases has no cell; choose another.",
            )
        if self.first.globally and not self.second.by_extremes:
            raise UnsupportedSetting(
                "Chain",
                f"{self.second.name} fits all survivors of a tensor, whose number is not fixed after "
                f"{self.first.name}; prune by tensor, or take uniform, power-of-two, nf4, fp4 or fp8.",
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
        trial = self._trial
        return self.second.num_levels + (0.0 not in getattr(trial, "levels", getattr(trial, "table", ())))

    @property
    def num_scales(self) -> int:
        """Those of the second; the threshold shows only in the codes."""
        return self.second.num_scales

    @property
    def bits(self) -> float:
        """Of the second's format, or log2 of the levels if more; after a random choice codes of survivors only."""
        if self.first.random:
            codes = getattr(self.second, "code_bits", self.second.bits)
            return codes * (1 - self.first.zeros) + self.second.bits - codes
        return max(self.second.bits, math.log2(self.num_levels))

    @property
    def side_bits(self) -> float:
        """Those of the second."""
        return self.second.side_bits

    @property
    def grid_bits(self) -> float:
        """Those of the second; the threshold shows only in the codes."""
        return self.second.grid_bits

    @property
    def per_channel(self) -> bool:
        """Whether the second has a grid for every channel."""
        return self.second.per_channel

    def _fit(self, weights: Any) -> Channel:
        """Return the grid of the survivors with the dead zone in it, or masked."""
        return self._of_survivors(self.first._fit(weights), weights)

    def fit_network(self, tensors: Sequence[Any], calibration: Any = None) -> list[Channel]:  # noqa: ARG002
        """Return what each tensor of a network goes through, pruned together if asked."""
        tensors = [self.taken(weights) for weights in tensors]
        each = zip(self.first.fit_network(tensors), tensors, strict=True)
        return [self._of_survivors(pruned, weights) for pruned, weights in each]

    def _of_survivors(self, pruned: Any, weights: Any) -> Channel:
        """Return the second's channel, fitted to what the first leaves, behind the first."""
        if self.second.by_extremes:
            survivors = pruned.apply(weights)
        elif isinstance(pruned, Masked):
            survivors = weights.ravel()[np.flatnonzero(pruned.survives)]
        else:
            # The largest, of which there are as many whatever the weights are: of equal ones the rest may be missing.
            order = weights.__array_namespace__().argsort(abs(weights).ravel())
            survivors = weights.ravel()[order[num_zeroed(weights.size, self.first.zeros) :]]
        of_survivors = self.second._fit(survivors)
        if isinstance(pruned, Masked):
            return Masked(survives=pruned.survives, inner=of_survivors)
        return of_survivors.pruned(pruned.threshold)
