"""Values and function: which networks are shadows of which, and which of them each record is compared with.

Attacks compare a record's outputs under shadows trained with it and without. How many there are of each must tell
nothing about the target: where every record is in exactly half of all networks, a record that is in fewer of the
shadows is in the target, and an attack may see that in the spread of what it fits. Where the numbers tell, the shadows
of each record are thinned, at random, to one number for all records.
"""

from dataclasses import dataclass, replace

import numpy as np

from mis.outputs.read import Outputs

__all__ = ["FEWEST", "Pair", "Plan", "make_plan", "no_plan"]

# Least number of networks that can be shadows of each other: intervals are widened for that from three folds on.
FEWEST = 3

# In standard errors: a correlation beyond it is no accident.
SURE = 5.0


@dataclass(frozen=True)
class Pair:
    """Targets and the networks that attacks on them are fitted to, by number.

    Parameters
    ----------
    shadows, targets
        Of the two, ascending.
    kept
        Which shadows stay for each record where they are thinned, first those trained with it, ``(a + b, N)``.
    """

    shadows: np.ndarray
    targets: np.ndarray
    kept: np.ndarray | None = None

    def of_shadows(self, table: np.ndarray) -> np.ndarray:
        """Return the shadows' rows of a table ``(R, N)``."""
        return table[self.shadows] if self.kept is None else np.take_along_axis(table, self.kept, axis=0)


@dataclass(frozen=True)
class Plan:
    """How networks are attacked.

    Parameters
    ----------
    pairs
        Targets with their shadows; none where there are too few.
    folds
        The fold of each network where they are shadows of each other, -1 for others, ``(R,)``.
    records
        Which records every pair has shadows of both kinds for (of those trained without, where no shadow was trained
        with any), bool ``(N,)``.
    thinned
        To how many shadows trained with a record and without; None if they are not.
    """

    pairs: tuple[Pair, ...]
    folds: np.ndarray
    records: np.ndarray
    thinned: tuple[int, int] | None = None

    @property
    def num_folds(self) -> int:
        """Number of folds, 0 where no networks are shadows of each other."""
        return int(self.folds.max()) + 1


def no_plan(outputs: Outputs) -> Plan:
    """Return the plan of attacks that have no shadows."""
    return Plan((), np.full(len(outputs.membership), -1), np.ones(len(outputs.labels), bool))


def make_plan(outputs: Outputs, num_folds: int, rng: np.random.Generator) -> Plan:
    """Return who attacks whom: all folds but one that one, or the shadows apart their targets.

    Networks of unknown membership are targets of all the others.

    Parameters
    ----------
    outputs
        Of the networks.
    num_folds
        At most so many folds.
    rng
        Decides which shadows stay where they are thinned.
    """
    plan, shadows, pairs = no_plan(outputs), np.flatnonzero(outputs.may_shadow), []
    if outputs.apart:
        pairs = [Pair(shadows, np.flatnonzero(outputs.is_target))]
    elif len(shadows) >= FEWEST:
        plan.folds[shadows] = of = np.arange(len(shadows)) % min(num_folds, len(shadows))
        pairs = [Pair(shadows[of != k], shadows[of == k]) for k in range(plan.num_folds)]
        unknown = np.flatnonzero(~outputs.known)
        pairs += [Pair(shadows, unknown)] if len(unknown) else []
    counts = [outputs.membership[pair.shadows].sum(axis=0) for pair in pairs]
    # Shadows trained on none of the records serve attacks that need no others.
    offline = not any(count.any() for count in counts)
    records = plan.records.copy()
    for pair, count in zip(pairs, counts, strict=True):
        records &= (count < len(pair.shadows)) & ((count > 0) | offline)
    plan = replace(plan, pairs=tuple(pairs), records=records)
    return _thin(plan, outputs, counts, rng) if records.any() and _tells(plan, outputs, counts) else plan


def _tells(plan, outputs, counts):
    """Whether the number of shadows trained on a record tells whether the target was."""
    numbers, inside = [], []
    for pair, count in zip(plan.pairs, counts, strict=True):
        known = pair.targets[outputs.known[pair.targets]]
        if len(known):
            members = outputs.membership[known].sum(axis=0)[plan.records]
            numbers.append(count[plan.records] - count[plan.records].mean())
            inside.append(members - members.mean())
    if not numbers:
        return False
    one, other = np.concatenate(numbers), np.concatenate(inside)
    spread = np.sqrt((one @ one) * (other @ other))
    # Two: each pair of folds comes twice, either as the other's shadows.
    return bool(spread > 0 and abs(one @ other) > SURE * spread * np.sqrt(2 / len(one)))


def _thin(plan, outputs, counts, rng):
    many = [count[plan.records] for count in counts]
    into = min(int(count.min()) for count in many)
    out = min(int((len(pair.shadows) - count).min()) for pair, count in zip(plan.pairs, many, strict=True))
    pairs = []
    for pair in plan.pairs:
        member = outputs.membership[pair.shadows]
        key = rng.random(member.shape)
        first = np.argsort(key + ~member, axis=0)[:into]
        last = np.argsort(key + member, axis=0)[:out]
        pairs.append(replace(pair, kept=pair.shadows[np.concatenate([first, last])]))
    return replace(plan, pairs=tuple(pairs), thinned=(into, out))
