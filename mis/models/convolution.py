"""Functions: what convolutional networks are made of; images ``(B, height, width, channels)``."""

import math

import jax
import jax.numpy as jnp

from mis.numerics.checks import InvalidInput

__all__ = ["affine", "convolve", "he_normal", "image_shape", "max_pool", "per_channel"]


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
    return jax.lax.conv_general_dilated(
        images, kernel, (stride, stride), padding, dimension_numbers=("NHWC", "HWIO", "NHWC")
    )


def affine(x: jax.Array, layer: dict[str, jax.Array]) -> jax.Array:
    """Return ``x @ kernel + bias``."""
    products = x @ layer["kernel"]
    return products + per_channel(layer["bias"], products)


def per_channel(vector: jax.Array, x: jax.Array) -> jax.Array:
    """Return one number a channel, the last axis, in the shape of ``x``."""
    return jnp.broadcast_to(vector, x.shape)


def max_pool(images: jax.Array) -> jax.Array:
    """Return the largest of every 2 x 2 pixels; an odd last row or column is dropped.

    By slices: on a CPU a window's gradient takes a third longer.
    """
    _, height, width, _ = images.shape
    even = images[:, : height // 2 * 2, : width // 2 * 2]
    tall = jnp.maximum(even[:, ::2], even[:, 1::2])
    return jnp.maximum(tall[:, :, ::2], tall[:, :, 1::2])
