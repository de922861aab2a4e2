"""Functions: train once, quantize many ways, attack, compare with theory; every part stored as soon as it is done."""

import csv
import json
import platform
import tempfile
import time
import warnings
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property, partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

import jax
import numpy as np

from mis import quantizers as zoo
from mis.attacks.crossfit import mean_over_models
from mis.numerics.checks import InvalidInput, UnsupportedSetting, integer, known, probability
from mis.populations import Population
from mis.populations import get as get_population
from mis.quantizers import Quantizer
from mis.ranking.agreement import agreement
from mis.ranking.black_box import BLACK_BOX
from mis.ranking.compare import given_performance, pairwise, tied
from mis.ranking.matched import early_stops, matched
from mis.ranking.measure import Networks, measure, put
from mis.ranking.obtain import FEWEST_MODELS, Obtained, ShardsMissing, obtain, track
from mis.ranking.spec import RATES, RankingSpec
from mis.ranking.table import table
from mis.store import fingerprint, make_folder
from mis.theory import predicted_advantage
from mis.training import Learner, num_devices

__all__ = ["ATTACKS", "COLUMNS", "Ranking", "ShardsMissing", "rank"]


def _ends(name: str) -> list[str]:
    return [f"{name}_lower", f"{name}_upper"]


# Those that everybody wants first, then the rest of the intervals.
COLUMNS = [
    *("quantizer", "bits", "zeros", "performance", *_ends("performance"), "train_performance"),
    *(
        "indicator",
        *_ends("indicator"),
        "num_candidates",
        "retained",
        *_ends("retained"),
        "retained_ensemble",
    ),
    *("predicted", "weight_error", "code_entropy", "lira", "whitebox", "advantage", *_ends("advantage")),
    *("tpr_at_fpr_01", *_ends("tpr_at_fpr_01"), "fpr_realised", "combined", *_ends("combined")),
    *(*_ends("lira"), "lira_loss", *_ends("lira_loss"), *_ends("whitebox")),
    *("lira_decoded", *_ends("lira_decoded"), "limit", *_ends("limit"), "local", *_ends("local")),
    *("indicator_naive", *_ends("predicted"), *_ends("retained_ensemble")),
    *("given_performance", *_ends("given_performance"), "tied_with"),
    *("matched", *_ends("matched"), "matched_steps"),
]

ATTACKS = (*BLACK_BOX, "lira_decoded", "whitebox", "combined")

FEWEST_HELDOUT = 16
QUICK_MODELS, MODELS = 64, 512


@dataclass(frozen=True, kw_only=True, eq=False)
class Ranking:
    """Quantizers in order of privacy, most private first.

    Parameters
    ----------
    rows
        One mapping per quantizer; the keys are ``COLUMNS``.
    advantages
        The strongest attack's advantage on each network, ``(quantizers, M)``, in the order of ``rows``.
    about
        Spec, versions, device, times, excluded networks.
    """

    rows: list[dict[str, Any]]
    advantages: np.ndarray
    about: dict[str, Any] = field(default_factory=dict)

    def table(self) -> str:
        """Return the tables as text."""
        return table(self.rows, self.agreement(), self.about)

    def agreement(self) -> list[dict[str, Any]]:
        """Return how far each indicator orders the quantizers as the advantage does; see ``mis.ranking.agreement``."""
        return self._agreement

    @cached_property
    def _agreement(self) -> list[dict[str, Any]]:
        return agreement(self.rows, self.advantages, level=self.about.get("level", 0.95))

    def pairs(self) -> list[dict[str, Any]]:
        """Return which quantizers can be told apart, paired by network; see ``mis.ranking.compare.pairwise``."""
        names = [row["quantizer"] for row in self.rows]
        return pairwise(
            names, self.advantages, num_folds=self.about.get("folds"), level=self.about.get("level", 0.95)
        )

    def figure(self, *, width: str | float = "double", style: str | Path | None = None) -> Any:
        """Return a matplotlib figure: privacy against performance, and indicators against advantage.

        Parameters
        ----------
        width
            ``"single"`` or ``"double"``, of a journal's columns; a number with its unit, as ``"84mm"``; or inches.
        style
            A matplotlib style sheet to be used on top of the project's.
        """
        from mis.figures import ranking_figure

        return ranking_figure(self.rows, self.agreement(), self.about, width=width, style=style)

    def save(self, folder: str | Path) -> None:
        """Write ``ranking`` as .csv and .json into a folder, then as figure (.pdf, .png, .svg, caption in .txt).

        Where the figure fails there is a warning; the numbers are written by then.
        """
        folder = Path(folder)
        make_folder("Ranking.save", folder)
        # Each file whole or not at all, also where two shards end at once.
        with tempfile.TemporaryDirectory(dir=folder, prefix=".") as draft:
            self._write(Path(draft))
            for path in Path(draft).iterdir():
                path.replace(folder / path.name)
        try:
            from mis.figures import save

            save(self.figure, folder, "ranking")
        except Exception as error:
            # Whatever it is, also a matplotlib that cannot be imported: hours of computing must not end in it.
            warnings.warn(f"{error} ranking.csv and ranking.json are written.", RuntimeWarning, stacklevel=2)

    def _write(self, folder):
        with open(folder / "ranking.csv", "w", newline="", encoding="utf-8") as file:
            extra = [name for name in self.rows[0] if name not in COLUMNS]
            writer = csv.DictWriter(file, [*COLUMNS, *extra], restval="")
            writer.writeheader()
            writer.writerows([{k: "" if v is None else v for k, v in row.items()} for row in self.rows])
        document = {**self.about, "agreement": self.agreement(), "pairs": self.pairs(), "rows": self.rows}
        (folder / "ranking.json").write_text(json.dumps(document, indent=1, default=float) + "\n")


def rank(
    task: str | Population,
    quantizers: Sequence[str | Quantizer] | None = None,
    *,
    models: int | None = None,
    seed: int = 0,
    out: str | Path | None = None,
    quick: bool = False,
    shard: tuple[int, int] = (1, 1),
    fresh: bool = False,
    pool: int | None = None,
    width: int = 32,
    depth: int = 1,
    steps: int = 600,
    batch: int = 64,
    optimiser: str = "adam",
    rate: float | None = None,
    weight_decay: float = 0.0,
    initialisation: str = "fixed",
    attacks: Sequence[str] | None = None,
    early: bool = False,
    folds: int = 8,
    level: float = 0.95,
    progress: bool = False,
    **task_options: Any,
) -> Ranking:
    """Rank quantizers by the privacy of what they release, on one task.

    An ensemble of networks, each trained in full precision on a random half of one pool, is quantized in every way
    asked for. For each quantizer the strongest attacks are fitted and measured on different networks, all quantized
    alike, and set beside what theory says without attacking.

    Parameters
    ----------
    task
        Name of a population, path of an ``.npz`` file with ``features`` (N, d) and ``target`` (N,), or a population.
    quantizers
        Names or specs; the default set if None. Full precision is always measured too: predictions start from it.
    models
        Number of networks, at least 32; 512 if None, 64 if ``quick``.
    seed
        Decides everything random.
    out
        Folder for results and for the trained networks, which later calls with the same spec reuse; None keeps
        nothing.
    quick
        Fewer networks, hence wider intervals; everything else alike.
    shard
        ``(i, n)``: train only the i-th of n parts; the call that finds all parts done makes the ranking.
    fresh
        Ignore and replace what ``out`` holds for this spec.
    pool
        Examples in the pool; 512 if None, or as many as the task has.
    width, depth, steps, batch, optimiser, rate, weight_decay, initialisation
        The network and the learner, see ``MLP`` and ``Learner``; rate 1e-3 for regression and 3e-3 for classification
        if None.
    attacks
        Names in ``ATTACKS``; ``lira``, ``lira_loss`` (where it differs), ``lira_decoded`` (on weights decoded from
        their cells), ``whitebox`` and ``combined`` if None. ``combined`` joins all the others; the advantage is that
        of the strongest, chosen on other networks.
    early
        Also train full-precision ensembles with fewer steps, and set beside each quantizer what the one that performs
        as well leaks: columns ``matched``. Doubles the time.
    folds
        Folds of the cross-fitted attacks.
    level
        Level of all intervals.
    progress
        Show progress on stderr.
    **task_options
        Fields of the population's spec, e.g. ``num_modes`` and ``separation`` of ``modes``.

    Returns
    -------
    Ranking

    Raises
    ------
    InvalidInput
        Where an argument cannot be right, before anything is computed.
    ShardsMissing
        Where other shards are not done yet.

    Examples
    --------
    >>> ranking = rank("breast-cancer", ["sign"], models=32, steps=50, pool=64)
    >>> sorted(row["quantizer"] for row in ranking.rows)
    ['full', 'sign']
    """
    started = time.time()
    # Before anything starts JAX.
    num_devices()
    if task_options and not isinstance(task, str):
        raise InvalidInput(
            f"rank: expected options within the population, got also {', '.join(task_options)}."
        )
    population = get_population(task, **task_options) if isinstance(task, str) else task
    chosen = _quantizers(quantizers)
    named = _attacks(attacks, population)
    if models is None:
        models = QUICK_MODELS if quick else MODELS
    models = integer("rank", "models", models, at_least=FEWEST_MODELS)
    folds = integer("rank", "folds", folds, at_least=3, at_most=models // 4)
    level = probability("rank", "level", level)
    part, parts = shard
    integer("rank", "shard", parts, at_least=1)
    integer("rank", "shard", part, at_least=1, at_most=parts)
    if fresh and parts > 1:
        raise InvalidInput("rank: expected fresh without shard, one shard would erase what the others did.")
    default_rate = RATES["regression" if population.num_classes is None else "classification"]
    learner = Learner(
        optimiser=optimiser,
        rate=default_rate if rate is None else rate,
        steps=steps,
        batch=batch,
        weight_decay=weight_decay,
        initialisation=initialisation,
    )
    spec = RankingSpec(
        population=population,
        learner=learner,
        pool=pool if pool is not None else min(512, population.largest_pool or 512),
        width=width,
        depth=depth,
        seed=seed,
    )
    split = population.split(seed, spec.pool)
    if len(split.heldout) < FEWEST_HELDOUT:
        raise InvalidInput(
            f"rank: expected at least {FEWEST_HELDOUT} examples outside the pool, got {len(split.heldout)}; "
            f"pool={spec.pool} is too large for {population.name}."
        )
    obtained = partial(
        obtain,
        split=split,
        models=models,
        num_folds=folds,
        level=level,
        attacks=named,
        out=out,
        fresh=fresh,
        shard=(part, parts),
        progress=progress,
    )
    main = obtained(spec)
    trained = time.time()
    measured = list(_measured(main, chosen, progress))
    rows, advantages = [row for row, _ in measured], np.stack([values for _, values in measured])
    _predict(rows, advantages, main.networks, chosen)
    _compare(rows, advantages, folds, level)
    stops = _match(rows, spec, obtained) if early else []
    order = np.argsort([row["advantage"] for row in rows], kind="stable")
    about = {
        "task": population.name,
        "spec": {**asdict(spec), "population": {"name": population.name, **asdict(population)}},
        "models": models,
        "folds": folds,
        "level": level,
        "hash": main.key,
        "excluded": main.excluded,
        "performance": "R2" if population.num_classes is None else "accuracy",
        "heldout": len(split.heldout),
        "device": f"{jax.devices()[0].device_kind} x {jax.local_device_count()} ({platform.machine()})",
        "versions": {name: version(name) for name in ("mis", "jax", "numpy", "scipy", "scikit-learn")},
        "early_stops": stops,
        "local": local if isinstance(local := main.networks.local, str) else "applies",
        "seconds": {"training": trained - started, "measuring": time.time() - trained},
    }
    ranking = Ranking(rows=[rows[i] for i in order], advantages=advantages[order], about=about)
    if out is not None:
        ranking.save(out)
    return ranking


def _quantizers(asked: Sequence[str | Quantizer] | None) -> list[Quantizer]:
    if isinstance(asked, str):
        asked = asked.split(",")
    specs = [
        zoo.parse(q.strip()) if isinstance(q, str) else q for q in (zoo.DEFAULT if asked is None else asked)
    ]
    if not specs:
        raise InvalidInput("rank: expected at least one quantizer, got none.")
    # Once each, in the order given, full precision first.
    return list(dict.fromkeys([zoo.Full(), *specs]))


def _attacks(asked: Sequence[str] | None, population: Population) -> tuple[str, ...]:
    if asked is None:
        regression = population.num_classes is None
        return ("lira", *(("lira_loss",) if regression else ()), "lira_decoded", "whitebox", "combined")
    asked = asked.split(",") if isinstance(asked, str) else list(asked)
    names = tuple(dict.fromkeys(name.strip().replace("-", "_") for name in asked))
    if not names:
        raise InvalidInput("rank: expected at least one attack, got none.")
    for name in names:
        known("rank", "attack", name, ATTACKS)
    if "rmia" in names and population.num_classes is None:
        raise UnsupportedSetting(
            "rank", "attack rmia compares probabilities of classes; the task is a regression."
        )
    return names


def _measured(
    obtained: Obtained, chosen: Sequence[Quantizer], progress: bool
) -> Iterator[tuple[dict[str, Any], np.ndarray]]:
    """Measure quantizers in turn, or read what an earlier call with these networks measured."""
    networks, store = obtained.networks, obtained.store
    # The version too: another one may measure otherwise what it finds trained.
    asked = {
        "folds": networks.num_folds,
        "level": networks.level,
        "attacks": networks.attacks,
        "mis": version("mis"),
    }
    suffix = fingerprint(asked, networks.ensemble.indices)

    def one(quantizer):
        name = f"row-{quantizer.name}-{suffix}"
        stored = store.read(name, ["row", "advantage"])
        if stored is None:
            row, advantage = measure(networks, quantizer)
            stored = {"row": np.array(json.dumps(row)), "advantage": advantage}
            store.write(name, **stored)
        return json.loads(str(stored["row"])), stored["advantage"]

    # Two at a time: one compiles or fits on the host while the other computes.
    with ThreadPoolExecutor(max_workers=2) as workers:
        both = zip(track(chosen, "quantizers", progress), workers.map(one, chosen), strict=True)
        yield from (result for _, result in both)


def _match(rows, spec, obtained) -> list[dict[str, Any]]:
    """Add what full precision leaks where it was stopped early and performs as well, in place; return the stops."""
    stops = []
    for stopped in early_stops(spec.learner):
        # Not sharded: only the process that makes the table gets here.
        networks = obtained(replace(spec, learner=stopped), shard=(1, 1))
        row, _ = next(_measured(networks, [zoo.Full()], False))
        stops.append({"steps": stopped.steps, **row})
    stops.append({"steps": spec.learner.steps, **next(row for row in rows if row["quantizer"] == "full")})
    for row in rows:
        row |= matched(row["performance"], stops)
    return stops


def _predict(rows: list[dict[str, Any]], advantages: np.ndarray, networks: Networks, chosen) -> None:
    """Add the level that the retained information predicts from the full-precision advantage, in place."""
    # Two intervals that hold together (Bonferroni): each errs half as often.
    level = (1.0 + networks.level) / 2.0
    place = next(i for i, row in enumerate(rows) if row["quantizer"] == "full")
    found = mean_over_models(advantages[place], networks.num_folds, level)
    lower, value, upper = (min(max(end, 0.0), 1.0) for end in (found.lower, found.value, found.upper))
    full = replace(found, lower=lower, value=value, upper=upper)
    for row, quantizer in zip(rows, chosen, strict=True):
        put(row, "predicted", predicted_advantage(networks.retained(quantizer, level), full))


def _compare(rows: list[dict[str, Any]], advantages: np.ndarray, folds: int, level: float) -> None:
    """Add what performance does not explain, and which quantizers cannot be told apart, in place."""
    names = [row["quantizer"] for row in rows]
    pairs = pairwise(names, advantages, num_folds=folds, level=level)
    performance, advantage = (np.array([row[name] for row in rows]) for name in ("performance", "advantage"))
    explained = given_performance(performance, advantage, level=level)
    for row, (lower, value, upper) in zip(rows, explained, strict=True):
        row["tied_with"] = " ".join(tied(pairs).get(row["quantizer"], []))
        for name, number in (("", value), ("_lower", lower), ("_upper", upper)):
            row[f"given_performance{name}"] = number if np.isfinite(number) else None
