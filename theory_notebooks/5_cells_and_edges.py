# %% [markdown]
# # 5. Cells and edges
#
# Most quantized models are not minimisers over a codebook: they are estimated in full precision and quantized
# afterwards. What leaks then is decided by where the estimate lies in its cell. This notebook takes the
# simplest case, one coordinate, and follows it to a law that orders quantizers:
#
# 1. a weight in the middle of its cell leaks exponentially little in $n$, a weight on an edge $1/(\pi\sqrt
#    n)$, whatever the width of the cells;
# 2. the share of the Fisher information that passes the cells is, averaged over weights that fluctuate
#    little, a constant times the *density of weights at the edges*;
# 3. hence sparsity can protect more than fewer bits do, and one can say when.

# %%
import math
import os

import numpy as np
from scipy import integrate, special, stats

from mis import quantizers, studies, theory
from mis.figures.boundary import boundary
from mis.figures.theory import edge_leakage

SMALL = os.environ.get("MIS_NOTEBOOK_SIZE") == "small"

# %% [markdown]
# ## One coordinate
#
# The mean of $n$ standard normal numbers is released as the cell that it lies in; the attacker knows that the
# true mean $\theta^*$ is at a given place in its cell. In units of $1/\sqrt n$ the estimate is a standard
# normal $Y$; a member has correlation $1/\sqrt n$ with it. With edges $e$ in these units,
#
# $$ \Delta_n = E_z \sum_q \bigl(p_q(z) - p_q\bigr)_+, \qquad
#    p_q(z) = \Phi\Bigl(\tfrac{e_{q+1} - z/\sqrt n}{\sqrt{1-1/n}}\Bigr)
#           - \Phi\Bigl(\tfrac{e_q - z/\sqrt n}{\sqrt{1-1/n}}\Bigr). $$
#
# Below, that integral by a plain sum over a fine grid of $z$, beside the library's closed form.


# %%
def interval_probability(low, high):
    """P(low < N(0, 1) < high), on the side where nothing cancels."""
    flip = low > 0
    low, high = np.where(flip, -high, low), np.where(flip, -low, high)
    return special.ndtr(high) - special.ndtr(low)


def by_grid(n, width, offset):
    r = 1 / math.sqrt(n)
    edges = (np.arange(-400, 401) - offset) * width * math.sqrt(n)
    edges = edges[np.abs(edges) < 37]
    low, high = np.append(-np.inf, edges)[:, None], np.append(edges, np.inf)[:, None]
    z, step = np.linspace(-25, 25, 20_001, retstep=True)
    sd = math.sqrt(1 - r**2)
    excess = interval_probability((low - r * z) / sd, (high - r * z) / sd) - interval_probability(low, high)
    # The likeliest cell's excess is minus that of the others, which are small and keep their digits.
    likeliest = np.argmax(interval_probability(low, high))
    excess[likeliest] = -np.delete(excess, likeliest, axis=0).sum(axis=0)
    return float(0.5 * np.abs(excess).sum(axis=0) @ stats.norm.pdf(z) * step)


quoted = {4.0: "6.9e-89", 2.0: "9.1e-24", 1.0: "1.5e-07", 0.5: "1.6e-03"}
for width in quoted:
    middle = theory.quantized_mean(100, 1, width, 0.5)
    edge = theory.quantized_mean(100, 1, width, 0.0)
    print(
        f"h={width:3.1f}   middle {middle.value:9.2e} (grid {by_grid(100, width, 0.5):9.2e})   edge {edge.value:.6f}"
    )
    assert middle.kind == edge.kind == "certified"
    assert math.isclose(middle.value, by_grid(100, width, 0.5), rel_tol=1e-4)
    assert math.isclose(edge.value, by_grid(100, width, 0.0), rel_tol=1e-4)
assert {w: f"{theory.quantized_mean(100, 1, w, 0.5).value:.1e}" for w in quoted} == quoted

# %% [markdown]
# | width of the cells, sd of an example | 4 | 2 | 1 | 0.5 |
# |---|---|---|---|---|
# | $\theta^*$ in the middle, $n = 100$ | 6.9e-89 | 9.1e-24 | 1.5e-7 | 1.6e-3 |
# | $\theta^*$ on an edge | 0.03188 | 0.03188 | 0.03188 | 0.03188 |
#
# **On an edge the width does not matter.** Only one edge is ever met, the release is the sign of $Y$, and
# notebook 2's tie returns: $\arcsin(1/\sqrt n)/\pi \approx 1/(\pi\sqrt n)$. At a distance $\delta$ from the
# one edge in reach, it is notebook 2's learner with two candidates and a normal loss difference of mean
# $\delta$: a quantizer's edge *is* a pair of candidates, and their exponential rate is $\delta^2/2$.

# %%
for width in (4.0, 2.0, 1.0):
    edge = theory.quantized_mean(100, 1, width, 0.0).value
    assert f"{edge:.5f}" == "0.03188"
    assert math.isclose(edge, math.asin(0.1) / math.pi, rel_tol=1e-9)

    law = theory.GaussianLosses(mean=[0.0, 0.1], cov=[[0.0, 0.0], [0.0, 1.0]])
    near = theory.quantized_mean(100, 1, width, 0.1 / width).value
    # The other edge is at least nine standard deviations of the mean away.
    assert math.isclose(near, theory.exact(law, 100).value, rel_tol=1e-9)

# %% [markdown]
# ## What passes the cells
#
# A weight that fluctuates as $N(w, s^2)$ carries Fisher information $1/s^2$ about $w$. Of this its cell keeps
# the share
#
# $$ J = \sum_q \frac{(\varphi(a_q) - \varphi(b_q))^2}{\Phi(b_q) - \Phi(a_q)}, \qquad
#    a_q = \frac{e_q - w}{s},\quad b_q = \frac{e_{q+1} - w}{s}, $$
#
# because $\partial_w P(\text{cell } q) = (\varphi(a_q) - \varphi(b_q))/s$. If the cells are wide, at most one
# edge, $u = (e - w)/s$ away, matters, and $J(u) = \varphi(u)^2 / (\Phi(u)\Phi(-u))$: $2/\pi$ on the edge,
# gone after a few $s$. Average over weights with a smooth density $f$: the weights within reach of edge $e$
# are $f(e)\, s\, du$, and
#
# $$ \bar J = s \sum_e f(e) \int \frac{\varphi(u)^2}{\Phi(u)\Phi(-u)}\, du + O(s^2)
#    \qquad\text{(boundary law)}. $$

# %%
constant, _ = integrate.quad(
    lambda u: math.exp(2 * stats.norm.logpdf(u) - stats.norm.logcdf(u) - stats.norm.logcdf(-u)), -37, 37
)
print(f"integral {constant:.6f}")
assert f"{constant:.4f}" == "1.8064"
assert math.isclose(theory.boundary_information([1.0], 1.0).value, constant, rel_tol=1e-8)

on_edge = theory.retained_information(np.zeros(2), 1.0, quantizers.Sign()).value
assert math.isclose(on_edge, 2 / math.pi, rel_tol=1e-12)

# %% [markdown]
# The integral is 1.8064. So the rule for a quantizer is: **add up the density of weights at its edges.**
#
# ## When sparsity protects
#
# `sign` has one edge, at 0, where weights are densest: $f(0)$. A ternary quantizer that zeroes the weights
# below $t$ has two, $f(t) + f(-t)$. For normal weights ($f(t) = \varphi(t)$) two edges are worse than one
# until $2 e^{-t^2/2} < 1$, that is $t > \sqrt{2 \log 2}$: until **76.1%** of the weights are zeroed. For
# Laplace weights ($f(t) \propto e^{-\lambda|t|}$) until $2e^{-\lambda t} < 1$, which zeroes **half** of them.
# Below that share a ternary network, for all its zeros, leaks more than a network of signs, and with few
# zeros nearly twice as much. The claim that ternary at 33% is more private than sign does not follow from
# sparsity: for normal weights this law says that it retains 1.83 times as much.

# %%
crossing = {
    "normal": 2 * stats.norm.cdf(math.sqrt(2 * math.log(2))) - 1,
    "laplace": stats.laplace.cdf(math.log(2)) - stats.laplace.cdf(-math.log(2)),
}
assert f"{crossing['normal']:.3f}" == "0.761"
assert math.isclose(crossing["laplace"], 0.5)
threshold = stats.norm.ppf((1 + 0.33) / 2)
assert f"{2 * stats.norm.pdf(threshold) / stats.norm.pdf(0):.2f}" == "1.83"

# %% [markdown]
# The same from the library's own quantizers, without the law: weights at normal and Laplace quantiles, each
# fluctuating by a hundredth of their spread, cells and all.

# %%
rows = studies.STUDIES["edge-leakage"](SMALL)
retained = {(row["weights"], row["quantizer"]): row["retained"] for row in rows if row["panel"] == "density"}
for weights in ("normal weights", "Laplace weights"):
    sign = retained[weights, "sign"]
    for name in ("ternary-33", "ternary-76", "ternary-90", "uniform-2", "uniform-3"):
        print(f"{weights:15s} {name:10s} retains {retained[weights, name] / sign:.2f} times what sign does")
    assert retained[weights, "ternary-90"] < sign < retained[weights, "ternary-33"]
assert abs(retained["normal weights", "ternary-76"] / retained["normal weights", "sign"] - 1) < 0.02
assert retained["Laplace weights", "ternary-76"] < 0.6 * retained["Laplace weights", "sign"]
for row in rows:
    if row["panel"] == "density":
        assert math.isclose(row["retained"], row["law"], rel_tol=0.05)

# %% [markdown]
# Zeroing 76% of normal weights retains as much as sign to within 2%; of Laplace weights, less than 0.6 times
# as much. All retained shares are within 5% of the boundary law.

# %%
edge_leakage(rows)

# %% [markdown]
# *Left: advantage of one coordinate of a mean against the distance of its true value to the
# nearest edge. Right: share of information that quantizers retain of weights that fluctuate by a hundredth of
# their standard deviation, against the density of weights at their edges; the line is the boundary law.*
#
# ## In advantages
#
# A thousand such weights, their mean over 400 examples released: certified bounds on the advantage of the best attack
# (notebook 6), beside the level that the boundary law predicts, $2\Phi(\tfrac12\mu\sqrt{\bar J}) - 1$ with $\mu$ from
# full precision, out of nothing but the densities at the edges.

# %%
shown = studies.STUDIES["boundary"](SMALL)
leaks = {(row["weights"], row["quantizer"]): row for row in shown if row["panel"] == "leak"}
for (weights, name), row in leaks.items():
    bounds = f"[{row['lower']:.4f}, {row['upper']:.4f}]"
    print(f"{weights:15s} {name:10s} {row['bits']:.2f} bits: {bounds}, law {row['law']:.4f}")
normal = {name: row for (weights, name), row in leaks.items() if weights == "normal weights"}
laplace = {name: row for (weights, name), row in leaks.items() if weights == "Laplace weights"}
assert normal["ternary-95"]["upper"] < normal["sign"]["lower"] < normal["ternary-10"]["lower"]
# Neither do more bits leak more.
assert normal["uniform-2"]["upper"] < normal["sign"]["lower"] < normal["uniform-3"]["lower"]
assert laplace["uniform-3"]["upper"] < laplace["sign"]["lower"]
assert laplace["uniform-2"]["upper"] < laplace["sign"]["lower"] / 2
assert abs(normal["ternary-76"]["lower"] / normal["sign"]["lower"] - 1) < 0.02
if not SMALL:
    wide = [row for row in leaks.values() if 0.2 <= row.get("zeros", 0.5) <= 0.9]
    assert max(abs(row["law"] / row["lower"] - 1) for row in wide) < 0.05
    middle = [
        (normal[name]["lower"] + normal[name]["upper"]) / 2 for name in ("sign", "ternary-33", "ternary-90")
    ]
    assert [f"{leak:.3f}" for leak in middle] == ["0.119", "0.160", "0.085"]

# %% [markdown]
# At full size, normal weights: `sign` leaks 0.119, `ternary-33` 0.160, `ternary-90` 0.085; with 76% zeros ternary leaks
# what sign does. Bits do not order leakage: `uniform-2` leaks less than `sign`, and for Laplace weights `uniform-3`
# does, too, and `uniform-2` less than half of it. The law is within 5% from 20% to 90% of zeros; with fewer the two
# edges of ternary are too close to count twice, with more the density falls off within the reach of an edge.

# %%
figure = boundary(shown)
figure

# %% [markdown]
# *Left: the law of the weights and the edges of four quantizers; weights in the bands, two standard deviations of their
# fluctuation wide on either side, leak. Right: certified advantage of the best attack on 1000 weights, 400 examples, as
# more of them are set to zero; dashed, quantizers without a share of zeros.*
