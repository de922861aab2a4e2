# %% [markdown]
# # 9. Limits
#
# What no learner can exceed, what post-processing cannot undo, and what a learner that remembers gives away.

# %%
import itertools
import math
import os

import numpy as np
from scipy import stats

from mis import theory
from mis.figures.notebooks import limits

SMALL = os.environ.get("MIS_NOTEBOOK_SIZE") == "small"

# %% [markdown]
# ## Data with finitely many values
#
# If $P$ has atoms $p_1, \dots, p_m$, a symmetric learner sees only the counts $N_j$, so whatever it releases
# is a (random) function of them and leaks no more than they do. The learner that releases the counts
# themselves is the worst, and for it $P(z_1 = j \mid N) = N_j/n$:
#
# $$ \max \Delta_n = \tfrac12 \sum_j E\,\bigl|N_j/n - p_j\bigr|. $$
#
# De Moivre's mean absolute deviation of a binomial turns that into $\sum_j p_j(1-p_j)\,P(\mathrm{Bin}(n-1,
# p_j) = \lfloor n p_j\rfloor)$. Since the mean absolute deviation is at most the standard deviation, and
# $\sqrt{2/\pi}$ of it in the normal limit,
#
# $$ \max \Delta_n \le \frac{C(P)}{2\sqrt n}, \qquad \max \Delta_n \sim \frac{C(P)}{\sqrt{2\pi n}}, \qquad
#    C(P) = \sum_j \sqrt{p_j(1-p_j)}. $$

# %%
probs = np.array([0.5, 0.3, 0.2])
for n in (1, 7, 100):
    found = theory.finite_support_limit(probs, n)
    counts = np.arange(n + 1)
    by_sum = 0.5 * sum(stats.binom.pmf(counts, n, p) @ np.abs(counts / n - p) for p in probs)
    assert math.isclose(found.value, by_sum, rel_tol=1e-10)
    assert found.value <= theory.finite_support_bound(probs, n).value
ratios = [
    theory.finite_support_asymptote(probs, n).value / theory.finite_support_limit(probs, n).value
    for n in (10, 100_000)
]
print(f"asymptote over exact: {ratios[0]:.4f} at n=10, {ratios[1]:.6f} at n=100000")
assert abs(ratios[1] - 1) < 1e-4

# %% [markdown]
# Many rare values are the worst case: with a million equally likely ones and $n = 100$ hardly any comes
# twice, and the counts reveal all but 0.01% of what there is.

# %%
worst = theory.finite_support_limit(np.full(10**6, 1e-6), 100)
print(worst)
assert f"{worst.value:.4f}" == "0.9999"

# %% [markdown]
# ## Data processing
#
# A release computed from another release leaks no more. A chain on the same data, each link by enumeration:
# the counts; the mean; the mean rounded to halves; whether it exceeds one.

# %%
values = np.array([0.0, 1.0, 2.0])
chain = {
    "counts": tuple,
    "mean": lambda counts: round(float(counts @ values), 9),
    "mean to halves": lambda counts: round(2 * float(counts @ values) / counts.sum()),
    "mean above one": lambda counts: round(2 * float(counts @ values) / counts.sum()) > 2,
}
for n in (4, 9, 20):
    leaks = [theory.enumerate_learner(learner, probs, n).value for learner in chain.values()]
    print(n, [f"{leak:.4f}" for leak in leaks])
    assert all(a >= b - 1e-12 for a, b in itertools.pairwise(leaks))
    assert math.isclose(leaks[0], theory.finite_support_limit(probs, n).value, rel_tol=1e-9)

# %% [markdown]
# *Coarser* means: a function of the release. Fewer bits alone is not enough: a one-bit release with its edge
# where the estimate is likely to be (notebook 5) leaks more than a two-bit release of a different kind.
#
# ## A learner that remembers
#
# At the other end, if the parameters reveal the sample and examples do not repeat, the attacker looks whether
# the shown example is in it: $\Delta_n = 1$, MIS is 0. Interpolation is enough. A random-feature regression
# with $d$ features fitted to $n$ noisy responses reaches zero training error once $d \ge n$; the attack that
# calls "member" whatever is fitted exactly is then right on all members, and wrong on no fresh example.

# %%
rng = np.random.default_rng(0)
n, repeats = 40, 20 if SMALL else 200
for dim in (5, 20, 39, 40, 80):
    gains = []
    for _ in range(repeats):
        x, fresh = rng.standard_normal((2, n, dim))
        noise, fresh_noise = rng.standard_normal((2, n))
        fit = np.linalg.lstsq(x, noise, rcond=None)[0]
        own, other = np.abs(x @ fit - noise), np.abs(fresh @ fit - fresh_noise)
        # The threshold is chosen in advance: an attack, hence a lower bound on the advantage.
        threshold = 1e-6 if dim >= n else 0.67
        gains.append((own < threshold).mean() - (other < threshold).mean())
    print(f"d = {dim:2d}: attack reaches {np.mean(gains):.3f}, MIS at most {1 - np.mean(gains):.3f}")
    if dim >= n:
        assert np.mean(gains) == 1.0
    if dim == 5:
        assert np.mean(gains) < 0.2

# %% [markdown]
# From $d = n$ on the advantage is 1 and the security 0. Networks that interpolate are examined in notebook 8.
#
# ## The full-precision mean
#
# The mean of $n$ normal vectors, released exactly, in dimension $d$: pairs (mean, $z$) have correlation $\rho
# = 1/\sqrt n$ in each coordinate, the log likelihood ratio is a quadratic form, and $\Delta$ follows from two
# independent chi-squares. In dimension 2 it is elementary, $\rho(1-\rho^2)^{1/\rho}/(2(1-\rho))$, and for
# large $d$ and $n$ it tends to $2\Phi(\tfrac12\sqrt{d/n}) - 1$: what decides is $d/n$.

# %%
rho = 0.1
plane = theory.full_precision_mean(2, 100).value
assert math.isclose(plane, rho * (1 - rho**2) ** (1 / rho) / (2 * (1 - rho)), rel_tol=1e-9)
for dim, n in ((100, 100), (1000, 1000), (5000, 20_000)):
    exact = theory.full_precision_mean(dim, n).value
    limit = 2 * stats.norm.cdf(0.5 * math.sqrt(dim / n)) - 1
    print(f"d={dim} n={n}: {exact:.5f}, limit {limit:.5f}")
    assert abs(exact / limit - 1) < 0.3 / math.sqrt(n)
assert f"{theory.full_precision_mean(100, 100).value:.4f}" == "0.3836"
assert f"{2 * stats.norm.cdf(0.5) - 1:.4f}" == "0.3829"

num_games = 20_000 if SMALL else 200_000
z, rest, other = rng.standard_normal((3, num_games, 10))
mean = rho * z + math.sqrt(1 - rho**2) * rest


def log_ratio(mean, z):
    quadratic = (mean**2 + z**2 - 2 * rho * mean * z) / (1 - rho**2) - mean**2 - z**2
    return -0.5 * quadratic.sum(axis=1) - 5 * math.log(1 - rho**2)


played = (log_ratio(mean, z) > 0).mean() - (log_ratio(mean, other) > 0).mean()
exact = theory.full_precision_mean(10, 100).value
print(f"d=10, n=100, played {played:.4f}, exact {exact:.4f}")
assert abs(played - exact) < 5 * math.sqrt(0.5 / num_games)

# %% [markdown]
# At $d = n = 100$: 0.3836, and 0.3829 in the limit.
#
# ## An advantage read as differential privacy
#
# An $(\varepsilon, \delta)$-private learner has $\Delta \le (e^\varepsilon - 1 + 2\delta)/(e^\varepsilon +
# 1)$, whatever $P$. Read backwards, an advantage refutes claims: whoever claims less than
# $\log\frac{1+\Delta-2\delta}{1-\Delta}$ is wrong. It never proves privacy, which asks for every data set.

# %%
assert math.isclose(theory.private_advantage(math.log(3)).value, 0.5)
refuted = theory.implied_epsilon(theory.full_precision_mean(100, 100))
print(f"the mean of 100 in dimension 100 is not epsilon-private for any epsilon below {refuted.value:.3f}")
assert math.isclose(
    theory.private_advantage(refuted.value).value, theory.full_precision_mean(100, 100).value, rel_tol=1e-9
)

# %%
populations = {
    "fair coin": np.array([0.5, 0.5]),
    "0.9, 0.1": np.array([0.9, 0.1]),
    "10 values": np.full(10, 0.1),
    "1000 values": np.full(1000, 1e-3),
}
rows = []
for name, p in populations.items():
    for n in np.unique(np.round(np.geomspace(1, 1e5, 12 if SMALL else 30)).astype(int)).tolist():
        found = theory.finite_support_limit(p, n)
        rows.append(
            {
                "population": name,
                "n": n,
                "value": found.value,
                "bound": found.details["bound"],
                "asymptote": found.details["asymptote"],
            }
        )
assert all(row["value"] <= row["bound"] for row in rows)
figure = limits(rows)
figure

# %% [markdown]
# *Largest advantage that any learner can leave (points, exact), its bound $C(P)/2\sqrt n$ and its asymptote
# $C(P)/\sqrt{2\pi n}$. Where $n p_j$ is small the asymptote fails and the advantage approaches 1.*
