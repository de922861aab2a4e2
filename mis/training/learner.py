"""How one network is trained."""

from dataclasses import dataclass

import optax

from mis.numerics.checks import InvalidInput, UnsupportedSetting, integer, known, number
from mis.training.compression import Compression

__all__ = ["OPTIMISERS", "Learner"]

MOMENTUM = 0.9

OPTIMISERS = {
    "adam": lambda rate: optax.adam(rate),
    "momentum": lambda rate: optax.sgd(rate, momentum=MOMENTUM),
    "sgd": lambda rate: optax.sgd(rate),
}


@dataclass(frozen=True, kw_only=True)
class Learner:
    """A fixed number of minibatch steps from an initial point, each epoch in a fresh random order.

    Parameters
    ----------
    optimiser
        ``adam``, ``momentum`` (0.9) or ``sgd``.
    learning_rate
        Step size.
    num_steps
        Number of steps.
    batch_size
        Examples per step. Where it does not divide the training set, batches run on into the next epoch's order.
    weight_decay
        Decoupled decay: each step also subtracts ``learning_rate * weight_decay * params``.
    initialisation
        ``fixed``: all networks start at one point, known to the attacker; ``random``: each at its own.
    forward
        Quantization-aware training: what the weights go through before every step's loss, whose gradient is that of
        the weights behind it (straight through). None trains in full precision.

    Examples
    --------
    >>> Learner(num_steps=100).optimiser
    'adam'
    """

    optimiser: str = "adam"
    learning_rate: float = 1e-3
    num_steps: int = 600
    batch_size: int = 64
    weight_decay: float = 0.0
    initialisation: str = "fixed"
    forward: Compression | None = None

    def __post_init__(self):
        known("Learner", "optimiser", self.optimiser, OPTIMISERS)
        known("Learner", "initialisation", self.initialisation, ("fixed", "random"))
        number("Learner", "learning_rate", self.learning_rate, above=0.0)
        integer("Learner", "num_steps", self.num_steps, at_least=1)
        integer("Learner", "batch_size", self.batch_size, at_least=1)
        if self.forward is not None and (self.forward.is_random or self.forward.quantizer.num_calibration):
            name = self.forward.quantizer.name
            raise UnsupportedSetting(
                "Learner",
                f"{name} is random or calibrated, so no training can go through it; choose another.",
            )
        if number("Learner", "weight_decay", self.weight_decay) < 0.0:
            raise InvalidInput(
                f"Learner: expected weight_decay >= 0, got weight_decay={self.weight_decay!r}."
            )

    @property
    def penalty(self) -> float | None:
        """The p for which steps rest at a minimum of the loss plus ``p |params|^2 / 2``; None where there is none.

        A decay beside momentum meets a sum of ``1 / (1 - MOMENTUM)`` gradients; beside Adam's it holds no penalty.
        """
        if not self.weight_decay:
            return 0.0
        shares = {"sgd": 1.0, "momentum": 1.0 - MOMENTUM}
        return self.weight_decay * shares[self.optimiser] if self.optimiser in shares else None

    def transformation(self) -> optax.GradientTransformation:
        """Return the optax transformation of this spec."""
        step = OPTIMISERS[self.optimiser](self.learning_rate)
        if not self.weight_decay:
            return step
        return optax.chain(step, _decay(self.learning_rate * self.weight_decay))


def _decay(rate: float) -> optax.GradientTransformation:
    def update(updates, state, params):
        return optax.tree.add_scale(updates, -rate, params), state

    return optax.GradientTransformation(lambda _: optax.EmptyState(), update)
