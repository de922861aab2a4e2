"""Equally spaced levels."""

from dataclasses import dataclass
from typing import Any, ClassVar

from mis.numerics.checks import UnsupportedSetting
from mis.quantizers.base import Quantizer
from mis.quantizers.blocks import Blocks, blocked, edges_between, inverse
from mis.quantizers.channels import Grid, nearest
from mis.quantizers.fields import POWER_OF_TWO, flag, integer_field, scale_field, share_field
from mis.quantizers.scales import axes_of_one_grid, largest, settle

__all__ = ["Uniform"]

# Bits of a group's scale: in single precision, or an exponent.
SCALES = {"fit": 32, POWER_OF_TWO: 8}


@dataclass(frozen=True, kw_only=True)
class Uniform(Quantizer):
    """Nearest of equally spaced levels, 2^bits - 1 symmetric ones up to the largest magnitude by default.

    Symmetric: levels ``step * k`` for k = -m..m with ``m = 2^(bits-1) - 1``, ``step = range / m`` and range
    the largest magnitude. Asymmetric (affine): 2^bits levels ``step * (k - z)`` that span the interval from
    the smallest weight to the largest, zero included, with an integer zero point z.

    Parameters
    ----------
    bits
        2 to 8.
    asymmetric
        Affine grid with a zero point instead of the symmetric one.
    channel
        One grid for each channel instead of one for the tensor. Channels lie along the last axis, the outputs of
        matrices ``(inputs, outputs)`` and of convolution kernels ``(height, width, inputs, outputs)``; move them
        there first if they do not. Where a channel is a single weight, as in a vector of biases, one grid for all.
    group
        One grid for every so many weights along the inputs of each channel, and on into the next; see ``Blocks``.
        Symmetric grids only. 0 is no groups.
    offset
        Shift of the whole grid upwards, as a share of a step, in [0, 1).
    clip
        Share of the range that the levels span, in (0, 1]; weights beyond go to the outermost level.
    scale
        The range: ``"fit"`` (to the largest magnitude), ``"power-of-two"`` (that, rounded up to one), or a
        number > 0 fixed in advance. Symmetric grids only, except ``"fit"``.

    References
    ----------
    Jacob et al. (2018), Quantization and Training of Neural Networks, arXiv:1712.05877, section 2.1;
    Krishnamoorthi (2018), Quantizing deep convolutional networks, arXiv:1806.08342, section 2.

    Examples
    --------
    >>> import numpy as np
    >>> weights = np.array([-1.0, -0.2, 0.4, 0.6])
    >>> Uniform(bits=2)(weights)
    array([-1.,  0.,  0.,  1.])
    >>> Uniform(bits=2, asymmetric=True).fit(weights).levels.round(3)
    array([-1.067, -0.533,  0.   ,  0.533])
    """

    family: ClassVar[str] = "uniform"
    by_extremes: ClassVar[bool] = True
    bits: int = integer_field(4, at_least=2, at_most=8)  # type: ignore[assignment]
    asymmetric: bool = flag("asymmetric")
    channel: bool = flag("channel")
    group: int = integer_field(0, "group", at_least=2, at_most=2**16)
    offset: float = share_field(0.0, "offset", within="[0, 1)")
    clip: float = share_field(1.0, "clip", within="(0, 1]")
    scale: str | float = scale_field()

    def __post_init__(self):
        super().__post_init__()
        if self.asymmetric and self.scale != "fit":
            raise UnsupportedSetting("Uniform", "an asymmetric grid fits both its ends; leave scale='fit'.")
        if self.group and (self.asymmetric or self.channel or self.offset or self.scale not in SCALES):
            raise UnsupportedSetting(
                "Uniform",
                "groups have symmetric grids with a fitted scale each; leave the other options or group.",
            )

    @property
    def num_levels(self) -> float:
        """One fewer on a symmetric grid."""
        return 2**self.bits - (not self.asymmetric)

    @property
    def num_scales(self) -> int:
        """Those of groups are counted in ``side_bits``."""
        return 0 if self.group else super().num_scales

    @property
    def side_bits(self) -> float:
        """The scale of each group, in single precision, or an exponent."""
        return SCALES[str(self.scale)] / self.group if self.group else 0.0

    @property
    def grid_bits(self) -> float:
        """The scale, and of an asymmetric grid which of its levels is zero."""
        return super().grid_bits + (self.bits if self.asymmetric else 0)

    def _fit(self, weights: Any) -> Grid | Blocks:
        """Return the levels with their midpoints as edges."""
        if self.group:
            return self._grouped(weights)
        return nearest(self._asymmetric(weights) if self.asymmetric else self._symmetric(weights))

    def _symmetric(self, weights):
        m = 2 ** (self.bits - 1) - 1
        span = self.clip * settle(self.scale, largest(weights, channel=self.channel))
        # Shares of the range, not multiples of the step: then the outermost level is exactly the range.
        return span[..., None] * ((self._integers(-m, m, span) + self.offset) / m)

    def _grouped(self, weights):
        m = 2 ** (self.bits - 1) - 1
        span = self.clip * settle(self.scale, largest(blocked(weights, self.group), channel=True))
        table = [k / m for k in range(-m, m + 1)]
        xp = weights.__array_namespace__()
        return Blocks(
            table=xp.asarray(table, dtype=weights.dtype),
            edges=xp.asarray(edges_between(table, weights.dtype, ties="up")),
            inverses=inverse(span)[None],
            scales=span[None],
            size=self.group,
        )

    def _asymmetric(self, weights):
        xp = weights.__array_namespace__()
        axes = axes_of_one_grid(weights, self.channel)
        low = self.clip * xp.minimum(xp.min(weights, axis=axes), 0)
        high = self.clip * xp.maximum(xp.max(weights, axis=axes), 0)
        last = 2**self.bits - 1
        # Half of the range, which could overflow, and shares of it, not multiples of a step, which could underflow.
        half = high / 2 - low / 2
        zero_point = xp.round(last * (-low / 2 / xp.where(half > 0, half, 1)))
        steps = self._integers(0, last, half) - zero_point[..., None] + self.offset
        return half[..., None] * (2 * steps / last)

    @staticmethod
    def _integers(first, last, like):
        """Return first..last along a new last axis of an array like ``like``."""
        xp = like.__array_namespace__()
        return xp.arange(first, last + 1, dtype=like.dtype).reshape((1,) * like.ndim + (-1,))
