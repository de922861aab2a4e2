"""One quantizer's row, from networks that were trained once for all quantizers."""

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np

from mis import theory
from mis.attacks import linear_limit
from mis.attacks.crossfit import STRONGEST, cross_fit, mean_over_networks
from mis.numerics.checks import UnsupportedSetting
from mis.quantizers.joint import Joint
from mis.ranking.asymptotic import LocalFit
from mis.ranking.evidence import ATTACKS, Evidence
from mis.ranking.networks import Networks
from mis.ranking.performance import Performance, performance, train_performance
from mis.ranking.published import Published, example_losses, publish, score_together
from mis.ranking.releases import Release, Several
from mis.ranking.row import Row
from mis.results import Interval
from mis.training import Compression

__all__ = ["Measurement", "indicator_columns", "joint_compression", "measure", "publish_together", "together"]

# Attacks that join others; the rest are in ``mis.ranking.evidence``.
JOINED = ("whitebox", "combined")

# Bytes of released weights to hold at a time, where several releases share a pass over the gradients.
HELD = 2**26

# Columns that count what is told of each weight by itself.
WEIGHTS = ("retained", "retained_ensemble", "local", "weight_error", "code_entropy")


@dataclass(frozen=True, kw_only=True, eq=False)
class Measurement:
    """One quantizer's row, and what comparisons with other quantizers need beside it.

    Parameters
    ----------
    row
        The columns.
    advantages
        The strongest attack's advantage on each network, ``(M,)``.
    performance
        Performance by network and by held-out example.
    """

    row: Row
    advantages: np.ndarray
    performance: Performance


def together(networks: Networks, releases: Sequence[Release | Several]) -> list[list[Release | Several]]:
    """Return the releases in groups to publish at a time: larger ones where gradients cost more than their memory."""
    weights = 4 * len(networks.full[0]) * sum(layer.shape[1] for layer in networks.full)
    size = 1 if networks.keeps_gradients else max(1, HELD // weights)
    num_groups = -(-len(releases) // size)
    edges = np.linspace(0, len(releases), num_groups + 1).astype(int)
    return [list(releases[a:b]) for a, b in itertools.pairwise(edges)]


def publish_together(
    networks: Mapping[Release, Networks], releases: Sequence[Release | Several]
) -> list[list[Published]]:
    """Release networks in several ways; what attacks on weights take of gradients is computed for all in one pass.

    Parameters
    ----------
    networks
        For each part of a release its networks, of the same numbers.
    releases
        What is published.

    Returns
    -------
    list
        For each release each of its parts.
    """
    found = [
        [publish(networks[part], part.published, part.source) for part in release.parts]
        for release in releases
    ]
    if _asks_for_layers(found[0][0].networks):
        score_together([one for parts in found for one in parts])
    return found


def _asks_for_layers(networks: Networks) -> bool:
    return bool(set(JOINED) & set(networks.attacks))


def measure(published: Sequence[Published], release: Release | Several) -> Measurement:
    """Attack what was released, and compute what is known without attacking.

    Parameters
    ----------
    published
        Each of the release's parts, of networks of the same numbers.
    release
        What was published; of several its performance is that of the first.
    """
    first, main = published[0], published[0].networks
    pool, heldout, members = main.split.pool, main.split.heldout, main.ensemble.membership
    performs = performance(first.heldout_outputs, heldout.targets)
    measured = _attack(published)
    interval = partial(mean_over_networks, num_folds=main.num_folds, level=main.level)
    strongest, (limit, why) = measured[STRONGEST], _limit(published)
    known, missing = _theory_columns(published, release)
    row = Row(
        release=release.name,
        bits=release.bits(main.model),
        zeros=float(np.mean([one.zeros for one in published])),
        performance=performs.interval(main.level),
        train_performance=train_performance(first.pool_outputs, pool.targets, members),
        **known,
        attacks={name: interval(measured[name].advantage) for name in main.attacks},
        tpr_of={name: interval(measured[name].tpr) for name in main.attacks},
        advantage=interval(strongest.advantage),
        tpr_at_fpr_01=interval(strongest.tpr),
        fpr_realised=float(strongest.fpr.mean()),
        limit=limit,
        level=main.level,
        missing={**missing, **({} if limit else {"limit": why})},
    )
    return Measurement(row=row, advantages=strongest.advantage, performance=performs)


def _attack(published: Sequence[Published]):
    """Measure every attack by cross-fitting; all of them see what was released only.

    An attack on several releases is that on each of them, joined.
    """
    main = published[0].networks
    single = [name for name in main.attacks if name in ATTACKS]
    groups = {name: [name] for name in single}
    white = [one.layer_scores for one in published if _asks_for_layers(main)]
    if white:
        linear = [*white[0][0], "lira_decoded"]
        single = list(dict.fromkeys([*single, "lira_decoded"]))
        joined = {"whitebox": linear, "combined": list(dict.fromkeys([*groups, *linear]))}
        groups |= {name: joined[name] for name in JOINED if name in main.attacks}
    numbered = [f"/{k}" if k else "" for k in range(len(published))]

    def features(fold, is_shadow):
        scores: dict[str, np.ndarray] = {}
        for k, (one, number) in enumerate(zip(published, numbered, strict=True)):
            beside = [other for other in published if other is not one]
            evidence = Evidence(one, fold, is_shadow, beside)
            own = {name: ATTACKS[name].scores(evidence) for name in single}
            own |= white[k][fold] if white else {}
            scores |= {f"{name}{number}": values for name, values in own.items()}
        return scores

    ordered = {
        name: [f"{part}{number}" for part in groups[name] for number in numbered] for name in main.attacks
    }
    return cross_fit(features, main.ensemble.membership, ordered, num_folds=main.num_folds)


def _limit(published: Sequence[Published]) -> tuple[Interval | None, str]:
    """Return what linear attacks would reach with ever more networks, or why that cannot be told."""
    params, main = np.concatenate([one.params for one in published], axis=1), published[0].networks
    moving = int((params != params[0]).any(axis=0).sum())
    if moving > len(params) - 3:
        return None, "it takes more networks than there are weights that move"
    found = linear_limit(params, main.ensemble.membership, level=main.level).advantage
    return found, ""


def _theory_columns(
    published: Sequence[Published], release: Release | Several
) -> tuple[dict[str, Any], dict[str, str]]:
    """Everything that is known without any attack, and of what is not known why."""
    networks, missing = published[0].networks, {}
    columns: dict[str, Any] = dict.fromkeys(
        (
            *("indicator", "num_candidates", "indicator_naive", "retained", "retained_ensemble"),
            *("local", "weight_error", "code_entropy"),
        )
    )
    if isinstance(release, Several):
        for name in ("indicator", "local", "weight_error"):
            missing[name] = "several releases have no one loss and no one error"
    else:
        losses = example_losses(published[0].candidates, networks.split.heldout.targets)
        found, missing = indicator_columns(losses, networks.level)
        columns |= found
    try:
        found, why = _of_weights(
            networks, _compression_of(published, release), single=isinstance(release, Release)
        )
    except UnsupportedSetting as refused:
        found, why = {}, dict.fromkeys(WEIGHTS, refused.reason.rstrip("."))
        if len(published) == 1 and published[0].compression.quantizer.num_calibration:
            found = published[0].realised()
            why = {name: reason for name, reason in why.items() if name not in found}
    return columns | found, why | missing


def _of_weights(
    networks: Networks, of: Compression, *, single: bool
) -> tuple[dict[str, Any], dict[str, str]]:
    """Return the columns that count what is told of each weight by itself."""
    weights, quantizers = of.parts(networks.model, networks.weights), of.quantizers(networks.model)
    columns: dict[str, Any] = {
        "retained": networks.retained(of, networks.level, networks.spread_of_run),
        "retained_ensemble": networks.retained(of, networks.level),
        "code_entropy": theory.code_entropy(weights, quantizers),
    }
    if not single:
        return columns, {}
    columns["weight_error"] = theory.weight_error(weights, quantizers)
    local = networks.local
    if not isinstance(local, LocalFit):
        return columns, {"local": local.rstrip(".")}
    if of.vectors != "merged" or of.exact_ends:
        return columns, {"local": "it takes every layer quantized, vectors on the grid of their tensors"}
    return columns | {"local": local.advantage(of.quantizer, networks.level)}, {}


def indicator_columns(losses: np.ndarray, level: float) -> tuple[dict[str, Any], dict[str, str]]:
    """Return the columns of the indicator from the candidates' losses ``(K, N)``, and why one is missing."""
    columns: dict[str, Any] = {"num_candidates": len(np.unique(losses, axis=0))}
    try:
        estimate = theory.indicator(theory.SampledLosses(losses=losses), level=level)
    except UnsupportedSetting as refused:
        return columns, {"indicator": refused.reason.rstrip(".")}
    naive, count = (estimate.details[name] for name in ("naive", "num_candidates"))
    return columns | {"indicator": estimate, "indicator_naive": naive, "num_candidates": count}, {}


def _compression_of(published: Sequence[Published], release: Release | Several) -> Compression:
    """Return what the release tells of each weight by itself, or refuse where that does not say all."""
    if any(part.tuned for part in release.parts):
        raise UnsupportedSetting("rank", "weights moved on after their cells were released")
    if any(part.learned for part in release.parts):
        raise UnsupportedSetting("rank", "the weights behind learned levels are not kept")
    of = [one.compression for one in published]
    if any(one.quantizer.num_calibration for one in of):
        raise UnsupportedSetting("rank", "what a calibrated release does to a weight depends on the others")
    if any(one.networks is not published[0].networks for one in published):
        raise UnsupportedSetting("rank", "the releases are not of the same trained weights")
    return joint_compression(of)


def joint_compression(of: Sequence[Compression]) -> Compression:
    """Return what several releases of the same weights tell together: their cells intersected.

    Raises
    ------
    UnsupportedSetting
        Where they have no cells, or other rules for vectors or for the ends.
    """
    if any(not one.parts_as(of[0]) for one in of):
        raise UnsupportedSetting("rank", "the releases treat vectors, or the ends, differently")
    if len(of) == 1:
        return of[0]
    both = replace(of[0], quantizer=Joint(quantizers=tuple(one.quantizer for one in of)))
    # Refuses what has no cells before anything is computed.
    both.quantizer.fit(np.array([-1.0, 1.0]))
    return both
