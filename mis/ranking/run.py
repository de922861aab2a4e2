"""Functions: train once, quantize many ways, attack, compare with theory; every part stored as soon as it is done."""

import csv
import json
import os
import platform
import re
import tempfile
import time
import warnings
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import jax
import numpy as np

from mis import __version__
from mis import quantizers as zoo
from mis.models import Model, any_options, check, takes_images
from mis.models import get as get_model
from mis.numerics.checks import (
    InputWarning,
    InvalidInput,
    confidence,
    integer,
    known,
    number,
    refuse,
)
from mis.populations import Population
from mis.populations import get as get_population
from mis.provenance import code, settings, versions
from mis.quantizers import Quantizer
from mis.ranking.agreement import agreement
from mis.ranking.answer import WITHIN, Answer, answer
from mis.ranking.columns import COLUMNS, header
from mis.ranking.compare import pairwise
from mis.ranking.derived import compared, predicted, stopped
from mis.ranking.early import early_stops
from mis.ranking.evidence import ATTACKS as SINGLE
from mis.ranking.evidence import refuse_unserved, served
from mis.ranking.measure import JOINED, Measurement, measure
from mis.ranking.networks import Networks
from mis.ranking.obtain import FEWEST_NETWORKS, Obtained, ShardsMissing, arrays_of, obtain, obtain_all
from mis.ranking.performance import Performance
from mis.ranking.progress import track
from mis.ranking.releases import Release, Several, all_parts, parse
from mis.ranking.row import Row
from mis.ranking.saving import refuse_replacing
from mis.ranking.spec import RATES, RankingSpec
from mis.ranking.table import table
from mis.store import fingerprint, make_folder
from mis.training import Learner, num_devices

__all__ = ["ATTACKS", "Ranking", "ShardsMissing", "rank"]


ATTACKS = (*SINGLE, *JOINED)

FEWEST_HELDOUT = 16
QUICK_NETWORKS, NETWORKS = 64, 512

# Packages whose versions decide what is measured.
BELOW = ("jax", "jaxlib", "numpy", "scipy", "scikit-learn")


@dataclass(frozen=True, kw_only=True, eq=False)
class Ranking(Sequence[Row]):
    """Releases in the order of what the strongest attack on each finds, least first: a sequence of rows.

    ``ranking["sign"]`` and ``ranking[0]`` are rows, ``ranking["sign"].advantage`` is an ``Interval``.

    Parameters
    ----------
    rows
        One record per quantizer.
    advantages
        The strongest attack's advantage on each network, ``(quantizers, M)``, in the order of ``rows``.
    performances
        Performance of each, by network and by held-out example, in the order of ``rows``.
    stops
        Steps and measurement of full precision stopped early, fewest steps first; none if not asked for.
    about
        Spec, versions, device, times, excluded networks.
    """

    rows: tuple[Row, ...]
    advantages: np.ndarray
    performances: tuple[Performance, ...]
    stops: tuple[tuple[int, Measurement], ...] = ()
    about: dict[str, Any] = field(default_factory=dict)

    def __repr__(self) -> str:
        found = ", ".join(f"{row.release} {row.advantage.value:.3f}" for row in self.rows)
        return f"Ranking({self.about.get('task', '')}: {found})"

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, place: Any) -> Any:
        if not isinstance(place, str):
            return self.rows[place]
        known("Ranking", "release", place, [row.release for row in self.rows])
        return next(row for row in self.rows if row.release == place)

    def __contains__(self, item: object) -> bool:
        return item in self.rows or item in [row.release for row in self.rows]

    def table(self, width: int | None = None) -> str:
        """Return the tables and the answer as text, in lines of ``width``; that of the terminal if None, else 80."""
        return table(self.rows, self.agreement(), self.about, self.choice(), width=width)

    def answer(self, within: float | None = None) -> str:
        """Return in words what somebody can do who has to release a model; see ``choice``."""
        return str(self.choice(within))

    def choice(self, within: float | None = None) -> Answer:
        """Return the answer as a record: the least leaking release within a loss of performance, and what else holds.

        Parameters
        ----------
        within
            Loss of performance against full precision that is accepted; that of ``rank`` if None.
        """
        return answer(
            [row.release for row in self.rows],
            self.advantages,
            self.performances,
            [(steps, one.row.performance.value, one.advantages) for steps, one in self.stops],
            num_folds=self.about["num_folds"],
            within=self.about["within"] if within is None else within,
            level=self.about["level"],
        )

    def agreement(self) -> list[dict[str, Any]]:
        """Return how far each indicator orders the quantizers as the advantage does; see ``mis.ranking.agreement``."""
        return self._agreement

    @cached_property
    def _agreement(self) -> list[dict[str, Any]]:
        records = [row.record() for row in self.rows]
        return agreement(records, self.advantages, level=self.about.get("level", 0.95))

    def pairs(self) -> list[dict[str, Any]]:
        """Return which quantizers can be told apart, paired by network; see ``mis.ranking.compare.pairwise``."""
        names = [row.release for row in self.rows]
        return pairwise(
            names, self.advantages, num_folds=self.about.get("num_folds"), level=self.about.get("level", 0.95)
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

        rows = [row.record() for row in self.rows]
        return ranking_figure(rows, self.agreement(), self.about, width=width, style=style)

    def save(self, folder: str | os.PathLike[str], replace: bool = False) -> None:
        """Write ``ranking`` as .csv and .json into a folder, then as figure (.pdf, .png, .svg, caption in .txt).

        Where the figure fails there is a warning; the numbers are written by then.

        Raises
        ------
        InvalidInput
            Where the folder holds another ranking, unless ``replace``.
        """
        folder = Path(folder)
        refuse_replacing("Ranking.save", folder, self.about.get("asked"), replace=replace)
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
            writer = csv.DictWriter(file, header())
            writer.writeheader()
            writer.writerows(
                [{k: "" if v is None else v for k, v in row.record().items()} for row in self.rows]
            )
        document = {
            **self.about,
            "agreement": self.agreement(),
            "pairs": self.pairs(),
            "answer": {**self.choice().to_json(), "text": self.answer()},
            "rows": [row.to_json() for row in self.rows],
        }
        text = json.dumps(document, indent=1, default=float) + "\n"
        (folder / "ranking.json").write_text(text, encoding="utf-8")


def rank(
    task: str | os.PathLike[str] | Population,
    releases: Sequence[str | Quantizer | Release | Several] | None = None,
    *,
    num_networks: int | None = None,
    seed: int = 0,
    out: str | os.PathLike[str] | None = None,
    replace: bool = False,
    quick: bool = False,
    shard: tuple[int, int] = (1, 1),
    fresh: bool = False,
    pool: int | None = None,
    model: str | Model = "mlp",
    num_steps: int | None = None,
    batch_size: int = 64,
    optimiser: str = "adam",
    learning_rate: float | None = None,
    weight_decay: float = 0.0,
    initialisation: str = "fixed",
    attacks: Sequence[str] | None = None,
    early: bool = False,
    within: float = WITHIN,
    num_folds: int = 8,
    level: float = 0.95,
    progress: bool = False,
    **options: Any,
) -> Ranking:
    """Rank quantizers by the privacy of what they release, on one task.

    An ensemble of networks, each trained in full precision on a random half of one pool, is quantized in every way
    asked for. For each quantizer the strongest attacks are fitted and measured on different networks, all quantized
    alike, and set beside what theory says without attacking.

    Parameters
    ----------
    task
        Name of a population, path of an ``.npz`` file with ``features`` (N, d) and ``target`` (N,), or a population.
    releases
        What is published: names, quantizers or ``Release``; the default set if None. ``qat:uniform-4`` is trained
        through the quantizer, ``tune-100:prune-90`` fine-tuned after it, ``stop-150`` full precision stopped early,
        ``exact-vectors:sign`` leaves biases as they are, ``sign/uniform-4`` publishes both of each network; see
        ``mis.ranking.releases``. Full precision is always measured too: predictions start from it.
    num_networks
        Number of networks, at least 32; 512 if None, 64 if ``quick``.
    seed
        Decides everything random.
    out
        Folder for results and for the trained networks, which later calls with the same spec reuse; None keeps
        nothing. A folder that holds the results of another ranking is refused.
    replace
        Write over another ranking's results in ``out``; its networks stay.
    quick
        Attacks with fewer networks reach at least what is printed, and more find more; wider intervals too.
    shard
        ``(i, n)``: train only the i-th of n parts; the call that finds all parts done makes the ranking.
    fresh
        Ignore and replace what ``out`` holds for this spec.
    pool
        Examples in the pool; if None 512, or of a small task what leaves 128 held out, but at least half.
    model
        The network: a name in ``mis.models.MODELS``, a ``Model``, of which ``mis.models.Functions`` is anyone's own, or
        ``FILE.py:NAME``, see ``mis.models.load``.
    num_steps, batch_size, optimiser, learning_rate, weight_decay, initialisation
        How each network is trained, see ``Learner``; 600 steps if None, 300 of a convolutional network;
        learning rate 1e-3 for regression and 3e-3 for classification if None.
    attacks
        Names in ``ATTACKS``; ``lira``, ``lira_loss`` (where it differs), ``lira_decoded`` (on weights decoded from
        their cells), ``whitebox`` and ``combined`` if None. ``combined`` joins all the others; the advantage is that
        of the strongest, chosen on other networks.
    early
        Also train full-precision ensembles with fewer steps, and set beside each quantizer what the one that performs
        as well leaks: column ``early``. Doubles the time.
    within
        Loss of performance against full precision that is accepted of a release to choose.
    num_folds
        Folds of the cross-fitted attacks.
    level
        Level of all intervals.
    progress
        Show progress on stderr.
    **options
        Fields of the network's spec, e.g. ``width`` and ``depth`` of ``mlp``, and of the population's, e.g.
        ``num_modes`` and ``separation`` of ``modes``.

    Returns
    -------
    Ranking

    Raises
    ------
    InvalidInput
        Where an argument cannot be right, or ``out`` holds another ranking, before anything is computed.
    ShardsMissing
        Where other shards are not done yet.

    Warns
    -----
    InputWarning
        Where the data may be meant otherwise than they are taken.

    Examples
    --------
    >>> ranking = rank("breast-cancer", ["sign"], num_networks=32, num_steps=50, pool=64)
    >>> sorted(row.release for row in ranking)
    ['full', 'sign']
    >>> ranking["sign"].advantage.kind
    'attack'
    """
    started = time.time()
    # Before anything starts JAX.
    num_devices()
    if not isinstance(task, str | os.PathLike | Population):
        raise refuse("rank", "task", "a name, a path or a population", task)
    of_model = {name: options.pop(name) for name in any_options() if name in options}
    if options and isinstance(task, Population):
        raise InvalidInput(f"rank: expected options within the population, got also {', '.join(options)}.")
    population = task if isinstance(task, Population) else get_population(task, **options)
    if takes_images(model):
        population = population.as_images()
    network = get_model(model, population.shape, population.num_classes, **of_model)
    chosen = _releases(releases)
    named = _attacks(attacks, population)
    if num_networks is None:
        num_networks = QUICK_NETWORKS if quick else NETWORKS
    num_networks = integer("rank", "num_networks", num_networks, at_least=FEWEST_NETWORKS)
    num_folds = integer("rank", "num_folds", num_folds, at_least=3, at_most=num_networks // 4)
    level = confidence("rank", level, statements=1000)
    if number("rank", "within", within) < 0.0:
        raise refuse("rank", "within", "at least 0", within)
    part, parts = shard
    integer("rank", "shard", parts, at_least=1)
    integer("rank", "shard", part, at_least=1, at_most=parts)
    if fresh and parts > 1:
        raise InvalidInput("rank: expected fresh without shard, one shard would erase what the others did.")
    default_rate = RATES["regression" if population.num_classes is None else "classification"]
    learner = Learner(
        optimiser=optimiser,
        learning_rate=default_rate if learning_rate is None else learning_rate,
        num_steps=network.default_steps if num_steps is None else num_steps,
        batch_size=batch_size,
        weight_decay=weight_decay,
        initialisation=initialisation,
    )
    spec = RankingSpec(
        population=population,
        learner=learner,
        pool=pool if pool is not None else population.default_pool,
        model=network,
        seed=seed,
    )
    split = population.split(seed, spec.pool)
    check(network, split.pool.features)
    for release in chosen:
        release.check(network, spec.pool // 2)
    # All of them before anything is trained: what cannot be is refused here.
    asked_of = {part: part.networks(spec) for part in all_parts(chosen)}
    split = split.reshaped(network.take)
    if len(split.heldout) < FEWEST_HELDOUT:
        raise InvalidInput(
            f"rank: expected at least {FEWEST_HELDOUT} examples outside the pool, got {len(split.heldout)}; "
            f"pool={spec.pool} is too large for {population.name}."
        )
    asked = {
        "task": population.name,
        "data": fingerprint(*arrays_of(split)),
        "model": network.name,
        **network.options(),
        **{name: getattr(spec, name) for name in ("pool", "seed")},
        **asdict(learner),
        **{
            "num_networks": num_networks,
            "num_folds": num_folds,
            "level": level,
            "attacks": named,
            "early": early,
        },
        "releases": [release.name for release in chosen],
        **settings(),
    }
    if out is not None:
        refuse_replacing("rank", out, asked, replace=replace)
    if population.doubt:
        warnings.warn(population.doubt, InputWarning, stacklevel=2)
    obtained = partial(
        obtain,
        split=split,
        num_networks=num_networks,
        num_folds=num_folds,
        level=level,
        attacks=named,
        out=out,
        fresh=fresh,
        shard=(part, parts),
        progress=progress,
    )
    main = obtained(spec)
    all_of, excluded = obtain_all(asked_of, main, obtained)
    trained = time.time()
    measured = list(_measured(main, chosen, progress, all_of))
    stops = _stops(spec, measured[0], obtained) if early else ()
    advantages = np.stack([found.advantages for found in measured])
    rows = compared(predicted(measured, all_of[chosen[0].parts[0]], chosen), advantages, num_folds, level)
    rows = [stopped(row, stops) for row in rows]
    order = np.argsort([row.advantage.value for row in rows], kind="stable")
    about = {
        "task": population.name,
        "source": population.source,
        "spec": {
            "population": {"name": population.name, **asdict(population)},
            "learner": asdict(learner),
            "model": {"name": network.name, **network.options()},
            "pool": spec.pool,
            "seed": seed,
        },
        "num_networks": num_networks,
        "num_folds": num_folds,
        "level": level,
        "hash": main.key,
        "excluded": excluded,
        "classes": population.num_classes,
        "model": f"{network.name}, {network.summary}",
        "performance": "R2" if population.num_classes is None else "accuracy",
        "heldout": len(split.heldout),
        "device": f"{jax.devices()[0].device_kind} x {jax.local_device_count()} ({platform.machine()})",
        "doubt": population.doubt,
        "asked": asked,
        "versions": {"mis": __version__, **versions(*BELOW)},
        "code": code(),
        "early_stops": [{"steps": steps, **stop.row.to_json()} for steps, stop in stops],
        "within": within,
        "local": local if isinstance(local := main.networks.local, str) else "applies",
        "seconds": {"training": trained - started, "measuring": time.time() - trained},
    }
    ranking = Ranking(
        rows=tuple(rows[i] for i in order),
        advantages=advantages[order],
        performances=tuple(measured[i].performance for i in order),
        stops=stops,
        about=about,
    )
    if out is not None:
        ranking.save(out, replace)
    return ranking


def _releases(asked: Sequence[Any] | None) -> list[Release | Several]:
    if isinstance(asked, str):
        asked = asked.split(",")
    found = [parse(one) for one in (zoo.DEFAULT if asked is None else asked)]
    if not found:
        raise InvalidInput("rank: expected at least one release, got none.")
    # Once each, in the order given, full precision first.
    chosen = list(dict.fromkeys([Release(), *found]))
    names = [release.name for release in chosen]
    for name in names:
        if names.count(name) > 1:
            raise InvalidInput(f"rank: expected releases of different names, got {name} for two that differ.")
    return chosen


def _attacks(asked: Sequence[str] | None, population: Population) -> tuple[str, ...]:
    if asked is None:
        regression = population.num_classes is None
        return ("lira", *(("lira_loss",) if regression else ()), "lira_decoded", "whitebox", "combined")
    asked = asked.split(",") if isinstance(asked, str) else list(asked)
    names = tuple(dict.fromkeys(name.strip().replace("-", "_") for name in asked))
    if not names:
        raise InvalidInput("rank: expected at least one attack, got none.")
    if "all" in names:
        names = tuple(name for name in ATTACKS if name in JOINED or served(name, population.num_classes))
    for name in names:
        refuse_unserved(name, population.num_classes)
    return names


def _measured(
    obtained: Obtained,
    chosen: Sequence[Release | Several],
    progress: bool,
    all_of: Mapping[Release, Networks],
) -> Iterator[Measurement]:
    """Measure releases in turn, or read what an earlier call with these networks measured."""
    networks, store = all_of[chosen[0].parts[0]], obtained.store
    asked = {
        "num_folds": networks.num_folds,
        "level": networks.level,
        "attacks": networks.attacks,
        "columns": list(COLUMNS),
    }
    # The code too: another version may measure otherwise what it finds trained.
    below = {"code": code(), **versions(*BELOW)}
    indices = networks.ensemble.indices
    arrays = ("advantages", "of_networks", "of_examples")

    def one(release):
        safe = re.sub("[^a-zA-Z0-9.-]", "_", release.name)
        name = f"row-{safe}-{fingerprint(release, asked, below, indices)}"
        stored = store.read(name, ["row", *arrays])
        if stored is None:
            found = measure([all_of[part] for part in release.parts], release)
            values = (found.advantages, found.performance.of_networks, found.performance.of_examples)
            stored = {"row": np.array(json.dumps(found.row.to_json(), default=float))}
            stored |= dict(zip(arrays, values, strict=True))
            store.write(name, **stored)
        return Measurement(
            row=Row.from_json(json.loads(str(stored["row"]))),
            advantages=stored["advantages"],
            performance=Performance(of_networks=stored["of_networks"], of_examples=stored["of_examples"]),
        )

    # Two at a time: one compiles or fits on the host while the other computes.
    workers, wait = ThreadPoolExecutor(max_workers=2), True
    try:
        both = zip(track(chosen, "releases", progress), workers.map(one, chosen), strict=True)
        yield from (result for _, result in both)
    except KeyboardInterrupt:
        # Who interrupts does not wait for what has begun.
        wait = False
        raise
    finally:
        workers.shutdown(wait=wait, cancel_futures=True)


def _stops(spec, full: Measurement, obtained) -> tuple[tuple[int, Measurement], ...]:
    """Measure full precision at each early stop; the last stop is no stop at all."""
    found = []
    for learner in early_stops(spec.learner):
        # Not sharded: only the process that makes the table gets here.
        networks = obtained(replace(spec, learner=learner), shard=(1, 1))
        full_only = {Release(): networks.networks}
        found.append((learner.num_steps, next(_measured(networks, [Release()], False, full_only))))
    return (*found, (spec.learner.num_steps, full))
