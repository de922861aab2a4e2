"""Images that stay as they are stored until some of them are wanted."""

from dataclasses import dataclass
from typing import Any

import jax
import numpy as np

from mis.numerics.checks import InvalidInput, finite

__all__ = ["Pixels", "stacked"]

# Images whose statistics are computed at a time, in float64.
BLOCK = 512


@jax.tree_util.register_dataclass
@dataclass(frozen=True, kw_only=True)
class Pixels:
    """Images ``(N, H, W, C)``; ``pixels[rows]`` are those of some rows, standardised, float32.

    Standardised is ``(stored - mean) / scale``, one mean and one scale a channel, so that no pixel is altered against
    its neighbours. Bytes are kept as bytes, a quarter of the memory of float32.

    Parameters
    ----------
    stored
        uint8 as they were given, or float32 already standardised, ``(N, H, W, C)``.
    mean, scale
        ``(1, 1, 1, C)`` float32; 0 and 1 for images that are stored standardised.
    """

    stored: Any
    mean: Any
    scale: Any

    @property
    def shape(self) -> tuple[int, ...]:
        """``(N, H, W, C)``."""
        return self.stored.shape

    def __getitem__(self, rows: Any) -> Any:
        return (self.stored[rows].astype(np.float32) - self.mean) / self.scale

    @classmethod
    def prepare(cls, where: str, images: np.ndarray, seen: np.ndarray) -> "Pixels":
        """Make them from images ``(N, H, W, C)`` with the mean and standard deviation of those ``seen``.

        Raises
        ------
        InvalidInput
            Where a channel has one value throughout.
        """
        rows = np.flatnonzero(seen)
        # About one of the pixels first: exact for a constant channel, and beside a large offset.
        first = images[rows[0], 0, 0].astype(np.float64)
        mean = first + _moment(images, rows, first, 1)
        scale = np.sqrt(_moment(images, rows, mean, 2))
        for channel in np.flatnonzero(scale <= 4 * np.finfo(np.float64).eps * np.abs(mean)):
            raise InvalidInput(
                f"{where}: expected channels that vary, got {mean[channel]:g} throughout channel {channel}; "
                "leave it out."
            )
        stored = images
        if images.dtype != np.uint8:
            stored = ((images - mean) / scale).astype(np.float32)
            mean, scale = np.zeros_like(mean), np.ones_like(scale)
        # With axes of their own: JAX may be set to refuse arrays of unequal ranks.
        mean, scale = (channel.astype(np.float32)[None, None, None] for channel in (mean, scale))
        return cls(stored=stored, mean=mean, scale=scale)


def stacked(where: str, features: Any) -> np.ndarray | None:
    """Return images as one array ``(N, H, W, C)``, uint8 or float64; None where features have fewer than three axes.

    Raises
    ------
    InvalidInput
        For examples of unequal sizes, NaN or infinite pixels, channels before the rows, no images, or more axes.
    """
    unequal = InvalidInput(f"{where}: expected features of one shape, got examples of unequal sizes.")
    try:
        array = np.asanyarray(features)
    except ValueError:
        raise unequal from None
    if array.dtype == object and array.ndim == 1 and len({np.shape(example) for example in array}) > 1:
        raise unequal
    if array.ndim < 3:
        return None
    if array.ndim > 4:
        raise InvalidInput(
            f"{where}: expected images (N, H, W) or (N, H, W, C), got features.shape={array.shape}."
        )
    if array.dtype.kind not in "biuf":
        raise InvalidInput(f"{where}: expected features to be numbers, got an array of dtype {array.dtype}.")
    if array.dtype != np.uint8 or np.ma.isMaskedArray(array) or array.size == 0:
        array = finite(where, "features", array)
    if array.ndim == 3:
        return np.ascontiguousarray(array)[..., None]
    _, first, rows, last = array.shape
    if first in (1, 3) and rows == last > 4:
        raise InvalidInput(
            f"{where}: expected channels last, (N, H, W, C), got features.shape={array.shape}; "
            "numpy.moveaxis(features, 1, -1) puts them there."
        )
    return np.ascontiguousarray(array)


def _moment(images, rows, centre, power):
    """Return the mean, by channel, of a power of images at ``rows`` less their channel's ``centre``."""
    # Pixel by pixel first: NumPy adds long rows quickly, three channels at a time slowly.
    flat = images.reshape(len(images), -1)
    centre, total = np.resize(centre, flat.shape[1]), np.zeros(flat.shape[1])
    for start in range(0, len(rows), BLOCK):
        block = flat[rows[start : start + BLOCK]] - centre
        total += block.sum(axis=0) if power == 1 else (block * block).sum(axis=0)
    return total.reshape(-1, images.shape[-1]).mean(axis=0) / len(rows)
