"""The label-only attack by robustness to noise."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from mis.attacks.base import Attack, Input
from mis.numerics.checks import InvalidInput, integer, number, unmasked

__all__ = ["LabelOnly"]


@dataclass(frozen=True, kw_only=True)
class LabelOnly(Attack):
    """Share of noisy copies of an example that the target still classifies correctly.

    A training example tends to lie further from the decision boundary than a fresh one. Copy ``j`` of
    ``num_draws`` adds Gaussian noise of standard deviation ``noise * j / num_draws`` to every feature, so
    that the share keeps telling distances apart over a wide range of them; a misclassified original scores 0.
    All examples see the same noise.

    Parameters
    ----------
    noise
        Largest standard deviation, in the units of the features.
    num_draws
        Copies of each example; a target is asked once more than that.
    seed
        Of the noise.

    Notes
    -----
    ``predict`` is the target, a function that takes features ``(N, D)`` and returns the predicted classes ``(N,)`` as
    integers; or a list of T of them.

    References
    ----------
    Choquette-Choo, Tramèr, Carlini, Papernot (2021), Label-Only Membership Inference Attacks,
    arXiv:2007.14321, section 3.4.

    Examples
    --------
    A boundary at 0; the second example is further from it, the third on the wrong side:

    >>> scores = LabelOnly(noise=3.0).scores(
    ...     predict=lambda x: (x[:, 0] > 0).astype(int), features=[[0.1], [1.0], [-0.1]], labels=[1, 1, 1]
    ... )
    >>> bool(scores[2] == 0 < scores[0] < scores[1])
    True
    """

    noise: float = 1.0
    num_draws: int = 100
    seed: int = 0

    def __post_init__(self):
        number("LabelOnly", "noise", self.noise, above=0.0)
        integer("LabelOnly", "num_draws", self.num_draws, at_least=1)
        integer("LabelOnly", "seed", self.seed, at_least=0)

    @property
    def needs(self) -> Mapping[str, Input]:
        """The targets as functions, the examples and their true classes."""
        return {"predict": Input("T", Callable), "features": Input("N D"), "labels": Input("N", int)}

    def evaluate(self, *, predict, features, labels) -> np.ndarray:
        """Count correct predictions over growing noise."""
        rng = np.random.default_rng(self.seed)
        right = np.stack([self._correct(one, features, labels) for one in predict])
        kept = np.zeros((len(predict), len(labels)))
        for step in range(1, self.num_draws + 1):
            noisy = features + self.noise * step / self.num_draws * rng.normal(size=features.shape[1])
            for row, one in zip(kept, predict, strict=True):
                row += self._correct(one, noisy, labels)
        return right * kept / self.num_draws

    def _correct(self, predict, features, labels):
        predicted = predict(features)
        unmasked("LabelOnly", "the classes that predict returns", predicted)
        predicted = np.asarray(predicted)
        if predicted.shape != labels.shape:
            raise InvalidInput(
                f"LabelOnly: expected predict to return {len(labels)} classes, got shape {predicted.shape}."
            )
        return predicted == labels
