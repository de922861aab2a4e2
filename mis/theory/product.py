"""Certified advantage of releases whose coordinates are independent, at any dimension."""

import math
import warnings
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from mis.numerics.checks import InvalidInput, finite, integer, number, refuse
from mis.results import Interval
from mis.theory.composition import compose
from mis.theory.coordinate import Coordinate, advantage

__all__ = ["Cells", "ToleranceNotMet", "product", "quantized_mean"]

# Beyond 38 standard deviations a cell is never reached in float64; 40 leaves one edge to spare.
FURTHEST = 40.0
MOST_EDGES = 100_000
# Nearer edges are one, computed twice: in standard units, beyond 1 relative.
SAME = 5e-15
# Above this the sum over coordinates says nothing that the convolution does not, unless there is only one.
SMALL = 1e-3
LARGEST_DIM = 10**7


class ToleranceNotMet(UserWarning):
    """The bounds hold but are further apart than was asked for."""


@dataclass(frozen=True, kw_only=True)
class Cells:
    """How coordinates of a released mean are quantized; equal coordinates are counted, not repeated.

    Parameters
    ----------
    edges
        Ascending cell edges, in the units of the coordinate; an empty tuple releases nothing, None the mean
        itself.
    mean, scale
        Of one example in this coordinate, normal; known to the attacker.
    count
        Number of such coordinates.

    Examples
    --------
    >>> Cells(edges=(-0.5, 0.5), count=10)
    Cells(edges=(-0.5, 0.5), mean=0.0, scale=1.0, count=10)
    """

    edges: tuple[float, ...] | None
    mean: float = 0.0
    scale: float = 1.0
    count: int = 1

    def __post_init__(self):
        number("theory.Cells", "mean", self.mean)
        number("theory.Cells", "scale", self.scale, above=0.0)
        integer("theory.Cells", "count", self.count, at_least=1, at_most=LARGEST_DIM)
        if self.edges is None:
            return
        if not isinstance(self.edges, tuple):
            raise refuse("theory.Cells", "edges", "a tuple or None", self.edges)
        if self.edges and (np.diff(finite("theory.Cells", "edges", self.edges, ndim=1)) <= 0).any():
            raise refuse("theory.Cells", "edges", "ascending", self.edges)


def product(cells: Sequence[Cells], n: int, *, tolerance: float = 1e-4) -> Interval:
    r"""Advantage of the best attack on a quantized mean with independent coordinates, between proved bounds.

    *Setting.* ``z_1..z_n`` are i.i.d. with independent normal coordinates, law known to the attacker;
    released is the mean, each coordinate replaced by the cell of its own quantizer that it lies in. Then
    ``(codes, z)`` is a product over coordinates under members and under non-members, and log likelihood
    ratios add.

    *Claim.* The advantage lies in ``[lower, upper]``, and ``roc()`` encloses the whole optimal ROC, hence the
    hockey-stick divergence of every prior and cost: proved at every point, and about as tight as the advantage,
    a few times less where the curve is steep.

    *Proof* and errors: ``mis.theory.composition``. What the attacker sees of a coordinate is divided into classes;
    the logs of their likelihood ratios are moved to a common lattice in two ways, one that leaks at most as much,
    one that leaks at least as much; the law of the sum is a convolution, by FFT. Truncation, quadrature,
    discretisation and rounding are accounted for on the safe side.

    The advantage is also at least that of any one coordinate and at most the sum over coordinates, which are
    known with small *relative* error (``coordinate.advantage``): leakage far below the slack is still
    bracketed, up to a factor of the dimension. The convolution and the ROC are accurate to an absolute error
    only.

    Parameters
    ----------
    cells
        One or more ``Cells``.
    n
        Number of examples in the mean, >= 2.
    tolerance
        Largest wanted ``upper - lower``, in 1e-8..0.1. Where rounding or memory stands against it, the bounds
        hold all the same and a ``ToleranceNotMet`` warning says so.

    Returns
    -------
    Interval
        Kind ``certified``; ``details`` holds ``slack``, the lattice ``step`` in nats and its ``size``.

    Raises
    ------
    InvalidInput
        No cells, ``n < 2``, or a tolerance out of range.

    References
    ----------
    Koskela, Jälkö, Honkela (2020), Computing tight differential privacy guarantees using FFT,
    arXiv:1906.03049. Doroshenko et al. (2022), arXiv:2207.04380. Gopi, Lee, Wutschitz (2021),
    arXiv:2106.02848.

    Examples
    --------
    Ten signs leak more than ten coordinates of which each releases whether it is far from zero:

    >>> product([Cells(edges=(0.0,), count=10)], n=100)
    Interval(0.100702 in [0.100693, 0.10071], certified, level=1)
    >>> product([Cells(edges=(-0.3, 0.3), count=10)], n=100).upper < 0.02
    True
    """
    where = "theory.product"
    given = [cells] if isinstance(cells, Cells) else cells
    cells = list(given) if isinstance(given, Iterable) else []
    if not cells or not all(isinstance(c, Cells) for c in cells):
        raise InvalidInput(f"{where}: expected cells a non-empty sequence of Cells, got cells={given!r}.")
    n = integer(where, "n", n, at_least=2, at_most=10**12)
    alike: dict[bytes | None, Coordinate] = {}
    for c in cells:
        found = _standardised(c, n)
        key = None if c.edges is None else found.edges.tobytes()
        alike[key] = found._replace(copies=found.copies + (alike[key].copies if key in alike else 0))
    coordinates = list(alike.values())
    return _certified(where, coordinates, n, tolerance)


def quantized_mean(
    n: int,
    dim: int,
    width: float | Sequence[float],
    offset: float | Sequence[float] = 0.0,
    *,
    tolerance: float = 1e-4,
) -> Interval:
    r"""Advantage of the best attack on a mean of n normal vectors, released on a uniform grid.

    *Setting.* ``z_i`` i.i.d. ``N(0, I)`` in ``R^dim``, the law known to the attacker; released is the mean
    with each coordinate rounded to its cell, edges at ``(k - offset) * width`` for all integers k. So
    ``offset`` is where the true mean lies in its cell, in units of its width: 0 on an edge, 0.5 in the
    middle. ``width=0`` releases the mean itself. Several widths or offsets are several releases of the same mean: what
    they tell together is what their common refinement tells, one release with all their edges.

    *Claim, proof, errors:* see ``product``. In dimension 1 the value has a relative error below 1e-10 at any
    size, without convolution: ``arcsin(1/sqrt(n)) / pi`` on an edge between wide cells.

    Parameters
    ----------
    n
        Number of examples, >= 2.
    dim
        Dimension, 1..1e7.
    width
        Cell width in standard deviations of one example, >= 0; a number, or one for each release.
    offset
        Position of the true mean in its cell; any number, only its fractional part matters; or one for each release.
    tolerance
        Largest wanted ``upper - lower``.

    Returns
    -------
    Interval
        Kind ``certified``.

    Examples
    --------
    A mean that sits on cell edges leaks, one in the middle of its cell does not:

    >>> on_edge = quantized_mean(n=100, dim=100, width=0.5, offset=0)
    >>> on_edge
    Interval(0.311013 in [0.310986, 0.31104], certified, level=1)
    >>> print(f"{on_edge.roc().tpr(0.001).lower:.3f}")
    0.011
    >>> quantized_mean(n=100, dim=1, width=2, offset=0.5)
    Interval(9.09591e-24 in [9.09591e-24, 9.09591e-24], certified, level=1)

    A second release with its edges there tells what the first does not; with cells that the first refines, nothing:

    >>> round(quantized_mean(n=100, dim=1, width=2, offset=(0.5, 0)).value, 4)
    0.0319
    >>> quantized_mean(n=100, dim=1, width=(2, 6), offset=0.5) == quantized_mean(n=100, dim=1, width=2, offset=0.5)
    True
    """
    where = "theory.quantized_mean"
    n = integer(where, "n", n, at_least=2, at_most=10**12)
    dim = integer(where, "dim", dim, at_least=1, at_most=LARGEST_DIM)
    widths, offsets = _each(where, "width", width), _each(where, "offset", offset)
    if min(widths) < 0:
        raise refuse(where, "width", ">= 0", width)
    if len(widths) != len(offsets) and 1 not in (len(widths), len(offsets)):
        raise InvalidInput(
            f"{where}: expected a width and an offset for each release, got {len(widths)} widths and "
            f"{len(offsets)} offsets."
        )
    pairs = np.broadcast(widths, offsets)
    grids = [_grid(float(w) * math.sqrt(n), float(o) % 1.0, dim) for w, o in pairs]
    return _certified(where, [_refined(grids)], n, tolerance)


def _each(where: str, name: str, given: float | Sequence[float]) -> list[float]:
    """Return the numbers of all releases."""
    if np.ndim(given) == 0:
        return [number(where, name, given)]
    return [number(where, name, one) for one in finite(where, name, given, ndim=1)]


def _refined(grids: list[Coordinate]) -> Coordinate:
    """Return the common refinement; of grids too fine to be listed one, whose regions any edges may divide."""
    for grid in grids:
        if not grid.whole.all():
            return grid
    edges = _distinct(np.concatenate([grid.edges for grid in grids]))
    return Coordinate(edges, np.ones(len(edges) + 1, bool), grids[0].copies)


def _distinct(edges: np.ndarray) -> np.ndarray:
    """Return edges in order, once each: what only rounding can tell apart is one, as far off as an edge may be."""
    edges = np.unique(edges)
    near = SAME * np.maximum(1.0, np.abs(edges))
    if (np.diff(edges) > near[1:]).all():
        return edges
    kept = [edges[0]]
    for edge, within in zip(edges[1:], near[1:], strict=True):
        if edge - kept[-1] > within:
            kept.append(edge)
    return np.array(kept)


def _standardised(cells: Cells, n: int) -> Coordinate:
    if cells.edges is None:
        return _grid(0.0, 0.0, cells.count)
    standard = math.sqrt(n) * (np.asarray(cells.edges, float) - cells.mean) / cells.scale
    edges = _distinct(standard[np.abs(standard) < FURTHEST])
    return Coordinate(edges, np.ones(len(edges) + 1, bool), cells.count)


def _grid(width: float, offset: float, copies: int) -> Coordinate:
    """Return all edges within reach, or so many of them that the regions between are still very narrow."""
    if width * MOST_EDGES > 2 * FURTHEST:
        first, last = math.floor(-FURTHEST / width), math.ceil(FURTHEST / width)
        edges = (np.arange(first, last + 1) - offset) * width
        edges = edges[np.abs(edges) < FURTHEST]
        return Coordinate(edges, np.ones(len(edges) + 1, bool), copies)
    stride = width * max(1, round(1e-3 / width)) if width else 1e-3
    last = math.ceil(FURTHEST / stride)
    edges = np.arange(-last, last + 1) * stride - offset * width
    return Coordinate(edges, np.zeros(len(edges) + 1, bool), copies)


def _certified(where: str, coordinates: list[Coordinate], n: int, tolerance: float) -> Interval:
    if not 1e-8 <= number(where, "tolerance", tolerance) <= 0.1:
        raise refuse(where, "tolerance", "in 1e-8..0.1", tolerance)
    r = 1 / math.sqrt(n)
    least, most = 0.0, 1.0
    # Measured: the gap hardly ever exceeds 0.13 resolution^2, 0.3 where cells are divided or joined.
    resolution = (2.7 if all(c.whole.all() for c in coordinates) else 1.8) * math.sqrt(tolerance)
    while True:
        roc, details = compose(coordinates, r, resolution)
        bounds = roc.advantage()
        if most == 1 and (bounds.upper < SMALL or sum(c.copies for c in coordinates) == 1):
            least, most = _one_by_one(coordinates, r)
        lower, upper = max(bounds.lower, least), min(bounds.upper, most)
        gap = upper - lower
        if gap <= tolerance or details["capped"] or resolution < math.sqrt(tolerance) / 50:
            break
        resolution *= min(0.7, max(0.1, 0.9 * math.sqrt(tolerance / gap)))
    if gap > tolerance:
        warnings.warn(
            f"{where}: the bounds are {gap:.2g} apart, more than tolerance={tolerance:g}.",
            ToleranceNotMet,
            stacklevel=3,
        )
    value = (lower + upper) / 2
    return Interval(lower=lower, value=value, upper=upper, kind="certified", curve=roc, details=details)


def _one_by_one(coordinates: list[Coordinate], r: float) -> tuple[float, float]:
    """Bracket the advantage by those of the single coordinates: the largest, and the sum."""
    least, most = 0.0, 0.0
    for edges, whole, copies in coordinates:
        alone = advantage(edges, r) if whole.all() else None
        least = max(least, (alone or 0.0) * (1 - 1e-11))
        most += copies * (1.0 if alone is None else alone * (1 + 1e-11) + 1e-300)
    return least, min(most, 1.0)
