"""What a quantizer is.

To add a quantizer: copy ``sign.py``, write ``_fit``, ``num_levels`` and ``family`` (fields from ``names.py``
spell its name by themselves); add it to ``QUANTIZERS`` in ``__init__.py``; add one row to ``CASES`` in
``tests/contracts/test_quantizers.py``. Theory, attacks and rankings then meet it by themselves.

Precision, once and everywhere: grids are fitted and weights released in float32, or in float64 if the weights
have more digits than float32, never in less: a level is a code times a scale, and which levels half precision
could tell apart depends on the weights, while a type may not. Integers are taken for the same floats. Nothing
overflows up to a quarter of the largest number of that precision.
"""

import abc
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from typing import Any, ClassVar

import jax.numpy as jnp
import numpy as np

from mis.quantizers.channels import FULL_BITS, Channel
from mis.quantizers.fields import check, written
from mis.quantizers.weights import floats, traced, wide

__all__ = ["Calibration", "Quantizer", "fit_each"]


@dataclass(frozen=True, kw_only=True, eq=False)
class Calibration:
    """What a network does with calibration examples, as a calibrated quantizer may ask it; in JAX.

    Parameters
    ----------
    outputs
        From tensors like the network's to its outputs on the examples, ``(S, classes or 1)``; differentiable.
    run
        ``run(replace)`` runs the network once on the examples, and with ``replace(number, inputs)`` replaces one tensor
        after another: first those that no inputs are known of (``None``), vectors apart from a tensor; then the others,
        in the order in which the network meets them, ``inputs`` ``(S or S times places, rows)`` as they are with those
        before replaced, a column of ones for the row of a bias.
    """

    outputs: Callable[[Sequence[Any]], Any]
    run: Callable[[Callable[[int, Any], Any]], None]


@dataclass(frozen=True, kw_only=True)
class Quantizer(abc.ABC):
    """A rule that fits a channel to one tensor of weights, mostly a grid of allowed values, and releases them.

    A spec: frozen, hashable, numbers and strings only, validated in ``__post_init__``.
    """

    family: ClassVar[str]

    by_extremes: ClassVar[bool] = False
    """Whether the grid depends on nothing but 0, the largest and the smallest weight: more zeros change nothing."""

    def __post_init__(self):
        check(self)

    @property
    def name(self) -> str:
        """The registry name, e.g. ``"ternary-90"``; ``parse(name)`` gives the spec back."""
        return "-".join([self.family, *written(self)])

    @property
    @abc.abstractmethod
    def num_levels(self) -> float:
        """Number of released values per weight; infinite for full precision."""

    @property
    def num_scales(self) -> int:
        """Numbers fitted to the weights and released in full precision with each tensor (or channel)."""
        return sum(f.metadata["kind"] == "scale" and getattr(self, f.name) == "fit" for f in fields(self))

    @property
    def bits(self) -> float:
        """Bits per weight: of a format with the scales of its blocks, else log2 of the levels; full precision 32."""
        return math.log2(self.num_levels) if math.isfinite(self.num_levels) else FULL_BITS

    @property
    def side_bits(self) -> float:
        """Bits per weight beside those: of scales of groups."""
        return 0.0

    @property
    def grid_bits(self) -> float:
        """Bits beside those of what is fitted to a tensor, or to each of its channels: scales, levels, zero points."""
        return FULL_BITS * self.num_scales

    @property
    def per_channel(self) -> bool:
        """Whether every channel has a grid of its own, unless it is a single weight."""
        return getattr(self, "channel", False)

    def published_bits(self, shape: tuple[int, ...]) -> float:
        """Return the bits that publishing a tensor takes, with all that is published beside its codes.

        Parameters
        ----------
        shape
            Of the tensor, channels last.

        Examples
        --------
        >>> from mis.quantizers import parse
        >>> parse("sign").published_bits((8, 4)), parse("uniform-4-asymmetric-channel").published_bits((8, 4))
        (64.0, 272.0)
        """
        size = math.prod(shape)
        grids = shape[-1] if self.per_channel and size > shape[-1] else 1
        return size * (self.bits + self.side_bits) + grids * self.grid_bits

    def fit(self, weights: Any) -> Any:
        """Return what one tensor of weights goes through; jit-able and vmap-able.

        Parameters
        ----------
        weights
            Of any shape, not empty; finite floats of any precision, or integers.

        Returns
        -------
        Channel
            A ``Grid`` where there are levels.

        Raises
        ------
        InvalidInput
            Where they are not.
        """
        return self._fit(self.taken(weights))

    def taken(self, weights: Any) -> Any:
        """Return weights in the precision that grids are fitted in, or refuse them; see ``fit``."""
        weights = wide(floats(type(self).__name__, weights))
        if traced(weights):
            xp = weights.__array_namespace__()
            # What cannot be refused shows: every statistic of these weights is NaN.
            weights = xp.where(xp.isfinite(weights).all(), weights, np.nan)
        return weights

    @property
    def num_calibration(self) -> int:
        """Examples that ``fit_network`` asks for."""
        return 0

    def fit_network(self, tensors: Sequence[Any], calibration: Any = None) -> list[Any]:  # noqa: ARG002
        """Return what each tensor of a network goes through; every tensor by itself, unless overridden.

        A calibrated quantizer overrides this and ``num_calibration``, and refuses ``fit``: what it does to a tensor
        depends on examples. One with something in common to all tensors overrides this, ``fit`` then being that of a
        network of one.

        Parameters
        ----------
        tensors
            The weights, tensor by tensor.
        calibration
            A ``Calibration``, what the network does with examples; None where ``num_calibration`` is 0.
        """
        return [self.fit(weights) for weights in tensors]

    def differentiable(self, weights: Any) -> Any:
        """Return, in JAX, what training through the quantizer takes the gradient of: the weights, straight through."""
        return weights

    learns: ClassVar[bool] = False
    """Whether training through it learns numbers of its own: ``begin`` and ``learned``."""

    def begin(self, weights: Any) -> Any:  # noqa: ARG002
        """Return, in JAX, the numbers that are trained beside the weights of a tensor, where they start."""
        return jnp.zeros(())

    def learned(self, weights: Any, numbers: Any) -> Any:  # noqa: ARG002
        """Return, in JAX, what is released of weights beside these numbers; differentiable in both."""
        return weights

    @abc.abstractmethod
    def _fit(self, weights: Any) -> Channel:
        """Return the channel for finite weights in float32 or float64, NumPy or JAX."""

    def __call__(self, weights: Any, *, key: Any = None) -> Any:
        """Fit a grid to ``weights`` and release them on it."""
        return self.fit(weights).apply(weights, key=key)


def fit_each(quantizers: Sequence[Quantizer], tensors: Sequence[Any]) -> list[Channel]:
    """Return what each tensor of a network goes through, those of one quantizer together.

    Parameters
    ----------
    quantizers
        For each tensor its own; none that is calibrated.
    tensors
        The weights.

    Examples
    --------
    >>> from mis.quantizers import Full, Prune
    >>> prune = Prune(zeros=0.5, globally=True)
    >>> [type(channel).__name__ for channel in fit_each([prune, Full()], [np.ones(3), np.ones(2)])]
    ['DeadZone', 'Exact']
    """
    found: dict[int, Channel] = {}
    for k, quantizer in enumerate(quantizers):
        if k in found:
            continue
        # Another's that fits one tensor at a time has no more to it than ``fit``.
        if not isinstance(quantizer, Quantizer):
            found[k] = quantizer.fit(tensors[k])
            continue
        places = [j for j in range(k, len(tensors)) if quantizers[j] == quantizer]
        found |= dict(zip(places, quantizer.fit_network([tensors[j] for j in places]), strict=True))
    return [found[k] for k in range(len(tensors))]
