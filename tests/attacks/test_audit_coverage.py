"""The intervals of every metric cover the truth as often as their level says, each by itself."""

import collections
import dataclasses

import numpy as np
import pytest
from scipy.stats import binom, cauchy, norm

from mis.attacks import audit

# Coarse enough for a law of its own in every repetition; what it misses of a truth is below SLACK.
GRID = np.linspace(-30, 30, 3001)
SLACK = 1e-4


@dataclasses.dataclass(frozen=True)
class Law:
    """Scores ``shift * member + noise`` of ``targets`` models, all of which may share what ``draw`` returns.

    ``draw(rng)`` returns a sampler of scores and the two survival functions, the truth of this draw.
    """

    draw: object
    members: int
    nonmembers: int
    targets: int = 1


def independent(member, nonmember):
    """Scores drawn independently from two SciPy laws."""

    def draw(_):
        def sample(rng, law):
            size = (law.targets, law.members), (law.targets, law.nonmembers)
            return member.rvs(size[0], random_state=rng), nonmember.rvs(size[1], random_state=rng)

        return (
            sample,
            lambda t: member.sf(t) + atom(member, t),
            lambda t: nonmember.sf(t) + atom(nonmember, t),
        )

    return draw


def atom(law, t):
    """P(score = t), so that the survival function is that of score >= t."""
    return law.pmf(t) if hasattr(law, "pmf") or hasattr(law.dist, "pmf") else 0.0


def target_effect(shift, spread):
    """Every target model moves all of its scores by a common random amount."""

    def draw(_):
        def sample(rng, law):
            effect = spread * rng.normal(size=(law.targets, 1))
            member = rng.normal(shift, 1, (law.targets, law.members)) + effect
            return member, rng.normal(0, 1, (law.targets, law.nonmembers)) + effect

        scale = np.hypot(1, spread)
        return sample, lambda t: norm.sf(t, shift, scale), lambda t: norm.sf(t, 0, scale)

    return draw


def one_target(shift, spread):
    """One model, its common amount drawn once: the intervals speak of this model."""

    def draw(rng):
        effect = spread * rng.normal()
        return independent(norm(shift + effect, 1), norm(effect, 1))(rng)

    return draw


def shared_shadows(shift, spread, examples):
    """Every example has an amount of its own, from the shadow models, the same for all target models."""

    def draw(rng):
        amounts = spread * rng.normal(size=examples)

        def sample(rng, law):
            member = np.array([rng.permutation(examples) < law.members for _ in range(law.targets)])
            scores = amounts + rng.normal(size=member.shape) + shift * member
            scores += 0.5 * rng.normal(size=(law.targets, 1))
            return scores[member].reshape(law.targets, -1), scores[~member].reshape(law.targets, -1)

        scale = np.sqrt(1.25)
        return (
            sample,
            lambda t: norm.sf(np.subtract.outer(t, amounts + shift), 0, scale).mean(-1),
            lambda t: norm.sf(np.subtract.outer(t, amounts), 0, scale).mean(-1),
        )

    return draw


def unequal_targets(shift, spread, sizes):
    """As ``target_effect``, but of each target model another number of examples are members, and all are scored."""

    def draw(_):
        membership = np.arange(max(sizes) + 5) < np.array(sizes)[:, None]

        def sample(rng, law):
            effect = spread * rng.normal(size=(law.targets, 1))
            return rng.normal(size=membership.shape) + effect + shift * membership, membership

        scale = np.hypot(1, spread)
        return sample, lambda t: norm.sf(t, shift, scale), lambda t: norm.sf(t, 0, scale)

    return draw


class SureMembers:
    """A standard normal law with a share of sure scores, as SciPy writes laws."""

    dist = None

    def __init__(self, share):
        self.share = share

    def rvs(self, size, random_state):
        scores = random_state.normal(size=size)
        return np.where(random_state.random(size) < self.share, 29.0, scores)

    def sf(self, t):
        return self.share * (np.asarray(t) <= 29.0) + (1 - self.share) * norm.sf(t)


LAWS = {
    "gaussian": Law(independent(norm(1, 1), norm(0, 1)), 400, 400),
    "few": Law(independent(norm(1, 1), norm(0, 1)), 40, 40),
    "nothing to find": Law(independent(norm(0, 1), norm(0, 1)), 100, 100),
    "nearly separated": Law(independent(norm(4, 1), norm(0, 1)), 150, 600),
    "unbalanced spread": Law(independent(norm(0.3, 2), norm(0, 1)), 1000, 200),
    "few non-members": Law(independent(norm(1, 1), norm(0, 1)), 5000, 100),
    "few members": Law(independent(norm(1, 1), norm(0, 1)), 50, 2000),
    "heavy tails": Law(independent(cauchy(1), cauchy(0)), 300, 300),
    "ties": Law(independent(binom(4, 0.6), binom(4, 0.4)), 200, 200),
    "one bit": Law(independent(binom(1, 0.55), binom(1, 0.5)), 300, 300),
    "one target's effect": Law(one_target(1, 3), 200, 200),
    "targets": Law(target_effect(1, 1), 25, 25, targets=12),
    "many targets": Law(target_effect(0.5, 0.5), 10, 30, targets=64),
    "four targets": Law(target_effect(1, 0.3), 50, 50, targets=4),
    "two targets": Law(target_effect(1, 1), 100, 100, targets=2),
    "two targets, strong effect": Law(target_effect(3, 3), 40, 40, targets=2),
    "three targets, strong effect": Law(target_effect(1, 3), 40, 40, targets=3),
    "five targets, strong effect": Law(target_effect(1, 3), 40, 40, targets=5),
    "three targets, few records": Law(target_effect(1, 0.5), 5, 5, targets=3),
    "unequal targets": Law(unequal_targets(1, 1, [1, 2, 4, 8, 16, 32, 64, 128]), 255, 809, targets=8),
    "most records of one target": Law(unequal_targets(1, 1, [2] * 11 + [90]), 112, 1028, targets=12),
    "two members": Law(independent(norm(1, 1), norm(0, 1)), 2, 1000),
    "two non-members": Law(independent(norm(1, 1), norm(0, 1)), 500, 2),
    "a few sure members": Law(independent(SureMembers(0.02), SureMembers(0)), 400, 400),
    "shared shadows": Law(shared_shadows(1, 1, 60), 30, 30, targets=20),
}


def truths(found, tpr, fpr, discrete):
    """Pairs of interval and truth, by name; the truth of an exchanged pair of thresholds is their mean."""
    grid = np.arange(-1.0, 6.0) if discrete else GRID
    tprs, fprs = tpr(grid), fpr(grid)
    at = np.array(found.thresholds)
    p, a = tpr(at).mean(), fpr(at).mean()
    # P(member > nonmember) + P(tie) / 2: the area under the polygon of the ROC.
    auc = -np.trapezoid(tprs, fprs)
    pairs = {
        "advantage": (found.advantage, p - a),
        "best advantage": (found.advantage, (tprs - fprs).max()),
        "balanced accuracy": (found.balanced_accuracy, (1 + (tprs - fprs).max()) / 2),
        "auc": (found.auc, auc + (0.0 if discrete else tail_area(tprs, fprs))),
        "recall": (found.recall, p),
        "precision": (found.precision, p / (p + a) if p + a > 0 else 0.5),
        "f1": (found.f1, 2 * p / (1 + p + a)),
    }
    for rate, interval in found.tpr_at_fpr.items():
        if interval:
            between = np.interp(rate, fprs[::-1], tprs[::-1])
            pairs[f"tpr at {rate}"] = interval, tprs[fprs <= rate].max() if discrete else between
    with np.errstate(divide="ignore", invalid="ignore"):
        ratios = np.concatenate([(tprs - found.delta) / fprs, (1 - fprs - found.delta) / (1 - tprs)])
    pairs["epsilon"] = found.epsilon_lower, np.log(np.nanmax(ratios[ratios > 0]))
    return pairs


def tail_area(tprs, fprs):
    """Area of the ROC beyond the grid, by trapezes: heavy tails reach far."""
    return fprs[-1] * tprs[-1] / 2 + (1 - fprs[0]) * (1 + tprs[0]) / 2


def misses(law, repetitions, seed, level):
    rng = np.random.default_rng(seed)
    below, above = collections.Counter(), collections.Counter()
    for _ in range(repetitions):
        sample, tpr, fpr = law.draw(rng)
        first, second = sample(rng, law)
        discrete = np.issubdtype(first.dtype, np.integer)
        names = ("scores", "membership") if second.dtype == bool else ("member", "nonmember")
        found = audit(**dict(zip(names, (first, second), strict=True)), delta=0.0, level=level)
        for name, (interval, truth) in truths(found, tpr, fpr, discrete).items():
            below[name] += truth < interval.lower - SLACK
            above[name] += truth > interval.upper + SLACK
    return below, above


# Every law at the usual level; at another one every fourth, which is enough to see that the level is heard.
COVERED = [(name, 0.95, 30) for name in LAWS] + [(name, 0.8, 20) for name in list(LAWS)[::4]]
COVERED += [pytest.param(name, level, 2000, marks=pytest.mark.slow) for name in LAWS for level in (0.95, 0.8)]


@pytest.mark.parametrize(("name", "level", "repetitions"), COVERED)
def test_coverage(name, level, repetitions):
    below, above = misses(LAWS[name], repetitions, seed=7, level=level)
    allowed = {0.95: 0.06, 0.8: 0.22}[level] * repetitions
    if repetitions < 2000:
        allowed = binom.ppf(1 - 1e-5, repetitions, 1 - level)
    for end in below:
        assert below[end] + above[end] <= allowed, f"{end}: {below[end]} below, {above[end]} above"


def test_thresholds_are_not_chosen_on_the_scored_records():
    """Where there is nothing to find the value is 0 on average; the best threshold's own would be 0.15."""
    rng = np.random.default_rng(4)
    values = [
        audit(member=rng.normal(size=40), nonmember=rng.normal(size=40)).advantage.value for _ in range(40)
    ]
    assert abs(np.mean(values)) < 5 * np.std(values) / np.sqrt(40)
    clusters = [
        audit(member=rng.normal(size=(6, 8)), nonmember=rng.normal(size=(6, 8))).advantage.value
        for _ in range(40)
    ]
    assert abs(np.mean(clusters)) < 5 * np.std(clusters) / np.sqrt(40)
