"""One coordinate of a mean released through cells, and an example that may be in the mean.

In standard units, ``Y = sqrt(n) (estimate - truth) / sd`` and the example ``Z`` are standard normal; a member
has correlation ``r = 1 / sqrt(n)`` with Y, a non-member none. The attacker sees Z and the cell of Y. Cells
are given by their edges, ascending.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy import special

from mis.numerics.normal import log_mass
from mis.numerics.quadrature import legendre

__all__ = ["REACH", "WIDEST", "Coordinate", "Outcomes", "advantage", "bins_of", "num_bins", "outcomes"]

# Beyond this many standard deviations a normal variable has mass 2e-17, which is accounted for.
REACH = 8.5
# Gauss-Legendre nodes per panel, and the widest panel, for which ``_remainder`` is below 1e-13.
NODES, WIDEST = 5, 0.25
RAREST = 1e-22


class Coordinate(NamedTuple):
    """Edges in standard units; which regions below, between and above them are one cell; how many such coordinates."""

    edges: np.ndarray
    whole: np.ndarray
    copies: int = 1


class Outcomes(NamedTuple):
    """What the attacker may see, in finitely many classes: of which coordinate, masses, log ratio, its range within.

    ``missed``, one number a coordinate, bounds the members' mass in no class plus the error of all ``members``.
    """

    owner: np.ndarray
    members: np.ndarray
    others: np.ndarray
    loss: np.ndarray
    low: np.ndarray
    high: np.ndarray
    missed: np.ndarray


def advantage(edges: np.ndarray, r: float) -> float:
    r"""Return the exact advantage of one coordinate, to a relative 1e-11 wherever it is above 1e-300.

    *Claim.* ``Delta = sum_q E (p_q(Z) - p_q)^+``, with ``p_q(z)`` symmetric and log-concave in z about the
    middle of cell q divided by r, hence above ``p_q`` on an interval ``[a_q, b_q]`` only. So ``Delta`` is a
    sum over cells of ``P(Y in cell, Z in [a, b])`` at correlation r minus the same at 0, and each corner of
    each rectangle gives the integral of the bivariate normal density over the correlation from 0 to r
    (Plackett, 1954). Probabilities near 1 are compared by their complements, so nothing is lost when the
    estimate almost never leaves its cell. The excess vanishes at ``a`` and ``b``: their rounding enters
    squared.
    """
    nearest = np.abs(edges).min(initial=np.inf)
    # Further cells together have less than e^-40 of the mass of the nearest one outside.
    edges = edges[np.square(edges) <= nearest**2 + 80]
    if len(edges) == 0:
        return 0.0
    sd = math.sqrt(1 - r * r)
    low, high = np.append(-np.inf, edges), np.append(edges, np.inf)
    begin, end = np.full(len(low), -np.inf), np.full(len(low), np.inf)
    end[0], begin[-1] = np.array([edges[0], edges[-1]]) * (1 - sd) / r
    begin[1:-1], end[1:-1] = _above(low[1:-1], high[1:-1], r)
    corners = _corner(high, end, r) - _corner(low, end, r) - _corner(high, begin, r) + _corner(low, begin, r)
    return float(corners.sum())


def _above(low: np.ndarray, high: np.ndarray, r: float) -> tuple[np.ndarray, np.ndarray]:
    """Return where ``p_q(z) > p_q`` for bounded cells, by bisection to a relative 1e-13 of the bracket."""
    sd, middle = math.sqrt(1 - r * r), (low + high) / (2 * r)
    side = np.where(middle < 0, -1.0, 1.0)
    likely = _prob(low, high) > 0.5

    def exceeds(z):
        then = (low - r * z) / sd, (high - r * z) / sd
        return np.where(likely, _outside(low, high) > _outside(*then), _prob(*then) > _prob(low, high))

    inner, outer = np.zeros_like(low), np.abs(middle) + 100.0
    for _ in range(50):
        half = (inner + outer) / 2
        yes = exceeds(middle - side * half)
        inner, outer = np.where(yes, half, inner), np.where(yes, outer, half)
    return middle - inner, middle + inner


def _corner(y: np.ndarray, z: np.ndarray, r: float) -> np.ndarray:
    """Integrate the standard bivariate normal density at (y, z) over its correlation from 0 to r."""
    finite = np.isfinite(y) & np.isfinite(z)
    y, z = (np.where(finite, x, 0.0)[:, None] for x in (y, z))
    size = np.maximum(np.abs(y), np.abs(z))
    # The density peaks at correlation z / y or y / z; panels that meet there resolve it however narrow.
    ratio = np.where(size > 0, np.minimum(np.abs(y), np.abs(z)) / np.where(size > 0, size, 1.0), 0.0)
    peak = np.arcsin(np.clip(ratio * np.sign(y * z), 0.0, r))
    nodes, weights = legendre(64)
    last = math.asin(r) - peak
    angle = np.concatenate([peak * nodes, peak + last * nodes], axis=1)
    weight = np.concatenate([peak * weights, last * weights], axis=1)
    sine = np.sin(angle)
    density = np.exp(-(np.square(y - z * sine) / np.square(np.cos(angle)) + np.square(z)) / 2)
    return np.where(finite, (density * weight).sum(1) / (2 * np.pi), 0.0)


def outcomes(coordinates: Sequence[Coordinate], r: float, step: float) -> Outcomes:
    r"""Divide what the attacker sees of each coordinate into classes: regions of Y times bins of Z.

    A region that is not one whole cell of the release may be divided in any way, down to Y itself (full precision).
    Bins are equally likely under N(0, 3), which for a normal variable and their number loses least in mean square
    (Panter and Dite, 1951): as little as bins of width ``step`` everywhere. Regions within two of them are joined.

    *Range of the log ratio within a class.* For a whole cell it is ``log p_q(z) - log p_q``, which in z first
    rises, then falls: its least value is at an end of the bin, its largest there or at the peak. In a region
    that is not whole, the ratio of a cell within is a mean of ratios at points of the cell, so it lies within
    the range of

        log ratio (y, z) = r (2 y z - r y^2 - r z^2) / (2 (1 - r^2)) - log(1 - r^2) / 2

    over the rectangle; concave along both axes, so least at a corner and largest on a side.

    *Quadrature.* ``P(cell, Z in bin)`` is integrated by a 5-point Gauss rule on panels at most a quarter wide.
    ``f(z) = phi(z) p_q(z)`` is the integral over the cell of ``phi(y) phi((z - r y) / sd) / sd``, ``sd^2 = 1 -
    r^2``, so its tenth derivative is at most ``0.4336 sqrt(10!) sd^-11 p_q`` (Cramér's bound on Hermite
    functions), and the rule's remainder ``w^11 (5!)^4 / (11 (10!)^3) f^(10)`` summed over panels and cells is
    what ``missed`` holds. Cells are differences of integrals up to their ends, which over all bins are rounded by
    less than 5e-15. A mass is then moved into what the range of its ratio allows, which cannot take it further
    from the truth. The ratio of a cell too narrow for ``log p_q`` to keep twelve digits has an absolute error
    below 1e-15 once weighted by its mass; the 1e-14 for each region in ``missed`` pays for that, too.
    """
    bins = bins_of(step)
    parts = [_thinned(c.edges, c.whole, bins) for c in coordinates]
    ends = np.concatenate([np.concatenate([[-np.inf], edges, [np.inf]]) for edges, _ in parts])
    whole = np.concatenate([marks for _, marks in parts])
    owner = np.repeat(np.arange(len(parts)), [len(marks) for _, marks in parts])
    at = np.arange(len(whole)) + owner
    # What is not whole and unbounded begins beyond REACH; it goes into ``missed``.
    kept = whole | (np.isfinite(ends[at]) & np.isfinite(ends[at + 1]))
    at, whole, owner = at[kept], whole[kept], owner[kept]
    low, high = ends[at], ends[at + 1]
    others = _prob(low, high)[:, None] * _prob(bins[:-1], bins[1:])
    bottom, top = np.empty_like(others), np.empty_like(others)
    bottom[whole], top[whole] = _range_in_cells(low[whole], high[whole], bins, r)
    bottom[~whole], top[~whole] = _range_in_rectangles(low[~whole], high[~whole], bins, r)
    upto, remainder = _upto(ends, bins, r)
    members = np.clip(upto[at + 1] - upto[at], others * np.exp(bottom), others * np.exp(top))
    # Classes too rare to matter only cost time.
    seen = members > RAREST
    lost = np.bincount(owner, np.where(seen, 0.0, members).sum(axis=1) + 1e-14, minlength=len(parts))
    members, others = members[seen], others[seen]
    loss, margin = np.log(members / others), 1e-12
    return Outcomes(
        np.broadcast_to(owner[:, None], seen.shape)[seen],
        members,
        others,
        loss,
        np.minimum(bottom[seen], loss) - margin,
        np.maximum(top[seen], loss) + margin,
        4 * special.ndtr(-REACH) + remainder + lost,
    )


def num_bins(step: float) -> int:
    """Return the number of bins, even, of classes as fine as ``step``."""
    return 2 * math.ceil(math.sqrt(6**1.5 * math.pi / math.sqrt(2)) / step / 2)


def bins_of(step: float) -> np.ndarray:
    """Return the ends of bins, equally likely under N(0, 3), between -REACH and REACH."""
    furthest = special.ndtr(-REACH / math.sqrt(3))
    ends = math.sqrt(3) * special.ndtri(np.linspace(furthest, 0.5, num_bins(step) // 2 + 1))
    ends[0], ends[-1] = -REACH, 0.0
    return np.concatenate([ends, -ends[-2::-1]])


def _thinned(edges: np.ndarray, whole: np.ndarray, bins: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Join regions: those beyond the first edge past REACH on either side, and those within two bins."""
    place = np.searchsorted(bins, edges, side="right")
    jump = np.diff(place)
    kept = (place > 0) & np.append(True, jump > 0) | (place < len(bins)) & np.append(jump > 1, True)
    kept |= (place == 0) & np.append(jump > 0, True)
    index = np.flatnonzero(kept)
    ends = np.concatenate([[-1], index, [len(edges)]])
    return edges[index], (np.diff(ends) == 1) & whole[ends[1:]]


def _upto(ends: np.ndarray, bins: np.ndarray, r: float) -> tuple[np.ndarray, float]:
    """Return ``P(Y < end, Z in bin)`` of members, shape (ends, bins), and the rule's remainder for one coordinate."""
    panels = np.ceil(np.diff(bins) / WIDEST).astype(int)
    first = np.concatenate([[0], np.cumsum(panels)])
    width = np.repeat(np.diff(bins) / panels, panels)
    left = np.repeat(bins[:-1], panels) + width * (np.arange(first[-1]) - np.repeat(first[:-1], panels))
    nodes, weights = legendre(NODES)
    z = (left[:, None] + width[:, None] * nodes).ravel()
    weight = (width[:, None] * weights).ravel() * np.exp(-z * z / 2) / math.sqrt(2 * math.pi)
    given = special.ndtr((ends[:, None] - r * z) / math.sqrt(1 - r * r))
    given *= weight
    return np.add.reduceat(given, NODES * first[:-1], axis=1), _remainder(width, r)


def _remainder(width: np.ndarray, r: float) -> float:
    """Bound the quadrature error of ``_upto`` on panels of some widths, summed over panels and cells."""
    k = 2 * NODES
    rule = math.factorial(NODES) ** 4 / ((k + 1) * math.factorial(k) ** 3)
    derivative = 0.4336 * math.sqrt(math.factorial(k)) * (1 - r * r) ** (-(k + 1) / 2)
    return float((width ** (k + 1)).sum() * rule * derivative)


def _range_in_cells(low, high, bins, r):
    """Return least and largest log ratio over each bin, for whole cells."""
    sd, cell = math.sqrt(1 - r * r), log_mass(low, high)
    at = log_mass((low[:, None] - r * bins) / sd, (high[:, None] - r * bins) / sd) - cell[:, None]
    half = (high - low) / (2 * sd)
    with np.errstate(invalid="ignore"):
        middle = np.nan_to_num((low + high) / (2 * r), nan=np.inf)[:, None]
    peak = (log_mass(-half, half) - cell)[:, None]
    ends = np.maximum(at[:, :-1], at[:, 1:])
    return np.minimum(at[:, :-1], at[:, 1:]), np.where((bins[:-1] < middle) & (middle < bins[1:]), peak, ends)


def _range_in_rectangles(low, high, bins, r):
    """Return least and largest log ratio over rectangles of (Y, Z)."""

    def at(y, z):
        return r * (2 * y * z - r * (y * y + z * z)) / (2 * (1 - r * r)) - math.log1p(-r * r) / 2

    low, high, left, right = low[:, None], high[:, None], bins[:-1], bins[1:]
    corners = [at(y, z) for y in (low, high) for z in (left, right)]
    sides = [at(np.clip(z / r, low, high), z) for z in (left, right)]
    sides += [at(y, np.clip(y / r, left, right)) for y in (low, high)]
    return np.min(corners, axis=0), np.max(sides, axis=0)


def _prob(low: np.ndarray, high: np.ndarray) -> np.ndarray:
    """Return the standard normal mass of (low, high), from the tail that it lies in."""
    flip = low > 0
    return special.ndtr(np.where(flip, -low, high)) - special.ndtr(np.where(flip, -high, low))


def _outside(low: np.ndarray, high: np.ndarray) -> np.ndarray:
    """Return the standard normal mass outside (low, high)."""
    return special.ndtr(low) + special.ndtr(-high)
