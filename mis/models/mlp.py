"""Spec: a fully connected ReLU network; with depth 0 linear, logistic or softmax regression."""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import jax
import jax.numpy as jnp

from mis.numerics.checks import integer

__all__ = ["MLP"]


# Beyond these a thousand networks fit no machine, and what fails then names no argument.
WIDEST, DEEPEST = 2**14, 100


@dataclass(frozen=True, kw_only=True)
class MLP:
    """A multilayer perceptron whose layers are matrices ``(in + 1, out)``, the bias as last row.

    A layer is one matrix because it is released as one: its weights and its bias meet the same quantization grid,
    and no scalar bias gets a grid, hence a full-precision value, of its own.

    Parameters
    ----------
    num_inputs
        Number of features.
    num_classes
        Number of classes, fitted by cross-entropy in nats; None is regression on one output by squared error.
    width
        Hidden units per hidden layer, at most 16384.
    depth
        Number of hidden layers, at most 100.

    Examples
    --------
    >>> import jax
    >>> model = MLP(num_inputs=512)
    >>> [layer.shape for layer in model.init(jax.random.key(0))]
    [(513, 32), (33, 1)]
    """

    num_inputs: int
    num_classes: int | None = None
    width: int = 32
    depth: int = 1

    def __post_init__(self):
        integer("MLP", "num_inputs", self.num_inputs, at_least=1)
        integer("MLP", "width", self.width, at_least=1, at_most=WIDEST)
        integer("MLP", "depth", self.depth, at_least=0, at_most=DEEPEST)
        if self.num_classes is not None:
            integer("MLP", "num_classes", self.num_classes, at_least=2)

    @property
    def shapes(self) -> list[tuple[int, int]]:
        """Shapes of the layers."""
        sizes = [self.num_inputs, *[self.width] * self.depth, self.num_classes or 1]
        return [(a + 1, b) for a, b in itertools.pairwise(sizes)]

    def init(self, key: jax.Array) -> list[jax.Array]:
        """Draw an initial point: He normal weights in hidden layers, LeCun in the last, zero biases."""
        keys = jax.random.split(key, self.depth + 1)
        gains = [2.0] * self.depth + [1.0]
        layers = []
        for k, (rows, cols), gain in zip(keys, self.shapes, gains, strict=True):
            weights = jnp.sqrt(gain / (rows - 1)) * jax.random.normal(k, (rows - 1, cols), jnp.float32)
            layers.append(jnp.concatenate([weights, jnp.zeros((1, cols), jnp.float32)]))
        return layers

    def predict(self, params: Sequence[jax.Array], x: jax.Array) -> jax.Array:
        """Return the outputs ``(..., num_classes or 1)`` for features ``(..., num_inputs)``; layers whole or parted."""
        for layer in params[:-1]:
            x = jnp.maximum(_affine(layer, x), 0.0)
        return _affine(params[-1], x)

    def losses(self, params: Sequence[jax.Array], x: jax.Array, y: jax.Array) -> jax.Array:
        """Return the loss of each example, shape ``(...)``: nats, or half the squared error."""
        outputs = self.predict(params, x)
        if self.num_classes is None:
            return 0.5 * (outputs[..., 0] - y) ** 2
        # Rows of the identity compile to vector code on every backend; picking single outputs does not.
        chosen = jnp.sum(jnp.eye(self.num_classes)[y] * outputs, axis=-1)
        return jax.nn.logsumexp(outputs, axis=-1) - chosen

    def parted(self, params: Sequence[jax.Array]) -> list[tuple[jax.Array, jax.Array]]:
        """Return weights ``(out, in)`` and bias ``(out,)`` of each layer, the form in which networks train.

        Apart they train a fifth faster than as slices of one matrix. Transposed, so does the widest product, that of
        the first layer's gradient, ``(out, batch) @ (batch, in)``, on a CPU.
        """
        return [(layer[:-1].T, layer[-1]) for layer in params]

    def whole(self, parted: Sequence[tuple[jax.Array, jax.Array]]) -> list[jax.Array]:
        """Undo ``parted``, whatever axes come before."""
        return [
            jnp.concatenate([jnp.swapaxes(weights, -1, -2), bias[..., None, :]], axis=-2)
            for weights, bias in parted
        ]


def _affine(layer, x):
    if isinstance(layer, tuple):
        weights, bias = layer[0].T, layer[1]
    else:
        weights, bias = layer[:-1], layer[-1]
    products = x @ weights
    return products + jnp.broadcast_to(bias, products.shape)
