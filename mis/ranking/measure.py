"""Functions: one quantizer's row, from networks that were trained once for all quantizers."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from scipy import stats

from mis import theory
from mis.attacks import linear_limit
from mis.attacks.crossfit import STRONGEST, cross_fit, deal, mean_over_models
from mis.attacks.decoded import decoded
from mis.attacks.linearised import linearised
from mis.attacks.ridge import Ridge, gram, ridge
from mis.numerics.checks import UnsupportedSetting
from mis.populations import Split
from mis.quantizers import Channel, Quantizer
from mis.ranking.asymptotic import LocalFit, local_fit
from mis.ranking.black_box import BLACK_BOX, Outputs, calibrated, example_losses
from mis.ranking.decoding import Cells, cells_of, codes, posterior_mean
from mis.ranking.spec import RankingSpec
from mis.results import Interval
from mis.training import FEW_RUNS, Ensemble

__all__ = ["Networks", "measure", "put", "release"]

# Models whose gradients are averaged, per fold: a mean over references beats the gradient at one point, and the gain
# levels off near 32 references in all.
REFERENCES = 5

# Networks evaluated at a time, which bounds the memory of their intermediate arrays.
BATCH = 8

# The stream of stochastic rounding: data and initial points have 1 and 2. Within it the keys of iterates count from
# 2**31, those of networks from 0.
ROUNDING, ITERATES = 3, 2**31


@dataclass(frozen=True, kw_only=True, eq=False)
class Networks:
    """The trained networks of a ranking, and what all quantizers need of them.

    Parameters
    ----------
    spec
        What they are.
    split
        The pool they were trained on halves of, and the held-out examples.
    ensemble
        Their last iterates.
    trajectories
        Iterates of a few more runs of the same learner, layers ``(R, S, in + 1, out)``.
    num_folds
        Folds of the cross-fitted attacks.
    level
        Level of all intervals.
    attacks
        Names in ``BLACK_BOX``, ``lira_decoded``, ``whitebox`` and ``combined``: all the others together.
    """

    spec: RankingSpec
    split: Split
    ensemble: Ensemble
    trajectories: Ensemble
    num_folds: int
    level: float
    attacks: tuple[str, ...]

    @cached_property
    def batches(self) -> list[jax.Array]:
        """Layers of the networks, then of all iterates of the trajectories, ``(M + R * S, in + 1, out)``.

        Everything that is quantized, in one array: a quantizer compiles once.
        """
        both = zip(self.ensemble.params, self.trajectories.params, strict=True)
        return [jnp.asarray(np.concatenate([p, t.reshape(-1, *t.shape[2:])])) for p, t in both]

    @cached_property
    def layers(self) -> list[jax.Array]:
        """The layers of all networks, ``(M, in + 1, out)``."""
        return [jnp.asarray(p) for p in self.ensemble.params]

    @cached_property
    def full(self) -> list[jax.Array]:
        """The parameters of each network in a row, by layer, ``(M, P)``."""
        return _rows(self.layers)

    @cached_property
    def gradients(self) -> list[list[jax.Array]]:
        """For each fold as target, gradients of the pool's losses by layer, averaged over a few shadows, ``(N, P)``."""
        model, pool = self.spec.model, self.split.pool
        folds = deal(len(self.full[0]), self.num_folds)

        @partial(jax.jit, compiler_options=FEW_RUNS)
        def of_fold(params, features, targets):
            one = jax.grad(lambda p, x, y: model.losses(p, x, y))
            each = jax.vmap(one, in_axes=(None, 0, 0))

            def add(total, network):
                grads = each(network, features, targets)
                return jax.tree.map(jnp.add, total, grads), None

            start = jax.tree.map(lambda p: jnp.zeros((len(features), *p.shape[1:]), p.dtype), params)
            total, _ = jax.lax.scan(add, start, params)
            return [layer / len(params[0]) for layer in _rows(total)]

        x, y = jnp.asarray(pool.features), jnp.asarray(pool.targets)
        few = min(REFERENCES, len(folds) // self.num_folds)
        picks = [np.flatnonzero(folds == fold)[:few] for fold in range(self.num_folds)]
        means = [of_fold([p[pick] for p in self.ensemble.params], x, y) for pick in picks]
        # All folds but this and the next. Summed, not subtracted from the total, which would leave rounding residues.
        others = 1.0 - np.eye(len(means)) - np.roll(np.eye(len(means)), 1, axis=1)
        return [_mixed(row / row.sum(), means) for row in jnp.asarray(others, jnp.float32)]

    @cached_property
    def local(self) -> LocalFit | str:
        """What local asymptotics start from, or why they do not apply."""
        try:
            return local_fit(self.spec, self.split.pool, self.ensemble)
        except UnsupportedSetting as refused:
            return refused.reason

    @cached_property
    def spread(self) -> list[np.ndarray]:
        """Standard deviation of each weight over the networks, by layer."""
        return [p.std(axis=0, ddof=1) for p in self.ensemble.params]

    @cached_property
    def weights(self) -> list[np.ndarray]:
        """The layers of one network: the end of the first trajectory."""
        return [np.asarray(p[0, -1], dtype=np.float64) for p in self.trajectories.params]

    def retained(self, quantizer: Quantizer, level: float) -> Interval:
        """Return the share of information that the quantizer lets through, by the spread over the networks."""
        return theory.retained_information(self.weights, self.spread, quantizer, level=level)

    @cached_property
    def spread_of_run(self) -> list[np.ndarray]:
        """Standard deviation of each weight over the last third of one run, by layer: costs no second training."""
        steps, num_snapshots = self.spec.learner.steps, self.trajectories.params[0].shape[1]
        # The last snapshot is the last step's, and the steps that do not divide went before the first.
        step = steps - steps // num_snapshots * np.arange(num_snapshots)[::-1]
        return [p[0, 3 * step > 2 * steps].std(axis=0, ddof=1) for p in self.trajectories.params]


def measure(networks: Networks, quantizer: Quantizer) -> tuple[dict[str, Any], np.ndarray]:
    """Return the columns of one quantizer, and the strongest attack's advantage on each network, ``(M,)``."""
    num_models = len(networks.full[0])
    batches, cells = release(networks, quantizer)
    released, cells = _first((batches, cells), num=num_models)
    model, pool, heldout = networks.spec.model, networks.split.pool, networks.split.heldout
    features = np.concatenate([pool.features, heldout.features])
    said = np.asarray(_predict(batches, features, model=model))
    pool_outputs, heldout_outputs = np.split(said[:num_models], [len(pool.features)], axis=1)
    candidates = example_losses(said[num_models:, len(pool.features) :], heldout.targets)
    row: dict[str, Any] = {"quantizer": quantizer.name, "bits": quantizer.bits}
    row["zeros"] = sum(int(jnp.sum(p == 0.0)) for p in released) / sum(p.size for p in released)
    put(row, "performance", _performance(heldout_outputs, heldout.targets, networks.level))
    row["train_performance"] = _train_performance(pool_outputs, networks)
    row |= _theory_columns(networks, quantizer, theory.SampledLosses(losses=candidates))
    outputs = Outputs(
        pool=pool_outputs,
        targets=pool.targets,
        members=networks.ensemble.membership,
        heldout=heldout_outputs,
        heldout_targets=heldout.targets,
    )
    measured = _attack(networks, released, cells, outputs)
    for name in (*networks.attacks, STRONGEST):
        put(row, name, mean_over_models(measured[name].advantage, networks.num_folds, networks.level))
    put(row, "limit", _limit(released, networks))
    put(row, "tpr_at_fpr_01", mean_over_models(measured[STRONGEST].tpr, networks.num_folds, networks.level))
    row["fpr_realised"] = float(measured[STRONGEST].fpr.mean())
    return row, measured[STRONGEST].advantage


def put(row: dict[str, Any], name: str, interval: Interval | None) -> None:
    """Write an interval into a row, in place; None writes that there is none."""
    ends = (interval.value, interval.lower, interval.upper) if interval else (None,) * 3
    row[name], row[f"{name}_lower"], row[f"{name}_upper"] = ends


@partial(jax.jit, static_argnames="num")
def _first(tree, *, num):
    """Leave the iterates out; compiled once, not array by array."""
    return jax.tree.map(lambda leaf: leaf[:num], tree)


def _rows(layers) -> list[jax.Array]:
    return [jnp.asarray(p).reshape(len(p), -1) for p in layers]


@partial(jax.jit, compiler_options=FEW_RUNS)
def _mixed(shares, means):
    """Return the weighted mean of lists of arrays."""
    return [
        sum(share * layer for share, layer in zip(shares, of_lists, strict=True))
        for of_lists in zip(*means, strict=True)
    ]


@partial(jax.jit, static_argnames="quantizer", compiler_options=FEW_RUNS)
def _quantize(layers, keys, *, quantizer):
    def one(item):
        params, key = item
        keys = jax.random.split(key, len(params))
        channels = [quantizer.fit(layer) for layer in params]
        each = zip(channels, params, keys, strict=True)
        released = [channel.apply(layer, key=key) for channel, layer, key in each]
        return released, [cells_of(channel) for channel in channels]

    # One at a time stays in the cache and compiles in half the time.
    return jax.lax.map(one, (layers, keys))


def release(networks: Networks, quantizer: Quantizer) -> tuple[list[jax.Array], list[Cells | Channel | None]]:
    """Quantize every network and iterate, as ``quantizers.quantize`` does; return also the cells of each, by layer.

    Stochastic rounding has one key per network, whatever the others are.
    """
    start = jax.random.fold_in(jax.random.key(networks.spec.seed), ROUNDING)
    num_iterates = len(networks.batches[0]) - len(networks.full[0])
    numbers = np.concatenate([networks.ensemble.indices, ITERATES + np.arange(num_iterates)])
    keys = jax.vmap(lambda i: jax.random.fold_in(start, i))(jnp.asarray(numbers, jnp.uint32))
    return _quantize(networks.batches, keys, quantizer=quantizer)


@partial(jax.jit, static_argnames="model", compiler_options=FEW_RUNS)
def _predict(layers, features, *, model):
    """Return the outputs of every network, ``(M, N, classes or 1)``."""
    return jax.lax.map(lambda params: model.predict(params, features), layers, batch_size=BATCH)


def _performance(outputs, targets, level) -> Interval:
    """Mean accuracy, or R², of the released networks, with the error from networks and from held-out examples."""
    if outputs.shape[-1] > 1:
        right = outputs.argmax(axis=-1) == targets
        per_model, per_example = right.mean(axis=1), right.mean(axis=0)
    else:
        unit = np.var(targets)
        explained = 1.0 - (outputs[..., 0] - targets) ** 2 / unit
        per_model = explained.mean(axis=1)
        # The unit is estimated on the same examples: linearise the ratio of the two means.
        mean = per_model.mean()
        per_example = explained.mean(axis=0) + (1.0 - mean) * (targets - targets.mean()) ** 2 / unit
    value = float(per_model.mean())
    error = np.sqrt(per_model.var(ddof=1) / len(per_model) + per_example.var(ddof=1) / len(per_example))
    half = float(stats.norm.ppf(0.5 + level / 2.0) * error)
    return Interval(lower=value - half, value=value, upper=value + half, kind="monte-carlo", level=level)


def _train_performance(outputs, networks) -> float:
    """Mean accuracy, or R², of the released networks on the examples each was trained on."""
    targets, members = networks.split.pool.targets, networks.ensemble.membership
    if outputs.shape[-1] > 1:
        return float((outputs.argmax(axis=-1) == targets)[members].mean())
    errors = (outputs[..., 0] - targets) ** 2
    return float(1.0 - errors[members].mean() / np.var(targets))


def _attack(networks, released, cells, outputs):
    """Measure every attack by cross-fitting; all of them see the released networks only."""
    members, black = outputs.members, [name for name in networks.attacks if name in BLACK_BOX]
    rows, membership = _rows(released), jnp.asarray(members, jnp.float32)
    # What each network shows of its weights: full-precision ones, their cells' numbers, or neither.
    seen = [cell and (codes(p, cell), cell) for p, cell in zip(released, cells, strict=True)]
    white = [f"{kind}-{layer}" for layer in range(len(rows)) for kind in ("linearised", "decoded")]
    groups: dict[str, Sequence[str]] = {name: [name] for name in black}
    white += ["ridge", "lira_decoded"]
    groups |= {"lira_decoded": ["lira_decoded"], "whitebox": white, "combined": [*black, *white]}
    groups = {name: groups[name] for name in networks.attacks}

    def features(fold, is_shadow):
        scores = {name: BLACK_BOX[name](outputs, is_shadow) for name in black}
        if set(groups) <= set(black):
            return scores
        arrays = _white(rows, networks.full, networks.gradients[fold], membership, is_shadow)
        found = {name: np.asarray(values) for name, values in arrays.items()}
        # The ridge has seen the labels of its shadows, so no law of its scores can be fitted on them.
        scores["ridge"] = found.pop("ridge")[~is_shadow]
        scores["lira_decoded"] = _lira_decoded(networks, released, seen, outputs, is_shadow)
        return scores | {name: calibrated(values, members, is_shadow) for name, values in found.items()}

    return cross_fit(features, members, groups, num_folds=networks.num_folds)


def _lira_decoded(networks, released, seen, outputs, is_shadow):
    """LiRA on the outputs of the networks that the released codes let an attacker expect."""
    if any(seen):
        guess = [
            posterior_mean(full, *cells, jnp.asarray(is_shadow)) if cells else p
            for p, full, cells in zip(released, networks.layers, seen, strict=True)
        ]
        said = np.asarray(_predict(guess, networks.split.pool.features, model=networks.spec.model))
        outputs = replace(outputs, pool=said)
    return BLACK_BOX["lira"](outputs, is_shadow)


@partial(jax.jit, compiler_options=FEW_RUNS)
def _white(released, full, gradients, membership, is_shadow):
    """White-box scores of all networks, layer by layer, and the ridge on all layers together."""
    shadows = is_shadow.astype(membership.dtype)
    products = sum(gram(layer, shadows) for layer in released)
    scores = {"ridge": ridge(products, membership, shadows, penalty=Ridge.penalty)}
    for layer, (found, weights, slopes) in enumerate(zip(released, full, gradients, strict=True)):
        score = linearised(found, slopes, shadows)
        # Norms of both, were they computed in one loop over the gradients, would take five times as long.
        slopes, scores[f"linearised-{layer}"] = jax.lax.optimization_barrier((slopes, score))
        scores[f"decoded-{layer}"] = decoded(found, weights, slopes, shadows)
    return scores


def _limit(released, networks) -> Interval | None:
    """Return what linear attacks would reach with ever more networks; None where weights outnumber the networks."""
    params = np.concatenate([np.asarray(rows) for rows in _rows(released)], axis=1)
    if (params != params[0]).any(axis=0).sum() > len(params) - 3:
        return None
    return linear_limit(params, networks.ensemble.membership, level=networks.level).advantage


def _theory_columns(networks, quantizer, law) -> dict[str, Any]:
    """Everything that is known without any attack: from a few runs, or from the spread over the ensemble."""
    weights = networks.weights
    row: dict[str, Any] = {}
    try:
        estimate = theory.indicator(law, level=networks.level)
        put(row, "indicator", estimate)
        row["indicator_naive"] = estimate.details["naive"]
        row["num_candidates"] = estimate.details["num_candidates"]
    except UnsupportedSetting:
        # All iterates were released as one and the same network: there is no competitor.
        put(row, "indicator", None)
        row |= {"indicator_naive": None, "num_candidates": 1}
    one_run = theory.retained_information(weights, networks.spread_of_run, quantizer, level=networks.level)
    put(row, "retained", one_run)
    put(row, "retained_ensemble", networks.retained(quantizer, networks.level))
    row["weight_error"] = theory.weight_error(weights, quantizer)
    row["code_entropy"] = theory.code_entropy(weights, quantizer)
    applies = isinstance(networks.local, LocalFit)
    put(row, "local", networks.local.advantage(quantizer, networks.level) if applies else None)
    return row
