"""Functions: the law of a sum of independent lattice variables, with a bound on what was lost."""

from collections.abc import Sequence

import numpy as np
from scipy import fft

__all__ = ["lattice_sum", "power", "window"]

UNIT = np.finfo(np.float64).eps / 2


def window(
    laws: Sequence[tuple[np.ndarray, np.ndarray]], counts: Sequence[int], tail: float
) -> tuple[float, float]:
    """Return (low, high) with ``P(S < low) <= tail`` and ``P(S > high) <= tail`` for a sum S of independents.

    Each law is (values, masses), masses summing to at most one but for rounding, and enters ``counts`` times.
    Chernoff's bound ``P(S > x) <= exp(K(t) - t x)``, K the cumulant generating function of the sum, holds at
    every t > 0; a ladder of 24 is searched, in units of the inverse standard deviation.
    """
    spread = np.sqrt(sum(c * (m @ np.square(v)) for (v, m), c in zip(laws, counts, strict=True)))
    rates = np.geomspace(0.25, 64.0, 24) / max(spread, 1e-300)
    ends = []
    for sign in (-1.0, 1.0):
        cumulant = sum(c * _log_mgf(v, m, sign * rates) for (v, m), c in zip(laws, counts, strict=True))
        # A hair more than log(1 / tail) pays for the rounding of the cumulants.
        ends.append(sign * float(np.min((cumulant - np.log(tail) + 0.01) / rates)))
    return ends[0], ends[1]


def lattice_sum(laws: Sequence[np.ndarray], counts: Sequence[int]) -> tuple[np.ndarray, float]:
    r"""Convolve lattice laws on a circle by FFT; return the masses and a bound on their error.

    Parameters
    ----------
    laws
        Arrays of one power-of-two size N: masses (sub-probabilities) of the residues modulo N.
    counts
        How many independent copies of each law the sum has.

    Returns
    -------
    masses
        Of the residues of the sum modulo N, shape ``(N,)``, clipped at zero.
    error
        Bound on ``sum |masses - exact|``, floating point included.

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
    size = len(laws[0])
    product = np.ones(size // 2 + 1, complex)
    for law, count in zip(laws, counts, strict=True):
        product *= power(fft.rfft(law), count)
    masses = np.maximum(fft.irfft(product, size), 0.0)
    eta = 8 * UNIT * (np.log2(size) + 2)
    norms = np.array([np.linalg.norm(law) for law in laws])
    grown = np.exp(sum(counts) * (eta * np.sqrt(size) * norms.max() + 4 * UNIT))
    error = grown * (np.dot(counts, norms) * (eta + np.sqrt(5) * UNIT) + eta * (norms.min() + eta))
    return masses, float(np.sqrt(size) * error)


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


def _log_mgf(values: np.ndarray, masses: np.ndarray, rates: np.ndarray) -> np.ndarray:
    """Return ``log sum masses exp(rate * values)`` for each rate; atoms without mass do not count."""
    values, log_mass = values[masses > 0], np.log(masses[masses > 0])
    exponent = rates[:, None] * values + log_mass
    top = exponent.max(axis=1)
    return top + np.log(np.exp(exponent - top[:, None]).sum(axis=1))
