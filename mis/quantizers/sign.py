"""Spec: the sign of each weight times the mean magnitude of the tensor."""

from dataclasses import dataclass
from typing import Any

from mis.quantizers.base import Grid, Quantizer

__all__ = ["Sign"]


@dataclass(frozen=True, kw_only=True)
class Sign(Quantizer):
    """One bit: ``sign(w) * mean|w|``, the scale that minimises the squared error; a zero counts as positive.

    Its one cell edge is 0, where the weights of most networks are densest.

    References
    ----------
    Rastegari, Ordonez, Redmon, Farhadi (2016), XNOR-Net, arXiv:1603.05279, eq. 6.

    Examples
    --------
    >>> import numpy as np
    >>> Sign()(np.array([-1.0, 0.0, 2.0]))
    array([-1.,  1.,  1.])
    """

    @property
    def name(self) -> str:
        return "sign"

    @property
    def num_levels(self) -> float:
        return 2

    def fit(self, weights: Any) -> Grid:
        xp = weights.__array_namespace__()
        scale = xp.mean(xp.abs(weights))
        return Grid(levels=xp.stack([-scale, scale]), edges=xp.zeros(1, weights.dtype))
