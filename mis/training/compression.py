"""What the matrices of a network go through on their way out, and which rule its vectors follow."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from mis.models import Model
from mis.models.convolution import as_products
from mis.models.inputs import in_order, replace_in_order
from mis.numerics.checks import UnsupportedSetting, known, refuse
from mis.quantizers import Calibration, Channel, Full, Quantizer
from mis.quantizers.base import fit_each

__all__ = ["VECTORS", "Compression"]

VECTORS = ("merged", "exact", "own")


@dataclass(frozen=True, kw_only=True)
class Compression:
    """A quantizer of a network's tensors, and what becomes of its vectors: biases, gains, running statistics.

    Parameters
    ----------
    quantizer
        What each tensor goes through.
    vectors
        ``merged``: a bias meets the grid of its tensor, as one more row of its matrix, and a vector that belongs to
        no tensor has a grid of its own. ``own``: every vector has one. ``exact``: vectors are released as they are.
    exact_ends
        Whether the first and the last layer that the network multiplies with, their biases too, are released as they
        are.

    References
    ----------
    Zhou et al. (2016), DoReFa-Net, arXiv:1606.06160, section 2.7, on leaving the first and last layer alone.

    Examples
    --------
    >>> from mis.models import MLP
    >>> from mis.quantizers import Sign
    >>> layer = [np.array([[1.0, -3.0], [0.5, 0.25]])]
    >>> Compression(quantizer=Sign(), vectors="exact").through(MLP(input_shape=(1,), num_classes=2, depth=0), layer)
    [array([[ 2.  , -2.  ],
           [ 0.5 ,  0.25]])]
    """

    quantizer: Quantizer
    vectors: str = "merged"
    exact_ends: bool = False

    def __post_init__(self):
        if not isinstance(self.quantizer, Quantizer):
            raise refuse(
                "Compression", "quantizer", "a quantizer, as mis.quantizers.parse returns it", self.quantizer
            )
        known("Compression", "vectors", self.vectors, VECTORS)

    def check(self, model: Model) -> None:
        """Refuse a network without a tensor to quantize, or one that a calibrated quantizer cannot look into."""
        if self.vectors == "exact" and not any(model.tensor_rows):
            raise UnsupportedSetting(
                self.quantizer.name, f"{model.name} has vectors only, which are released as they are."
            )
        if self.exact_ends and all(isinstance(one, Full) for one in self.quantizers(model)):
            raise UnsupportedSetting(
                self.quantizer.name,
                f"{model.name} has no layer between its first and its last, which are released as they are.",
            )
        count = self.quantizer.num_calibration
        if count:
            layers = [jax.ShapeDtypeStruct(shape, jnp.float32) for shape in model.shapes]
            examples = model.take(np.zeros((count, *model.input_shape), np.float32))
            jax.eval_shape(lambda layers: self.fit(model, layers, examples), layers)

    def bits(self, model: Model) -> float:
        """Return the bits that a parameter takes on average, with all that is published beside the codes."""
        layers = [jax.ShapeDtypeStruct(shape, jnp.float32) for shape in model.shapes]
        parts = jax.eval_shape(lambda layers: self.parts(model, layers), layers)
        each = zip(self.quantizers(model), parts, strict=True)
        total = sum(quantizer.published_bits(part.shape) for quantizer, part in each)
        return float(total / sum(part.size for part in parts))

    @property
    def is_random(self) -> bool:
        """Whether what is released depends on a key."""
        if self.quantizer.num_calibration:
            return False
        return bool(self.quantizer.fit(np.array([-1.0, 1.0])).is_random)

    @property
    def has_free_levels(self) -> bool:
        """Whether networks can be trained on after it; see ``Channel.has_free_levels``."""
        if self.quantizer.num_calibration:
            return True
        return bool(self.quantizer.fit(np.array([-1.0, 1.0])).has_free_levels)

    def parts_as(self, other: "Compression") -> bool:
        """Return whether the other leaves the same parts of a network alone, and parts it alike."""
        return (self.vectors, self.exact_ends) == (other.vectors, other.exact_ends)

    def parts(self, model: Model, layers: Sequence[Any]) -> list[Any]:
        """Return the pieces that are quantized each by itself, from matrices ``(..., rows, channels)``."""
        if self.vectors == "merged":
            return list(layers)
        pieces = []
        for layer, size in zip(layers, model.tensor_rows, strict=True):
            if not size:
                pieces.append(layer)
                continue
            pieces.append(layer[..., :size, :])
            pieces += [layer[..., k, :, None] for k in range(size, layer.shape[-2])]
        return pieces

    def joined(self, model: Model, parts: Sequence[Any]) -> list[Any]:
        """Undo ``parts``."""
        if self.vectors == "merged":
            return list(parts)
        queue, layers = iter(parts), []
        for (rows, _), size in zip(model.shapes, model.tensor_rows, strict=True):
            tensor = next(queue)
            if not size or size == rows:
                layers.append(tensor)
                continue
            xp = tensor.__array_namespace__()
            vectors = [next(queue)[..., None, :, 0] for _ in range(size, rows)]
            layers.append(xp.concatenate([tensor, *vectors], axis=-2))
        return layers

    def quantizers(self, model: Model) -> list[Quantizer]:
        """Return what each of the parts goes through."""
        ends, found = self._ends(model), list[Quantizer]()
        of_vectors = Full() if self.vectors == "exact" else self.quantizer
        each = zip(model.shapes, model.tensor_rows, strict=True)
        for number, ((rows, _), size) in enumerate(each):
            if self.vectors == "merged":
                of_parts = [self.quantizer]
            else:
                of_parts = [self.quantizer] + [of_vectors] * (rows - size) if size else [of_vectors]
            found += [Full()] * len(of_parts) if number in ends else of_parts
        return found

    def _ends(self, model: Model) -> set[int]:
        """Return the numbers of the matrices that are left alone."""
        if not self.exact_ends:
            return set()
        order = in_order(model)
        unmet = [number for number, size in enumerate(model.tensor_rows) if size and number not in order]
        if unmet:
            raise UnsupportedSetting(
                self.quantizer.name,
                f"which layers of {model.name} are the first and the last is not seen; multiply with affine and "
                "convolve of mis.models.convolution, or leave exact-ends:.",
            )
        return {order[0], order[-1]}

    def fit(self, model: Model, layers: Sequence[Any], examples: Any = None) -> list[Channel]:
        """Return what was fitted to each of the parts; ``examples`` are for calibrated quantizers."""
        parts, quantizers = self.parts(model, layers), self.quantizers(model)
        if not self.quantizer.num_calibration:
            return fit_each(quantizers, parts)
        chosen = [k for k, quantizer in enumerate(quantizers) if quantizer == self.quantizer]
        tensors = [parts[k] for k in chosen]
        calibration = self._calibration(model, parts, chosen, examples)
        fitted = dict(zip(chosen, self.quantizer.fit_network(tensors, calibration), strict=True))
        return [fitted.get(k) or Full().fit(part) for k, part in enumerate(parts)]

    def _calibration(
        self, model: Model, parts: Sequence[Any], chosen: Sequence[int], examples: Any
    ) -> Calibration:
        """Return what a network whose matrices consist of these parts does with examples, the chosen parts moving."""
        # The first part of each matrix: its tensor, or all of it.
        sizes = [1] * len(model.shapes)
        if self.vectors != "merged":
            sizes = [
                1 + rows - (size or rows)
                for (rows, _), size in zip(model.shapes, model.tensor_rows, strict=True)
            ]
        first = [sum(sizes[:number]) for number in range(len(sizes))]
        place = {k: position for position, k in enumerate(chosen)}
        tensor_of = {k: number for number, k in enumerate(first) if model.tensor_rows[number]}

        def outputs(tensors):
            now = list(parts)
            for k, tensor in zip(chosen, tensors, strict=True):
                now[k] = tensor
            # Convolutions in a compiled loop are fastest as products.
            with as_products():
                return model.predict(self.joined(model, now), examples)

        def run(replace):
            now = list(parts)
            for k in chosen:
                if k not in tensor_of:
                    now[k] = replace(place[k], None)

            def replaced(number, inputs):
                k = first[number]
                if k not in place:
                    return self.joined(model, now)[number]
                now[k] = replace(
                    place[k], _with_ones(self.quantizer.name, model, number, inputs, len(now[k]))
                )
                return self.joined(model, now)[number]

            with as_products():
                met = replace_in_order(model, self.joined(model, now), examples, replaced)
            unmet = [
                model.layout.groups[number].name
                for k, number in tensor_of.items()
                if k in place and number not in met
            ]
            if unmet:
                raise UnsupportedSetting(
                    self.quantizer.name,
                    f"it needs to see the inputs of every layer, and not those of {', '.join(unmet)} of {model.name}; "
                    "multiply with affine and convolve of mis.models.convolution, or take brecq: outputs are enough.",
                )

        return Calibration(outputs=outputs, run=run)

    def through(self, model: Model, layers: Sequence[Any]) -> list[Any]:
        """Return the matrices as they are released; deterministic and not calibrated."""
        return self.joined(model, self.begin(model, layers)[1])

    def differentiable(self, model: Model, layers: Sequence[Any]) -> list[Any]:
        """Return matrices whose gradient training through this takes; see ``Quantizer.differentiable``."""
        each = zip(self.quantizers(model), self.parts(model, layers), strict=True)
        return self.joined(model, [quantizer.differentiable(part) for quantizer, part in each])

    def numbers(self, model: Model, layers: Sequence[Any]) -> list[Any]:
        """Return what training through it learns beside each of the parts, where that starts."""
        each = zip(self.quantizers(model), self.parts(model, layers), strict=True)
        return [quantizer.begin(part) for quantizer, part in each]

    def learned(self, model: Model, layers: Sequence[Any], numbers: Sequence[Any]) -> list[Any]:
        """Return the matrices as they are released beside such numbers; differentiable in both."""
        each = zip(self.quantizers(model), self.parts(model, layers), numbers, strict=True)
        return self.joined(model, [quantizer.learned(part, beside) for quantizer, part, beside in each])

    def begin(self, model: Model, layers: Sequence[Any]) -> tuple[list[Channel], list[Any]]:
        """Return where fine-tuning begins: what was fitted to each of the parts, and the parts as released."""
        channels = self.fit(model, layers)
        both = zip(channels, self.parts(model, layers), strict=True)
        return channels, [channel.apply(part) for channel, part in both]

    def follow(
        self, model: Model, begun: tuple[list[Channel], list[Any]], slopes: Sequence[Any]
    ) -> list[Any]:
        """Return what of a gradient, matrices like the network's, fine-tuning may follow; see ``Channel.followed``."""
        each = zip(*begun, self.parts(model, slopes), strict=True)
        return self.joined(model, [channel.followed(*pair) for channel, *pair in each])


def _with_ones(quantizer, model, number, inputs, rows):
    """Return the inputs of a matrix of so many rows: of a tensor's, and a one for the row of its bias."""
    missing = rows - inputs.shape[1]
    if missing not in (0, 1):
        raise UnsupportedSetting(
            quantizer,
            f"{missing} vectors share the grid of {model.layout.groups[number].name} of {model.name}, of which only "
            "one can be its bias; release them apart, with own-vectors: or exact-vectors:.",
        )
    return jnp.concatenate([inputs, jnp.ones((len(inputs), missing), inputs.dtype)], axis=1)
