"""Everything that defines the networks of a ranking, and nothing else."""

from dataclasses import dataclass

from mis.models import Model
from mis.numerics.checks import InvalidInput, integer
from mis.populations import Population
from mis.training import Learner, Tuning

__all__ = ["FEWEST_STEPS", "RankingSpec"]

# The rates at which a small network interpolates 256 examples in 600 steps of Adam.
RATES = {"regression": 1e-3, "classification": 3e-3}

# The spread over the last third of a run takes two iterates.
FEWEST_STEPS = 6


@dataclass(frozen=True, kw_only=True)
class RankingSpec:
    """One pool, one learner; network m is trained on a random half of the pool that the seed and m decide.

    Parameters
    ----------
    population
        Where the pool comes from.
    learner
        How each network is trained.
    pool
        Number of examples in the pool.
    model
        The network.
    seed
        Decides pool, initial point, halves, batches and stochastic rounding.
    tuning
        How the networks were trained on after a release; None is not at all.
    """

    population: Population
    learner: Learner
    model: Model
    pool: int = 512
    seed: int = 0
    tuning: Tuning | None = None

    def __post_init__(self):
        # Half of the pool trains: below this a half cannot hold a batch worth the name.
        integer("rank", "pool", self.pool, at_least=16)
        integer("rank", "seed", self.seed, at_least=0, at_most=2**32 - 1)
        integer("rank", "num_steps", self.learner.num_steps, at_least=FEWEST_STEPS)
        largest = self.population.largest_pool
        if largest is not None and self.pool > largest:
            raise InvalidInput(
                f"rank: expected pool at most {largest} on {self.population.name}, got pool={self.pool}."
            )
