"""Functions: published claims, each with a verdict in words, and theirs beside ours."""

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from mis.works.leakage.published import PUBLISHED
from mis.works.leakage.settings import NONE, Settings

__all__ = ["HOLDS", "beside", "judged", "verdicts"]

HOLDS, FALLS, UNKNOWN = "holds", "falls", "cannot be told"
# Of accuracy, that is accepted as no loss.
ACCEPTED = 0.02

Row = dict[str, Any]


def judged(lower: float, upper: float, border: float) -> str:
    """Return the verdict on the claim that a quantity is above a border, from its interval.

    Examples
    --------
    >>> judged(0.6, 0.9, 0.5), judged(0.1, 0.3, 0.5), judged(0.4, 0.6, 0.5)
    ('holds', 'falls', 'cannot be told')
    """
    return HOLDS if lower > border else FALLS if upper < border else UNKNOWN


def verdicts(settings: Settings, rows: Sequence[Row], curves: dict[str, dict[str, np.ndarray]]) -> list[Row]:
    """Return a row for each claim: the claim, the verdict, and what it rests on.

    A claim about recovery is about most images: the share recovered by the start that the attacker takes against one
    half. A defence protects against an attacker where that share is below one half.
    """
    found = []
    for task in settings.tasks:
        at = {
            (r["defence"], r["attacker"]): r
            for r in rows
            if (r["task"], r["network"], r["batch"]) == (task, "lenet", 1)
        }
        found += list(_of_recovery(task, settings, at))
        found += list(_of_curves(task, settings, curves))
    return found


def _of_recovery(task: str, settings: Settings, at: dict[tuple[str, str], Row]) -> Iterable[Row]:
    plain = at.get((NONE, "dlg")) or at.get((NONE, "naive"))
    if plain:
        yield _verdict(
            task,
            "Without a defence the image is recovered.",
            _share(plain, "recovered"),
            *_ends(plain, "recovered"),
        )
        yield _verdict(
            task,
            "A seed that converges is no exception: of most images every start recovers.",
            _share(plain, "every_start_recovered"),
            *_ends(plain, "every_start_recovered"),
        )
        yield _verdict(
            task, "Without a defence the label is recovered.", _share(plain, "label_recovered"),
            *_ends(plain, "label_recovered"),
        )  # fmt: skip
    for defence in settings.defences:
        naive, adapted = at.get((defence, "naive")), _strongest(at, defence)
        if defence == NONE or not naive or not adapted:
            continue
        for attacker, row in (("the published attacker", naive), ("an attacker who adapts", adapted)):
            lower, upper = _ends(row, "recovered")
            # Protects: the share recovered is below one half.
            yield _verdict(
                task,
                f"{defence} protects against {attacker}.",
                _share(row, "recovered"),
                1 - upper,
                1 - lower,
            )


def _strongest(at: dict[tuple[str, str], Row], defence: str) -> Row | None:
    """Return the adapted attacker's row that recovers most, least error where several do."""
    rows = [at[(defence, attacker)] for attacker in ("adapted", "rounded") if (defence, attacker) in at]
    return min(rows, key=lambda row: (-row["recovered"], row["squared_error"]), default=None)


def _of_curves(task: str, settings: Settings, curves: dict[str, dict[str, np.ndarray]]) -> Iterable[Row]:
    plain = curves.get(f"{task} {NONE}")
    if plain is None or plain["accuracy"].shape[0] < 2:
        return
    for defence in settings.curves:
        one = curves.get(f"{task} {defence}")
        if defence == NONE or one is None:
            continue
        gain = one["accuracy"][:, -1] - plain["accuracy"][:, -1]
        half = _student(len(gain)) * gain.std(ddof=1) / np.sqrt(len(gain))
        lower, upper = float(gain.mean() - half), float(gain.mean() + half)
        text = f"test accuracy {100 * gain.mean():+.1f} points [{100 * lower:+.1f}, {100 * upper:+.1f}]"
        claim = f"Training with {defence} costs less than {100 * ACCEPTED:g} points of test accuracy."
        yield _verdict(task, claim, text, lower, upper, border=-ACCEPTED)


def _student(num: int) -> float:
    from scipy import stats

    return float(stats.t.ppf(0.975, num - 1))


def _verdict(task: str, claim: str, rests: str, lower: float, upper: float, border: float = 0.5) -> Row:
    return {"task": task, "claim": claim, "verdict": judged(lower, upper, border), "rests_on": rests}


def _share(row: Row, name: str) -> str:
    lower, upper = _ends(row, name)
    what = {"recovered": "recovered", "every_start_recovered": "by every start", "label_recovered": "labels"}[
        name
    ]
    error = f"squared error {row['squared_error']:.4f}"
    return f"{row['attacker']}: {what} {row[name]:.2f} [{lower:.2f}, {upper:.2f}], {error}"


def _ends(row: Row, name: str) -> tuple[float, float]:
    return row[f"{name}_lower"], row[f"{name}_upper"]


def beside(rows: Sequence[Row], curves: dict[str, dict[str, np.ndarray]], seconds: float | None) -> list[Row]:
    """Return what was published with ours beside it: medians over all images and starts, where theirs is one seed."""
    found = []
    for theirs in PUBLISHED:
        record: Row = {**theirs._asdict()}
        for row in rows:
            same = row["defence"] == theirs.defence and row["attacker"] == "dlg" and row["batch"] == 1
            name = f"matching_loss_{theirs.after}"
            if same and theirs.quantity == "matching_loss" and name in row:
                record[f"ours, {row['task']}"] = row[name]
        for name, one in curves.items():
            task, _, defence = name.rpartition(" ")
            if (
                defence == theirs.defence
                and theirs.quantity == "test_accuracy"
                and theirs.after < one["accuracy"].shape[1]
            ):
                record[f"ours, {task}"] = float(one["accuracy"][:, theirs.after].mean())
        if theirs.quantity == "seconds_per_100_iterations" and seconds is not None:
            record["ours"] = seconds
        found.append(record)
    return found
