"""The attack that knows the law of what refits release, from the released values of other refits."""

import numpy as np

__all__ = ["attack"]

# A released weight that takes its second value in fewer refits than this has no usable variance.
RAREST = 0.005
FOLDS = 5


def attack(
    estimates: np.ndarray,
    released: np.ndarray,
    members: np.ndarray,
    others: np.ndarray,
    usual: np.ndarray | None = None,
) -> np.ndarray:
    """Return TPR minus FPR on each refit, shape ``(R,)``: of the best linear score, where its likelihood ratio is one.

    Mean, covariance and slope of the release come from refits that are not attacked by them, four fifths of all.

    Parameters
    ----------
    estimates, released
        Weights of each refit before and after the quantizer, ``(R, d)``.
    members, others
        By how much each attacked example moves the estimate, ``psi / n``: ``(R, m, d)``.
    usual
        Refits to learn from, ``(R,)``; the score is linear, and a few that went elsewhere would spoil its covariance.
    """
    usual = np.ones(len(released), bool) if usual is None else usual
    gains = np.empty(len(released))
    for use in np.array_split(np.arange(len(released)), FOLDS):
        learn = np.setdiff1d(np.flatnonzero(usual), use)
        middle = np.median(released[learn], axis=0)
        kept = (released[learn] != middle).mean(axis=0) > RAREST
        codes = released[:, kept]
        centre, own = codes[learn].mean(axis=0), codes[learn] - codes[learn].mean(axis=0)
        # A member moves the estimate by psi/n, and the expected release by the slope of its regression on the estimate.
        slope = np.linalg.lstsq(estimates[learn] - estimates[learn].mean(axis=0), own, rcond=None)[0]
        precision = np.linalg.pinv(np.atleast_2d(own.T @ own / len(own)), hermitian=True)
        direction = ((codes[use] - centre) @ precision @ slope.T).astype(np.float32)
        information = (slope @ precision @ slope.T).astype(np.float32)

        def rate(shown, direction=direction, information=information):
            score = (shown @ direction[..., None])[..., 0]
            return (score > ((shown @ information) * shown).sum(axis=-1) / 2).mean(axis=1)

        gains[use] = rate(members[use]) - rate(others[use])
    return gains
