"""Functions: quantized local asymptotics, from one fitted M-estimator to the advantage its release allows."""

import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
from scipy import linalg, special, stats

from mis.numerics.checks import InvalidInput, UnsupportedSetting, finite, integer, known, number, refuse
from mis.numerics.normal import log_mass
from mis.quantizers.base import Grid, Quantizer
from mis.results import Interval
from mis.theory.retained import retained_shares
from mis.theory.roc import Roc

__all__ = ["Sandwich", "boundary_information", "local", "sandwich"]

WHERE = "theory.local"
# The largest covariance that is factorised: 3000 parameters take seconds and half a gigabyte.
LARGEST_DENSE = 4000
# The correlation of two cells' scores is summed to this error, or to this many powers of the correlation.
SERIES_ERROR, SERIES_TERMS = 1e-9, 2000
# A weight that keeps less than this share of its information cannot matter.
LEAST_SHARE = 1e-14
NUM_THRESHOLDS = 4001
# Floats in the largest temporary array of a simulation.
CHUNK = 2**22


class Sandwich(NamedTuple):
    """Influence function of each example, shape ``(N, d)``, and covariance V, ``(d, d)`` or its diagonal."""

    influence: np.ndarray
    covariance: np.ndarray


def sandwich(gradients: Any, hessian: Any, *, damping: float = 0.0) -> Sandwich:
    r"""Influence function and covariance of an M-estimator, from one fit.

    Claim: if theta minimises the mean loss, ``sqrt(n) (theta - theta*)`` tends to ``N(0, V)`` with
    ``psi(z) = -H^-1 grad l(z)``, ``V = E psi psi^T = H^-1 E[grad l grad l^T] H^-1``: the sandwich, which
    holds without the model being right. Estimated by means over the examples given, gradients centred (at an
    exact minimum their mean is zero already).

    Parameters
    ----------
    gradients
        Loss gradient of each example at the fit, shape ``(N, d)``. From held-out examples the covariance is
        unbiased; from the training examples it is low by about ``d/N``.
    hessian
        Mean Hessian of the loss, or Gauss-Newton matrix, ``(d, d)``; or its diagonal ``(d,)``, which gives
        the diagonal of V under the assumption that H is diagonal.
    damping
        Added to the diagonal of H, in the units of H: the estimator with the penalty ``damping |theta|^2 /
        2``. Directions flatter than it then count as held by the penalty, which is wrong for a network that
        was stopped early in them.

    Raises
    ------
    InvalidInput
        Shapes do not fit, or H plus damping is not positive definite.

    References
    ----------
    Huber (1967), The behavior of maximum likelihood estimates under nonstandard conditions; van der Vaart
    (1998), Asymptotic Statistics, theorem 5.23.

    Examples
    --------
    The mean of three numbers, loss ``(z - theta)^2 / 2``: ``psi = z - mean`` and V is the variance.

    >>> z = np.array([[1.0], [2.0], [6.0]])
    >>> fit = sandwich(z.mean() - z, [[1.0]])
    >>> fit.influence.ravel(), round(fit.covariance.item(), 4)
    (array([-2., -1.,  3.]), 4.6667)
    """
    where = "theory.sandwich"
    gradients = finite(where, "gradients", gradients, ndim=2)
    hessian = finite(where, "hessian", hessian, ndim=(1, 2))
    dim = gradients.shape[1]
    if hessian.shape != (dim,) * hessian.ndim:
        raise refuse(where, "hessian.shape", f"({dim}, {dim}) or ({dim},)", hessian.shape)
    if number(where, "damping", damping) < 0:
        raise refuse(where, "damping", ">= 0", damping)
    centred = gradients - gradients.mean(axis=0)
    if hessian.ndim == 1:
        if hessian.min() + damping <= 0:
            raise _not_definite(where, "hessian plus damping")
        influence = -centred / (hessian + damping)
        return Sandwich(influence, np.square(influence).mean(axis=0))
    factor = _cholesky(where, "hessian plus damping", hessian + damping * np.eye(dim))
    influence = -linalg.cho_solve((factor, True), centred.T).T
    return Sandwich(influence, influence.T @ influence / len(influence))


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
    quantizers) ``cells`` met the likelihood-ratio attack within 10% or three standard errors throughout; also after
    three steps of gradient descent, given the influence function of that path; and for a penalised fit.

    Where it does not: the *normal limit* needs several weights near an edge (``details["effective_weights"]``);
    with one or two it is off, up to twofold (one weight on an edge: 20% low; the rare crossing of a far edge: too
    high). The *sandwich* at a point short of the minimum, or without the penalty that was there, moves weights
    more than they move: 10% to 35% too high after three steps. *Few examples* (n of about ten parameters and less):
    logistic estimates spread a fifth more than V says, and predictions run up to 10% high; without an optimum
    (separable data) there is no V. *Scales*: the grid is that of the mean, the advantage that of an attacker for
    whom it is fixed. A release that fits its own grid tells its scale as well (``quantizer.num_scales`` numbers in
    full precision): with 16 parameters and 200 examples uniform-2 then leaked .025 for .014 and sign .044 for .038,
    finer grids, or a scale rounded up to a power of two, hardly more than their codes.

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
        A quantizer spec.
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
        More than 4000 parameters with a full covariance; a stochastic grid beyond the diagonal method.

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
    psi = finite(WHERE, "influence", influence, ndim=2)
    if len(psi) < 2:
        raise refuse(WHERE, "influence", "of at least two examples", psi.shape)
    variance, correlation = _covariance(covariance, psi.shape[1])
    methods = ("diagonal", "linear", "cells")
    method = known(WHERE, "method", method or ("diagonal" if correlation is None else "linear"), methods)
    if correlation is None and method == "linear":
        raise UnsupportedSetting(WHERE, "method='linear' needs the full covariance; use 'diagonal'.")
    tensors = _tensors(mean, psi.shape[1])
    grids = [quantizer.fit(w) for w in tensors]
    sd = np.sqrt(variance / n)
    shift = psi / (n * sd)
    if method == "diagonal":
        shares = np.concatenate(
            [
                retained_shares(w, sd[part].reshape(w.shape), g).ravel()
                for w, part, g in _parts(tensors, grids)
            ]
        )
        return _gaussian(np.square(shift) @ shares, _details(shares, shift), level)
    if any(g.stochastic for g in grids):
        raise UnsupportedSetting(
            WHERE, f"method={method!r} needs sharp cells; use 'diagonal' on a stochastic grid."
        )
    cells = _Cells.of(tensors, grids, sd)
    if method == "linear" and correlation is not None:
        scores = _LinearScore(cells, correlation, shift)
        return _gaussian(scores.information, _details(cells.shares, shift), level)
    num_samples = integer(WHERE, "num_samples", num_samples, at_least=2 * len(psi))
    num_draws = 2 * -(-num_samples // (2 * len(psi)))
    rng = np.random.default_rng(seed)
    if correlation is None:
        return _product(cells, shift, num_draws, rng, level)
    return _linear_attack(cells, correlation, shift, num_draws, rng, level)


def boundary_information(density: Any, spread: float) -> float:
    r"""Mean share of information that passes the cells, when weights fluctuate little: the boundary law.

    Claim: with weights of a smooth density f and the same fluctuation s for all, cells much wider than s,

        mean_j J_j = s sum_e f(e) integral phi(u)^2 / (Phi(u) Phi(-u)) du + O(s^2),    integral = 1.80579...

    Each edge lets through what lies within a few s of it, whatever the cells are. Hence, to first order in
    ``s ~ 1/sqrt(n)``: *sign* leaks by f(0), *ternary* by f(t) + f(-t) at its threshold t, *uniform* by about
    1/width, the density summed over edges one width apart. Sparsity protects where it moves the edges out to
    rare weights, and not before: normal weights leak less from ternary than from sign once more than 76.1%
    are zeroed (t > sqrt(2 log 2) standard deviations), Laplace weights once more than half are.

    Parameters
    ----------
    density
        Density of the weights at each cell edge, any shape; per unit of the weights.
    spread
        Standard deviation of a weight's fluctuation, in the unit of the weights.

    Returns
    -------
    float
        Unitless; an approximation, at most 1 where it is any good.

    Examples
    --------
    >>> round(boundary_information([stats.norm.pdf(0)], 0.01), 4)
    0.0072
    """
    at_edges = finite("theory.boundary_information", "density", density)
    if at_edges.min() < 0:
        raise refuse("theory.boundary_information", "density", ">= 0", float(at_edges.min()))
    # Analytic, and small beyond all powers at the ends: there the trapezoid rule is exact.
    u, step = np.linspace(-37, 37, 3701, retstep=True)
    of_one_edge = (
        step * np.exp(-np.square(u) - special.log_ndtr(u) - special.log_ndtr(-u)).sum() / (2 * math.pi)
    )
    spread = number("theory.boundary_information", "spread", spread, above=0.0)
    return float(of_one_edge * spread * at_edges.sum())


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
    _cholesky(WHERE, "covariance", correlation)
    return variance, correlation


def _cholesky(where: str, name: str, matrix: np.ndarray) -> np.ndarray:
    try:
        return linalg.cholesky(matrix, lower=True)
    except linalg.LinAlgError:
        raise _not_definite(where, name) from None


def _not_definite(where: str, name: str) -> InvalidInput:
    return InvalidInput(f"{where}: expected {name} positive definite; it is not. Damping the Hessian helps.")


def _tensors(mean: Any, dim: int) -> list[np.ndarray]:
    layered = isinstance(mean, Sequence) and any(np.ndim(part) for part in mean)
    tensors = [finite(WHERE, "mean", part) for part in (mean if layered else [mean])]
    if sum(w.size for w in tensors) != dim:
        raise refuse(WHERE, "mean", f"of {dim} weights, as influence has", sum(w.size for w in tensors))
    return tensors


def _parts(tensors: list[np.ndarray], grids: list[Grid]) -> Iterator[tuple[np.ndarray, slice, Grid]]:
    """Yield each tensor, its place among all weights, its grid."""
    start = 0
    for w, grid in zip(tensors, grids, strict=True):
        yield w, slice(start, start + w.size), grid
        start += w.size


def _details(shares: np.ndarray, shift: np.ndarray) -> dict[str, float]:
    """Return the mean share of information that passes, and how many weights it is spread over."""
    passing = shares * np.square(shift).mean(axis=0)
    spread = passing.sum() ** 2 / np.square(passing).sum() if passing.any() else 0.0
    return {"retained": float(shares.mean()), "effective_weights": float(spread)}


def _gaussian(information: np.ndarray, details: dict[str, float], level: float) -> Interval:
    """Mean over examples of the advantage between N(0, 1) and N(sqrt(I), 1), with the ROC of the mixture."""
    value = special.erf(np.sqrt(np.maximum(information, 0.0) / 8))
    details = details | {"information": float(information.mean())}
    return _mean(value, level, details, lambda: _gaussian_roc(information))


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


class _Cells:
    """Edges of each weight's cells in its standard deviations, ``(d, E)``, and the cells' scores ``(d, E + 1)``."""

    def __init__(self, edges: np.ndarray, whole: np.ndarray):
        self.edges, self.whole = edges, whole
        ends = np.full((len(edges), 1), np.inf)
        self.low, self.high = np.hstack([-ends, edges]), np.hstack([edges, ends])
        self.scores = _score(self.low, self.high)
        self.jumps = np.diff(self.scores, axis=1)
        passed = (self.jumps * _density(edges)).sum(axis=1)
        self.shares = np.where(whole, 1.0, np.clip(passed, 0.0, 1.0))

    @classmethod
    def of(cls, tensors: list[np.ndarray], grids: list[Grid], sd: np.ndarray) -> "_Cells":
        num = max([1, *(g.edges.shape[-1] for g in grids if g.levels is not None)])
        edges, whole = np.full((len(sd), num), np.inf), np.zeros(len(sd), bool)
        for w, part, grid in _parts(tensors, grids):
            whole[part] = grid.levels is None
            if grid.levels is not None:
                own = np.broadcast_to(grid.edges, (*w.shape, grid.edges.shape[-1])).reshape(w.size, -1)
                with np.errstate(over="ignore"):
                    edges[part, : own.shape[1]] = (own - w.reshape(-1, 1)) / sd[part, None]
        return cls(edges, whole)

    def index(self, x: np.ndarray) -> np.ndarray:
        """Return the cell of each standardised weight, ``(m, d)``."""
        codes = np.empty(x.shape, np.intp)
        for j, edges in enumerate(self.edges):
            codes[:, j] = np.searchsorted(edges, x[:, j], side="right")
        return codes

    def seen(self, x: np.ndarray) -> np.ndarray:
        """Return the score of each standardised weight's cell, ``(m, d)``; the weight itself at full precision."""
        return np.where(self.whole, x, np.take_along_axis(self.scores, self.index(x).T, axis=1).T)

    def log_ratio(self, x: np.ndarray, shift: np.ndarray) -> np.ndarray:
        """Return the log likelihood ratio of the codes for a shift, weights independent, ``(m,)``."""
        index = self.index(x).T
        low, high = (np.take_along_axis(ends, index, axis=1).T for ends in (self.low, self.high))
        with np.errstate(invalid="ignore"):
            cells = log_mass(low - shift, high - shift) - log_mass(low, high)
        return np.where(self.whole, shift * x - shift**2 / 2, cells).sum(axis=1)

    def correlation(self, correlation: np.ndarray) -> np.ndarray:
        """Return the correlation of the scores, from that of the weights, by Mehler's expansion.

        With ``s(x) = sum_e jump_e 1[x >= e]`` plus a constant, ``E s He_m = sum_e jump_e He_{m-1}(e)
        phi(e)``. The part beyond m terms is at most ``rho^(m+1)`` times the variance not yet explained, by
        Cauchy and Schwarz.
        """
        root = np.sqrt(self.shares)
        off = np.abs(correlation - np.eye(len(correlation))).max(initial=0.0)
        total, power = np.zeros_like(correlation), np.ones_like(correlation)
        unexplained = np.ones(len(root))
        edges = np.clip(self.edges, -40.0, 40.0)
        before, hermite = np.zeros_like(edges), _density(edges)
        for m in range(1, SERIES_TERMS + 1):
            coefficient = (self.jumps * hermite).sum(axis=1) / math.sqrt(m) / root
            coefficient = np.where(self.whole, float(m == 1), coefficient)
            power = power * correlation
            total += power * np.outer(coefficient, coefficient)
            unexplained = unexplained - coefficient**2
            if off ** (m + 1) * unexplained.max(initial=0.0) < SERIES_ERROR:
                break
            before, hermite = hermite, (edges * hermite - math.sqrt(m - 1) * before) / math.sqrt(m)
        np.fill_diagonal(total, 1.0)
        return total


class _LinearScore:
    """The best linear combination of the cells' scores for each example, and the information it carries."""

    def __init__(self, cells: _Cells, correlation: np.ndarray, shift: np.ndarray):
        self.kept = cells.shares > LEAST_SHARE
        self.root = np.sqrt(cells.shares[self.kept])
        kept = _Cells(cells.edges[self.kept], cells.whole[self.kept])
        of_scores = kept.correlation(correlation[np.ix_(self.kept, self.kept)])
        moved = (shift[:, self.kept] * self.root).T
        # Coefficients of the scores in units of their standard deviations, one column an example.
        factor = _cholesky(WHERE, "correlation of the cells' scores", of_scores)
        self.coefficients = linalg.cho_solve((factor, True), moved)
        self.information = (moved * self.coefficients).sum(axis=0)

    def __call__(self, seen: np.ndarray, example: np.ndarray) -> np.ndarray:
        linear = ((seen[:, self.kept] / self.root) * self.coefficients.T[example]).sum(axis=1)
        return linear - self.information[example] / 2


def _product(
    cells: _Cells, shift: np.ndarray, num_draws: int, rng: np.random.Generator, level: float
) -> Interval:
    """Total variation of independent cells, as the mean of ``|tanh(log ratio / 2)|`` over both laws in equal parts."""
    ratios = np.empty((len(shift), num_draws))
    for draws, example, member in _blocks(ratios, shift.shape[1]):
        x = rng.standard_normal((len(draws), shift.shape[1])) + member * shift[example]
        ratios.flat[draws] = cells.log_ratio(x, shift[example])
    gains = np.abs(np.tanh(ratios / 2)).mean(axis=1)
    return _mean(gains, level, _details(cells.shares, shift), lambda: _simulated_roc(ratios.ravel()))


def _simulated_roc(ratios: np.ndarray) -> Roc:
    ratios = np.sort(ratios)[::-1]
    members, others = special.expit(ratios), special.expit(-ratios)
    masses = members / members.sum(), others / others.sum()
    return Roc(lower=masses, upper=masses, kind="asymptotic")


def _linear_attack(
    cells: _Cells,
    correlation: np.ndarray,
    shift: np.ndarray,
    num_draws: int,
    rng: np.random.Generator,
    level: float,
) -> Interval:
    """Return what thresholding the linear score gains: mean of ``sign(score) tanh(log_ratio / 2)`` over both laws."""
    score = _LinearScore(cells, correlation, shift)
    factor = _cholesky(WHERE, "covariance", correlation)
    weight_of = linalg.cho_solve((factor, True), shift.T).T
    gains = np.empty((len(shift), num_draws))
    for draws, example, member in _blocks(gains, shift.shape[1]):
        x = rng.standard_normal((len(draws), shift.shape[1])) @ factor.T + member * shift[example]
        ratio = ((x - shift[example] / 2) * weight_of[example]).sum(axis=1)
        gains.flat[draws] = np.sign(score(cells.seen(x), example)) * np.tanh(ratio / 2)
    return _mean(gains.mean(axis=1), level, _details(cells.shares, shift), None)


def _blocks(draws: np.ndarray, dim: int) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Yield places in ``draws``, ``(examples, draws)``, their examples, and whether members: every other is."""
    rows = max(2, CHUNK // dim)
    for start in range(0, draws.size, rows):
        place = np.arange(start, min(start + rows, draws.size))
        yield place, place // draws.shape[1], (place % 2)[:, None]


def _density(x: np.ndarray) -> np.ndarray:
    return np.exp(-0.5 * np.square(x)) / math.sqrt(2 * math.pi)


def _score(low: np.ndarray, high: np.ndarray) -> np.ndarray:
    """Return the mean of a standard normal variable in (low, high); 0 for an empty cell."""
    low, high = np.clip(low, -1e3, 1e3), np.clip(high, -1e3, 1e3)
    inner, outer = np.minimum(np.abs(low), np.abs(high)), np.maximum(np.abs(low), np.abs(high))
    sign = np.where(np.abs(low) <= np.abs(high), 1.0, -1.0)
    log_top = -(inner**2) / 2 - math.log(2 * math.pi) / 2
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = -np.expm1((inner**2 - outer**2) / 2) * np.exp(log_top - log_mass(low, high))
    return np.where(high > low, sign * np.nan_to_num(ratio), 0.0)
