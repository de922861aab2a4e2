"""How an attacker descends, one gradient a step and no loop inside.

A step of many problems is one compiled call: loops within it would wait for the slowest problem, and convolutions in
compiled loops are 4 to 10 times slower on a CPU. So a line search is a bracket that each step halves.
"""

import abc
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from mis.numerics.checks import integer, number

__all__ = ["LBFGS", "Adam", "Method", "State"]

ARMIJO, CURVATURE, MOST_TRIALS = 1e-4, 0.9, 25


class State(NamedTuple):
    """Of one problem: the accepted point and its value, the best of them, what the method keeps, how far it is.

    ``trace`` holds the objective after each iteration, ``(steps + 1,)``, NaN where it did not get.
    """

    point: Any
    value: jax.Array
    best: Any
    least: jax.Array
    kept: Any
    iterations: jax.Array
    evaluations: jax.Array
    stalled: jax.Array
    trace: jax.Array


@dataclass(frozen=True, kw_only=True)
class Method(abc.ABC):
    """A descent.

    Parameters
    ----------
    steps
        Most iterations.
    tolerance
        Value of the objective at which a problem is done.
    """

    steps: int = 300
    tolerance: float = 1e-7

    def __post_init__(self):
        integer(type(self).__name__, "steps", self.steps, at_least=1, at_most=100_000)
        number(type(self).__name__, "tolerance", self.tolerance, above=0.0)

    @property
    def most_evaluations(self) -> int:
        """Gradients of the objective that one problem takes at most."""
        return self.steps + 1

    def start(self, point: Any) -> State:
        """Return the state before anything is evaluated."""
        return State(
            point=point,
            value=jnp.asarray(jnp.inf),
            best=point,
            least=jnp.asarray(jnp.inf),
            kept=self._keep(point),
            iterations=jnp.asarray(-1),
            evaluations=jnp.asarray(0),
            stalled=jnp.asarray(False),
            trace=jnp.full(self.steps + 1, jnp.nan),
        )

    def done(self, state: State) -> jax.Array:
        """Whether a problem has converged, cannot move on, or used its steps up."""
        over = (state.iterations >= self.steps) | (state.evaluations >= self.most_evaluations)
        return over | state.stalled | (state.value <= self.tolerance)

    def step(self, objective: Callable[[Any], jax.Array], state: State) -> State:
        """Return the state after one evaluation; unchanged where it is done."""
        moved = self._step(objective, state)._replace(evaluations=state.evaluations + 1)
        better = moved.value < moved.least
        moved = moved._replace(
            best=_where(better, moved.point, moved.best), least=jnp.where(better, moved.value, moved.least)
        )
        return _where(self.done(state), state, moved)

    @abc.abstractmethod
    def _keep(self, point: Any) -> Any: ...

    @abc.abstractmethod
    def _step(self, objective: Callable[[Any], jax.Array], state: State) -> State: ...


class Line(NamedTuple):
    """Where a line search is: optax's memory, the direction and slope, the bracket, the next length."""

    memory: Any
    direction: Any
    slope: jax.Array
    low: jax.Array
    high: jax.Array
    length: jax.Array
    trials: jax.Array


@dataclass(frozen=True, kw_only=True)
class LBFGS(Method):
    """Optax's L-BFGS directions, and a bracketing line search for the weak Wolfe conditions, a trial a step.

    Parameters
    ----------
    memory
        Pairs of differences kept.

    References
    ----------
    Liu, Nocedal (1989), On the limited memory BFGS method for large scale optimization. Lewis, Overton (2013),
    Nonsmooth optimization via quasi-Newton methods, algorithm 2.6 (the bracket).
    """

    memory: int = 20

    @property
    def most_evaluations(self) -> int:
        """Twice the steps: most accept their first trial."""
        return 2 * self.steps + 10

    def _directions(self) -> optax.GradientTransformation:
        return optax.scale_by_lbfgs(memory_size=self.memory)

    def _keep(self, point: Any) -> Line:
        zero = jnp.asarray(0.0)
        return Line(
            self._directions().init(point), jax.tree.map(jnp.zeros_like, point),
            zero, zero, jnp.asarray(jnp.inf), zero, jnp.asarray(0),
        )  # fmt: skip

    def _step(self, objective: Callable[[Any], jax.Array], state: State) -> State:
        line: Line = state.kept
        first = state.iterations < 0
        trial = jax.tree.map(lambda x, d: x + line.length * d, state.point, line.direction)
        value, gradient = jax.value_and_grad(objective)(trial)
        finite = jnp.isfinite(value) & _finite(gradient)
        falls = finite & (value <= state.value + ARMIJO * line.length * line.slope)
        flat = _inner(gradient, line.direction) >= CURVATURE * line.slope
        accepted = (first & finite) | (falls & (flat | (line.trials >= MOST_TRIALS)))
        gradient = jax.tree.map(lambda g: jnp.where(jnp.isfinite(g), g, 0.0), gradient)
        onward = self._turn(gradient, trial, line)
        low, high = jnp.where(falls, line.length, line.low), jnp.where(falls, line.high, line.length)
        length = jnp.where(jnp.isinf(high), 2 * line.length, (low + high) / 2)
        waiting = line._replace(low=low, high=high, length=length, trials=line.trials + 1)
        iterations = state.iterations + accepted
        moved = state._replace(
            point=_where(accepted, trial, state.point),
            value=jnp.where(accepted, value, state.value),
            kept=_where(accepted, onward, waiting),
            iterations=iterations,
            trace=state.trace.at[jnp.maximum(iterations, 0)].set(jnp.where(accepted, value, state.value)),
        )
        # No step however short goes down, or there is no slope left.
        lost = (~accepted & (line.trials >= MOST_TRIALS)) | (first & ~finite)
        return moved._replace(stalled=lost | (accepted & (onward.slope > -1e-30)))

    def _turn(self, gradient: Any, point: Any, line: Line) -> Line:
        """Return the line from an accepted point: down the gradient where the memory does not point down."""
        ascent, memory = self._directions().update(gradient, line.memory, point)
        down = (_inner(gradient, ascent) > 0) & _finite(ascent)
        size = jnp.maximum(jnp.sqrt(_inner(gradient, gradient)), 1.0)
        direction = jax.tree.map(lambda a, g: -jnp.where(down, a, g / size), ascent, gradient)
        slope = _inner(gradient, direction)
        one = jnp.asarray(1.0)
        return Line(memory, direction, slope, 0 * one, jnp.inf * one, one, jnp.asarray(0))  # type: ignore[arg-type]


@dataclass(frozen=True, kw_only=True)
class Adam(Method):
    """Adam, its rate cut to a tenth after 3/8, 5/8 and 7/8 of the steps.

    Parameters
    ----------
    rate
        Step size in units of a pixel's range.
    signed
        Whether Adam meets only the signs of the objective's gradient.

    References
    ----------
    Geiping, Bauermeister, Dröge, Moeller (2020), Inverting gradients: how easy is it to break privacy in federated
    learning?, arXiv:2003.14053, section 4 and its code (signs, cuts of the rate).
    """

    rate: float = 0.1
    signed: bool = True

    def __post_init__(self):
        super().__post_init__()
        number("Adam", "rate", self.rate, above=0.0)

    def _moves(self) -> optax.GradientTransformation:
        cuts = {int(share * self.steps): 0.1 for share in (3 / 8, 5 / 8, 7 / 8)}
        return optax.adam(optax.piecewise_constant_schedule(self.rate, cuts))

    def _keep(self, point: Any) -> Any:
        return point, self._moves().init(point)

    def _step(self, objective: Callable[[Any], jax.Array], state: State) -> State:
        # The next point is kept, so that a value always belongs to its point.
        point, memory = state.kept
        value, gradient = jax.value_and_grad(objective)(point)
        known = jnp.isfinite(value) & _finite(gradient)
        gradient = jax.tree.map(lambda g: jnp.where(known, jnp.sign(g) if self.signed else g, 0.0), gradient)
        updates, memory = self._moves().update(gradient, memory, point)
        iterations = state.iterations + 1
        return state._replace(
            point=point,
            value=jnp.where(known, value, jnp.inf),
            kept=(optax.apply_updates(point, updates), memory),
            iterations=iterations,
            stalled=~known,
            trace=state.trace.at[iterations].set(value),
        )


def _where(condition: jax.Array, yes: Any, no: Any) -> Any:
    return jax.tree.map(lambda a, b: jnp.where(condition, a, b), yes, no)


def _inner(a: Any, b: Any) -> jax.Array:
    return jnp.asarray(optax.tree.vdot(a, b))


def _finite(tree: Any) -> jax.Array:
    return jnp.all(jnp.stack([jnp.isfinite(leaf).all() for leaf in jax.tree.leaves(tree)]))
