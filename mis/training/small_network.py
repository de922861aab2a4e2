"""Networks with one hidden layer that are fitted to a minimum, thousands of samples at once, in float64.

So small that the Hessian is at hand: Newton's method finds the minimum to rounding, as local asymptotics suppose.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from scipy import special

from mis.numerics.checks import integer, known, number

__all__ = ["ACTIVATIONS", "SMALL", "Fit", "SmallNetwork"]

# A gradient this small is zero; a step that must be halved this often is not taken any more.
SMALL, MOST_HALVINGS = 1e-9, 30


class _Activation(NamedTuple):
    """A function and its first two derivatives; those of a ramp almost everywhere."""

    value: Callable
    slope: Callable
    bend: Callable


ACTIVATIONS = {
    "tanh": _Activation(
        np.tanh, lambda u: 1 - np.tanh(u) ** 2, lambda u: -2 * np.tanh(u) * (1 - np.tanh(u) ** 2)
    ),
    "softplus": _Activation(
        lambda u: np.logaddexp(0.0, u), special.expit, lambda u: special.expit(u) * special.expit(-u)
    ),
    "relu": _Activation(lambda u: np.maximum(u, 0.0), lambda u: (u > 0) * 1.0, np.zeros_like),
}


class Fit(NamedTuple):
    """Weights at the end of the descent, ``(..., d)``, and whether the gradient vanishes there, ``(...)``."""

    weights: np.ndarray
    converged: np.ndarray


@dataclass(frozen=True, kw_only=True)
class SmallNetwork:
    r"""Regression ``f(x) = sum_k v_k s(w_k x + b_k) + c``, minimising ``mean (f - y)^2 / 2 + penalty |weights|^2 / 2``.

    Weights are one vector, ``(b_1, w_1), ..., (b_H, w_H), v, c``; every method takes stacks of weights ``(..., d)``
    with samples ``x (..., n, p)``, ``y (..., n)``.

    Parameters
    ----------
    inputs, hidden
        p and H; ``d = H (p + 2) + 1``.
    activation
        ``tanh``, ``softplus`` or ``relu``.
    penalty
        Positive: it holds the directions that the data do not.

    Examples
    --------
    >>> SmallNetwork(inputs=3, hidden=4).num_weights
    21
    """

    inputs: int
    hidden: int
    activation: str = "tanh"
    penalty: float = 1e-3

    def __post_init__(self):
        integer("SmallNetwork", "inputs", self.inputs, at_least=1)
        integer("SmallNetwork", "hidden", self.hidden, at_least=1)
        known("SmallNetwork", "activation", self.activation, ACTIVATIONS)
        number("SmallNetwork", "penalty", self.penalty, above=0.0)

    @property
    def num_weights(self) -> int:
        """Weights and biases of both layers."""
        return self.hidden * (self.inputs + 2) + 1

    def outputs(self, weights: np.ndarray, x: np.ndarray) -> np.ndarray:
        """Return f at each example, ``(..., n)``."""
        inner, outer, constant, _ = self._open(weights, x)
        return (ACTIVATIONS[self.activation].value(inner) * outer).sum(axis=-1) + constant

    def objective(self, weights: np.ndarray, x: np.ndarray, y: np.ndarray) -> np.ndarray:
        """Return what is minimised, ``(...)``."""
        loss = np.square(self.outputs(weights, x) - y).mean(axis=-1)
        return (loss + self.penalty * np.square(weights).sum(axis=-1)) / 2

    def descent(self, weights: np.ndarray, x: np.ndarray, y: np.ndarray) -> np.ndarray:
        """Return the gradient of the objective, ``(..., d)``, without those of the examples."""
        activation = ACTIVATIONS[self.activation]
        inner, outer, constant, ones = self._open(weights, x)
        value = activation.value(inner)
        residual = ((value * outer).sum(axis=-1) + constant - y)[..., None] / y.shape[-1]
        back = np.swapaxes(residual * activation.slope(inner) * outer, -1, -2) @ ones
        parts = [back.reshape(*back.shape[:-2], -1), (residual * value).sum(axis=-2), residual.sum(axis=-2)]
        return np.concatenate(parts, axis=-1) + self.penalty * weights

    def expand(self, weights: np.ndarray, x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return gradients of the examples' losses ``(..., n, d)`` and the mean loss's Hessian, without the penalty."""
        activation = ACTIVATIONS[self.activation]
        inner, outer, constant, ones = self._open(weights, x)
        value, slope, bend = activation.value(inner), activation.slope(inner), activation.bend(inner)
        residual = ((value * outer).sum(axis=-1) + constant - y)[..., None]
        first = ((slope * outer)[..., None] * ones[..., None, :]).reshape(*y.shape, -1)
        jacobian = np.concatenate([first, value, np.ones((*y.shape, 1))], axis=-1)
        hessian = np.swapaxes(jacobian, -1, -2) @ jacobian
        size = ones.shape[-1]
        for k in range(self.hidden):
            own, out = slice(k * size, (k + 1) * size), self.hidden * size + k
            hessian[..., own, own] += np.swapaxes(residual * (bend * outer)[..., [k]] * ones, -1, -2) @ ones
            mixed = (residual * slope[..., [k]] * ones).sum(axis=-2)
            hessian[..., own, out] += mixed
            hessian[..., out, own] += mixed
        return residual * jacobian, hessian / y.shape[-1]

    def fit(self, start: np.ndarray, x: np.ndarray, y: np.ndarray, *, steps: int = 200) -> Fit:
        """Descend to a minimum near ``start``, ``(d,)``, on each of many samples.

        Newton's steps, the Hessian's eigenvalues taken positive and a step halved until the objective falls. A minimum
        on a kink of ``relu`` has no vanishing gradient; ``converged`` is False there.
        """
        many = y.shape[:-1]
        x, y = x.reshape(-1, *x.shape[-2:]), y.reshape(-1, y.shape[-1])
        weights = np.tile(start, (len(y), 1))
        length, converged = np.ones(len(weights)), np.zeros(len(weights), bool)
        open_ = np.arange(len(weights))
        for _ in range(steps):
            at, features, targets = weights[open_], x[open_], y[open_]
            gradients, hessian = self.expand(at, features, targets)
            slope = gradients.mean(axis=-2) + self.penalty * at
            converged[open_] = np.abs(slope).max(axis=-1) < SMALL
            values, vectors = np.linalg.eigh(hessian + self.penalty * np.eye(len(start)))
            along = (slope[..., None, :] @ vectors)[..., 0, :] / np.maximum(np.abs(values), self.penalty / 10)
            step = (vectors @ along[..., None])[..., 0]
            found = at - length[open_, None] * step
            before, after = (self.objective(w, features, targets) for w in (at, found))
            falls = after <= before + 1e-15
            weights[open_] = np.where(falls[:, None], found, at)
            length[open_] = np.where(falls, np.minimum(2 * length[open_], 1.0), length[open_] / 2)
            open_ = open_[~converged[open_] & (length[open_] > 0.5**MOST_HALVINGS)]
            if len(open_) == 0:
                break
        return Fit(weights.reshape(*many, len(start)), converged.reshape(many))

    def _open(self, weights, x):
        """Return inputs of the hidden units ``(..., n, H)``, their outer weights, the constant, and x with a one."""
        ones = np.concatenate([np.ones((*x.shape[:-1], 1)), x], axis=-1)
        first, outer, constant = np.split(
            weights, [self.hidden * (self.inputs + 1), self.num_weights - 1], axis=-1
        )
        matrix = first.reshape(*first.shape[:-1], self.hidden, self.inputs + 1)
        return ones @ np.swapaxes(matrix, -1, -2), outer[..., None, :], constant, ones
