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
from mis.ranking.progress import track
from mis.results import Interval
from mis.store import Store
from mis.works.text import columns, number

__all__ = [
    "Experiment",
    "Published",
    "beside",
    "each",
    "less",
    "of_networks",
    "over_pools",
    "paired",
    "ranked",
    "ratio",
    "rows_of",
    "table_text",
    "with_theirs",
]

LEVEL = 0.95


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


def ranked(
    experiments: Sequence[Experiment], store: Store, progress: bool = False
) -> list[tuple[Experiment, Ranking]]:
    """Run experiments in turn, each in a folder of its own beside the store, where it goes on after an interruption.

    The folders are not the store's: networks are kept by what decides them, and serve other settings and sizes too.
    """
    names = [one.name for one in experiments]
    if len(set(names)) < len(names):
        raise InvalidInput(f"ranked: expected experiments of different names, got {', '.join(names)}.")
    found = []
    for one in track(experiments, "rankings", progress):
        out = None if store.folder is None else store.folder.parent / "rankings" / one.name
        ranking = rank(
            one.task, one.releases, model=one.model, out=out, replace=True, progress=progress, **one.options
        )
        found.append((one, ranking))
    return found


def rows_of(experiment: Experiment, ranking: Ranking, names: Sequence[str]) -> list[dict[str, Any]]:
    """Return a row for each release with these columns, then each attack's advantage and TPR at 1% false positives."""
    found = []
    for row in ranking:
        one: dict[str, Any] = {
            "experiment": experiment.name,
            "task": experiment.task,
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
        Symmetric ones, of pools that share nothing: Student's with ``num_folds - 1`` degrees of freedom, or normal.
    num_folds
        As of the rankings; None for normal intervals.
    level
        Of the result.

    Notes
    -----
    Variances of independent means add; degrees of freedom by Welch and Satterthwaite. The mean over these pools is
    what is covered: pools differ by more than networks do, and new ones are not spoken of.

    Examples
    --------
    >>> one = Interval(lower=0.1, value=0.2, upper=0.3, kind="attack", level=0.95)
    >>> over_pools([one], 8) == one
    True
    >>> over_pools([one, one], 8).width < one.width
    True
    """
    degrees = np.inf if num_folds is None else num_folds - 1.0
    half = np.array([one.width / 2.0 for one in intervals])
    scale = np.array([stats.t.isf((1.0 - one.level) / 2.0, degrees) for one in intervals])
    variances = (half / scale) ** 2
    value = float(np.mean([one.value for one in intervals]))
    total = float(variances.sum())
    if total > 0.0 and np.isfinite(degrees):
        degrees = total**2 / float((variances**2).sum() / degrees)
    error = float(np.sqrt(total)) / len(intervals)
    wide = error * float(stats.t.isf((1.0 - level) / 2.0, degrees)) if error else 0.0
    if len(intervals) == 1 and level == intervals[0].level:
        # The same to the last digit.
        return intervals[0]
    return Interval(lower=value - wide, value=value, upper=value + wide, kind=intervals[0].kind, level=level)


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


def table_text(rows: Sequence[Mapping[str, Any]], names: Mapping[str, str]) -> str:
    """Return rows as lines in columns, ``names`` the heading of each column by its name; what is missing is empty."""
    lines = [["" if row.get(name) is None else number(row[name]) for name in names] for row in rows]
    return columns(list(names.values()), lines)
