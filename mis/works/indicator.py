"""*An Indicator of Membership Inference Security*, done again: what r_Q orders, and sign beside ternary."""

import functools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from mis import figures
from mis.numerics.checks import InvalidInput, integer
from mis.ranking import Ranking, agreement
from mis.ranking.releases import parse
from mis.results import Interval
from mis.store import Store
from mis.works.base import Study
from mis.works.ranked import (
    Experiment,
    Published,
    beside,
    each,
    less,
    of_column,
    paired,
    point,
    ranked,
    rows_of,
    table_text,
    with_theirs,
)
from mis.works.text import columns
from mis.works.verdicts import verdict
from mis.works.writing import flat

__all__ = ["CHANGES", "PUBLISHED", "Settings", "settings", "study"]

WORK = "Aubinais, Formont, Piantanida, Gassiat (arXiv:2502.06567), full precision, published encoders"
# Least and most over the encoders; those of classes are areas under the ROC curve, ours are accuracies.
PUBLISHED = {
    task: tuple(Published("full", "performance", value, WORK) for value in ends)
    for task, ends in {"freesolv": (0.71, 0.87), "solubility": (0.73, 0.85)}.items()
}
REGRESSIONS = ("solubility", "freesolv")
THEIRS = ("sign", "ternary-33", "ternary-50", "ternary-90", "uniform-2", "uniform-3", "uniform-4")
SWEEP = (33, 50, 67, 75, 80, 90)
PEAK = "ternary-33-peak"
# Twice the density at this quantile of a normal law's magnitudes is that at 0: P(|Z| < sqrt(2 log 2)).
NORMAL_CROSSING = 0.761

# What is changed on the modes, one at a time: options of the ranking, and the two releases that are compared.
PAIR = ("sign", "ternary-33")
CHANGES: dict[str, tuple[dict[str, Any], tuple[str, str]]] = {
    "as it is": ({}, PAIR),
    "a quarter of the steps": ({"num_steps": 150}, PAIR),
    "four times the width": ({"width": 128}, PAIR),
    "no hidden layer": ({"depth": 0}, PAIR),
    "far fewer examples": ({"pool": 128}, PAIR),
    "modes far apart": ({"separation": 6.0}, PAIR),
    "weight decay 5": ({"weight_decay": 5.0}, PAIR),
    "biases exact": ({}, ("exact-vectors:sign", "exact-vectors:ternary-33")),
    "biases on own grids": ({}, ("own-vectors:sign", "own-vectors:ternary-33")),
    "scale of sign rounded": ({}, ("sign-pow2", "ternary-33")),
    "trained through it": ({}, ("qat:sign", "qat:ternary-33")),
    "zeros below 33% of the largest": ({}, ("sign", PEAK)),
}
QUICK_CHANGES = ("as it is", "weight decay 5", "zeros below 33% of the largest")
ATTACKS = ("loss", "lira", "lira_decoded", "whitebox", "combined")
NAMES = {
    "release": "release", "zeros": "zeros", "performance": "performance", "indicator": "r_Q",
    "indicator_naive": "r_Q, plain minimum", "retained_ensemble": "information", "lira": "LiRA",
    "advantage": "advantage",
}  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Frozen data: everything that decides a number.

    Parameters
    ----------
    seed
        Decides the pools and everything else random.
    tasks
        Names of tasks; ``modes-K`` has K modes.
    networks
        On each.
    changes
        Keys of ``CHANGES``, tried on eight modes.
    more
        Releases beside theirs and the sweep of zeros, on tasks that are no modes.
    steps
        Of training; 0 is the network's own.
    """

    seed: int = 0
    tasks: tuple[str, ...] = ("modes-4", "modes-8", "modes-32", "ames", "bbb", "solubility", "freesolv")
    networks: int = 64
    changes: tuple[str, ...] = tuple(CHANGES)
    more: tuple[str, ...] = (
        *("uniform-6", "nf4", "codebook-4", "power-of-two-3", "fp4-e2m1", "stochastic-4", "prune-90"),
        *("noise-20", "gptq-2"),
    )
    steps: int = 0

    def __post_init__(self):
        integer("indicator", "networks", self.networks, at_least=32)
        integer("indicator", "steps", self.steps, at_least=0)
        for name in self.more:
            parse(name)
        unknown = [name for name in self.changes if name not in CHANGES]
        if not self.tasks or unknown:
            raise InvalidInput(
                f"indicator: expected tasks, and changes among {', '.join(CHANGES)}, got {unknown or self.tasks!r}."
            )


def settings(size: str, seed: int, folder: str | None) -> Settings:  # noqa: ARG001
    """Return the settings of one of three sizes."""
    found = Settings(seed=seed)
    if size == "quick":
        return replace(
            found, tasks=("modes-8", "freesolv"), networks=64, changes=QUICK_CHANGES, more=(), steps=300
        )
    if size == "full":
        modes = tuple(f"modes-{k}" for k in (2, 4, 8, 16, 32, 64))
        return replace(found, tasks=(*modes, *found.tasks[3:]), networks=2048)
    return found


def experiments(settings: Settings) -> list[Experiment]:
    """Return a ranking for each task, then for each change on the modes."""
    found = []
    for task in settings.tasks:
        sweep = (f"ternary-{zeros}" for zeros in SWEEP)
        releases = dict.fromkeys((*THEIRS, *sweep, PEAK, *(() if _is_modes(task) else settings.more)))
        found.append(_experiment(settings, task, task, tuple(releases)))
    for number, name in enumerate(settings.changes):
        options, pair = CHANGES[name]
        found.append(_experiment(settings, f"change-{number}", "modes-8", pair, **options))
    return found


def _is_modes(task: str) -> bool:
    return task.startswith("modes-")


def _experiment(
    settings: Settings, name: str, task: str, releases: tuple[str, ...], **changed: Any
) -> Experiment:
    of_task = {"num_modes": int(task.partition("-")[2])} if _is_modes(task) else {}
    steps = {"num_steps": settings.steps} if settings.steps else {}
    attacks = ("loss", "lira", "lira_loss", *ATTACKS[2:]) if task in REGRESSIONS else ATTACKS
    options = {"num_networks": settings.networks, "seed": settings.seed, "attacks": attacks}
    return Experiment(
        name=name,
        task="modes" if of_task else task,
        releases=releases,
        options={**options, **of_task, **steps, **changed},
    )


def study(settings: Settings, store: Store, progress: bool) -> Study:
    """Release, attack, order, compare."""
    found = ranked(experiments(settings), store, progress)
    of_tasks = {task: ranking for task, (_, ranking) in zip(settings.tasks, found, strict=False)}
    of_changes = dict(zip(settings.changes, (r for _, r in found[len(settings.tasks) :]), strict=True))
    names = [name for name in NAMES if name not in ("release", "lira")]
    names += ["bits", "train_performance", "num_candidates", "retained", "predicted", "weight_error"]
    rows = [
        with_theirs(row, PUBLISHED.get(one.name, ()))
        for one, ranking in found
        for row in rows_of(one, ranking, [*names, "code_entropy"])
    ]
    count = len(list(claims_of(of_tasks, of_changes, 0.95)))
    turns = {task: crossing(ranking) for task, ranking in of_tasks.items()}
    changes = [_difference(name, ranking) for name, ranking in of_changes.items()]
    orders = [
        {"experiment": task, **order} for task, ranking in of_tasks.items() for order in ranking.agreement()
    ]
    return Study(
        rows=rows,
        verdicts=list(claims_of(of_tasks, of_changes, each(count))),
        published=[
            one
            for task, published in PUBLISHED.items()
            for one in beside(published, [row for row in rows if row["experiment"] == task])
        ],
        text=_text(settings, rows, orders, turns, changes, count),
        details={"agreement": orders, "crossings": turns, "changes": changes},
        figures=_figures(settings, rows, changes),
    )


def crossing(ranking: Ranking, level: float = 0.95) -> dict[str, float | None]:
    """Return between which shares of zeros ternary turns from leaking more than sign to leaking less.

    ``more``: the most zeros with which ternary surely leaks more, ``less``: the fewest with which it surely leaks less,
    together at the level; ``foretold``: where the information that passes is the same, linear between shares.
    """
    shares = [zeros for zeros in SWEEP if f"ternary-{zeros}" in ranking]
    found = [paired([ranking], "sign", f"ternary-{zeros}", each(len(shares), level)) for zeros in shares]
    passing = [ranking[f"ternary-{zeros}"].retained_ensemble.value for zeros in shares]
    gaps = np.array(passing) - ranking["sign"].retained_ensemble.value
    turns = [i for i in range(len(gaps) - 1) if gaps[i] > 0.0 >= gaps[i + 1]]
    foretold = None
    if turns:
        i = turns[0]
        foretold = float(shares[i] + (shares[i + 1] - shares[i]) * gaps[i] / (gaps[i] - gaps[i + 1])) / 100
    return {
        "more": max((z / 100 for z, d in zip(shares, found, strict=True) if d.upper < 0.0), default=None),
        "less": min((z / 100 for z, d in zip(shares, found, strict=True) if d.lower > 0.0), default=None),
        "foretold": foretold,
    }


def _difference(name: str, ranking: Ranking) -> dict[str, Any]:
    first, second = CHANGES[name][1]
    return {
        "change": name, "first": first, "second": second,
        "difference": paired([ranking], first, second),
        "of_lira": less(*(of_column([ranking], one, "lira", 0.975) for one in (first, second))),
        "performances": [ranking[one].performance.value for one in (first, second)],
        "zeros": ranking[second].zeros,
    }  # fmt: skip


def claims_of(
    of_tasks: dict[str, Ranking], of_changes: dict[str, Ranking], level: float
) -> Iterator[dict[str, Any]]:
    """Yield a row for each claim, each at this level."""
    both = (1.0 + level) / 2.0
    for task, ranking in of_tasks.items():
        orders = agreement([row.record() for row in ranking], ranking.advantages, level=level)
        for name, what in (("indicator", "r_Q"), ("indicator_naive", "r_Q, the plain minimum,")):
            tau = [one for one in orders if (one["indicator"], one["given"]) == (name, "")]
            if tau:
                yield verdict(
                    f"{task}: {what} orders the releases as the strongest attack does.",
                    f"Kendall's tau over {tau[0]['releases']} releases",
                    _interval(tau[0], level),
                    above=0.0,
                )
        more = paired([ranking], "sign", "ternary-33", level)
        yield verdict(
            f"{task}: sign is less private than ternary-33, by the strongest attack.",
            "advantage, paired by network",
            more,
            above=0.0,
        )
        of_lira = less(*(of_column([ranking], one, "lira", both) for one in PAIR))
        yield verdict(
            f"{task}: sign is less private than ternary-33, by LiRA on outputs.",
            "advantage",
            of_lira,
            above=0.0,
        )
        others = [name for name in THEIRS if name != "ternary-90"]
        apart = [paired([ranking], name, "ternary-90", each(len(others), level)) for name in others]
        yield verdict(
            f"{task}: ternary-90 is the most private of theirs.",
            "least advantage of another less its own, paired by network",
            Interval(
                lower=min(one.lower for one in apart),
                value=min(one.value for one in apart),
                upper=min(one.upper for one in apart),
                kind="attack",
                level=level,
            ),
            above=0.0,
        )
        yield verdict(
            f"{task}: sign is less private than ternary with zeros below 33% of the largest weight.",
            "advantage, paired by network",
            paired([ranking], "sign", PEAK, level),
            above=0.0,
        )
    for name, ranking in of_changes.items():
        first, second = CHANGES[name][1]
        yield verdict(
            f"modes-8, {name}: {first} is less private than {second}, by the strongest attack.",
            "advantage, paired by network",
            paired([ranking], first, second, level),
            above=0.0,
        )


def _interval(tau: dict[str, Any], level: float) -> Interval:
    return Interval(lower=tau["lower"], value=tau["tau"], upper=tau["upper"], kind="monte-carlo", level=level)


def _text(
    settings: Settings,
    rows: Sequence[dict[str, Any]],
    orders: Sequence[dict[str, Any]],
    turns: dict[str, dict[str, float | None]],
    changes: Sequence[dict[str, Any]],
    count: int,
) -> str:
    parts = [
        f"{task}, {settings.networks} networks\n{table_text([r for r in rows if r['experiment'] == task], NAMES)}"
        for task in settings.tasks
    ]
    taus = [
        [one["experiment"], one["indicator"], f"{one['tau']:.2f} [{one['lower']:.2f}, {one['upper']:.2f}]"]
        for one in orders
        if not one["given"]
    ]
    parts.append(f"Kendall's tau with the advantage\n{columns(('task', 'column', 'tau'), taus)}")
    said = [
        [task, *("" if turn[end] is None else f"{turn[end]:.0%}" for end in ("more", "less", "foretold"))]
        for task, turn in turns.items()
    ]
    head = ("task", "leaks more up to", "leaks less from", "foretold by the information")
    parts.append(
        "Zeros with which ternary leaks more, or less, than sign. An edge tells of the weights near it: sign's one\n"
        "edge is at 0, ternary's two where the magnitude has the share of zeros as its quantile. Sign leaks more once\n"
        f"the density there is less than half of that at 0: of normal weights from {NORMAL_CROSSING:.0%} zeros on.\n"
        f"{columns(head, said)}"
    )
    shown = {"change": "modes-8", "first": "first", "second": "second", "difference": "first less second",
             "of_lira": "of LiRA on outputs", "zeros": "zeros of the second"}  # fmt: skip
    parts.append(f"What might turn the order\n{table_text(changes, shown)}")
    parts.append(
        f"The {count} verdicts hold together with 95% confidence, for these pools, networks and attacks; those on "
        "taus\ntake the releases as a sample of releases like these."
    )
    return "\n\n".join(parts)


def _figures(
    settings: Settings, rows: Sequence[dict[str, Any]], changes: Sequence[dict[str, Any]]
) -> dict[str, Any]:
    panels = {
        task: {
            family: [
                point(row, "performance", "advantage", row["release"])
                for row in rows
                if row["experiment"] == task and _family(row["release"]) == family
            ]
            for family in ("sign", "ternary", "uniform", "others")
        }
        for task in settings.tasks
    }
    measure = {task: "R²" if task in REGRESSIONS else "accuracy" for task in settings.tasks}
    made: dict[str, Any] = {
        "privacy-against-performance": functools.partial(
            figures.tradeoffs,
            panels,
            axes_labels={task: (f"held-out {measure[task]}", "advantage") for task in settings.tasks},
            joined=False,
            caption=(
                "Membership advantage of the strongest attack against performance, a panel a task; "
                f"{settings.networks} networks. Bars are 95% intervals, pointwise."
            ),
        )
    }
    if changes:
        named = [flat({"release": one["change"], **one}) for one in changes]
        made["sign-less-ternary"] = functools.partial(
            figures.attackers,
            {"sign less ternary, modes-8": named},
            {"difference": "strongest attack", "of_lira": "LiRA on outputs"},
            axis="advantage of sign less that of ternary",
            caption=(
                "By how much more sign tells than ternary with 33% zeros, on eight Gaussian modes, one thing changed "
                "at a time; right of 0 is the published order. In the last line ternary's 33% are of the largest "
                "magnitude. Bars are 95% intervals, pointwise: of the strongest attack paired by network, of LiRA "
                "from the ends of both."
            ),
        )
    return made


def _family(release: str) -> str:
    family = release.partition("-")[0]
    return family if family in ("sign", "ternary", "uniform") else "others"
