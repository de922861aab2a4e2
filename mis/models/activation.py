"""The rectifier of hidden layers, or a bounded one whose values are rounded to a few bits."""

import jax
import jax.numpy as jnp

__all__ = ["rectified"]


def rectified(x: jax.Array, bits: int | None = None) -> jax.Array:
    """Return ``max(x, 0)``, or with ``bits`` x cut to [0, 1] and rounded to ``2^bits - 1`` equal steps.

    The gradient passes the rounding as if it were not there; beyond the cuts it is 0.

    References
    ----------
    Zhou et al. (2016), DoReFa-Net, arXiv:1606.06160, section 2.3.

    Examples
    --------
    >>> rectified(jnp.array([-1.0, 0.3, 0.6, 7.0]), bits=1).tolist()
    [0.0, 0.0, 1.0, 1.0]
    """
    if bits is None:
        return jnp.maximum(x, 0.0)
    inside, steps = jnp.clip(x, 0.0, 1.0), 2**bits - 1
    return inside + jax.lax.stop_gradient(jnp.round(inside * steps) / steps - inside)
