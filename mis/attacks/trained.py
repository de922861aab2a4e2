"""An attack trained on the outputs of shadow models."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from mis.attacks.base import Attack, Input
from mis.attacks.statistics import log_likelihood, logit_confidence
from mis.numerics.checks import InvalidInput, integer, known

__all__ = ["Trained"]

CLASSIFIERS = "logistic", "forest", "network"

# Features beyond this, in nats, are as good as infinite and would only stretch the scale.
CERTAIN = 30.0


@dataclass(frozen=True, kw_only=True)
class Trained(Attack):
    """A classifier of members against non-members, fitted to the confidence vectors of shadow models.

    Its features are the logarithms of the class probabilities, sorted from the likeliest on; with the label
    also the log-odds of the true class, its log-probability, and which class it is. Of several releases of one
    model the same of each, and by how much each of the others exceeds the first.

    Parameters
    ----------
    classifier
        ``"logistic"``, ``"forest"`` or ``"network"`` (one layer of 32), scikit-learn's.
    with_label
        Whether the attacker knows the true class.
    releases
        How many releases of each model are seen side by side: logits hold the classes of each in turn along their
        last axis.
    seed
        Of the forest and of the network.

    Notes
    -----
    The shadow examples ``S`` may differ from the examples under attack, as where target and shadow were
    trained on disjoint data. The score is the log-odds of membership (logistic) or its probability.

    References
    ----------
    Shokri, Stronati, Song, Shmatikov (2017), arXiv:1610.05820; Salem et al. (2019), ML-Leaks,
    arXiv:1806.01246. Several releases: Li, Gao, Hu, Kuang, Fu (2025), CompLeak, arXiv:2507.16872.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> membership = np.arange(400) % 2 == 0
    >>> logits = rng.normal(size=(400, 3)) * np.where(membership, 4, 1)[:, None]
    >>> scores = Trained().scores(shadow_logits=logits, shadow_membership=membership, target_logits=logits)
    >>> bool(scores[membership].mean() > scores[~membership].mean() + 1)
    True
    """

    classifier: str = "logistic"
    with_label: bool = False
    releases: int = 1
    seed: int = 0

    def __post_init__(self):
        known("Trained", "classifier", self.classifier, CLASSIFIERS)
        integer("Trained", "seed", self.seed, at_least=0)
        integer("Trained", "releases", self.releases, at_least=1)
        if not isinstance(self.with_label, bool):
            raise InvalidInput(
                f"Trained: expected with_label True or False, got with_label={self.with_label!r}."
            )

    @property
    def needs(self) -> Mapping[str, Input]:
        """Logits of shadow models and target, who trained on what, and the true classes where they are used."""
        needs = {
            "shadow_logits": Input("M S C"),
            "shadow_membership": Input("M S", bool),
            "target_logits": Input("T N C"),
        }
        if self.with_label:
            needs |= {"shadow_labels": Input("S", int), "labels": Input("N", int)}
        return needs

    def evaluate(
        self, *, shadow_logits, shadow_membership, target_logits, shadow_labels=None, labels=None
    ) -> np.ndarray:
        """Fit to the shadow models' outputs, score the target's."""
        return self.fit(shadow_logits, shadow_membership, shadow_labels)(target_logits, labels)

    def fit(
        self,
        shadow_logits: np.ndarray,
        shadow_membership: np.ndarray,
        shadow_labels: np.ndarray | None = None,
    ) -> Callable[..., np.ndarray]:
        """Fit to checked outputs of shadow models; return what scores logits ``(…, N, C)``, and labels if used."""
        if shadow_membership.all() or not shadow_membership.any():
            raise InvalidInput("Trained: expected shadow members and non-members, got one kind only.")
        # Late, here and in other attacks: scikit-learn takes half a second to load.
        from sklearn.pipeline import make_pipeline
        from sklearn.preprocessing import StandardScaler

        model = make_pipeline(StandardScaler(), _classifier(self.classifier, self.seed))
        model.fit(self._features(shadow_logits, shadow_labels), shadow_membership.ravel())
        return partial(self._score, model)

    def _score(self, model, logits, labels=None):
        features = self._features(logits, labels)
        if self.classifier == "logistic":
            scores = model.decision_function(features)
        else:
            scores = model.predict_proba(features)[:, 1]
        return scores.reshape(logits.shape[:-1])

    def _features(self, logits, labels):
        """One row for each model and example."""
        if logits.shape[-1] % self.releases or logits.shape[-1] < 2 * self.releases:
            raise InvalidInput(
                f"Trained: expected logits of as many classes for each of {self.releases} releases, got "
                f"{logits.shape[-1]} numbers in all."
            )
        if labels is not None and labels.max() >= logits.shape[-1] // self.releases:
            raise InvalidInput(
                f"Trained: expected labels below the classes of a release, got {labels.max()}."
            )
        each = np.split(logits, self.releases, axis=-1)
        seen = [_of_release(one, labels) for one in each]
        columns = [column for one in seen for column in one]
        columns += [own - first for one in seen[1:] for own, first in zip(one, seen[0], strict=True)]
        if labels is not None:
            columns += [np.broadcast_to(labels == c, logits.shape[:-1]) for c in range(each[0].shape[-1])]
        return np.stack([column.ravel() for column in columns], axis=1)


def _of_release(logits, labels):
    classes = logits.shape[-1]
    likelihoods = [log_likelihood(logits, np.full(logits.shape[-2], c)) for c in range(classes)]
    columns = list(np.moveaxis(-np.sort(-np.stack(likelihoods, axis=-1)), -1, 0))
    if labels is not None:
        columns += [logit_confidence(logits, labels), log_likelihood(logits, labels)]
    return [np.clip(column, -CERTAIN, CERTAIN) for column in columns]


def _classifier(name: str, seed: int) -> Any:
    if name == "logistic":
        from sklearn.linear_model import LogisticRegression

        return LogisticRegression(max_iter=1000)
    if name == "forest":
        from sklearn.ensemble import RandomForestClassifier

        return RandomForestClassifier(min_samples_leaf=10, random_state=seed)
    from sklearn.neural_network import MLPClassifier

    return MLPClassifier((32,), early_stopping=True, max_iter=100, random_state=seed)
