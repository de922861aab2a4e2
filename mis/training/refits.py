"""Millions of refits of a small convex model, by Newton's method.

One refit is a loop of Newton steps on one sample; many are a ``vmap`` over a block that stays in a core's cache, blocks
over the devices, and chunks of bounded memory. Where refits are this cheap the optimal attack can be had by counting.
"""

import functools
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from mis.numerics.checks import InvalidInput, finite, integer, known, number
from mis.numerics.seeds import jax_key
from mis.training.devices import num_devices, over_networks

__all__ = [
    "FAMILIES",
    "NotConverged",
    "Refits",
    "Regression",
    "block_sizes",
    "fit_drawn",
    "refit",
    "refit_weighted",
]

# Refits in one block, and numbers of data in it, at most; numbers of data in one compiled call.
BLOCK, BLOCK_NUMBERS, CHUNK_NUMBERS = 256, 2**18, 2**25

LARGEST = 2**31 - 1

# JAX's streams 0 to 2 of a seed are those of pools and networks.
REFITS = 3


class NotConverged(RuntimeWarning):
    """Some refits did not converge; ``converged`` says which."""


class Family(NamedTuple):
    """An exponential family by its convex potential, of which the loss is ``potential(eta) - y eta``.

    ``mean`` is the potential's derivative; targets are limits of its values. ``bends`` is 1 where a move of ``eta`` by
    u changes the second derivative by up to the factor ``exp(|u|)``, 0 where it is constant.
    """

    potential: Callable
    mean: Callable
    bends: float
    targets: tuple[float, float]


FAMILIES = {
    "linear": Family(lambda eta: eta**2 / 2, lambda eta: eta, 0.0, (-np.inf, np.inf)),
    "logistic": Family(jax.nn.softplus, jax.nn.sigmoid, 1.0, (0.0, 1.0)),
    "poisson": Family(jnp.exp, jnp.exp, 1.0, (0.0, np.inf)),
}


@dataclass(frozen=True, kw_only=True)
class Regression:
    """Generalised linear regression: the minimiser of ``mean loss + penalty/2 |params|^2``, no intercept of its own.

    Parameters
    ----------
    family
        ``linear`` (half the squared error), ``logistic`` (targets 0 and 1) or ``poisson`` (logarithmic link).
    penalty
        Of the squared parameters, for each example. If positive, there is exactly one finite minimiser, also where the
        classes can be separated.
    steps
        Newton steps at most.

    Examples
    --------
    >>> Regression(family="poisson").penalty
    0.001
    """

    family: str = "logistic"
    penalty: float = 1e-3
    steps: int = 100

    def __post_init__(self):
        known("Regression", "family", self.family, FAMILIES)
        if number("Regression", "penalty", self.penalty) < 0.0:
            raise InvalidInput(f"Regression: expected penalty >= 0, got penalty={self.penalty!r}.")
        integer("Regression", "steps", self.steps, at_least=1)

    def refuse_targets(self, where: str, targets: Any) -> None:
        """Refuse targets outside the family's range: their loss would have no minimum."""
        low, high = FAMILIES[self.family].targets
        worst = next((float(y) for y in targets if not low <= y <= high), None)
        if worst is not None:
            raise InvalidInput(
                f"{where}: expected targets in [{low:g}, {high:g}] for family {self.family!r}, got {worst:g}."
            )

    def fit(self, features: jax.Array, targets: jax.Array, weights: jax.Array) -> tuple[jax.Array, jax.Array]:
        """Return the minimiser on one weighted sample, and whether Newton's method converged to it.

        A full step where it brings a quarter of the descent that the slope promises. Else one damped by ``log(1 + d) /
        d``, where d is the largest change of an output: with v the step, H the Hessian and ``q = v'Hv``, after ``t v``
        the objective changes by at most ``- t q + q (exp(t d) - 1 - t d) / d^2``, which this t minimises. So it
        descends from any point, and the last steps double the digits. Converged: the last step moved no output by more
        than 1e-3 times the root of ``1 +`` the largest, which leaves an error of the size of float32's rounding.

        Parameters
        ----------
        features, targets, weights
            One sample, shapes ``(n, d)``, ``(n,)`` and ``(n,)``; weights >= 0, such as counts of equal examples.

        Returns
        -------
        params
            Shape ``(d,)``.
        converged
            False also where the minimiser is not finite or not unique, as on separable classes without a penalty.

        References
        ----------
        Bach (2010), Self-concordant analysis for logistic regression, Electron. J. Stat. 4. Sun, Tran-Dinh (2019),
        Generalized self-concordant functions, Math. Program. 178 (this damping).

        Examples
        --------
        >>> cores = num_devices()  # before any computation
        >>> params, converged = Regression(penalty=0.0).fit(jnp.ones((2, 1)), jnp.array([0.0, 1.0]), jnp.array([1, 3]))
        >>> f"{params[0]:.5f} {np.log(3.0):.5f} {converged}"
        '1.09861 1.09861 True'
        """
        potential, mean, bends, _ = FAMILIES[self.family]
        shares = weights / jnp.sum(weights)
        # Examples without weight must not hold up the others.
        features = jnp.where(shares[:, None] > 0.0, features, 0.0)
        ridge = self.penalty * jnp.eye(features.shape[1])

        def objective(params, outputs):
            return shares @ (potential(outputs) - targets * outputs) + self.penalty / 2 * (params @ params)

        def step(state):
            params, outputs, before, _, count = state
            gradient = features.T @ (shares * (mean(outputs) - targets)) + self.penalty * params
            curvatures = shares * jax.vmap(jax.grad(mean))(outputs)
            hessian = (features * curvatures[:, None]).T @ features + ridge
            newton = jax.scipy.linalg.solve(hessian, gradient, assume_a="pos")
            move = features @ newton
            d = bends * jnp.max(jnp.abs(move))
            descends = objective(params - newton, outputs - move) <= before - gradient @ newton / 4
            share = jnp.where(descends | (d == 0.0), 1.0, jnp.log1p(d) / d)
            params, outputs = params - share * newton, outputs - share * move
            size = d / jnp.sqrt(1.0 + jnp.max(jnp.abs(outputs)))
            return params, outputs, objective(params, outputs), size, count + 1

        def goes_on(state):
            *_, size, count = state
            return (size > 1e-3) & (count < self.steps)

        params, outputs = jnp.zeros(features.shape[1]), jnp.zeros(len(features))
        start = params, outputs, objective(params, outputs), jnp.inf, 0
        params, *_, size, _ = jax.lax.while_loop(goes_on, step, start)
        return params, (size <= 1e-3) & jnp.all(jnp.isfinite(params))


@dataclass(frozen=True, kw_only=True)
class Refits:
    """Estimates from many samples.

    Parameters
    ----------
    params
        Shape ``(R, d)``.
    converged
        Which refits reached their minimiser, shape ``(R,)``.
    """

    params: np.ndarray
    converged: np.ndarray

    def __len__(self) -> int:
        return len(self.params)


@functools.partial(jax.jit, static_argnames=("model", "population", "n"))
def fit_drawn(key, member, numbers, *, model, population, n):
    """Refits of one chunk, numbers ``(blocks, block)``, each on a sample of its own."""

    def one(key, member, number):
        drawn = population.sample(jax.random.fold_in(key, number), n if member is None else n - 1)
        x, y = drawn.features, drawn.targets.astype(jnp.float32)
        if member is not None:
            x, y = jnp.concatenate([x, member[0]]), jnp.concatenate([y, member[1]])
        return model.fit(x, y, jnp.ones(n))

    def block(key, member, numbers):
        return jax.vmap(lambda number: one(key, member, number))(numbers)

    return over_networks(block, 2)(key, member, numbers)


@functools.partial(jax.jit, static_argnames="model")
def _fit_weighted(features, targets, weights, *, model):
    def block(features, targets, weights):
        return jax.vmap(lambda w: model.fit(features, targets, w))(weights)

    return over_networks(block, 2)(features, targets, weights)


def refit(
    model: Regression,
    population: Any,
    *,
    n: int,
    num_refits: int,
    seed: int,
    member: tuple[Any, Any] | None = None,
) -> Refits:
    """Draw samples from a population, with one example in common or without, and fit each.

    Parameters
    ----------
    model
        What is fitted.
    population
        Anything hashable with ``sample(key, n) -> Examples``: a ``Population``, a ``FiniteSupport`` of the user's
        atoms, or a user's own object.
    n
        Sample size, ``member`` included.
    num_refits
        Number of samples.
    seed
        Decides the samples, each by its number alone: a longer run begins with the shorter one. Runs to be taken as
        independent, with an example and without, need seeds of their own.
    member
        Features ``(d,)`` and target of one example that every sample holds; the others are drawn.

    Returns
    -------
    Refits
        On the host.

    Warns
    -----
    NotConverged
        Where some refits did not converge.

    Examples
    --------
    The mean of two tosses of a coin, one of them known to be heads:

    >>> from mis.populations import FiniteSupport
    >>> coin = FiniteSupport(atoms=[[1.0], [1.0]], targets=[0.0, 1.0], probs=[0.5, 0.5])
    >>> mean = Regression(family="linear", penalty=0.0)
    >>> np.unique(refit(mean, coin, n=2, num_refits=100, seed=0, member=([1.0], 1.0)).params)
    array([0.5, 1. ], dtype=float32)
    """
    n = integer("refit", "n", n, at_least=1)
    num_refits = integer("refit", "num_refits", num_refits, at_least=1, at_most=LARGEST)
    devices = num_devices()
    key = jax.random.fold_in(jax_key(integer("refit", "seed", seed, at_least=0, at_most=LARGEST)), REFITS)
    example = population.sample(key, 1)
    dim = example.features.shape[1]
    model.refuse_targets("refit", np.asarray(example.targets))
    if member is not None:
        features = finite("refit", "member", member[0], ndim=1)
        if len(features) != dim:
            raise InvalidInput(f"refit: expected member with {dim} features, got {len(features)}.")
        model.refuse_targets("refit", [number("refit", "member's target", member[1])])
        member = jnp.asarray(features[None], jnp.float32), jnp.full(1, member[1], jnp.float32)
    block, blocks = block_sizes(num_refits, n * dim, devices)

    def call(start):
        numbers = (start + np.arange(blocks * block)).astype(np.uint32).reshape(blocks, block)
        return fit_drawn(key, member, numbers, model=model, population=population, n=n)

    return _gathered(call, num_refits, blocks * block)


def refit_weighted(model: Regression, features: Any, targets: Any, weights: Any) -> Refits:
    """Fit many weightings of one table: random subsets of a pool, or counts of the atoms of a finite support.

    Parameters
    ----------
    model
        What is fitted.
    features, targets
        The table, shapes ``(N, d)`` and ``(N,)``.
    weights
        Shape ``(R, N)``, >= 0, each row with a positive sum; bool says which examples a refit has.

    Returns
    -------
    Refits
        On the host, in the order of the weights.

    Warns
    -----
    NotConverged
        Where some refits did not converge.

    Examples
    --------
    The mean of one of two numbers, or of both:

    >>> mean = Regression(family="linear", penalty=0.0)
    >>> refit_weighted(mean, [[1.0], [1.0]], [0.0, 4.0], [[1, 0], [1, 1], [1, 3]]).params[:, 0]
    array([0., 2., 3.], dtype=float32)
    """
    features = finite("refit_weighted", "features", features, ndim=2)
    targets = finite("refit_weighted", "targets", targets, ndim=1)
    model.refuse_targets("refit_weighted", targets)
    weights = finite("refit_weighted", "weights", weights, ndim=2)
    if not len(features) == len(targets) == weights.shape[1]:
        raise InvalidInput(
            "refit_weighted: expected one target and one column of weights for each example, got "
            f"{len(features)} examples, {len(targets)} targets, {weights.shape[1]} columns."
        )
    if weights.min() < 0.0 or weights.sum(axis=1).min() <= 0.0:
        raise InvalidInput("refit_weighted: expected weights >= 0 with a positive sum in each row.")
    table = jnp.asarray(features, jnp.float32), jnp.asarray(targets, jnp.float32)
    block, blocks = block_sizes(len(weights), features.size, num_devices())

    def call(start):
        rows = np.minimum(np.arange(start, start + blocks * block), len(weights) - 1)
        return _fit_weighted(*table, weights[rows].astype(np.float32).reshape(blocks, block, -1), model=model)

    return _gathered(call, len(weights), blocks * block)


def block_sizes(num_refits, numbers, devices):
    """Refits in a block, and blocks in a compiled call."""
    block = min(BLOCK, max(1, BLOCK_NUMBERS // numbers), -(-num_refits // devices))
    needed = -(-num_refits // (block * devices))
    return block, devices * min(needed, max(1, CHUNK_NUMBERS // (numbers * block * devices)))


def _gathered(call, num_refits, chunk):
    """Results of all chunks; the last one is computed whole and cut, so that one shape compiles."""
    parts = [jax.device_get(call(start)) for start in range(0, num_refits, chunk)]
    params, converged = (
        np.concatenate([part.reshape(-1, *part.shape[2:]) for part in column])[:num_refits]
        for column in zip(*parts, strict=True)
    )
    if not converged.all():
        warnings.warn(
            f"{np.sum(~converged)} of {num_refits} refits did not converge; see converged.",
            NotConverged,
            stacklevel=3,
        )
    return Refits(params=params, converged=converged)
