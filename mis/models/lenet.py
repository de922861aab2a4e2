"""LeNet, with ReLU and pooling, or the all-convolutional one with sigmoids that gradient inversion uses."""

from dataclasses import dataclass

import jax
import jax.numpy as jnp

from mis.models.activation import rectified
from mis.models.base import Model
from mis.models.convolution import affine, convolve, convolve_and_pool, he_normal, image_shape, per_channel
from mis.numerics.checks import UnsupportedSetting, known

__all__ = ["LeNet"]


@dataclass(frozen=True, kw_only=True)
class LeNet(Model):
    """A small convolutional network for images of at least 8 x 8 pixels.

    Parameters
    ----------
    input_shape, num_classes
        As in ``Model``; images ``(height, width, channels)``.
    activation
        ``relu``, or ``sigmoid``, the network of studies of gradient inversion. ReLU: 5 x 5 convolutions of 6
        and 16 channels, each with 2 x 2 pooling, then layers of 120 and 84; He normal kernels. Sigmoid: three 5
        x 5 convolutions of 12 channels, strides 2, 2 and 1, then one linear layer; everything uniform in [-1/2,
        1/2]: twice differentiable, as gradient inversion asks for.

    References
    ----------
    LeCun, Bottou, Bengio, Haffner (1998), Gradient-based learning applied to document recognition. Zhu, Liu, Han
    (2019), Deep leakage from gradients, arXiv:1906.08935 (the network with sigmoids).

    Examples
    --------
    >>> model = LeNet(input_shape=(28, 28, 1), num_classes=10)
    >>> model.shapes
    [(26, 6), (151, 16), (785, 120), (121, 84), (85, 10)]
    """

    activation: str = "relu"

    def __post_init__(self):
        super().__post_init__()
        known("LeNet", "activation", self.activation, ("relu", "sigmoid"))
        image_shape("LeNet", self.input_shape, at_least=8)
        if self.activation == "sigmoid" and self.activation_bits is not None:
            raise UnsupportedSetting("LeNet", "activation_bits are for rectifiers; choose activation='relu'.")

    def init(self, key: jax.Array) -> dict:
        """Draw an initial point."""
        keys = jax.random.split(key, 10)
        height, width, channels = self.input_shape
        if self.activation == "sigmoid":
            pixels = -(-height // 4) * -(-width // 4)
            shapes = [(5, 5, channels, 12), (5, 5, 12, 12), (5, 5, 12, 12), (pixels * 12, self.num_outputs)]

            def draw(i, shape):
                return jax.random.uniform(keys[i], shape, minval=-0.5, maxval=0.5)

            layers = [
                {"kernel": draw(2 * i, shape), "bias": draw(2 * i + 1, shape[-1:])}
                for i, shape in enumerate(shapes)
            ]
            return {f"layer{i}": layer for i, layer in enumerate(layers)}
        pixels = (height // 4) * (width // 4)
        shapes = [(5, 5, channels, 6), (5, 5, 6, 16), (pixels * 16, 120), (120, 84), (84, self.num_outputs)]
        return {
            f"layer{i}": {"kernel": he_normal(keys[i], shape), "bias": jnp.zeros(shape[-1])}
            for i, shape in enumerate(shapes)
        }

    def apply(self, params: dict, features: jax.Array) -> jax.Array:
        """Return the outputs for a batch of images."""
        layers = [params[f"layer{i}"] for i in range(len(params))]
        x = features
        if self.activation == "sigmoid":
            for layer, stride in zip(layers[:-1], (2, 2, 1), strict=True):
                x = convolve(x, layer["kernel"], stride=stride)
                x = jax.nn.sigmoid(x + per_channel(layer["bias"], x))
            return affine(x.reshape(len(x), -1), layers[-1])
        for layer in layers[:2]:
            # Pooled first: the bias and the rectifier commute with a maximum, on a quarter of the pixels.
            x = convolve_and_pool(x, layer["kernel"])
            x = rectified(x + per_channel(layer["bias"], x), self.activation_bits)
        x = x.reshape(len(x), -1)
        for layer in layers[2:-1]:
            x = rectified(affine(x, layer), self.activation_bits)
        return affine(x, layers[-1])
