"""What local asymptotics predict for the networks of a ranking, where they are M-estimators at a minimum."""

from dataclasses import dataclass
from functools import partial

import jax
import numpy as np

from mis import theory
from mis.models import MLP
from mis.numerics.checks import UnsupportedSetting
from mis.populations import Examples
from mis.quantizers import Quantizer
from mis.ranking.spec import RankingSpec
from mis.results import Interval
from mis.training import FEW_RUNS, Ensemble

__all__ = ["LocalFit", "local_fit"]

# Examples a network is trained on, for each parameter, below which the expansion is not local.
FEWEST_PER_PARAMETER = 4

# Directions whose curvature is below this share of the largest are flat: along the common shift of all classes no
# network ever moves. The covariance gets this share of its mean variance there, so that it can be factorised.
FLAT = 1e-6


@dataclass(frozen=True, kw_only=True, eq=False)
class LocalFit:
    """Influence functions and covariance of the networks of a ranking at their mean.

    Networks trained on random halves S of one pool of N, known to the attacker, are M-estimators on the pool: with
    ``n = N/2`` the covariance of ``theta(S)`` is ``V/n (1 - n/N) = V/N``, and being in S rather than not shifts its
    mean by ``psi/n = 2 psi/N``. So the advantage on the pool is that of ``theory.local`` at sample size N with twice
    the influence: half the examples and half the variance of fresh samples.

    Parameters
    ----------
    influence, covariance
        What ``theory.sandwich`` returns: ``psi`` of the pool's examples ``(N, P)`` and ``V``, ``(P, P)``.
    mean
        The mean network, by layer.
    """

    influence: np.ndarray
    covariance: np.ndarray
    mean: list[np.ndarray]

    def advantage(self, quantizer: Quantizer, level: float) -> Interval:
        """Return the predicted advantage of the best attack on released networks, conditional on the pool."""
        is_sharp = all(channel.is_sharp for channel in quantizer.fit_network(self.mean))
        return theory.local(
            influence=2.0 * self.influence,
            covariance=self.covariance,
            mean=self.mean,
            quantizer=quantizer,
            n=len(self.influence),
            method="linear" if is_sharp else "diagonal",
            level=level,
        )


def local_fit(spec: RankingSpec, pool: Examples, ensemble: Ensemble) -> LocalFit:
    """Return the fit, or refuse it where the theory does not apply.

    Raises
    ------
    UnsupportedSetting
        Hidden layers (many minima and flat directions), training through or after a release, too few examples for
        each parameter, a decay that is no penalty of the loss (Adam's), or networks that have not come to the
        minimum: a mean gradient on the pool, at the mean network, longer than its own sampling error.
    """
    model, penalty = spec.model, spec.learner.penalty
    if not isinstance(model, MLP) or model.depth:
        raise UnsupportedSetting("local", "a network with hidden layers has flat directions and many minima.")
    if spec.learner.forward is not None or spec.tuning is not None:
        raise UnsupportedSetting(
            "local", "trained through or after a release, they are at no minimum of the loss."
        )
    if penalty is None:
        raise UnsupportedSetting("local", "Adam with decoupled decay minimises no penalised loss.")
    mean = [layer.mean(axis=0, dtype=np.float64) for layer in ensemble.params]
    gradients, hessian = _slopes(model, mean[0], pool)
    curvature, directions = np.linalg.eigh(hessian)
    steep = curvature > FLAT * curvature[-1]
    curvature, directions = curvature[steep], directions[:, steep]
    num_trained, rank = len(gradients) // 2, len(curvature)
    if num_trained < FEWEST_PER_PARAMETER * rank:
        raise UnsupportedSetting("local", f"{num_trained} examples are too few for {rank} parameters.")
    along = gradients @ directions
    slope = along.mean(axis=0) + penalty * mean[0].ravel() @ directions
    score = len(along) * slope @ np.linalg.solve(np.cov(along.T, bias=True).reshape(rank, rank), slope) / rank
    if score > 1.0:
        raise UnsupportedSetting(
            "local", f"the networks are not at a minimum (score {score:.3g} a parameter)."
        )
    influence, covariance = theory.sandwich(along, np.diag(curvature), damping=penalty)
    whole = directions @ covariance @ directions.T
    whole += FLAT * np.trace(whole) / len(whole) * np.eye(len(whole))
    return LocalFit(influence=influence @ directions.T, covariance=whole, mean=mean)


def _slopes(model, layer, pool):
    """Gradients of the examples' losses ``(N, P)`` and the Hessian of their mean ``(P, P)`` at one matrix."""
    found = _derivatives(np.float32(layer), np.asarray(pool.features), np.asarray(pool.targets), model=model)
    return [np.asarray(each, dtype=np.float64) for each in found]


# In one program: one operation after another, each compiled on its own, takes seconds.
@partial(jax.jit, static_argnames="model", compiler_options=FEW_RUNS)
def _derivatives(layer, features, targets, *, model):
    def losses(flat):
        return model.losses([flat.reshape(layer.shape)], features, targets)

    flat = layer.ravel()
    return jax.jacrev(losses)(flat), jax.hessian(lambda flat: losses(flat).mean())(flat)
