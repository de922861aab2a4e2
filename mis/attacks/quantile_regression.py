"""The quantile regression attack, which needs no shadow model."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from mis.attacks.base import Attack, Input, finite_scores
from mis.numerics.checks import InvalidInput, integer, probability

__all__ = ["QuantileRegression"]


@dataclass(frozen=True, kw_only=True)
class QuantileRegression(Attack):
    """Score less the quantile that a non-member with the same features would stay below.

    A gradient-boosted quantile regression of the target's scores on the features of public examples that it
    did not train on. ``score >= 0`` has a false positive rate near ``1 - quantile`` whatever the features.

    Parameters
    ----------
    quantile
        Of the non-members' scores.
    seed
        Of the boosting.

    References
    ----------
    Bertran, Tang, Kearns, Morgenstern, Roth, Wu (2023), Scalable Membership Inference Attacks via Quantile
    Regression, arXiv:2307.03694, algorithm 1.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> features = rng.normal(size=(500, 1))
    >>> scores = QuantileRegression().scores(
    ...     public_features=features, public_scores=5 * features[:, 0] + rng.normal(size=500),
    ...     features=[[0.0], [1.0]], target_scores=[4.0, 4.0],
    ... )
    >>> bool(scores[0] > 0 > scores[1])
    True
    """

    quantile: float = 0.9
    seed: int = 0

    def __post_init__(self):
        probability("QuantileRegression", "quantile", self.quantile)
        integer("QuantileRegression", "seed", self.seed, at_least=0)

    @property
    def needs(self) -> Mapping[str, Input]:
        """Features and the target's scores, of the examples and of public non-members."""
        return {
            "target_scores": Input("T N"),
            "features": Input("N D"),
            "public_scores": Input("T S"),
            "public_features": Input("S D"),
        }

    def evaluate(self, *, target_scores, features, public_scores, public_features) -> np.ndarray:
        """Fit one regression for each target model."""
        from sklearn.ensemble import HistGradientBoostingRegressor

        if not (np.isfinite(features).all() and np.isfinite(public_features).all()):
            raise InvalidInput("QuantileRegression: expected finite features, got infinite ones.")
        scores = np.empty_like(target_scores)
        for row, (public, target) in enumerate(zip(public_scores, target_scores, strict=True)):
            known, own = finite_scores(public[None], target[None])
            model = HistGradientBoostingRegressor(
                loss="quantile", quantile=self.quantile, max_iter=50, random_state=self.seed
            )
            scores[row] = own[0] - model.fit(public_features, known[0]).predict(features)
        return scores
