"""What studies made of rankings share: experiments that are run and kept, rows, theirs beside ours, pools together.

A pool is what a seed draws: its examples, the halves that train each network, and everything after. An interval of a
ranking speaks of new networks on its own pool; ``over_pools`` of the mean over the pools that were drawn, and of no
others.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
from scipy import stats

from mis.attacks.crossfit import mean_over_networks
from mis.numerics.checks import InvalidInput
from mis.ranking import Ranking, rank
from mis.ranking.asked import attacks_of, cut, releases_of, specs
from mis.ranking.performance import Performance
from mis.ranking.progress import track
from mis.results import Interval
from mis.store import Store
from mis.works.text import columns, number

__all__ = [
    "Experiment",
    "Published",
    "accuracy",
    "beside",
    "each",
    "for_each_pool",
    "less",
    "of_column",
    "of_networks",
    "over_pools",
    "paired",
    "performs_better",
    "point",
    "pooled",
    "ranked",
    "ratio",
    "rows_of",
    "table_text",
    "with_theirs",
]

LEVEL = 0.95

# How the kinds of a ranking's intervals are put together; others are of one pool alone.
STUDENT, NORMAL = "attack", "monte-carlo"


@dataclass(frozen=True, kw_only=True)
class Experiment:
    """One ranking: a task, a network, what is released of it, and how all that is trained and attacked.

    Parameters
    ----------
    name
        Of its folder, and of its rows.
    task, releases, model
        As ``mis.rank`` takes them.
    options
        Its other options by name: fields of protocol, learner, network and task.

    Examples
    --------
    >>> Experiment(name="digits-0", task="digits", releases=("sign",), options={"num_networks": 64}).seed
    0
    """

    name: str
    task: str
    releases: tuple[str, ...]
    model: str = "mlp"
    options: Mapping[str, Any] = field(default_factory=dict)

    @property
    def seed(self) -> int:
        """Which pool."""
        return int(self.options.get("seed", 0))


def for_each_pool(
    task: str, model: str, releases: Sequence[str], options: Mapping[str, Any], *, seed: int, pools: int
) -> list[Experiment]:
    """Return one ranking for each of a number of pools, no two of which share a seed, nor those of two seeds.

    Options that are empty are left to the ranking: a folder, a number of steps.

    Examples
    --------
    >>> [one.seed for one in for_each_pool("digits", "mlp", ("sign",), {"num_steps": 0}, seed=2, pools=3)]
    [6, 7, 8]
    """
    given = {name: value for name, value in options.items() if value}
    return [
        Experiment(
            name=f"{task}-{model}-{pool}",
            task=task,
            model=model,
            releases=tuple(releases),
            options=given | {"seed": seed * pools + pool},
        )
        for pool in range(pools)
    ]


def accuracy(advantage: Interval) -> Interval:
    """Return an attack's accuracy where members and non-members are as many, ``(1 + advantage) / 2``.

    Examples
    --------
    >>> accuracy(Interval(lower=0.0, value=0.2, upper=0.4, kind="attack"))
    Interval(0.6 in [0.5, 0.7], attack, level=1)
    """
    ends = {end: 0.5 + getattr(advantage, end) / 2 for end in ("lower", "value", "upper")}
    return Interval(**ends, kind=advantage.kind, level=advantage.level)


def ranked(
    experiments: Sequence[Experiment], store: Store, progress: bool = False
) -> list[tuple[Experiment, Ranking]]:
    """Run experiments in turn, each in a folder of its own beside the store, where it goes on after an interruption.

    The folders are not the store's: networks are kept by what decides them, and serve other settings and sizes too.
    """
    names = [one.name for one in experiments]
    if len(set(names)) < len(names):
        raise InvalidInput(f"ranked: expected experiments of different names, got {', '.join(names)}.")
    _refuse_unknown(experiments)
    found = []
    for one in track(experiments, "rankings", progress):
        out = None if store.folder is None else store.folder.parent / "rankings" / one.name
        ranking = rank(
            one.task, one.releases, model=one.model, out=out, replace=True, progress=progress, **one.options
        )
        found.append((one, ranking))
    return found


def _refuse_unknown(experiments: Sequence[Experiment]) -> None:
    """Refuse what cannot be measured, or data that are not there, before anything is computed."""
    split = set()
    for one in experiments:
        _, spec = specs(one.task, one.model, dict(one.options))
        releases_of(one.releases)
        attacks_of(one.options.get("attacks"), spec.population)
        if spec.population not in split:
            cut(spec)
            split.add(spec.population)


def rows_of(experiment: Experiment, ranking: Ranking, names: Sequence[str]) -> list[dict[str, Any]]:
    """Return a row for each release with these columns, then each attack's advantage and TPR at 1% false positives."""
    found = []
    for row in ranking:
        one: dict[str, Any] = {
            "experiment": experiment.name,
            "task": experiment.task,
            "model": experiment.model,
            "seed": experiment.seed,
        }
        one |= {"release": row.release} | {name: row[name] for name in names}
        one |= {name: row.attacks[name] for name in row.attacks}
        found.append(one | {f"{name}_tpr_at_fpr_01": row.tpr_of[name] for name in row.tpr_of})
    return found


# Several pools, several statements.


def each(count: int, level: float = LEVEL) -> float:
    """Return the level at which each of so many statements is made for all to hold at ``level`` (Bonferroni).

    Examples
    --------
    >>> each(5)
    0.99
    """
    return 1.0 - (1.0 - level) / max(count, 1)


def over_pools(intervals: Sequence[Interval], num_folds: int | None, level: float = LEVEL) -> Interval:
    """Return the mean of one quantity over pools that are given, from an interval of each, at another level.

    Parameters
    ----------
    intervals
        Symmetric ones: Student's with ``num_folds - 1`` degrees of freedom, or normal.
    num_folds
        As of the rankings: networks of different pools share nothing, and the variances of independent means add,
        degrees of freedom by Welch and Satterthwaite. None for normal intervals, those of performance: pools share
        held-out examples, so their errors are taken as if they were one, on the wide side.
    level
        Of the result.

    Notes
    -----
    The mean over these pools is what is covered: pools differ by more than networks do, and new ones are not spoken of.

    Examples
    --------
    >>> one = Interval(lower=0.1, value=0.2, upper=0.3, kind="attack", level=0.95)
    >>> over_pools([one], 8) == one
    True
    >>> over_pools([one, one], 8).width < one.width == over_pools([one, one], None).width
    True
    """
    if (
        len(set(intervals)) == 1
        and level == intervals[0].level
        and (len(intervals) == 1 or num_folds is None)
    ):
        # The same to the last digit.
        return intervals[0]
    degrees = np.inf if num_folds is None else num_folds - 1.0
    errors = np.array([one.width / 2.0 / stats.t.isf((1.0 - one.level) / 2.0, degrees) for one in intervals])
    if num_folds is None:
        error = float(errors.mean())
    else:
        error = float(np.sqrt((errors**2).sum())) / len(errors)
        degrees *= float((errors**2).sum() ** 2 / (errors**4).sum()) if error else 1.0
    value = float(np.mean([one.value for one in intervals]))
    half = float(error * stats.t.isf((1.0 - level) / 2.0, degrees))
    return Interval(lower=value - half, value=value, upper=value + half, kind=intervals[0].kind, level=level)


def of_column(rankings: Sequence[Ranking], release: str, column: str, level: float = LEVEL) -> Interval:
    """Return a column of one release as its mean over pools; ``ATTACK_tpr_at_fpr_01`` is the rate of any attack."""
    found = []
    for ranking in rankings:
        row = ranking[release]
        attack = column.removesuffix("_tpr_at_fpr_01")
        found.append(row.tpr_of[attack] if attack in row.tpr_of and attack != column else row[column])
    folds = rankings[0].about["num_folds"] if found[0].kind == STUDENT else None
    return over_pools(found, folds, level)


def of_networks(ranking: Ranking, release: str) -> np.ndarray:
    """Return the strongest attack's advantage on each network, ``(M,)``."""
    return ranking.advantages[[row.release for row in ranking].index(release)]


def paired(rankings: Sequence[Ranking], first: str, second: str, level: float = LEVEL) -> Interval:
    """Return by how much the strongest attack finds more in one release than in another, paired by network.

    Both are of the same networks: what these have in common cancels.
    """
    folds = rankings[0].about["num_folds"]
    differences = [of_networks(one, first) - of_networks(one, second) for one in rankings]
    return over_pools([mean_over_networks(values, folds) for values in differences], folds, level)


def performs_better(rankings: Sequence[Ranking], first: str, second: str, level: float = LEVEL) -> Interval:
    """Return by how much one release performs better than another, paired by network and by held-out example."""
    found = []
    for ranking in rankings:
        names = [row.release for row in ranking]
        one, other = (ranking.performances[names.index(name)] for name in (first, second))
        difference = Performance(
            of_networks=one.of_networks - other.of_networks, of_examples=one.of_examples - other.of_examples
        )
        found.append(difference.interval(LEVEL))
    return over_pools(found, None, level)


def less(first: Interval, second: Interval) -> Interval:
    """Return a difference from the ends of both, right however they depend on each other.

    Its level is what both have together: at levels of 0.975 it is 0.95.
    """
    return Interval(
        lower=first.lower - second.upper,
        value=first.value - second.value,
        upper=first.upper - second.lower,
        kind=first.kind,
        level=first.level + second.level - 1.0,
    )


def ratio(first: Interval, second: Interval) -> Interval | None:
    """Return a ratio of two quantities that are not negative, from the ends of both; None where the second may be 0.

    Examples
    --------
    >>> half, one = (Interval.point(value, "exact") for value in (0.5, 1.0))
    >>> ratio(half, one).value
    0.5
    """
    if second.lower <= 0.0:
        return None
    return Interval(
        lower=max(first.lower, 0.0) / second.upper,
        value=max(first.value, 0.0) / second.value,
        upper=max(first.upper, 0.0) / second.lower,
        kind=first.kind,
        level=first.level + second.level - 1.0,
    )


# Theirs beside ours.


class Published(NamedTuple):
    """A number: of which release, in which column of ours, with where it stands."""

    release: str
    column: str
    value: float
    source: str


def with_theirs(row: Mapping[str, Any], published: Iterable[Published]) -> dict[str, Any]:
    """Return a row with what was published of its release: theirs, ours less theirs, whether inside our interval."""
    found = dict(row)
    for theirs in published:
        ours = row.get(theirs.column)
        if theirs.release == row["release"] and ours is not None:
            found[f"{theirs.column}_theirs"] = theirs.value
            found[f"{theirs.column}_difference"] = ours.value - theirs.value
            found[f"{theirs.column}_inside"] = bool(ours.lower <= theirs.value <= ours.upper)
    return found


def beside(published: Iterable[Published], rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return each published number with ours of the same release and column, by experiment."""
    return [
        {
            "what": f"{theirs.release}: {theirs.column}",
            "theirs": theirs.value,
            "ours": {
                row["experiment"]: row[theirs.column]
                for row in rows
                if row["release"] == theirs.release and row.get(theirs.column) is not None
            },
            "source": theirs.source,
        }
        for theirs in published
    ]


def point(row: Mapping[str, Any], x: str, y: str, label: str = "") -> dict[str, Any]:
    """Return where a row stands in a figure, from two columns of intervals, with their ends."""
    ends = {"": "value", "_lower": "lower", "_upper": "upper"}
    found = {f"{axis}{end}": getattr(row[name], field) for axis, name in (("x", x), ("y", y))
             for end, field in ends.items()}  # fmt: skip
    return {**found, "label": label}


def table_text(rows: Sequence[Mapping[str, Any]], names: Mapping[str, str]) -> str:
    """Return rows as lines in columns, ``names`` the heading of each column by its name; what is missing is empty."""
    lines = [["" if row.get(name) is None else number(row[name]) for name in names] for row in rows]
    return columns(list(names.values()), lines)


def pooled(rows: Sequence[Mapping[str, Any]], num_folds: int, level: float = LEVEL) -> list[dict[str, Any]]:
    """Return a row for each task, network and release: means over the pools, with the intervals of ``over_pools``.

    Plain numbers are averaged; what a pool is without, or intervals of other kinds, is left out.
    """
    groups: dict[tuple, list[Mapping[str, Any]]] = {}
    for row in rows:
        groups.setdefault((row["task"], row["model"], row["release"]), []).append(row)
    return [_mean_row(of_release, num_folds, level) for of_release in groups.values()]


def _mean_row(rows: Sequence[Mapping[str, Any]], num_folds: int, level: float) -> dict[str, Any]:
    found: dict[str, Any] = {**rows[0], "experiment": rows[0]["task"], "seed": None, "pools": len(rows)}
    folds = {STUDENT: num_folds, NORMAL: None}
    for name in [name for name in rows[0] if name not in ("experiment", "seed")]:
        values: list[Any] = [row.get(name) for row in rows]
        if all(isinstance(value, Interval) and value.kind in folds for value in values):
            found[name] = over_pools(values, folds[values[0].kind], level)
        elif all(isinstance(value, float) for value in values):
            found[name] = float(np.mean(values))
        elif any(value != values[0] for value in values) or isinstance(values[0], Interval):
            found[name] = None
    return found
