"""What convolutional networks are made of; images ``(B, height, width, channels)``."""

import contextlib
import contextvars
import math
from collections.abc import Iterator

import jax
import jax.numpy as jnp
import numpy as np

from mis.models.inputs import exchanged, patches
from mis.numerics.checks import InvalidInput

__all__ = [
    "affine",
    "as_products",
    "convolve",
    "convolve_and_pool",
    "he_normal",
    "image_shape",
    "per_channel",
]

_PRODUCTS = contextvars.ContextVar("convolutions as products", default=False)


@contextlib.contextmanager
def as_products() -> Iterator[None]:
    """Have convolutions traced as matrix products.

    A kernel for each of many images, as gradients with respect to kernels need it, is a grouped convolution to XLA,
    which on a CPU takes five times as long as the same products.
    """
    token = _PRODUCTS.set(True)
    try:
        yield
    finally:
        _PRODUCTS.reset(token)


def image_shape(where: str, shape: tuple[int, ...], *, at_least: int) -> tuple[int, int, int]:
    """Return height, width and channels, or refuse features that are no images or too small ones."""
    if len(shape) != 3 or min(shape[:2]) < at_least:
        raise InvalidInput(
            f"{where}: expected images (height, width, channels) of at least {at_least} x {at_least} pixels, "
            f"got features of shape {shape}."
        )
    return shape[0], shape[1], shape[2]


def he_normal(key: jax.Array, shape: tuple[int, ...]) -> jax.Array:
    """Draw a kernel ``(..., in, out)`` of variance 2 / fan-in."""
    return jnp.sqrt(2.0 / math.prod(shape[:-1])) * jax.random.normal(key, shape)


def convolve(images: jax.Array, kernel: jax.Array, *, stride: int = 1, padding: str = "SAME") -> jax.Array:
    """Return the images convolved with a kernel ``(height, width, in, out)``."""
    kernel = exchanged(kernel, lambda: patches(images, kernel.shape, stride, padding))
    if _PRODUCTS.get() and padding == "SAME":
        return _products(images, kernel, stride)
    return jax.lax.conv_general_dilated(
        images, kernel, (stride, stride), padding, dimension_numbers=("NHWC", "HWIO", "NHWC")
    )


def _products(images: jax.Array, kernel: jax.Array, stride: int) -> jax.Array:
    """Convolve by products that pick the rows, then the columns, under each place of the kernel."""
    rows, columns = (
        jnp.asarray(_picks(size, reach, stride), images.dtype)
        for size, reach in zip(images.shape[1:3], kernel.shape[:2], strict=True)
    )
    picked = jnp.einsum("iky,nyxc->nikxc", rows, images)
    return jnp.einsum("nikjlc,klco->nijo", jnp.einsum("jlx,nikxc->nikjlc", columns, picked), kernel)


def _picks(size: int, reach: int, stride: int) -> np.ndarray:
    """Return ``(places, reach, size)``, 1 where a place of the result sees a pixel; padded as ``SAME`` pads."""
    places = -(-size // stride)
    before = max((places - 1) * stride + reach - size, 0) // 2
    seen = np.arange(places)[:, None] * stride + np.arange(reach) - before
    return np.asarray(seen[..., None] == np.arange(size), np.float32)


def convolve_and_pool(images: jax.Array, kernel: jax.Array) -> jax.Array:
    """Return the largest of every 2 x 2 pixels of the images convolved; an odd last row or column is dropped.

    What ``convolve`` and then a maximum over windows give, up to rounding. The four pixels of a window are computed as
    channels of a convolution over blocks of 2 x 2 pixels: no window is cut out of anything, and with four times the
    channels on a quarter of the places XLA's convolutions run several times faster on a CPU, gradients too.

    Parameters
    ----------
    images
        Shape ``(B, height, width, in)``.
    kernel
        Shape ``(height, width, in, out)``; the images are padded with zeros, as ``SAME`` pads.

    Returns
    -------
    array
        Shape ``(B, height // 2, width // 2, out)``.

    Examples
    --------
    >>> convolve_and_pool(jnp.arange(16.0).reshape(1, 4, 4, 1), jnp.ones((1, 1, 1, 1)))[0, ..., 0]
    Array([[ 5.,  7.],
           [13., 15.]], dtype=float32)
    """
    kernel = exchanged(kernel, lambda: patches(images, kernel.shape, 1, "SAME"))
    _, height, width, _ = images.shape
    *reach, _, channels = kernel.shape
    rows, columns = (jnp.asarray(_taps(taps), kernel.dtype) for taps in reach)
    shifts = jnp.einsum("npai,mqbj,ijco->nmpqcabo", rows, columns, kernel)
    found = convolve(_blocks(images), shifts.reshape(len(rows), len(columns), -1, 4 * channels))
    # Whole windows only.
    found = found[:, : height // 2, : width // 2]
    top_left, top_right, left, right = (found[..., k * channels : (k + 1) * channels] for k in range(4))
    # In pairs: a maximum over an axis takes longer.
    return jnp.maximum(jnp.maximum(top_left, left), jnp.maximum(top_right, right))


def _blocks(images: jax.Array) -> jax.Array:
    """Return blocks of 2 x 2 pixels as channels, ``(B, rows, columns, 4 * in)``; zeros fill up the last ones."""
    count, height, width, channels = images.shape
    rows, columns = -(-height // 2), -(-width // 2)
    even = jnp.pad(images, ((0, 0), (0, 2 * rows - height), (0, 2 * columns - width), (0, 0)))
    blocks = even.reshape(count, rows, 2, columns, 2, channels).transpose(0, 1, 3, 2, 4, 5)
    return blocks.reshape(count, rows, columns, 4 * channels)


def _taps(reach: int) -> np.ndarray:
    """Return ``(blocks, 2, 2, reach)``: 1 where a pixel of a block lies under a place of the kernel around another.

    Axes: the block as seen from that of the result, the pixel in it, the pixel of the result, the place of the kernel.
    """
    before = (reach - 1) // 2
    blocks = np.arange(-before // 2, (reach - before) // 2 + 1)
    pixel, of_result, place = np.arange(2)[:, None, None], np.arange(2)[:, None], np.arange(reach)
    return np.asarray(2 * blocks[:, None, None, None] + pixel == of_result + place - before, np.float32)


def affine(x: jax.Array, layer: dict[str, jax.Array]) -> jax.Array:
    """Return ``x @ kernel + bias``."""
    products = x @ exchanged(layer["kernel"], lambda: x.reshape(-1, x.shape[-1]))
    return products + per_channel(layer["bias"], products)


def per_channel(vector: jax.Array, x: jax.Array) -> jax.Array:
    """Return one number a channel, the last axis, in the shape of ``x``."""
    return jnp.broadcast_to(exchanged(vector), x.shape)
