"""Functions: the study, from settings to tables, verdicts and figures."""

import functools
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from mis import figures
from mis.provenance import code, versions
from mis.provenance import settings as jax_settings
from mis.ranking.progress import track
from mis.store import Store, fingerprint
from mis.works.base import Study
from mis.works.leakage.attacked import Case, Clients, cases, clients, reconstructed
from mis.works.leakage.curves import curve
from mis.works.leakage.measured import best_start, row
from mis.works.leakage.settings import NONE, Settings, sized
from mis.works.leakage.text import as_text
from mis.works.leakage.theory import gradient_theory
from mis.works.leakage.verdicts import beside, verdicts

__all__ = ["run", "settings"]

settings = sized
SHOWN = 4


def run(settings: Settings, out: Path, progress: bool) -> Study:
    """Attack, train, bound; parts that ``out`` holds from the same code and settings are read."""
    decides = {"settings": settings, "code": code(), "jax": jax_settings()}
    store = Store(out / "parts" / fingerprint(decides))
    rows, pictures, busy = [], {}, [0.0, 0]
    held: dict[tuple, Clients] = {}
    for case in track(cases(settings), "attacks", progress):
        # One set of clients at a time: of the case before, or new ones.
        place = (case.task, case.network, case.batch)
        if place not in held:
            held = {place: clients(settings, *place)}
        begun = time.monotonic()
        found = reconstructed(settings, case, held[place], store, None)
        if (case.network, case.batch, case.attacker) == ("lenet", 1, "naive"):
            busy = [busy[0] + time.monotonic() - begun, busy[1] + int(found["iterations"].sum())]
        rows.append(row(case, held[place], found, settings.seed))
        if case.batch == 1 and case.network == "lenet":
            pictures[case] = _shown(held[place], found)
    wanted = [(task, defence) for task in settings.tasks for defence in dict.fromkeys(settings.curves)]
    curves = {
        f"{task} {defence}": curve(settings, task, defence, store)
        for task, defence in track(wanted, "training", progress)
    }
    bounds = [
        one
        for task in track(settings.tasks, "theory", progress)
        for one in gradient_theory(settings, task, store)
    ]
    judged = verdicts(settings, rows, curves)
    seconds = 100 * busy[0] / busy[1] if busy[1] else None
    published = beside(rows, curves, seconds)
    document = {
        "verdicts": judged,
        "published": published,
        "theory": bounds,
        "curves": {name: {k: v.tolist() for k, v in one.items()} for name, one in curves.items()},
        "versions": versions("jax", "numpy", "optax"),
    }
    return Study(
        rows=rows,
        document=document,
        text=as_text(settings, rows, judged, published, bounds),
        figures=_figures(settings, rows, pictures, curves),
    )


def _shown(held: Clients, found: dict[str, np.ndarray]) -> np.ndarray:
    """Return what the attacker takes of the first clients, and the truth: ``(2, SHOWN, H, W, C)``."""
    few = np.arange(min(SHOWN, len(held.images)))
    taken = found["images"][few, best_start(found)[few], 0]
    return np.clip(np.stack([held.images[few, 0], taken]), 0.0, 1.0)


def _figures(
    settings: Settings, rows: list[dict[str, Any]], pictures: dict[Case, np.ndarray], curves: dict[str, Any]
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
        made[f"training-{task}"] = functools.partial(figures.leakage_curves, own_curves, task)
        if of_task and own_curves:
            last = {name: one["accuracy"][:, -1] for name, one in own_curves.items()}
            made[f"error-against-accuracy-{task}"] = functools.partial(
                figures.leakage_tradeoff, of_task, last, task, none=NONE
            )
    return made
