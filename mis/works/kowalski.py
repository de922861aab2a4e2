"""DoReFa networks against membership inference, done again: gap and confidence, LiRA, and equal accuracy."""

import functools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from mis import figures
from mis.numerics.checks import InvalidInput, integer
from mis.ranking import Ranking
from mis.ranking.releases import parse
from mis.store import Store
from mis.works.base import Study
from mis.works.ranked import (
    Experiment,
    Published,
    accuracy,
    beside,
    each,
    for_each_pool,
    less,
    of_column,
    paired,
    performs_better,
    point,
    pooled,
    ranked,
    rows_of,
    table_text,
    with_theirs,
)
from mis.works.verdicts import verdict
from mis.works.writing import flat

__all__ = ["PUBLISHED", "Settings", "settings", "study"]

WORK = "Kowalski, Famili, Lao: quantized networks against membership inference, ResNet-18"
# Accuracy of the gap attack, test accuracy, F1 of the confidence attack, its accuracy at the best threshold.
THEIRS = {
    "fashion-mnist": {
        "full": (0.5600, 0.8592, 0.6615, 0.57), "dorefa-4-4": (0.5400, 0.8920, 0.6612, 0.54),
        "dorefa-16-4": (0.5400, 0.8908, 0.6609, 0.54), "dorefa-16-16": (0.5603, 0.8759, 0.6850, None),
    },
    "cifar-10": {
        "full": (0.6215, 0.7568, 0.7730, 0.68), "dorefa-4-4": (0.5732, 0.8524, 0.7012, 0.63),
        "dorefa-16-4": (0.5752, 0.8484, 0.7096, 0.63), "dorefa-16-16": (0.5753, 0.8493, 0.7179, None),
    },
}  # fmt: skip
COLUMNS = ("gap_accuracy", "performance", "confidence_f1", "confidence_accuracy")
PUBLISHED = {
    task: tuple(
        Published(release, column, value, f"{WORK}, {task}")
        for release, values in of.items()
        for column, value in zip(COLUMNS, values, strict=True)
        if value is not None
    )
    for task, of in THEIRS.items()
}
RELEASES = ("dorefa-4-4", "dorefa-16-4", "dorefa-16-16")
ATTACKS = ("gap", "confidence", "lira", "lira_decoded", "whitebox", "combined")
SHOWN = {
    "gap": "gap",
    "confidence": "confidence",
    "lira": "LiRA on outputs",
    "advantage": "strongest, weights too",
}
TABLE = {
    "release": "release", "performance": "test accuracy", "train_performance": "training accuracy",
    "gap_accuracy": "gap attack, accuracy", "confidence_accuracy": "confidence attack, accuracy", "lira": "LiRA",
    "advantage": "strongest", "tpr_at_fpr_01": "TPR at 1%", "early": "full, stopped",
}  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Frozen data: everything that decides a number.

    Parameters
    ----------
    seed
        Decides the pools and everything else random.
    task, folder
        Images; where they lie, if they do not come with the package.
    model
        The network.
    pools, networks
        Pools, each with so many networks, every one trained on a half of it.
    pool
        Examples in a pool.
    steps
        Of training; 0 is the network's own.
    """

    seed: int = 0
    task: str = "fashion-mnist"
    folder: str = ""
    model: str = "resnet-8"
    pools: int = 1
    networks: int = 32
    pool: int = 512
    steps: int = 150

    def __post_init__(self):
        for name, least in (("pools", 1), ("networks", 32), ("pool", 64), ("steps", 0)):
            integer("kowalski", name, getattr(self, name), at_least=least)
        for name in RELEASES:
            parse(name)
        if not self.task:
            raise InvalidInput("kowalski: expected a task, got none.")


def settings(size: str, seed: int, folder: str | None) -> Settings:
    """Return the settings of one of three sizes."""
    found = Settings(seed=seed, folder=folder or "")
    if size == "quick":
        return replace(found, model="lenet", steps=100)
    if size == "full":
        task = "cifar-10" if folder else "fashion-mnist-full"
        return replace(found, task=task, model="resnet-18", networks=64, pool=20_000, steps=6000)
    return found


def study(settings: Settings, store: Store, progress: bool) -> Study:
    """Train, attack, hold accuracy fixed."""
    found = ranked(experiments(settings), store, progress)
    rankings = [ranking for _, ranking in found]
    published = PUBLISHED.get(settings.task.removesuffix("-full"), ())
    names = ("bits", "performance", "train_performance", "advantage", "tpr_at_fpr_01", "early")
    rows = [row for one, ranking in found for row in rows_of(one, ranking, names)]
    for row in rows:
        row |= {
            "gap_accuracy": accuracy(row["gap"]),
            "confidence_accuracy": accuracy(row["confidence"]),
        }
    means = [with_theirs(row, published) for row in pooled(rows, rankings[0].about["num_folds"])]
    count = len(list(claims_of(rankings, 0.95)))
    shown = [flat(row) for row in means]
    return Study(
        rows=means + rows,
        verdicts=list(claims_of(rankings, each(count))),
        published=beside(published, means),
        text=_text(settings, means, count),
        figures={
            "attackers": functools.partial(
                figures.attackers,
                {settings.task: shown},
                SHOWN | {"early": "full precision stopped at equal accuracy"},
                axis="advantage",
                caption=(
                    f"Membership advantage in DoReFa networks ({settings.model}) by attacker, and what full precision "
                    "leaks when it is stopped where it performs as well. Bars are 95% intervals, pointwise."
                ),
            ),
            "privacy-against-accuracy": functools.partial(_figure, settings, means),
        },
    )


def experiments(settings: Settings) -> list[Experiment]:
    """Return one ranking for each pool."""
    options = {
        "num_networks": settings.networks,
        "pool": settings.pool,
        "attacks": ATTACKS,
        "early": True,
        "num_steps": settings.steps,
        "folder": settings.folder,
    }
    return for_each_pool(
        settings.task, settings.model, RELEASES, options, seed=settings.seed, pools=settings.pools
    )


def claims_of(rankings: Sequence[Ranking], level: float) -> Iterator[dict[str, Any]]:
    """Yield a row for each claim, each at this level."""
    both = functools.partial(of_column, rankings, level=(1.0 + level) / 2.0)
    for name in RELEASES:
        gained = performs_better(rankings, name, "full", level)
        yield verdict(f"{name} generalises better than full precision.", "accuracy", gained, above=0.0)
        for attack in ("gap", "confidence", "lira"):
            yield verdict(
                f"{name} leaks less than full precision to {SHOWN[attack]}.",
                "advantage",
                less(both(name, attack), both("full", attack)),
                below=0.0,
            )
        yield verdict(
            f"{name} leaks less than full precision to the strongest attack.",
            "advantage, paired by network",
            paired(rankings, name, "full", level),
            below=0.0,
        )
        yield verdict(
            f"{name} leaks less than full precision at 1% false positives.",
            "true positive rate",
            less(both(name, "tpr_at_fpr_01"), both("full", "tpr_at_fpr_01")),
            below=0.0,
        )
        if all(ranking[name].early is not None for ranking in rankings):
            yield verdict(
                f"{name} leaks less than full precision stopped at equal accuracy.",
                "advantage less that at the stop",
                less(both(name, "advantage"), both(name, "early")),
                below=0.0,
            )


def _text(settings: Settings, means: Sequence[dict[str, Any]], count: int) -> str:
    rows = sorted(means, key=lambda row: row["advantage"].value)
    return (
        f"{settings.task}, {settings.model}: {settings.pools} pools, {settings.networks} networks on each; means over "
        f"these, 95% intervals\n{table_text(rows, TABLE)}\n\n"
        "LiRA, strongest and full, stopped (where it performs as well) are advantages; an attack's accuracy is (1 + "
        "advantage) / 2.\nThe F1 of theirs is not measured here: a rule that calls everything a member has F1 0.667 at "
        "even odds, so that near\nrecall 1 it tells little.\n"
        f"The {count} verdicts hold together with 95% confidence, for these pools, networks and attacks."
    )


def _figure(settings: Settings, means: Sequence[dict[str, Any]], **looks: Any) -> Any:
    theirs = {
        f"theirs: {task}, ResNet-18": {
            "gap": [{"x": values[1], "y": values[0], "label": release} for release, values in of.items()]
        }
        for task, of in THEIRS.items()
    }
    ours = f"ours: {settings.task}, {settings.model}"
    of_ours = {
        "gap": [point(row, "performance", "gap_accuracy", row["release"]) for row in means],
        "confidence": [point(row, "performance", "confidence_accuracy") for row in means],
    }
    panels: dict[str, Any] = {**theirs, ours: of_ours}
    return figures.tradeoffs(
        panels,
        axes_labels=dict.fromkeys(panels, ("test accuracy", "accuracy of the attack")),
        joined=False,
        caption=(
            "Accuracy of the gap attack (and ours of the confidence attack at its best threshold) against test "
            "accuracy: who generalises better leaks less to it. Bars are 95% intervals, pointwise."
        ),
        **looks,
    )
