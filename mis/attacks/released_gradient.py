"""Membership in a released gradient, by its inner product with the example's own."""

from typing import Any

import numpy as np

from mis.numerics.checks import InvalidInput, finite, integer

__all__ = ["released_gradient_scores"]

# A release is taken to err by a thousandth of its standard deviation at the least: what float32 leaves.
LEAST_ERROR = 1e-3


def released_gradient_scores(
    released: Any, examples: Any, *, population: Any, size: int, shadow_means: Any, shadow_released: Any
) -> np.ndarray:
    r"""Return scores of membership in means of gradients that were released through a quantizer or noise.

    The attacker draws means of the population's gradients himself, releases them, and fits ``R = a m + b + e`` in each
    coordinate (Bussgang), e not correlated with m and taken as uncorrelated between coordinates. An example z shifts
    the release by ``delta = a (g_z - mean) / size``; with S the covariance of a release, that of a mean of ``size``
    examples drawn without replacement and then of e, the score is ``delta' S^-1 (R - E R) - delta' S^-1 delta / 2``:
    the log likelihood ratio where releases are normal, otherwise a score like any other. Several rounds are one long
    gradient. No number in it is tuned.

    Parameters
    ----------
    released
        Of M releases ``(M, d)``.
    examples
        Gradients of the N examples under attack, ``(N, d)``.
    population
        Gradients of P others, or of the same, ``(P, d)``: what the attacker knows of the law.
    size
        Examples in each mean, below P.
    shadow_means, shadow_released
        Means of ``size`` of the population and their releases, ``(S, d)`` each, S at least 2.

    Returns
    -------
    np.ndarray
        ``(M, N)``, larger for likelier members.

    References
    ----------
    Homer et al. (2008), PLoS Genetics 4 (inner products with a released mean). Azize, Basu (2024), arXiv:2402.10065
    (the covariance). Bussgang (1952), MIT technical report 216.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> law = rng.normal(size=(100, 300))
    >>> means = np.stack([law[rng.choice(100, 10, replace=False)].mean(axis=0) for _ in range(50)])
    >>> shadows = {"shadow_means": means, "shadow_released": np.sign(means)}
    >>> released = np.sign(law[:10].mean(axis=0))[None]
    >>> scores = released_gradient_scores(released, law, population=law, size=10, **shadows)[0]
    >>> bool(scores[:10].min() > np.median(scores[10:]))
    True
    """
    where = "released_gradient_scores"
    arrays = {"released": released, "examples": examples, "population": population,
              "shadow_means": shadow_means, "shadow_released": shadow_released}  # fmt: skip
    found = {name: finite(where, name, value, ndim=2) for name, value in arrays.items()}
    if len({array.shape[1] for array in found.values()}) > 1 or (
        found["shadow_means"].shape != found["shadow_released"].shape
    ):
        raise InvalidInput(
            f"{where}: expected gradients of one length, and as many shadow means as shadow releases, got "
            f"{', '.join(f'{name} {array.shape}' for name, array in found.items())}."
        )
    num = len(found["population"])
    integer(where, "size", size, at_least=1, at_most=num - 1)
    means, releases = found["shadow_means"], found["shadow_released"]
    integer(where, "shadow_means", len(means), at_least=2)
    centre = found["population"].mean(axis=0)
    slope, offset, error = _fitted(means, releases)
    # Codes that never change say nothing, and gradients that never change shift nothing.
    tells = (releases.std(axis=0) > 0) & (slope != 0)
    scale = np.sqrt(error[tells])
    shifts, others = (
        (found[name] - centre)[:, tells] * slope[tells] / scale for name in ("examples", "population")
    )
    shifts, seen = shifts / size, (found["released"] - (slope * centre + offset))[:, tells] / scale
    # Woodbury: as many equations as examples in the population, whatever the dimension.
    others = others * np.sqrt((num - size) / (size * (num - 1) * num))
    inverse = np.linalg.inv(np.eye(num) + others @ others.T)
    shared = shifts @ others.T
    inner = seen @ shifts.T - (seen @ others.T) @ inverse @ shared.T
    own = np.square(shifts).sum(axis=1) - ((shared @ inverse) * shared).sum(axis=1)
    return inner - own / 2


def _fitted(means: np.ndarray, releases: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return slope, offset and variance of what is left, of releases against means, coordinate by coordinate."""
    away = means - means.mean(axis=0)
    spread = np.square(away).sum(axis=0)
    slope = (away * releases).sum(axis=0) / np.where(spread > 0, spread, 1.0)
    offset = releases.mean(axis=0) - slope * means.mean(axis=0)
    left = np.square(releases - slope * means - offset).mean(axis=0)
    return slope, offset, np.maximum(left, LEAST_ERROR**2 * releases.var(axis=0))
