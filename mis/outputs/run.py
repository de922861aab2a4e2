"""Attack networks of which only the outputs are known."""

import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from mis.attacks import audit
from mis.attacks.audit import TIED, interval_error
from mis.attacks.risk import record_risks
from mis.numerics.checks import UnsupportedSetting, confidence, integer
from mis.outputs.evidence import Evidence, gather
from mis.outputs.folds import Plan, make_plan, no_plan
from mis.outputs.read import Outputs, read_outputs
from mis.outputs.result import Result, Row
from mis.outputs.score import score
from mis.outputs.serve import Served, choose, given, unserved
from mis.outputs.strongest import Groups, decide, strongest, strongest_limits
from mis.ranking.progress import track
from mis.results import Interval

__all__ = ["attack"]

# Records that RMIA compares each with; the resolution of its scores is half of one over this.
POPULATION = 10_000

# Outputs of shadows that a classifier is trained on.
SAMPLE = 40_000

Keep = Callable[[str, np.ndarray], None]


def attack(
    path: str | os.PathLike[str] | Outputs,
    attacks: str = "all",
    *,
    model: str | None = None,
    num_folds: int = 8,
    level: float = 0.95,
    delta: float = 1e-5,
    seed: int = 0,
    progress: bool = False,
    keep: Keep | None = None,
) -> Result:
    """Attack every network in a file by its outputs, with the others as shadows, and audit what that finds.

    Parameters
    ----------
    path
        An ``.npz`` file or a folder of ``.npy`` files, as ``read_outputs`` describes it, or what that
        returned; never written to.
    attacks
        Names with commas between, or ``all`` that outputs serve.
    model
        ``FILE.py:NAME`` of a JAX function that applies weights, see ``read_outputs``.
    num_folds
        Networks are dealt to at most so many folds; each is attacked with all the others as shadows, never its own.
    level
        Of all intervals.
    delta
        At which epsilon is bounded.
    seed
        Decides which records others are compared with, and the halves between which thresholds are exchanged.
    progress
        Show it.
    keep
        Called with the name and the scores ``(T, N)`` of each attack, and before with ``membership`` and ``scored``,
        which of them there are (both ``(T, N)``), ``known``, of which targets the membership is, ``folds`` ``(T,)``,
        and ``ids`` ``(N,)``; last the names ``attacks``, and which of them are ``fitted`` to shadows.

    Raises
    ------
    InvalidInput
        For a file that cannot be right, in one line.
    UnsupportedSetting
        Where an attack asked for by name needs what the file does not have.

    Notes
    -----
    *Intervals* are those of ``audit``. Of attacks that are fitted to shadows the folds are the units, and intervals are
    widened as those of ``mean_over_networks``, since folds are shadows of each other; otherwise target networks are the
    units, and of a single target its records. *The strongest attack* decides about each group of targets by the
    threshold, and is the attack, that reached most on all the others.

    A target is not attacked on records that all of its shadows were trained on, or none: by no attack, where one asked
    for is fitted to shadows. Where the number of shadows trained on a record tells whether a target was, shadows are
    thinned, see ``folds.py``.

    Examples
    --------
    >>> import tempfile
    >>> rng = np.random.default_rng(0)
    >>> labels, membership = rng.integers(3, size=100), rng.random((24, 100)) < 0.5
    >>> logits = rng.normal(size=(24, 100, 3)) + 2 * membership[..., None] * np.eye(3)[labels]
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     file = os.path.join(folder, "outputs.npz")
    ...     np.savez(file, logits=logits, labels=labels, membership=membership)
    ...     found = attack(file, "lira,loss")
    >>> found["lira"].advantage.lower > 0.2
    True
    """
    num_folds = integer("attack", "num_folds", num_folds, at_least=3)
    level = confidence("attack", level)
    seed = integer("attack", "seed", seed, at_least=0)
    outputs = path if isinstance(path, Outputs) else read_outputs(path, model)
    chosen = choose(attacks, outputs)
    streams = [np.random.default_rng([seed, i]) for i in range(4)]
    fitted = any(served.fitted for served in chosen.values())
    plan = make_plan(outputs, num_folds, streams[0]) if fitted else no_plan(outputs)
    records = np.flatnonzero(plan.attacked.any(axis=0))
    sample = records[:0]
    if plan.pairs and any("shadow_logits" in served.attack.needs for served in chosen.values()):
        sample = _some(records, max(1, SAMPLE // len(plan.pairs[0].shadows)), streams[2])
    direct = {name: served.attack for name, served in chosen.items() if served.direct}
    case = _Case(
        outputs=outputs,
        plan=plan,
        evidence=gather(outputs, direct, sample, progress=progress),
        population=np.isin(np.arange(len(outputs.labels)), _some(records, POPULATION, streams[1])),
        groups=Groups.deal(
            int((outputs.known & outputs.is_target).sum()), len(outputs.labels), num_folds, streams[3]
        ),
        options={"level": level, "delta": delta, "seed": seed},
    )
    return case.run(chosen, attacks.strip() == "all", progress, keep or (lambda *_: None))


def _some(records, most, rng):
    """Return at most so many of the records, in order."""
    return records if len(records) <= most else np.sort(rng.choice(records, most, replace=False))


@dataclass(frozen=True, kw_only=True)
class _Case:
    """What the attacks on one file have in common."""

    outputs: Outputs
    plan: Plan
    evidence: Evidence
    population: np.ndarray
    groups: Groups
    options: dict[str, Any]

    @property
    def known(self) -> np.ndarray:
        """Of which targets the membership is known, ``(T,)``."""
        return self.outputs.known[self.outputs.is_target]

    @property
    def membership(self) -> np.ndarray:
        """Of these targets, ``(T, N)``."""
        return self.outputs.membership[self.outputs.known & self.outputs.is_target]

    @property
    def scored(self) -> np.ndarray:
        """Which records these targets are attacked on, ``(T, N)``."""
        return self.plan.attacked[self.outputs.known & self.outputs.is_target]

    @property
    def folds(self) -> np.ndarray:
        """Of these targets."""
        return self.plan.folds[self.outputs.known & self.outputs.is_target]

    def run(self, chosen: dict[str, Served], every: bool, progress: bool, keep: Keep) -> Result:
        """Score, audit, and decide by each attack in turn; of each only the calls outlive its scores."""
        membership, scored, folds = self.membership, self.scored, self.folds
        for name, values in self._facts().items():
            keep(name, values)
        rows, rocs, decided, left_out, tied = [], {}, {}, {}, False
        kept: dict[str, bool] = {}
        for name, served in track(chosen.items(), "attacks", progress):
            try:
                scores = score(name, served, self.plan, self.outputs, self.evidence, self.population)
            except UnsupportedSetting as reason:
                if not every:
                    raise
                left_out[name] = reason.reason.rstrip(".")
                continue
            keep(name, scores)
            kept[name] = served.fitted
            if not self.known.any():
                continue
            scores = scores[self.known]
            crossed = served.fitted and self.plan.num_folds > 0
            found = audit(
                scores=scores,
                membership=membership,
                scored=scored,
                folds=folds if crossed else None,
                **self.options,
            )
            rows.append(Row.of(name, found))
            tied = tied or found.tied
            rocs[name] = found.roc()
            decided[name] = decide(found, scores, self.groups)
        keep("attacks", np.array(list(kept), dtype=str))
        keep("fitted", np.array(list(kept.values()), dtype=bool))
        left_out |= {k: f"needs {v}" for k, v in unserved(given(self.outputs)).items()} if every else {}
        about, notes = self._about(), self._notes() + [TIED] * tied
        if not rows:
            return Result(about=about, notes=notes, left_out=left_out)
        rows.sort(key=lambda row: -row.advantage.value)
        names, called = strongest(decided, self.groups)
        crossed = max(row.num_folds for row in rows)
        return Result(
            about=about,
            notes=notes,
            left_out=left_out,
            rows=rows,
            strongest=self._interval(called, crossed, tied),
            chosen=names,
            rocs={row.attack: rocs[row.attack] for row in rows},
            risks=self._risks(called, crossed),
        )

    def _facts(self):
        """Return what scores are read with: all as of every target."""
        targets = self.outputs.is_target
        return {
            "membership": self.outputs.membership[targets],
            "scored": self.plan.attacked[targets],
            "known": self.known,
            "folds": self.plan.folds[targets],
            "ids": self.outputs.ids,
        }

    def _sides(self):
        """Which scores are those of members, and which of non-members."""
        return self.membership & self.scored, ~self.membership & self.scored

    def _interval(self, called, crossed, tied):
        level, count = self.options["level"], called.shape
        units = [(self.folds if crossed else np.arange(count[0]))[:, None]]
        units += [np.arange(count[1])[None]] if tied else []
        member, nonmember = self._sides()
        error = interval_error(level, crossed)
        found = [strongest_limits(called, member, nonmember, unit, error) for unit in units]
        ends = {"lower": min(x.lower for x in found), "upper": max(x.upper for x in found)}
        return Interval(**ends, value=found[0].value, kind="attack", level=level)

    def _risks(self, called, crossed):
        """Return the risks of records over several targets, by the calls of the strongest attack."""
        if len(called) == 1:
            return {}
        sides = [np.nonzero(side) for side in self._sides()]
        places, calls = [side[1] for side in sides], [called[side] for side in sides]
        return record_risks(places, calls, self.outputs.ids, self.options["level"], num_folds=crossed)

    def _about(self):
        outputs, plan = self.outputs, self.plan
        return {
            "outputs": outputs.arrays.path,
            "kind": outputs.kind,
            "classes": outputs.classes,
            "weights": outputs.weights.released.shape[1] if outputs.weights else None,
            "targets": int(outputs.is_target.sum()),
            "known_targets": int(self.known.sum()),
            "shadows_apart": int((~outputs.is_target).sum()),
            "records": len(outputs.labels),
            "pairs_left_out": int((~plan.attacked[outputs.is_target]).sum()),
            "folds": plan.num_folds,
            "thinned": plan.thinned,
            **self.options,
        }

    def _notes(self):
        about, notes = self._about(), []
        if about["folds"]:
            notes.append(
                f"Each network is attacked with those of the other {about['folds'] - 1} folds as shadows."
            )
        if about["pairs_left_out"]:
            notes.append(
                f"{about['pairs_left_out']} of {about['targets'] * about['records']} pairs of a network and a record "
                f"are left out: too many of the network's shadows were trained on the record, or too few."
            )
        if about["thinned"]:
            into, out = about["thinned"]
            notes.append(
                "How many networks were trained on a record tells whether one of them was, so each record is compared "
                f"with {into} shadows trained with it and {out} without, drawn at random."
            )
        if about["known_targets"] < about["targets"]:
            notes.append(
                f"The membership of {about['targets'] - about['known_targets']} of {about['targets']} targets is "
                "unknown: of these, scores only."
            )
        return notes
