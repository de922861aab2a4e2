"""What attacks reach with more shadow models, and what a thousand networks tell of it in advance."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np

from mis import quantizers, theory
from mis.attacks import linear_limit
from mis.attacks.crossfit import mean_over_networks
from mis.populations import get

__all__ = ["shadows"]

QUANTIZERS = ("full", "uniform-4", "uniform-3", "ternary-33", "sign", "ternary-90", "uniform-2")
TASKS = ("linear", "logistic")
# Networks that are attacked, and those that foretell the rest: more than the six hundred weights they have.
TARGETS, KNOWN = 2048, 1024
# Targets are as good as independent given the shadows; folds only make their interval robust.
FOLDS = 16
# Level of each of two intervals that hold together at 95%.
BOTH = 0.975


def shadows(quick: bool = False) -> list[dict[str, Any]]:
    """Linear attacks on the parameters against the number of shadow models, and where they will end.

    Rows for ``mis.figures.shadows``, on the two tasks with noisy teachers, with the default networks of ``mis rank``:
    what least squares on so many shadows reaches on networks it has not seen (*attack*), what ``attacks.linear_limit``
    expects of it from the first 1024 networks alone (*expected*, and at infinitely many *limit*), and the level that
    the retained information and the limit at full precision predict (*predicted*). Five minutes on two cores.
    """
    rows = []
    for task in TASKS[:1] if quick else TASKS:
        params, membership = _networks(task, quick)
        rows += list(_of_task(task, params, membership, quick))
    return rows


def _networks(task: str, quick: bool) -> tuple[list[np.ndarray], np.ndarray]:
    """Train the networks of a ranking, more of them; small ones if quick."""
    # Here, so that listing the studies does not start JAX.
    from mis.models import MLP
    from mis.ranking.spec import RATES, RankingSpec
    from mis.training import Learner, num_devices, train

    num_devices()
    population = get(task, **({"dim": 6, "num_heldout": 64} if quick else {}))
    rate = RATES["regression" if population.num_classes is None else "classification"]
    learner = Learner(optimiser="adam", learning_rate=rate, num_steps=200 if quick else 600, batch_size=64)
    model = MLP(input_shape=population.shape, num_classes=population.num_classes, width=4 if quick else 32)
    spec = RankingSpec(population=population, learner=learner, model=model, pool=128 if quick else 512)
    pool = population.split(spec.seed, spec.pool).pool
    num = 512 + 256 if quick else TARGETS + 8 * KNOWN
    ensemble = train(spec.model, learner, pool.features, pool.targets, seed=spec.seed, num_networks=num)
    return ensemble.params, ensemble.membership


def _of_task(task: str, params, membership, quick: bool) -> Iterator[dict[str, Any]]:
    known, targets = (128, slice(512, None)) if quick else (KNOWN, slice(8 * KNOWN, None))
    nums = [known, 2 * known, 4 * known] + ([] if quick else [8 * known])
    full = None
    for name in QUANTIZERS:
        quantizer = quantizers.parse(name)
        released = np.stack([_row(quantizers.quantize(quantizer, net)) for net in zip(*params, strict=True)])
        limit = linear_limit(released[:known], membership[:known])
        row = {"task": task, "release": name}
        for num in nums:
            reached = _attack(released[:num], membership[:num], released[targets], membership[targets])
            mean = mean_over_networks(reached, FOLDS, refitted=False)
            yield row | {"what": "attack", "num_shadows": num} | _ends(mean)
        for num in np.geomspace(1.3 * limit.rank, 64 * known, 25).astype(int).tolist():
            yield row | {"what": "expected", "num_shadows": num} | _ends(limit.with_shadows(num))
        yield row | {"what": "limit"} | _ends(limit.advantage)
        # Two intervals that hold together (Bonferroni): each errs half as often.
        full = full or replace(limit, level=BOTH).advantage
        spread = [layer[:known].std(axis=0, ddof=1) for layer in params]
        kept = theory.retained_information([layer[0] for layer in params], spread, quantizer, level=BOTH)
        yield row | {"what": "predicted"} | _ends(theory.predicted_advantage(kept, full))


def _row(layers) -> np.ndarray:
    return np.concatenate([np.asarray(layer, np.float64).ravel() for layer in layers])


def _ends(interval) -> dict[str, float]:
    return {"value": interval.value, "lower": interval.lower, "upper": interval.upper}


def _attack(shadows, inside, targets, members) -> np.ndarray:
    """Regress memberships on the shadows' parameters; advantage of the regression on each target, ``(T,)``.

    A membership of probability 1/2 is called where the regression expects more than 1/2: no threshold is chosen.
    """
    mean, share = shadows.mean(axis=0), inside.mean(axis=0)
    coefficients = np.linalg.lstsq(shadows - mean, inside - share, rcond=1e-6)[0]
    called = (targets - mean) @ coefficients > 0.5 - share
    hit, false = (
        np.where(which, called, 0.0).sum(axis=1) / which.sum(axis=1) for which in (members, ~members)
    )
    return hit - false
