# %% [markdown]
# # 10. Your own networks
#
# The attacks take arrays, from any framework. They need the outputs or the weights of some networks that were
# trained like yours, each on its own random half of one pool of examples (*shadow* networks), and they attack
# networks of which they know neither. Three steps: train, collect arrays, attack and audit. Here scikit-learn
# trains; what changes for PyTorch stands at the end.

# %%
import os

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits
from sklearn.neural_network import MLPClassifier
from sklearn.preprocessing import StandardScaler

from mis import attacks, quantizers

SMALL = os.environ.get("MIS_NOTEBOOK_SIZE") == "small"

# %% [markdown]
# ## Train, each network on half of the pool
#
# `membership[m, i]` says whether network `m` was trained on example `i`. All networks start from the same weights
# (`random_state=0`), as an attacker who knows the start would let his own start: the attacks on weights compare
# weight by weight, and cannot where networks have their hidden units in another order.

# %%
# The first networks are attacked, the others are shadows.
num_networks, num_targets, pool = (32, 8, 150) if SMALL else (144, 16, 300)
rng = np.random.default_rng(0)
features, labels = load_digits(return_X_y=True)
chosen = rng.permutation(len(labels))
features, labels = StandardScaler().fit_transform(features)[chosen], labels[chosen]
held_out = slice(pool, None)

membership = rng.permuted(np.arange(pool) < np.full((num_networks, 1), pool // 2), axis=1)
networks = []
for members in membership:
    network = MLPClassifier([16], batch_size=20, learning_rate_init=0.01, random_state=0)
    for _ in range(40):
        network.partial_fit(features[:pool][members], labels[:pool][members], classes=range(10))
    networks.append(network)

# %% [markdown]
# ## Attack the outputs
#
# Take the logits, or the logarithms of the probabilities, of every network on the whole pool. `audit` says what
# the scores prove: the advantage of this attack, a lower bound on that of the best one, hence `1 - advantage` an
# upper bound on membership inference security.


# %%
def attack_outputs(networks):
    outputs = np.stack(
        [network.predict_log_proba(features[:pool]) for network in networks]
    )  # (M, N, classes)
    scores = attacks.statistics.logit_confidence(
        outputs, labels[:pool]
    )  # (M, N); a regression: signed_residual
    found = attacks.LiRA(variance="pooled").scores(
        shadow_scores=scores[num_targets:],
        shadow_membership=membership[num_targets:],
        target_scores=scores[:num_targets],
    )
    return attacks.audit(scores=found, membership=membership[:num_targets])


full = attack_outputs(networks)
print(full.table())
assert full.advantage.lower > 0.3

# %% [markdown]
# ## Release quantized weights, and attack them
#
# A quantizer of `mis` releases a tensor of weights by `quantizer.fit(tensor).apply(tensor)`; yours may do it in any
# way that gives numbers back. The shadow networks are quantized as the targets are: an attacker knows how it is
# done, and shadows in full precision would make a quantized target look safer than it is. `Ridge` needs no more
# than the released weights of the shadows and their membership.

# %%
quantizer = quantizers.parse("ternary-50")
for network in networks:
    network.coefs_ = [quantizer.fit(layer).apply(layer) for layer in network.coefs_]

released = np.stack(
    [
        np.concatenate([layer.ravel() for layer in network.coefs_ + network.intercepts_])
        for network in networks
    ]
)
scores = attacks.Ridge().scores(
    shadow_params=released[num_targets:],
    shadow_membership=membership[num_targets:],
    target_params=released[:num_targets],
)
weights = attacks.audit(scores=scores, membership=membership[:num_targets])
outputs = attack_outputs(networks)

accuracy = np.mean([network.score(features[held_out], labels[held_out]) for network in networks])
print(f"accuracy of what is released {accuracy:.2f}")
for name, found in (
    ("full precision, outputs", full),
    ("ternary, outputs", outputs),
    ("ternary, weights", weights),
):
    print(f"{name:24} advantage {found.advantage.value:.2f}, at least {found.advantage.lower:.2f}")

assert outputs.advantage.upper < full.advantage.lower
assert outputs.advantage.lower > 0.1
assert weights.advantage.lower > 0.0

# %% [markdown]
# Ternary weights tell less than full precision, and not nothing. None of the two attacks on them is the best there
# is. With so few shadow networks the outputs tell more here; with some hundreds the weights do
# (`benchmarks/results/README.md`).
#
# A control that every attack of your own should pass: asked about networks to which it has the wrong membership,
# it must find nothing.

# %%
control = attacks.audit(scores=scores, membership=np.roll(membership[:num_targets], 1, axis=0))
assert control.advantage.lower < 0.0 < control.advantage.upper

figure, ax = plt.subplots()
for name, found in (
    ("full precision, outputs", full),
    ("ternary, outputs", outputs),
    ("ternary, weights", weights),
):
    roc = found.roc()
    ax.plot([point["fpr"] for point in roc], [point["value"] for point in roc], label=name)
ax.plot([0, 1], [0, 1], color="grey", linewidth=0.8)
ax.set(xlabel="false positive rate", ylabel="true positive rate")
ax.legend()
figure

# %% [markdown]
# ## PyTorch
#
# Only training and collecting differ. Logits, weights, and the gradient of each example's loss at one network that
# was trained without quantization, which `Linearised`, `Decoded` and `Influence` ask for:
#
# ```python
# import torch
# from torch.func import functional_call, grad, vmap
# from torch.nn.functional import cross_entropy
#
# x, y = torch.tensor(features[:pool], dtype=torch.float32), torch.tensor(labels[:pool])
#
#
# def train(members):
#     torch.manual_seed(0)  # all start from the same weights
#     network = torch.nn.Sequential(torch.nn.Linear(64, 16), torch.nn.ReLU(), torch.nn.Linear(16, 10))
#     optimiser = torch.optim.Adam(network.parameters(), lr=0.01)
#     for _ in range(100):
#         optimiser.zero_grad()
#         cross_entropy(network(x[members]), y[members]).backward()
#         optimiser.step()
#     return network
#
#
# def loss(parameters, example, label):
#     return cross_entropy(functional_call(trained[-1], parameters, example), label)
#
#
# trained = [train(torch.tensor(members)) for members in membership]
# with torch.no_grad():
#     outputs = np.stack([network(x).numpy() for network in trained])
#     params = np.stack([torch.nn.utils.parameters_to_vector(n.parameters()).numpy() for n in trained])
# gradients = vmap(grad(loss), in_dims=(None, 0, 0))(dict(trained[-1].named_parameters()), x, y)
# gradients = np.concatenate([g.detach().flatten(1).numpy() for g in gradients.values()], axis=1)
#
# scores = attacks.Linearised().scores(
#     shadow_params=params[num_targets:], target_params=params[:num_targets], gradients=gradients
# )
# found = attacks.audit(scores=scores, membership=membership[:num_targets])
# ```
