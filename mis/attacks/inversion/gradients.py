"""The gradient that a client shares, and what is no gradient of a network."""

from collections.abc import Sequence
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from mis.models import Model
from mis.models.convolution import as_products
from mis.numerics.checks import InvalidInput, UnsupportedSetting, unmasked

__all__ = [
    "MOST_IMAGES",
    "check_gradient",
    "classifier",
    "first_layer_input",
    "shared_gradient",
    "soft_gradient",
]

MOST_IMAGES = 8
WHERE = "inversion"


def soft_gradient(model: Model, layers: Sequence[Any], images: Any, labels: Any) -> list[Any]:
    """Return the gradient of the mean cross-entropy of a batch with soft labels ``(B, classes)``, by layer."""

    def loss(layers):
        with as_products():
            outputs = model.predict(layers, images)
        return -jnp.mean(jnp.sum(labels * jax.nn.log_softmax(outputs), axis=-1))

    return jax.grad(loss)(list(layers))


@partial(jax.jit, static_argnames="model")
def _shared(layers, images, labels, *, model):
    return jax.vmap(partial(soft_gradient, model))(layers, images, labels)


def shared_gradient(model: Model, layers: Sequence[Any], images: Any, targets: Any) -> list[np.ndarray]:
    """Return what clients share: the gradient of the mean loss of a batch each.

    Parameters
    ----------
    model
        A network that classifies.
    layers
        Its matrices for each of N clients, by layer ``(N, rows, channels)``.
    images, targets
        A batch a client, ``(N, B, ...)`` with B in 1..8, and classes ``(N, B)``.

    Returns
    -------
    list of array
        By layer, ``(N, rows, channels)``.

    Examples
    --------
    >>> from mis.models import MLP
    >>> linear = MLP(input_shape=(2,), num_classes=2, depth=0)
    >>> shared_gradient(linear, [np.zeros((1, 3, 2))], np.array([[[1.0, 4.0]]]), np.array([[0]]))[0]
    array([[[-0.5,  0.5],
            [-2. ,  2. ],
            [-0.5,  0.5]]], dtype=float32)
    """
    classes = classifier(model)
    images, targets = np.asarray(images, np.float32), np.asarray(targets)
    if images.shape[2:] != model.input_shape or targets.shape != images.shape[:2]:
        raise InvalidInput(
            f"{WHERE}: expected images of shape (N, B, {', '.join(map(str, model.input_shape))}) and targets "
            f"(N, B), got images.shape={images.shape}, targets.shape={targets.shape}."
        )
    check_batch(images.shape[1])
    if targets.min() < 0 or targets.max() >= classes:
        raise InvalidInput(
            f"{WHERE}: expected targets in 0..{classes - 1}, got {targets.min()}..{targets.max()}."
        )
    layers = [jnp.asarray(layer, jnp.float32) for layer in layers]
    found = _shared(layers, jnp.asarray(images), jnp.eye(classes)[targets], model=model)
    return [np.asarray(layer) for layer in found]


def classifier(model: Model) -> int:
    """Return the number of classes, or refuse a network without any."""
    if model.num_classes is None:
        raise UnsupportedSetting(
            WHERE, "the labels of a regression are not inferred; take a network of classes."
        )
    return model.num_classes


def check_batch(batch: int) -> None:
    """Refuse a batch of no images, or of more than the attack takes apart."""
    if not 1 <= batch <= MOST_IMAGES:
        raise InvalidInput(
            f"{WHERE}: expected batch in 1..{MOST_IMAGES}, got batch={batch}; a gradient is a mean, and of more "
            "images than that little is left of each."
        )


def check_gradient(model: Model, gradient: Any) -> list[np.ndarray]:
    """Return a gradient as matrices in float32, or say in one line what is wrong with it.

    Parameters
    ----------
    model
        The network whose gradient it should be.
    gradient
        By layer ``(N, rows, channels)``, as ``shared_gradient`` returns it.

    Raises
    ------
    InvalidInput
        Another structure, NaN or infinite values, masked ones, or zero throughout: then there is nothing to recover.
    """
    expected = [tuple(shape) for shape in model.shapes]
    if not isinstance(gradient, list | tuple):
        raise InvalidInput(f"{WHERE}: expected gradient a list of matrices, got a {type(gradient).__name__}.")
    for layer in gradient:
        unmasked(WHERE, "gradient", layer)
    found = [np.shape(layer)[1:] for layer in gradient]
    if found != expected or len({np.shape(layer)[0] for layer in gradient}) != 1:
        raise InvalidInput(
            f"{WHERE}: expected gradient with the structure of {model.name}, (N, rows, channels) of "
            f"{_shapes(expected)}, got {_shapes([np.shape(layer) for layer in gradient])}."
        )
    layers = [np.asarray(layer, np.float32) for layer in gradient]
    bad = sum(int((~np.isfinite(layer)).sum()) for layer in layers)
    if bad:
        raise InvalidInput(f"{WHERE}: expected gradient finite, got {bad} NaN or infinite values.")
    empty = np.all([~layer.reshape(len(layer), -1).any(axis=1) for layer in layers], axis=0)
    if empty.any():
        raise InvalidInput(
            f"{WHERE}: expected gradient not zero throughout, got gradient {int(np.flatnonzero(empty)[0])} all zero: "
            "nothing to recover."
        )
    return layers


def first_layer_input(gradient: Any) -> np.ndarray:
    """Return the input of an affine layer from the gradient of one example, exactly.

    The gradient of unit h is ``d_h (x, 1)``: each unit's row of weights over its bias is x. Units are averaged with
    the squares of their biases' gradients as weights, least squares for errors of one size in all entries.

    Parameters
    ----------
    gradient
        Of the layer's matrix, the bias as its last row, ``(..., inputs + 1, units)``.

    Returns
    -------
    np.ndarray
        ``(..., inputs)``; zero where no unit moves.

    References
    ----------
    Phong, Aono, Hayashi, Wang, Moriai (2018), Privacy-preserving deep learning via additively homomorphic encryption,
    IEEE Trans. Inf. Forensics Secur. 13, section 3.

    Examples
    --------
    >>> first_layer_input(np.outer([1.0, 4.0, 1.0], [-0.5, 0.5]))
    array([1., 4.])
    """
    gradient = np.asarray(gradient, np.float64)
    bias = gradient[..., -1, :]
    total = np.square(bias).sum(axis=-1)
    inputs = (gradient[..., :-1, :] @ bias[..., None])[..., 0]
    return inputs / np.where(total > 0, total, 1.0)[..., None]


def _shapes(shapes: list[tuple[int, ...]]) -> str:
    return ", ".join("x".join(map(str, shape)) for shape in shapes) or "none"
