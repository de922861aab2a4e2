"""The likelihood ratio of the cells that a normal estimator was released in."""

import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import linalg, special
from scipy.stats import qmc

from mis.attacks.base import Attack, Input, refuse_empty
from mis.numerics.checks import InvalidInput, UnsupportedSetting, finite, integer, known
from mis.quantizers import Cell, Channel

__all__ = ["CellRatio", "cell_ends"]

COVARIANCES = ("diagonal", "full")
SHIFTS = ("estimated", "given")

# Standard units. A cell narrower than this has the density of its middle, to a share of its width squared.
NARROW = 1e-6
# Numbers held at a time.
BLOCK_NUMBERS = 2**21
# Beyond this the squares of bounds overflow.
FURTHEST = 1e100


@dataclass(frozen=True, kw_only=True)
class CellRatio(Attack):
    r"""Log likelihood ratio of the released cells, ``log P(cells | z in) - log P(cells | z out)``, in nats.

    The estimate before quantization is taken as normal: mean ``m`` over refits in general, one covariance C, and
    mean moved by ``s(z)`` between refits without z and with it. Where ``sqrt(n) (estimate - m)`` is asymptotically
    normal with influence function ``psi``, that is the law in the limit, with ``s(z) = psi(z)/n``; the variance
    given z is smaller by a share of order ``1/n``, which is left out. The quantizer is the target's: its cells
    are what enters, whatever rule made them. Far cells count by logarithms of normal tails. Unlike counting, it
    needs no refit in the target's own cells; like counting, it tends to the optimal attack, here as n grows.

    Parameters
    ----------
    covariance
        ``"diagonal"``: coordinates as if independent, exact normal probabilities, any number of coordinates.
        ``"full"``: all of C, which needs more shadow models than coordinates. The ratio for the cells is then the
        mean, over the normal law within the cells, of the ratio for the estimate itself; that mean is taken over
        draws one coordinate at a time (Geweke, Hajivassiliou, Keane).
    shifts
        ``"estimated"``: mean of the shadow models with the example less mean of those without, which takes many
        more than n of them. ``"given"``: as an input, from influence functions.
    num_draws
        Draws for each target model, rounded up to a power of two; full covariance only.
    seed
        Of the draws.

    Notes
    -----
    Inputs of ``scores``: ``shadow_full (M, P)``, estimates before quantization; ``shadow_membership (M, N)``;
    ``target_lower`` and ``target_upper`` ``(P,)`` or ``(T, P)``, bounds of the cells that the target was released
    in, see ``cell_ends``: equal where a coordinate is released as it is; and ``shifts (N, P)`` where given,
    mean estimate with the example less without. A coordinate in which no two shadow models differ is left out.

    References
    ----------
    van der Vaart (1998), Asymptotic Statistics, theorems 5.39 and 9.4. Genz (1992), Numerical computation of
    multivariate normal probabilities, J. Comput. Graph. Stat. 1 (the draws).

    Examples
    --------
    Estimates of standard deviation 1 that an example moves by 2; the target shows their sign:

    >>> scores = CellRatio(shifts="given").scores(
    ...     shadow_full=[[-1.0], [0.0], [1.0]], shadow_membership=np.zeros((3, 2)), shifts=[[2.0], [0.0]],
    ...     target_lower=[[0.0], [-np.inf]], target_upper=[[np.inf], [0.0]],
    ... )
    >>> scores.round(3)
    array([[ 0.67,  0.  ],
           [-3.09,  0.  ]])
    """

    covariance: str = "diagonal"
    shifts: str = "estimated"
    num_draws: int = 512
    seed: int = 0

    def __post_init__(self):
        known("CellRatio", "covariance", self.covariance, COVARIANCES)
        known("CellRatio", "shifts", self.shifts, SHIFTS)
        integer("CellRatio", "num_draws", self.num_draws, at_least=1)
        integer("CellRatio", "seed", self.seed, at_least=0)

    @property
    def needs(self) -> Mapping[str, Input]:
        """The target's cells, the shadow models' estimates and memberships; shifts where they are given."""
        needs = {
            "target_lower": Input("T P"),
            "target_upper": Input("T P"),
            "shadow_full": Input("M P"),
            "shadow_membership": Input("M N", bool),
        }
        return needs | ({"shifts": Input("N P")} if self.shifts == "given" else {})

    def evaluate(
        self, *, target_lower, target_upper, shadow_full, shadow_membership, shifts=None
    ) -> np.ndarray:
        """Centre and scale by the shadows; compare the two laws on the target's cells."""
        _refuse_cells(target_lower, target_upper)
        params = finite("CellRatio", "shadow_full", shadow_full)
        share = shadow_membership.mean(axis=0)[:, None]
        if shifts is None:
            shifts = _mean_shifts(params, shadow_membership)
        varies = np.ptp(params, axis=0) > 0
        if len(params) < 2 or not varies.any():
            raise UnsupportedSetting("CellRatio", "the shadow models do not differ, so no spread.")
        mean, spread = params[:, varies].mean(axis=0), params[:, varies].std(axis=0, ddof=1)
        low, high = (
            np.clip((bound[:, varies] - mean) / spread, -FURTHEST, FURTHEST)
            for bound in (target_lower, target_upper)
        )
        # The shadows' mean lies between the two laws, where the share that has the example puts it.
        moves = finite("CellRatio", "shifts", shifts)[:, varies] / spread
        into, out = (1 - share) * moves, -share * moves
        ratio: Callable[..., np.ndarray] = _independent
        numbers = into.size
        if self.covariance == "full":
            root, uniforms = self._root((params[:, varies] - mean) / spread), self._uniforms(varies.sum())
            ratio = functools.partial(_correlated, root=root, uniforms=uniforms)
            numbers = len(uniforms) * sum(into.shape)
        # Coarse releases repeat.
        cells, targets = np.unique(np.stack([low, high], axis=1), axis=0, return_inverse=True)
        blocks = np.array_split(cells, -(-len(cells) * numbers // BLOCK_NUMBERS))
        return np.concatenate([ratio(block[:, 0], block[:, 1], into, out) for block in blocks])[targets]

    def _root(self, standard):
        num_networks, dim = standard.shape
        if num_networks <= dim:
            raise UnsupportedSetting(
                "CellRatio",
                f"a full covariance of {dim} coordinates needs more than {dim} shadow models, got {num_networks}; "
                "use covariance='diagonal'.",
            )
        try:
            return np.linalg.cholesky(standard.T @ standard / (num_networks - 1))
        except np.linalg.LinAlgError:
            raise UnsupportedSetting(
                "CellRatio",
                "some coordinates are linear in others over the shadow models; leave them out, or use "
                "covariance='diagonal'.",
            ) from None

    def _uniforms(self, dim):
        """Points in the open unit cube, shape (draws, dim)."""
        points = qmc.Sobol(dim, rng=self.seed).random_base2(int(self.num_draws - 1).bit_length())
        return np.clip(points, 1e-12, 1 - 1e-12)


def cell_ends(channel: Channel, released: Any) -> tuple[np.ndarray, np.ndarray]:
    """Return lower and upper bounds of the cells that released weights stand for, each of their shape.

    Parameters
    ----------
    channel
        What a quantizer of ``mis.quantizers`` fitted to one tensor of weights.
    released
        Released weights of that tensor. Where a weight is released as it is, both bounds are that number.

    Raises
    ------
    UnsupportedSetting
        Where rounding is stochastic, or noise added: a released weight then has no cell.

    Examples
    --------
    >>> from mis.quantizers import Sign
    >>> cell_ends(Sign().fit(np.array([0.5, -1.5])), np.array([1.0, -1.0]))
    (array([  0., -inf]), array([inf,  0.]))
    """
    observation = channel.observation(finite("cell_ends", "released", released))
    if not isinstance(observation, Cell):
        raise UnsupportedSetting("cell_ends", "where the release is random a weight has no cell.")
    return np.asarray(observation.lower, np.float64), np.asarray(observation.upper, np.float64)


def _refuse_cells(lower, upper):
    wrong = ~((lower <= upper) & (lower < np.inf) & (upper > -np.inf))
    if wrong.any():
        place = tuple(int(i) for i in np.argwhere(wrong)[0])
        raise InvalidInput(
            "CellRatio: expected target_lower <= target_upper, not both infinite with one sign, "
            f"got {lower[place]:g} and {upper[place]:g} at {place}."
        )


def _mean_shifts(params, membership):
    """Mean of the models with each example less mean of those without, shape (N, P)."""
    into = membership.astype(np.float64)
    num_in = into.sum(axis=0)
    for side, count in (("in", num_in), ("out", len(into) - num_in)):
        refuse_empty("CellRatio", side, count, instead="use shifts='given'")
    # From the mean over all models: a large common offset costs no digits.
    sums = into.T @ (params - params.mean(axis=0))
    return sums * (1 / num_in + 1 / (len(into) - num_in))[:, None]


def _independent(low, high, into, out):
    """Return the log ratio for cells ``(B, P)`` and the two moves ``(N, P)`` of the mean, shape (B, N)."""
    cells = Cell(lower=low[:, None], upper=high[:, None])
    return (cells.log_likelihood(into, 1.0) - cells.log_likelihood(out, 1.0)).sum(axis=-1)


def _correlated(low, high, into, out, *, root, uniforms):
    """Return the log ratio for cells ``(B, P)`` and the two moves ``(N, P)``, by draws from the law within the cells.

    With covariance ``root root'`` a move by s multiplies the density at x by ``exp(s' C^-1 x - s' C^-1 s / 2)``.
    """
    white, log_weights = _draws(root, low, high, uniforms)
    logs = []
    for moves in (into, out):
        directions = linalg.solve_triangular(root, moves.T, lower=True)
        log_factors = white @ directions - np.square(directions).sum(axis=0) / 2
        logs.append(special.logsumexp(log_factors + log_weights[..., None], axis=1))
    return logs[0] - logs[1]


def _draws(root, low, high, uniforms):
    """Return weighted draws from the law within the cells, whitened: ``x = root white``; (B, K, P) and (B, K).

    Each coordinate is drawn within its cell given those before; the weights are the masses of these cells.
    """
    white = np.zeros((len(low), *uniforms.shape))
    log_weights = np.zeros(white.shape[:2])
    for j, scale in enumerate(np.diag(root)):
        before = white[..., :j] @ root[j, :j]
        a, b = (low[:, j, None] - before) / scale, (high[:, j, None] - before) / scale
        log_weights += Cell(lower=low[:, j, None], upper=high[:, j, None]).log_likelihood(before, scale)
        white[..., j] = _between(a, b, uniforms[:, j])
    return white, log_weights


def _between(low, high, uniforms):
    """Return standard normal quantiles within bounds; the middle where these (nearly) meet."""
    mirrored = low > 0
    a, b = np.where(mirrored, -high, low), np.where(mirrored, -low, high)
    log_a, log_b = special.log_ndtr(a), special.log_ndtr(b)
    log_p = np.logaddexp(log_a + np.log1p(-uniforms), log_b + np.log(uniforms))
    inside = np.clip(special.ndtri_exp(log_p), a, b)
    return np.where(high - low < NARROW, low / 2 + high / 2, np.where(mirrored, -inside, inside))
