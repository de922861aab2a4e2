"""The scores that an attack gives the records of each target, fitted to that target's shadows."""

from typing import Any

import numpy as np

from mis.attacks import Trained
from mis.numerics.checks import UnsupportedSetting
from mis.outputs.evidence import Evidence, logits_of
from mis.outputs.folds import FEWEST, Plan
from mis.outputs.read import Outputs
from mis.outputs.serve import Served

__all__ = ["score"]


def score(
    name: str, served: Served, plan: Plan, outputs: Outputs, evidence: Evidence, population: np.ndarray
) -> np.ndarray:
    """Return an attack's scores ``(T, N)`` of the targets, 0 where the plan does not attack them.

    Parameters
    ----------
    name, served
        The attack.
    plan, outputs
        Who is attacked with which shadows.
    evidence
        What they say.
    population
        Which records each is compared with, bool ``(N,)``. They come from the same records, so that the scores of
        non-members are not uniform as those of ``RMIA`` are with a population of its own; their order is the same.

    Raises
    ------
    UnsupportedSetting
        Where there are too few shadows for this attack.
    """
    targets = np.flatnonzero(outputs.is_target)
    if served.direct:
        return evidence.direct[name][targets]
    if "target_gradients" in served.attack.needs:
        return _by_gradients(served.attack, outputs)
    if not served.fitted:
        inputs = {need: _unfitted(need, served, outputs, evidence) for need in served.attack.needs}
        return served.attack.scores(**inputs)
    if not plan.pairs:
        raise UnsupportedSetting(
            "attack",
            f"{name} needs shadows: at least {FEWEST} networks of known membership, or shadow_ arrays, with "
            "records that some were trained on and some not.",
        )
    if isinstance(served.attack, Trained):
        return _trained(served.attack, plan, outputs, evidence)
    if plan.thinned and served.on_weights and "target_lower" in served.attack.needs:
        raise UnsupportedSetting(
            "attack", f"{name} tells from how many networks were trained on a record whether this one was."
        )
    scores = np.zeros((len(targets), len(outputs.labels)))
    for pair in plan.pairs:
        if served.on_weights:
            inputs = {need: _of_weights(need, pair, outputs) for need in served.attack.needs}
        else:
            inputs = {
                need: _input(need, served, pair, outputs, evidence, population)
                for need in served.attack.needs
            }
        rows = np.searchsorted(targets, pair.targets)
        scores[np.ix_(rows, np.flatnonzero(pair.records))] = served.attack.scores(**inputs)
    return scores


def _unfitted(need, served, outputs, evidence):
    """Return one input of an attack that looks at no shadow."""
    if need == "public_scores":
        return evidence.public_scores
    if need in ("features", "public_features"):
        return getattr(outputs.public, need)
    return _table(need, served, evidence)[outputs.is_target]


def _table(need, served, evidence):
    """Return the table ``(R, N)`` behind an input called ``target_…`` or ``shadow_…``."""
    return getattr(evidence, served.reads.get(need, need).partition("_")[2])


def _input(need, served, pair, outputs, evidence, population):
    """Return one input of an attack on the targets of a pair."""
    among = population[pair.records]
    among = among if among.any() else ~among
    if need.endswith("_membership"):
        table = pair.of_shadows(outputs.membership)
    elif need == "population_target":
        table = pair.of_targets(evidence.probabilities)
    elif need == "population_shadow":
        table = pair.of_shadows(evidence.probabilities)
    elif need.startswith("target_"):
        return pair.of_targets(_table(need, served, evidence))
    else:
        return pair.of_shadows(_table(need, served, evidence))
    return table[:, among] if need.startswith("population_") else table


def _of_weights(need, pair, outputs):
    """Return one input of an attack on weights. All shadows stay: a network has one row for all records."""
    if need == "shadow_membership":
        return outputs.membership[pair.shadows][:, pair.records]
    found = outputs.weights.input(need, pair.shadows, pair.targets)
    return found[pair.records] if need == "gradients" else found


def _by_gradients(attack, outputs):
    """Score gradients at the targets' own weights, a block of records at a time."""
    targets, weights = np.flatnonzero(outputs.is_target), outputs.weights
    scores = np.empty((len(targets), len(outputs.labels)))
    for row, target in zip(scores, targets, strict=True):
        for part, gradients in weights.network.gradients(weights.released[target]):
            row[part] = attack.scores(target_gradients=gradients)
    return scores


def _trained(attack, plan, outputs, evidence):
    """Fit a classifier to the shadows of each pair, then score the targets in one more pass over the file."""
    fitted: dict[int, Any] = {}
    for pair in plan.pairs:
        membership = outputs.membership[pair.shadows][:, evidence.sample]
        if not membership.any():
            raise UnsupportedSetting(
                "attack", "trained needs shadows that were trained on some of the records."
            )
        model = attack.fit(evidence.sampled_logits[pair.shadows], membership)
        fitted |= dict.fromkeys(pair.targets.tolist(), model)
    targets = np.flatnonzero(outputs.is_target)
    scores = np.zeros((len(targets), len(outputs.labels)))
    for row, records, logits in logits_of(outputs, progress=False):
        if row in fitted:
            scores[np.searchsorted(targets, row), records] = fitted[row](logits)
    return scores
