"""Claims about minimisers over a finite codebook; only the law of the losses matters."""

import itertools
import math
import warnings

import numpy as np
from scipy import integrate, optimize, stats

from mis import theory
from mis.verify.registry import LEVEL, claim

__all__: list[str] = []

THREE_ATOMS = theory.DiscreteLosses(losses=[[0.0, 0.0, 0.0], [-0.9, 0.15, 0.6]], probs=[0.2, 0.5, 0.3])
LATTICE = theory.DiscreteLosses(losses=[[0.0, 0.0, 0.0], [-1.0, 1.0, 2.0]], probs=[0.3, 0.4, 0.3])
FIVE = theory.DiscreteLosses(
    losses=[[0.0, 0.0, 0.0], [0.7, -0.5, 0.3], [1.1, 0.4, -0.6], [-0.4, 0.5, 0.8], [0.9, 0.9, -0.2]],
    probs=[0.5, 0.3, 0.2],
)
EXACT = "Aubinais, Gassiat, Piantanida, arXiv:2310.13786; theory.exact; notebook 2, Exact small cases"
RATE = "Bahadur, Rao (1960); theory.rate; notebook 3, Rate, sharp asymptotics, saddlepoint"
SHARP = "Bahadur, Rao (1960), theorems 1 and 2; proof: theory.sharp; notebook 3, Rate, sharp asymptotics, saddlepoint"
INDICATOR = (
    "Aubinais, Formont, Piantanida, Gassiat, arXiv:2502.06567; theory.indicator; notebook 8, The indicator"
)
# The rival that wins most often has the smaller of two bounds, by far.
RARE_ATOM = theory.DiscreteLosses(
    losses=[[0.0, 0.0, 0.0], [3.0, -1.0, 1.0], [0.0, 5.0, -4.0]], probs=[0.98 - 1e-12, 0.02, 1e-12]
)


def gaussian(delta):
    """Two candidates whose losses differ by N(delta, 1)."""
    return theory.GaussianLosses(mean=[0.0, delta], cov=[[0.0, 0.0], [0.0, 1.0]])


@claim(
    "exact",
    "exact-normal",
    "Exact advantage, two candidates, normal losses: one quadrature of |p(D) - p|",
    "Plackett (1954); proof: theory.exact_gaussian.log_advantage; notebook 2, Exact small cases",
    {f"near-{n}": {"delta": 0.3, "n": n} for n in (2, 10, 100)} | {"far-20": {"delta": 1.0, "n": 20}},
)
def exact_normal(delta, n):
    def given(d):
        return stats.norm.cdf((-d - (n - 1) * delta) / math.sqrt(n - 1))

    marginal = stats.norm.cdf(-delta * math.sqrt(n))
    # p(d) falls through p at this point.
    crossing = delta * math.sqrt(n) * math.sqrt(n - 1) - (n - 1) * delta
    total = sum(
        integrate.quad(lambda d: abs(given(d) - marginal) * stats.norm.pdf(d, delta), *ends, epsabs=0)[0]
        for ends in itertools.pairwise([delta - 12, crossing, delta + 12])
    )
    return theory.exact(gaussian(delta), n), total, 1e-7


@claim(
    "exact",
    "tie",
    "Two candidates that tie leak arcsin(1/sqrt(n))/pi, not something exponential",
    "Plackett (1954); notebook 2, Exact small cases",
    {str(n): {"n": n} for n in (1, 10, 1000)},
)
def tie(n):
    return theory.exact(gaussian(0.0), n), math.asin(1 / math.sqrt(n)) / math.pi, 1e-12


@claim(
    "exact",
    "exact-discrete",
    "Exact advantage, discrete losses: a sum over all samples in their order",
    EXACT,
    {"6": {"K": 5, "n": 6}},
    full={"9": {"K": 5, "n": 9}},
)
def exact_discrete(K, n):
    samples = np.array(list(itertools.product(range(3), repeat=n)))
    prob = FIVE.probs[samples].prod(1)
    sums = FIVE.losses[:, samples].sum(-1)
    chosen = np.argmax(sums <= sums.min(0) + 1e-9, axis=0)
    joint = np.array([[prob[(chosen == k) & (samples[:, 0] == z)].sum() for z in range(3)] for k in range(K)])
    return theory.exact(FIVE, n), np.abs(joint - joint.sum(1)[:, None] * FIVE.probs).sum() / 2, 1e-11


@claim(
    "exact",
    "exact-lattice",
    "Exact advantage of sums on a lattice: the interval of a tilted simulation covers it",
    EXACT,
    {"300": {"n": 300}},
    full={"3000": {"n": 3000}},
    relation="covers",
)
def exact_lattice(n):
    return theory.simulate(0, LATTICE, n, level=LEVEL), theory.exact(LATTICE, n)


@claim(
    "exact",
    "exact-three",
    "Three candidates, normal losses: certified bounds cover what a tilted simulation finds",
    EXACT,
    {"20": {"n": 20}},
    full={"100": {"n": 100}},
    relation="covers",
)
def exact_three(n):
    cov = [[1.0, 0.3, 0.2], [0.3, 1.5, 0.4], [0.2, 0.4, 0.8]]
    law = theory.GaussianLosses(mean=[0.0, 0.4, 0.5], cov=cov)
    return theory.exact(law, n), theory.simulate(0, law, n, level=LEVEL)


@claim(
    "rate",
    "rate",
    "Rate: Chernoff's exponent by maximising -log E exp(-tD) numerically",
    RATE,
    {
        "normal": {"law": "normal, delta=0.3"},
        "three-atoms": {"law": "three atoms"},
        "five": {"law": "five candidates"},
    },
)
def rate(law):
    chosen = {"normal, delta=0.3": gaussian(0.3), "three atoms": THREE_ATOMS, "five candidates": FIVE}[law]
    if law.startswith("normal"):
        exponents = [optimize.minimize_scalar(lambda t: t * t / 2 - 0.3 * t).fun * -1]
    else:
        best = np.argmin(chosen.losses @ chosen.probs)
        differences = np.delete(chosen.losses - chosen.losses[best], best, axis=0)
        exponents = [
            -math.log(optimize.minimize_scalar(lambda t, d=d: chosen.probs @ np.exp(-t * d)).fun)
            for d in differences
        ]
    return theory.rate(chosen), min(exponents), 1e-6


@claim(
    "rate",
    "rate-limit",
    "Rate: the limit of -log(Delta_n)/n, from exact values at n and 2n with the n^(-1/2) taken out",
    RATE,
    {"": {"delta": 0.3, "n": 10_000}},
    relation="~",
)
def rate_is_the_limit(delta, n):
    first, second = (theory.exact(gaussian(delta), m).details["log_value"] for m in (n, 2 * n))
    return theory.rate(gaussian(delta)), (first - second - math.log(2) / 2) / n, 1e-6


@claim(
    "rate",
    "rate-near-tie",
    "Rate of a sign next to a tie: -log(2 sqrt(p (1 - p))), of size 1e-14 and less",
    "Chernoff (1952); theory.rate",
    {"1e-6": {"delta": 1e-6}, "1e-7": {"delta": 1e-7}, "1e-10": {"delta": 1e-10}},
    relation="covers",
)
def rate_near_a_tie(delta):
    law = theory.DiscreteLosses(losses=[[0.0, 0.0], [-1.0, 1.0]], probs=[(1 - delta) / 2, (1 + delta) / 2])
    return theory.rate(law), -0.5 * math.log1p(-(float(law.probs[1] - law.probs[0]) ** 2))


@claim(
    "rate",
    "sharp",
    "Sharp asymptotics, constant included, against the exact value",
    SHARP,
    {
        "normal-10": {"law": "normal", "n": 10, "within": 0.017},
        "normal-300": {"law": "normal", "n": 300, "within": 0.0006},
        "three-atoms-400": {"law": "three atoms", "n": 400, "within": 0.03},
        "lattice-100": {"law": "lattice", "n": 100, "within": 0.05},
    },
    full={"normal-10000": {"law": "normal", "n": 10_000, "within": 2e-5}},
    relation="~",
)
def sharp(law, n, within):
    chosen = {"normal": gaussian(0.3), "three atoms": THREE_ATOMS, "lattice": LATTICE}[law]
    return theory.sharp(chosen, n), theory.exact(chosen, n), within


@claim(
    "rate",
    "first-order",
    "The first-order term exp(-nI) is many times too large, and more so as n grows",
    RATE,
    {"5": {"n": 5, "times": 7}, "400": {"n": 400, "times": 50}},
    relation="<=",
)
def first_order(n, times):
    return math.exp(-n * theory.rate(THREE_ATOMS).value), times * theory.exact(THREE_ATOMS, n).value


@claim(
    "rate",
    "saddlepoint",
    "Saddlepoint, uniform in n: within 5% of the exact value at every n from 5, 0.6% from 50",
    "Lugannani, Rice (1980); Daniels (1987), eqs. 4.9 and 6.2; theory.saddlepoint; "
    "notebook 3, Rate, sharp asymptotics, saddlepoint",
    {str(n): {"n": n} for n in (5, 7, 11, 20, 51, 400)},
    relation="~",
)
def saddlepoint(n):
    return theory.saddlepoint(THREE_ATOMS, n), theory.exact(THREE_ATOMS, n), 0.05 if n < 50 else 0.006


@claim(
    "rate",
    "saddlepoint-random",
    "Saddlepoint of 100 random laws: largest factor off the exact value without a warning that atoms are few",
    "Lugannani, Rice (1980); Daniels (1987); theory.saddlepoint",
    {"0": {"seed": 0}},
    full={str(seed): {"seed": seed} for seed in range(1, 6)},
    relation="<=",
)
def saddlepoint_of_random_laws(seed):
    rng, worst = np.random.default_rng(seed), 1.0
    for _ in range(100):
        values, probs, n = rng.normal(size=4), rng.dirichlet(np.ones(4)), int(rng.integers(2, 30))
        law = theory.DiscreteLosses(losses=[np.zeros(4), values], probs=probs)
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always", theory.NearLattice)
            found = theory.saddlepoint(law, n).value
        if not caught and found > 0:
            exact = theory.exact(law, n).value
            worst = max(worst, found / exact, exact / found)
    return 4.0, worst


@claim(
    "rate",
    "near-ties",
    "Near ties the advantage is phi(sqrt(n) delta) E|D - delta| / sqrt(n): the local limit",
    "proof: notebook 3, Rate, sharp asymptotics, saddlepoint",
    {"400": {"delta": 0.05, "n": 400}, "10000": {"delta": 0.01, "n": 10_000}},
    relation="~",
)
def near_ties(delta, n):
    predicted = stats.norm.pdf(math.sqrt(n) * delta) * math.sqrt(2 / math.pi) / math.sqrt(n)
    return predicted, theory.exact(gaussian(delta), n), 3 / n + delta


@claim(
    "rare-events",
    "tilted",
    "Rare events: the interval of a tilted simulation, five standard errors, covers the exact value",
    "Sadowsky, Bucklew (1990); theory.simulate; notebook 4, Rare events",
    {
        "normal-100": {"law": "normal, delta=1", "n": 100},
        "normal-450": {"law": "normal, delta=1", "n": 450},
        "five-25": {"law": "five candidates", "n": 25},
        "rare-atom-5": {"law": "a rare atom", "n": 5},
    },
    full={
        "normal-1300": {"law": "normal, delta=1", "n": 1300},
        "five-120": {"law": "five candidates", "n": 120},
    },
    relation="covers",
)
def tilted(law, n):
    chosen = {"normal, delta=1": gaussian(1.0), "five candidates": FIVE, "a rare atom": RARE_ATOM}[law]
    return theory.simulate(0, chosen, n, 100_000, level=LEVEL), theory.exact(chosen, n)


def random_law(rng, num_losses):
    """Integer losses on two to four atoms, as rare as 1e-8: sums that tie, wins that no one sees."""
    num_atoms = rng.integers(2, 5)
    weights = np.exp(rng.uniform(math.log(1e-8), 0, num_atoms))
    losses = rng.integers(-3, 4, size=(num_losses, num_atoms))
    losses[1] += (np.ptp(losses[1] - losses[0]) == 0) * np.arange(num_atoms)
    return theory.DiscreteLosses(losses=losses, probs=weights / weights.sum())


@claim(
    "rare-events",
    "random-laws",
    "Random laws with rare atoms and ties: intervals of 2000 draws that miss the exact value, in 100",
    "Maurer, Pontil (2009); theory.simulate",
    {f"{K}-0": {"K": K, "seed": 0} for K in (2, 3, 4)},
    full={f"4-{seed}": {"K": 4, "seed": seed} for seed in range(1, 10)},
    relation="<=",
)
def random_laws(K, seed):
    rng, missed = np.random.default_rng([seed, K]), 0
    for key in range(100):
        law, n = random_law(rng, K), int(rng.integers(1, 9))
        exact = theory.exact(law, n)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", theory.FewEffectiveSamples)
            found = theory.simulate(key, law, n, 2000, level=LEVEL)
        missed += found.lower > exact.upper or found.upper < exact.lower
    return 0, missed


@claim(
    "indicator",
    "indicator-known",
    "Indicator of known losses: min over k of delta_k^2 / (2 sigma_k^2)",
    INDICATOR,
    {"": {"K": 4}},
)
def indicator_known(K):
    mean = np.array([0.0, 0.4, 0.3, 0.9])[:K]
    cov = np.diag([0.5, 2.0, 0.2, 0.3])[:K, :K]
    known = min(mean[k] ** 2 / (2 * (cov[0, 0] + cov[k, k])) for k in range(1, K))
    return theory.indicator(theory.GaussianLosses(mean=mean, cov=cov)), known, 1e-12


@claim(
    "indicator",
    "indicator-sampled",
    "Indicator from sampled losses: the bootstrap interval covers the truth",
    "Chernozhukov, Lee, Rosen (2013); theory.indicator; notebook 8, The indicator",
    {
        "400": {"N": 400, "seed": 1, "tail": "normal"},
        "4000": {"N": 4000, "seed": 2, "tail": "normal"},
        "lognormal": {"N": 400, "seed": 3, "tail": "lognormal"},
    },
    relation="covers",
)
def indicator_sampled(N, seed, tail):
    rng = np.random.default_rng(seed)
    if tail == "lognormal":
        mean, sd = math.exp(0.5), math.sqrt((math.e - 1) * math.e)
        law = theory.SampledLosses(losses=[np.zeros(N), np.exp(rng.normal(size=N))])
        return theory.indicator(law, level=0.999), (mean / sd) ** 2 / 2
    losses = rng.normal(loc=[[0.0], [0.5], [1.0]], size=(3, N))
    return theory.indicator(theory.SampledLosses(losses=losses), level=0.999), 0.5**2 / 4


@claim(
    "indicator",
    "indicator-bound",
    "Advantage at most exp(-n r_Q), that is MIS_n >= 1 - exp(-n r_Q): at finite n for normal losses",
    INDICATOR,
    {"5": {"delta": 0.3, "n": 5}, "200": {"delta": 0.3, "n": 200}},
    relation="<=",
)
def indicator_bound(delta, n):
    law = gaussian(delta)
    return math.exp(-n * theory.indicator(law).value), theory.exact(law, n)


@claim(
    "indicator",
    "moderate-deviations",
    "Moderate deviations: where the gap shrinks like n^(-1/4), -log(Delta_n) / n tends to r_Q",
    INDICATOR,
    {
        "skewed-1e4": {"law": "skewed", "n": 10_000, "within": 0.25},
        "skewed-1e6": {"law": "skewed", "n": 1_000_000, "within": 0.04},
    },
    full={"normal-1e11": {"law": "normal", "n": 10**11, "within": 1e-4}},
    relation="~",
)
def moderate_deviations(law, n, within):
    delta = n**-0.25
    skewed = theory.DiscreteLosses(losses=[[0.0, 0.0], [delta - 1, delta + 2]], probs=[2 / 3, 1 / 3])
    chosen = {"normal": gaussian(delta), "skewed": skewed}[law]
    found = theory.exact(chosen, n)
    log_value = found.details["log_value"] if law == "normal" else math.log(found.value)
    return theory.indicator(chosen), -log_value / n, within
