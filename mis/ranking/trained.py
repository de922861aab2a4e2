"""The networks of a ranking, trained where the store lacks them, in shards if asked."""

import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from os import PathLike
from pathlib import Path

import numpy as np

from mis.models import Functions
from mis.numerics.checks import InvalidInput
from mis.populations import Split
from mis.provenance import code, settings, versions
from mis.ranking.networks import Networks
from mis.ranking.progress import track
from mis.ranking.protocol import FEWEST_NETWORKS
from mis.ranking.releases import Release
from mis.ranking.spec import RankingSpec
from mis.store import Store, fingerprint
from mis.training import CHUNK, Ensemble, joined, train_chunk, tune_chunk

__all__ = ["ShardsMissing", "TrainedNetworks", "arrays_of", "train_or_load", "train_or_load_all"]


# Networks stored at a time, runs that the indicators look at, and iterates kept of each; fewer of networks whose steps
# are no compiled loop, which take longer to train and to evaluate.
SMALL, LARGE = (CHUNK, 4, 30), (8, 2, 15)


class ShardsMissing(Exception):
    """Not an error: this shard is done, others are not, so there is no table yet."""


@dataclass(frozen=True, kw_only=True, eq=False)
class TrainedNetworks:
    """Networks, where they are stored, under which hash, and the names of those that diverged."""

    networks: Networks
    store: Store
    key: str
    excluded: list[str]


def train_or_load(
    spec: RankingSpec,
    split: Split,
    *,
    num_networks: int,
    num_folds: int,
    level: float,
    attacks: tuple[str, ...],
    out: str | PathLike[str] | None,
    fresh: bool,
    shard: tuple[int, int],
    progress: bool,
    base: Networks | None = None,
) -> TrainedNetworks:
    """Train what the store lacks, chunk by chunk, then load everything; arguments as in ``rank``.

    Fine-tuning starts from the networks of ``base``.
    """
    x, y = split.pool.features, split.pool.targets
    # Of what is not kept nobody asks for the name, and a network of a user's own may have none.
    nameless = out is None and isinstance(spec.model, Functions) and not spec.model.version
    key = "" if nameless else _key(spec, split)
    folder = None if out is None else Path(out) / "runs" / key
    store = Store(folder, fresh=fresh)
    chunk, runs, snapshots = _sizes(spec)
    numbers = {
        f"networks-{c:05d}": np.arange(c * chunk, (c + 1) * chunk) for c in range(-(-num_networks // chunk))
    }
    if base is not None:
        kept = base.ensemble.indices
        chunks = [all_of[np.isin(all_of, kept)] for all_of in numbers.values()]
        # Which they are stands in the name: with more networks in the base a later call has more in the last.
        numbers = {f"networks-{fingerprint(some)}": some for some in chunks if len(some)}
    part, parts = shard
    own = dict(list(numbers.items())[part - 1 :: parts])
    for name, indices in track(own.items(), "networks", progress):
        _train(store, name, indices, spec, x, y, start=None if base is None else base.ensemble)
    run_numbers = np.arange(runs) if base is None else base.trajectories.indices
    if part == 1:
        steps = spec.tuning.num_steps if spec.tuning else spec.learner.num_steps
        ends = None if base is None else _last(base.trajectories)
        _train(store, "trajectories", run_numbers, spec, x, y, min(snapshots, steps), start=ends)
    found = [_stored(store, name, indices, spec) for name, indices in numbers.items()]
    found.append(_stored(store, "trajectories", run_numbers, spec))
    loaded = [ensemble for ensemble in found if ensemble is not None]
    missing = len(found) - len(loaded)
    if missing:
        others = sum(1 for run in folder.parent.iterdir() if run != folder) if folder else 0
        hint = f" ({others} more runs lie beside it, of other options, settings or code)" if others else ""
        raise ShardsMissing(
            f"shard {part}/{parts} is done; {missing} parts of the other shards are not yet{hint}."
        )
    ensemble, trajectories = joined(loaded[:-1]), loaded[-1]
    ensemble = ensemble[ensemble.indices < num_networks]
    diverged = ensemble.indices[ensemble.diverged]
    ensemble, trajectories = ensemble[~ensemble.diverged], trajectories[~trajectories.diverged]
    if len(ensemble.indices) < max(FEWEST_NETWORKS, 2 * num_folds) or len(trajectories.indices) == 0:
        named = f"{', '.join(map(str, diverged[:8]))}{', …' if len(diverged) > 8 else ''}"
        raise InvalidInput(
            f"rank: expected networks that converge, but {len(diverged)} of {num_networks} diverged (numbers {named}); "
            f"lower the learning rate (learning_rate={spec.learner.learning_rate:g})."
        )
    networks = Networks(
        spec=spec,
        split=split,
        ensemble=ensemble,
        trajectories=trajectories,
        num_folds=num_folds,
        level=level,
        attacks=attacks,
    )
    return TrainedNetworks(
        networks=networks, store=store, key=key, excluded=[f"network {i}" for i in diverged]
    )


def train_or_load_all(
    asked: Mapping[Release, RankingSpec], main: TrainedNetworks, networks_of: Callable[..., TrainedNetworks]
) -> tuple[dict[Release, Networks], list[str]]:
    """Return the networks of every release, those of the ranking or others trained for it, and who is left out.

    All of the same numbers: where one diverged in one training, it takes part in none.

    Parameters
    ----------
    asked
        What the networks of each release are.
    main
        The networks of the ranking.
    networks_of
        ``train_or_load`` for this ranking.
    """
    of_training = {_training(main.networks.spec): main.networks}
    for spec in asked.values():
        base = replace(spec, tuning=None)
        # Not sharded: only the process that makes the table gets here.
        if _training(base) not in of_training:
            of_training[_training(base)] = networks_of(base, shard=(1, 1)).networks
        if _training(spec) not in of_training:
            tuned = networks_of(spec, shard=(1, 1), base=of_training[_training(base)])
            of_training[_training(spec)] = tuned.networks
    numbers = [one.ensemble.indices for one in of_training.values()]
    common = functools.reduce(np.intersect1d, numbers)
    if len(common) < max(FEWEST_NETWORKS, 2 * main.networks.num_folds):
        raise InvalidInput(
            f"rank: expected networks that converge in every training that the releases ask for, but only "
            f"{len(common)} do; lower the learning rate (learning_rate={main.networks.spec.learner.learning_rate:g})."
        )
    kept = {training: networks.only(common) for training, networks in of_training.items()}
    others = np.setdiff1d(functools.reduce(np.union1d, numbers), common)
    return (
        {release: kept[_training(spec)] for release, spec in asked.items()},
        list(dict.fromkeys([*main.excluded, *(f"network {i}" for i in others)])),
    )


def _training(spec: RankingSpec) -> tuple:
    """Return what tells the trainings of one ranking apart."""
    return spec.model, spec.learner, spec.tuning


def arrays_of(split: Split) -> tuple[np.ndarray, ...]:
    """Return the arrays of a split: with them in a key, the content of a file decides and not its path."""
    return split.pool.features, split.pool.targets, split.heldout.features, split.heldout.targets


def _sizes(spec: RankingSpec) -> tuple[int, int, int]:
    return SMALL if spec.model.compiled_loop else LARGE


def _key(spec: RankingSpec, split: Split) -> str:
    """Return the hash of all that decides the networks: data, spec, code, packages, JAX's settings, hardware."""
    below = {
        "code": code("training", "models", "numerics/seeds.py"),
        **versions("jax", "jaxlib", "numpy", "optax"),
        **settings(),
    }
    parts = {"sizes": _sizes(spec), "seed": spec.seed}
    tuned = [] if spec.tuning is None else [spec.tuning]
    return fingerprint(spec.model, spec.learner, *tuned, parts, below, *arrays_of(split))


def _last(trajectories: Ensemble) -> Ensemble:
    """Return the last iterates."""
    return replace(trajectories, params=[layer[:, -1] for layer in trajectories.params])


def _train(store, name, indices, spec, x, y, num_snapshots=0, start: Ensemble | None = None) -> None:
    if _stored(store, name, indices, spec) is None:
        data = {"features": x, "targets": y, "seed": spec.seed, "indices": indices}
        if start is None:
            trained = train_chunk(spec.model, spec.learner, num_snapshots=num_snapshots, **data)
        else:
            begin = [layer[np.searchsorted(start.indices, indices)] for layer in start.params]
            trained = tune_chunk(
                *(spec.model, spec.learner),
                **data,
                tuning=spec.tuning,
                begin=begin,
                num_snapshots=num_snapshots,
            )
        layers = {f"layer{i}": p for i, p in enumerate(trained.params)}
        # Who was trained on what is stored, not drawn again: NumPy may change its permutations one day.
        store.write(name, membership=trained.membership, **layers)


def _stored(store, name, indices, spec) -> Ensemble | None:
    layers = [f"layer{i}" for i in range(len(spec.model.shapes))]
    arrays = store.read(name, ["membership", *layers])
    if arrays is None:
        return None
    return Ensemble(
        params=[arrays[layer] for layer in layers], membership=arrays["membership"], indices=indices
    )
