"""Several releases of one estimate, each quantized: what they tell together."""

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from mis.numerics.checks import InvalidInput, integer, number
from mis.numerics.normal import cell_mean, log_mass
from mis.numerics.quadrature import legendre
from mis.results import Interval
from mis.theory.product import Cells, quantized_mean

__all__ = ["common_refinement", "offset_information", "offset_releases"]

# Where the normal density is below 1e-31, and a step of the trapezoid rule that is exact for what it meets.
FURTHEST, STEP = 12.0, 0.05
# Wider cells tell at their two edges only, and 45 is as good as infinite for an exponential variable.
WIDE, LAST = 40.0, 45.0
# Error of the quadratures; the tests find less.
QUADRATURE = 1e-11


def common_refinement(releases: Sequence[Cells]) -> Cells:
    """Cells of several releases of one coordinate together: all edges, for ``product`` and whatever takes cells.

    *Claim.* The codes of all releases are a function of the cell among all edges, and this cell of the codes: they tell
    the same, exactly, under any law. A release whose edges are edges of another is *free* beside it. For quantizers of
    weights the same is ``mis.quantizers.parse("sign/uniform-4")``, which every theory function takes that takes a
    quantizer.

    Parameters
    ----------
    releases
        One or more, of the same mean, scale and count; a release in full precision (``edges=None``) makes all others
        free.

    Raises
    ------
    InvalidInput
        None, or not of one coordinate.

    Examples
    --------
    >>> common_refinement([Cells(edges=(-1.0, 1.0)), Cells(edges=(0.0, 1.0))])
    Cells(edges=(-1.0, 0.0, 1.0), mean=0.0, scale=1.0, count=1)
    """
    where = "theory.common_refinement"
    releases = list(releases)
    if not releases or not all(isinstance(one, Cells) for one in releases):
        raise InvalidInput(f"{where}: expected releases a non-empty sequence of Cells, got {releases!r}.")
    if len({(one.mean, one.scale, one.count) for one in releases}) > 1:
        raise InvalidInput(f"{where}: expected releases of one mean, scale and count, got {releases!r}.")
    found: set[float] = set()
    for one in releases:
        if one.edges is None:
            return one
        found.update(one.edges)
    return replace(releases[0], edges=tuple(sorted(found)))


def offset_releases(
    n: int, dim: int, width: float, num_releases: int, offset: float = 0.0, *, tolerance: float = 1e-4
) -> Interval:
    r"""Advantage of the best attack on several releases of a mean, on grids of one width offset evenly.

    *Setting.* As of ``quantized_mean``: n normal vectors ``N(0, I)`` in ``R^dim``, their mean released R times, each
    coordinate rounded to cells of one width; grid k has its edges k/R of a width further than the first.

    *Claim.* They leak exactly what one release leaks on a grid R times as fine, ``Delta_R(width) =
    Delta_1(width / R)``, edges at the same place: certified. So the advantage rises with every release, to that of full
    precision; R releases leak what ``log2 R`` more bits leak. *Proof:* the edges of all R grids together are ``{(j -
    R offset) width / R}``, one grid, and several releases tell what their common refinement tells
    (``common_refinement``). Doubling R keeps all edges, so there it never falls; from R to R + 1 other edges come, and
    where the mean lies decides. ``quantized_mean`` takes any other offsets, and ``offset_information`` those drawn at
    random.

    Parameters
    ----------
    n, dim
        As of ``quantized_mean``.
    width
        Of the cells of each release, in standard deviations of one example, >= 0.
    num_releases
        R, 1..1e6.
    offset
        Position of the true mean in its cell of the first release.
    tolerance
        Largest wanted ``upper - lower``.

    Returns
    -------
    Interval
        Kind ``certified``.

    References
    ----------
    Cover, Thomas (2006), Elements of Information Theory, section 2.8, data processing with equality.

    Examples
    --------
    In mid-cell one release tells nothing, two much of what there is: the second has its edge at the mean.

    >>> [round(offset_releases(100, 10, 1.0, R, 0.5).value, 3) for R in (1, 2, 8, 64)]
    [0.0, 0.101, 0.116, 0.123]
    >>> round(quantized_mean(100, 10, 0.0).value, 3)
    0.123
    """
    where = "theory.offset_releases"
    num_releases = integer(where, "num_releases", num_releases, at_least=1, at_most=10**6)
    width, offset = number(where, "width", width), number(where, "offset", offset) % 1.0
    return quantized_mean(n, dim, width / num_releases, offset * num_releases, tolerance=tolerance)


def offset_information(width: float, num_releases: int, *, random: bool = False) -> Interval:
    r"""Share of information that several releases on offset grids pass together, the mean over where the weight lies.

    A weight fluctuates as ``N(w, s^2)``; released are R codes of it on grids of one width, and w may lie anywhere in
    their cells with equal probability, as many weights of a network do. With ``K(g) = integral (phi(x) - phi(x + g))^2
    / (Phi(x + g) - Phi(x)) dx``, what a cell of width g adds over all places,

        J_R = (R / width) E K(gap),

    gap the width of a cell of the refinement: ``width / R`` for grids offset evenly; for offsets drawn at random
    ``width B``, B of the Beta(1, R - 1) law. Hence, with cells wide against s, the boundary law R times over, ``J_R ~
    1.806 R / width``, whether even or not; and with many releases ``1 - J_R ~ width^2 / (12 R^2)`` evenly, and at
    random ``width^2 / (2 (R + 1) (R + 2))``: six times as much is left unsaid. ``predicted_advantage`` turns it into a
    level.

    *Errors:* by quadrature, at most 1e-11, which are the bounds. Exact for normal fluctuations; that w may lie
    anywhere is an assumption.

    Parameters
    ----------
    width
        Of the cells of each release, in units of s, > 0.
    num_releases
        R, 1..1e6.
    random
        Offsets drawn uniformly, each on its own, instead of evenly; the mean over the draws.

    Returns
    -------
    Interval
        Kind ``exact``, in [0, 1], 1 being all that the weight itself tells.

    References
    ----------
    Kulldorff (1961), *Estimation from grouped and partially grouped samples*. David, Nagaraja (2003), Order Statistics,
    section 6.4, for the law of the gaps.

    Examples
    --------
    >>> [round(offset_information(8.0, R).value, 3) for R in (1, 2, 4, 8)]
    [0.226, 0.449, 0.751, 0.923]
    >>> [round(offset_information(8.0, R, random=True).value, 3) for R in (1, 2, 4, 8)]
    [0.226, 0.386, 0.592, 0.788]
    """
    where = "theory.offset_information"
    width = number(where, "width", width, above=0.0)
    num_releases = integer(where, "num_releases", num_releases, at_least=1, at_most=10**6)
    if random and num_releases > 1:
        told = _mean_over_gaps(width, num_releases)
    else:
        told = float(_told(np.array([width / num_releases]))[0])
    share = min(num_releases * told / width, 1.0)
    return Interval(
        lower=max(share - QUADRATURE, 0.0), value=share, upper=min(share + QUADRATURE, 1.0), kind="exact"
    )


def _told(gaps: np.ndarray) -> np.ndarray:
    """Return K of each gap; the trapezoid rule is exact for what is analytic and vanishes beyond all powers."""
    found = np.empty(len(gaps))
    for i, gap in enumerate(gaps):
        low = np.arange(-min(gap, WIDE) - FURTHEST, FURTHEST, STEP)
        high = low + min(gap, WIDE)
        found[i] = STEP * (np.exp(log_mass(low, high)) * np.square(cell_mean(low, high))).sum()
    return found


def _mean_over_gaps(width: float, num_releases: int) -> float:
    """Return the mean of K over a gap ``width (1 - exp(-t / (R - 1)))``, t exponential: the Beta(1, R - 1) law."""
    rest = num_releases - 1
    # From here on the gap is wide and K constant.
    last = min(LAST, -rest * math.log1p(-WIDE / width)) if width > WIDE else LAST
    nodes, weights = legendre(16)
    panels = np.linspace(0.0, last, 33)
    t = (panels[:-1, None] + np.diff(panels)[:, None] * nodes).ravel()
    weight = (np.diff(panels)[:, None] * weights).ravel()
    within = float((weight * np.exp(-t) * _told(-width * np.expm1(-t / rest))).sum())
    return within + math.exp(-last) * float(_told(np.array([WIDE]))[0]) * (last < LAST)
