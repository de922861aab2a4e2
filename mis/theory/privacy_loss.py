"""Functions: put the privacy loss of one release on a lattice, from above or from below."""

import math

import numpy as np

__all__ = ["contract", "spread"]

# Losses this close to a lattice point are on it; a tenth of what ``product`` allows for rounding is spent here.
HAIR = 1e-13


def spread(
    members: np.ndarray, loss: np.ndarray, low: np.ndarray, high: np.ndarray, step: float
) -> tuple[np.ndarray, np.ndarray]:
    r"""Return (index, mass) on the lattice ``step * index``: a pair of laws that leaks at least as much.

    *Claim.* Let X be the likelihood ratio and Q the law of non-members, so that ``h(t) = E_Q (X - t)^+``.
    Where ``X`` lies in ``[e^low, e^high]`` with mean ``e^loss`` under Q, moving its mass to the two ends,
    mean kept, raises the expectation of every convex function, ``h(t)`` at every t among them, and does so in
    every product with other releases (condition on those: a convex function of X remains). The ends then go
    the same way to their two lattice neighbours. The error is of second order in ``step`` and in ``high -
    low``.

    Masses are those of members, shape ``(k,)``; ``members / e^loss`` is the mass under Q.

    References
    ----------
    Doroshenko, Ghazi, Kamath, Kumar, Manurangsi (2022), Connect the dots: tighter discrete approximations of
    privacy loss distributions, PETS 2022 (arXiv:2207.04380), whose estimate is the best on a given lattice.
    """
    upward = members * _share(loss, low, high)
    values = np.concatenate([low, high])
    masses = np.concatenate([members - upward, upward])
    below = np.floor(values / step)
    upward = masses * _share(values, below * step, (below + 1) * step)
    index = np.concatenate([below, below + 1]).astype(np.int64)
    return index, np.concatenate([masses - upward, upward])


def _share(value: np.ndarray, low: np.ndarray, high: np.ndarray) -> np.ndarray:
    """Return the part of the members' mass that goes up, so that mass under both laws is kept."""
    gap = np.expm1(low - high)
    part = np.expm1(low - value) / np.where(gap < 0, gap, -1.0)
    return np.clip(part, 0.0, 1.0)


def contract(members: np.ndarray, others: np.ndarray, step: float) -> tuple[np.ndarray, np.ndarray]:
    r"""Return (index, mass) on the lattice ``step * index``: a pair of laws that leaks at most as much.

    *Claim.* Merging outcomes is post-processing, an outcome may be divided at random before it is merged, and
    taking mass of members away lowers ``h(t)`` at every t, in every product. So: go through the outcomes by
    rising likelihood ratio; from the first one left, merge until the ratio of the merged masses is a lattice
    point, dividing the last outcome to meet it exactly; repeat. What is left at the end rounds down. In
    pictures, a polygon with lattice slopes inscribed in the ROC, where ``spread`` circumscribes one. Groups
    are at most two steps wide where outcomes are dense, so the error is of second order in ``step``.

    Both masses have shape ``(k,)``, k arbitrary order, all positive.
    """
    loss, mass = (array.tolist() for array in _ascending(members, others, step / 4))
    index, merged = [], []
    target, total, lacking = 0, 0.0, 0.0
    for at, left in zip(loss, mass, strict=True):
        while left > 0:
            if total == 0:
                target = math.ceil((at - HAIR) / step)
            # Per mass of members: what the target's ratio asks for beyond what this outcome has.
            lack = math.expm1(target * step - at)
            if lacking + left * lack > 0:
                total, lacking = total + left, lacking + left * lack
                break
            taken = lacking / -lack if lacking > 0 else left
            index.append(target)
            merged.append(total + taken)
            left, total, lacking = left - taken, 0.0, 0.0
    if total > 0:
        rest = target * step - math.log1p(lacking / total)
        index.append(math.floor((rest + HAIR) / step))
        merged.append((total + lacking) * math.exp((index[-1] - target) * step))
    return np.array(index, np.int64), np.array(merged)


def _ascending(members: np.ndarray, others: np.ndarray, width: float) -> tuple[np.ndarray, np.ndarray]:
    """Sort by rising loss and merge what lies in one bin of ``width``; return losses, members' masses."""
    loss = np.log(members / others)
    order = np.argsort(loss)
    first = np.flatnonzero(np.diff(np.floor(loss[order] / width), prepend=-np.inf))
    members, others = (np.add.reduceat(mass[order], first) for mass in (members, others))
    return np.log(members / others), members
