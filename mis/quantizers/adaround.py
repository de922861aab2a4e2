"""Rounding up or down, learned layer by layer."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import jax
import jax.numpy as jnp

from mis.quantizers.calibrated import Calibrated, Realised, losses, times_moments
from mis.quantizers.fields import integer_field
from mis.quantizers.rounding import learned_codes

__all__ = ["AdaRound"]


@dataclass(frozen=True, kw_only=True)
class AdaRound(Calibrated):
    """Each weight rounded up or down as serves its layer on the examples best, learned by gradients.

    For a layer with weights W and inputs x on the calibration examples, what is learned makes
    ``tr((W - Q)' H (W - Q))`` small, with ``H`` the mean of ``x x'``; see ``mis.quantizers.rounding``. A channel for
    which plain rounding to nearest does better on the examples is rounded to nearest.

    Parameters
    ----------
    bits, channel, group, examples
        As of ``Calibrated``.
    steps
        Steps of Adam for each layer.

    Notes
    -----
    Inputs x are those of the network whose layers before this one are quantized already. Vectors apart from a tensor,
    which no inputs are known of, are rounded to nearest; a bias within its matrix is the weight of an input that is 1.

    References
    ----------
    Nagel, Amjad, van Baalen, Louizos, Blankevoort (2020), Up or down? Adaptive rounding for post-training quantization,
    arXiv:2004.10568.
    """

    family: ClassVar[str] = "adaround"
    steps: int = integer_field(500, "steps", at_least=1, at_most=10**6)

    def fit_network(self, tensors: Sequence[Any], calibration: Any = None) -> list[Realised]:
        """Return what each tensor is released as; see ``Quantizer.fit_network``."""

        def learn(weights, lattice, inputs, codes):
            product = times_moments(inputs)

            def loss(released):
                error = released[0] - weights
                # Its gradient is that of the loss, with one product instead of two.
                return 2 * jnp.sum(error * jax.lax.stop_gradient(product(error)))

            unit = losses(weights - lattice.values(codes), product).sum()
            (learned,) = learned_codes([weights], [lattice], loss, unit, self.steps)
            return learned

        return self.layer_by_layer(tensors, calibration, learn)
