"""A network whose hidden layers are products of sparse factors with fixed places, as in the fast Fourier transform."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import jax
import jax.numpy as jnp

from mis.models.activation import rectified
from mis.models.base import Model
from mis.models.convolution import affine
from mis.numerics.checks import integer, refuse

__all__ = ["Butterfly", "butterfly"]

# Beyond these a thousand networks fit no machine.
WIDEST, DEEPEST = 2**16, 100


@dataclass(frozen=True, kw_only=True)
class Butterfly(Model):
    """A fully connected ReLU network with log2 n sparse factors, 2 n log2 n weights, in place of each n x n layer.

    n is the least power of two that is no less than the number of features, which zeros fill up. Of the last factor the
    bias shares the grid.

    Parameters
    ----------
    input_shape, num_classes
        As in ``Model``; features of several axes are flattened.
    depth
        Number of hidden layers, at most 100, each of n units.

    References
    ----------
    Dao, Gu, Eichhorn, Rudra, Re (2019), Learning fast algorithms for linear transforms using butterfly factorizations,
    arXiv:1903.05895, section 3.

    Examples
    --------
    >>> model = Butterfly(input_shape=(6,), num_classes=3)
    >>> model.shapes  # three factors, the last with the bias, and the output layer
    [(2, 8), (2, 8), (3, 8), (9, 3)]
    """

    depth: int = 1

    compiled_loop: ClassVar[bool] = True
    default_steps: ClassVar[int] = 600

    def __post_init__(self):
        super().__post_init__()
        integer("Butterfly", "depth", self.depth, at_least=1, at_most=DEEPEST)
        if not 2 <= math.prod(self.input_shape) <= WIDEST:
            raise refuse("Butterfly", "input_shape", f"of 2 to {WIDEST} features", self.input_shape)

    @property
    def num_factors(self) -> int:
        """Factors of a hidden layer, log2 n."""
        return (math.prod(self.input_shape) - 1).bit_length()

    @property
    def summary(self) -> str:
        """Its hidden layers."""
        layers = "layer" if self.depth == 1 else "layers"
        return f"{self.depth} hidden {layers} of {2**self.num_factors}, {self.num_factors} factors each"

    def init(self, key: jax.Array) -> dict[str, Any]:
        """Draw an initial point: random rotations of pairs, so that a layer keeps lengths, times He's gain."""
        n, factors = 2**self.num_factors, self.num_factors
        *keys, last = jax.random.split(key, self.depth + 1)
        params: dict[str, Any] = {}
        for number, one in enumerate(keys):
            angles = jax.random.uniform(one, (factors, n // 2), maxval=2 * math.pi)
            rotations = [_rotation(angles[k], k) for k in range(factors)]
            outer = {"kernel": math.sqrt(2) * rotations[-1], "bias": jnp.zeros(n)}
            params[f"hidden{number:02d}"] = {"inner": rotations[:-1], "outer": outer}
        kernel = jax.random.normal(last, (n, self.num_outputs)) / math.sqrt(n)
        return params | {"output": {"kernel": kernel, "bias": jnp.zeros(self.num_outputs)}}

    def apply(self, params: dict, features: jax.Array) -> jax.Array:
        """Return the outputs for a batch of features."""
        x = features.reshape(len(features), -1)
        x = jnp.pad(x, ((0, 0), (0, 2**self.num_factors - x.shape[1])))
        for number in range(self.depth):
            layer = params[f"hidden{number:02d}"]
            x = butterfly(x, [*layer["inner"], layer["outer"]["kernel"]])
            x = rectified(x + jnp.broadcast_to(layer["outer"]["bias"], x.shape), self.activation_bits)
        return affine(x, params["output"])


def butterfly(x: Any, factors: Sequence[Any]) -> jax.Array:
    """Return the product of a butterfly with vectors, ``B x`` with ``B = F_m ... F_2 F_1``.

    Parameters
    ----------
    x
        Vectors ``(..., n)`` with n a power of two; real or complex.
    factors
        ``log2 n`` arrays ``(2, n)``, the first of them multiplied with first: entry j of what factor k returns is
        ``factor[0, j] x[j] + factor[1, j] x[j XOR 2^k]``, k from 0.

    Notes
    -----
    Every entry of B is one product along the one path from an input to an output. With entries 1 and, where bit k of j
    is set, -1 for ``factor[0, j]``, it is the Hadamard matrix in Sylvester's order; with roots of unity, and inputs in
    order of reversed bits, the discrete Fourier transform.

    Examples
    --------
    >>> butterfly(jnp.array([1.0, 2.0]), [jnp.array([[1.0, -1.0], [1.0, 1.0]])]).tolist()
    [3.0, -1.0]
    """
    for k, factor in enumerate(factors):
        partner = jnp.flip(x.reshape(*x.shape[:-1], -1, 2, 2**k), axis=-2).reshape(x.shape)
        own, other = (jnp.broadcast_to(row, x.shape) for row in factor)
        x = own * x + other * partner
    return x


def _rotation(angles: jax.Array, k: int) -> jax.Array:
    """Return the factor that turns each pair of entries whose numbers differ in bit k by an angle."""
    cosines, sines = (each(angles).reshape(-1, 1, 2**k) for each in (jnp.cos, jnp.sin))
    own = jnp.concatenate([cosines, cosines], axis=1).reshape(-1)
    other = jnp.concatenate([sines, -sines], axis=1).reshape(-1)
    return jnp.stack([own, other])
