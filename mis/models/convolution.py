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

__all__ = ["affine", "as_products", "convolve", "he_normal", "image_shape", "max_pool", "per_channel"]

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


def affine(x: jax.Array, layer: dict[str, jax.Array]) -> jax.Array:
    """Return ``x @ kernel + bias``."""
    products = x @ exchanged(layer["kernel"], lambda: x.reshape(-1, x.shape[-1]))
    return products + per_channel(layer["bias"], products)


def per_channel(vector: jax.Array, x: jax.Array) -> jax.Array:
    """Return one number a channel, the last axis, in the shape of ``x``."""
    return jnp.broadcast_to(exchanged(vector), x.shape)


def max_pool(images: jax.Array) -> jax.Array:
    """Return the largest of every 2 x 2 pixels; an odd last row or column is dropped.

    By slices: on a CPU a window's gradient takes a third longer.
    """
    _, height, width, _ = images.shape
    even = images[:, : height // 2 * 2, : width // 2 * 2]
    tall = jnp.maximum(even[:, ::2], even[:, 1::2])
    return jnp.maximum(tall[:, :, ::2], tall[:, :, 1::2])
