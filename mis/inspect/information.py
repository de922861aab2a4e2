"""How much information about the weights passes a released file, from weights that spread."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

from mis.inspect.coding import Coding, chunks
from mis.quantizers.information import through_cells, through_dead_zone
from mis.results import Interval

__all__ = ["Shares", "Weights", "shares", "total"]

# Cell edges looked at in one tensor, and the weights that are looked at whatever the number of edges.
EDGES, FEWEST = 2**20, 2**12


@dataclass(frozen=True, kw_only=True)
class Weights:
    """One tensor before its release: where it is, and how far each weight moves.

    Parameters
    ----------
    centre
        Arrays whose mean is the weight: the one that was released, or, where that is not given, all.
    spread
        At least two arrays; each weight's standard deviation over them is its spread.
    """

    centre: Sequence[np.ndarray]
    spread: Sequence[np.ndarray]

    def at(self, place: np.ndarray | slice) -> tuple[np.ndarray, np.ndarray]:
        """Return weight and spread at some places of the flat tensor, float64."""
        centre, spread = (
            np.stack([array.reshape(-1)[place].astype(np.float64) for array in arrays])
            for arrays in (self.centre, self.spread)
        )
        return centre.mean(axis=0), spread.std(axis=0, ddof=1)


@dataclass(frozen=True, kw_only=True)
class Shares:
    """Share of information that passes, over the weights of one tensor: how many, their mean and their variance."""

    size: int
    seen: int
    mean: float
    variance: float


def shares(codings: Sequence[Coding], weights: Weights, *, seed: int) -> Shares | None:
    """Return the share of the Fisher information about each weight that its cells let through.

    As `mis.theory.retained_information`: J_j of a weight that fluctuates as ``N(w_j, s_j**2)``. Of several releases of
    one tensor their cells together: the common refinement, whose edges are all of theirs.

    Parameters
    ----------
    codings
        Releases of one tensor.
    weights
        The tensor before.
    seed
        Decides which weights are looked at where they are many: as many as make a million cell edges.

    Returns
    -------
    Shares or None
        None where a release has no cells that are known.
    """
    size = codings[0].tensor.size
    if any(coding.is_full for coding in codings):
        return Shares(size=size, seen=size, mean=1.0, variance=0.0)
    if len(codings) == 1 and codings[0].is_pruned:
        return _pruned(codings[0], weights)
    levels = [coding.levels for coding in codings]
    known = [one for one in levels if one is not None and one.halfway]
    if len(known) < len(levels) or not all(coding.is_scaled for coding in codings):
        return None
    num_edges = sum(len(one.table) - 1 for one in known)
    if num_edges == 0:
        return Shares(size=size, seen=size, mean=0.0, variance=0.0)
    seen = min(size, max(EDGES // num_edges, FEWEST))
    place = np.arange(size)
    if seen < size:
        place = np.sort(np.random.default_rng(seed).choice(size, seen, replace=False, shuffle=False))
    found = np.empty(seen)
    # The edges of so many weights fit in the cache.
    block = max(1, 2**18 // num_edges)
    for start in range(0, seen, block):
        here = place[start : start + block]
        edges = np.concatenate([one.edges_of(one.layout.unit(here)) for one in known], axis=1)
        w, s = weights.at(here)
        found[start : start + block] = through_cells(w, s, np.sort(edges, axis=1))
    return Shares(size=size, seen=seen, mean=float(found.mean()), variance=float(found.var()))


def _pruned(coding: Coding, weights: Weights) -> Shares | None:
    """Return the shares where weights below a threshold are released as 0 and the others as they are."""
    if len(weights.centre) != 1 or coding.read is None:
        return None
    below, above = 0.0, math.inf
    for start, stop in chunks(coding.tensor.size):
        gone = coding.read(start, stop) == 0
        size = np.abs(weights.centre[0].reshape(-1)[start:stop].astype(np.float64))
        below = max(below, float(size[gone].max(initial=0.0)))
        above = min(above, float(size[~gone].min(initial=math.inf)))
    if not below <= above < math.inf:
        return None
    total = square = 0.0
    for start, stop in chunks(coding.tensor.size):
        found = through_dead_zone(*weights.at(slice(start, stop)), below / 2 + above / 2)
        total, square = total + float(found.sum()), square + float(np.square(found).sum())
    count, mean = coding.tensor.size, total / coding.tensor.size
    return Shares(size=count, seen=count, mean=mean, variance=max(square / count - mean**2, 0.0))


def total(found: Sequence[Shares], level: float) -> Interval:
    """Return the mean share over all weights of some tensors.

    Returns
    -------
    Interval
        Kind ``bootstrap``, as `mis.theory.retained_information`, to which it is equal where all weights were looked at;
        where some were, their sampling error is added.

    Examples
    --------
    >>> total([Shares(size=100, seen=100, mean=0.25, variance=0.01)], level=0.95)
    Interval(0.25 in [0.2304, 0.2696], bootstrap, level=0.95)
    """
    sizes = np.array([one.size for one in found], np.float64)
    part, means = sizes / sizes.sum(), np.array([one.mean for one in found])
    variances, seen = (
        np.array([getattr(one, name) for one in found], np.float64) for name in ("variance", "seen")
    )
    value = float(part @ means)
    other_weights = float(part @ (variances + np.square(means - value))) / sizes.sum()
    sampling = float(np.square(part) @ (variances * np.maximum(1 / seen - 1 / sizes, 0.0)))
    margin = float(stats.norm.isf((1 - level) / 2)) * math.sqrt(other_weights + sampling)
    return Interval(
        lower=max(value - margin, 0.0),
        value=value,
        upper=min(value + margin, 1.0),
        kind="bootstrap",
        level=level,
    )
