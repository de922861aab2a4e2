"""Rounding one weight after another, with the error of each made up for by those that follow."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import jax
import jax.numpy as jnp

from mis.quantizers.calibrated import Calibrated, Lattice, Realised, moments
from mis.quantizers.fields import flag, share_field

__all__ = ["GPTQ", "round_in_order"]


@dataclass(frozen=True, kw_only=True)
class GPTQ(Calibrated):
    """Rounding weight by weight, each one's error made up for by the weights not yet rounded.

    For a layer with weights W and inputs x on the calibration examples, it makes the squared error of what the layer
    adds up to small, ``tr((W - Q)' H (W - Q))`` with ``H`` the mean of ``x x'``, input by input: given those that are
    rounded, the rest would best make up for their error as least squares says; the next weight is rounded from there.
    A channel for which plain rounding to nearest does better on the examples is rounded to nearest.

    Parameters
    ----------
    bits, channel, group, examples
        As of ``Calibrated``.
    damp
        Share of the mean of H's diagonal that is added to the diagonal. With fewer examples than inputs, or inputs that
        never vary, H is singular, and this decides; a layer whose inputs are all zero is rounded to nearest.
    stored
        Inputs in the order in which they are stored, instead of decreasing diagonal of H.

    Notes
    -----
    Inputs x are those of the network whose layers before this one are quantized already. Vectors apart from a tensor,
    which no inputs are known of, are rounded to nearest; a bias within its matrix is the weight of an input that is 1.

    References
    ----------
    Frantar, Ashkboos, Hoefler, Alistarh (2023), GPTQ, arXiv:2210.17323; Frantar, Singh, Alistarh (2022), Optimal Brain
    Compression, arXiv:2208.11580. As nearest-plane rounding: Chen, Shabanzadeh, Crncevic, Hoefler, Alistarh (2025), The
    geometry of LLM quantization, arXiv:2507.18553.

    Examples
    --------
    Two inputs that are nearly alike: rounding up both weights would err twice in one direction.

    >>> import numpy as np
    >>> x = np.array([[1.0, 0.9], [0.9, 1.0], [1.0, 1.0]])
    >>> round_in_order(np.array([[0.6], [0.6]]), Lattice(np.ones((2, 1)), np.zeros((2, 1)), 3), x).ravel().tolist()
    [1.0, 0.0]
    """

    family: ClassVar[str] = "gptq"
    damp: float = share_field(0.01, "damp", within="> 0")
    stored: bool = flag("stored")

    def fit_network(self, tensors: Sequence[Any], calibration: Any = None) -> list[Realised]:
        """Return what each tensor is released as; see ``Quantizer.fit_network``."""

        def learn(weights, lattice, inputs, _):
            return round_in_order(weights, lattice, inputs, damp=self.damp, stored=self.stored)

        return self.layer_by_layer(tensors, calibration, learn)


def round_in_order(
    weights: Any, lattice: Lattice, inputs: Any, *, damp: float = 0.01, stored: bool = False
) -> Any:
    """Return the codes of GPTQ for one matrix.

    Parameters
    ----------
    weights
        ``(rows, channels)``.
    lattice
        The grid of each.
    inputs
        What the rows are multiplied with, ``(examples and places, rows)``.
    damp, stored
        As of ``GPTQ``.

    Notes
    -----
    With the damped ``H = B B'``, B upper triangular, the loss of a channel is ``|B' (w - q)|**2``, whose k-th term
    ``B_kk**2 (w_k + sum_{j<k} B_jk / B_kk (w_j - q_j) - q_k)**2`` is the first that ``q_k`` enters; it is made least
    given those before it. The bracket without ``q_k`` is what least squares makes of weight k once those before are
    rounded: the same as feeding errors back through the Cholesky factor of the inverse of H, without the inverse.
    """
    weights, inputs, step, zero = map(jnp.asarray, (weights, inputs, lattice.step, lattice.zero))
    of_layer = moments(inputs)
    diagonal = jnp.diagonal(of_layer)
    order = jnp.arange(len(diagonal)) if stored else jnp.argsort(-diagonal, stable=True)
    added = damp * jnp.mean(diagonal)
    damped = of_layer + jnp.where(added > 0, added, 1) * jnp.eye(len(diagonal), dtype=of_layer.dtype)
    factor = jnp.linalg.cholesky(damped[order][:, order][::-1, ::-1])[::-1, ::-1]
    feedback = factor / jnp.diagonal(factor)[None]
    step, zero = step[order], zero[order]

    def round_one(k, state):
        errors, codes = state
        # Rows of errors from k on are zero still.
        own, target = weights[order[k]], weights[order[k]] + feedback[:, k] @ errors
        row = Lattice(step[k], zero[k], lattice.last)
        code = row.nearest(target)
        return errors.at[k].set(own - row.values(code)), codes.at[k].set(code)

    start = jnp.zeros_like(weights), jnp.zeros_like(weights)
    codes = jax.lax.fori_loop(0, len(weights), round_one, start)[1]
    return jnp.zeros_like(codes).at[order].set(codes)
