"""The loss attack calibrated by the difficulty of each example."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from mis.attacks.base import Attack, Input, finite_scores, refuse_empty

__all__ = ["CalibratedLoss"]


@dataclass(frozen=True, kw_only=True)
class CalibratedLoss(Attack):
    """Mean loss of the shadow models that did not train on the example, less the target's loss.

    An infinite loss counts as the largest finite one among all shadow losses and its own row.

    References
    ----------
    Watson, Guo, Cormode, Sablayrolles (2022), On the Importance of Difficulty Calibration in Membership
    Inference Attacks, arXiv:2111.08440, eq. 4.

    Examples
    --------
    Both have the same loss, but only for the second is that surprising:

    >>> CalibratedLoss().scores(
    ...     target_losses=[1.0, 1.0], shadow_losses=[[1.0, 3.0]], shadow_membership=[[False, False]]
    ... )
    array([0., 2.])
    """

    @property
    def needs(self) -> Mapping[str, Input]:
        """Losses of the target and of the shadow models, and who trained on what."""
        return {
            "target_losses": Input("T N"),
            "shadow_losses": Input("M N"),
            "shadow_membership": Input("M N", bool),
        }

    def evaluate(self, *, target_losses, shadow_losses, shadow_membership) -> np.ndarray:
        """Subtract the target's loss from the expected one."""
        shadow_losses, target_losses = finite_scores(shadow_losses, target_losses)
        count = (~shadow_membership).sum(axis=0)
        refuse_empty("CalibratedLoss", "out", count)
        # From the first shadow's loss: equal losses have exactly that mean, however many there are.
        first = shadow_losses[0]
        return (
            first
            - target_losses
            + np.where(shadow_membership, 0.0, shadow_losses - first).sum(axis=0) / count
        )
