"""Value: images that stay as they are stored until some of them are wanted."""

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
        ``(C,)`` float32; 0 and 1 for images that are stored standardised.
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
        mean = _mean(images, rows)
        scale = np.sqrt(_mean(images, rows, mean))
        for channel in np.flatnonzero(scale <= 4 * np.finfo(np.float64).eps * np.abs(mean)):
            raise InvalidInput(
                f"{where}: expected channels that vary, got {mean[channel]:g} throughout channel {channel}; "
                "leave it out."
            )
        if images.dtype == np.uint8:
            return cls(stored=images, mean=mean.astype(np.float32), scale=scale.astype(np.float32))
        channels = images.shape[-1]
        return cls(
            stored=((images - mean) / scale).astype(np.float32),
            mean=np.zeros(channels, dtype=np.float32),
            scale=np.ones(channels, dtype=np.float32),
        )


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


def _mean(images, rows, centre=None):
    """Return the mean of each channel over images at ``rows``, or the mean square about ``centre``."""
    total = np.zeros(images.shape[-1])
    for start in range(0, len(rows), BLOCK):
        block = images[rows[start : start + BLOCK]].astype(np.float64)
        total += (block if centre is None else (block - centre) ** 2).sum(axis=(0, 1, 2))
    return total / (len(rows) * images.shape[1] * images.shape[2])
