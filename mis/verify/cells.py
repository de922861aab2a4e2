"""Functions: claims about estimates released through cells: product laws, local asymptotics, information."""

import math

import numpy as np
from scipy import integrate, optimize, special, stats

from mis import quantizers, theory
from mis.results import Interval
from mis.verify.registry import LEVEL, claim

__all__: list[str] = []

PRODUCT = "theory.md, section 3; Doroshenko et al. (2022), arXiv:2207.04380"
LOCAL = "van der Vaart (1998), chapters 7 and 9"


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
    "One coordinate, truth on an edge: arcsin(1/sqrt(n))/pi, whatever the width",
    "Plackett (1954); theory.md, section 3",
    [{"n": 100, "width": 2.0}, {"n": 10_000, "width": 0.5}],
)
def on_an_edge(n, width):
    return theory.quantized_mean(n, 1, width, 0.0), math.asin(1 / math.sqrt(n)) / math.pi, 1e-9


@claim(
    "One coordinate, truth in mid-cell: exponentially little, by quadrature of half the sum |p_q(z) - p_q|",
    "theory.md, section 3",
    [{"n": 100, "width": w} for w in (0.5, 1.0, 2.0, 4.0)],
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
    return theory.quantized_mean(n, 1, width, 0.5), total, 1e-6 + special.ndtr(-3 * edge) / tail


@claim(
    "Certified product law against simulated likelihood ratios",
    PRODUCT,
    [
        {"n": 100, "dim": 10, "width": 0.5, "offset": 0.0},
        {"n": 30, "dim": 100, "width": 0.5, "offset": 0.4},
    ],
    full=[{"n": 100, "dim": 1000, "width": 0.5, "offset": 0.0}],
)
def product_law(n, dim, width, offset):
    return theory.quantized_mean(n, dim, width, offset), simulated(n, dim, width, offset)


@claim(
    "Hockey-stick divergence of the certified ROC against simulated likelihood ratios",
    PRODUCT,
    [{"n": 30, "dim": 50, "width": 0.5, "offset": 0.0, "epsilon": e} for e in (-0.5, 1.0)],
)
def product_hockey_stick(n, dim, width, offset, epsilon):
    roc = theory.quantized_mean(n, dim, width, offset).roc()
    return roc.hockey_stick(epsilon), simulated(n, dim, width, offset, epsilon)


@claim(
    "Certified bounds enclose the mean in full precision, whose law is a quadratic form",
    PRODUCT,
    [{"n": 100, "dim": 100}, {"n": 5, "dim": 3}],
    full=[{"n": 100, "dim": 1000}],
)
def full_precision(n, dim):
    return theory.quantized_mean(n, dim, 0.0, tolerance=1e-3), theory.full_precision_mean(dim, n)


@claim(
    "TPR at 0.1% FPR, full precision: certified convolution against the quadratic form",
    PRODUCT,
    [{"n": 100, "dim": 100, "fpr": 0.001}],
)
def full_precision_tpr(n, dim, fpr):
    roc = theory.quantized_mean(n, dim, 0.0, tolerance=1e-3).roc()
    return roc.tpr(fpr), theory.full_precision_mean(dim, n).roc().tpr(fpr)


@claim(
    "Data processing: coarser cells leak no more",
    "Cover, Thomas, section 2.8",
    [{"n": 50, "dim": 20, "width": 0.25}],
    relation="<=",
)
def coarser_cells(n, dim, width):
    return theory.quantized_mean(n, dim, 2 * width), theory.quantized_mean(n, dim, width)


@claim(
    "Data processing: quantized leaks no more than full precision",
    "Cover, Thomas, section 2.8",
    [{"n": 50, "dim": 20, "width": 0.25}],
    relation="<=",
)
def quantized_below_full(n, dim, width):
    return theory.quantized_mean(n, dim, width, 0.2), theory.full_precision_mean(dim, n)


@claim(
    "Full precision tends to 2 Phi(sqrt(d/n)/2) - 1",
    "Dong, Roth, Su (2022)",
    [{"n": 10_000, "dim": 2000}],
)
def gaussian_limit(n, dim):
    return 2 * stats.norm.cdf(math.sqrt(dim / n) / 2) - 1, theory.full_precision_mean(dim, n), 1e-3


@claim(
    "Local asymptotics of quantized weights against the certified product law",
    LOCAL,
    [
        {"quantizer": "sign", "n": 400, "method": "diagonal"},
        {"quantizer": "sign", "n": 400, "method": "cells"},
        {"quantizer": "ternary-50", "n": 400, "method": "diagonal"},
        {"quantizer": "uniform-2", "n": 400, "method": "diagonal"},
    ],
)
def local(quantizer, n, method):
    dim = 60
    # Within three standard deviations of the estimate around zero, so that some weights are near an edge.
    mean = np.linspace(-3, 3, dim) / math.sqrt(n)
    spec = quantizers.parse(quantizer)
    edges = np.asarray(spec.fit(mean).edges, float)
    cells = [theory.Cells(edges=tuple(edges), mean=m) for m in mean.tolist()]
    psi = np.random.default_rng(0).standard_normal((2000, dim))
    predicted = theory.local(
        influence=psi,
        covariance=np.ones(dim),
        mean=mean,
        quantizer=spec,
        n=n,
        method=method,
        num_samples=20_000,
        level=LEVEL,
    )
    return predicted, theory.product(cells, n, tolerance=1e-3), 0.03


@claim(
    "Full covariance without correlation: the linear score keeps what the diagonal does",
    LOCAL,
    [{"quantizer": "uniform-3", "n": 100}],
)
def local_linear(quantizer, n):
    rng, dim = np.random.default_rng(3), 12
    mean, psi = rng.normal(size=dim) / math.sqrt(n), rng.standard_normal((500, dim))
    common = {"influence": psi, "mean": mean, "quantizer": quantizers.parse(quantizer), "n": n}
    full, diagonal = (theory.local(covariance=v, **common).value for v in (np.eye(dim), np.ones(dim)))
    return full, diagonal, 1e-9


@claim(
    "Correlated signs: the best linear score's information from the arcsine law of their covariance",
    "Sheppard (1899); van der Vaart (1998)",
    [{"rho": 0.6, "dim": 4, "n": 200}],
)
def correlated_signs(rho, dim, n):
    cov = np.full((dim, dim), rho) + (1 - rho) * np.eye(dim)
    psi = np.random.default_rng(5).standard_normal((500, dim))
    found = theory.local(
        influence=psi, covariance=cov, mean=np.zeros(dim), quantizer=quantizers.Sign(), n=n, method="linear"
    )
    # Slope of a mean sign in the mean of its weight, squared in units of the signs' covariance.
    slope = 2 * stats.norm.pdf(0) * psi / math.sqrt(n)
    information = np.einsum("ij,jk,ik->i", slope, np.linalg.inv(2 / math.pi * np.arcsin(cov)), slope)
    return found.value, float(np.mean(2 * stats.norm.cdf(np.sqrt(information) / 2) - 1)), 1e-8


@claim(
    "Local asymptotics of two correlated signs against the exact advantage, by orthant probabilities",
    LOCAL,
    [{"rho": 0.5, "n": 400}, {"rho": -0.7, "n": 400}],
)
def two_signs(rho, n):
    cov = np.array([[1.0, rho], [rho, 1.0]])
    z = np.random.default_rng(6).multivariate_normal(np.zeros(2), cov, 4000)
    signs = np.array([[1, 1], [1, -1], [-1, 1], [-1, -1]])
    total = 0.0
    for sign in signs:
        flipped = cov * np.outer(sign, sign)
        given = stats.multivariate_normal(np.zeros(2), flipped * (n - 1)).cdf(z * sign)
        total += np.abs(given - stats.multivariate_normal(np.zeros(2), flipped).cdf(np.zeros(2))).mean() / 2
    found = theory.local(
        influence=z,
        covariance=cov,
        mean=np.zeros(2),
        quantizer=quantizers.Sign(),
        n=n,
        method="cells",
        num_samples=400_000,
        level=LEVEL,
    )
    return found, float(total), 0.01


@claim(
    "Influence function: what a little more weight on one example does to a logistic fit",
    "van der Vaart (1998), theorem 5.23",
    [{"example": 0}, {"example": 7}],
)
def influence(example):
    rng, num = np.random.default_rng(7), 300
    x = rng.standard_normal((num, 2))
    y = rng.random(num) < special.expit(x @ [0.5, -1.0])

    def fit(weight):
        def gradient(theta):
            return weight @ ((special.expit(x @ theta) - y)[:, None] * x) / num

        return optimize.root(gradient, np.zeros(2), tol=1e-14).x

    more = np.eye(num)[example] * 1e-4
    theta, moved = fit(np.ones(num)), (fit(1 + more) - fit(1 - more)) / 2e-4 * num
    p = special.expit(x @ theta)
    found = theory.sandwich((p - y)[:, None] * x, (x * (p * (1 - p))[:, None]).T @ x / num)
    return float(found.influence[example, 0]), float(moved[0]), 1e-6


@claim(
    "The likelihood ratio's linear term in gradients: psi V^-1 x = -g G^-1 H x",
    "theory.md, section 5",
    [{"dim": 5}],
)
def linear_term(dim):
    rng = np.random.default_rng(8)
    root, gradients, x = rng.normal(size=(dim, dim)), rng.normal(size=(50, dim)), rng.normal(size=dim)
    hessian, centred = root @ root.T + np.eye(dim), gradients - gradients.mean(axis=0)
    found = theory.sandwich(gradients, hessian)
    by_gradients = -centred[0] @ np.linalg.solve(centred.T @ centred / 50, hessian @ x)
    return float(found.influence[0] @ np.linalg.solve(found.covariance, x)), float(by_gradients), 1e-9


@claim(
    "A weight on the edge of sign keeps 2/pi of its information",
    "Kulldorff (1961)",
    [{"spread": 0.01}],
)
def information_at_the_edge(spread):
    weights = np.zeros(4)
    return theory.retained_information(weights, spread, quantizers.Sign()), 2 / math.pi, 1e-9


@claim(
    "Retained information: the slope of the mean code over its standard deviation, squared, by differences",
    "Kulldorff (1961)",
    [{"weight": w, "spread": 0.3} for w in (0.0, 0.35, -0.8)],
)
def information_of_a_sign(weight, spread):
    def positive(w):
        return stats.norm.cdf(w / spread)

    slope = (positive(weight + 1e-5) - positive(weight - 1e-5)) / 2e-5
    share = (slope * spread) ** 2 / (positive(weight) * (1 - positive(weight)))
    return theory.retained_information(np.full(3, weight), spread, quantizers.Sign()), share, 1e-6


@claim(
    "Level of a quantizer from the share of information: the Gaussian shift with its mean scaled by sqrt(J)",
    LOCAL,
    [{"mu": 1.5, "retained": 0.4}],
)
def predicted_level(mu, retained):
    edges = np.linspace(-9, 12, 40_001)

    def advantage(shift):
        masses = (np.diff(stats.norm.cdf(edges, mean)) for mean in (shift, 0.0))
        return theory.Roc.discrete(*(m / m.sum() for m in masses)).advantage().value

    return theory.predicted_advantage(retained, advantage(mu)), advantage(mu * math.sqrt(retained)), 1e-6


@claim(
    "Boundary law: mean retained information is 1.806 times spread times density at the edges",
    "theory.md, section 3",
    [{"spread": 0.01}],
)
def boundary(spread):
    weights = stats.norm.ppf((np.arange(200_001) + 0.5) / 200_001)
    seen = theory.retained_information(weights, spread, quantizers.Sign())
    return theory.boundary_information([stats.norm.pdf(0.0)], spread), seen.value, 1e-3
