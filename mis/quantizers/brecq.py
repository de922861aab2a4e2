"""Rounding up or down, learned for all layers of a network together."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import jax
import jax.numpy as jnp

from mis.quantizers.calibrated import Calibrated, Realised
from mis.quantizers.fields import integer_field
from mis.quantizers.rounding import learned_codes

__all__ = ["BRECQ", "output_loss"]


@dataclass(frozen=True, kw_only=True)
class BRECQ(Calibrated):
    """Each weight rounded up or down as serves the network's outputs on the examples best, in the manner of BRECQ.

    The whole network is one block: of the block-wise reconstruction of BRECQ the case where a block's outputs are the
    network's, for networks that are small. Their error is weighted by the Fisher information of the outputs, see
    ``output_loss``; what is learned is AdaRound's, see ``mis.quantizers.rounding``. Where plain rounding to nearest
    does better on the examples, all weights are rounded to nearest.

    Parameters
    ----------
    bits, channel, group, examples
        As of ``Calibrated``.
    steps
        Steps of Adam, each with a pass of the examples through the network and back.

    References
    ----------
    Li, Gong, Tan, Yang, Hu, Zhang, Yu, Wang, Gu (2021), BRECQ, arXiv:2102.05426.
    """

    family: ClassVar[str] = "brecq"
    steps: int = integer_field(200, "steps", at_least=1, at_most=10**6)

    def fit_network(self, tensors: Sequence[Any], calibration: Any = None) -> list[Realised]:
        """Return what each tensor is released as; see ``Quantizer.fit_network``."""
        weights = [self.taken(tensor) for tensor in tensors]
        lattices = [self.lattice(tensor) for tensor in weights]
        target = calibration.outputs(weights)

        def loss(released):
            return output_loss(target, calibration.outputs(released))

        def loss_of(codes):
            return loss([grid.values(code) for grid, code in zip(lattices, codes, strict=True)])

        nearest = [grid.nearest(tensor) for grid, tensor in zip(lattices, weights, strict=True)]
        unit = loss_of(nearest)
        learned = learned_codes(weights, lattices, loss, unit, self.steps)
        better = loss_of(learned) < unit
        return [
            self.realised(grid, jnp.where(better, *codes))
            for grid, *codes in zip(lattices, learned, nearest, strict=True)
        ]


def output_loss(target: Any, outputs: Any) -> Any:
    """Return the mean squared error of outputs, weighted by their Fisher information.

    Parameters
    ----------
    target
        The outputs that are wanted, ``(S, classes)``, or ``(S, 1)`` of a regression.
    outputs
        Others of this shape.

    Notes
    -----
    Claim: to second order twice the mean Kullback-Leibler divergence of the predictions, nats, whose Hessian at equal
    logits is ``diag(p) - p p'``. That is also the mean of the squared gradients of the loss over classes drawn from the
    network's own prediction, by which BRECQ weights errors; no label is needed, and a number added to all logits costs
    nothing. In a regression it is 1.

    Examples
    --------
    >>> import numpy as np
    >>> round(float(output_loss(np.zeros((1, 2)), np.array([[0.5, 0.1]]))), 4)
    0.04
    """
    error = outputs - target
    if error.shape[-1] == 1:
        return jnp.mean(error**2)
    p = jax.nn.softmax(target)
    centred = error - jnp.sum(p * error, axis=-1, keepdims=True)
    return jnp.mean(jnp.sum(p * centred**2, axis=-1))
