"""Claims about any learner, and about what an advantage says in other words."""

import math

import numpy as np
from scipy import stats

from mis import theory
from mis.verify.registry import claim

__all__: list[str] = []

ATOMS = [0.5, 0.3, 0.2]
SUPPORT = "Aubinais, Gassiat, Piantanida, arXiv:2310.13786; proof: theory.finite_support_limit and notebook 9, Limits"


@claim(
    "limits",
    "finite-support",
    "Data on m atoms: the worst learner reveals the counts, half the sum of E|N_j/n - p_j|",
    f"De Moivre (1730); {SUPPORT}",
    {str(n): {"n": n} for n in (1, 40, 3000)},
)
def finite_support(n):
    counts = np.arange(n + 1)
    deviation = sum(np.abs(counts / n - p) @ stats.binom.pmf(counts, n, p) for p in ATOMS)
    return theory.finite_support_limit(ATOMS, n), deviation / 2, 1e-10


@claim(
    "limits",
    "counts",
    "Releasing the counts, by going through every sample, attains the limit",
    f"{SUPPORT}; theory.enumerate_learner",
    {"": {"n": 12}},
)
def counts_attain_the_limit(n):
    return theory.enumerate_learner(tuple, ATOMS, n), theory.finite_support_limit(ATOMS, n), 1e-10


@claim(
    "limits",
    "support-bound",
    "Limit on m atoms: at most C(P) / (2 sqrt(n)) at every n",
    f"{SUPPORT}; theory.finite_support_bound",
    {"1": {"n": 1}, "50": {"n": 50}},
    relation="<=",
)
def support_bound(n):
    return theory.finite_support_bound(ATOMS, n), theory.finite_support_limit(ATOMS, n)


@claim(
    "limits",
    "support-bound-attained",
    "Limit on m atoms: one flip of a fair coin attains the bound C(P) / (2 sqrt(n))",
    f"{SUPPORT}; theory.finite_support_bound",
    {"": {"n": 1}},
)
def support_bound_attained(n):
    return theory.finite_support_bound([0.5, 0.5], n), theory.finite_support_limit([0.5, 0.5], n), 1e-12


@claim(
    "limits",
    "support-asymptote",
    "Limit on m atoms: tends to C(P) / sqrt(2 pi n)",
    f"{SUPPORT}; theory.finite_support_asymptote",
    {"": {"n": 10_000}},
    relation="~",
)
def support_asymptote(n):
    return theory.finite_support_asymptote(ATOMS, n), theory.finite_support_limit(ATOMS, n), 1e-3


@claim(
    "limits",
    "processing",
    "Data processing: no learner leaks more than the counts",
    "Cover, Thomas (2006), theorem 2.8.1; theory.finite_support_limit; notebook 9, Limits",
    {"": {"n": 10}},
    relation="<=",
)
def processing(n):
    majority = theory.enumerate_learner(lambda counts: int(counts.argmax()), ATOMS, n)
    return theory.finite_support_limit(ATOMS, n), majority


@claim(
    "limits",
    "memorising",
    "A learner that reveals a sample of distinct points has MIS near 0: repeats are all that protects",
    SUPPORT,
    {"": {"m": 100_000, "n": 50}},
)
def memorising(m, n):
    # With uniform atoms and n < m the deviation is (1 - 1/m)^n: a fresh point is in the sample otherwise.
    return theory.finite_support_limit(np.full(m, 1 / m), n), (1 - 1 / m) ** n, 1e-9


@claim(
    "limits",
    "private-response",
    "Two laws that are (epsilon, delta)-close: the most an attacker can tell is that of randomised response",
    "Kairouz, Oh, Viswanath (2015), arXiv:1311.0776; theory.private_advantage; notebook 9, Limits",
    {"pure": {"epsilon": 1.0, "delta": 0.0}, "approximate": {"epsilon": 0.5, "delta": 0.1}},
)
def private_response(epsilon, delta):
    truth, lie = (1 - delta) * np.array([math.exp(epsilon), 1.0]) / (1 + math.exp(epsilon))
    roc = theory.Roc.discrete([delta, truth, lie, 0.0], [0.0, lie, truth, delta])
    return theory.private_advantage(epsilon, delta), roc.advantage(), 1e-12


@claim(
    "limits",
    "private-learner",
    "A learner that counts bits, each flipped at random first, leaks less than its epsilon allows",
    "Humphries et al. (2023), arXiv:2010.12112; proof: theory.private_advantage; notebook 9, Limits",
    {"1": {"flip": 0.3, "n": 1}, "20": {"flip": 0.3, "n": 20}},
    relation="<=",
)
def private_learner(flip, n):
    count = np.arange(n + 1)
    members = np.array(
        [
            (1 - flip if own else flip) * stats.binom.pmf(count - 1, n - 1, 0.5)
            + (flip if own else 1 - flip) * stats.binom.pmf(count, n - 1, 0.5)
            for own in (0, 1)
        ]
    )
    leak = np.abs(members - stats.binom.pmf(count, n, 0.5)).sum() / 4
    return theory.private_advantage(math.log((1 - flip) / flip)), float(leak)


@claim(
    "limits",
    "bayes",
    "No prior has less Bayes security than prior 1/2, where it is MIS: it bounds MIS",
    "Chatzikokolakis et al. (2023), arXiv:2011.03396; theory.bayes_security; notebook 1, The definition and the game",
    {"30": {"prior": 0.3}, "90": {"prior": 0.9}},
    relation="<=",
)
def bayes(prior):
    limit = theory.finite_support_limit(ATOMS, 20)
    return theory.bayes_security(limit.roc(), prior), 1 - limit.value


@claim(
    "limits",
    "bayes-even",
    "Bayes security at prior 1/2 is MIS",
    "Chatzikokolakis et al. (2023), arXiv:2011.03396; theory.bayes_security; notebook 1, The definition and the game",
    {"": {"n": 20}},
)
def bayes_even(n):
    limit = theory.finite_support_limit(ATOMS, n)
    return theory.bayes_security(limit.roc()), 1 - limit.value, 1e-11


@claim(
    "limits",
    "neyman-pearson",
    "The optimal ROC of a Gaussian shift, from binned likelihood ratios, is Phi(mu + Phi^-1(fpr))",
    "Neyman, Pearson (1933); theory.Roc; notebook 1, The definition and the game",
    {"low": {"mu": 1.0, "fpr": 0.001}, "middle": {"mu": 0.5, "fpr": 0.2}},
    relation="~",
)
def neyman_pearson(mu, fpr):
    edges = np.linspace(-8, 8 + mu, 20_001)
    shift, null = (np.diff(stats.norm.cdf(edges, m)) for m in (mu, 0.0))
    roc = theory.Roc.discrete(shift / shift.sum(), null / null.sum())
    return roc.tpr(fpr), stats.norm.cdf(mu + stats.norm.ppf(fpr)), 1e-5
