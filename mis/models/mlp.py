"""A fully connected ReLU network; with depth 0 linear, logistic or softmax regression."""

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import numpy as np

from mis.models.activation import rectified
from mis.models.base import Model
from mis.models.inputs import exchanged
from mis.numerics.checks import integer

__all__ = ["MLP"]


# Beyond these a thousand networks fit no machine, and what fails then names no argument.
WIDEST, DEEPEST = 2**14, 100


@dataclass(frozen=True, kw_only=True)
class MLP(Model):
    """A multilayer perceptron whose layers are matrices ``(in + 1, out)``, the bias as last row.

    A layer is one matrix because it is released as one: its weights and its bias meet the same quantization grid,
    and no scalar bias gets a grid, hence a full-precision value, of its own.

    Parameters
    ----------
    input_shape, num_classes
        As in ``Model``; features of several axes are flattened.
    width
        Hidden units per hidden layer, at most 16384.
    depth
        Number of hidden layers, at most 100.

    Examples
    --------
    >>> import jax
    >>> model = MLP(input_shape=(512,))
    >>> [layer.shape for layer in model.init(jax.random.key(0))]
    [(513, 32), (33, 1)]
    """

    width: int = 32
    depth: int = 1

    compiled_loop: ClassVar[bool] = True
    default_steps: ClassVar[int] = 600

    def __post_init__(self):
        super().__post_init__()
        integer("MLP", "width", self.width, at_least=1, at_most=WIDEST)
        integer("MLP", "depth", self.depth, at_least=0, at_most=DEEPEST)

    @property
    def num_inputs(self) -> int:
        """Number of features."""
        return math.prod(self.input_shape)

    @property
    def summary(self) -> str:
        """Its hidden layers."""
        layers = "layer" if self.depth == 1 else "layers"
        return f"{self.depth} hidden {layers} of {self.width}" if self.depth else "no hidden layer"

    @property
    def shapes(self) -> list[tuple[int, int]]:
        """Shapes of the layers."""
        sizes = [self.num_inputs, *[self.width] * self.depth, self.num_classes or 1]
        return [(a + 1, b) for a, b in itertools.pairwise(sizes)]

    @property
    def tensor_rows(self) -> list[int]:
        """Rows of the weights: the bias is the last."""
        return [rows - 1 for rows, _ in self.shapes]

    def init(self, key: jax.Array) -> list[jax.Array]:
        """Draw an initial point: He normal weights in hidden layers, LeCun in the last, zero biases."""
        keys = jax.random.split(key, self.depth + 1)
        gains = [2.0] * self.depth + [1.0]
        layers = []
        for k, (rows, cols), gain in zip(keys, self.shapes, gains, strict=True):
            weights = jnp.sqrt(gain / (rows - 1)) * jax.random.normal(k, (rows - 1, cols), jnp.float32)
            layers.append(jnp.concatenate([weights, jnp.zeros((1, cols), jnp.float32)]))
        return layers

    def apply(self, params: Sequence[jax.Array], features: jax.Array) -> jax.Array:
        """Return the outputs ``(..., num_classes or 1)`` for features ``(..., num_inputs)``; layers whole or parted."""
        for layer in params[:-1]:
            features = rectified(_affine(layer, features), self.activation_bits)
        return _affine(params[-1], features)

    def predict(self, layers: Sequence[jax.Array], features: jax.Array) -> jax.Array:
        """Return the outputs for features of any leading axes."""
        return self.apply(layers, features)

    def pack(self, params: Any) -> list[jax.Array]:
        """Return the parameters: they are the matrices."""
        return params

    def unpack(self, layers: Sequence[jax.Array]) -> Any:
        """Return the matrices: they are the parameters."""
        return layers

    def take(self, features: np.ndarray) -> np.ndarray:
        """Return features of any shape, each example's in a row."""
        return super().take(features).reshape(len(features), -1)

    def start(self, layers: Sequence[jax.Array]) -> list[tuple[jax.Array, jax.Array]]:
        """Return weights ``(out, in)`` and bias ``(out,)`` of each layer, the form in which networks train.

        Apart they train a fifth faster than as slices of one matrix. Transposed, so does the widest product, that of
        the first layer's gradient, ``(out, batch) @ (batch, in)``, on a CPU.
        """
        return [(layer[:-1].T, layer[-1]) for layer in layers]

    def finish(self, trained: Sequence[tuple[jax.Array, jax.Array]]) -> list[jax.Array]:
        """Undo ``start``, whatever axes come before."""
        return [
            jnp.concatenate([jnp.swapaxes(weights, -1, -2), bias[..., None, :]], axis=-2)
            for weights, bias in trained
        ]


def _affine(layer, x):
    layer = exchanged(layer, lambda: x.reshape(-1, x.shape[-1]))
    if isinstance(layer, tuple):
        weights, bias = layer[0].T, layer[1]
    else:
        weights, bias = layer[:-1], layer[-1]
    products = x @ weights
    return products + jnp.broadcast_to(bias, products.shape)
