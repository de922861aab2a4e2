"""Functions: claims about any learner, and about what an advantage says in other words."""

import math

import numpy as np
from scipy import stats

from mis import theory
from mis.verify.registry import claim

__all__: list[str] = []

GAME = "Aubinais, Gassiat, Piantanida, arXiv:2310.13786"
ATOMS = [0.5, 0.3, 0.2]


@claim(
    "Data on m atoms: the worst learner reveals the counts, half the sum of E|N_j/n - p_j|",
    f"De Moivre (1730); {GAME}",
    [{"n": 1}, {"n": 40}, {"n": 3000}],
)
def finite_support(n):
    counts = np.arange(n + 1)
    deviation = sum(np.abs(counts / n - p) @ stats.binom.pmf(counts, n, p) for p in ATOMS)
    return theory.finite_support_limit(ATOMS, n), deviation / 2, 1e-10


@claim("Releasing the counts, by going through every sample, attains the limit", GAME, [{"n": 12}])
def counts_attain_the_limit(n):
    return theory.enumerate_learner(tuple, ATOMS, n), theory.finite_support_limit(ATOMS, n), 1e-10


@claim("Limit on m atoms: at most C(P) / (2 sqrt(n)) at every n", GAME, [{"n": 1}, {"n": 50}], relation="<=")
def support_bound(n):
    return theory.finite_support_limit(ATOMS, n), theory.finite_support_bound(ATOMS, n)


@claim("Limit on m atoms: tends to C(P) / sqrt(2 pi n)", GAME, [{"n": 10_000}])
def support_asymptote(n):
    spread = sum(math.sqrt(p * (1 - p)) for p in ATOMS)
    return spread / math.sqrt(2 * math.pi * n), theory.finite_support_limit(ATOMS, n), 1e-3


@claim("Data processing: no learner leaks more than the counts", GAME, [{"n": 10}], relation="<=")
def processing(n):
    majority = theory.enumerate_learner(lambda counts: int(counts.argmax()), ATOMS, n)
    return majority, theory.finite_support_limit(ATOMS, n)


@claim(
    "A learner that reveals a sample of distinct points has MIS near 0: repeats are all that protects",
    GAME,
    [{"m": 100_000, "n": 50}],
)
def memorising(m, n):
    # With uniform atoms and n < m the deviation is (1 - 1/m)^n: a fresh point is in the sample otherwise.
    return theory.finite_support_limit(np.full(m, 1 / m), n), (1 - 1 / m) ** n, 1e-9


@claim(
    "The most an (epsilon, delta)-private learner can leak, reached by randomised response",
    "Kairouz, Oh, Viswanath (2015), arXiv:1311.0776",
    [{"epsilon": 1.0, "delta": 0.0}, {"epsilon": 0.5, "delta": 0.1}],
)
def private(epsilon, delta):
    truth, lie = (1 - delta) * np.array([math.exp(epsilon), 1.0]) / (1 + math.exp(epsilon))
    roc = theory.Roc.discrete([delta, truth, lie, 0.0], [0.0, lie, truth, delta])
    return theory.private_advantage(epsilon, delta), roc.advantage(), 1e-12


@claim(
    "Bayes security at prior 1/2 is MIS, and no prior has less",
    "Chatzikokolakis et al. (2023), arXiv:2011.03396",
    [{"prior": 0.3}, {"prior": 0.9}],
    relation=">=",
)
def bayes(prior):
    roc = theory.finite_support_limit(ATOMS, 20).roc()
    return theory.bayes_security(roc, prior), 1 - theory.finite_support_limit(ATOMS, 20).value


@claim(
    "The optimal ROC of a Gaussian shift, from binned likelihood ratios, is Phi(mu + Phi^-1(fpr))",
    "Neyman, Pearson (1933)",
    [{"mu": 1.0, "fpr": 0.001}, {"mu": 0.5, "fpr": 0.2}],
)
def neyman_pearson(mu, fpr):
    edges = np.linspace(-8, 8 + mu, 20_001)
    shift, null = (np.diff(stats.norm.cdf(edges, m)) for m in (mu, 0.0))
    roc = theory.Roc.discrete(shift / shift.sum(), null / null.sum())
    return roc.tpr(fpr), stats.norm.cdf(mu + stats.norm.ppf(fpr)), 1e-5
