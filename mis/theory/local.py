"""Quantized local asymptotics, from one fitted M-estimator to the advantage its release allows."""

import math
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

import numpy as np
from scipy import linalg, special, stats

from mis.numerics.checks import InvalidInput, UnsupportedSetting, confidence, finite, integer, known, refuse
from mis.quantizers.base import Quantizer, fit_each
from mis.results import Interval
from mis.theory.cell_scores import CellScores, LinearScore, parts
from mis.theory.retained import spec
from mis.theory.roc import Roc
from mis.theory.sandwich import cholesky

__all__ = ["local"]

WHERE = "theory.local"
# The largest covariance that is factorised: 3000 parameters take seconds and half a gigabyte.
LARGEST_DENSE = 4000
NUM_THRESHOLDS = 4001
# Floats in the largest temporary array of a simulation.
CHUNK = 2**22


def local(
    *,
    influence: Any,
    covariance: Any,
    mean: Any,
    quantizer: Quantizer,
    n: int,
    method: str | None = None,
    level: float = 0.95,
    num_samples: int = 100_000,
    seed: int = 0,
) -> Interval:
    r"""Advantage of the best attack on quantized parameters, in the limit of many examples.

    Setting: ``sqrt(n) (theta - theta*)`` tends to ``N(0, V)`` with influence function psi; the release is the
    code of each weight on the grid that the quantizer fits *at the mean*. A member z moves the law of theta
    by ``psi(z) / n``, which is ``t_j = psi_j / sqrt(n V_jj)`` standard deviations of weight j. In units of
    that deviation the score of a cell ``[a, b)``, the mean of a standard normal variable given that it lies
    there, is ``s = (phi(a) - phi(b)) / (Phi(b) - Phi(a))``; its variance ``J_j = sum_cells (phi(a) -
    phi(b))^2 / (Phi(b) - Phi(a))`` is the share of the weight's information that passes.

    - ``diagonal``: weights independent, ``I(z) = sum_j J_j t_j^2`` and ``Delta = E_z[2 Phi(sqrt(I)/2) - 1]``, as the
      sum of many small scores is normal. Of a full covariance only the diagonal counts.
    - ``linear``: the best linear combination of the cells' scores, ``I(z) = (J t)^T C^-1 (J t)`` with C the
      covariance of the scores, and the same normal limit. C is exact: by Mehler's expansion of the bivariate
      normal law, ``C_jk = sum_m rho_jk^m c_jm c_km`` over normalised Hermite coefficients c, summed to 1e-9. I(z)
      is a lower bound on the information in the codes, equal to it for independent weights and without
      quantizer; the advantage is no bound, because of the normal limit.
    - ``cells``: no normal limit of the sum, by simulation. Independent weights: the total variation of the limit
      experiment itself, likelihood ratios of the cells multiplied. Full covariance: the advantage that a test on
      the linear score reaches there, a lower bound in the limit experiment.

    Where it holds: on refits of linear, logistic and Poisson regression (16 parameters, 200 to 800 examples, ten
    quantizers) and of networks with one hidden layer (21 weights, tanh, the minimum next to the population's) ``cells``
    met the likelihood-ratio attack within 10% or three standard errors; also along gradient descent, given the
    influence function of that path; and for a penalised fit.

    Where it does not: the *normal limit* needs several weights near an edge (``details["effective_weights"]``);
    with one or two it is off, up to twofold (one weight on an edge: 20% low; the rare crossing of a far edge: too
    high). The *sandwich* at a point short of the minimum, or without the penalty that was there, moves weights
    more than they move: 10% to 35% too high on regressions after three steps, up to half again on networks after
    twenty, refused where the Hessian is indefinite. *Few examples*: logistic estimates spread a fifth more than V says
    at about ten examples a parameter, which is 10% to 15% either way; with 50 examples the networks' refits leave the
    basin of the minimum (39% of them) and the attack reaches four fifths of the prediction, with 25 less than half;
    without an optimum (separable data) there is no V. A *flat Hessian* does the same: four fifths where two units are
    ten degrees apart. *Scales*: the grid is that of the mean, the advantage that of an attacker for whom it is fixed.
    A release that fits its own grid tells its scale as well (``quantizer.num_scales`` numbers in full precision): with
    16 parameters and 200 examples uniform-2 then leaked .025 for .014 and sign .044 for .038, finer grids, or a scale
    rounded up to a power of two, hardly more than their codes.

    Parameters
    ----------
    influence
        psi of examples drawn from the population, shape ``(N, d)``, as `sandwich` returns it; the expectation
        over z is their mean.
    covariance
        V, not V/n: ``(d, d)``, or its diagonal ``(d,)``.
    mean
        theta*, or the one fit there is: ``(d,)``, or a list of tensors with d weights together, each on a
        grid of its own.
    quantizer
        A quantizer spec; of several releases ``Joint``, as ``mis.quantizers.parse("sign/uniform-4")`` returns it.
    n
        Sample size.
    method
        ``"diagonal"``, ``"linear"``, ``"cells"``; by default linear where V is a matrix, else diagonal.
    level
        Confidence level of the bounds.
    num_samples, seed
        Draws of the simulation, at least two an example, and its seed.

    Returns
    -------
    Interval
        Kind ``asymptotic``. The bounds cover the error of the mean over examples and of the simulation, by
        the normal limit at ``level``; *not* what the local approximation misses at finite n. ``roc()`` except
        for cells with a full covariance. ``details``: ``retained``, the mean of J; ``effective_weights``,
        ``(sum_j i_j)^2 / sum_j i_j^2`` of the information ``i_j = J_j E t_j^2`` by weight; ``information``, the
        mean of I(z), except for cells.

    Raises
    ------
    InvalidInput
        Shapes do not fit, a variance is not positive, V is not positive definite.
    UnsupportedSetting
        More than 4000 parameters with a full covariance; what has no sharp cells beyond the diagonal method.

    References
    ----------
    Le Cam; van der Vaart (1998), Asymptotic Statistics, chapters 7 and 9. Mehler (1866); Lancaster (1957) for
    the correlation of functions of two normal variables. Kulldorff (1961) for the information in cells.

    Examples
    --------
    One coordinate on the edge of a cell leaks ``1 / (pi sqrt(n))``:

    >>> from mis.quantizers import Sign
    >>> psi = stats.norm.ppf((np.arange(2000)[:, None] + 0.5) / 2000)
    >>> one = local(influence=psi, covariance=[1.0], mean=[0.0], quantizer=Sign(), n=100, method="cells")
    >>> round(one.value, 3), round(1 / (10 * math.pi), 3)
    (0.032, 0.032)
    """
    n = integer(WHERE, "n", n, at_least=2)
    quantizer, level = spec(WHERE, quantizer), confidence(WHERE, level)
    seed = integer(WHERE, "seed", seed, at_least=0)
    psi = finite(WHERE, "influence", influence, ndim=2)
    if len(psi) < 2:
        raise refuse(WHERE, "influence", "of at least two examples", psi.shape)
    variance, correlation = _covariance(covariance, psi.shape[1])
    methods = ("diagonal", "linear", "cells")
    method = known(WHERE, "method", method or ("diagonal" if correlation is None else "linear"), methods)
    if correlation is None and method == "linear":
        raise UnsupportedSetting(WHERE, "method='linear' needs the full covariance; use 'diagonal'.")
    tensors = _tensors(mean, psi.shape[1])
    channels = fit_each([quantizer] * len(tensors), tensors)
    sd = np.sqrt(variance / n)
    # Beyond this everything is told, and squares overflow.
    shift = np.clip(psi / (n * sd), -1e100, 1e100)
    if method == "diagonal":
        shares = np.concatenate(
            [c.information(w, sd[part].reshape(w.shape)).ravel() for w, part, c in parts(tensors, channels)]
        )
        return _gaussian(np.square(shift) @ shares, _details(shares, shift), level)
    if not all(channel.is_sharp for channel in channels):
        raise UnsupportedSetting(WHERE, f"method={method!r} needs sharp cells; use 'diagonal'.")
    cells = CellScores.of(tensors, channels, sd)
    if method == "linear" and correlation is not None:
        scores = LinearScore(WHERE, cells, correlation, shift)
        return _gaussian(scores.information, _details(cells.shares, shift), level)
    num_samples = integer(WHERE, "num_samples", num_samples, at_least=2 * len(psi))
    num_draws = 2 * -(-num_samples // (2 * len(psi)))
    rng = np.random.default_rng(seed)
    if correlation is None:
        return _product(cells, shift, num_draws, rng, level)
    return _linear_attack(cells, correlation, shift, num_draws, rng, level)


def _covariance(covariance: Any, dim: int) -> tuple[np.ndarray, np.ndarray | None]:
    """Return variances and, for a full covariance, correlations."""
    matrix = finite(WHERE, "covariance", covariance, ndim=(1, 2))
    if matrix.shape != (dim,) * matrix.ndim:
        raise refuse(WHERE, "covariance.shape", f"({dim}, {dim}) or ({dim},)", matrix.shape)
    variance = matrix if matrix.ndim == 1 else np.diag(matrix)
    if variance.min() <= 0:
        raise refuse(WHERE, "covariance", "with positive variances", float(variance.min()))
    if matrix.ndim == 1:
        return variance, None
    if dim > LARGEST_DENSE:
        reason = f"a full covariance of {dim} > {LARGEST_DENSE} parameters is too large; give its diagonal."
        raise UnsupportedSetting(WHERE, reason)
    if not np.allclose(matrix, matrix.T, rtol=1e-8, atol=1e-12 * variance.max()):
        raise InvalidInput(f"{WHERE}: expected covariance symmetric.")
    sd = np.sqrt(variance)
    correlation = matrix / sd / sd[:, None]
    correlation = (correlation + correlation.T) / 2
    np.fill_diagonal(correlation, 1.0)
    cholesky(WHERE, "covariance", correlation)
    return variance, correlation


def _tensors(mean: Any, dim: int) -> list[np.ndarray]:
    layered = isinstance(mean, Sequence) and any(np.ndim(part) for part in mean)
    tensors = [finite(WHERE, "mean", part) for part in (mean if layered else [mean])]
    if sum(w.size for w in tensors) != dim:
        raise refuse(WHERE, "mean", f"of {dim} weights, as influence has", sum(w.size for w in tensors))
    return tensors


def _details(shares: np.ndarray, shift: np.ndarray) -> dict[str, float]:
    """Return the mean share of information that passes, and how many weights it is spread over."""
    passing = shares * np.square(shift).mean(axis=0)
    passing = passing / max(passing.max(), np.finfo(float).tiny)
    spread = passing.sum() ** 2 / np.square(passing).sum() if passing.any() else 0.0
    return {"retained": float(shares.mean()), "effective_weights": float(spread)}


def _gaussian(information: np.ndarray, details: dict[str, float], level: float) -> Interval:
    """Mean over examples of the advantage between N(0, 1) and N(sqrt(I), 1), with the ROC of the mixture."""
    value = special.erf(np.sqrt(np.maximum(information, 0.0) / 8))
    details = details | {"information": float(information.mean())}
    return _mean(value, level, details, partial(_gaussian_roc, information))


def _mean(values: np.ndarray, level: float, details: dict, curve: Callable[[], Roc] | None) -> Interval:
    value = float(values.mean())
    margin = stats.norm.isf((1 - level) / 2) * values.std(ddof=1) / math.sqrt(len(values))
    return Interval(
        lower=min(max(value - margin, 0.0), value),
        value=value,
        upper=max(min(value + margin, 1.0), value),
        kind="asymptotic",
        level=level,
        curve=curve,
        details=details,
    )


def _gaussian_roc(information: np.ndarray) -> Roc:
    """ROC of the mixture over examples: one threshold for the log likelihood ratio, N(-+I/2, I) given each."""
    mu = np.sqrt(np.maximum(information, 1e-300))[:, None]
    reach = 9 * mu.max() + mu.max() ** 2 / 2
    # Dense near 0, where examples of little influence have all of their ratio.
    thresholds = reach * np.linspace(1, -1, NUM_THRESHOLDS) ** 3
    tpr, fpr = np.empty((2, NUM_THRESHOLDS))
    rows = max(1, CHUNK // len(mu))
    for block in (slice(i, i + rows) for i in range(0, NUM_THRESHOLDS, rows)):
        z = thresholds[block] / mu
        fpr[block], tpr[block] = special.ndtr(-z - mu / 2).mean(0), special.ndtr(-z + mu / 2).mean(0)
    members, others = (np.diff(np.concatenate([[0.0], x, [1.0]])) for x in (tpr, fpr))
    masses = members, others
    return Roc(lower=masses, upper=masses, kind="asymptotic")


def _product(
    cells: CellScores, shift: np.ndarray, num_draws: int, rng: np.random.Generator, level: float
) -> Interval:
    """Total variation of independent cells, as the mean of ``|tanh(log ratio / 2)|`` over both laws in equal parts."""
    ratios = np.empty((len(shift), num_draws))
    for draws, example, member in _blocks(ratios, shift.shape[1]):
        x = rng.standard_normal((len(draws), shift.shape[1])) + member * shift[example]
        ratios.flat[draws] = cells.log_ratio(x, shift[example])
    gains = np.abs(np.tanh(ratios / 2)).mean(axis=1)
    return _mean(gains, level, _details(cells.shares, shift), partial(_simulated_roc, ratios.ravel()))


def _simulated_roc(ratios: np.ndarray) -> Roc:
    ratios = np.sort(ratios)[::-1]
    members, others = special.expit(ratios), special.expit(-ratios)
    masses = members / members.sum(), others / others.sum()
    return Roc(lower=masses, upper=masses, kind="asymptotic")


def _linear_attack(
    cells: CellScores,
    correlation: np.ndarray,
    shift: np.ndarray,
    num_draws: int,
    rng: np.random.Generator,
    level: float,
) -> Interval:
    """Return what thresholding the linear score gains: mean of ``sign(score) tanh(log_ratio / 2)`` over both laws."""
    score = LinearScore(WHERE, cells, correlation, shift)
    factor = cholesky(WHERE, "covariance", correlation)
    weight_of = linalg.cho_solve((factor, True), shift.T).T
    gains = np.empty((len(shift), num_draws))
    for draws, example, member in _blocks(gains, shift.shape[1]):
        x = rng.standard_normal((len(draws), shift.shape[1])) @ factor.T + member * shift[example]
        ratio = ((x - shift[example] / 2) * weight_of[example]).sum(axis=1)
        gains.flat[draws] = np.sign(score(cells.observed(x), example)) * np.tanh(ratio / 2)
    return _mean(gains.mean(axis=1), level, _details(cells.shares, shift), None)


def _blocks(draws: np.ndarray, dim: int) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Yield places in ``draws``, ``(examples, draws)``, their examples, and whether members: every other is."""
    rows = max(2, CHUNK // dim)
    for start in range(0, draws.size, rows):
        place = np.arange(start, min(start + rows, draws.size))
        yield place, place // draws.shape[1], (place % 2)[:, None]
