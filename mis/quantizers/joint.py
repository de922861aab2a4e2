"""What several deterministic quantizers of the same weights tell together."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from mis.numerics.checks import UnsupportedSetting
from mis.quantizers.base import Quantizer
from mis.quantizers.channels import Channel, Exact, Grid

__all__ = ["Joint"]


@dataclass(frozen=True, kw_only=True)
class Joint(Quantizer):
    """The codes of several quantizers, side by side: cells intersected.

    For what the codes tell: information and entropy. Its levels are middles of cells, which nobody releases.

    Parameters
    ----------
    quantizers
        Deterministic quantizers with levels, or full precision, beside which the others tell nothing more.

    Examples
    --------
    >>> import numpy as np
    >>> from mis.quantizers import Sign, Uniform
    >>> Joint(quantizers=(Sign(), Uniform(bits=2))).fit(np.array([-3.0, 1.0, 2.0])).edges
    array([-1.5,  0. ,  1.5])
    """

    family: ClassVar[str] = "joint"
    quantizers: tuple[Quantizer, ...]

    def __post_init__(self):
        pass

    @property
    def name(self) -> str:
        """The names, with slashes between."""
        return "/".join(quantizer.name for quantizer in self.quantizers)

    @property
    def num_levels(self) -> float:
        """At most, where no two edges coincide."""
        return 1 + sum(quantizer.num_levels - 1 for quantizer in self.quantizers)

    def _fit(self, weights: Any) -> Channel:
        return self._intersected([quantizer._fit(weights) for quantizer in self.quantizers], weights)

    def fit_network(self, tensors: Sequence[Any], calibration: Any = None) -> list[Channel]:  # noqa: ARG002
        """Return the cells of each tensor of a network."""
        tensors = [self.taken(weights) for weights in tensors]
        of_tensor = zip(*(quantizer.fit_network(tensors) for quantizer in self.quantizers), strict=True)
        return [self._intersected(list(channels), w) for channels, w in zip(of_tensor, tensors, strict=True)]

    @staticmethod
    def _intersected(channels: list[Any], weights: Any) -> Channel:
        for channel in channels:
            if isinstance(channel, Exact):
                return channel
        if not all(isinstance(channel, Grid) and channel.is_sharp for channel in channels):
            raise UnsupportedSetting("Joint", "only deterministic quantizers with levels can be joined.")
        xp = weights.__array_namespace__()
        count = max(channel.edges.size // channel.edges.shape[-1] for channel in channels)
        rows = [
            xp.broadcast_to(c.edges.reshape(-1, c.edges.shape[-1]), (count, c.edges.shape[-1]))
            for c in channels
        ]
        edges = xp.sort(xp.concatenate(rows, axis=-1), axis=-1)
        ends = edges[:, :1] - 1, edges[:, -1:] + 1
        levels = xp.concatenate([ends[0], edges[:, :-1] / 2 + edges[:, 1:] / 2, ends[1]], axis=-1)
        if all(channel.edges.ndim == 1 for channel in channels):
            levels, edges = levels[0], edges[0]
        return Grid(levels=levels, edges=edges)
