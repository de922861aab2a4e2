"""Put the privacy loss of one release on a lattice, from above or from below."""

import numpy as np

__all__ = ["merge", "spread"]


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


def merge(loss: np.ndarray, step: float) -> np.ndarray:
    r"""Return the index of the nearest point of the lattice ``step * index``: a score that tells at most as much.

    *Claim.* An attacker who sees of each release only its index, and of all releases only the sum of their
    indices, sees less than there is: post-processing. So the laws of that sum under members and non-members
    bound ``h(t)`` from below at every t. What is lost is of second order in ``step``: an index is off by half a
    step at most, about ``step^2 / 12`` of the variance of each loss.
    """
    return np.rint(loss / step).astype(np.int64)
