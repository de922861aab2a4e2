"""What quantizers that see calibration examples have in common: their grids, what they released, what it costs."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from scipy import stats

from mis.numerics.checks import UnsupportedSetting, refuse
from mis.quantizers.base import Calibration, Quantizer
from mis.quantizers.channels import FULL_BITS, Channel
from mis.quantizers.fields import choice_field, flag, integer_field
from mis.quantizers.observations import Observation
from mis.quantizers.weights import floats, wide

__all__ = ["Calibrated", "Lattice", "Realised", "losses", "moments", "times_moments"]

# The nominal bits of three levels.
TERNARY = 1.58


class Lattice(NamedTuple):
    """A grid of integer multiples for each weight: the values ``step * (code - zero)`` for codes 0 to ``last``."""

    step: Any
    """Of the weights' shape, > 0."""
    zero: Any
    """Whole numbers, of the weights' shape."""
    last: int

    def nearest(self, weights: Any) -> Any:
        """Return the code of the nearest value, of ties the even multiple."""
        return jnp.clip(jnp.round(weights / self.step) + self.zero, 0, self.last)

    def values(self, codes: Any) -> Any:
        """Return what codes, whole or not, stand for."""
        return self.step * (codes - self.zero)


@jax.tree_util.register_dataclass
@dataclass(frozen=True, kw_only=True)
class Realised(Channel):
    """What a calibrated quantizer made of one tensor: for these weights it is known, for others it is not.

    Parameters
    ----------
    released
        The released weights.
    codes
        Their codes on the grid of their tensor, channel or group; -1 where there is none.
    """

    is_sharp: ClassVar[bool] = True

    released: Any
    codes: Any

    def apply(self, weights: Any, *, key: Any = None) -> Any:  # noqa: ARG002
        """Return what was released; ``weights`` are those that it was fitted to."""
        if np.shape(weights) != np.shape(self.released):
            raise refuse(
                "Realised.apply", "weights", f"those of shape {np.shape(self.released)}", np.shape(weights)
            )
        return self.released

    def observation(self, released: Any) -> Observation:  # noqa: ARG002
        raise _depends("observation")

    def information(self, weights: Any, spread: Any) -> np.ndarray:  # noqa: ARG002
        raise _depends("information")

    def entropy(self, weights: Any) -> float:  # noqa: ARG002
        """Return the entropy of the codes, in bits per weight."""
        return float(stats.entropy(np.unique(np.asarray(self.codes), return_counts=True)[1], base=2))


def _depends(asked: str) -> UnsupportedSetting:
    return UnsupportedSetting(
        f"Realised.{asked}", "what a calibrated release does to one weight depends on the others."
    )


@dataclass(frozen=True, kw_only=True)
class Calibrated(Quantizer):
    """A quantizer that rounds the weights of a network so that it does the same on calibration examples.

    Parameters
    ----------
    bits
        8, 4, 3 or 2: ``2**bits`` equally spaced levels from the smallest weight to the largest, zero among them. 1.58:
        minus, zero, plus a scale that minimises the squared error of rounding to nearest.
    channel
        One grid for each channel, the last axis, instead of one for the tensor.
    group
        One grid for every so many rows (inputs) of each channel, at least 2; those left over belong to the last group.
        0 is no groups.
    examples
        Number of calibration examples.

    Notes
    -----
    Grids are fitted to the weights alone, before anything is rounded. A grid for a single weight would release it
    exactly: a tensor of one row has one grid.
    """

    bits: float = choice_field(4, (8, 4, 3, 2, TERNARY))  # type: ignore[assignment]
    channel: bool = flag("channel")
    group: int = integer_field(0, "group", at_least=2, at_most=2**16)
    examples: int = integer_field(32, "examples", at_least=1, at_most=2**16)

    def __post_init__(self):
        super().__post_init__()
        if self.channel and self.group:
            raise UnsupportedSetting(
                type(self).__name__, "groups lie within channels; leave channel or group."
            )

    @property
    def num_levels(self) -> float:
        """Of each grid."""
        return 3 if self.bits == TERNARY else 2**self.bits

    @property
    def num_scales(self) -> int:
        """The step."""
        return 1

    @property
    def side_bits(self) -> float:
        """Of each group the step, in single precision, and unless there are three levels which of them is zero."""
        return self._step_bits / self.group if self.group else 0.0

    @property
    def grid_bits(self) -> float:
        """The same of a tensor or channel."""
        return 0.0 if self.group else self._step_bits

    @property
    def _step_bits(self) -> float:
        return FULL_BITS + (0.0 if self.bits == TERNARY else self.bits)

    @property
    def num_calibration(self) -> int:
        """As asked for."""
        return self.examples

    def _fit(self, weights: Any) -> Channel:  # noqa: ARG002
        raise UnsupportedSetting(
            self.name,
            "it rounds the tensors of a network together, on calibration examples; publish a network with "
            "mis.rank, or call fit_network.",
        )

    def lattice(self, weights: Any) -> Lattice:
        """Return the grid of every weight of a matrix ``(rows, channels)``."""
        blocks, spread = _blocks(weights, channel=self.channel, group=self.group)
        if self.bits == TERNARY:
            step = best_ternary(blocks)
            zero = jnp.ones_like(step)
        else:
            low, high = (jnp.minimum(blocks.min(axis=1), 0), jnp.maximum(blocks.max(axis=1), 0))
            step = (high - low) / (self.num_levels - 1)
            zero = jnp.round(-low / jnp.where(step == 0, 1, step))
        # Of weights that are all zero any step will do; of NaN the step stays one.
        return Lattice(spread(jnp.where(step == 0, 1, step)), spread(zero), int(self.num_levels) - 1)

    def layer_by_layer(
        self, tensors: Sequence[Any], calibration: Calibration, learn: Callable[[Any, Lattice, Any, Any], Any]
    ) -> list[Realised]:
        """Return what each tensor is released as, each by the inputs that those before it, released, leave it.

        Parameters
        ----------
        tensors, calibration
            As of ``Quantizer.fit_network``.
        learn
            From weights, lattice, inputs and the codes of rounding to nearest to other codes; of each channel those of
            less error in its products with the inputs are kept.
        """
        found: dict[int, Realised] = {}

        def replace(number, inputs):
            weights = self.taken(tensors[number])
            lattice = self.lattice(weights)
            codes = lattice.nearest(weights)
            if inputs is not None:
                learned, product = learn(weights, lattice, inputs, codes), times_moments(inputs)
                ours, nearest = (
                    losses(weights - lattice.values(either), product) for either in (learned, codes)
                )
                codes = jnp.where(ours < nearest, learned, codes)
            found[number] = self.realised(lattice, codes)
            return found[number].released

        calibration.run(replace)
        return [found[number] for number in range(len(tensors))]

    def realised(self, lattice: Lattice, codes: Any) -> Realised:
        """Return the channel that released these codes."""
        released = lattice.values(codes)
        known = jnp.isfinite(released)
        return Realised(released=released, codes=jnp.where(known, codes, -1).astype(jnp.int16))

    def taken(self, weights: Any) -> Any:
        """Return weights as a JAX array of floats, or refuse them."""
        return wide(jnp.asarray(floats(type(self).__name__, weights)))


def _blocks(weights: Any, *, channel: bool, group: int) -> tuple[Any, Callable[[Any], Any]]:
    """Return weights by the grid they share ``(blocks, size, columns)``, zeros where a block is shorter.

    Return also what turns a number for each of them, ``(blocks, columns)``, into one for each weight.
    """
    rows, columns = weights.shape
    if rows == 1 or not (channel or group):
        return weights.reshape(1, -1, 1), lambda numbers: jnp.broadcast_to(numbers, (rows, columns))
    size = group or rows
    count = max(1, rows // size)
    of_row = np.minimum(np.arange(rows) // size, count - 1)
    place = np.arange(rows) - of_row * size
    stacked = jnp.zeros((count, int(place.max()) + 1, columns), weights.dtype)
    return stacked.at[of_row, place].set(weights), lambda numbers: numbers[of_row]


def best_ternary(blocks: Any) -> Any:
    """Return for each column of each block the scale s of least squared error to the nearest of -s, 0 and s.

    Notes
    -----
    Claim: it is the mean of the k largest magnitudes for the k that maximises their sum squared over k. Proof: given
    that the weights of a set K are released as plus or minus s, the others as 0, the error ``sum w**2 - 2 s sum_K |w| +
    |K| s**2`` is least at ``s = sum_K |w| / |K|``, where it is ``sum w**2 - (sum_K |w|)**2 / |K|``; of all sets of one
    size the largest magnitudes are best. Rounding to nearest is no worse than any such assignment.

    References
    ----------
    Li, Liu, Wang, Zhang, Yan (2016), Ternary Weight Networks, arXiv:1605.04711, section 2.2.
    """
    sums = jnp.cumsum(jnp.sort(jnp.abs(blocks), axis=1)[:, ::-1], axis=1)
    counts = jnp.arange(1, blocks.shape[1] + 1, dtype=blocks.dtype)[None, :, None]
    best = jnp.argmax(sums**2 / counts, axis=1)[:, None]
    return (jnp.take_along_axis(sums, best, axis=1) / (best + 1))[:, 0]


def moments(inputs: Any) -> Any:
    """Return the second moments of inputs ``(examples and places, rows)``, the mean of ``x x'``."""
    return inputs.T @ inputs / len(inputs)


def times_moments(inputs: Any) -> Callable[[Any], Any]:
    """Return the product with the second moments as a function, the cheaper way."""
    if len(inputs) < inputs.shape[1]:
        return lambda error: inputs.T @ (inputs @ error) / len(inputs)
    of_layer = moments(inputs)
    return lambda error: of_layer @ error


def losses(error: Any, product: Callable[[Any], Any]) -> Any:
    """Return the calibration loss of each channel, the mean squared error of what it adds up to.

    Parameters
    ----------
    error
        Of the weights, ``(rows, channels)``.
    product
        See ``times_moments``.
    """
    return jnp.sum(error * product(error), axis=0)
