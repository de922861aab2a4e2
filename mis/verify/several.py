"""Claims about several releases of one estimate."""

import math

import numpy as np
from scipy import special, stats

from mis import quantizers, theory
from mis.results import Interval
from mis.verify.registry import LEVEL, claim

__all__: list[str] = []

SEVERAL = "proof: theory.common_refinement"
WEIGHTS = np.append(stats.norm.ppf((np.arange(999) + 0.5) / 999), [4.0, -4.0])


@claim(
    "several",
    "nested-releases",
    "Nested releases are free: beside a release with all its edges, another tells nothing new",
    "Cover, Thomas (2006), theorem 2.8.1; theory.common_refinement",
    {
        "symmetric": {"free": "uniform-4", "beside": "uniform-7"},
        "asymmetric": {"free": "uniform-2-asymmetric", "beside": "uniform-8-asymmetric"},
        "pruned": {"free": "prune-90", "beside": "prune-60"},
    },
)
def nested_releases(free, beside):
    both, alone = (
        theory.retained_information(WEIGHTS, 0.05, quantizers.parse(name)).value
        for name in (f"{free}/{beside}", beside)
    )
    return both, alone, 1e-12


@claim(
    "several",
    "several-means",
    "A mean released several times: certified bounds cover likelihood ratios of the tuples of codes, simulated",
    f"{SEVERAL}; theory.quantized_mean",
    {
        "aligned": {"n": 30, "dim": 20, "width": 0.6, "offsets": (0.5, 0.0)},
        "three": {"n": 100, "dim": 50, "width": 0.5, "offsets": (0.1, 0.25, 0.7)},
    },
    relation="covers",
)
def several_means(n, dim, width, offsets):
    return theory.quantized_mean(n, dim, width, offsets), _simulated(n, dim, width, offsets)


@claim(
    "several",
    "offset-releases",
    "R evenly offset releases leak what one grid R times as fine leaks: against their tuples of codes",
    "proof: theory.offset_releases",
    {
        "2": {"n": 50, "dim": 30, "width": 1.0, "count": 2},
        "4": {"n": 50, "dim": 30, "width": 1.0, "count": 4},
    },
    relation="covers",
)
def offset_releases(n, dim, width, count):
    offsets = tuple(0.3 + k / count for k in range(count))
    return theory.offset_releases(n, dim, width, count, 0.3), _simulated(n, dim, width, offsets)


@claim(
    "several",
    "offset-information",
    "Information that R offset releases pass: the mean over weights that lie anywhere in their cells",
    "Kulldorff (1961); proof: theory.offset_information",
    {"2": {"width": 6.0, "count": 2}, "5": {"width": 12.0, "count": 5}},
)
def offset_information(width, count):
    edges = np.arange(-80, 81) * width / count
    grid = quantizers.Grid(levels=np.arange(len(edges) + 1.0), edges=edges)
    places = (np.arange(400) + 0.5) / 400 * width / count
    return theory.offset_information(width, count), grid.information(places, np.ones(400)).mean(), 1e-9


@claim(
    "several",
    "many-releases",
    "Many releases, evenly offset, leave width^2 / (12 R^2) of the information unsaid, at random six times as much",
    "Sheppard (1898); David, Nagaraja (2003), chapter 6; theory.offset_information",
    {"even": {"random": False}, "random": {"random": True}},
    relation="~",
)
def many_releases(random):
    width, count = 2.0, 300
    unsaid = 1 - theory.offset_information(width, count, random=random).value
    limit = width**2 / (2 * (count + 1) * (count + 2) if random else 12 * count**2)
    return unsaid, limit, 1e-3


def _simulated(n, dim, width, offsets, num_draws=20_000, seed=0):
    """Mean of (1 - 1 / ratio)^+ over members, drawn, from each release's own code; no union of edges."""
    rng, r, scale = np.random.default_rng(seed), 1 / math.sqrt(n), width * math.sqrt(n)
    sd, loss = math.sqrt(1 - r * r), np.zeros(num_draws)
    for _ in range(dim):
        z = rng.standard_normal(num_draws)
        y = r * z + sd * rng.standard_normal(num_draws)
        codes = [np.floor(y / scale + offset) for offset in offsets]
        low = np.max([(code - offset) * scale for code, offset in zip(codes, offsets, strict=True)], axis=0)
        high = np.min(
            [(code + 1 - offset) * scale for code, offset in zip(codes, offsets, strict=True)], axis=0
        )
        loss += np.log(special.ndtr((high - r * z) / sd) - special.ndtr((low - r * z) / sd))
        loss -= np.log(special.ndtr(high) - special.ndtr(low))
    gain = np.maximum(-np.expm1(-loss), 0.0)
    margin = stats.norm.isf((1 - LEVEL) / 2) * gain.std() / math.sqrt(num_draws)
    value = float(gain.mean())
    return Interval(lower=value - margin, value=value, upper=value + margin, kind="monte-carlo", level=LEVEL)
