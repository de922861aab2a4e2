"""The sign of each weight times the mean magnitude of the tensor."""

from dataclasses import dataclass
from typing import Any, ClassVar

from mis.quantizers.base import Quantizer
from mis.quantizers.channels import Grid
from mis.quantizers.fields import scale_field
from mis.quantizers.scales import mean_magnitude, settle

__all__ = ["Sign"]


@dataclass(frozen=True, kw_only=True)
class Sign(Quantizer):
    """Sign of each weight times the mean magnitude of its tensor: one bit; a zero counts as positive.

    The mean magnitude is the scale that minimises the squared error. The one cell edge is 0, where the
    weights of most networks are densest.

    Parameters
    ----------
    scale
        ``"fit"``, ``"power-of-two"`` (rounded up to one), or a number > 0 fixed in advance.

    References
    ----------
    Rastegari, Ordonez, Redmon, Farhadi (2016), XNOR-Net, arXiv:1603.05279, eq. 6.

    Examples
    --------
    >>> import numpy as np
    >>> Sign()(np.array([-1.0, 0.0, 2.0]))
    array([-1.,  1.,  1.])
    """

    family: ClassVar[str] = "sign"
    scale: str | float = scale_field()

    @property
    def num_levels(self) -> float:
        """Two."""
        return 2

    def _fit(self, weights: Any) -> Grid:
        """Return minus and plus the scale, their edge at zero."""
        xp = weights.__array_namespace__()
        scale = settle(self.scale, mean_magnitude(weights))
        return Grid(levels=xp.stack([-scale, scale]), edges=xp.zeros(1, weights.dtype))
