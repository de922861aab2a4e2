"""The weights as they are."""

import math
from dataclasses import dataclass
from typing import Any, ClassVar

from mis.quantizers.base import Quantizer
from mis.quantizers.channels import Exact

__all__ = ["Full"]


@dataclass(frozen=True, kw_only=True)
class Full(Quantizer):
    """Full precision: every weight is released as it is.

    Examples
    --------
    >>> import numpy as np
    >>> Full()(np.array([-1.0, 0.3]))
    array([-1. ,  0.3])
    """

    family: ClassVar[str] = "full"

    @property
    def num_levels(self) -> float:
        """Infinitely many."""
        return math.inf

    def _fit(self, weights: Any) -> Exact:  # noqa: ARG002
        """Return the channel that changes nothing."""
        return Exact()
