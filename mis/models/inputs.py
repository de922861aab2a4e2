"""What each layer of a network sees, while the network runs and its matrices are replaced one after another."""

import contextlib
import contextvars
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
import numpy as np

if TYPE_CHECKING:
    from mis.models.base import Model

__all__ = ["exchanged", "in_order", "patches", "replace_in_order"]

_EXCHANGE: contextvars.ContextVar[Callable | None] = contextvars.ContextVar("exchange", default=None)


@contextlib.contextmanager
def _exchanging(exchange: Callable) -> Iterator[None]:
    token = _EXCHANGE.set(exchange)
    try:
        yield
    finally:
        _EXCHANGE.reset(token)


def exchanged(leaf: Any, inputs: Callable[[], jax.Array] | None = None) -> Any:
    """Return the parameter that a layer is to use in place of ``leaf``: that itself, unless matrices are replaced.

    Parameters
    ----------
    leaf
        A tensor or a vector of the network's parameters.
    inputs
        What the tensor is multiplied with, ``(examples and places, inputs)``, computed where it is asked for.
    """
    exchange = _EXCHANGE.get()
    return leaf if exchange is None else exchange(leaf, inputs)


def replace_in_order(
    model: "Model",
    layers: Sequence[Any],
    features: Any,
    replace: Callable[[int, jax.Array], Any],
) -> set[int]:
    """Run a network and replace each matrix as soon as its inputs are known; the layers after it see what that does.

    Parameters
    ----------
    model
        The network.
    layers
        Its matrices.
    features
        Examples ``(S, *input_shape)``.
    replace
        ``replace(number, inputs)`` returns the matrix that takes the place of matrix ``number``, whose tensor is
        multiplied with ``inputs``, ``(S or S times places, rows of the tensor)``. Of a tensor that is used twice those
        of the first time.

    Returns
    -------
    set of int
        Numbers of the matrices that were met: those of tensors that go through ``affine`` or ``convolve``, of ``MLP``
        all.

    Notes
    -----
    A tensor is recognised as the very object among the parameters. One that a network transposes, copies or hands into
    a compiled function of its own is not. A vector that joins a tensor's matrix is replaced with it where the network
    adds it by ``affine`` or ``per_channel``.
    """
    layers = list(layers)
    leaves = jax.tree.leaves(model.unpack(layers))
    groups = model.layout.groups
    # Channels in front are the tensor's columns only after it is transposed, which nobody here does.
    owner = {i: number for number, group in enumerate(groups) for i in group.leaves if not group.first}
    met: set[int] = set()

    def exchange(leaf, inputs):
        place = next((i for i, own in enumerate(leaves) if own is leaf), None)
        if place is None or place not in owner:
            return leaf
        number = owner[place]
        if inputs is not None and number not in met:
            layers[number] = replace(number, inputs())
            met.add(number)
        return jax.tree.leaves(model.unpack(layers))[place] if number in met else leaf

    with _exchanging(exchange):
        model.apply(jax.tree.unflatten(jax.tree.structure(model.unpack(layers)), leaves), features)
    return met


def in_order(model: "Model") -> list[int]:
    """Return the numbers of the matrices whose tensors a network meets, in the order in which it does.

    Examples
    --------
    >>> from mis.models import ResNet8
    >>> from mis.models.inputs import in_order
    >>> model = ResNet8(input_shape=(8, 8, 1), num_classes=3, width=2)
    >>> [model.layout.groups[number].name for number in (in_order(model)[0], in_order(model)[-1])]
    ['stem/kernel', 'head/kernel']
    """
    order: list[int] = []

    def run(layers, features):
        def same(number, _):
            order.append(number)
            return layers[number]

        replace_in_order(model, layers, features, same)

    layers = [jax.ShapeDtypeStruct(shape, jnp.float32) for shape in model.shapes]
    jax.eval_shape(run, layers, model.take(np.zeros((1, *model.input_shape), np.float32)))
    return order


def patches(images: jax.Array, kernel: Sequence[int], stride: int, padding: str) -> jax.Array:
    """Return what each place of a convolution sees, ``(images and places, height * width * in)``.

    In the order of the rows of a kernel ``(height, width, in, out)`` as a matrix.
    """
    window, strides = tuple(kernel[:2]), (stride, stride)
    pads = jax.lax.padtype_to_pads(images.shape[1:3], window, strides, padding)
    padded = jnp.pad(images, [(0, 0), *pads, (0, 0)])
    rows, columns = (
        (size - reach) // stride + 1 for size, reach in zip(padded.shape[1:3], window, strict=True)
    )
    seen = [
        padded[:, i : i + stride * (rows - 1) + 1 : stride, j : j + stride * (columns - 1) + 1 : stride]
        for i in range(window[0])
        for j in range(window[1])
    ]
    return jnp.stack(seen, axis=3).reshape(len(images) * rows * columns, -1)
