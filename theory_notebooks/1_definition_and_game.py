# %% [markdown]
# # 1. The definition and the game
#
# Examples $z_1, \dots, z_n$ are drawn independently from $P$, and a symmetric learner releases
# $\hat\theta_n$. A fair coin decides whether an attacker, who sees $\hat\theta_n$ and knows $P$ and the
# learner, is shown a member ($z_1$, say) or a fresh example $z_0 \sim P$, and asks which it was. The
# *membership inference security* of the learner is
#
# $$ \mathrm{MIS}_n = 1 - \Delta_n, \qquad
#    \Delta_n = \mathrm{TV}\bigl(\mathrm{Law}(\hat\theta_n, z_1),\ \mathrm{Law}(\hat\theta_n) \otimes P\bigr). $$
#
# This notebook shows, on a learner so small that every sample can be written down, that $\Delta_n$ is
#
# 1. a sum over releases and examples,
# 2. the largest TPR $-$ FPR of any attack, and
# 3. what the best attack really wins when the game is played,
#
# and that the same two laws give the rest: the whole ROC, other priors, Bayes security.

# %%
import itertools
import math
import os
from collections import defaultdict

import numpy as np

from mis import theory
from mis.figures.notebooks import optimal_rocs

SMALL = os.environ.get("MIS_NOTEBOOK_SIZE") == "small"

# %% [markdown]
# ## A learner that can be written down
#
# Three atoms, five examples, and the learner that releases the atom seen most often (the smaller index on a
# tie). All $3^5 = 243$ samples, in order, give the joint law of the release and the first example.

# %%
probs = np.array([0.5, 0.3, 0.2])
n = 5


def majority(sample):
    return int(np.bincount(sample, minlength=3).argmax())


samples = list(itertools.product(range(3), repeat=n))
joint = defaultdict(float)
for sample in samples:
    joint[majority(sample), sample[0]] += math.prod(probs[list(sample)])
joint = np.array([[joint[release, atom] for atom in range(3)] for release in range(3)])
product = joint.sum(axis=1, keepdims=True) * probs

assert len(samples) == 243
assert np.allclose(joint.sum(axis=0), probs)  # the first example has the law of any example

# %% [markdown]
# ## Three readings of one number
#
# **A sum.** Total variation between two discrete laws is half the sum of absolute differences. Conditioning
# on $z$, with $p_k(z) = P(\hat\theta = k \mid z_1 = z)$ and $p_k$ its mean,
#
# $$ \Delta_n = \tfrac12 \sum_k \sum_z \bigl|P(k, z) - p_k P(z)\bigr| = \tfrac12\, E_z \sum_k |p_k(z) - p_k|. $$

# %%
by_hand = 0.5 * np.abs(joint - product).sum()
given_z = joint / probs
conditional = 0.5 * (np.abs(given_z - joint.sum(axis=1, keepdims=True)) * probs).sum()
library = theory.enumerate_learner(lambda counts: int(counts.argmax()), probs, n)
print(f"{by_hand:.10f}  {conditional:.10f}  {library!r}")

assert math.isclose(by_hand, conditional, rel_tol=1e-12)
assert library.kind == "exact"
assert library.lower <= by_hand <= library.upper
assert f"{by_hand:.4f}" == "0.1568"

# %% [markdown]
# $\Delta_5 = 0.1568$.
#
# **The best attack.** An attack is a set $A$ of pairs (release, example) that it calls "member". Its TPR is
# the mass of $A$ under the joint law, its FPR that under the product. Of all $2^9 = 512$ sets the one that
# keeps the pairs with likelihood ratio above 1 has the largest difference (Neyman and Pearson), and no set
# has more than $\Delta_n$.

# %%
pairs = list(itertools.product(range(3), range(3)))
gains = {}
for bits in range(2 ** len(pairs)):
    chosen = frozenset(pair for i, pair in enumerate(pairs) if bits >> i & 1)
    gains[chosen] = sum(joint[pair] - product[pair] for pair in chosen)
likelihood_ratio = frozenset(pair for pair in pairs if joint[pair] > product[pair])

assert len(gains) == 512
assert math.isclose(max(gains.values()), by_hand, rel_tol=1e-12)
assert math.isclose(gains[likelihood_ratio], by_hand, rel_tol=1e-12)
print("calls 'member' on (release, example):", sorted(likelihood_ratio))
assert likelihood_ratio == {(0, 0), (1, 1), (2, 2)}

# %% [markdown]
# Here the best attack is the obvious one: call "member" what equals the release.
#
# **The game, played.** Draw data, learn, flip the coin, attack. The advantage found agrees with $\Delta_5$
# to within five standard errors.

# %%
num_games = 20_000 if SMALL else 500_000
rng = np.random.default_rng(1)
data = rng.choice(3, size=(num_games, n), p=probs)
released = (data[:, :, None] == np.arange(3)).sum(axis=1).argmax(axis=1)
is_member = rng.random(num_games) < 0.5
shown = np.where(is_member, data[:, 0], rng.choice(3, size=num_games, p=probs))
called = shown == released
rates = [called[is_member].mean(), called[~is_member].mean()]
played = rates[0] - rates[1]
error = math.sqrt(
    sum(r * (1 - r) / k for r, k in zip(rates, (is_member.sum(), (~is_member).sum()), strict=True))
)
print(f"played {played:.4f} +- {error:.4f}, exact {by_hand:.4f}")
assert abs(played - by_hand) < 5 * error

# %% [markdown]
# ## The same for a minimiser over a codebook
#
# A learner that minimises the empirical loss over candidates $\theta_1, \dots, \theta_K$ is known by the law
# of its loss vector alone. Majority is one: its losses are $\ell(k, z) = 1[z \ne k]$, and ties go to the
# smallest index.

# %%
law = theory.DiscreteLosses(losses=1.0 - np.eye(3), probs=probs)
assert math.isclose(theory.exact(law, n).value, by_hand, rel_tol=1e-10)

# %% [markdown]
# ## The whole ROC, other priors, Bayes security
#
# An average advantage hides what happens at low false positive rates. The likelihood ratio of the same two
# laws gives the largest TPR at every FPR. Three learners on the same data: the other two are functions of the
# counts, and by data processing leak no more than these at any FPR.

# %%
learners = {
    "all counts": tuple,
    "atoms seen": lambda counts: tuple(counts > 0),
    "the majority": lambda counts: int(counts.argmax()),
}
found = {name: theory.enumerate_learner(learner, probs, n) for name, learner in learners.items()}
for name, interval in found.items():
    roc = interval.roc()
    at_one_percent = roc.tpr(0.01).value
    security = theory.bayes_security(roc).value
    print(
        f"{name:14s} {interval.value:.4f}, TPR at 1% FPR {at_one_percent:.4f}, Bayes security {security:.4f}"
    )
    assert math.isclose(security, 1 - interval.value, rel_tol=1e-9)
    # At a prior of 80% guessing is hard to beat: no prior has less security than one half.
    assert theory.bayes_security(roc, prior=0.8).value >= security - 1e-12

assert [f"{interval.value:.4f}" for interval in found.values()] == ["0.2457", "0.1787", "0.1568"]
tprs = [found[name].roc().tpr(0.01).value for name in ("the majority", "atoms seen")]
assert [f"{tpr:.3f}" for tpr in tprs] == ["0.031", "0.022"]

# %% [markdown]
# The advantages are 0.2457, 0.1787 and 0.1568, but at 1% FPR the best attack on the majority finds 3.1% of
# the members and the best attack on the atoms seen only 2.2%: the order by advantage is not the order at low
# false positive rates. `1 - advantage` *is* the Bayes security at a prior of one half (Chatzikokolakis,
# Cherubin, Palamidessi, Troncoso, arXiv:2011.03396).

# %%
fprs = np.geomspace(1e-3, 1, 200)
rows = []
for name, interval in found.items():
    lower, upper = interval.roc().bounds(fprs)
    rows += [
        {"release": name, "fpr": f, "lower": low, "upper": high}
        for f, low, high in zip(fprs, lower, upper, strict=True)
    ]
figure = optimal_rocs(rows)
figure

# %% [markdown]
# *Optimal ROCs of three learners on one population. On logarithmic axes a straight line of slope one through
# the corner at $(1, 1)$ is guessing; each curve is exact.*
