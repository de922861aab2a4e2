# %% [markdown]
# # 3. Rate, sharp asymptotics, saddlepoint
#
# For a fixed codebook with a unique best candidate the advantage falls exponentially. This notebook derives
# how fast, with which constant, and what to use when $n$ is neither small nor large. Two candidates,
# $D = \ell(\theta_2, Z) - \ell(\theta_1, Z)$, $\delta = E D > 0$, $S_n$ the sum of $n$ independent copies.

# %%
import math
import os

import numpy as np
from scipy import optimize

from mis import studies, theory
from mis.figures.theory import delta_against_n

SMALL = os.environ.get("MIS_NOTEBOOK_SIZE") == "small"

normal = theory.GaussianLosses(mean=[0.0, 0.3], cov=[[0.0, 0.0], [0.0, 1.0]])
atoms, probs = np.array([-0.9, 0.15, 0.6]), np.array([0.2, 0.5, 0.3])
three_atoms = theory.DiscreteLosses(losses=[np.zeros(3), atoms], probs=probs)

# %% [markdown]
# ## The rate
#
# $\theta_2$ wins if $S_n < 0$, and by Chernoff $P(S_n < 0) \le e^{-nI}$ with
# $I = \sup_t -\log E e^{-tD}$; Cramér says that the exponent is right. The advantage has the same exponent,
#
# $$ \lim_{n\to\infty} -\tfrac1n \log \Delta_n = I, $$
#
# because $\Delta_n = E|p(D) - p|$ is $p = P(S_n < 0)$ times a factor that tends to a constant (below). With
# more candidates the smallest $I_k$ decides. For normal losses $I = \delta^2/(2\sigma^2)$.

# %%
found = optimize.minimize_scalar(
    lambda t: math.log(probs @ np.exp(-t * atoms)), bounds=(0, 5), method="bounded"
)
print(f"three atoms: I = {theory.rate(three_atoms).value:.8f}, by direct minimisation {-found.fun:.8f}")
assert math.isclose(theory.rate(three_atoms).value, -found.fun, rel_tol=1e-8)
assert math.isclose(theory.rate(normal).value, 0.3**2 / 2, rel_tol=1e-12)

# %% [markdown]
# The limit is slow, and $e^{-nI}$ is not an approximation: at $\delta = 0.3\sigma$, $n = 100$,
# $-\log(\Delta_n)/n$ is 0.0795 where $I = 0.045$; on the three atoms $e^{-nI}$ is 7.5 times too large at $n =
# 5$ and 67 times at $n = 400$. (With the second-order rate $\delta^2/2\sigma^2$ in the place of $I$ it is 57
# times.)

# %%
at_100 = -math.log(theory.exact(normal, 100).value) / 100
assert f"{at_100:.4f}" == "0.0795"
second_order = three_atoms.difference(1, 0).mean ** 2 / (2 * three_atoms.difference(1, 0).variance)
too_large = {
    n: math.exp(-n * theory.rate(three_atoms).value) / theory.exact(three_atoms, n).value for n in (5, 400)
}
print(too_large)
assert f"{too_large[5]:.1f}" == "7.5"
assert f"{too_large[400]:.0f}" == "67"
assert f"{math.exp(-400 * second_order) / theory.exact(three_atoms, 400).value:.0f}" == "57"

# %% [markdown]
# ## Sharp asymptotics
#
# Let $t$ attain the supremum and tilt: $dP_t = e^{-tD + I}\, dP$. Under $P_t$ the sum is centred with
# variance $n\tilde\sigma^2$, and
#
# $$ p = P(S_n < 0) = e^{-nI}\, E_t\bigl[e^{t S_n};\, S_n < 0\bigr] \approx
#    e^{-nI} \int_{-\infty}^0 \frac{e^{ts}}{\tilde\sigma\sqrt{2\pi n}}\, ds
#    = \frac{e^{-nI}}{t\tilde\sigma\sqrt{2\pi n}}. $$
#
# (Bahadur and Rao, 1960.) Given $z_1 = z$ the same computation with $n - 1$ summands and start $D(z)$ gives
# $p(z)/p \to e^{-tD(z) + I} = dP_t/dP(z)$. Hence $\Delta_n = p\, E\,|p(D)/p - 1|$ and
#
# $$ \Delta_n \sim 2\,\mathrm{TV}(P_t, P)\ \frac{e^{-nI}}{t\tilde\sigma\sqrt{2\pi n}}. $$
#
# On a lattice of span $h$ the integral is a geometric sum, $\sum_j h\, e^{-t(x_0 + jh)}$ with $x_0$ the
# distance from 0 down to the largest point that wins: a factor $t h\, e^{-t x_0}/(1 - e^{-th})$. By hand for
# the three atoms (span 0.15, the rival loses ties, $x_0$ depends on $n$):

# %%
t = found.x
tilted = probs * np.exp(-t * atoms) / (probs @ np.exp(-t * atoms))
spread = math.sqrt(tilted @ atoms**2 - (tilted @ atoms) ** 2)


def sharp_by_hand(n, span=0.15):
    # Sums of n atoms lie on -0.9 n + 0.15 Z, which contains 0: the first winning point is one span below.
    factor = t * span * math.exp(-t * span) / (1 - math.exp(-t * span))
    leading = math.exp(-n * theory.rate(three_atoms).value) / (t * spread * math.sqrt(2 * math.pi * n))
    return np.abs(tilted - probs).sum() * leading * factor


for n in (5, 50, 400):
    assert math.isclose(theory.sharp(three_atoms, n).value, sharp_by_hand(n), rel_tol=1e-6)
for law, n, percent in (
    (normal, 10, 1.71),
    (normal, 300, 0.06),
    (three_atoms, 50, 0.2),
    (three_atoms, 400, 0.03),
):
    error = abs(theory.sharp(law, n).value / theory.exact(law, n).value - 1)
    print(f"n={n:3d} sharp is off by {100 * error:.3f}%")
    assert 100 * error < percent

# %% [markdown]
# Off by 1.7% at $n = 10$ and less than 0.06% at $n = 300$ ($\delta = 0.3\sigma$); on the three atoms by less
# than 0.2% at $n = 50$ and 0.03% at $n = 400$. The relative error falls like $1/n$:

# %%
errors = [
    abs(theory.sharp(normal, n).value / theory.exact(normal, n).value - 1) for n in (100, 200, 400, 800)
]
slopes = np.diff(np.log(errors)) / math.log(2)
print("slopes", slopes.round(2))
assert np.all(np.abs(slopes + 1) < 0.15)

# %% [markdown]
# ## Saddlepoint
#
# Sharp asymptotics need $n\delta^2$ large. Where it is not, the *local limit* holds,
#
# $$ \Delta_n \approx \varphi(\sqrt n\delta/\sigma)\, E|D - \delta| / (\sigma\sqrt n): $$
#
# near zero $S_{n-1}$ has density $\varphi(\sqrt n\delta/\sigma)/(\sigma\sqrt n)$ by the local limit theorem, and
# with $p(d) = P(S_{n-1} < -d)$ the difference $p(d) - p$ is that density times $\delta - d$; take the mean of its
# absolute value over $D$. Putting Lugannani and Rice's tail formula for $P(S_{n-1}
# \le -d)$ *inside* the outer expectation needs no choice: with $\hat t$ the tilt at which the mean is
# $-d/(n-1)$,
#
# $$ P(S \le s) \approx \Phi(w) + \varphi(w)\Bigl(\frac1w - \frac1u\Bigr), \qquad
#    w = \mathrm{sgn}(\cdot)\sqrt{2(n-1)\, I(\hat t)}, \quad u = \hat t\, \tilde\sigma \sqrt{n-1}, $$
#
# with Daniels' correction of $u$ on a lattice. It is uniform in $n$, and exact for normal losses.

# %%
ns = range(5, 401, 5)
exact = {n: theory.exact(three_atoms, n).value for n in ns}
worst = {
    name: max(abs(route(three_atoms, n).value / exact[n] - 1) for n in ns)
    for name, route in (("saddlepoint", theory.saddlepoint), ("sharp", theory.sharp))
}
print({name: f"{100 * error:.2f}%" for name, error in worst.items()})
assert worst["saddlepoint"] < 0.05
late = max(abs(theory.saddlepoint(three_atoms, n).value / exact[n] - 1) for n in ns if n >= 100)
assert late < 1e-3

tie = theory.DiscreteLosses(losses=[np.zeros(3), atoms - probs @ atoms], probs=probs)
for n in (20, 200):
    local_limit = math.sqrt(1 / (2 * math.pi)) * (probs @ np.abs(atoms - probs @ atoms))
    local_limit /= three_atoms.difference(1, 0).variance ** 0.5 * math.sqrt(n)
    print(
        f"exact tie, n={n}: saddlepoint {theory.saddlepoint(tie, n).value:.6f}, local limit {local_limit:.6f}"
    )
    assert abs(theory.saddlepoint(tie, n).value / local_limit - 1) < 0.15

# %% [markdown]
# Within 5% of the exact value at every $n$ from 5 to 400, and within 0.1% from $n = 100$ on; a law whose two
# candidates tie exactly, where sharp asymptotics refuse, is no special case.
#
# ## Over a hundred decades

# %%
rows = studies.STUDIES["delta-vs-n"](SMALL)
last = max(row["n"] for row in rows if row["law"].startswith("three"))
for row in rows:
    if row["route"] == "saddlepoint" and row["n"] >= 200:
        assert row["error"] < 1e-3
    if row["route"] == "sharp" and row["n"] == last:
        assert row["error"] < 1e-4
    if row["route"] == "first order" and row["n"] == last:
        assert row["error"] > 100
assert min(row["value"] for row in rows if row["route"] == "exact") < 1e-99
figure = delta_against_n(rows)
figure

# %% [markdown]
# *Advantage of two learners, and the relative error of each route to it. $e^{-nI}$ ("first order") has the
# right slope and is off by a factor that grows like $\sqrt n$; sharp asymptotics miss by $O(1/n)$; for normal
# losses the saddlepoint is exact and not to be seen. Simulated points are those of notebook 4.*
