"""Which networks are shadows of which, and which of them each record is compared with.

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

# Share of records that may have too few shadows when they are thinned, so that the others keep more.
SPARED = 0.05


@dataclass(frozen=True)
class Pair:
    """Targets and the networks that attacks on them are fitted to, by number.

    Parameters
    ----------
    shadows, targets
        Of the two, ascending.
    records
        Which records the targets are attacked on, bool ``(N,)``.
    kept
        Which shadows stay for each of these where they are thinned, first those trained with it, ``(a + b, n)``.
    """

    shadows: np.ndarray
    targets: np.ndarray
    records: np.ndarray
    kept: np.ndarray | None = None

    def of_shadows(self, table: np.ndarray) -> np.ndarray:
        """Return the shadows' rows of a table ``(R, N)``, columns of the records attacked."""
        if self.kept is None:
            return self._columns(table[self.shadows])
        return np.take_along_axis(self._columns(table), self.kept, axis=0)

    def of_targets(self, table: np.ndarray) -> np.ndarray:
        """Return the targets' rows of a table ``(R, N)``, columns of the records attacked."""
        return self._columns(table[self.targets])

    def _columns(self, table):
        return table if self.records.all() else table[:, self.records]


@dataclass(frozen=True)
class Plan:
    """How networks are attacked.

    Parameters
    ----------
    pairs
        Targets with their shadows; none where there are too few.
    folds
        The fold of each network where they are shadows of each other, -1 for others, ``(R,)``.
    attacked
        Which records each network is attacked on, bool ``(R, N)``.
    thinned
        To how many shadows trained with a record and without; None if they are not.
    """

    pairs: tuple[Pair, ...]
    folds: np.ndarray
    attacked: np.ndarray
    thinned: tuple[int, int] | None = None

    @property
    def num_folds(self) -> int:
        """Number of folds, 0 where no networks are shadows of each other."""
        return int(self.folds.max()) + 1


def no_plan(outputs: Outputs) -> Plan:
    """Return the plan of attacks that have no shadows."""
    targets = np.broadcast_to(outputs.is_target[:, None], outputs.membership.shape)
    return Plan((), np.full(len(targets), -1), targets)


def make_plan(outputs: Outputs, num_folds: int, rng: np.random.Generator) -> Plan:
    """Return who attacks whom: all folds but one that one, or the shadows apart their targets.

    Networks of unknown membership are targets of all the others. A target is attacked on the records that some of its
    shadows were trained with and some without; where that leaves a target without any, on those that some were trained
    without. Whether it is depends on the shadows alone, never on the target.

    Parameters
    ----------
    outputs
        Of the networks.
    num_folds
        At most so many folds.
    rng
        Decides which shadows stay where they are thinned.
    """
    plan, shadows = no_plan(outputs), np.flatnonzero(outputs.may_shadow)
    folds, sides = plan.folds.copy(), []
    if outputs.apart:
        sides = [(shadows, np.flatnonzero(outputs.is_target))]
    elif len(shadows) >= FEWEST:
        folds[shadows] = of = np.arange(len(shadows)) % min(num_folds, len(shadows))
        sides = [(shadows[of != k], shadows[of == k]) for k in range(of.max() + 1)]
        unknown = np.flatnonzero(~outputs.known)
        sides += [(shadows, unknown)] if len(unknown) else []
    counts = [outputs.membership[some].sum(axis=0) for some, _ in sides]
    without = [count < len(some) for count, (some, _) in zip(counts, sides, strict=True)]
    both = [(count > 0) & out for count, out in zip(counts, without, strict=True)]
    pairs, thinned = _pairs(sides, both), None
    if _serve(pairs, outputs):
        if _tells(pairs, outputs, counts):
            pairs, thinned = _thin(pairs, outputs, counts, rng)
    else:
        pairs = _pairs(sides, without)
    if not _serve(pairs, outputs):
        return plan
    attacked = np.zeros_like(plan.attacked)
    for pair in pairs:
        attacked[pair.targets] = pair.records
    return Plan(pairs, folds, attacked, thinned)


def _pairs(sides, records):
    return tuple(Pair(shadows, targets, one) for (shadows, targets), one in zip(sides, records, strict=True))


def _serve(pairs, outputs):
    """Whether every target has records, and of those known some are members and some not."""
    kinds = set()
    for pair in pairs:
        known = pair.targets[outputs.known[pair.targets]]
        kinds |= set(np.unique(outputs.membership[known][:, pair.records]).tolist())
        if not pair.records.any():
            return False
    return bool(pairs) and (len(kinds) == 2 or not outputs.known[outputs.is_target].any())


def _tells(pairs, outputs, counts):
    """Whether the number of shadows trained on a record tells whether the target was."""
    numbers: list[np.ndarray] = []
    inside: list[np.ndarray] = []
    for pair, count in zip(pairs, counts, strict=True):
        known = pair.targets[outputs.known[pair.targets]]
        if len(known):
            for values, into in ((count, numbers), (outputs.membership[known].sum(axis=0), inside)):
                values = values[pair.records]
                into.append(values - values.mean())
    if not numbers:
        return False
    one, other = np.concatenate(numbers), np.concatenate(inside)
    spread = np.sqrt((one @ one) * (other @ other))
    # Two: each pair of folds comes twice, either as the other's shadows.
    return bool(spread > 0 and abs(one @ other) > SURE * spread * np.sqrt(2 / len(one)))


def _thin(pairs, outputs, counts, rng):
    """Draw as many shadows of each kind for every record that has them; leave out the records that do not."""
    sizes = [(count, len(pair.shadows) - count) for pair, count in zip(pairs, counts, strict=True)]
    into, out = (
        int(np.quantile(np.concatenate([size[k][pair.records] for pair, size in zip(pairs, sizes, strict=True)]),
                        SPARED, method="lower"))
        for k in (0, 1)
    )  # fmt: skip
    thinned = []
    for pair, (inside, outside) in zip(pairs, sizes, strict=True):
        records = pair.records & (inside >= into) & (outside >= out)
        member = outputs.membership[pair.shadows][:, records]
        key = rng.random(member.shape)
        first = np.argsort(key + ~member, axis=0)[:into]
        last = np.argsort(key + member, axis=0)[:out]
        kept = pair.shadows[np.concatenate([first, last])]
        thinned.append(replace(pair, records=records, kept=kept))
    return tuple(thinned), (into, out)
