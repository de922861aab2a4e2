"""What the matrices of a network go through on their way out, and which rule its vectors follow."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from mis.models import Model
from mis.numerics.checks import UnsupportedSetting, known, refuse
from mis.quantizers import Channel, Full, Quantizer

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

    def __post_init__(self):
        if not isinstance(self.quantizer, Quantizer):
            raise refuse(
                "Compression", "quantizer", "a quantizer, as mis.quantizers.parse returns it", self.quantizer
            )
        known("Compression", "vectors", self.vectors, VECTORS)

    def check(self, model: Model) -> None:
        """Refuse a network without a tensor to quantize."""
        if self.vectors == "exact" and not any(model.tensor_rows):
            raise UnsupportedSetting(
                self.quantizer.name, f"{model.name} has vectors only, which are released as they are."
            )

    def bits(self, model: Model) -> float:
        """Return the bits that a parameter takes on average, scales not counted; see ``Quantizer.bits``."""
        if self.vectors != "exact":
            return self.quantizer.bits
        shapes = zip(model.shapes, model.tensor_rows, strict=True)
        sizes = np.array([(size * columns, (rows - size) * columns) for (rows, columns), size in shapes])
        return float(sizes.sum(axis=0) @ [self.quantizer.bits, Full().bits] / sizes.sum())

    @property
    def is_random(self) -> bool:
        """Whether what is released depends on a key."""
        if self.quantizer.num_calibration:
            return False
        return bool(self.quantizer.fit(np.array([-1.0, 1.0])).is_random)

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
        if self.vectors == "merged":
            return [self.quantizer] * len(model.shapes)
        of_vectors = Full() if self.vectors == "exact" else self.quantizer
        found: list[Quantizer] = []
        for (rows, _), size in zip(model.shapes, model.tensor_rows, strict=True):
            found += [self.quantizer] + [of_vectors] * (rows - size) if size else [of_vectors]
        return found

    def fit(self, model: Model, layers: Sequence[Any], examples: Any = None) -> list[Channel]:
        """Return what was fitted to each of the parts; ``examples`` are for calibrated quantizers."""
        parts, quantizers = self.parts(model, layers), self.quantizers(model)
        if not self.quantizer.num_calibration:
            return [quantizer.fit(part) for quantizer, part in zip(quantizers, parts, strict=True)]
        chosen = [k for k, quantizer in enumerate(quantizers) if quantizer == self.quantizer]

        def outputs(tensors):
            moved = dict(zip(chosen, tensors, strict=True))
            return model.predict(
                self.joined(model, [moved.get(k, part) for k, part in enumerate(parts)]), examples
            )

        fitted = dict(
            zip(chosen, self.quantizer.fit_network([parts[k] for k in chosen], outputs), strict=True)
        )
        return [fitted.get(k) or Full().fit(part) for k, part in enumerate(parts)]

    def through(self, model: Model, layers: Sequence[Any]) -> list[Any]:
        """Return the matrices as they are released; deterministic and not calibrated."""
        return self.joined(model, self.begin(model, layers)[1])

    def differentiable(self, model: Model, layers: Sequence[Any]) -> list[Any]:
        """Return matrices whose gradient training through this takes; see ``Quantizer.differentiable``."""
        each = zip(self.quantizers(model), self.parts(model, layers), strict=True)
        return self.joined(model, [quantizer.differentiable(part) for quantizer, part in each])

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
