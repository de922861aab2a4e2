"""Attacks, each a lower bound on what the optimal attacker reaches."""

from mis.attacks import statistics
from mis.attacks.audit import Audit, audit
from mis.attacks.audit_file import load
from mis.attacks.base import Attack, Input
from mis.attacks.bavaria import BaVarIA
from mis.attacks.calibrated_loss import CalibratedLoss
from mis.attacks.cell_ratio import CellRatio, cell_ends
from mis.attacks.decoded import Decoded
from mis.attacks.decoding import decode
from mis.attacks.entropy import Entropy
from mis.attacks.gap import Gap
from mis.attacks.gradient_norm import GradientNorm
from mis.attacks.influence import Influence
from mis.attacks.label_only import LabelOnly
from mis.attacks.linear_limit import LinearLimit, linear_limit
from mis.attacks.linearised import Linearised
from mis.attacks.lira import LiRA
from mis.attacks.loss_threshold import LossThreshold
from mis.attacks.max_confidence import MaxConfidence
from mis.attacks.modified_entropy import ModifiedEntropy
from mis.attacks.optimal import Optimal, counting_advantage
from mis.attacks.quantile_regression import QuantileRegression
from mis.attacks.released_gradient import released_gradient_scores
from mis.attacks.ridge import Ridge
from mis.attacks.rmia import RMIA
from mis.attacks.trained import Trained

__all__ = [
    "ATTACKS",
    "RMIA",
    "Attack",
    "Audit",
    "BaVarIA",
    "CalibratedLoss",
    "CellRatio",
    "Decoded",
    "Entropy",
    "Gap",
    "GradientNorm",
    "Influence",
    "Input",
    "LabelOnly",
    "LiRA",
    "LinearLimit",
    "Linearised",
    "LossThreshold",
    "MaxConfidence",
    "ModifiedEntropy",
    "Optimal",
    "QuantileRegression",
    "Ridge",
    "Trained",
    "audit",
    "cell_ends",
    "counting_advantage",
    "decode",
    "linear_limit",
    "load",
    "released_gradient_scores",
    "statistics",
]

ATTACKS: dict[str, type[Attack]] = {
    "gap": Gap,
    "loss": LossThreshold,
    "confidence": MaxConfidence,
    "entropy": Entropy,
    "modified_entropy": ModifiedEntropy,
    "label_only": LabelOnly,
    "lira": LiRA,
    "bavaria": BaVarIA,
    "rmia": RMIA,
    "trained": Trained,
    "calibrated_loss": CalibratedLoss,
    "quantile_regression": QuantileRegression,
    "gradient_norm": GradientNorm,
    "linearised": Linearised,
    "decoded": Decoded,
    "ridge": Ridge,
    "influence": Influence,
    "optimal": Optimal,
    "cell_ratio": CellRatio,
}
