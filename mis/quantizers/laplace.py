"""Double exponential noise added to every entry, and what it leaves to know."""

from dataclasses import dataclass
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import numpy as np
from jax.scipy import special as jax_special
from scipy import special

from mis.numerics.checks import InvalidInput, UnsupportedSetting, refuse
from mis.quantizers.base import Quantizer
from mis.quantizers.channels import FULL_BITS, Channel
from mis.quantizers.fields import share_field
from mis.quantizers.noise import root_mean_square
from mis.quantizers.observations import Observation
from mis.quantizers.weights import floats, traced, wide

__all__ = ["DoubleExponential", "Laplace", "Laplacian"]


@dataclass(frozen=True, kw_only=True)
class Laplace(Quantizer):
    """Laplacian noise on every entry, in proportion to the root mean square of its tensor.

    Parameters
    ----------
    sd
        Standard deviation of the noise as a share of the tensor's root mean square, > 0; in percent in the name. The
        noise has density ``exp(-|x| / b) / (2 b)`` with ``b = sd / sqrt(2)``.

    Examples
    --------
    >>> import jax
    >>> import numpy as np
    >>> released = Laplace(sd=0.1)(np.ones(10_000), key=jax.random.key(0))
    >>> round(float(released.mean()), 2), round(float(released.std()), 2)
    (1.0, 0.1)
    """

    family: ClassVar[str] = "laplace"
    sd: float = share_field(0.1, within="> 0")

    @property
    def num_levels(self) -> float:
        """Infinitely many."""
        return float("inf")

    def _fit(self, weights: Any) -> "Laplacian":
        return Laplacian(scale=self.sd * root_mean_square(weights) / np.sqrt(weights.dtype.type(2)))


@jax.tree_util.register_dataclass
@dataclass(frozen=True, kw_only=True)
class Laplacian(Channel):
    """Every entry is released with double exponential noise of its own, ``scale`` its mean magnitude."""

    is_random: ClassVar[bool] = True

    scale: Any

    def apply(self, weights: Any, *, key: Any = None) -> Any:
        weights = wide(floats("Laplacian.apply", weights))
        if key is None:
            raise refuse("Laplacian.apply", "key", "a JAX key, because the noise is random", key)
        xp = weights.__array_namespace__()
        released = weights + self.scale * xp.asarray(
            jax.random.laplace(key, weights.shape), dtype=weights.dtype
        )
        return xp.where(xp.isfinite(weights), released, np.nan) if traced(weights) else released

    def observation(self, released: Any) -> "DoubleExponential":
        xp = released.__array_namespace__()
        return DoubleExponential(centre=released, scale=xp.broadcast_to(self.scale, released.shape))

    def information(self, weights: Any, spread: Any) -> np.ndarray:  # noqa: ARG002
        raise UnsupportedSetting("Laplacian.information", "it has no closed form; take normal noise.")

    def squared_error(self, weights: Any) -> np.ndarray:
        return np.full(np.shape(weights), 2 * float(self.scale) ** 2)

    def entropy(self, weights: Any) -> float:  # noqa: ARG002
        return FULL_BITS


@jax.tree_util.register_dataclass
@dataclass(frozen=True, kw_only=True)
class DoubleExponential(Observation):
    r"""The release is the entry plus double exponential noise of mean magnitude ``scale``.

    Notes
    -----
    Of an entry ``N(m, s^2)``, with ``u = (centre - m)/s`` and ``r = s/scale``, the density of the release is
    ``exp(r^2/2) [e^{-r u} Phi(u - r) + e^{r u} Phi(-u - r)] / (2 scale)``, by completing the square on either side; the
    posterior mean follows from its derivative in m (Tweedie).

    Examples
    --------
    >>> seen = DoubleExponential(centre=np.array([1.0]), scale=np.array([1.0]))
    >>> seen.posterior_mean(0.0, 1.0).round(4), seen.log_likelihood(0.0, 1.0).round(4)
    (array([0.4968]), array([-1.5965]))
    """

    centre: Any
    scale: Any

    def log_likelihood(self, mean: Any, sd: Any) -> Any:
        xp, below, above, r = self._sides(mean, sd)
        return xp.logaddexp(below, above) + r**2 / 2 - xp.log(2 * self.scale)

    def posterior_mean(self, mean: Any, sd: Any) -> Any:
        xp, below, above, r = self._sides(mean, sd)
        return mean + sd * r * xp.tanh((below - above) / 2)

    def _sides(self, mean, sd):
        jax_array = any(isinstance(array, jax.Array) for array in (self.centre, mean))
        xp, log_ndtr = (jnp, jax_special.log_ndtr) if jax_array else (np, special.log_ndtr)
        u, r = (self.centre - mean) / sd, sd / self.scale
        return xp, log_ndtr(u - r) - r * u, log_ndtr(-u - r) + r * u, r

    def check(self, where: str) -> None:
        if not (np.isfinite(self.centre).all() and (np.asarray(self.scale) > 0).all()):
            raise InvalidInput(f"{where}: expected finite centres and scale > 0, got others.")
