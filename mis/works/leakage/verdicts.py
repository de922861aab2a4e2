"""Published claims, each with a verdict from an interval, and theirs beside ours."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from scipy import stats

from mis.attacks.rates import clopper_pearson
from mis.results import Interval
from mis.works.leakage.published import PUBLISHED
from mis.works.leakage.settings import NONE, Settings
from mis.works.verdicts import verdict

__all__ = ["beside", "single", "strongest", "verdicts"]

# Of accuracy, that is accepted as no loss.
ACCEPTED = 0.02
LEVEL = 0.95

# Attackers who know the defence.
ADAPTED = ("adapted", "rounded")

Row = dict[str, Any]
Curves = Mapping[str, Mapping[str, np.ndarray]]


def verdicts(settings: Settings, rows: Sequence[Row], curves: Curves, bounds: Sequence[Row]) -> list[Row]:
    """Return a row for each claim.

    A claim about recovery is about most images: the share recovered by the start that the attacker takes, against one
    half. A defence protects against an attacker where that share is below one half.
    """
    found: list[Row] = []
    for task in settings.tasks:
        at = single(rows, task)
        of_task = [*_of_recovery(settings, at), *_of_training(task, settings, curves)]
        of_task += _of_membership([b for b in bounds if b["task"] == task])
        found += [{"task": task, **row, "claim": f"{task}: {row['claim']}"} for row in of_task]
    return found


def single(rows: Sequence[Row], task: str) -> dict[tuple[str, str], Row]:
    """Return a task's rows of one image and LeNet by defence and attacker."""
    return {
        (r["defence"], r["attacker"]): r
        for r in rows
        if (r["task"], r["network"], r["batch"]) == (task, "lenet", 1)
    }


def _of_recovery(settings: Settings, at: Mapping[tuple[str, str], Row]) -> Iterable[Row]:
    plain = at.get((NONE, "dlg")) or at.get((NONE, "naive"))
    if plain:
        for claim, name in (
            ("Without a defence the image is recovered.", "recovered"),
            ("Without a defence every start recovers it, not one chosen seed.", "every_start_recovered"),
            ("Without a defence the label is recovered.", "label_recovered"),
        ):
            yield verdict(claim, f"{plain['attacker']}: share {name}", plain[name], above=0.5)
    for defence in settings.defences:
        naive, adapted = at.get((defence, "naive")), strongest(at, defence)
        if defence == NONE or not naive or not adapted:
            continue
        # Chosen among several by what is judged: the interval is one that holds for all of them together.
        adapted = {**adapted, "recovered": _together(at, defence, adapted, settings.images)}
        for attacker, row in (("the published attacker", naive), ("an attacker who adapts", adapted)):
            claim = f"{defence} protects against {attacker}."
            yield verdict(claim, f"{row['attacker']}: share recovered", row["recovered"], below=0.5)


def _together(at: Mapping[tuple[str, str], Row], defence: str, chosen: Row, images: int) -> Interval:
    """Return the share recovered by the attacker chosen among those who adapt, its error divided by their number."""
    found: Interval = chosen["recovered"]
    count = sum((defence, name) in at for name in ADAPTED)
    low, high = clopper_pearson(found.value * images, images, (1 - found.level) / (2 * count))
    return replace(found, lower=float(low), upper=float(high))


def strongest(at: Mapping[tuple[str, str], Row], defence: str) -> Row | None:
    """Return the row of the attacker who recovers most, least error where several do.

    Chosen from the rows it is judged by: of two that adapt alike the share is the larger of two, a little high, which
    verdicts allow for.
    """
    names = ADAPTED if defence != NONE else ("dlg", "naive", "adapted", "cosine")
    rows = [at[defence, attacker] for attacker in names if (defence, attacker) in at]
    order = [(-row["recovered"].value, row["squared_error"].value) for row in rows]
    return rows[order.index(min(order))] if rows else None


def _of_training(task: str, settings: Settings, curves: Curves) -> Iterable[Row]:
    plain = curves.get(f"{task} {NONE}")
    if plain is None or len(plain["accuracy"]) < 2:
        return
    for defence in settings.curves:
        one = curves.get(f"{task} {defence}")
        if defence == NONE or one is None:
            continue
        claim = f"Training with {defence} costs less than {100 * ACCEPTED:g} points of test accuracy."
        loss = _mean(plain["accuracy"][:, -1] - one["accuracy"][:, -1])
        yield verdict(claim, "accuracy lost", loss, below=ACCEPTED)


def _mean(values: np.ndarray) -> Interval:
    """Return the mean over runs with Student's interval: normal differences, exact then."""
    half = float(stats.t.ppf((1 + LEVEL) / 2, len(values) - 1) * values.std(ddof=1) / np.sqrt(len(values)))
    value = float(values.mean())
    return Interval(lower=value - half, value=value, upper=value + half, kind="monte-carlo", level=LEVEL)


def _of_membership(bounds: Sequence[Row]) -> Iterable[Row]:
    """Return whether estimates under assumptions bound the attack that was run: one that finds more refutes them."""
    for row in bounds:
        if row["basis"].startswith("estimate"):
            rounds = f"{row['rounds']} round{'s' if row['rounds'] > 1 else ''}"
            claim = f"No attack on {row['defence']}, {rounds}, finds more than normal means would allow."
            # An attack can refute that, never show it.
            found: Interval = row["attack"]
            most = Interval(lower=found.lower, value=found.value, upper=1.0, kind="attack", level=found.level)
            yield verdict(
                claim, "advantage, at least what the attack found", most, below=row["advantage"].upper
            )


def beside(rows: Sequence[Row], curves: Curves, seconds: float | None) -> list[Row]:
    """Return what was published with ours beside it: medians over all images and starts, where theirs is one seed."""
    return [
        {
            "what": f"{theirs.defence}: {theirs.quantity.replace('_', ' ')} {theirs.when}".rstrip(),
            "theirs": theirs.value,
            "ours": dict(_ours(theirs, rows, curves, seconds)),
            "source": theirs.source,
        }
        for theirs in PUBLISHED
    ]


def _ours(
    theirs: Any, rows: Sequence[Row], curves: Curves, seconds: float | None
) -> Iterable[tuple[str, Any]]:
    if theirs.quantity == "matching_loss":
        for row in rows:
            loss = row.get(f"matching_loss_{theirs.after}")
            if loss is not None and (row["defence"], row["attacker"], row["batch"]) == (
                theirs.defence,
                "dlg",
                1,
            ):
                yield row["task"], loss
    if theirs.quantity == "seconds_per_100_iterations" and seconds is not None:
        yield "a start, of those worked on together", seconds
    if theirs.quantity.endswith("test_accuracy"):
        for name, one in curves.items():
            task, _, defence = name.rpartition(" ")
            accuracy = one["accuracy"]
            if defence == theirs.defence and theirs.after < accuracy.shape[1]:
                best = theirs.quantity.startswith("best")
                yield (
                    f"{task}, LeNet",
                    float((accuracy.max(axis=1) if best else accuracy[:, theirs.after]).mean()),
                )
