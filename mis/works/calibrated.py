"""*Bits for Privacy*, done again: quantizers that see examples, the published attacker beside one who adapts."""

import functools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from mis import figures
from mis.numerics.checks import InvalidInput, integer
from mis.ranking import Ranking
from mis.ranking.releases import parse
from mis.results import Interval
from mis.store import Store
from mis.works.base import Study
from mis.works.ranked import (
    Experiment,
    Published,
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
    ratio,
    rows_of,
    table_text,
    with_theirs,
)
from mis.works.verdicts import verdict
from mis.works.writing import flat

__all__ = ["PUBLISHED", "Settings", "settings", "study"]

WORK = "Bits for Privacy (arXiv:2512.15335), CIFAR-100, ResNet-18, LiRA with 64 full-precision shadows"
# Accuracy, and TPR at 0.1% false positives; OBC is the method of which GPTQ is the fast version.
THEIRS = {
    "full": (0.7005, 0.368),
    "adaround-4": (0.7005, 0.371), "adaround-2": (0.6810, 0.201), "adaround-1.58": (0.6235, 0.003),
    "brecq-4": (0.7004, 0.365), "brecq-2": (0.6964, 0.293), "brecq-1.58": (0.6810, 0.0011),
    "gptq-4": (0.7005, 0.365), "gptq-2": (0.6807, 0.229), "gptq-1.58": (0.6547, 0.019),
}  # fmt: skip
PUBLISHED = tuple(
    Published(release, column, value, f"{WORK}{', OBC' if release.startswith('gptq') else ''}{of}")
    for release, both in THEIRS.items()
    for column, value, of in zip(
        ("performance", "lira_unadapted_tpr_at_fpr_01"),
        both,
        ("", "; theirs at 0.1%, ours at 1%"),
        strict=True,
    )
)

ATTACKS = ("lira_unadapted", "lira", "lira_decoded", "whitebox", "combined")
SHOWN = {
    "lira_unadapted": "theirs: full-precision shadows",
    "lira": "shadows released alike",
    "lira_decoded": "decoded outputs",
    "advantage": "strongest, weights too",
}
# Of "an order of magnitude", and of accuracy that counts as kept: they lose 0.0195.
TENTH, KEPT = 0.1, 0.02
GUESSING = 0.01
TABLE = {
    "release": "release", "bits": "bits", "performance": "performance", **SHOWN,
    "lira_unadapted_tpr_at_fpr_01": "TPR at 1%, theirs", "tpr_at_fpr_01": "TPR at 1%, strongest",
    "early": "full, stopped",
}  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Frozen data: everything that decides a number.

    Parameters
    ----------
    seed
        Decides the pools and everything else random.
    tasks, folder
        Names of tasks with classes; where their data lie, if they do not come with the package.
    model
        The network.
    pools
        How many pools of each task, each with networks and attacks of its own.
    networks
        Networks on each.
    methods, bits
        Calibrated quantizers, and how many bits they leave; the last is judged.
    compared
        Releases that are calibrated on other examples too.
    steps
        Of training; 0 is the network's own.
    """

    seed: int = 0
    tasks: tuple[str, ...] = ("digits", "fashion-mnist")
    folder: str = ""
    model: str = "mlp"
    pools: tuple[int, ...] = (4, 1)
    networks: int = 64
    methods: tuple[str, ...] = ("adaround", "brecq", "gptq")
    bits: tuple[str, ...] = ("4", "2", "1.58")
    compared: tuple[str, ...] = ("gptq-2", "gptq-1.58", "brecq-1.58")
    steps: int = 0

    def __post_init__(self):
        for count in self.pools:
            integer("calibrated", "pools", count, at_least=1)
        integer("calibrated", "networks", self.networks, at_least=32)
        integer("calibrated", "steps", self.steps, at_least=0)
        if not (self.tasks and self.methods and self.bits):
            raise InvalidInput("calibrated: expected at least one task, one method and one number of bits.")
        if len(self.pools) != len(self.tasks):
            raise InvalidInput(
                f"calibrated: expected pools with a number for each of {len(self.tasks)} tasks, got {len(self.pools)}."
            )
        for name in self.releases:
            parse(name)
        strangers = [name for name in self.compared if name not in self.releases]
        if strangers:
            raise InvalidInput(f"calibrated: expected compared among the releases, got {strangers[0]}.")

    @property
    def releases(self) -> tuple[str, ...]:
        """Every method at every number of bits, some calibrated on others, and rounding to the nearest."""
        own = [f"{method}-{bits}" for method in self.methods for bits in self.bits]
        others = [f"from-{source}:{name}" for name in self.compared for source in ("nonmembers", "heldout")]
        return (*own, *others, "uniform-4", "uniform-2", "ternary-33")


def settings(size: str, seed: int, folder: str | None) -> Settings:
    """Return the settings of one of three sizes."""
    found = Settings(seed=seed, folder=folder or "")
    if size == "quick":
        return replace(
            found,
            tasks=("digits",),
            pools=(2,),
            networks=64,
            bits=("2", "1.58"),
            compared=("gptq-2", "brecq-1.58"),
            steps=300,
        )
    if size == "full":
        return replace(found, tasks=("cifar-10",), model="resnet-18", pools=(1,), networks=128)
    return found


def study(settings: Settings, store: Store, progress: bool) -> Study:
    """Release, attack, compare."""
    found = ranked(experiments(settings), store, progress)
    names = ("bits", "zeros", "performance", "train_performance", "advantage", "tpr_at_fpr_01", "early")
    rows = [row for one, ranking in found for row in rows_of(one, ranking, names)]
    folds = found[0][1].about["num_folds"]
    means = [with_theirs(row, PUBLISHED) for row in pooled(rows, folds)]
    claims: list[dict[str, Any]] = []
    for task in settings.tasks:
        of_task = [ranking for one, ranking in found if one.task == task]
        count = len(list(claims_of(settings, of_task, 0.95))) * len(settings.tasks)
        claims += [
            {**row, "task": task, "claim": f"{task}: {row['claim']}"}
            for row in claims_of(settings, of_task, each(count))
        ]
    return Study(
        rows=means + rows,
        verdicts=claims,
        published=beside(PUBLISHED, means),
        text=_text(settings, means, len(claims)),
        figures=_figures(settings, means),
    )


def experiments(settings: Settings) -> list[Experiment]:
    """Return one ranking for each task and pool."""
    options = {
        "num_networks": settings.networks,
        "attacks": ATTACKS,
        "early": True,
        "num_steps": settings.steps,
        "folder": settings.folder,
    }
    return [
        one
        for task, pools in zip(settings.tasks, settings.pools, strict=True)
        for one in for_each_pool(
            task, settings.model, settings.releases, options, seed=settings.seed, pools=pools
        )
    ]


def claims_of(settings: Settings, rankings: Sequence[Ranking], level: float) -> Iterator[dict[str, Any]]:
    """Yield a row for each claim, each at this level."""
    both = functools.partial(of_column, rankings, level=(1.0 + level) / 2.0)
    for method in settings.methods:
        name = f"{method}-{settings.bits[-1]}"
        for who, column in (
            ("their attacker", "lira_unadapted_tpr_at_fpr_01"),
            ("any attack", "tpr_at_fpr_01"),
        ):
            # Above what guessing reaches: a release that tells nothing has none of it.
            share = ratio(_above(both(name, column)), _above(both("full", column)))
            if share is not None:
                yield verdict(
                    f"{name} leaks at most a tenth of what full precision leaks to {who}.",
                    "TPR at 1% false positives above guessing, as a share of full precision's",
                    share,
                    below=TENTH,
                )
        more = less(both(name, "advantage"), both(name, "lira_unadapted"))
        yield verdict(
            f"Their attacker finds all that there is in {name}.",
            "advantage that others find beyond it",
            more,
            below=0.01,
        )
        lost = performs_better(rankings, "full", name, level)
        yield verdict(f"{name} keeps the accuracy.", "accuracy lost", lost, below=KEPT)
        if all(ranking[name].early is not None for ranking in rankings):
            yield verdict(
                f"{name} leaks less than full precision stopped early at equal accuracy.",
                "advantage less that at the stop",
                less(both(name, "advantage"), both(name, "early")),
                below=0.0,
            )
    for name in settings.compared:
        for source in ("nonmembers", "heldout"):
            yield verdict(
                f"{name} leaks more of its members when it is calibrated on some of them than on {source}.",
                "advantage, paired by network",
                paired(rankings, name, f"from-{source}:{name}", level),
                above=0.0,
            )
        better = performs_better(rankings, name, f"from-nonmembers:{name}", level)
        yield verdict(
            f"{name} performs better calibrated on members than on nonmembers.", "accuracy", better, above=0.0
        )
    rounded = "uniform-2"
    if (judged := f"{settings.methods[-1]}-2") in settings.releases:
        yield verdict(
            f"{judged} leaks less than rounding to the nearest at 2 bits.",
            "advantage, paired by network",
            paired(rankings, judged, rounded, level),
            below=0.0,
        )


def _above(rate: Interval) -> Interval:
    ends = {end: getattr(rate, end) - GUESSING for end in ("lower", "value", "upper")}
    return Interval(**ends, kind=rate.kind, level=rate.level)


def _text(settings: Settings, means: Sequence[dict[str, Any]], count: int) -> str:
    parts = []
    for task, pools in zip(settings.tasks, settings.pools, strict=True):
        rows = sorted((r for r in means if r["task"] == task), key=lambda r: r["advantage"].value)
        parts.append(
            f"{task}, {settings.model}: pools: {pools}, {settings.networks} networks on each; means over "
            f"these, 95% intervals\n{table_text(rows, TABLE)}"
        )
    parts.append(
        "Columns of attackers are advantages. full, stopped: full precision stopped where it performs as well.\n"
        "Theirs are of another data set and network, TPR at 0.1% false positives; ours at 1%, with so few examples.\n"
        f"The {count} verdicts hold together with 95% confidence, for these pools, networks and attacks."
    )
    return "\n\n".join(parts)


def _figures(settings: Settings, rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
    made: dict[str, Any] = {}
    series: dict[str, str] = SHOWN | {"early": "full precision stopped at equal performance"}
    panels = {
        task: sorted((r for r in rows if r["task"] == task), key=lambda r: r["advantage"].value)
        for task in settings.tasks
    }
    made["attackers"] = functools.partial(
        figures.attackers,
        {task: [flat(row) for row in of_task] for task, of_task in panels.items()},
        series,
        axis="advantage",
        caption=(
            "Membership advantage in releases of calibrated quantizers, by attacker: shadows in full precision, as "
            "published; shadows released as the target; decoded outputs; the strongest, with the weights. Means over "
            "pools, bars are 95% intervals, pointwise."
        ),
    )
    theirs_title, ours = (
        "theirs: CIFAR-100, ResNet-18",
        [f"ours: {task}, {settings.model}" for task in panels],
    )
    theirs = {
        method: [
            {"x": accuracy, "y": rate, "label": name.partition("-")[2] or name}
            for name, (accuracy, rate) in THEIRS.items()
            if name in (f"{method}-4", f"{method}-2", f"{method}-1.58")
        ]
        for method in settings.methods
    }
    drawn: dict[str, Any] = {theirs_title: theirs}
    for title, of_task in zip(ours, panels.values(), strict=True):
        drawn[title] = {
            f"{method}{suffix}": [
                point(row, "performance", column, row["release"].partition("-")[2] if not suffix else "")
                for row in _in_order(of_task, settings, method)
            ]
            for method in settings.methods
            for suffix, column in (("", "lira_unadapted_tpr_at_fpr_01"), (", strongest", "tpr_at_fpr_01"))
        }
    made["privacy-against-accuracy"] = functools.partial(
        figures.tradeoffs,
        drawn,
        axes_labels={theirs_title: ("accuracy", "TPR at 0.1% false positives")}
        | dict.fromkeys(ours, ("accuracy", "TPR at 1% false positives")),
        caption=(
            "Membership against accuracy of calibrated quantizers, points by bits: as published, and ours with the "
            "published attacker (shadows in full precision) and with the strongest of those who adapt. "
            "Ours: means over pools, bars are 95% intervals, pointwise."
        ),
    )
    return made


def _in_order(rows: Sequence[dict[str, Any]], settings: Settings, method: str) -> list[dict[str, Any]]:
    by_name = {row["release"]: row for row in rows}
    return [by_name[f"{method}-{bits}"] for bits in settings.bits]
