"""The trained networks of a ranking, and what every release of them is attacked with."""

import itertools
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property, partial

import jax
import jax.numpy as jnp
import numpy as np

from mis import theory
from mis.attacks.crossfit import assign_folds
from mis.models import Model
from mis.numerics.checks import UnsupportedSetting
from mis.numerics.seeds import jax_key
from mis.populations import Split
from mis.ranking.asymptotic import LocalFit, local_fit
from mis.ranking.spec import RankingSpec
from mis.results import Interval
from mis.training import FEW_RUNS, Compression, Ensemble, mean_gradients, predict

__all__ = ["Networks", "rows"]

# Models whose gradients are averaged, per fold: a mean over references beats the gradient at one point, and the gain
# levels off near 32 references in all.
REFERENCES = 5

# Bytes of gradients held at a time, and kept from one release to the next where all of them fit.
HELD, KEPT = 2**26, 2**29

# The stream of classes drawn for the factors of the Hessian, apart from those of rounding and of training.
FACTORS = 4


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
        Iterates of a few more runs of the same learner, layers ``(R, S, rows, channels)``.
    num_folds
        Folds of the cross-fitted attacks.
    level
        Level of all intervals.
    attacks
        Names in ``mis.ranking.ATTACKS``.
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
        """Layers of the networks, then of all iterates of the trajectories, ``(M + R * S, rows, channels)``.

        Everything that is quantized, in one array: a quantizer compiles once.
        """
        both = zip(self.ensemble.params, self.trajectories.params, strict=True)
        return [jnp.asarray(np.concatenate([p, t.reshape(-1, *t.shape[2:])])) for p, t in both]

    @cached_property
    def layers(self) -> list[jax.Array]:
        """The layers of all networks, ``(M, rows, channels)``."""
        return [jnp.asarray(p) for p in self.ensemble.params]

    @cached_property
    def full(self) -> list[jax.Array]:
        """The parameters of each network in a row, by layer, ``(M, P)``."""
        return rows(self.layers)

    @property
    def model(self) -> Model:
        """The network they all are."""
        return self.spec.model

    @cached_property
    def full_outputs(self) -> np.ndarray:
        """What they say before they are released, on the pool, ``(M, N, classes or 1)``."""
        return predict(self.model, self.layers, self.split.pool.features)

    @cached_property
    def _blocks(self) -> list[slice]:
        """Examples whose gradients, one for each fold, are held at a time."""
        size = max(1, HELD // (4 * self._num_weights * self.num_folds))
        num_blocks = -(-len(self.split.pool) // size)
        edges = np.linspace(0, len(self.split.pool), num_blocks + 1).astype(int)
        return [slice(int(a), int(b)) for a, b in itertools.pairwise(edges)]

    def gradients(self) -> Iterator[list[list[jax.Array]]]:
        """Yield gradients of the pool's losses, block by block of examples.

        Of each block for each fold as target a list by layer, ``(B, P)``: means over a few shadows of that fold,
        before their release. Kept where they fit, computed again where they do not.
        """
        if self.keeps_gradients:
            yield from self._kept_gradients
        else:
            yield from map(self._of_block, self._blocks)

    @property
    def keeps_gradients(self) -> bool:
        """Whether all gradients are kept from one pass over them to the next."""
        return 4 * self._num_weights * self.num_folds * len(self.split.pool) <= KEPT

    @property
    def _num_weights(self) -> int:
        return sum(rows * channels for rows, channels in self.model.shapes)

    @cached_property
    def _kept_gradients(self) -> list[list[list[jax.Array]]]:
        return [self._of_block(block) for block in self._blocks]

    def _of_block(self, block: slice) -> list[list[jax.Array]]:
        x, y = (jnp.asarray(part[block]) for part in (self.split.pool.features, self.split.pool.targets))
        folds = assign_folds(len(self.full[0]), self.num_folds)
        few = min(REFERENCES, len(folds) // self.num_folds)
        picks = [np.flatnonzero(folds == fold)[:few] for fold in range(self.num_folds)]
        means = [mean_gradients(self.model, [p[pick] for p in self.ensemble.params], x, y) for pick in picks]
        # All folds but this and the next. Summed, not subtracted from the total, which would leave rounding residues.
        others = 1.0 - np.eye(len(means)) - np.roll(np.eye(len(means)), 1, axis=1)
        return [_mixed(row / row.sum(), means) for row in jnp.asarray(others, jnp.float32)]

    def gradients_at(self, layers: list[jax.Array]) -> np.ndarray:
        """Return the gradient of every pool example's loss at one network, ``(N, P)``."""
        x, y = self.split.pool.features, self.split.pool.targets
        one = [layer[None] for layer in layers]
        return self._by_block(lambda block: mean_gradients(self.model, one, x[block], y[block]))

    def factors(self, index: int) -> np.ndarray:
        """Return a factor of the Hessian's Gauss-Newton part for each pool example at one network, ``(N, P)``."""
        x, layers = self.split.pool.features, [p[index : index + 1] for p in self.ensemble.params]
        if self.model.num_classes is None:
            # The loss is half the squared error: at a target one below the output its gradient is the output's.
            said = predict(self.model, layers, x)[0, :, 0]
            targets = np.asarray(said) - 1.0
        else:
            key = jax.random.fold_in(jax_key(self.spec.seed), FACTORS)
            targets = np.asarray(jax.random.categorical(key, predict(self.model, layers, x)[0]))
        return self._by_block(lambda block: mean_gradients(self.model, layers, x[block], targets[block]))

    def _by_block(self, of_block) -> np.ndarray:
        return np.concatenate(
            [
                np.concatenate([np.asarray(layer) for layer in of_block(block)], axis=1)
                for block in self._blocks
            ]
        )

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

    def retained(self, of: Compression, level: float, spread: list[np.ndarray] | None = None) -> Interval:
        """Return the share of information that is let through, by the spread over the networks if none is given."""
        weights, spread = (of.parts(self.model, layers) for layers in (self.weights, spread or self.spread))
        return theory.retained_information(weights, spread, of.quantizers(self.model), level=level)

    def only(self, indices: np.ndarray) -> "Networks":
        """Return those with these numbers."""
        keep = np.isin(self.ensemble.indices, indices)
        return self if keep.all() else replace(self, ensemble=self.ensemble[keep])

    @cached_property
    def spread_of_run(self) -> list[np.ndarray]:
        """Standard deviation of each weight over the last third of one run, by layer: costs no second training."""
        steps, num_snapshots = self.spec.learner.num_steps, self.trajectories.params[0].shape[1]
        # The last snapshot is the last step's, and the steps that do not divide went before the first.
        step = steps - steps // num_snapshots * np.arange(num_snapshots)[::-1]
        return [p[0, 3 * step > 2 * steps].std(axis=0, ddof=1) for p in self.trajectories.params]


def rows(layers: list) -> list[jax.Array]:
    """Return the weights of each network in a row, by layer, ``(M, P)``."""
    return [jnp.asarray(p).reshape(len(p), -1) for p in layers]


@partial(jax.jit, compiler_options=FEW_RUNS)
def _mixed(shares, means):
    """Return the weighted mean of lists of arrays."""
    return [
        sum(share * layer for share, layer in zip(shares, of_lists, strict=True))
        for of_lists in zip(*means, strict=True)
    ]
