"""The study, from settings to tables, verdicts and figures."""

import functools
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from mis import figures
from mis.numerics.checks import InvalidInput
from mis.ranking.progress import track
from mis.store import Store
from mis.works.base import Study
from mis.works.leakage.attacked import Case, Clients, cases, clients, reconstructed, splitted
from mis.works.leakage.curves import curve
from mis.works.leakage.measured import best_start, row
from mis.works.leakage.rounds import MEMBERS
from mis.works.leakage.settings import NONE, Settings, sized
from mis.works.leakage.text import as_text
from mis.works.leakage.theory import gradient_theory
from mis.works.leakage.verdicts import beside, single, strongest, verdicts
from mis.works.writing import flat

__all__ = ["settings", "study"]

settings = sized
SHOWN = 4

Curves = dict[str, dict[str, np.ndarray]]


def study(settings: Settings, store: Store, progress: bool) -> Study:
    """Attack, train, bound; what the store holds is read."""
    _refuse_small(settings)
    rows, pictures, seconds = _attacks(settings, store, progress)
    wanted = [(task, defence) for task in settings.tasks for defence in dict.fromkeys(settings.curves)]
    curves: Curves = {
        f"{task} {defence}": curve(settings, task, defence, store)
        for task, defence in track(wanted, "training", progress)
    }
    bounds: list[dict[str, Any]] = []
    tests: list[dict[str, Any]] = []
    for task in track(settings.tasks, "theory", progress):
        of_task, assumed = gradient_theory(settings, task, store)
        at = single(rows, task)
        for one in of_task:
            shown = strongest(at, one["defence"])
            # Of one image's gradient, by who recovers most: beside what is known of membership in many's.
            one["recovered"] = shown and shown["recovered"]
        bounds, tests = bounds + of_task, tests + assumed
    return Study(
        rows=rows,
        verdicts=verdicts(settings, rows, curves, bounds),
        published=beside(rows, curves, seconds),
        text=as_text(settings, rows, bounds, tests),
        details={"theory": bounds, "assumptions": tests, "curves": curves},
        figures=_figures(settings, [flat(one) for one in rows], pictures, curves),
    )


def _refuse_small(settings: Settings) -> None:
    """Refuse tasks that cannot be read, or have too few images, before anything is computed."""
    least = max(settings.images, 2 * MEMBERS)
    for task in settings.tasks:
        num = len(splitted(settings, task, least)[1])
        if num < least:
            raise InvalidInput(
                f"leakage: expected tasks with at least {least} images to draw from, got {task} with {num}."
            )


def _attacks(
    settings: Settings, store: Store, progress: bool
) -> tuple[list[dict[str, Any]], dict[Case, np.ndarray], float | None]:
    """Return a row for each case, pictures of those that are drawn, and the seconds of 100 iterations of a start."""
    rows, pictures, spent = [], {}, []
    held: dict[tuple, Clients] = {}
    for case in track(cases(settings), "attacks", progress):
        # One set of clients at a time: of the case before, or new ones.
        place = (case.task, case.network, case.batch)
        if place not in held:
            held = {place: clients(settings, *place)}
        begun = time.monotonic()
        found, stored = reconstructed(settings, case, held[place], store)
        if (case.network, case.batch, case.attacker) == ("lenet", 1, "naive") and not stored:
            spent.append((time.monotonic() - begun, int(found["iterations"].sum())))
        rows.append(row(case, held[place], found, settings.seed))
        if case.batch == 1 and case.network == "lenet":
            pictures[case] = _shown(held[place], found)
    # The first compiles what the others use.
    taken = np.array(spent[1:] or spent)
    return rows, pictures, float(100 * taken[:, 0].sum() / taken[:, 1].sum()) if len(taken) else None


def _shown(held: Clients, found: dict[str, np.ndarray]) -> np.ndarray:
    """Return what the attacker takes of the first clients, and the truth: ``(2, SHOWN, H, W, C)``."""
    few = np.arange(min(SHOWN, len(held.images)))
    taken = found["images"][few, best_start(found)[few], 0]
    return np.clip(np.stack([held.images[few, 0], taken]), 0.0, 1.0)


def _figures(
    settings: Settings, rows: Sequence[Mapping[str, Any]], pictures: dict[Case, np.ndarray], curves: Curves
) -> dict[str, Callable]:
    made: dict[str, Callable] = {}
    single = [r for r in rows if r["batch"] == 1 and r["network"] == "lenet"]
    for task in settings.tasks:
        own = {(c.defence, c.attacker): both for c, both in pictures.items() if c.task == task}
        if own:
            made[f"pictures-{task}"] = functools.partial(figures.leakage_pictures, own, task)
        of_task = [r for r in single if r["task"] == task]
        if of_task:
            made[f"error-against-bits-{task}"] = functools.partial(figures.leakage_errors, of_task, task)
        own_curves = {
            name.rpartition(" ")[2]: one for name, one in curves.items() if name.startswith(f"{task} ")
        }
        made[f"training-{task}"] = functools.partial(
            figures.leakage_curves, own_curves, task, defences=settings.defences
        )
        if of_task and own_curves:
            last = {name: one["accuracy"][:, -1] for name, one in own_curves.items()}
            made[f"error-against-accuracy-{task}"] = functools.partial(
                figures.leakage_tradeoff, of_task, last, task, none=NONE
            )
    return made
