"""Formats that large models are published in: a few bits a weight, and a scale for every block of weights.

Scales are stored in a few bits too, and counted in ``bits``. In NumPy everything is as the reference implementations
compute it, bit for bit; compiled, a scale may differ by a rounding.
"""

import abc
import math
from dataclasses import dataclass
from typing import Any, ClassVar

import ml_dtypes
import numpy as np

from mis.quantizers.base import Quantizer
from mis.quantizers.blocks import Blocks, blocked, edges_between, inverse
from mis.quantizers.scales import largest

__all__ = ["MXFP4", "NVFP4", "Q4", "Q8", "TQ1", "TQ2"]

# The values of four-bit floats, sign, 2 bits of exponent, 1 of mantissa (OCP E2M1).
E2M1 = (-6.0, -4.0, -3.0, -2.0, -1.5, -1.0, -0.5, 0.0, 0.5, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0)
# The largest of eight-bit floats (OCP E4M3), and of half precision.
LARGEST_E4M3, LARGEST_HALF = 448.0, 65504.0
# Exponents of a scale that is eight bits of exponent (OCP E8M0).
EXPONENTS = (-127, 127)


@dataclass(frozen=True, kw_only=True)
class Format(Quantizer):
    """What formats have in common: blocks along the inputs of each output, the last one filled up with zeros.

    ``llama.cpp`` refuses matrices whose number of inputs is no multiple of the block; here a block then goes on with
    the next output.
    """

    size: ClassVar[int]
    table: ClassVar[tuple[float, ...]]
    code_bits: ClassVar[float]
    scale_bits: ClassVar[int]
    ties: ClassVar[str]

    @property
    def num_levels(self) -> float:
        """Of each block."""
        return len(self.table)

    @property
    def bits(self) -> float:
        """Of the format, scales of blocks counted."""
        return self.code_bits + self.scale_bits / self.size

    def published_bits(self, shape: tuple[int, ...]) -> float:
        """Return the bits of a tensor in whole blocks, the last filled up."""
        return -(-math.prod(shape) // self.size) * self.size * self.bits + self.grid_bits

    def _fit(self, weights: Any) -> Blocks:
        xp = weights.__array_namespace__()
        inverses, scales = self.scales(blocked(weights, self.size))
        return Blocks(
            table=xp.asarray(self.table, dtype=weights.dtype),
            edges=xp.asarray(self.edges(weights.dtype)),
            inverses=inverses[None],
            scales=scales[None],
            size=self.size,
        )

    def edges(self, dtype: Any) -> np.ndarray:
        """Return the edges of the table's cells."""
        return edges_between(self.table, dtype, ties=self.ties)

    @abc.abstractmethod
    def scales(self, blocks: Any) -> tuple[Any, Any]:
        """Return what weights ``(size, B)`` are multiplied with before and after they are rounded; ``(B,)`` each."""


def in_half_precision(scales: Any) -> Any:
    """Return scales rounded to half precision, at most its largest number."""
    xp = scales.__array_namespace__()
    return xp.clip(scales, -LARGEST_HALF, LARGEST_HALF).astype(np.float16).astype(scales.dtype)


@dataclass(frozen=True, kw_only=True)
class Q4(Format):
    """Four bits and a scale in half precision for every 32 weights: 16 equal steps (GGUF's Q4_0), 4.5 bits.

    Values -8 to 7 times a scale, such that the weight of the largest magnitude, whatever its sign, is at -8.

    References
    ----------
    ``quantize_row_q4_0_ref`` of ggml, github.com/ggml-org/llama.cpp, file ggml/src/ggml-quants.c.

    Examples
    --------
    >>> Q4()(np.array([-1.0, 0.3, 0.9, 0.5]))
    array([-1.   ,  0.25 ,  0.875,  0.5  ])
    """

    family: ClassVar[str] = "q4_0"
    by_extremes: ClassVar[bool] = True
    size: ClassVar[int] = 32
    table: ClassVar[tuple[float, ...]] = tuple(map(float, range(-8, 8)))
    code_bits: ClassVar[float] = 4.0
    scale_bits: ClassVar[int] = 16
    ties: ClassVar[str] = "up"

    def edges(self, dtype: Any) -> np.ndarray:
        """Return the edges: a weight's code is its whole part after 8.5 is added, which rounds up from just below."""
        codes = np.arange(1, 16, dtype=dtype)
        exact = codes.astype(np.longdouble)
        reached = exact - 8.5 - (exact - np.nextafter(codes, np.asarray(0, dtype))) / 2
        edges = reached.astype(dtype)
        return np.where(edges < reached, np.nextafter(edges, np.asarray(np.inf, dtype)), edges)

    def scales(self, blocks: Any) -> tuple[Any, Any]:
        """Return those of the first weight of largest magnitude."""
        xp = blocks.__array_namespace__()
        place = xp.argmax(abs(blocks), axis=0)
        scale = xp.take_along_axis(blocks, place[None], axis=0)[0] / -8
        return inverse(scale), in_half_precision(scale)


class Largest(Format):
    """A scale in half precision that puts the largest magnitude of a block at the largest of the table."""

    by_extremes: ClassVar[bool] = True
    scale_bits: ClassVar[int] = 16
    ties: ClassVar[str] = "away"

    def scales(self, blocks: Any) -> tuple[Any, Any]:
        """Return those of the largest magnitudes."""
        scale = largest(blocks, channel=True) / self.table[-1]
        return inverse(scale), in_half_precision(scale)


@dataclass(frozen=True, kw_only=True)
class Q8(Largest):
    """Eight bits and a scale in half precision for every 32 weights: 255 equal steps (GGUF's Q8_0), 8.5 bits.

    References
    ----------
    ``quantize_row_q8_0_ref`` of ggml, github.com/ggml-org/llama.cpp, file ggml/src/ggml-quants.c.

    Examples
    --------
    >>> Q8()(np.array([-127.0, 0.6, 2.5]))
    array([-127.,    1.,    3.])
    """

    family: ClassVar[str] = "q8_0"
    size: ClassVar[int] = 32
    table: ClassVar[tuple[float, ...]] = tuple(map(float, range(-127, 128)))
    code_bits: ClassVar[float] = 8.0


@dataclass(frozen=True, kw_only=True)
class TQ1(Largest):
    """Minus, zero, plus the largest magnitude of every 256 weights, in half precision (GGUF's TQ1_0), 1.69 bits.

    Made for networks that were trained to have three values: zero is what is nearest to zero. Five values are packed
    into a byte.

    References
    ----------
    ``quantize_row_tq1_0_ref`` of ggml, github.com/ggml-org/llama.cpp, file ggml/src/ggml-quants.c. Ma et al. (2024),
    The era of 1-bit LLMs, arXiv:2402.17764.

    Examples
    --------
    >>> TQ1()(np.array([1.0, -0.5, 0.4]))
    array([ 1., -1.,  0.])
    """

    family: ClassVar[str] = "tq1_0"
    size: ClassVar[int] = 256
    table: ClassVar[tuple[float, ...]] = (-1.0, 0.0, 1.0)
    # 48 bytes of five values, four of four.
    code_bits: ClassVar[float] = 8 * 52 / 256


@dataclass(frozen=True, kw_only=True)
class TQ2(TQ1):
    """The values of TQ1_0 in two bits each (GGUF's TQ2_0), 2.06 bits.

    References
    ----------
    ``quantize_row_tq2_0_ref`` of ggml, github.com/ggml-org/llama.cpp, file ggml/src/ggml-quants.c.

    Examples
    --------
    >>> TQ2().bits
    2.0625
    """

    family: ClassVar[str] = "tq2_0"
    code_bits: ClassVar[float] = 2.0


@dataclass(frozen=True, kw_only=True)
class MXFP4(Format):
    """Four-bit floats and a power of two for every 32 weights (OCP Microscaling), 4.25 bits.

    The scale is the largest power of two at most the largest magnitude, over 4, the largest power of two among the
    values; so a block's largest weights, up to 8 scales, go to 6. Halfway goes the smaller magnitude, as in ggml.

    References
    ----------
    Open Compute Project (2023), Microscaling Formats (MX) Specification 1.0, section 6.3. ``quantize_row_mxfp4_ref``
    of ggml, github.com/ggml-org/llama.cpp, file ggml/src/ggml-quants.c, whose single-precision logarithm takes what is
    a rounding below a power of two for it.

    Examples
    --------
    >>> MXFP4()(np.array([7.9, -2.4, 0.3]))
    array([ 6. , -2. ,  0.5])
    """

    family: ClassVar[str] = "mxfp4"
    by_extremes: ClassVar[bool] = True
    size: ClassVar[int] = 32
    table: ClassVar[tuple[float, ...]] = E2M1
    code_bits: ClassVar[float] = 4.0
    scale_bits: ClassVar[int] = 8
    ties: ClassVar[str] = "zero"

    def scales(self, blocks: Any) -> tuple[Any, Any]:
        """Return powers of two."""
        xp, top = blocks.__array_namespace__(), largest(blocks, channel=True)
        # mantissa * 2^exponent with mantissa in [1/2, 1): the power at most the largest has one less.
        exponent = xp.clip(xp.frexp(top)[1] - 3, *EXPONENTS)
        scale = xp.where(xp.isfinite(top), xp.ldexp(xp.ones_like(top), exponent), top)
        return inverse(scale), scale


@dataclass(frozen=True, kw_only=True)
class NVFP4(Format):
    """Four-bit floats, an eight-bit float for every 16 weights and a scale for the tensor (NVIDIA's), 4.5 bits.

    The tensor's scale, in single precision, puts the largest scale of a block at 448, the largest E4M3 float; a block's
    is rounded to such a float. Halfway goes the value of even code.

    References
    ----------
    NVIDIA (2025), Pretraining large language models with NVFP4, arXiv:2509.25149, appendix C.

    Examples
    --------
    >>> NVFP4()(np.array([6.0, -2.6, 0.3])).round(6)
    array([ 6. , -3. ,  0.5])
    """

    family: ClassVar[str] = "nvfp4"
    by_extremes: ClassVar[bool] = True
    size: ClassVar[int] = 16
    table: ClassVar[tuple[float, ...]] = E2M1
    code_bits: ClassVar[float] = 4.0
    scale_bits: ClassVar[int] = 8
    ties: ClassVar[str] = "even"

    @property
    def num_scales(self) -> int:
        """The tensor's."""
        return 1

    def scales(self, blocks: Any) -> tuple[Any, Any]:
        """Return those of the tensor times those of blocks."""
        xp, top = blocks.__array_namespace__(), largest(blocks)
        shares = largest(blocks, channel=True) / xp.where(top > 0, top, 1)
        of_blocks = (LARGEST_E4M3 * shares).astype(ml_dtypes.float8_e4m3fn).astype(blocks.dtype)
        scale = of_blocks * (top / (self.table[-1] * LARGEST_E4M3))
        return inverse(scale), scale
