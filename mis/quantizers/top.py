"""The largest entries of a whole gradient as they are, zero for the others."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from scipy import stats

from mis.quantizers.base import Quantizer
from mis.quantizers.channels import FULL_BITS, DeadZone
from mis.quantizers.fields import share_field
from mis.quantizers.prune import least_survivor

__all__ = ["Top"]


@dataclass(frozen=True, kw_only=True)
class Top(Quantizer):
    """The largest magnitudes as they are, the others zero; of a gradient one threshold for all its tensors.

    ``Prune`` sets a share of each tensor to zero, or keeps at least one entry of each; here layers of small gradients
    may vanish.

    Parameters
    ----------
    kept
        Share of the entries that survive, in (0, 1).

    References
    ----------
    Aji, Heafield (2017), Sparse communication for distributed gradient descent, arXiv:1704.05021.

    Examples
    --------
    >>> import numpy as np
    >>> Top(kept=0.5)(np.array([0.1, -0.2, 3.0, -5.0]))
    array([ 0.,  0.,  3., -5.])
    """

    family: ClassVar[str] = "top"
    kept: float = share_field(0.1)

    @property
    def num_levels(self) -> float:
        """Infinitely many."""
        return float("inf")

    @property
    def bits(self) -> float:
        """Full precision for each survivor, and the entropy of which they are."""
        return FULL_BITS * self.kept + float(stats.entropy([self.kept, 1 - self.kept], base=2))

    def _fit(self, weights: Any) -> DeadZone:
        return DeadZone(threshold=least_survivor(weights, 1 - self.kept))

    def fit_network(self, tensors: Sequence[Any], calibration: Any = None) -> list[DeadZone]:  # noqa: ARG002
        """Return one threshold for all tensors."""
        xp = tensors[0].__array_namespace__()
        return [self.fit(xp.concatenate([tensor.ravel() for tensor in tensors]))] * len(tensors)
