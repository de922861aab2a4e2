"""Train once, quantize many ways, attack, compare with theory; every part stored as soon as it is done."""

import json
import os
import re
import time
import warnings
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import fields, replace
from functools import partial
from typing import Any

import numpy as np

from mis.models import Model
from mis.numerics.checks import InputWarning, InvalidInput, integer
from mis.populations import Population
from mis.provenance import code, versions
from mis.quantizers import Quantizer
from mis.ranking.asked import BELOW, OF_LEARNER, about, asked_for, attacks_of, cut, releases_of, specs
from mis.ranking.columns import COLUMNS
from mis.ranking.derived import compared, predicted, stopped
from mis.ranking.early import early_stops
from mis.ranking.measure import Measurement, measure, publish_together, together
from mis.ranking.networks import Networks
from mis.ranking.performance import Performance
from mis.ranking.progress import track
from mis.ranking.protocol import Protocol, taking
from mis.ranking.published import Published
from mis.ranking.ranking import Ranking
from mis.ranking.releases import Release, Several, all_parts
from mis.ranking.row import Row
from mis.ranking.saving import refuse_replacing
from mis.ranking.trained import ShardsMissing, TrainedNetworks, train_or_load, train_or_load_all
from mis.store import fingerprint
from mis.training import num_devices

__all__ = ["ShardsMissing", "rank"]


@taking(fields(Protocol) + OF_LEARNER, depends=("num_networks", "num_steps", "learning_rate"))
def rank(
    task: str | os.PathLike[str] | Population,
    releases: Sequence[str | Quantizer | Release | Several] | None = None,
    *,
    model: str | Model = "mlp",
    out: str | os.PathLike[str] | None = None,
    replace: bool = False,
    fresh: bool = False,
    shard: tuple[int, int] = (1, 1),
    progress: bool = False,
    **options: Any,
) -> Ranking:
    """Rank releases by how much they tell about the examples that the networks were trained on.

    An ensemble of networks, each trained in full precision on a random half of one pool, is quantized in every way
    asked for. For each release the strongest attacks are fitted and measured on different networks, all released
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
    model
        The network: a name in ``mis.models.MODELS``, a ``Model``, of which ``mis.models.Functions`` is anyone's own, or
        ``FILE.py:NAME``, see ``mis.models.load``.
    out
        Folder for results and for the trained networks, which later calls with the same spec reuse; None keeps
        nothing. A folder that holds the results of another ranking is refused.
    replace
        Write over another ranking's results in ``out``; its networks stay.
    fresh
        Ignore and replace what ``out`` holds for this spec.
    shard
        ``(i, n)``: train only the i-th of n parts; the call that finds all parts done makes the ranking.
    progress
        Show progress on stderr.
    **options
        Fields by name: of ``mis.ranking.Protocol`` (networks and attacks), of ``mis.training.Learner`` (training;
        ``num_steps`` 600 if not given, 300 of a convolutional network; ``learning_rate`` 1e-3 for regression and 3e-3
        for classification), of the network, e.g. ``width`` and ``depth`` of ``mlp``, and of the population, e.g.
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
    protocol, spec = specs(task, model, options)
    chosen = releases_of(releases, controls=protocol.controls)
    attacks = attacks_of(protocol.attacks, spec.population)
    part, parts = shard
    integer("rank", "shard", parts, at_least=1)
    integer("rank", "shard", part, at_least=1, at_most=parts)
    if fresh and parts > 1:
        raise InvalidInput("rank: expected fresh without shard, one shard would erase what the others did.")
    # All of them before anything is trained: what cannot be is refused here.
    split = cut(spec)
    for release in chosen:
        release.check(spec.model, spec.pool // 2, len(split.heldout))
    asked_of = {part: part.networks(spec) for part in all_parts(chosen)}
    asked = asked_for(spec, split, protocol, attacks, chosen)
    if out is not None:
        refuse_replacing("rank", out, asked, replace=replace)
    if spec.population.doubt:
        warnings.warn(spec.population.doubt, InputWarning, stacklevel=2)
    networks_of = partial(
        train_or_load,
        split=split,
        num_networks=protocol.num_networks,
        num_folds=protocol.num_folds,
        level=protocol.level,
        attacks=attacks,
        out=out,
        fresh=fresh,
        shard=(part, parts),
        progress=progress,
    )
    main = networks_of(spec)
    all_of, excluded = train_or_load_all(asked_of, main, networks_of)
    trained = time.time()
    measured = list(_measured(main, chosen, progress, all_of))
    stops = _stops(spec, measured[0], networks_of) if protocol.early or protocol.controls else ()
    advantages = np.stack([found.advantages for found in measured])
    rows = compared(
        predicted(measured, all_of[chosen[0].parts[0]], chosen),
        advantages,
        protocol.num_folds,
        protocol.level,
    )
    rows = [stopped(row, stops) for row in rows]
    order = np.argsort([row.advantage.value for row in rows], kind="stable")
    ranking = Ranking(
        rows=tuple(rows[i] for i in order),
        advantages=advantages[order],
        performances=tuple(measured[i].performance for i in order),
        stops=stops,
        about={
            **about(main, protocol, excluded),
            "asked": asked,
            "early_stops": [{"steps": steps, **stop.row.to_json()} for steps, stop in stops],
            "seconds": {"training": trained - started, "measuring": time.time() - trained},
        },
    )
    if out is not None:
        ranking.save(out, replace)
    return ranking


def _measured(
    main: TrainedNetworks,
    chosen: Sequence[Release | Several],
    progress: bool,
    all_of: Mapping[Release, Networks],
) -> Iterator[Measurement]:
    """Measure releases in turn, or read what an earlier call with these networks measured."""
    networks, store = all_of[chosen[0].parts[0]], main.store
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

    def name(release):
        safe = re.sub("[^a-zA-Z0-9.-]", "_", release.name)
        return f"row-{safe}-{fingerprint(release, asked, below, indices)}"

    def stored(release):
        return store.read(name(release), ["row", *arrays])

    published: dict[Release | Several, list[Published]] = {}

    def publish(group):
        missing = [release for release in group if stored(release) is None]
        if missing:
            published.update(zip(missing, publish_together(all_of, missing), strict=True))

    def one(release, begun):
        begun.result()
        row = stored(release)
        if row is None:
            # Taken out: nothing that was measured is held longer.
            found = measure(published.pop(release), release)
            values = (found.advantages, found.performance.of_networks, found.performance.of_examples)
            row = {"row": np.array(json.dumps(found.row.to_json(), default=float))}
            row |= dict(zip(arrays, values, strict=True))
            store.write(name(release), **row)
        return Measurement(
            row=Row.from_json(json.loads(str(row["row"]))),
            advantages=row["advantages"],
            performance=Performance(of_networks=row["of_networks"], of_examples=row["of_examples"]),
        )

    # Two at a time: one compiles or fits on the host while the other computes. The next group is published while
    # one is measured.
    workers, wait = ThreadPoolExecutor(max_workers=2), True
    try:
        groups, found = together(networks, chosen), []
        begun = workers.submit(publish, groups[0])
        for group, following in zip(groups, [*groups[1:], []], strict=True):
            before, begun = begun, workers.submit(publish, following)
            found += [workers.submit(one, release, before) for release in group]
        for _, result in zip(track(chosen, "releases", progress), found, strict=True):
            yield result.result()
    except KeyboardInterrupt:
        # Who interrupts does not wait for what has begun.
        wait = False
        raise
    finally:
        workers.shutdown(wait=wait, cancel_futures=True)


def _stops(spec, full: Measurement, networks_of) -> tuple[tuple[int, Measurement], ...]:
    """Measure full precision at each early stop; the last stop is no stop at all."""
    found = []
    for learner in early_stops(spec.learner):
        # Not sharded: only the process that makes the table gets here.
        networks = networks_of(replace(spec, learner=learner), shard=(1, 1))
        full_only = {Release(): networks.networks}
        found.append((learner.num_steps, next(_measured(networks, [Release()], False, full_only))))
    return (*found, (spec.learner.num_steps, full))
