"""Claims about estimates released through cells: one coordinate, many of them, information that passes."""

import math

import numpy as np
from scipy import integrate, special, stats

from mis import quantizers, theory
from mis.results import Interval
from mis.verify.registry import LEVEL, claim

__all__: list[str] = []

CELLS = "notebook 5, Cells and edges"
PRODUCT = "Doroshenko et al. (2022), arXiv:2207.04380; proof: theory.product and notebook 6, Product laws"
PROCESSING = "Cover, Thomas (2006), theorem 2.8.1; notebook 9, Limits"
KULLDORFF = f"Kulldorff (1961); theory.retained_information; {CELLS}"


def simulated(n, dim, width, offset, epsilon=0.0, num_draws=20_000, seed=0):
    """Mean of (1 - e^epsilon / ratio)^+ over members, drawn; no lattice, no convolution."""
    rng, r = np.random.default_rng(seed), 1 / math.sqrt(n)
    sd, loss = math.sqrt(1 - r * r), np.zeros(num_draws)
    for _ in range(dim):
        z = rng.standard_normal(num_draws)
        y = r * z + sd * rng.standard_normal(num_draws)
        low = (np.floor(y / width / math.sqrt(n) + offset) - offset) * width * math.sqrt(n)
        high = low + width * math.sqrt(n)
        loss += np.log(special.ndtr((high - r * z) / sd) - special.ndtr((low - r * z) / sd))
        loss -= np.log(special.ndtr(high) - special.ndtr(low))
    gain = np.maximum(1 - np.exp(epsilon - loss), 0.0)
    margin = stats.norm.isf((1 - LEVEL) / 2) * gain.std() / math.sqrt(num_draws)
    value = float(gain.mean())
    return Interval(lower=value - margin, value=value, upper=value + margin, kind="monte-carlo", level=LEVEL)


@claim(
    "cells",
    "on-an-edge",
    "One coordinate, truth on an edge: certified bounds cover arcsin(1/sqrt(n))/pi, whatever the width",
    f"Plackett (1954); {CELLS}",
    {"wide": {"n": 100, "width": 2.0}, "narrow": {"n": 10_000, "width": 0.5}},
    relation="covers",
)
def on_an_edge(n, width):
    return theory.quantized_mean(n, 1, width, 0.0), math.asin(1 / math.sqrt(n)) / math.pi


@claim(
    "cells",
    "in-mid-cell",
    "One coordinate, truth in mid-cell: exponentially little, by quadrature of half the sum |p_q(z) - p_q|",
    f"theory.quantized_mean; {CELLS}",
    {label: {"n": 100, "width": w} for label, w in {"half": 0.5, "1": 1.0, "2": 2.0, "4": 4.0}.items()},
    relation="covers",
)
def in_mid_cell(n, width):
    edge, r = width * math.sqrt(n) / 2, 1 / math.sqrt(n)
    sd, tail = math.sqrt(1 - r * r), special.ndtr(-edge)

    def integrand(z):
        below, above = special.ndtr((-edge - r * z) / sd) - tail, special.ndtr((r * z - edge) / sd) - tail
        return (abs(below) + abs(above) + abs(below + above)) / 2 * stats.norm.pdf(z)

    total = sum(
        integrate.quad(integrand, a, a + 0.25, epsabs=1e-9 * tail)[0] for a in np.arange(-16, 16, 0.25)
    )
    # Cells beyond the neighbours add less than their probability does to this one.
    margin = total * (1e-6 + special.ndtr(-3 * edge) / tail)
    truth = Interval(lower=total - margin, value=total, upper=total + margin, kind="exact")
    return theory.quantized_mean(n, 1, width, 0.5), truth


@claim(
    "cells",
    "edge-information",
    "A weight on the edge of sign keeps 2/pi of its information",
    KULLDORFF,
    {"": {"spread": 0.01}},
)
def information_at_the_edge(spread):
    weights = np.zeros(4)
    return theory.retained_information(weights, spread, quantizers.Sign()), 2 / math.pi, 1e-9


@claim(
    "cells",
    "sign-information",
    "Retained information: the slope of the mean code over its standard deviation, squared, by differences",
    KULLDORFF,
    {label: {"weight": w, "spread": 0.3} for label, w in {"edge": 0.0, "right": 0.35, "left": -0.8}.items()},
)
def information_of_a_sign(weight, spread):
    def positive(w):
        return stats.norm.cdf(w / spread)

    slope = (positive(weight + 1e-5) - positive(weight - 1e-5)) / 2e-5
    share = (slope * spread) ** 2 / (positive(weight) * (1 - positive(weight)))
    return theory.retained_information(np.full(3, weight), spread, quantizers.Sign()), share, 1e-6


@claim(
    "cells",
    "boundary-law",
    "Boundary law: mean retained information is 1.806 times spread times density at the edges",
    f"proof: theory.boundary_information and {CELLS}",
    {"": {"spread": 0.01}},
    relation="~",
)
def boundary(spread):
    weights = stats.norm.ppf((np.arange(200_001) + 0.5) / 200_001)
    seen = theory.retained_information(weights, spread, quantizers.Sign())
    return theory.boundary_information([stats.norm.pdf(0.0)], spread), seen.value, 1e-3


@claim(
    "cells",
    "predicted-level",
    "Level of a quantizer from the share of information: the Gaussian shift with its mean scaled by sqrt(J)",
    "van der Vaart (1998), theorem 7.10; theory.predicted_advantage; notebook 8, The indicator",
    {"": {"mu": 1.5, "retained": 0.4}},
)
def predicted_level(mu, retained):
    edges = np.linspace(-9, 12, 40_001)

    def advantage(shift):
        masses = (np.diff(stats.norm.cdf(edges, mean)) for mean in (shift, 0.0))
        return theory.Roc.discrete(*(m / m.sum() for m in masses)).advantage().value

    return theory.predicted_advantage(retained, advantage(mu)), advantage(mu * math.sqrt(retained)), 1e-6


@claim(
    "product",
    "product-law",
    "Certified product law: its bounds cover the mean of simulated likelihood ratios",
    PRODUCT,
    {
        "10": {"n": 100, "dim": 10, "width": 0.5, "offset": 0.0},
        "100": {"n": 30, "dim": 100, "width": 0.5, "offset": 0.4},
    },
    full={"1000": {"n": 100, "dim": 1000, "width": 0.5, "offset": 0.0}},
    relation="covers",
)
def product_law(n, dim, width, offset):
    return theory.quantized_mean(n, dim, width, offset), simulated(n, dim, width, offset)


@claim(
    "product",
    "hockey-stick",
    "Hockey-stick divergence of the certified ROC: its bounds cover simulated likelihood ratios",
    PRODUCT,
    {
        label: {"n": 30, "dim": 50, "width": 0.5, "offset": 0.0, "epsilon": e}
        for label, e in {"below": -0.5, "above": 1.0}.items()
    },
    relation="covers",
)
def product_hockey_stick(n, dim, width, offset, epsilon):
    roc = theory.quantized_mean(n, dim, width, offset).roc()
    return roc.hockey_stick(epsilon), simulated(n, dim, width, offset, epsilon)


@claim(
    "product",
    "full-precision",
    "Certified bounds cover the mean in full precision, whose law is a quadratic form",
    f"{PRODUCT}; theory.full_precision_mean",
    {"100": {"n": 100, "dim": 100}, "3": {"n": 5, "dim": 3}},
    full={"1000": {"n": 100, "dim": 1000}},
    relation="covers",
)
def full_precision(n, dim):
    return theory.quantized_mean(n, dim, 0.0, tolerance=1e-3), theory.full_precision_mean(dim, n)


@claim(
    "product",
    "full-precision-tpr",
    "TPR at 0.1% FPR, full precision: certified convolution against the quadratic form",
    f"{PRODUCT}; theory.full_precision_mean",
    {"": {"n": 100, "dim": 100, "fpr": 0.001}},
    relation="covers",
)
def full_precision_tpr(n, dim, fpr):
    roc = theory.quantized_mean(n, dim, 0.0, tolerance=1e-3).roc()
    return roc.tpr(fpr), theory.full_precision_mean(dim, n).roc().tpr(fpr)


@claim(
    "product",
    "coarser-cells",
    "Data processing: coarser cells leak no more",
    PROCESSING,
    {"": {"n": 50, "dim": 20, "width": 0.25}},
    relation="<=",
)
def coarser_cells(n, dim, width):
    return theory.quantized_mean(n, dim, width), theory.quantized_mean(n, dim, 2 * width)


@claim(
    "product",
    "below-full",
    "Data processing: quantized leaks no more than full precision",
    PROCESSING,
    {"": {"n": 50, "dim": 20, "width": 0.25}},
    relation="<=",
)
def quantized_below_full(n, dim, width):
    return theory.full_precision_mean(dim, n), theory.quantized_mean(n, dim, width, 0.2)


@claim(
    "product",
    "gaussian-limit",
    "Full precision tends to 2 Phi(sqrt(d/n)/2) - 1",
    "Dong, Roth, Su (2022); theory.full_precision_mean; notebook 9, Limits",
    {"": {"n": 10_000, "dim": 2000}},
    relation="~",
)
def gaussian_limit(n, dim):
    return 2 * stats.norm.cdf(math.sqrt(dim / n) / 2) - 1, theory.full_precision_mean(dim, n), 1e-3
