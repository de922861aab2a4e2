"""Quantizers: specs that fit a channel, mostly a grid of allowed values, to a tensor of weights and release them.

Examples
--------
>>> import numpy as np
>>> from mis import quantizers
>>> quantizer = quantizers.parse("ternary-50")
>>> quantizer
Ternary(zeros=0.5, peak=False)
>>> quantizer(np.array([0.1, -0.2, 3.0, -5.0]))
array([ 0.,  0.,  4., -4.])
>>> quantizers.Uniform(bits=4, asymmetric=True, clip=0.8).name
'uniform-4-asymmetric-clip-80'
"""

from typing import Any

import jax

from mis.numerics.checks import InvalidInput
from mis.quantizers import fields
from mis.quantizers.adaround import AdaRound
from mis.quantizers.base import Calibration, Quantizer
from mis.quantizers.blocks import Blocks
from mis.quantizers.brecq import BRECQ
from mis.quantizers.calibrated import Realised
from mis.quantizers.chain import Chain
from mis.quantizers.channels import Channel, DeadZone, Exact, Grid, Noisy, StochasticGrid
from mis.quantizers.codebook import Codebook
from mis.quantizers.dorefa import Dorefa
from mis.quantizers.floats import FP4, FP8
from mis.quantizers.formats import MXFP4, NVFP4, Q4, Q8, TQ1, TQ2
from mis.quantizers.full import Full
from mis.quantizers.gptq import GPTQ
from mis.quantizers.joint import Joint
from mis.quantizers.lsq import LSQ
from mis.quantizers.masked import Masked
from mis.quantizers.nf4 import NF4
from mis.quantizers.noise import Noise
from mis.quantizers.noise_like import NoiseLike
from mis.quantizers.observations import Cell, Hat, Normal, Observation
from mis.quantizers.power_of_two import PowerOfTwo
from mis.quantizers.prune import Prune
from mis.quantizers.sign import Sign
from mis.quantizers.stochastic import Stochastic
from mis.quantizers.ternary import Ternary
from mis.quantizers.uniform import Uniform

__all__ = [
    "BRECQ",
    "DEFAULT",
    "FP4",
    "FP8",
    "GPTQ",
    "LSQ",
    "MXFP4",
    "NF4",
    "NVFP4",
    "Q4",
    "Q8",
    "QUANTIZERS",
    "TQ1",
    "TQ2",
    "AdaRound",
    "Blocks",
    "Calibration",
    "Cell",
    "Chain",
    "Channel",
    "Codebook",
    "DeadZone",
    "Dorefa",
    "Exact",
    "Full",
    "Grid",
    "Hat",
    "Joint",
    "Masked",
    "Noise",
    "NoiseLike",
    "Noisy",
    "Normal",
    "Observation",
    "PowerOfTwo",
    "Prune",
    "Quantizer",
    "Realised",
    "Sign",
    "Stochastic",
    "StochasticGrid",
    "Ternary",
    "Uniform",
    "parse",
    "quantize",
]

QUANTIZERS: dict[str, type[Quantizer]] = {
    cls.family: cls
    for cls in (
        *(Full, Sign, Ternary, Uniform, PowerOfTwo, Codebook, NF4, FP8, FP4, Stochastic),
        *(Prune, Noise, Dorefa, LSQ),
        *(GPTQ, AdaRound, BRECQ),
        *(Q4, Q8, TQ1, TQ2, MXFP4, NVFP4),
    )
}

DEFAULT: tuple[Quantizer, ...] = (
    Full(),
    Sign(),
    *(Ternary(zeros=share) for share in (0.33, 0.5, 0.9)),
    *(Uniform(bits=bits) for bits in (2, 3, 4, 6, 8)),
)


def parse(name: str) -> Quantizer:
    """Return the quantizer that ``name`` spells; ``parse(quantizer.name) == quantizer``.

    Two names joined by a plus sign are a chain, ``prune-90+uniform-4``; names with slashes between are released side by
    side, ``sign/uniform-4``; ``noise-like-`` and a name is noise of the same squared error.

    Raises
    ------
    InvalidInput
        With the nearest known names, or with what the family of the name expects.

    Examples
    --------
    >>> parse("uniform-4-asymmetric-channel")
    Uniform(bits=4, asymmetric=True, channel=True, group=0, offset=0.0, clip=1.0, scale='fit')
    """
    if "/" in name:
        return Joint(quantizers=tuple(parse(part) for part in name.split("/")))
    if name.startswith("noise-like-"):
        return NoiseLike(like=parse(name.removeprefix("noise-like-")))
    if "+" in name:
        first, _, second = name.partition("+")
        return Chain(first=parse(first), second=parse(second))  # type: ignore[arg-type]
    return fields.read(name, QUANTIZERS)


def quantize(quantizer: Quantizer, params: Any, key: Any = None) -> Any:
    """Release a network: every layer by a channel of its own.

    Parameters
    ----------
    quantizer
        The rule.
    params
        List or tuple of layers, each one array, here ``(inputs + 1, outputs)`` with the bias in the last row.
    key
        A JAX key, split over the layers; needed where rounding is stochastic.

    Returns
    -------
    list or tuple
        Like ``params``.

    Examples
    --------
    >>> import numpy as np
    >>> quantize(Sign(), [np.array([[1.0], [-3.0]]), np.array([[0.5]])])
    [array([[ 2.],
           [-2.]]), array([[0.5]])]
    """
    if not isinstance(params, list | tuple):
        kind = type(params).__name__
        raise InvalidInput(f"quantize: expected params a list or tuple of layers, got a {kind}.")
    keys = [None] * len(params) if key is None else jax.random.split(key, len(params))
    each = zip(quantizer.fit_network(params), params, keys, strict=True)
    return type(params)(channel.apply(layer, key=k) for channel, layer, k in each)
