"""What several deterministic quantizers of the same weights tell together."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import jax
import numpy as np
from scipy import stats

from mis.numerics.checks import InvalidInput, UnsupportedSetting, refuse
from mis.quantizers.base import Quantizer
from mis.quantizers.channels import FULL_BITS, Channel, DeadZone, Exact, Grid
from mis.quantizers.information import through_cells
from mis.quantizers.observations import Cell, Observation

__all__ = ["CutZone", "Joint"]


@dataclass(frozen=True, kw_only=True)
class Joint(Quantizer):
    """Several releases of the same weights, side by side: their common refinement, all cells intersected.

    Every theory function that takes a quantizer takes this one, and so takes several releases: the information, the
    local advantage, the entropy are those of all the codes together.

    Parameters
    ----------
    quantizers
        At least two, deterministic: with levels, pruning, or full precision, beside which the others tell nothing more.

    Notes
    -----
    *Claim.* A weight's codes ``(Q_1(w), ..., Q_R(w))`` are a function of its cell among all the edges together, and
    that cell of the codes. So both tell the same of w, to any attacker and whatever the law of w is. *Proof:* the codes
    are equal for two weights exactly if no edge of any grid lies between them.

    *Which releases are free.* One whose edges are all edges of another is a function of that one, and beside it tells
    nothing new (data processing with equality): the refinement is the finer one itself. Of one tensor, and over one
    range, this is so for

    - full precision beside anything, and anything computed from released values;
    - pruning beside pruning, of which the least pruned tells all, and beside it a grid with no edge in the dead zone;
    - ``uniform-b`` beside ``uniform-B`` where ``b - 1`` divides ``B - 1`` (2 beside all, 3 beside 5 and 7, 4 beside 7),
      and ``-asymmetric`` grids where ``b`` divides ``B`` (2, 4 and 8) if their zero points round alike: one has an odd
      multiple of the other's steps, and middles fall on middles.

    It is not for sign beside any symmetric uniform grid (0 is in the middle of a cell there), for grids with another
    offset, clipping or scale, for ternary or a codebook beside uniform, and for whatever was trained on after its
    compression: those are other weights. There each edge that is new tells something.

    Its levels are middles of cells, which nobody releases.

    Examples
    --------
    >>> from mis.quantizers import Sign, Uniform
    >>> Joint(quantizers=(Sign(), Uniform(bits=2))).fit(np.array([-3.0, 1.0, 2.0])).edges
    array([-1.5,  0. ,  1.5])
    """

    family: ClassVar[str] = "joint"
    quantizers: tuple[Quantizer, ...]

    def __post_init__(self):
        object.__setattr__(self, "quantizers", tuple(self.quantizers))
        for quantizer in self.quantizers:
            if not isinstance(quantizer, Quantizer):
                raise refuse(
                    "Joint", "quantizers", "quantizers, as mis.quantizers.parse returns them", quantizer
                )
            if quantizer.num_calibration:
                raise UnsupportedSetting(
                    "Joint", f"what {quantizer.name} does to a weight depends on the others; leave it out."
                )
        if len(self.quantizers) < 2:
            raise InvalidInput(f"Joint: expected two quantizers or more, got {len(self.quantizers)}.")

    @property
    def name(self) -> str:
        """The names, with slashes between."""
        return "/".join(quantizer.name for quantizer in self.quantizers)

    @property
    def num_levels(self) -> float:
        """At most, where no two edges coincide."""
        return 1 + sum(quantizer.num_levels - 1 for quantizer in self.quantizers)

    @property
    def num_scales(self) -> int:
        """Of all together."""
        return sum(quantizer.num_scales for quantizer in self.quantizers)

    @property
    def bits(self) -> float:
        """What a weight takes in all releases together."""
        return sum(quantizer.bits for quantizer in self.quantizers)

    def published_bits(self, shape: tuple[int, ...]) -> float:
        """Return the bits of all releases together."""
        return sum(quantizer.published_bits(shape) for quantizer in self.quantizers)

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
        zones = [channel for channel in channels if isinstance(channel, DeadZone)]
        grids = [channel for channel in channels if isinstance(channel, Grid) and channel.is_sharp]
        if len(zones) + len(grids) < len(channels):
            raise UnsupportedSetting("Joint", "only deterministic quantizers with levels can be joined.")
        xp = weights.__array_namespace__()
        if not zones:
            return _grid(_edges(grids, xp), xp)
        threshold = zones[0].threshold
        for zone in zones[1:]:
            threshold = xp.minimum(threshold, zone.threshold)
        if not grids:
            return DeadZone(threshold=threshold)
        inner = xp.clip(_edges(grids, xp), -threshold, threshold)
        ends = xp.broadcast_to(xp.stack([-threshold, threshold]), (*inner.shape[:-1], 2))
        edges = xp.concatenate([ends[..., :1], inner, ends[..., 1:]], axis=-1)
        return CutZone(threshold=threshold, edges=edges)


def _edges(grids: list[Grid], xp: Any) -> Any:
    """Return all edges in order, a row for each channel where one of the grids has such."""
    count = max(grid.edges.size // grid.edges.shape[-1] for grid in grids)
    rows = [
        xp.broadcast_to(grid.edges.reshape(-1, grid.edges.shape[-1]), (count, grid.edges.shape[-1]))
        for grid in grids
    ]
    edges = xp.sort(xp.concatenate(rows, axis=-1), axis=-1)
    return edges[0] if all(grid.edges.ndim == 1 for grid in grids) else edges


def _grid(edges: Any, xp: Any) -> Grid:
    middles = edges[..., :-1] / 2 + edges[..., 1:] / 2
    return Grid(
        levels=xp.concatenate([edges[..., :1] - 1, middles, edges[..., -1:] + 1], axis=-1), edges=edges
    )


@jax.tree_util.register_dataclass
@dataclass(frozen=True, kw_only=True)
class CutZone(DeadZone):
    """A dead zone that other releases cut into cells; survivors are released as they are.

    Parameters
    ----------
    threshold
        The least magnitude that survives, > 0.
    edges
        Of the cells of the zone, ascending from ``-threshold`` to ``threshold``: ``(E,)``, or ``(C, E)`` by channel.

    Examples
    --------
    Signs beside pruning tell more of a pruned weight than pruning alone:

    >>> cut = CutZone(threshold=np.array(1.0), edges=np.array([-1.0, 0.0, 1.0]))
    >>> whole = DeadZone(threshold=np.array(1.0))
    >>> [channel.information(np.zeros(1), np.ones(1)).round(3).item() for channel in (whole, cut)]
    [0.801, 0.946]
    """

    edges: Any

    @property
    def _cells(self) -> Grid:
        return _grid(self.edges, self.edges.__array_namespace__())

    def apply(self, weights: Any, *, key: Any = None) -> Any:
        released = super().apply(weights, key=key)
        xp = released.__array_namespace__()
        return xp.where(released == 0, self._cells.apply(weights), released)

    def observation(self, released: Any) -> Observation:
        xp = released.__array_namespace__()
        cells, dead = self._cells.observation(released), xp.abs(released) < self.threshold
        return Cell(
            lower=xp.where(dead, cells.lower, released),  # type: ignore[attr-defined]
            upper=xp.where(dead, cells.upper, released),  # type: ignore[attr-defined]
        )

    def information(self, weights: Any, spread: Any) -> np.ndarray:
        """Return that of the zone, and what its cells tell beyond it."""
        both = through_cells(weights, spread, self.edges)
        one = through_cells(weights, spread, np.asarray(self.edges)[..., [0, -1]])
        return np.clip(super().information(weights, spread) + both - one, 0.0, 1.0)

    def entropy(self, weights: Any) -> float:
        """Return the entropy of cells and survival, and 32 bits for each survivor."""
        survives = np.abs(np.asarray(weights)) >= np.asarray(self.threshold)
        codes = np.where(survives, -1, np.asarray(self._cells.codes(weights)))
        counts = np.unique(codes, return_counts=True)[1]
        return float(stats.entropy(counts, base=2)) + FULL_BITS * float(survives.mean())
