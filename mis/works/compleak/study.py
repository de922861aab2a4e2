"""The study, from settings to tables, verdicts and figures.

What the published artifact has and this has not: members queried augmented and non-members not (here a row of its own,
beside a rule that asks no network); a checkpoint of the victim chosen on its non-members (here so many steps, whatever
comes); the attack's best epoch chosen on what it is tested on (here nothing is chosen on victims); a population for
RMIA that trained the attacker's network (here one that trained none).
"""

import functools
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from scipy import stats

from mis import figures
from mis.attacks.crossfit import mean_over_networks
from mis.numerics.checks import InvalidInput
from mis.populations import get
from mis.ranking import Ranking
from mis.results import Interval
from mis.store import Store
from mis.works.base import Study
from mis.works.compleak import settings as sized
from mis.works.compleak.queried import MEASURES, augmented, one_network, ranking_of, sides
from mis.works.compleak.settings import ATTACKERS, FULL, PUBLISHED, RULE, WITH, Settings
from mis.works.ranked import beside, each, of_networks, over_pools, table_text, with_theirs
from mis.works.verdicts import verdict
from mis.works.writing import flat

__all__ = ["settings", "study"]

settings = sized.settings

# Of AUC or advantage: less of a difference does not count as leaking less.
MARGIN, NEAR = 0.02, 0.9
KINDS = {1: "NR, one release", 2: "SR, the original and one", 3: "MR, several"}
QUERIES = {
    "trained": ("classifier of the network's answers", "members augmented"),
    "rule": (RULE, "members augmented"),
    "rule_plain": (RULE, "all alike"),
    "blind": ("a forest that sees pixels", "members augmented"),
    "blind_plain": ("a forest that sees pixels", "all alike"),
}
TABLE = {
    "kind": "kind", "release": "release", "attack": "attack", "performance": "accuracy", "auc": "AUC",
    "balanced_accuracy": "balanced accuracy", "tpr_at_fpr_01": "TPR at 1%", "advantage": "advantage",
}  # fmt: skip

# By set of releases and attack, of each pair of pools ``(M, len(MEASURES))``.
Values = Mapping[str, Sequence[np.ndarray]]


def study(settings: Settings, store: Store, progress: bool) -> Study:
    """Train, release, query, compare; what the store holds is read."""
    refuse_small(settings)
    rankings = [ranking_of(settings, pair, store, progress) for pair in range(settings.pools)]
    found = [_queried(settings, pair, store) for pair in range(settings.pools)]
    values = {name: [one[name] for one in found] for name in found[0]}
    rows = [with_theirs(row, PUBLISHED) for row in _rows(settings, values, rankings)]
    count = sum(comparisons for _, comparisons in claims_of(settings, values, rankings, 0.95))
    claims = [row for row, _ in claims_of(settings, values, rankings, each(count))]
    return Study(
        rows=rows,
        verdicts=claims,
        published=beside(PUBLISHED, rows),
        text=_text(settings, rows, len(claims)),
        figures=_figures(settings, [flat(row) for row in rows]),
    )


def refuse_small(settings: Settings) -> None:
    own = {"folder": settings.folder} if settings.folder else {}
    population = get(settings.task, **own).as_images()
    largest = population.largest_pool or 2 * settings.pool
    if population.num_classes is None or 2 * settings.pool > largest:
        raise InvalidInput(
            f"compleak: expected a task of classes with at least {2 * settings.pool} images for two pools, got "
            f"{settings.task} with {largest}."
        )


def _queried(settings: Settings, pair: int, store: Store) -> dict[str, np.ndarray]:
    """Return what attackers with one network of their own reach on each victim."""
    names = [*(f"{name}|trained" for name in settings.sets), *(f"queries|{name}" for name in QUERIES)]
    names += [f"{name}|{a}" for name in (FULL, *settings.compressed) for a in ATTACKERS if a != "trained"]
    part = f"queried-{pair}"
    kept = store.read(part, [f"values-{i}" for i in range(len(names))])
    if kept is not None:
        return {name: kept[f"values-{i}"] for i, name in enumerate(names)}
    victim, own = sides(settings, pair, store)
    found = one_network(settings, victim, own)
    found |= {f"queries|{name}": one for name, one in augmented(settings, victim, own).items()}
    store.write(part, **{f"values-{i}": found[name] for i, name in enumerate(names)})
    return found


def over_victims(values: Sequence[np.ndarray], level: float = 0.95) -> Interval:
    """Return the mean over victims of each pair of pools, then over pairs; Student's interval, victims independent."""
    found = []
    for of_pair in values:
        half = stats.t.isf((1 - level) / 2, len(of_pair) - 1) * of_pair.std(ddof=1) / np.sqrt(len(of_pair))
        mean = float(of_pair.mean())
        found.append(Interval(lower=mean - half, value=mean, upper=mean + half, kind="attack", level=level))
    return over_pools(found, min(map(len, values)), level)


def _rows(settings: Settings, values: Values, rankings: Sequence[Ranking]) -> Iterator[dict[str, Any]]:
    about = {"experiment": f"{settings.task}, {settings.model}", "seed": settings.seed}
    folds = rankings[0].about["num_folds"]
    for name, releases in settings.sets.items():
        own = about | {"kind": _kind(name, settings), "release": name, "releases": "/".join(releases)}
        strongest = [one["/".join(releases)] for one in rankings]
        for attack in ATTACKERS:
            if f"{name}|{attack}" in values:
                yield own | {"attack": attack} | _measures(values[f"{name}|{attack}"])
        yield own | {
            "attack": "strongest, many shadows",
            "performance": over_pools([row.performance for row in strongest], None),
            "advantage": over_pools([row.advantage for row in strongest], folds),
            "tpr_at_fpr_01": over_pools([row.tpr_at_fpr_01 for row in strongest], folds),
        }
    for name, (attack, queries) in QUERIES.items():
        kind = "no network" if name != "trained" else KINDS[1]
        row = about | {"kind": kind, "release": f"{FULL}, {queries}", "releases": FULL, "attack": attack}
        yield row | _measures(values[f"queries|{name}"])


def _kind(name: str, settings: Settings) -> str:
    return KINDS[3 if name in settings.multiple else len(settings.sets[name])]


def _measures(values: Sequence[np.ndarray]) -> dict[str, Interval]:
    return {name: over_victims([one[:, k] for one in values]) for k, name in enumerate(MEASURES)}


def claims_of(
    settings: Settings, values: Values, rankings: Sequence[Ranking], level: float
) -> Iterator[tuple[dict[str, Any], int]]:
    """Yield a row for each claim, and how many intervals it rests on, each of this level."""
    for who, more in (
        ("an attacker with one network", functools.partial(_more_auc, values, level)),
        ("many shadows", functools.partial(_more_advantage, rankings, settings, level)),
    ):
        what = "AUC" if who == "an attacker with one network" else "advantage"
        for name in settings.compressed:
            gain, count = more(f"{FULL}/{name}", (FULL, name))
            claim = f"SR beats NR, to {who}: the original beside {name} tells more than either alone."
            yield verdict(claim, f"{what} gained on the better of both", gain, above=0.0), count
        for name, releases in settings.multiple.items():
            pairs = [f"{FULL}/{one}" for one in releases if one != FULL]
            gain, count = more(name, pairs)
            claim = f"MR beats SR, to {who}: {name} tell more than the original and any one of them."
            yield verdict(claim, f"{what} gained on the best pair", gain, above=0.0), count
        for name in settings.compressed:
            lost, count = more(FULL, (name,))
            if name in settings.strong:
                claim = f"Strongly compressed, {name} leaks less on its own than the original, to {who}."
                yield verdict(claim, f"{what} lost", lost, above=MARGIN), count
            else:
                claim = f"Not strongly compressed, {name} leaks as much on its own as the original, to {who}."
                yield verdict(claim, f"{what} lost", lost, below=MARGIN), count
    advantage = {name: [2 * one[:, 1] - 1 for one in values[f"queries|{name}"]] for name in QUERIES}
    found = over_victims(advantage["rule"], level)
    claim = "Members queried augmented are found without any network: a border that is exactly zero."
    yield verdict(claim, "advantage of the rule", found, above=NEAR), 1
    claim = "Queried alike, members are not found without the network."
    found = over_victims(advantage["blind_plain"], level)
    yield verdict(claim, "advantage of a forest that sees pixels", found, below=MARGIN), 1


def _more_auc(values: Values, level: float, name: str, others: Sequence[str]) -> tuple[Interval, int]:
    """Return by how much the classifier on one set beats the best attack on each of others, paired by victim."""
    own = [one[:, 0] for one in values[f"{name}|trained"]]
    # Against all there is; what the original and a compressed one leak alone is compared attack by attack.
    attacks = ATTACKERS if name != FULL else ("trained",)
    rivals = [values[f"{o}|{a}"] for o in others for a in attacks if f"{o}|{a}" in values]
    gains = [
        over_victims([mine - theirs[:, 0] for mine, theirs in zip(own, rival, strict=True)], level)
        for rival in rivals
    ]
    return least_of(gains), len(gains)


def _more_advantage(
    rankings: Sequence[Ranking], settings: Settings, level: float, name: str, others: Sequence[str]
) -> tuple[Interval, int]:
    """Return by how much the strongest attack on one set beats that on each of others, paired by network."""
    folds = rankings[0].about["num_folds"]

    def of(which, ranking):
        return of_networks(ranking, "/".join(settings.sets[which]))

    gains = [
        over_pools([mean_over_networks(of(name, one) - of(o, one), folds) for one in rankings], folds, level)
        for o in others
    ]
    return least_of(gains), len(gains)


def least_of(intervals: Sequence[Interval]) -> Interval:
    """Return the least of quantities whose intervals hold together."""
    ends = {end: min(getattr(one, end) for one in intervals) for end in ("lower", "value", "upper")}
    return Interval(**ends, kind=intervals[0].kind, level=intervals[0].level)


def _text(settings: Settings, rows: Sequence[Mapping[str, Any]], count: int) -> str:
    head = (
        f"{settings.task}, {settings.model}: {settings.networks} victims, each with an attacker's network of its own, "
        f"trained on a disjoint pool;\n{settings.pool} examples a pool, half of them members; {settings.pools} pair(s) "
        "of pools. Means over victims, 95% intervals."
    )
    attacks = "\n".join(f"  {name}: {what}." for name, what in ATTACKERS.items())
    return (
        f"{head}\n{table_text(rows, TABLE)}\nAttackers with one network:\n{attacks}\n"
        "  strongest, many shadows: the strongest of loss, RMIA and LiRA, joined over releases, with shadow networks\n"
        "  of the victims' own pool; thresholds of other networks. TPR of the others is on the victim's own curve.\n"
        f"The {count} verdicts hold together with 95% confidence, for these pools, networks and attacks.\n"
        "Theirs: a ResNet-18, 20 000 images a pool, fine-tuned for 30 epochs at a smaller rate. What a larger network "
        "and more data\nwould show cannot be told here, nor what their self-attention attack finds."
    )


def _figures(settings: Settings, rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    series = {"alone": "without the original", "with": "with the original"}
    made = {}
    for column, attack, what in (
        ("auc", "trained", "AUC of a classifier trained on one network of the attacker's"),
        ("advantage", "strongest, many shadows", "advantage of the strongest attack with many shadows"),
    ):
        at = {r["release"]: r for r in rows if r["attack"] == attack and r["release"] in settings.sets}
        beside_it = {name: f"{FULL}/{name}" for name in settings.compressed}
        beside_it |= {name: name + WITH for name in settings.multiple if not name.endswith(WITH)}
        lines: list[dict[str, Any]] = [{"release": "the original"} | _ends(at[FULL], column, "with")]
        lines += [
            {"release": name} | _ends(at[name], column, "alone") | _ends(at[both], column, "with")
            for name, both in beside_it.items()
        ]
        panels = {f"ours: {settings.task}, {settings.model}": lines}
        if column == "auc":
            theirs = {one.release: {"auc": one.value, "auc_lower": one.value, "auc_upper": one.value}
                      for one in PUBLISHED if one.column == "auc"}  # fmt: skip
            ends = [
                _ends(one, "auc", "with" if name.endswith(WITH) else "alone") for name, one in theirs.items()
            ]
            panels["theirs: CIFAR-10, ResNet-18"] = [{"release": "prunings and int8"} | ends[0]]
        made[column] = functools.partial(
            figures.attackers,
            panels,
            series,
            axis=what.partition(" of ")[0],
            start=0.5 if column == "auc" else 0.0,
            caption=(
                f"Membership inference from compressed releases: {what}, on a release without and with the original "
                f"beside it. {settings.networks} victims, bars are 95% intervals, pointwise."
                + (" Of theirs it is not said whether the original is among them." if column == "auc" else "")
            ),
        )
    return made


def _ends(row: Mapping[str, Any], column: str, name: str) -> dict[str, Any]:
    return {f"{name}{end}": row[f"{column}{end}"] for end in ("", "_lower", "_upper")}
