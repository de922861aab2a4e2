"""Functions: the attacks a ranking can run on the outputs of released networks.

Each maps the outputs of all networks, and which of them are shadows, to scores of the others, ``(M - shadows, N)``.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from mis.attacks import RMIA, CalibratedLoss, LiRA, statistics
from mis.numerics.checks import UnsupportedSetting

__all__ = ["BLACK_BOX", "Outputs", "calibrated", "example_losses"]


@dataclass(frozen=True, kw_only=True, eq=False)
class Outputs:
    """What released networks say, ``(M, N, classes)`` on the pool and on held-out examples; one class is regression."""

    pool: np.ndarray
    targets: np.ndarray
    members: np.ndarray
    heldout: np.ndarray
    heldout_targets: np.ndarray

    @property
    def is_regression(self) -> bool:
        """Whether the outputs are predictions of a number."""
        return self.pool.shape[-1] == 1


def calibrated(scores: np.ndarray, members: np.ndarray, is_shadow: np.ndarray) -> np.ndarray:
    """Return the log likelihood ratio, in nats, of the others' scores under Gaussians fitted to the shadows'."""
    return LiRA().scores(
        shadow_scores=scores[is_shadow],
        shadow_membership=members[is_shadow],
        target_scores=scores[~is_shadow],
    )


def _lira(outputs: Outputs, is_shadow: np.ndarray) -> np.ndarray:
    """LiRA on log-odds; on the residual with its sign, which the loss throws away, in a regression."""
    statistic = statistics.signed_residual if outputs.is_regression else statistics.logit_confidence
    pool = outputs.pool[..., 0] if outputs.is_regression else outputs.pool
    return calibrated(statistic(pool, outputs.targets), outputs.members, is_shadow)


def _lira_loss(outputs: Outputs, is_shadow: np.ndarray) -> np.ndarray:
    """LiRA on the loss itself."""
    return calibrated(-_losses(outputs), outputs.members, is_shadow)


def _loss(outputs: Outputs, is_shadow: np.ndarray) -> np.ndarray:
    """One threshold on the loss for all examples."""
    return -_losses(outputs)[~is_shadow]


def _calibrated_loss(outputs: Outputs, is_shadow: np.ndarray) -> np.ndarray:
    """Score by how far the loss is below that of shadows without the example."""
    losses = _losses(outputs)
    return CalibratedLoss().scores(
        target_losses=losses[~is_shadow],
        shadow_losses=losses[is_shadow],
        shadow_membership=outputs.members[is_shadow],
    )


def _rmia(outputs: Outputs, is_shadow: np.ndarray) -> np.ndarray:
    """RMIA, offline, with the held-out examples as its population: no network was trained on them."""
    if outputs.is_regression:
        raise UnsupportedSetting(
            "rank", "attack rmia compares probabilities of classes; the task is a regression."
        )
    likely = np.exp(statistics.log_likelihood(outputs.pool, outputs.targets))
    others = np.exp(statistics.log_likelihood(outputs.heldout, outputs.heldout_targets))
    return RMIA(online=False).scores(
        target_probabilities=likely[~is_shadow],
        shadow_probabilities=likely[is_shadow],
        shadow_membership=outputs.members[is_shadow],
        population_target=others[~is_shadow],
        population_shadow=others[is_shadow],
        population_membership=np.zeros(others[is_shadow].shape, dtype=bool),
    )


def example_losses(outputs: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """Return the loss of each example, ``(M, N)``: nats, or the squared error."""
    if outputs.shape[-1] == 1:
        return -statistics.negative_squared_error(outputs[..., 0], targets)
    return -statistics.log_likelihood(outputs, targets)


def _losses(outputs: Outputs) -> np.ndarray:
    return example_losses(outputs.pool, outputs.targets)


BLACK_BOX: dict[str, Callable[[Outputs, np.ndarray], np.ndarray]] = {
    "lira": _lira,
    "lira_loss": _lira_loss,
    "loss": _loss,
    "calibrated_loss": _calibrated_loss,
    "rmia": _rmia,
}
