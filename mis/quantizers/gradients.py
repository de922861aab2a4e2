"""Registry, value and functions: the quantizers of gradients, which are those of weights and some more.

To add one: a file like ``levels.py``, a line in ``GRADIENTS``, a row of ``CASES`` in
``tests/quantizers/test_gradients.py``.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import jax
import numpy as np

from mis.numerics.checks import InvalidInput, UnsupportedSetting, refuse
from mis.quantizers import fields
from mis.quantizers.base import Quantizer
from mis.quantizers.channels import Grid, StochasticGrid
from mis.quantizers.codebook import Codebook
from mis.quantizers.full import Full
from mis.quantizers.laplace import Laplace
from mis.quantizers.levels import Levels
from mis.quantizers.noise import Noise
from mis.quantizers.observations import Observation
from mis.quantizers.power_of_two import PowerOfTwo
from mis.quantizers.prune import Prune
from mis.quantizers.sign import Sign
from mis.quantizers.stochastic import Stochastic
from mis.quantizers.ternary import Ternary
from mis.quantizers.top import Top
from mis.quantizers.uniform import Uniform

__all__ = ["GRADIENTS", "Released", "bits_per_coordinate", "parse_gradient", "release"]

GRADIENTS: dict[str, type[Quantizer]] = {
    cls.family: cls
    for cls in (
        *(Full, Sign, Ternary, Uniform, Stochastic, Levels, PowerOfTwo, Codebook),
        *(Prune, Top, Noise, Laplace),
    )
}


def parse_gradient(name: str) -> Quantizer:
    """Return the quantizer of gradients that a name spells; ``parse_gradient(quantizer.name) == quantizer``.

    Examples
    --------
    >>> parse_gradient("levels-240-stochastic")
    Levels(levels=240, stochastic=True)
    """
    if not isinstance(name, str):
        raise refuse("quantizers.parse_gradient", "name", "text", name)
    quantizer = fields.read(name, GRADIENTS)
    if isinstance(quantizer, Prune) and (quantizer.globally or quantizer.random):
        raise UnsupportedSetting(
            "quantizers.parse_gradient",
            "gradients are pruned by tensor, prune-PERCENT, or together, top-PERCENT.",
        )
    return quantizer


@dataclass(frozen=True, kw_only=True)
class Released:
    """What a client publishes instead of its gradient.

    Parameters
    ----------
    values
        Released tensors.
    observations
        What each says of the gradient.
    levels
        Of each tensor the levels of which its entries are the nearest, ``(L,)``; empty where there are none.
    bits
        Per entry, with everything that is published: see ``bits_per_coordinate``.
    """

    values: list[np.ndarray]
    observations: list[Observation]
    levels: list[np.ndarray]
    bits: float


def release(quantizer: Quantizer, gradient: Sequence[Any], key: Any = None) -> Released:
    """Publish a gradient: every tensor through a channel fitted to it, or all through one (``Top``).

    Parameters
    ----------
    quantizer
        The rule.
    gradient
        Its tensors; not empty, finite.
    key
        A JAX key, split over the tensors; needed where the release is random.

    Returns
    -------
    Released

    Examples
    --------
    >>> release(parse_gradient("sign"), [np.array([1.0, -3.0]), np.array([0.5])]).values
    [array([ 2., -2.]), array([0.5])]
    >>> release(parse_gradient("top-50"), [np.array([1.0, -3.0]), np.array([0.5, 0.1])]).values
    [array([ 1., -3.]), array([0., 0.])]
    """
    tensors = [np.asarray(tensor) for tensor in gradient]
    if not tensors or not all(tensor.size for tensor in tensors):
        raise InvalidInput("quantizers.release: expected gradient at least one tensor, none of them empty.")
    keys = [None] * len(tensors) if key is None else list(jax.random.split(key, len(tensors)))
    channels = quantizer.fit_network(tensors)
    values = [
        channel.apply(tensor, key=k) for channel, tensor, k in zip(channels, tensors, keys, strict=True)
    ]
    sharp = [isinstance(channel, Grid) and not isinstance(channel, StochasticGrid) for channel in channels]
    return Released(
        values=values,
        observations=[channel.observation(value) for channel, value in zip(channels, values, strict=True)],
        levels=[
            np.asarray(channel.levels) if known else np.zeros(0)
            for channel, known in zip(channels, sharp, strict=True)
        ],
        bits=bits_per_coordinate(quantizer, [tensor.size for tensor in tensors]),
    )


def bits_per_coordinate(quantizer: Quantizer, sizes: Sequence[int]) -> float:
    """Return the bits that publishing a gradient takes, over its number of entries.

    Codes, and what is fitted to each tensor, see ``Quantizer.published_bits``. A sparse
    gradient's survivors take 32 bits and their places the entropy of a share: what no coding without loss beats if
    places are taken as independent.

    Parameters
    ----------
    quantizer
        The rule.
    sizes
        Entries of each tensor.

    Examples
    --------
    >>> bits_per_coordinate(parse_gradient("sign"), [64, 64])
    1.5
    """
    return float(sum(quantizer.published_bits((size,)) for size in sizes) / sum(sizes))
