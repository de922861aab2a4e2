"""Functions: one quantizer's row, from networks that were trained once for all quantizers."""

from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from mis import theory
from mis.attacks import linear_limit
from mis.attacks.crossfit import STRONGEST, cross_fit, mean_over_models
from mis.numerics.checks import UnsupportedSetting
from mis.quantizers import Quantizer
from mis.ranking.asymptotic import LocalFit
from mis.ranking.evidence import ATTACKS, Evidence
from mis.ranking.networks import Networks
from mis.ranking.performance import Performance, performance, train_performance
from mis.ranking.release import Published, example_losses, publish
from mis.ranking.row import Row
from mis.ranking.whitebox import layer_scores
from mis.results import Interval

__all__ = ["Measurement", "measure"]

# Attacks that join others; the rest are in ``mis.ranking.evidence``.
JOINED = ("whitebox", "combined")


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


def measure(networks: Networks, quantizer: Quantizer) -> Measurement:
    """Release the networks by one quantizer, attack them, and compute what is known without attacking."""
    published = publish(networks, quantizer)
    pool, heldout, members = networks.split.pool, networks.split.heldout, networks.ensemble.membership
    performs = performance(published.heldout_outputs, heldout.targets)
    candidates = example_losses(published.candidates, heldout.targets)
    measured = _attack(networks, published)
    interval = partial(mean_over_models, num_folds=networks.num_folds, level=networks.level)
    strongest, (limit, why) = measured[STRONGEST], _limit(published, networks)
    known, missing = _theory_columns(networks, quantizer, theory.SampledLosses(losses=candidates))
    row = Row(
        quantizer=quantizer.name,
        bits=quantizer.bits,
        zeros=published.zeros,
        performance=performs.interval(networks.level),
        train_performance=train_performance(published.pool_outputs, pool.targets, members),
        **known,
        attacks={name: interval(measured[name].advantage) for name in networks.attacks},
        advantage=interval(strongest.advantage),
        tpr_at_fpr_01=interval(strongest.tpr),
        fpr_realised=float(strongest.fpr.mean()),
        limit=limit,
        level=networks.level,
        missing={**missing, **({} if limit else {"limit": why})},
    )
    return Measurement(row=row, advantages=strongest.advantage, performance=performs)


def _attack(networks: Networks, published: Published):
    """Measure every attack by cross-fitting; all of them see the released networks only."""
    single = [name for name in networks.attacks if name in ATTACKS]
    groups = {name: [name] for name in single}
    white = layer_scores(networks, published.released) if set(JOINED) & set(networks.attacks) else []
    if white:
        linear = [*white[0], "lira_decoded"]
        single = list(dict.fromkeys([*single, "lira_decoded"]))
        joined = {"whitebox": linear, "combined": list(dict.fromkeys([*groups, *linear]))}
        groups |= {name: joined[name] for name in JOINED if name in networks.attacks}

    def features(fold, is_shadow):
        evidence = Evidence(published, fold, is_shadow)
        scores = {name: ATTACKS[name].scores(evidence) for name in single}
        return scores | (white[fold] if white else {})

    ordered = {name: groups[name] for name in networks.attacks}
    return cross_fit(features, networks.ensemble.membership, ordered, num_folds=networks.num_folds)


def _limit(published, networks) -> tuple[Interval | None, str]:
    """Return what linear attacks would reach with ever more networks, or why that cannot be told."""
    params = published.params
    moving = int((params != params[0]).any(axis=0).sum())
    if moving > len(params) - 3:
        return None, "it takes more networks than there are weights that move"
    found = linear_limit(params, networks.ensemble.membership, level=networks.level).advantage
    return found, ""


def _theory_columns(networks, quantizer, law) -> tuple[dict[str, Any], dict[str, str]]:
    """Everything that is known without any attack, and of what is not known why."""
    weights, missing = networks.weights, {}
    estimate, naive, count = None, None, len(np.unique(law.losses, axis=0))
    try:
        estimate = theory.indicator(law, level=networks.level)
        naive, count = estimate.details["naive"], estimate.details["num_candidates"]
    except UnsupportedSetting as refused:
        missing["indicator"] = refused.reason.rstrip(".")
    local = networks.local
    if not isinstance(local, LocalFit):
        missing["local"] = local.rstrip(".")
    known = {
        "indicator": estimate,
        "num_candidates": count,
        "indicator_naive": naive,
        "retained": theory.retained_information(
            weights, networks.spread_of_run, quantizer, level=networks.level
        ),
        "retained_ensemble": networks.retained(quantizer, networks.level),
        "local": local.advantage(quantizer, networks.level) if isinstance(local, LocalFit) else None,
        "weight_error": theory.weight_error(weights, quantizer),
        "code_entropy": theory.code_entropy(weights, quantizer),
    }
    return known, missing
