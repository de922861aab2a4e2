"""The white-box scores of a ranking, layer by layer, for all folds in one pass over the gradients."""

import threading
from collections.abc import Sequence
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

# Threads pass over gradients in turns: each holds blocks of them.
ONE_PASS = threading.Lock()


def layer_scores(
    networks: Networks, releases: Sequence[list[jax.Array]]
) -> list[list[dict[str, np.ndarray]]]:
    """Return for each release and each fold the scores of its targets and of the next fold's networks, by name.

    ``linearised-k`` and ``decoded-k`` of layer k as log likelihood ratios, ``ridge`` of all layers together as it is,
    each ``(T, N)``. All releases in one pass over the gradients, which may take longer than all else.

    Parameters
    ----------
    networks
        The networks.
    releases
        For each release what was released of them, by layer ``(M, rows, channels)``.
    """
    of_releases, members = [rows(released) for released in releases], networks.ensemble.membership
    folds = assign_folds(len(members), networks.num_folds)
    # The fold itself is attacked and the next one calibrates: all others are shadows.
    shadows = [
        (folds != fold) & (folds != (fold + 1) % networks.num_folds) for fold in range(networks.num_folds)
    ]
    parts: list[list[list[dict[str, np.ndarray]]]] = [[[] for _ in shadows] for _ in releases]
    with ONE_PASS:
        for block in networks.gradients():
            for layers, of_folds in zip(of_releases, parts, strict=True):
                for found, gradients, is_shadow in zip(of_folds, block, shadows, strict=True):
                    scores = _linear(layers, networks.full, gradients, is_shadow)
                    found.append(jax.tree.map(np.asarray, scores))
    return [
        [_scores(*both, layers, members) for both in zip(of_folds, shadows, strict=True)]
        for layers, of_folds in zip(of_releases, parts, strict=True)
    ]


def _scores(found, is_shadow, layers, members):
    """Return the scores of one release in one fold, from those of all networks on blocks of examples."""
    joined = {name: np.concatenate([part[name] for part in found], axis=1) for name in found[0]}
    scores = {name: calibrated(values, members, is_shadow) for name, values in joined.items()}
    # The ridge has seen the labels of its shadows, so no law of its scores can be fitted on them.
    ridged = _ridge(layers, jnp.asarray(members, jnp.float32), is_shadow)
    return scores | {"ridge": np.asarray(ridged)[~is_shadow]}


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
