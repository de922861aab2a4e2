"""Gaussian noise added to every weight."""

from dataclasses import dataclass
from typing import Any, ClassVar

from mis.quantizers.base import Quantizer
from mis.quantizers.channels import Noisy
from mis.quantizers.fields import share_field
from mis.quantizers.scales import power_unit

__all__ = ["Noise", "root_mean_square"]


@dataclass(frozen=True, kw_only=True)
class Noise(Quantizer):
    """Normal noise on every weight, in proportion to the root mean square of its tensor.

    A control beside quantizers: its squared error is ``sd**2`` times that of releasing zeros, whatever the weights
    are. The noise of each weight is drawn once for each release; its size counts as known to the attacker.

    Parameters
    ----------
    sd
        Standard deviation of the noise as a share of the tensor's root mean square, > 0; in percent in the name.

    Examples
    --------
    >>> import jax
    >>> import numpy as np
    >>> released = Noise(sd=0.1)(np.ones(10_000), key=jax.random.key(0))
    >>> round(float(released.mean()), 2), round(float(released.std()), 2)
    (1.0, 0.1)
    """

    family: ClassVar[str] = "noise"
    sd: float = share_field(0.1, within="> 0")

    @property
    def num_levels(self) -> float:
        """Infinitely many."""
        return float("inf")

    def _fit(self, weights: Any) -> Noisy:
        """Return the noise of the tensor's size."""
        return Noisy(sd=self.sd * root_mean_square(weights))


def root_mean_square(weights: Any) -> Any:
    """Return the root mean square, computed in a unit in which no square overflows or vanishes."""
    xp = weights.__array_namespace__()
    unit = power_unit(weights)
    return unit * xp.sqrt(xp.mean(xp.square(weights / unit)))
