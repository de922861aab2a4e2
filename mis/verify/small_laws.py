"""Claims about small discrete laws, held to rational numbers; and how close certified bounds are."""

import itertools
import math
from fractions import Fraction

import numpy as np

from mis import theory
from mis.verify.registry import claim

__all__: list[str] = []

# Losses as they are meant, and weights of the atoms; an atom of weight 1e-12 beside one of weight 1 is rare.
NEAR = Fraction(1, 10**9)
LAWS: dict[str, tuple[list, list[float]]] = {
    "rare atoms": ([[0, 0, 0], [4, -4, 1]], [1.0, 1e-12, 1e-12]),
    "rare atoms of three": ([[0, 0, 0], [4, -4, 1], [3, 1, -2]], [1.0, 1e-12, 1e-9]),
    "near tie": ([[0, 0], [-1, 1 - NEAR]], [0.4, 0.6]),
    "near tie of three": ([[0, 0], [-1, 1 - NEAR], [10**6, 10**6]], [0.4, 0.6]),
    "decimal tie": ([[Fraction(7, 10)] * 3, [Fraction(x, 10) for x in (8, 4, 9)]], [0.3, 0.25, 0.45]),
}


def rational(losses: list, probs: list[Fraction], n: int) -> Fraction:
    """Advantage by every multiset of n - 1 examples, in rational numbers; ties go to the smallest index."""
    num_losses, num_atoms = len(losses), len(probs)
    given = [[Fraction(0)] * num_atoms for _ in range(num_losses)]
    for data in itertools.combinations_with_replacement(range(num_atoms), n - 1):
        counts = [data.count(j) for j in range(num_atoms)]
        weight = Fraction(math.factorial(n - 1), math.prod(map(math.factorial, counts)))
        weight *= math.prod((p**c for p, c in zip(probs, counts, strict=True)), start=Fraction(1))
        for j in range(num_atoms):
            sums = [row[j] + sum(x * c for x, c in zip(row, counts, strict=True)) for row in losses]
            given[sums.index(min(sums))][j] += weight
    overall = [sum(p * q for p, q in zip(probs, row, strict=True)) for row in given]
    places = itertools.product(range(num_losses), range(num_atoms))
    return sum((probs[j] * abs(given[k][j] - overall[k]) / 2 for k, j in places), start=Fraction(0))


def _label(law, n):
    return f"{law.replace(',', '').replace(' ', '-')}-{n}"


@claim(
    "exact",
    "rational",
    "Exact advantage of rare atoms, near ties and ties of decimals: a sum over all samples in rational numbers",
    "Aubinais, Gassiat, Piantanida, arXiv:2310.13786; theory.exact",
    {_label(name, n): {"law": name, "n": n} for name in LAWS for n in (2, 4)},
    full={_label(name, 12): {"law": name, "n": 12} for name in LAWS},
    relation="covers",
)
def exact_rational(law, n):
    losses, weights = LAWS[law]
    probs = np.array(weights) / sum(weights)
    held = theory.DiscreteLosses(losses=[[float(x) for x in row] for row in losses], probs=probs)
    parts = [Fraction(p) for p in held.probs.tolist()]
    return theory.exact(held, n), float(rational(losses, [p / sum(parts) for p in parts], n))


@claim(
    "exact",
    "three-gap",
    "Three candidates, normal losses: certified bounds are no more than 0.2% apart, but for a rounding of 2e-9",
    "theory.exact",
    {"2": {"n": 2}, "5": {"n": 5}},
    relation="<=",
)
def three_normal_bounds(n):
    law = theory.GaussianLosses(
        mean=[0.0, 0.2, 0.3], cov=[[0.0, 0.0, 0.0], [0.0, 1.0, 0.95], [0.0, 0.95, 1.0]]
    )
    found = theory.exact(law, n)
    return 0.002 * found.value + 2.1e-9, found.width


@claim(
    "product",
    "narrow-cell",
    "An edge a billionth away from another tells nothing more: the advantage of the one edge",
    "Plackett (1954); theory.product",
    {"100": {"n": 100, "width": 1e-9}, "10000": {"n": 10_000, "width": 1e-13}},
)
def narrow_cell(n, width):
    cells = [theory.Cells(edges=(0.0, width))]
    return theory.product(cells, n), math.asin(1 / math.sqrt(n)) / math.pi, 20 * width * math.sqrt(n)
