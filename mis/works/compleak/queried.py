"""Two disjoint pools of networks, what they answer, and attackers with one network of their own."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from scipy import stats
from sklearn.ensemble import RandomForestClassifier

from mis import populations
from mis.attacks import RMIA, ModifiedEntropy, Trained
from mis.attacks.crossfit import thresholds
from mis.populations import Part
from mis.ranking import Ranking, rank
from mis.ranking.asked import attacks_of, cut, specs
from mis.ranking.measure import publish_together
from mis.ranking.published import Published, example_losses
from mis.ranking.releases import all_parts, parse
from mis.ranking.trained import train_or_load, train_or_load_all
from mis.store import Store
from mis.training import predict
from mis.works.compleak.settings import FULL, STRONGEST, Settings

__all__ = [
    "MEASURES",
    "Side",
    "augmented",
    "measures",
    "one_network",
    "queries",
    "ranking_of",
    "rule",
    "sides",
]

MEASURES = ("auc", "balanced_accuracy", "tpr_at_fpr_01")
# NumPy's stream from one seed, and the false positive rate of the last measure.
CROPS, LOW = 21, 0.01


def _options(settings: Settings, pair: int) -> dict[str, Any]:
    steps = {"num_steps": settings.steps} if settings.steps else {}
    return {
        "num_networks": settings.networks, "seed": settings.seed * settings.pools + pair, "pool": settings.pool,
        "attacks": STRONGEST, "initialisation": "random", **steps,
    }  # fmt: skip


def _population(settings: Settings, part: int) -> Part:
    own = {"folder": settings.folder} if settings.folder else {}
    return Part(whole=populations.get(settings.task, **own).as_images(), part=part, parts=2)


def _folder(store: Store, pair: int, part: int) -> Path | None:
    # Not the store's: networks are kept by what decides them, and serve other settings too.
    return store.folder and store.folder.parent / "rankings" / f"pair-{pair}-part-{part}"


def ranking_of(settings: Settings, pair: int, store: Store, progress: bool) -> Ranking:
    """Return the ranking of the victims: attackers whose shadow networks are of the same pool, released alike."""
    releases = ["/".join(names) for names in settings.sets.values()]
    return rank(
        _population(settings, 1),
        releases,
        model=settings.model,
        out=_folder(store, pair, 1),
        replace=True,
        progress=progress,
        **_options(settings, pair),
    )


@dataclass(frozen=True, kw_only=True, eq=False)
class Side:
    """One pool and its networks, with what each release of them answers.

    Parameters
    ----------
    membership
        ``(M, N)``.
    labels, heldout_labels
        ``(N,)`` and ``(S,)``.
    published
        By release.
    images
        The pool's, ``(N, H, W, C)``, as the network takes them but for the shape.
    """

    membership: np.ndarray
    labels: np.ndarray
    heldout_labels: np.ndarray
    published: dict[str, Published]
    images: np.ndarray

    @property
    def features(self) -> np.ndarray:
        """The pool's examples in the shape that the network takes."""
        return next(iter(self.published.values())).networks.split.pool.features

    def answers(self, releases: Sequence[str]) -> np.ndarray:
        """Return outputs on the pool, those of several releases side by side, ``(M, N, classes of all)``."""
        return np.concatenate([self.published[name].pool_outputs for name in releases], axis=-1)


def sides(settings: Settings, pair: int, store: Store) -> tuple[Side, Side]:
    """Return the victims' pool and the attacker's; networks that a ranking kept are read."""
    return _side(settings, pair, 1, store), _side(settings, pair, 2, store)


def _side(settings: Settings, pair: int, part: int, store: Store) -> Side:
    population = _population(settings, part)
    protocol, spec = specs(population, settings.model, _options(settings, pair))
    split = cut(spec)
    networks_of = partial(
        train_or_load,
        split=split,
        num_networks=protocol.num_networks,
        num_folds=protocol.num_folds,
        level=protocol.level,
        attacks=attacks_of(protocol.attacks, spec.population),
        out=_folder(store, pair, part),
        fresh=False,
        shard=(1, 1),
        progress=False,
    )
    releases = [parse(name) for name in (FULL, *settings.compressed)]
    main = networks_of(spec)
    all_of, _ = train_or_load_all({one: one.networks(spec) for one in all_parts(releases)}, main, networks_of)
    parts = publish_together(all_of, releases)
    return Side(
        membership=all_of[all_parts(releases)[0]].ensemble.membership,
        labels=split.pool.targets,
        heldout_labels=split.heldout.targets,
        published={release.name: one[0] for release, one in zip(releases, parts, strict=True)},
        images=np.asarray(split.pool.features).reshape(len(split.pool), *population.shape),
    )


# Attackers with one network of their own, i with network i: how many there are of both.


def one_network(settings: Settings, victim: Side, own: Side) -> dict[str, np.ndarray]:
    """Return what each attacker reaches on each victim, ``(M, len(MEASURES))`` by set of releases, a bar and attack.

    Members and non-members are queried alike; nothing is chosen on the victim.
    """
    found = {}
    for name, releases in settings.sets.items():
        attack = Trained(
            classifier=settings.classifier, with_label=True, releases=len(releases), seed=settings.seed
        )
        found[f"{name}|trained"] = trained(
            attack, victim, own, victim.answers(releases), own.answers(releases)
        )
        if len(releases) == 1:
            for attacker, values in _untrained(victim, own, name).items():
                found[f"{name}|{attacker}"] = values
    return found


def trained(attack: Trained, victim: Side, own: Side, seen: np.ndarray, known: np.ndarray) -> np.ndarray:
    """Fit a classifier to the answers ``known`` of the attacker's network, and attack those ``seen`` of the victim."""

    def one(i):
        score = attack.fit(known[i : i + 1], own.membership[i : i + 1], own.labels)
        return score(seen[i], victim.labels), score(known[i], own.labels)

    return measured(victim, own, one)


def _untrained(victim: Side, own: Side, release: str) -> dict[str, np.ndarray]:
    pair = victim, own
    published = [side.published[release] for side in pair]
    # What networks answer on the other pool, which trained none of them, and on examples that trained none at all.
    crossed = [
        np.exp(-example_losses(predict(one.networks.model, one.released, other.features), other.labels))
        for one, other in zip(published, reversed(pair), strict=True)
    ]
    heldout = [
        np.exp(-example_losses(one.heldout_outputs, side.heldout_labels))
        for one, side in zip(published, pair, strict=True)
    ]

    def loss(i):
        return tuple(-one.losses[i] for one in published)

    def modified_entropy(i):
        shadow = {
            "shadow_logits": published[1].pool_outputs[i : i + 1],
            "shadow_membership": own.membership[i : i + 1],
            "shadow_labels": own.labels,
        }
        attack = ModifiedEntropy(thresholds="per-class")
        return tuple(
            attack.scores(target_logits=one.pool_outputs[i], labels=side.labels, **shadow)
            for one, side in zip(published, pair, strict=True)
        )

    def rmia(i):
        # The attacker's network by the victim's answers on his pool: where his threshold comes from.
        return tuple(
            RMIA(online=False).scores(
                target_probabilities=np.exp(-published[k].losses[i]),
                shadow_probabilities=crossed[1 - k][i : i + 1],
                shadow_membership=np.zeros((1, len(pair[k].labels)), bool),
                population_target=heldout[k][i],
                population_shadow=heldout[1 - k][i : i + 1],
                population_membership=np.zeros((1, heldout[k].shape[1]), bool),
            )
            for k in (0, 1)
        )

    attacks = {"loss": loss, "modified_entropy": modified_entropy, "rmia": rmia}
    return {name: measured(victim, own, attack) for name, attack in attacks.items()}


def measured(victim: Side, own: Side, attack: Callable[[int], tuple]) -> np.ndarray:
    """Return the measures on each victim, ``(M, len(MEASURES))``; the threshold is the best on the attacker's own."""

    def one(i):
        scores, known = attack(i)
        threshold, _ = thresholds(known, own.membership[i], LOW)
        return measures(scores, victim.membership[i], threshold)

    # Not in threads: scikit-learn's forests change the warnings' filters, which all threads share.
    return np.array([one(i) for i in range(min(len(victim.membership), len(own.membership)))])


def measures(scores: np.ndarray, member: np.ndarray, threshold: float) -> tuple[float, float, float]:
    """Return AUC, balanced accuracy at a threshold, and TPR at 1% false positives on the victim's own curve.

    Examples
    --------
    >>> measures(np.array([0.0, 1.0, 2.0, 3.0]), np.array([False, True, False, True]), 1.5)
    (0.75, 0.5, 0.5)
    """
    inside, outside = scores[member], scores[~member]
    auc = stats.mannwhitneyu(inside, outside, method="asymptotic").statistic / (len(inside) * len(outside))
    accuracy = ((inside >= threshold).mean() + (outside < threshold).mean()) / 2
    strict = thresholds(scores, member, LOW)[1]
    return float(auc), float(accuracy), float((inside >= strict).mean())


# Members queried with crops and flips, non-members without: the answers and the queries tell.


def augmented(settings: Settings, victim: Side, own: Side) -> dict[str, np.ndarray]:
    """Return what attackers reach where members are queried augmented, the original network alone, by attack.

    ``rule`` and ``blind`` see the queries and no network; ``rule_plain`` and ``blind_plain`` those of everybody else.
    """
    pair = victim, own
    attack = Trained(classifier=settings.classifier, with_label=True, seed=settings.seed)
    found = {
        "trained": trained(attack, victim, own, *(_answers(settings, side, k) for k, side in enumerate(pair)))
    }
    for suffix, shown in (
        ("", [partial(queries, settings, side, k) for k, side in enumerate(pair)]),
        ("_plain", [partial(_as_they_are, side) for side in pair]),
    ):
        found[f"rule{suffix}"] = measured(victim, own, partial(_rules, shown))
        found[f"blind{suffix}"] = measured(victim, own, partial(_forest, settings.seed, own, shown))
    return found


def _answers(settings: Settings, side: Side, k: int) -> np.ndarray:
    """Return what each original network answers to the queries on it, ``(M, N, classes)``."""
    published, shape = side.published[FULL], side.features.shape[1:]
    found = []
    for i in range(len(side.membership)):
        layers = [layer[i : i + 1] for layer in published.released]
        shown = queries(settings, side, k, i).reshape(-1, *shape)
        found.append(predict(published.networks.model, layers, shown))
    return np.concatenate(found)


def queries(settings: Settings, side: Side, k: int, i: int) -> np.ndarray:
    """Return the queries on network i: members cropped at random from a frame of zeros, half of them flipped."""
    pad, (height, width) = settings.padding, side.images.shape[1:3]
    rng, shown = np.random.default_rng([settings.seed, CROPS, k, i]), side.images.copy()
    for row in np.flatnonzero(side.membership[i]):
        framed = np.pad(side.images[row], ((pad, pad), (pad, pad), (0, 0)))
        down, across = rng.integers(2 * pad + 1, size=2)
        crop = framed[down : down + height, across : across + width]
        shown[row] = crop[:, ::-1] if rng.random() < 0.5 else crop
    return shown


def _as_they_are(side: Side, _: int) -> np.ndarray:
    return side.images


def _rules(shown: Sequence[Callable[[int], np.ndarray]], i: int) -> tuple[np.ndarray, ...]:
    return tuple(rule(asked(i)) for asked in shown)


def rule(images: np.ndarray) -> np.ndarray:
    """Return 1 for images with a border row or column that is exactly zero, else 0; no network is asked.

    Examples
    --------
    >>> framed = np.pad(np.ones((1, 2, 2, 1)), ((0, 0), (1, 0), (0, 0), (0, 0)))
    >>> rule(framed), rule(np.ones((1, 2, 2, 1)))
    (array([1.]), array([0.]))
    """
    sides = (images[:, 0], images[:, -1], images[:, :, 0], images[:, :, -1])
    return np.any([(side == 0).all(axis=(1, 2)) for side in sides], axis=0).astype(np.float64)


def _forest(
    seed: int, own: Side, shown: Sequence[Callable[[int], np.ndarray]], i: int
) -> tuple[np.ndarray, ...]:
    """Return scores of a forest that sees pixels of queries and no network, fitted to those on the attacker's own."""
    images = [asked(i) for asked in shown]
    flat = [one.reshape(len(one), -1) for one in images]
    forest = RandomForestClassifier(30, min_samples_leaf=10, random_state=seed)
    forest.fit(flat[1], own.membership[i])
    return tuple(forest.predict_proba(x)[:, 1] for x in flat)
