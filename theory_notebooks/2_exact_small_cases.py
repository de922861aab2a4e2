# %% [markdown]
# # 2. Exact small cases
#
# A learner that minimises the empirical loss over candidates $\theta_1, \dots, \theta_K$ leaks what the *law
# of the losses* $(\ell(\theta_1, Z), \dots, \ell(\theta_K, Z))$ and $n$ determine, and nothing else does:
#
# $$ \Delta_n = \tfrac12\, E_z \sum_k |p_k(z) - p_k|, \qquad p_k(z) = P(\hat\theta = \theta_k \mid z_1 = z). $$
#
# Three cases in which $\Delta_n$ is known exactly, each by two independent routes: two candidates with
# normal losses; a fair coin; any discrete law. Write $D = \ell(\theta_2, Z) - \ell(\theta_1, Z)$ with
# $\delta = E D \ge 0$ and $\sigma^2 = \mathrm{Var}\, D$. Ties go to the smallest index.

# %%
import itertools
import math
import os

import numpy as np
from scipy import integrate, special, stats

from mis import theory
from mis.figures.notebooks import exact_cases
from mis.numerics.checks import UnsupportedSetting

SMALL = os.environ.get("MIS_NOTEBOOK_SIZE") == "small"


def gaussian(delta):
    return theory.GaussianLosses(mean=[0.0, delta], cov=[[0.0, 0.0], [0.0, 1.0]])


# %% [markdown]
# ## Two candidates, normal losses
#
# $\theta_2$ wins if $D_1 + \dots + D_n < 0$. Given $D_1 = d$ the other $n - 1$ differences are normal, so
#
# $$ p(d) = \Phi\!\left(\frac{-d - (n-1)\delta}{\sigma\sqrt{n-1}}\right), \qquad
#    p = \Phi\!\left(-\frac{\sqrt n\,\delta}{\sigma}\right), \qquad \Delta_n = E|p(D) - p|. $$
#
# $p(d)$ falls in $d$ and crosses $p$ once, at $d^*$, so $\Delta_n = 2 E (p(D) - p)_+$ is an integral over
# $d < d^*$: no cancellation, and SciPy's quadrature does it.
#
# The library takes another route. In standard units, with $a$ the crossing point and $b = -\sqrt
# n\,\delta/\sigma$, $\Delta_n = 2\,[P(D \le a, S_n < 0) - P(D \le a) P(S_n < 0)]$ where $D$ and $S_n$ have
# correlation $1/\sqrt n$; by Plackett's identity this is twice the integral of the bivariate normal density
# $\varphi_r(a, b)$ over $r$ from 0 to $1/\sqrt n$, taken in logarithms.


# %%
def by_quadrature(delta, n):
    p = special.ndtr(-math.sqrt(n) * delta)
    crossing = -math.sqrt(n - 1) * special.ndtri(p) - (n - 1) * delta

    def excess(d):
        return (special.ndtr((-d - (n - 1) * delta) / math.sqrt(n - 1)) - p) * stats.norm.pdf(d - delta)

    near = [crossing - k for k in (1, 2, 4, 8, 16)]
    return (
        2 * integrate.quad(excess, crossing - 40, crossing, points=near, epsabs=0, epsrel=1e-12, limit=500)[0]
    )


quoted = {
    (0.3, 10): "6.504830e-02",
    (0.3, 100): "3.528728e-04",
    (0.3, 300): "2.511465e-08",
    (1.0, 100): "5.901740e-24",
}
for (delta, n), digits in quoted.items():
    value = theory.exact(gaussian(delta), n).value
    print(f"delta={delta:g} n={n:4d}  {value:.6e}   by quadrature {by_quadrature(delta, n):.6e}")
    assert f"{value:.6e}" == digits
    assert math.isclose(value, by_quadrature(delta, n), rel_tol=1e-9)

# %% [markdown]
# | $\delta/\sigma$ | $n$ | $\Delta_n$ |
# |---|---|---|
# | 0.3 | 10 | 6.504830e-2 |
# | 0.3 | 100 | 3.528728e-4 |
# | 0.3 | 300 | 2.511465e-8 |
# | 1 | 100 | 5.901740e-24 |
#
# The logarithm is right where the number itself is not: at $\delta = 1$, $n = 10^4$, $\Delta_n$ is below the
# smallest number that a computer holds.

# %%
tiny = theory.exact(gaussian(1.0), 10_000)
print(f"Delta = exp({tiny.details['log_value']:.3f})")
assert tiny.value == 0.0
assert -5010 < tiny.details["log_value"] < -5000

# %% [markdown]
# **A tie leaks polynomially.** At $\delta = 0$ both points $a$, $b$ are zero and the integral of
# $1/(2\pi\sqrt{1-r^2})$ is an arc sine: $\Delta_n = \arcsin(1/\sqrt n)/\pi \sim 1/(\pi\sqrt n)$. At $n =
# 100$, 0.03188: a learner whose two best candidates are equally good leaks like this, and not exponentially
# little.

# %%
for n in (2, 10, 100, 10_000):
    assert math.isclose(
        theory.exact(gaussian(0.0), n).value, math.asin(1 / math.sqrt(n)) / math.pi, rel_tol=1e-11
    )
assert f"{theory.exact(gaussian(0.0), 100).value:.5f}" == "0.03188"

# %% [markdown]
# ## A fair coin
#
# Two candidates, $\ell(k, z) = 1[z \ne k]$: the learner releases the majority. It depends on $z_1$ only if
# $z_1$ is pivotal, which happens with the largest binomial probability of the other $n - 1$:
#
# $$ \Delta_n = \tfrac12 \binom{n-1}{\lfloor (n-1)/2 \rfloor} 2^{-(n-1)} \sim \frac1{\sqrt{2\pi n}}. $$
#
# Compared with a normal tie it leaks $\sqrt{\pi/2} = 1.2533$ times as much: $E|D - \delta|/\sigma$ is 1 for
# a coin and $\sqrt{2/\pi}$ for a normal difference.

# %%
coin = theory.DiscreteLosses(losses=[[0.0, 1.0], [1.0, 0.0]], probs=[0.5, 0.5])
for n in range(1, 60):
    closed_form = math.comb(n - 1, (n - 1) // 2) / 2**n
    assert math.isclose(theory.exact(coin, n).value, closed_form, rel_tol=1e-10)
ratio = theory.exact(coin, 2001).value / theory.exact(gaussian(0.0), 2001).value
print(f"coin over normal tie at n = 2001: {ratio:.4f}")
assert f"{math.sqrt(math.pi / 2):.4f}" == "1.2533"
assert abs(ratio - 1.2533) < 1e-3

# %% [markdown]
# ## Any discrete law
#
# With $m$ atoms, what matters of a sample is how often it saw each, and there are $\binom{n+m-1}{m-1}$ such
# counts: enumerate them. Beside it, by brute force, all $m^n$ samples in order.


# %%
def by_brute_force(law, n):
    num_atoms = len(law.probs)
    given = np.zeros((law.num_losses, num_atoms))
    for sample in itertools.product(range(num_atoms), repeat=n):
        # Rounded, so that ties are ties.
        risk = np.round(law.losses[:, sample].sum(axis=1), 9)
        given[risk.argmin(), sample[0]] += math.prod(law.probs[j] for j in sample[1:])
    return 0.5 * float((np.abs(given - (given @ law.probs)[:, None]) @ law.probs).sum())


three_atoms = theory.DiscreteLosses(losses=[[0.0, 0.0, 0.0], [-0.9, 0.15, 0.6]], probs=[0.2, 0.5, 0.3])
rng = np.random.default_rng(0)
four_candidates = theory.DiscreteLosses(
    losses=rng.integers(0, 4, size=(4, 3)).astype(float), probs=[0.5, 0.3, 0.2]
)
for law in (three_atoms, four_candidates):
    for n in (1, 2, 5, 8):
        assert math.isclose(theory.exact(law, n).value, by_brute_force(law, n), rel_tol=1e-10)

# %% [markdown]
# Enumeration refuses what it cannot finish, and says what to use instead.

# %%
message = ""
try:
    theory.exact(theory.DiscreteLosses(losses=rng.random((3, 12)), probs=np.full(12, 1 / 12)), 100)
except UnsupportedSetting as refusal:
    message = str(refusal)
print(message)
assert "theory.simulate" in message

# %% [markdown]
# ## Three ways to fall
#
# A unique best candidate: exponentially. A tie: like $n^{-1/2}$. A lattice (the coin, the biased coin): with
# teeth, because at some $n$ the empirical losses can be equal and at others not.

# %%
biased = theory.DiscreteLosses(losses=[[0.0, 1.0], [1.0, 0.0]], probs=[0.6, 0.4])
laws = {
    "normal, δ = 0": gaussian(0.0),
    "fair coin": coin,
    "normal, δ = 0.1σ": gaussian(0.1),
    "normal, δ = 0.3σ": gaussian(0.3),
    "coin, 0.6": biased,
    "three atoms": three_atoms,
}
ns = np.unique(np.round(np.geomspace(1, 60 if SMALL else 600, 12 if SMALL else 40)).astype(int)).tolist()
rows = [{"law": name, "n": n, "value": theory.exact(law, n).value} for name, law in laws.items() for n in ns]
figure = exact_cases(rows)
figure

# %% [markdown]
# *Exact advantage of the best attack on six learners with two candidates.*

# %%
even, odd = (theory.exact(biased, n).value for n in (20, 21))
print(f"coin, 0.6: n=20 {even:.5f}, n=21 {odd:.5f}")
assert odd > even  # one example more, and more leaks: a tooth
