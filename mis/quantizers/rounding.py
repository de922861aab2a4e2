"""Learning for every weight of a network whether it is rounded up or down."""

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import optax

from mis.quantizers.calibrated import Lattice

__all__ = ["learned_codes"]

# The rectified sigmoid goes a little beyond 0 and 1, so that it reaches both.
BEYOND, REACH = -0.1, 1.2
# The exponent of the regulariser, from the first to the last step after the warm start.
FIRST, LAST, WARM = 20.0, 2.0, 0.2
# Weight of the regulariser of one weight, in units of the mean loss that rounding one to nearest costs; Adam's step.
REGULARISER, LEARNING_RATE = 30.0, 0.1


def learned_codes(
    tensors: Sequence[Any],
    lattices: Sequence[Lattice],
    loss: Callable[[Sequence[Any]], Any],
    unit: Any,
    num_steps: int,
) -> list[Any]:
    """Return codes one of the two next to each weight, chosen by the loss of all of them together.

    Parameters
    ----------
    tensors
        The weights.
    lattices
        Their grids.
    loss
        From tensors like these to what is to be small; only its gradient is used.
    unit
        What the loss is when every weight is rounded to nearest.
    num_steps
        Steps of Adam.

    Notes
    -----
    Each weight lies a share ``h = clip(1.2 sigmoid(v) - 0.1, 0, 1)`` of the way from the value below it to that above;
    the start is the weight itself. What is made small is ``loss / unit * n + 30 sum(1 - |2h - 1|**b)`` for n weights,
    without the regulariser in the first fifth of the steps; then b falls from 20 to 2, which drives every h to 0 or 1.
    At the end what is left between goes to the nearer one.

    References
    ----------
    Nagel, Amjad, van Baalen, Louizos, Blankevoort (2020), Up or down? Adaptive rounding for post-training quantization,
    arXiv:2004.10568, eq. 21 to 24, with the loss in a unit of its own.
    """
    below = [jnp.floor(w / grid.step) for w, grid in zip(tensors, lattices, strict=True)]
    count = sum(w.size for w in tensors)
    unit = jnp.where(unit > 0, unit, 1)

    def released(shares):
        codes = (jnp.clip(b + h + g.zero, 0, g.last) for b, h, g in zip(below, shares, lattices, strict=True))
        return [grid.values(code) for code, grid in zip(codes, lattices, strict=True)]

    def objective(logits, exponent, weight):
        shares = [_share(v) for v in logits]
        # At one half the slope of a magnitude is set, not undefined.
        pull = sum(jnp.sum(1 - jnp.abs(2 * h - 1) ** exponent) for h in shares)
        return loss(released(shares)) / unit * count + weight * pull

    adam = optax.adam(LEARNING_RATE)

    def step(i, state):
        logits, moving = state
        done = jnp.maximum(i / num_steps - WARM, 0) / (1 - WARM)
        exponent = FIRST + (LAST - FIRST) * done
        slopes = jax.grad(objective)(logits, exponent, jnp.where(i < WARM * num_steps, 0.0, REGULARISER))
        updates, moving = adam.update(slopes, moving)
        return optax.apply_updates(logits, updates), moving

    start = [_logit(w / grid.step - b) for w, grid, b in zip(tensors, lattices, below, strict=True)]
    logits, _ = jax.lax.fori_loop(0, num_steps, step, (start, adam.init(start)))
    up = [jnp.where(_share(v) >= 0.5, 1, 0) for v in logits]
    return [jnp.clip(b + h + g.zero, 0, g.last) for b, h, g in zip(below, up, lattices, strict=True)]


def _share(logits: Any) -> Any:
    return jnp.clip(REACH * jax.nn.sigmoid(logits) + BEYOND, 0, 1)


def _logit(share: Any) -> Any:
    inner = (share - BEYOND) / REACH
    return jnp.log(inner / (1 - inner))
