"""What was asked of a ranking, read, checked, and recorded beside its numbers."""

import os
import platform
from collections.abc import Sequence
from dataclasses import asdict, fields, replace
from typing import Any

import jax

from mis import __version__
from mis import quantizers as zoo
from mis.models import any_options, check, takes_images
from mis.models import get as get_model
from mis.numerics.checks import InvalidInput, refuse
from mis.populations import Population, Split
from mis.populations import get as get_population
from mis.provenance import code, settings, versions
from mis.quantizers import NoiseLike
from mis.ranking.evidence import ATTACKS as SINGLE
from mis.ranking.evidence import refuse_unserved, served
from mis.ranking.measure import JOINED
from mis.ranking.protocol import Protocol
from mis.ranking.releases import FULL, Release, Several, parse
from mis.ranking.spec import RATES, RankingSpec
from mis.ranking.trained import TrainedNetworks, arrays_of
from mis.store import fingerprint
from mis.training import Learner

__all__ = [
    "ATTACKS",
    "BELOW",
    "OF_LEARNER",
    "about",
    "asked_for",
    "attacks_of",
    "cut",
    "releases_of",
    "specs",
]

ATTACKS = (*SINGLE, *JOINED)

FEWEST_HELDOUT = 16

# What a ranking asks of its learner; training through a quantizer is a release.
OF_LEARNER = tuple(field for field in fields(Learner) if field.name != "forward")

# Packages whose versions decide what is measured.
BELOW = ("jax", "jaxlib", "numpy", "scipy", "scikit-learn")


def specs(task: Any, model: Any, options: dict[str, Any]) -> tuple[Protocol, RankingSpec]:
    """Return what was asked for, each option given to the spec whose field it is; the rest is the task's."""
    if not isinstance(task, str | os.PathLike | Population):
        raise refuse("rank", "task", "a name, a path or a population", task)
    rest = {name: value for name, value in options.items() if value is not None}

    def taken(names):
        return {name: rest.pop(name) for name in names if name in rest}

    of_protocol = taken(field.name for field in fields(Protocol))
    of_learner = taken(field.name for field in OF_LEARNER)
    of_model = taken(any_options())
    if rest and isinstance(task, Population):
        raise InvalidInput(f"rank: expected options within the population, got also {', '.join(rest)}.")
    population = task if isinstance(task, Population) else get_population(task, **rest)
    if takes_images(model):
        population = population.as_images()
    network = get_model(model, population.shape, population.num_classes, **of_model)
    protocol = Protocol(**of_protocol)
    rate = RATES["regression" if population.num_classes is None else "classification"]
    learner = Learner(**{"learning_rate": rate, "num_steps": network.default_steps} | of_learner)
    pool = population.default_pool if protocol.pool is None else protocol.pool
    return protocol, RankingSpec(
        population=population, learner=learner, pool=pool, model=network, seed=protocol.seed
    )


def cut(spec: RankingSpec) -> Split:
    """Return pool and held-out examples in the shape that the network takes."""
    split = spec.population.split(spec.seed, spec.pool)
    check(spec.model, split.pool.features)
    if len(split.heldout) < FEWEST_HELDOUT:
        raise InvalidInput(
            f"rank: expected at least {FEWEST_HELDOUT} examples outside the pool, got {len(split.heldout)}; "
            f"pool={spec.pool} is too large for {spec.population.name}."
        )
    return split.reshaped(spec.model.take)


def asked_for(
    spec: RankingSpec,
    split: Split,
    protocol: Protocol,
    attacks: Sequence[str],
    chosen: Sequence[Release | Several],
) -> dict[str, Any]:
    """Return what decides the numbers, by name."""
    names = ("num_networks", "num_folds", "level", "early", "controls")
    return {
        "task": spec.population.name,
        "data": fingerprint(*arrays_of(split)),
        "model": spec.model.name,
        **spec.model.options(),
        **{name: getattr(spec, name) for name in ("pool", "seed")},
        **asdict(spec.learner),
        **{name: getattr(protocol, name) for name in names},
        "attacks": attacks,
        "releases": [release.name for release in chosen],
        **settings(),
    }


def about(main: TrainedNetworks, protocol: Protocol, excluded: list[str]) -> dict[str, Any]:
    """Return what ``Ranking.about`` says of networks, task and machine."""
    spec, population = main.networks.spec, main.networks.spec.population
    local = main.networks.local
    return {
        "task": population.name,
        "source": population.source,
        "spec": {
            "population": {"name": population.name, **asdict(population)},
            "learner": asdict(spec.learner),
            "model": {"name": spec.model.name, **spec.model.options()},
            "pool": spec.pool,
            "seed": spec.seed,
        },
        "num_networks": protocol.num_networks,
        "num_folds": protocol.num_folds,
        "level": protocol.level,
        "within": protocol.within,
        "at_most": protocol.at_most,
        "hash": main.key,
        "excluded": excluded,
        "classes": population.num_classes,
        "model": f"{spec.model.name}, {spec.model.summary}",
        "performance": "R2" if population.num_classes is None else "accuracy",
        "num_weights": sum(rows * channels for rows, channels in spec.model.shapes),
        "heldout": len(main.networks.split.heldout),
        "device": f"{jax.devices()[0].device_kind} x {jax.local_device_count()} ({platform.machine()})",
        "doubt": population.doubt,
        "versions": {"mis": __version__, **versions(*BELOW)},
        "code": code(),
        "local": local if isinstance(local, str) else "applies",
    }


def releases_of(asked: Sequence[Any] | None, *, controls: bool = False) -> list[Release | Several]:
    """Return the releases by their names or specs, once each, full precision first; ``controls`` after them.

    The control of a quantizer is noise of its squared error; what is random, calibrated or trained differently has
    none.
    """
    if isinstance(asked, str):
        asked = asked.split(",")
    found = [parse(one) for one in (zoo.DEFAULT if asked is None else asked)]
    if not found:
        raise InvalidInput("rank: expected at least one release, got none.")
    if controls:
        found += [control for release in found if (control := _control(release)) is not None]
    chosen = list(dict.fromkeys([Release(), *found]))
    names = [release.name for release in chosen]
    for name in names:
        if names.count(name) > 1:
            raise InvalidInput(f"rank: expected releases of different names, got {name} for two that differ.")
    return chosen


def _control(release: Release | Several) -> Release | None:
    if not isinstance(release, Release) or not release.post_training or release.transform == FULL:
        return None
    if release.transform.num_calibration or release.compression.is_random:
        return None
    return replace(release, transform=NoiseLike(like=release.transform))


def attacks_of(asked: Sequence[str] | None, population: Population) -> tuple[str, ...]:
    """Return the names of the attacks, or refuse what a task cannot serve."""
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
