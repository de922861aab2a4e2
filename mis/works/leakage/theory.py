"""Membership in the gradients of one round and of several: bounds, estimates, and the attack beside them."""

import json
import warnings
from typing import Any

import numpy as np

from mis import theory
from mis.quantizers import Grid, StochasticGrid
from mis.quantizers.channels import Channel, Noisy
from mis.quantizers.laplace import Laplacian
from mis.results import Interval
from mis.store import Store
from mis.theory.gradients import averaged, gaussian_epsilon, rounded_laws
from mis.works.leakage.rounds import MEMBERS, Rounds, assumptions, attacked, pairs, public, rounds_of
from mis.works.leakage.settings import NONE, Settings
from mis.works.writing import plain

__all__ = ["KNOWN", "NORMAL", "gradient_theory"]

# Pairs behind each bound, of which Hoeffding's reach is 0.05; releases so apart that it is 1 are cheap.
PAIRS = 600
DRAW = 31
DELTA = 1e-5
KNOWN = "bound: other examples known, nothing assumed of the data"
NORMAL = "estimate: means normal, coordinates and rounds independent"
COVARIANCE = "estimate: means normal, any covariance, rounds independent"

Row = dict[str, Any]


def gradient_theory(settings: Settings, task: str, store: Store) -> tuple[list[Row], list[Row]]:
    """Return rows of membership in released gradients, one round and T, and how the assumptions fare on them.

    Members are 64 of 768 examples, the same in all rounds; a row for each defence and what is taken for granted.
    Means without replacement vary as those of ``n (1 - n / N)`` examples, which is what estimates are for.
    ``bound`` assumes nothing of the data: another example takes the member's place and all others are known, so only
    the release's own randomness hides it; the mean over pairs, with Hoeffding's limit. ``estimate`` is a certified
    product of coordinates that are taken as normal and independent: no bound on real gradients, kind ``asymptotic``.
    ``exceeded`` says whether the attack found surely more. ``epsilon`` is that of normal noise at delta 1e-5 for the
    pair that is furthest apart, no guarantee for others.
    """
    kept = store.read(f"theory-{task}", ("found",))
    if kept is None:
        rounds = rounds_of(settings, task)
        rng = np.random.default_rng([settings.seed, DRAW])
        tests = [{"task": task, **one} for one in assumptions(rounds, rng)]
        rows = []
        for several in sorted({1, settings.rounds}):
            for name in dict.fromkeys((*settings.defences, *settings.hidden)):
                rows += [{"task": task, **row} for row in rows_of_rounds(rounds.first(several), name, rng)]
        kept = {"found": np.array(json.dumps(plain([rows, tests])))}
        store.write(f"theory-{task}", **kept)
    rows, tests = json.loads(str(kept["found"]))
    for row in rows:
        row |= {name: Interval(**row[name]) for name in ("advantage", "attack")}
    return rows, tests


def rows_of_rounds(rounds: Rounds, name: str, rng: np.random.Generator) -> list[Row]:
    channels = public(rounds, name, rng)
    attack = attacked(rounds, channels, rng)
    found = pairs(rounds, PAIRS, rng)
    bounds = {KNOWN: averaged(found, lambda one, other: told_apart(rounds, channels, one, other))}
    bounds |= estimates(rounds, channels, name)
    epsilon = None
    if all(isinstance(channel, Noisy) for of_round in channels for channel in of_round):
        furthest = max(_distance(rounds, channels, one, other) for one, other in found)
        epsilon = gaussian_epsilon(furthest, DELTA)
    return [
        {
            "defence": name, "rounds": len(rounds.gradients), "basis": basis, "advantage": bound, "attack": attack,
            "exceeded": attack.lower > bound.upper, "epsilon": epsilon if basis == KNOWN else None,
        }
        for basis, bound in bounds.items()
    ]  # fmt: skip


def estimates(rounds: Rounds, channels: list[list[Channel]], name: str) -> dict[str, Interval]:
    """Return what holds where means are normal, and for a grid coordinates independent: an estimate of what is."""
    if name == NONE:
        dim = rounds.gradients.shape[-1] * len(rounds.gradients)
        return {COVARIANCE: _estimate(theory.full_precision_mean(dim, _size(rounds)))}
    sharp = all(
        isinstance(channel, Grid) and not isinstance(channel, StochasticGrid)
        for of_round in channels
        for channel in of_round
    )
    if not sharp:
        return {}
    with warnings.catch_warnings():
        # Bounds further apart than asked for are good enough for an estimate.
        warnings.simplefilter("ignore", theory.ToleranceNotMet)
        return {NORMAL: _estimate(theory.product(_cells(rounds, channels), _size(rounds), tolerance=1e-3))}


def _size(rounds: Rounds) -> int:
    """Return how many examples of an unbounded population vary like the members of the pool; down to an integer."""
    return int(MEMBERS * (1 - MEMBERS / rounds.gradients.shape[1]))


def _estimate(found: Interval) -> Interval:
    return Interval(lower=found.lower, value=found.value, upper=found.upper, kind="asymptotic")


def _cells(rounds: Rounds, channels: list[list[Channel]]) -> list[theory.Cells]:
    """Return every coordinate's cells, as normal with the pool's mean and standard deviation."""
    cells = []
    for each, of_round in zip(rounds.gradients, channels, strict=True):
        grids = [channel for channel in of_round if isinstance(channel, Grid)]
        edges = [tuple(np.unique(np.asarray(grid.edges, np.float64)).tolist()) for grid in grids]
        for mean, scale, k in zip(each.mean(axis=0), each.std(axis=0), rounds.layer, strict=True):
            cells.append(theory.Cells(edges=edges[k], mean=float(mean), scale=float(scale)))
    return cells


def told_apart(rounds: Rounds, channels: list[list[Channel]], one: np.ndarray, other: np.ndarray) -> Interval:
    """Return bounds on the advantage of telling two series of means apart by their releases."""
    first = channels[0][0]
    parts = list(_parts(rounds, channels, one, other))
    if isinstance(first, StochasticGrid):
        laws = [
            rounded_laws(channel.levels, *(np.clip(v, channel.levels[0], channel.levels[-1]) for v in ends))
            for channel, *ends in parts
        ]
        return theory.discrete_product(*map(np.concatenate, zip(*laws, strict=True)), tolerance=0.05)
    if isinstance(first, Noisy):
        return theory.gaussian_release(_distance(rounds, channels, one, other))
    if isinstance(first, Laplacian):
        return theory.laplace_release(np.concatenate([(a - b) / float(c.scale) for c, a, b in parts]))
    # Without randomness of its own, a release that differs gives the member away.
    differ = any(bool(np.any(c.apply(a) != c.apply(b))) for c, a, b in parts)
    return Interval.point(float(differ), "exact")


def _parts(rounds: Rounds, channels: list[list[Channel]], one: np.ndarray, other: np.ndarray) -> Any:
    for t, of_round in enumerate(channels):
        for k, channel in enumerate(of_round):
            yield channel, one[t][rounds.layer == k], other[t][rounds.layer == k]


def _distance(rounds: Rounds, channels: list[list[Channel]], one: np.ndarray, other: np.ndarray) -> float:
    """Return the distance in standard deviations of the noise."""
    parts: Any = _parts(rounds, channels, one, other)
    return float(np.linalg.norm(np.concatenate([(a - b) / float(c.sd) for c, a, b in parts])))
