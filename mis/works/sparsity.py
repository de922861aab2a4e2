"""*Can sparsity improve the privacy of neural networks?*, done again: kinds of pruning, at equal accuracy too."""

import functools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from mis import figures
from mis.numerics.checks import InvalidInput, integer, number, refuse
from mis.ranking import Ranking
from mis.ranking.early import early
from mis.results import Interval
from mis.store import Store
from mis.works.base import Study
from mis.works.ranked import (
    Experiment,
    accuracy,
    each,
    for_each_pool,
    less,
    of_column,
    over_pools,
    paired,
    performs_better,
    point,
    pooled,
    ranked,
    rows_of,
    table_text,
)
from mis.works.regression import clustered
from mis.works.verdicts import verdict

__all__ = ["METHODS", "Settings", "settings", "study"]

# A share of zeros, in percent, and the rounds of a fifth each that lead there, put into the name of a release.
METHODS = {
    "one-shot": "prune-{zeros}",
    "one-shot-tuned": "tune-100:prune-{zeros}",
    "iterative-rewound": "rounds-{rounds}:rewind-0:prune-{zeros}",
    "iterative": "rounds-{rounds}:tune-100:prune-{zeros}",
    "global-tuned": "tune-100:prune-{zeros}-global",
    "random-tuned": "tune-100:prune-{zeros}-random",
}
ROUND = 0.2
ATTACKS = ("trained", "lira", "lira_decoded", "whitebox", "combined")
# The published attacker: a classifier of a shadow's outputs.
THEIRS = "trained"
NAMES = {
    "release": "release", "zeros": "zeros", "performance": "accuracy", "defence_theirs": "defence, theirs",
    "defence": "defence, strongest", "early": "full, stopped",
}  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Frozen data: everything that decides a number.

    Parameters
    ----------
    seed
        Decides the pools and everything else random.
    task, model
        What the networks are trained on, with classes; the network.
    pools, networks
        Repetitions, each with a pool and networks of its own.
    methods
        Keys of ``METHODS``.
    rounds
        Numbers of rounds of a fifth of the remaining weights: how sparse the networks become, by all methods.
    steps
        Of training; 0 is the network's own.
    """

    seed: int = 0
    task: str = "digits"
    model: str = "mlp"
    pools: int = 10
    networks: int = 32
    methods: tuple[str, ...] = tuple(METHODS)
    rounds: tuple[int, ...] = (6, 10)
    steps: int = 200

    def __post_init__(self):
        integer("sparsity", "pools", self.pools, at_least=2)
        integer("sparsity", "networks", self.networks, at_least=32)
        integer("sparsity", "steps", self.steps, at_least=0)
        for rounds in self.rounds:
            if number("sparsity", "rounds", rounds) < 2:
                raise refuse("sparsity", "rounds", "at least 2", rounds)
        unknown = [name for name in self.methods if name not in METHODS]
        if unknown or not self.methods or not self.rounds:
            raise InvalidInput(
                f"sparsity: expected rounds, and methods among {', '.join(METHODS)}, "
                f"got {', '.join(unknown) or 'none'}."
            )

    def release(self, method: str, rounds: int) -> str:
        """Return the name of what a method makes when a fifth of the remaining weights goes in each of the rounds."""
        return METHODS[method].format(rounds=rounds, zeros=f"{100 * (1 - (1 - ROUND) ** rounds):.1f}")


def settings(size: str, seed: int, folder: str | None) -> Settings:  # noqa: ARG001
    """Return the settings of one of three sizes."""
    found = Settings(seed=seed)
    if size == "quick":
        return replace(found, pools=3)
    if size == "full":
        return replace(
            found, task="fashion-mnist", model="resnet-8", networks=64, rounds=(3, 6, 10, 15), steps=0
        )
    return found


def study(settings: Settings, store: Store, progress: bool) -> Study:
    """Prune, attack, and hold accuracy fixed."""
    found = ranked(experiments(settings), store, progress)
    rankings = [ranking for _, ranking in found]
    names = ("bits", "zeros", "performance", "train_performance", "advantage", "early")
    rows = [row for one, ranking in found for row in rows_of(one, ranking, names)]
    for row in rows:
        row |= {"defence": defence(row["advantage"]), "defence_theirs": defence(row[THEIRS])}
    folds = rankings[0].about["num_folds"]
    means = pooled(rows, folds)
    count = len(list(claims_of(settings, rankings, 0.95)))
    fits = [
        {"attack": who, "fit": fit, "name": name, "slope": slope}
        for attack, who in ATTACKERS.items()
        for fit, columns in FITS.items()
        for name, slope in clustered(*regressed(rankings, attack, columns)).items()
    ]
    stops = _stops(rankings, folds)
    return Study(
        rows=means + rows,
        verdicts=list(claims_of(settings, rankings, each(count))),
        published=[],
        text=_text(settings, means, fits, count),
        details={"regressions": fits, "stops": stops},
        figures={"defence-against-accuracy": functools.partial(_figure, settings, means, stops)},
    )


def experiments(settings: Settings) -> list[Experiment]:
    """Return one ranking for each pool."""
    releases = [settings.release(method, rounds) for method in settings.methods for rounds in settings.rounds]
    options = {
        "num_networks": settings.networks,
        "attacks": ATTACKS,
        "early": True,
        "num_steps": settings.steps,
    }
    return for_each_pool(
        settings.task, settings.model, releases, options, seed=settings.seed, pools=settings.pools
    )


def defence(advantage: Interval) -> Interval:
    """Return 1 less the accuracy of an attack on balanced sides."""
    right = accuracy(advantage)
    lower, value, upper = 1 - right.upper, 1 - right.value, 1 - right.lower
    return Interval(lower=lower, value=value, upper=upper, kind=right.kind, level=right.level)


# What explains the advantage of an attack; a point is a release of one pool, or dense networks stopped early there.
FITS = {"zeros alone": ("zeros",), "error alone": ("error",), "both": ("zeros", "error")}
ATTACKERS = {THEIRS: "the published attacker", "advantage": "the strongest attack"}


def regressed(
    rankings: Sequence[Ranking], attack: str, columns: Sequence[str]
) -> tuple[np.ndarray, dict[str, np.ndarray], np.ndarray]:
    """Return the advantage of each release on each pool, what explains it, and the pool."""
    rows = [
        (pool, row)
        for pool, ranking in enumerate(rankings)
        for row in [*ranking, *(stop.row for _, stop in ranking.stops[:-1])]
    ]
    values = {
        "zeros": np.array([row.zeros for _, row in rows]),
        "error": np.array([1.0 - row.performance.value for _, row in rows]),
    }
    found = np.array([row[attack].value for _, row in rows])
    return found, {name: values[name] for name in columns}, np.array([pool for pool, _ in rows])


def at_equal_accuracy(
    rankings: Sequence[Ranking], release: str, attack: str, level: float
) -> Interval | None:
    """Return by how much more an attack finds than in dense networks stopped where they perform as well; None if none.

    From the ends of both; that performances are estimated is not counted.
    """
    both, stopped = (1.0 + level) / 2.0, []
    for ranking in rankings:
        reached = [(steps, stop.row.performance.value, stop.row[attack]) for steps, stop in ranking.stops]
        found = early(ranking[release].performance.value, reached)
        if found is None:
            return None
        stopped.append(found[0])
    dense = over_pools(stopped, rankings[0].about["num_folds"], both)
    return less(of_column(rankings, release, attack, both), dense)


def _stops(rankings: Sequence[Ranking], folds: int) -> list[dict[str, Any]]:
    """Return what dense networks stopped early perform and leak, means over the pools."""
    found = []
    for several in zip(*(ranking.stops for ranking in rankings), strict=True):
        rows = [stop.row for _, stop in several]
        found.append(
            {
                "release": f"stop-{several[0][0]}",
                "performance": over_pools([row.performance for row in rows], None),
                "defence": defence(over_pools([row.advantage for row in rows], folds)),
                "defence_theirs": defence(over_pools([row.attacks[THEIRS] for row in rows], folds)),
            }
        )
    return found


def claims_of(settings: Settings, rankings: Sequence[Ranking], level: float) -> Iterator[dict[str, Any]]:
    """Yield a row for each claim, each at this level."""
    for attack, who in ATTACKERS.items():
        for columns, claim in (
            (("zeros",), "Sparser networks leak less"),
            (("zeros", "error"), "Sparser networks leak less than others of equal accuracy"),
        ):
            slope = clustered(*regressed(rankings, attack, columns), level=level)["zeros"]
            yield verdict(f"{claim}, to {who}.", "advantage by share of zeros, slope", slope, below=0.0)
    for rounds in settings.rounds:
        zeros = f"{100 * (1 - (1 - ROUND) ** rounds):.0f}% zeros"
        for method in settings.methods:
            for attack, who in ATTACKERS.items():
                apart = at_equal_accuracy(rankings, settings.release(method, rounds), attack, level)
                if apart is not None:
                    yield verdict(
                        f"{zeros}, {method}: leaks less to {who} than dense networks stopped at equal accuracy.",
                        "advantage less that at the stop",
                        apart,
                        below=0.0,
                    )
        known = {method: settings.release(method, rounds) for method in settings.methods}
        for method in ("iterative-rewound", "iterative", "random-tuned"):
            if method in known and "one-shot-tuned" in known:
                pair = known[method], known["one-shot-tuned"]
                gained = performs_better(rankings, *pair, level)
                reason = f"; accuracy gained {gained.value:.3g} [{gained.lower:.3g}, {gained.upper:.3g}]"
                found = verdict(
                    f"{zeros}, {method}: leaks more than pruned in one shot.",
                    "advantage, paired by network",
                    paired(rankings, *pair, level),
                    above=0.0,
                )
                yield found | {"rests_on": found["rests_on"] + reason, "accuracy_gained": gained}


def _text(
    settings: Settings, means: Sequence[dict[str, Any]], fits: Sequence[dict[str, Any]], count: int
) -> str:
    rows = sorted(means, key=lambda row: (row["zeros"], row["performance"].value))
    shown = {"attack": "advantage of", "fit": "explained by", "name": "", "slope": "slope"}
    return "\n\n".join(
        [
            f"{settings.task}, {settings.model}: {settings.pools} pools, {settings.networks} networks on each; means "
            f"over these pools, 95% intervals\n{table_text(rows, NAMES)}",
            "Advantage explained by the shares of zeros and of errors; an intercept for each pool, errors clustered "
            f"by pool;\ndense networks stopped early take part\n{table_text(fits, shown)}",
            "Defence is 1 less the accuracy of an attack: 0.5 is guessing. Theirs: a classifier of shadows' outputs; "
            "full, stopped: the\nadvantage of full precision stopped where it performs as well.\n"
            f"The {count} verdicts hold together with 95% confidence, for these pools, networks and attacks; those on "
            "slopes for such pools.",
        ]
    )


def _figure(
    settings: Settings, means: Sequence[dict[str, Any]], stops: Sequence[dict[str, Any]], **looks: Any
) -> Any:
    by_name = {row["release"]: row for row in means}
    titles = {"a classifier of shadows' outputs": "defence_theirs", "strongest attack": "defence"}
    panels = {
        title: {
            "dense, stopped early": [point(row, "performance", column) for row in stops],
            **{
                method: [
                    point(row, "performance", column, f"{100 * (1 - row['zeros']):.0f}")
                    for row in (by_name[settings.release(method, rounds)] for rounds in settings.rounds)
                ]
                for method in settings.methods
            },
        }
        for title, column in titles.items()
    }
    return figures.tradeoffs(
        panels,
        axes_labels=dict.fromkeys(titles, ("accuracy", "defence: 1 less attack accuracy")),
        caption=(
            f"Defence against accuracy on {settings.task}, numbers are percent of weights that are not zero: means "
            f"over {settings.pools} pools of {settings.networks} networks. Dense networks stopped early show what "
            "accuracy alone would do. Bars are 95% intervals, pointwise."
        ),
        **looks,
    )
