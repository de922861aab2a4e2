"""Columns of a row that take more than its own quantizer."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from mis.attacks.crossfit import mean_over_networks
from mis.ranking.compare import given_performance, pairwise, tied
from mis.ranking.early import early
from mis.ranking.measure import Measurement, joint_compression
from mis.ranking.networks import Networks
from mis.ranking.releases import Release, Several
from mis.ranking.row import Row
from mis.results import Interval
from mis.theory import predicted_advantage

__all__ = ["compared", "predicted", "stopped"]


def stopped(row: Row, stops: Sequence[tuple[int, Measurement]]) -> Row:
    """Add what full precision leaks where it was stopped early and performs as well."""
    if not stops:
        return replace(row, missing={**row.missing, "early": "measured with --early"})
    reached = [(steps, stop.row.performance.value, stop.row.advantage) for steps, stop in stops]
    found = early(row.performance.value, reached)
    if found is None:
        return replace(row, missing={**row.missing, "early": "full precision performs as well at no stop"})
    return replace(row, early=found[0], early_steps=found[1])


def predicted(
    measured: Sequence[Measurement], networks: Networks, chosen: Sequence[Release | Several]
) -> list[Row]:
    """Add the level that the retained information predicts from the full-precision advantage."""
    # Two intervals that hold together (Bonferroni): each errs half as often.
    level = (1.0 + networks.level) / 2.0
    # Full precision is measured first.
    found = mean_over_networks(measured[0].advantages, networks.num_folds, level)
    lower, value, upper = (min(max(end, 0.0), 1.0) for end in (found.lower, found.value, found.upper))
    full = replace(found, lower=lower, value=value, upper=upper)

    def one(row, release):
        if not all(part.post_training for part in release.parts):
            why = "its networks were trained otherwise than those whose full precision was attacked"
            return replace(row, missing={**row.missing, "predicted": why})
        if row.retained_ensemble is None:
            why = row.missing["retained_ensemble"]
            return replace(row, missing={**row.missing, "predicted": why})
        of = joint_compression([part.published for part in release.parts])
        return replace(row, predicted=predicted_advantage(networks.retained(of, level), full))

    return [one(found.row, release) for found, release in zip(measured, chosen, strict=True)]


def compared(rows: Sequence[Row], advantages: np.ndarray, num_folds: int, level: float) -> list[Row]:
    """Add what performance does not explain, and which quantizers cannot be told apart."""
    groups = tied(pairwise([row.release for row in rows], advantages, num_folds=num_folds, level=level))
    performance, advantage = (
        np.array([row[name].value for row in rows]) for name in ("performance", "advantage")
    )
    explained = given_performance(performance, advantage, level=level)
    return [
        replace(
            row,
            tied_with=tuple(groups.get(row.release, ())),
            given_performance=Interval(lower=lower, value=value, upper=upper, kind="asymptotic", level=level)
            if np.isfinite(value)
            else None,
        )
        for row, (lower, value, upper) in zip(rows, explained, strict=True)
    ]
