"""The white-box scores of a ranking, layer by layer, for all folds in one pass over the gradients."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np

from mis.attacks import LiRA
from mis.attacks.crossfit import assign_folds
from mis.attacks.decoded import decoded
from mis.attacks.linearised import linearised
from mis.attacks.ridge import Ridge, gram, ridge
from mis.ranking.networks import Networks, rows
from mis.training import FEW_RUNS

__all__ = ["calibrated", "layer_scores"]


def layer_scores(networks: Networks, released: list[jax.Array]) -> list[dict[str, np.ndarray]]:
    """Return for each fold the scores of its targets and of the next fold's networks, by name, ``(T, N)``.

    ``linearised-k`` and ``decoded-k`` of layer k as log likelihood ratios, ``ridge`` of all layers together as it is.
    """
    layers, members = rows(released), networks.ensemble.membership
    membership = jnp.asarray(members, jnp.float32)
    folds = assign_folds(len(members), networks.num_folds)
    # The fold itself is attacked and the next one calibrates: all others are shadows.
    shadows = [
        (folds != fold) & (folds != (fold + 1) % networks.num_folds) for fold in range(networks.num_folds)
    ]
    parts: list[list[dict[str, np.ndarray]]] = [[] for _ in shadows]
    for block in networks.gradients():
        for found, gradients, is_shadow in zip(parts, block, shadows, strict=True):
            found.append(jax.tree.map(np.asarray, _linear(layers, networks.full, gradients, is_shadow)))
    scores = []
    for found, is_shadow in zip(parts, shadows, strict=True):
        joined = {name: np.concatenate([part[name] for part in found], axis=1) for name in found[0]}
        fold = {name: calibrated(values, members, is_shadow) for name, values in joined.items()}
        # The ridge has seen the labels of its shadows, so no law of its scores can be fitted on them.
        fold["ridge"] = np.asarray(_ridge(layers, membership, is_shadow))[~is_shadow]
        scores.append(fold)
    return scores


def calibrated(scores: np.ndarray, members: np.ndarray, is_shadow: np.ndarray) -> np.ndarray:
    """Return the log likelihood ratio, in nats, of the others' scores under Gaussians fitted to the shadows'."""
    return LiRA().scores(
        shadow_scores=scores[is_shadow],
        shadow_membership=members[is_shadow],
        target_scores=scores[~is_shadow],
    )


@partial(jax.jit, compiler_options=FEW_RUNS)
def _linear(released, full, gradients, is_shadow):
    """Return linear scores of all networks on one block of examples, ``(M, B)`` by name."""
    shadows = is_shadow.astype(released[0].dtype)
    scores = {}
    for layer, (found, weights, slopes) in enumerate(zip(released, full, gradients, strict=True)):
        score = linearised(found, slopes, shadows)
        # Norms of both, were they computed in one loop over the gradients, would take five times as long.
        slopes, scores[f"linearised-{layer}"] = jax.lax.optimization_barrier((slopes, score))
        scores[f"decoded-{layer}"] = decoded(found, weights, slopes, shadows)
    return scores


@partial(jax.jit, compiler_options=FEW_RUNS)
def _ridge(released, membership, is_shadow):
    """Return the ridge on all layers together, ``(M, N)``."""
    shadows = is_shadow.astype(membership.dtype)
    products = sum(gram(layer, shadows) for layer in released)
    return ridge(products, membership, shadows, penalty=Ridge.penalty)
