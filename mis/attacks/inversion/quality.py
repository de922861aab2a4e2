"""How near reconstructed images are to the true ones."""

from typing import Any

import numpy as np
from scipy import ndimage, optimize

from mis.attacks.inversion.gradients import WHERE
from mis.numerics.checks import InvalidInput, number

__all__ = ["absolute_error", "matched", "peak_signal_to_noise", "squared_error", "structural_similarity"]

# Wang et al.'s window and constants.
SIGMA, TAPS, K1, K2 = 1.5, 11, 0.01, 0.03
# Decibels of two equal images of bytes, and more than any attack reaches: a squared error of 1e-10.
MOST_DECIBELS = 100.0


def squared_error(found: Any, true: Any) -> np.ndarray:
    """Return the mean squared error of each image, over all its pixels: shapes ``(..., H, W, C)`` to ``(...)``."""
    found, true = _pair(found, true)
    return np.square(found - true).mean(axis=(-3, -2, -1))


def absolute_error(found: Any, true: Any) -> np.ndarray:
    """Return the mean absolute error of each image."""
    found, true = _pair(found, true)
    return np.abs(found - true).mean(axis=(-3, -2, -1))


def peak_signal_to_noise(found: Any, true: Any, *, span: float = 1.0) -> np.ndarray:
    """Return ``10 log10(span^2 / squared error)`` in decibels, at most 100.

    Examples
    --------
    >>> float(peak_signal_to_noise(np.zeros((8, 8, 1)), np.full((8, 8, 1), 0.1)).round(6))
    20.0
    """
    span = number(WHERE, "span", span, above=0.0)
    least = 10 ** (-MOST_DECIBELS / 10)
    return -10 * np.log10(np.maximum(squared_error(found, true) / span**2, least))


def structural_similarity(found: Any, true: Any, *, span: float = 1.0) -> np.ndarray:
    """Return the structural similarity (SSIM) of each image, at most 1, equal images.

    Local means, variances and covariance in a Gaussian window of 11 x 11 and standard deviation 1.5, in images smaller
    than it as much of it as they hold; where it lies inside the image only; the mean over places and channels.

    Parameters
    ----------
    found, true
        ``(..., H, W, C)``.
    span
        Range of the pixels.

    References
    ----------
    Wang, Bovik, Sheikh, Simoncelli (2004), Image quality assessment: from error visibility to structural similarity,
    IEEE Trans. Image Process. 13.

    Examples
    --------
    >>> ramp = np.linspace(0, 1, 64).reshape(8, 8, 1)
    >>> float(structural_similarity(ramp, ramp)), bool(structural_similarity(ramp, 1 - ramp) < 0)
    (1.0, True)
    """
    found, true = _pair(found, true)
    span = number(WHERE, "span", span, above=0.0)
    side = min(TAPS, *found.shape[-3:-1])
    side -= 1 - side % 2
    taps = np.exp(-((np.arange(side) - side // 2) ** 2) / (2 * SIGMA**2))
    taps /= taps.sum()

    def local(images):
        for axis in (-3, -2):
            images = ndimage.correlate1d(images, taps, axis=axis)
        edge = side // 2
        return images[..., edge : images.shape[-3] - edge, edge : images.shape[-2] - edge, :]

    mean, other = local(found), local(true)
    variance, spread = local(found**2) - mean**2, local(true**2) - other**2
    together = local(found * true) - mean * other
    small, large = (K1 * span) ** 2, (K2 * span) ** 2
    alike = (2 * mean * other + small) * (2 * together + large)
    return (alike / ((mean**2 + other**2 + small) * (variance + spread + large))).mean(axis=(-3, -2, -1))


def matched(found: Any, true: Any) -> np.ndarray:
    """Return in which order a batch's reconstructions belong to its images: the least total squared error.

    A gradient is a mean, so it says nothing of the order.

    Parameters
    ----------
    found, true
        ``(B, ...)``.

    Returns
    -------
    np.ndarray
        ``(B,)``: reconstruction ``order[i]`` belongs to image i.

    Examples
    --------
    >>> matched(np.array([[5.0], [1.0]]), np.array([[1.0], [4.0]]))
    array([1, 0])
    """
    found, true = (np.asarray(x, np.float64).reshape(len(x), -1) for x in (found, true))
    costs = np.square(true[:, None] - found[None]).mean(axis=-1)
    return optimize.linear_sum_assignment(np.nan_to_num(costs, nan=1e30, posinf=1e30))[1]


def _pair(found: Any, true: Any) -> tuple[np.ndarray, np.ndarray]:
    found, true = np.asarray(found, np.float64), np.asarray(true, np.float64)
    if found.shape != true.shape or found.ndim < 3:
        raise InvalidInput(
            f"{WHERE}: expected images (..., H, W, C) of one shape, got {found.shape} and {true.shape}."
        )
    return found, true
