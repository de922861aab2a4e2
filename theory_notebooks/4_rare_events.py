# %% [markdown]
# # 4. Rare events
#
# An advantage of 1e-24 or 1e-100 is nothing that anyone will ever observe, but it is where a formula shows
# whether it is right, and with many candidates and no lattice there is no exact route to compare with. Plain
# Monte Carlo sees nothing below one over the number of draws. Exponential tilting sees it all.

# %%
import math
import os
import warnings

import numpy as np
from scipy import special

from mis import theory
from mis.figures.notebooks import rare_events

SMALL = os.environ.get("MIS_NOTEBOOK_SIZE") == "small"
NUM_SAMPLES = 10_000 if SMALL else 100_000


def gaussian(delta):
    return theory.GaussianLosses(mean=[0.0, delta], cov=[[0.0, 0.0], [0.0, 1.0]])


# %% [markdown]
# ## Tilt, draw, reweight
#
# $P(S_n < 0) = E_t[e^{t S_n - nI};\, S_n < 0]$ where under $P_t$, $dP_t = e^{-tD + I} dP$, the sum is
# centred: the rare event becomes a coin flip, and what is averaged lies between 0 and 1. Its second moment is
# about $1/(2 t \tilde\sigma\sqrt{2\pi n})$ against a squared mean of $1/(t^2\tilde\sigma^2 2\pi n)$, so the
# relative error grows like $n^{1/4}$ and no faster (Sadowsky and Bucklew, 1990). By hand, for a probability
# with a closed form:

# %%
n, delta = 100, 1.0
rng = np.random.default_rng(0)
sums = math.sqrt(n) * rng.standard_normal(NUM_SAMPLES)
weights = np.where(sums < 0, np.exp(delta * sums), 0.0)
estimate = math.exp(-n * delta**2 / 2) * weights.mean()
error = math.exp(-n * delta**2 / 2) * weights.std() / math.sqrt(NUM_SAMPLES)
truth = special.ndtr(-math.sqrt(n) * delta)
print(f"P(S_n < 0): {estimate:.4e} +- {error:.1e}, closed form {truth:.4e}")
assert abs(estimate - truth) < 5 * error
assert error < 0.06 * truth

# %% [markdown]
# For the advantage one set of draws of $S_{n-1}$ serves $p_k$ and every $p_k(z)$: only the start $D(z)$
# differs. With several rivals the draws come from a mixture of one tilt each, in proportion to their Chernoff
# bounds. The absolute values in $\tfrac12 E_z\sum_k |p_k(z) - p_k|$ bias a plug-in upwards; signs chosen on
# one half of the draws and applied to the other bias it downwards; the library's interval has both, one at
# each end. It holds at every number of draws: what no draw has shown is bounded by the weight that a win can have
# at most, and a mean of bounded terms is off by no more than Bernstein's inequality says. That makes it some times
# wider than the standard error suggests.
#
# ## Two candidates, down to 1e-100

# %%
for n in (100, 450):
    exact = theory.exact(gaussian(1.0), n).value
    found = theory.simulate(n, gaussian(1.0), n, num_samples=NUM_SAMPLES)
    relative = found.details["standard_error"] / found.value
    print(
        f"n={n}: {found!r}, exact {exact:.4e}, off by {100 * relative:.2f}%, {found.effective_samples:.0f} effective"
    )
    assert found.kind == "monte-carlo"
    assert abs(found.value / exact - 1) < 5 * relative
    assert relative < 0.03
assert f"{theory.exact(gaussian(1.0), 450).value:.1e}" == "2.8e-100"

# %% [markdown]
# The relative standard error is below 3% at $\Delta = 5.9\cdot10^{-24}$ and at $2.8\cdot10^{-100}$. Plain
# Monte Carlo with as many draws sees no event at all; it says so, by its interval, and does not report a
# confident zero.

# %%
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    plain = theory.simulate(0, gaussian(1.0), 100, num_samples=NUM_SAMPLES, tilted=False)
print(plain, [str(w.message) for w in caught])
assert any(issubclass(w.category, theory.FewEffectiveSamples) for w in caught)
assert plain.lower == 0.0
assert plain.upper > theory.exact(gaussian(1.0), 100).value

# %% [markdown]
# ## Five candidates against enumeration
#
# Losses of five candidates on three atoms: enumeration goes through all counts of the atoms, simulation uses
# a mixture of up to four tilts. They agree to within the interval.

# %%
five = theory.DiscreteLosses(
    losses=[[0.0, 0.0, 0.0], [-0.9, 0.4, 0.7], [0.9, -0.5, 0.5], [0.5, 0.8, -0.6], [-0.3, 0.3, 0.9]],
    probs=[0.3, 0.4, 0.3],
)
assert five.best() == 0
for n in (20, 100, 300):
    exact = theory.exact(five, n).value
    found = theory.simulate(n, five, n, num_samples=NUM_SAMPLES)
    relative = found.details["standard_error"] / found.value
    print(f"n={n}: {found!r}, exact {exact:.4e}, relative error {100 * relative:.2f}%")
    # Five standard errors, and the half-width within which the sign bias is bracketed.
    assert abs(found.value - exact) < 5 * found.details["standard_error"] + (found.upper - found.lower) / 2

# %% [markdown]
# ## Tilted beside plain, at equal cost

# %%
rows = []
laws = {
    "normal, δ = σ": (gaussian(1.0), (2, 4, 8, 16, 50, 100, 200, 300, 450)),
    "five candidates": (five, (5, 20, 100, 400, 1000)),
}
for name, (law, sizes) in laws.items():
    for n in sizes:
        exact = theory.exact(law, n).value
        for method in ("tilted", "plain"):
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", theory.FewEffectiveSamples)
                found = theory.simulate(n, law, n, num_samples=NUM_SAMPLES, tilted=method == "tilted")
            ends = [min(end / exact, 3.0) for end in (found.lower, found.value, found.upper)]
            rows.append(
                {"law": name, "n": n, "method": method, "exact": exact}
                | dict(zip(("lower", "ratio", "upper"), ends, strict=True))
            )
for row in rows:
    if row["method"] == "tilted":
        assert abs(row["ratio"] - 1) < 0.25
        assert row["upper"] - row["lower"] < (1.5 if SMALL else 0.5)
    elif row["exact"] < 1e-10:
        assert row["lower"] == 0.0
        assert row["upper"] > 1.0
figure = rare_events(rows)
figure

# %% [markdown]
# *Simulated over exact advantage with 95% intervals, cut at 3: tilted sampling (full) and plain Monte Carlo
# (open) with the same number of draws. Plain Monte Carlo ends where its draws do; its upper bound is then
# what so many draws without an event can exclude.*
