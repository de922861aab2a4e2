# %% [markdown]
# # 6. Product laws
#
# A network has many weights. If coordinates are independent, log likelihood ratios add, and the law of the
# sum is a convolution. Discretised with care it bounds the advantage from both sides, at any dimension: a
# *certified* value.

# %%
import itertools
import math
import os
import time

import numpy as np
from scipy import special

from mis import studies, theory
from mis.figures.theory import certified_bands

SMALL = os.environ.get("MIS_NOTEBOOK_SIZE") == "small"

# %% [markdown]
# ## Why it is a bound
#
# Let $L = \log(dP/dQ)$, $P$ the joint law of release and member, $Q$ that of release and stranger. Everything
# is in $h(t) = \sup_A P(A) - t\,Q(A) = E_Q(e^L - t)_+$: $\Delta = h(1)$, the ROC is $\inf_t h(t) + tf$.
#
# - *Lower bound.* Let the attacker see less: of each outcome only the nearest point of a lattice to $L$, and of
#   all coordinates only the sum of those. Post-processing lowers $h$.
# - *Upper bound.* Move the mass of each outcome to the two lattice points around it, keeping its mass under
#   both laws. $(x - t)_+$ is convex in $x = e^L$, so by Jensen $h$ rises.
#
# Both survive products (the first by itself; for the second condition on the other coordinates: what remains is
# again convex). On a common lattice the sum over coordinates is a product of discrete Fourier transforms. What the
# window cuts off and what the transform rounds is bounded and added on the safe side; both errors are of second
# order in the step of the lattice.
#
# ## One coordinate, and all of them

# %%
for offset in (0.0, 0.3, 0.5):
    found = theory.quantized_mean(100, 1, 0.5, offset)
    print(f"offset {offset}: {found!r}")
    assert found.kind == "certified"
    assert found.width < 1e-4
one = theory.quantized_mean(100, 1, 0.5, 0.0)
assert one.lower <= math.asin(0.1) / math.pi * (1 + 1e-5)

bounds = {}
for dim in (1, 10, 100, 1000):
    start = time.perf_counter()
    bounds[dim] = theory.quantized_mean(100, dim, 0.5, 0.0)
    print(
        f"d={dim:4d}: [{bounds[dim].lower:.6f}, {bounds[dim].upper:.6f}], {time.perf_counter() - start:.2f} s"
    )
    assert bounds[dim].width <= 1e-4
assert f"{bounds[1].value:.4f} {bounds[10].value:.4f} {bounds[100].value:.4f}" == "0.0319 0.1007 0.3110"

# %% [markdown]
# At $n = 100$, cells half a standard deviation wide and $\theta^*$ on edges: 0.0319 in dimension 1, 0.1007 in
# 10, 0.3110 in 100, each within $10^{-4}$.
#
# **Beside it, played.** The game itself, with the exact likelihood ratio of the cells: within five standard
# errors of the certified interval.

# %%
n, dim, width = 100, 10, 0.5
num_games = 10_000 if SMALL else 200_000
rng = np.random.default_rng(0)
r = 1 / math.sqrt(n)


def log_ratio(mean, z):
    """Of the cells that contain the mean, given z against not, summed over coordinates."""
    low = np.floor(mean / (width * math.sqrt(n))) * width * math.sqrt(n)
    high, sd = low + width * math.sqrt(n), math.sqrt(1 - r**2)
    usual = special.ndtr(high) - special.ndtr(low)
    given = special.ndtr((high - r * z) / sd) - special.ndtr((low - r * z) / sd)
    return np.log(given / usual).sum(axis=1)


z, rest, stranger = rng.standard_normal((3, num_games, dim))
mean = r * z + math.sqrt(1 - r**2) * rest
rates = [(log_ratio(mean, shown) > 0).mean() for shown in (z, stranger)]
played = rates[0] - rates[1]
error = math.sqrt(sum(rate * (1 - rate) for rate in rates) / num_games)
print(f"played {played:.4f} +- {error:.4f}, certified {bounds[10]!r}")
assert bounds[10].lower - 5 * error < played < bounds[10].upper + 5 * error

# %% [markdown]
# ## Fine cells, full precision
#
# As the cells shrink the certified value tends to that of the mean in full precision, from below: data
# processing.

# %%
full = theory.full_precision_mean(100, 100)
leaks = [theory.quantized_mean(100, 100, width, 0.25) for width in (1.0, 0.4, 0.2, 0.1, 0.02)]
print([f"{leak.value:.4f}" for leak in leaks], f"full {full.value:.4f}")
assert all(coarse.lower < fine.upper for coarse, fine in itertools.pairwise(leaks))
assert all(leak.lower <= full.upper for leak in leaks)
assert abs(leaks[-1].value - full.value) < 1e-3

# %% [markdown]
# ## Low false positive rates, other priors
#
# The same bounds hold for the whole ROC. In dimension 100, where the advantage is 0.311, the best attack
# finds 1.08% of the members at 0.1% FPR. If only one shown example in ten is a member, its error is 0.998 of
# that of calling nobody one: with rare members even this advantage is hard to turn into errors saved.

# %%
roc = bounds[100].roc()
tpr = roc.tpr(0.001)
print("TPR at 0.1% FPR", tpr, " Bayes security at prior 0.1:", theory.bayes_security(roc, prior=0.1))
assert f"{tpr.lower:.4f}" == f"{tpr.upper:.4f}" == "0.0108"
assert f"{theory.bayes_security(roc, prior=0.1).value:.3f}" == "0.998"
assert theory.bayes_security(roc, prior=0.5).value == 1 - roc.advantage().value

# %% [markdown]
# ## Cells of one's own
#
# `theory.product` takes any list of coordinates, each with its own edges, mean and scale: weights on the grid
# that a quantizer puts them on. The order of notebook 5 returns, now with every constant: of 60 normal
# weights, `ternary-90` leaks less than `sign`, `sign` less than `ternary-33`, and more bits leak more.

# %%
rows = studies.STUDIES["certified-bands"](SMALL)
assert all(row["upper"] - row["lower"] <= 1e-3 for row in rows)
at = {(row["release"], round(row["x"], 2)): row for row in rows if row["panel"] == "bits"}
assert at["ternary-90", 1.58]["upper"] < at["sign", 1.0]["lower"]
assert at["sign", 1.0]["upper"] < at["ternary-33", 1.58]["lower"]
uniform = [row for row in rows if row["release"] == "uniform"]
assert all(a["upper"] < b["lower"] for a, b in itertools.pairwise(uniform))
assert all(row["upper"] <= at["full precision", 1]["upper"] for row in uniform)

# %%
figure = certified_bands(rows)
figure

# %% [markdown]
# *Certified advantage at $n = 100$; the bands, at most $10^{-3}$ high, are thinner than the lines. Left: a
# mean in full precision and on grids, against dimension. Right: 60 coordinates with normally distributed true
# values, each in the cell in which a quantizer of all 60 puts it.*
