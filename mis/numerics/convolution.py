"""The law of a sum of independent lattice variables, with a bound on what was lost."""

import math
from collections.abc import Iterable

import numpy as np
from scipy import fft

__all__ = ["Laws", "direct_power", "fourier_power", "lattice_sum", "power", "window"]

# Laws on one lattice, one a row, and how often each occurs.
Laws = tuple[np.ndarray, np.ndarray]

UNIT = np.finfo(np.float64).eps / 2
# Numbers that are worked on at a time.
BLOCK = 2**20


def window(values: np.ndarray, laws: Iterable[Laws], tail: float, scale: float) -> tuple[float, float]:
    """Return (low, high) with ``P(S < low) <= tail`` and ``P(S > high) <= tail`` for a sum S of independents.

    ``laws`` yields ``(masses, counts)``: each row of masses, ``(k, m)``, belongs to ``values``, ``(m,)``, sums to at
    most one but for rounding, and enters as often as ``counts``, ``(k,)``, says. Chernoff's bound ``P(S > x) <=
    exp(K(t) - t x)``, K the cumulant generating function of the sum, holds at every t > 0; a ladder of 16 around
    the inverse of ``scale`` is searched, which is best near the standard deviation of S.
    """
    # Not beyond what exponentials can hold.
    rates = np.minimum(np.geomspace(0.25, 64.0, 16) / scale, 600 / max(np.abs(values).max(), 1e-300))
    rates = np.concatenate([-rates, rates])
    cumulant = np.zeros(len(rates))
    for masses, counts in laws:
        used = np.flatnonzero(masses.any(axis=0))
        moments = np.zeros((len(masses), len(rates)))
        for part in np.array_split(used, math.ceil(len(used) * len(rates) / BLOCK)):
            moments += masses[:, part] @ np.exp(np.multiply.outer(values[part], rates))
        cumulant += counts @ np.log(moments)
    # A hair more than log(1 / tail) pays for the rounding of the cumulants.
    bounds = (cumulant - np.log(tail) + 0.01) / rates
    return float(bounds[:16].max()), float(bounds[16:].min())


def lattice_sum(laws: Iterable[Laws], size: int) -> tuple[np.ndarray, float]:
    r"""Convolve lattice laws on a circle by FFT; return the masses and a bound on their error.

    Parameters
    ----------
    laws
        Yields ``(masses, counts)``: sub-probabilities of the integers from 0, one law a row, shape ``(k, m)``, and
        how many independent copies of each the sum has, ``(k,)``.
    size
        Of the circle, a power of two: all is modulo it.

    Returns
    -------
    masses
        Of the residues of the sum modulo ``size``, clipped at zero.
    error
        Bound on ``sum |masses - exact|``, floating point included; over ``sqrt(size)``, on their Euclidean norm.

    Notes
    -----
    A power-of-two FFT in arithmetic of unit roundoff u errs by at most ``eta = 8 u (log2 N + 2)`` of the
    Euclidean norm (Higham, *Accuracy and Stability of Numerical Algorithms*, 2nd ed., Theorem 24.2: per
    butterfly level ``mu + 4 u (sqrt 2 + mu) / (1 - 4u)`` with accurate twiddle factors, mu <= u; two more
    levels for real data). The transform a of a sub-probability x has ``|a| <= 1`` and Euclidean norm at most
    ``sqrt(N) |x|``, so with d factors in all, computed ``a'``, and ``e = eta sqrt(N) max |x|``,

        | prod a'^c - prod a^c |_2 <= (1 + e)^(d-1) * sum_j c_j (eta + sqrt(5) u) sqrt(N) |x_j|_2 ,

    where sqrt(5) u per complex product (Brent, Percival, Zimmermann, 2007) covers the powers by repeated
    squaring. The inverse transform divides by ``sqrt(N)`` and adds eta of its own, and a sum of N absolute
    errors is at most ``sqrt(N)`` times their Euclidean norm.
    """
    product, dim = np.ones(size // 2 + 1, complex), 0
    norms, largest, smallest = 0.0, 0.0, 1.0
    for masses, counts in laws:
        masses = _wrapped(masses, size)
        for rows in np.array_split(np.arange(len(masses)), math.ceil(len(masses) * size / BLOCK)):
            transforms = fft.rfft(masses[rows], size, axis=1)
            for i, count in enumerate(counts[rows].tolist()):
                product *= power(transforms[i], count)
        each = np.linalg.norm(masses, axis=1)
        norms, dim = norms + counts @ each, dim + int(counts.sum())
        largest, smallest = max(largest, each.max()), min(smallest, each.min())
    masses = np.maximum(fft.irfft(product, size), 0.0)
    eta = 8 * UNIT * (np.log2(size) + 2)
    grown = np.exp(dim * (eta * np.sqrt(size) * largest + 4 * UNIT))
    error = grown * (norms * (eta + np.sqrt(5) * UNIT) + eta * (smallest + eta))
    return masses, float(np.sqrt(size) * error)


def fourier_power(masses: np.ndarray, num: int) -> tuple[np.ndarray, float]:
    r"""Convolve one law on a circle ``num >= 1`` times with itself, by FFT in the precision of ``masses``.

    Parameters
    ----------
    masses
        Probabilities of the residues modulo N, a power of two, shape ``(N,)``.
    num
        Number of copies.

    Returns
    -------
    masses
        Of the sum modulo N, clipped at zero.
    error
        Bound on the error of each of them.

    Notes
    -----
    With ``eta`` as in `lattice_sum`, the computed transform ``a'`` of the masses x differs from the right one by
    some ``delta`` with ``|delta|_2 <= e = eta sqrt(N) |x|_2``, so that ``|a'^n - a^n| <= n |delta| (|a'| +
    e)^(n-1)`` at each frequency. A mass is the mean of ``a^n`` times numbers of modulus one; by Cauchy and Schwarz

        error <= n e |(|a'| + e)^(n-1)|_2 / N + n sqrt(5) u |a'^n|_1 / N + eta |a'^n|_2 / sqrt(N),

    the second term for the power, the third for the inverse. Far below what `lattice_sum` allows for where most
    frequencies die out, as they do under the central limit theorem.
    """
    size, unit = len(masses), float(np.finfo(masses.dtype).eps) / 2
    transform = fft.rfft(masses)
    product = power(transform, num)
    weight = np.full(len(transform), 2.0)
    weight[[0, -1]] = 1.0
    eta = 8 * unit * (math.log2(size) + 2)
    lost = eta * math.sqrt(size) * float(np.linalg.norm(masses))
    with np.errstate(under="ignore"):
        grown = np.exp((num - 1) * np.log(np.abs(transform).astype(float) + lost))
        left = np.abs(product).astype(float)
    of_powers = num * (lost * math.sqrt(weight @ grown**2) + math.sqrt(5) * unit * float(weight @ left))
    of_inverse = eta * math.sqrt(size * float(weight @ left**2))
    # A hair more for the rounding of the bound itself.
    return np.maximum(fft.irfft(product, size), 0.0), 1.001 * (of_powers + of_inverse) / size


def direct_power(
    masses: np.ndarray, first: int, num: int, drift: float, reach: float
) -> tuple[np.ndarray, int, float]:
    """Convolve one law ``num`` times with itself by sums of products: each mass right relative to itself.

    Parameters
    ----------
    masses
        Probabilities of the integers from ``first``, shape ``(k,)``.
    num
        Number of copies, >= 0.
    drift, reach
        Of the sum of i copies, ``i <= num``, only what lies within ``reach`` of ``i * drift`` is kept.

    Returns
    -------
    masses, first
        Of the sum, and where they begin.
    error
        Bound on the relative error of each mass, apart from what was left out: a sum of L products errs by
        ``L u``, and errors of factors add.
    """
    unit = float(np.finfo(masses.dtype).eps) / 2
    law, at, so_far, error = np.ones(1, masses.dtype), 0, 0, 0.0
    base, base_at, copies, base_error = masses, first, 1, 0.0

    def near(law: np.ndarray, at: int, copies: int) -> tuple[np.ndarray, int]:
        low = max(at, math.floor(copies * drift - reach))
        return law[low - at : math.ceil(copies * drift + reach) + 1 - at], low

    left = num
    while left:
        if left & 1:
            so_far += copies
            error += base_error + min(len(law), len(base)) * unit
            law, at = near(np.convolve(law, base), at + base_at, so_far)
        left >>= 1
        if left:
            copies *= 2
            base_error = 2 * base_error + len(base) * unit
            base, base_at = near(np.convolve(base, base), 2 * base_at, copies)
    return law, at, 1.001 * error


def power(base: np.ndarray, exponent: int) -> np.ndarray:
    """Raise to a positive integer by repeated squaring; relative error ``exponent sqrt(5) u`` for complex numbers."""
    result = None
    while exponent:
        if exponent & 1:
            result = base.copy() if result is None else result * base
        exponent >>= 1
        if exponent:
            base = base * base
    assert result is not None
    return result


def _wrapped(masses: np.ndarray, size: int) -> np.ndarray:
    """Return the masses of the residues modulo ``size``."""
    if masses.shape[1] <= size:
        return masses
    padded = np.pad(masses, ((0, 0), (0, -masses.shape[1] % size)))
    return padded.reshape(len(masses), -1, size).sum(axis=1)
