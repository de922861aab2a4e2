"""Gaussian noise with the squared error of a quantizer: what the quantizer does beyond being inexact."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from mis.numerics.checks import UnsupportedSetting, refuse
from mis.quantizers.base import Quantizer
from mis.quantizers.channels import Channel, Noisy
from mis.quantizers.noise import root_mean_square

__all__ = ["NoiseLike"]


@dataclass(frozen=True, kw_only=True)
class NoiseLike(Quantizer):
    """Normal noise on every weight, of the mean squared error that another quantizer makes on the same tensor.

    The control of a quantizer: where noise of equal error leaks as little, the protection is that of being inexact.
    The size of the noise, fitted to each tensor, counts as known to the attacker.

    Parameters
    ----------
    like
        A quantizer that does not round at random; in the name after ``noise-like-``.

    Examples
    --------
    >>> import jax
    >>> from mis.quantizers import Sign
    >>> weights = np.array([1.0, -3.0] * 5000)
    >>> released = NoiseLike(like=Sign())(weights, key=jax.random.key(0))
    >>> round(float(((released - weights) ** 2).mean()), 1)  # of Sign, which releases 2 and -2: 1
    1.0
    """

    family: ClassVar[str] = "noise-like"
    like: Quantizer

    def __post_init__(self):
        if not isinstance(self.like, Quantizer):
            raise refuse("NoiseLike", "like", "a quantizer", self.like)
        if self.like.num_calibration or self.like.fit(np.array([-1.0, 1.0])).is_random:
            raise UnsupportedSetting(
                "NoiseLike", f"{self.like.name} is random or calibrated; choose another."
            )

    @property
    def name(self) -> str:
        """The other's name after ``noise-like-``."""
        return f"{self.family}-{self.like.name}"

    @property
    def num_levels(self) -> float:
        """Infinitely many."""
        return float("inf")

    @property
    def num_scales(self) -> int:
        """None: the size of the noise is published with nothing."""
        return 0

    def _fit(self, weights: Any) -> Noisy:
        """Return the noise of the other's error."""
        return self._beside(self.like._fit(weights), weights)

    def fit_network(self, tensors: Sequence[Any], calibration: Any = None) -> list[Noisy]:  # noqa: ARG002
        """Return the noise of the other's error on each tensor of a network."""
        tensors = [self.taken(weights) for weights in tensors]
        each = zip(self.like.fit_network(tensors), tensors, strict=True)
        return [self._beside(channel, weights) for channel, weights in each]

    @staticmethod
    def _beside(channel: Channel, weights: Any) -> Noisy:
        return Noisy(sd=root_mean_square(channel.apply(weights) - weights))
