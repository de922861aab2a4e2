"""Residual networks of 8 and 18 layers for small images."""

from dataclasses import dataclass
from typing import Any, ClassVar

import jax
import jax.numpy as jnp

from mis.models.activation import rectified
from mis.models.base import Model
from mis.models.convolution import affine, convolve, he_normal, image_shape, per_channel
from mis.numerics.checks import integer, known

__all__ = ["ResNet", "ResNet8", "ResNet18"]

EPSILON = 1e-5
# Share of the running statistics that a batch replaces.
MOMENTUM = 0.1
GROUPS = 8


@dataclass(frozen=True, kw_only=True)
class ResNet(Model):
    """A residual network with a 3 x 3 stem, for images of 28 x 28 or 32 x 32 pixels and the like.

    Parameters
    ----------
    input_shape, num_classes
        As in ``Model``; images ``(height, width, channels)``.
    width
        Channels of the first stage. Each further stage has twice as many and half the resolution.
    norm
        ``group`` or ``batch`` normalisation. Group: 8 groups of channels, example by example. Batch: over the batch
        while training, by running means and variances afterwards; these are parameters, released and counted like the
        others.

    References
    ----------
    He, Zhang, Ren, Sun (2015), Deep residual learning, arXiv:1512.03385. Wu, He (2018), Group normalization,
    arXiv:1803.08494.
    """

    width: int = 16
    norm: str = "group"

    # Blocks in each stage.
    stages: ClassVar[tuple[int, ...]] = (1, 1, 1)

    def __post_init__(self):
        super().__post_init__()
        where = type(self).__name__
        integer(where, "width", self.width, at_least=1, at_most=1024)
        known(where, "norm", self.norm, ("group", "batch"))
        image_shape(where, self.input_shape, at_least=2 ** (len(self.stages) - 1))

    def init(self, key: jax.Array) -> dict[str, Any]:
        """Draw an initial point: He normal kernels, unit gains, a last gain of zero in every block."""
        keys = iter(jax.random.split(key, 3 * sum(self.stages) + 2))
        channels = self.width
        blocks = []
        stem = {
            "kernel": he_normal(next(keys), (3, 3, self.input_shape[-1], channels)),
            **self._norm(channels),
        }
        for stage, count in enumerate(self.stages):
            for _ in range(count):
                out = self.width * 2**stage
                block = {
                    "first": {"kernel": he_normal(next(keys), (3, 3, channels, out)), **self._norm(out)},
                    "second": {
                        "kernel": he_normal(next(keys), (3, 3, out, out)),
                        **self._norm(out, gain=0.0),
                    },
                }
                if channels != out:
                    block["shortcut"] = {
                        "kernel": he_normal(next(keys), (1, 1, channels, out)),
                        **self._norm(out),
                    }
                blocks.append(block)
                channels = out
        head = {
            "kernel": he_normal(next(keys), (channels, self.num_outputs)) / jnp.sqrt(2.0),
            "bias": jnp.zeros(self.num_outputs),
        }
        return {"stem": stem, "blocks": blocks, "head": head}

    def _norm(self, channels: int, gain: float = 1.0) -> dict[str, Any]:
        norm = {"gain": jnp.full(channels, gain), "bias": jnp.zeros(channels)}
        if self.norm == "batch":
            norm |= {"mean": jnp.zeros(channels), "variance": jnp.ones(channels)}
        # Apart from the kernel: its gain and statistics are numbers of another kind than its weights.
        return {"norm": norm}

    def apply(self, params: dict[str, Any], features: jax.Array) -> jax.Array:
        """Return the outputs for a batch of images."""
        return self._forward(params, features, training=False)[0]

    def fit_statistics(self, params: dict[str, Any], features: jax.Array) -> tuple[jax.Array, Any]:
        """Normalise by the batch where the network does, and move the running statistics."""
        return self._forward(params, features, training=True)

    def only_trained(self, updates: dict[str, Any]) -> dict[str, Any]:
        """No decay and no momentum moves a running mean."""
        if self.norm == "group":
            return updates

        def one(path, update):
            return jnp.zeros_like(update) if path[-1].key in ("mean", "variance") else update

        return jax.tree_util.tree_map_with_path(one, updates)

    def _forward(self, params, x, *, training):
        x, stem = self._layer(params["stem"], x, training, stride=1)
        x, blocks = rectified(x, self.activation_bits), []
        for block in params["blocks"]:
            # The first block of every stage but the first halves the resolution: it is the one with a shortcut.
            stride = 2 if "shortcut" in block else 1
            y, first = self._layer(block["first"], x, training, stride=stride)
            y, second = self._layer(block["second"], rectified(y, self.activation_bits), training, stride=1)
            moved = {"first": first, "second": second}
            if "shortcut" in block:
                x, moved["shortcut"] = self._layer(block["shortcut"], x, training, stride=stride)
            x = rectified(x + y, self.activation_bits)
            blocks.append(moved)
        outputs = affine(x.mean(axis=(1, 2)), params["head"])
        return outputs, {"stem": stem, "blocks": blocks, "head": params["head"]}

    def _layer(self, layer, x, training, *, stride):
        """Convolve and normalise; return also the layer with its running statistics moved on."""
        x, norm = convolve(x, layer["kernel"], stride=stride), layer["norm"]
        if self.norm == "group":
            return _group_normal(x, norm), layer
        if training:
            mean, variance = x.mean(axis=(0, 1, 2)), x.var(axis=(0, 1, 2))
            means = {"mean": mean, "variance": variance}
            still = {name: jax.lax.stop_gradient(value) for name, value in means.items()}
            norm = norm | {
                name: (1.0 - MOMENTUM) * norm[name] + MOMENTUM * value for name, value in still.items()
            }
        else:
            mean, variance = norm["mean"], norm["variance"]
        # A released variance may have been rounded to zero or below.
        scale = norm["gain"] / jnp.sqrt(jnp.maximum(variance, 0.0) + EPSILON)
        shift = norm["bias"] - mean * scale
        return x * per_channel(scale, x) + per_channel(shift, x), layer | {"norm": norm}


def _group_normal(x, norm):
    """Normalise groups of channels, image by image.

    Sums over the pixels, channel by channel, and everything else on ``(B, channels)``: a reduction over pixels and some
    of the channels at once takes ten times as long on a CPU, and so does its gradient.
    """
    groups = GROUPS if x.shape[-1] % GROUPS == 0 else 1

    def of_group(values):
        means = values.mean(axis=(1, 2)).reshape(len(values), groups, -1).mean(axis=-1, keepdims=True)
        return jnp.broadcast_to(means, (*means.shape[:2], x.shape[-1] // groups)).reshape(
            len(values), 1, 1, -1
        )

    mean = of_group(x)
    scale = per_channel(norm["gain"], mean) / jnp.sqrt(of_group((x - mean) ** 2) + EPSILON)
    return x * scale + (per_channel(norm["bias"], mean) - mean * scale)


@dataclass(frozen=True, kw_only=True)
class ResNet8(ResNet):
    """A residual network of 8 layers: three stages of one block, 16, 32 and 64 channels.

    Examples
    --------
    >>> import math
    >>> sum(math.prod(shape) for shape in ResNet8(input_shape=(28, 28, 1), num_classes=10).shapes)
    77754
    """

    @property
    def name(self) -> str:
        return "resnet-8"


@dataclass(frozen=True, kw_only=True)
class ResNet18(ResNet):
    """A residual network of 18 layers: four stages of two blocks, 64 to 512 channels.

    Examples
    --------
    >>> import math
    >>> model = ResNet18(input_shape=(32, 32, 3), num_classes=10, norm="batch")
    >>> sum(math.prod(shape) for shape in model.shapes)
    11183562
    """

    width: int = 64
    stages: ClassVar[tuple[int, ...]] = (2, 2, 2, 2)

    @property
    def name(self) -> str:
        return "resnet-18"
