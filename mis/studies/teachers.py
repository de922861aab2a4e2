"""Small networks that data come from, and where others that learn from them come to rest."""

import math
from typing import NamedTuple

import numpy as np
from scipy import stats

from mis.training.small_network import SmallNetwork

__all__ = ["TETRAHEDRAL", "Optimum", "Teacher"]

# Between the directions to two corners of a tetrahedron, in degrees.
TETRAHEDRAL = math.degrees(math.acos(-1 / 3))


class Teacher(NamedTuple):
    """A network that data come from, with its weights and the standard deviation of the noise on its outputs."""

    network: SmallNetwork
    weights: np.ndarray
    noise: float = 0.3

    @classmethod
    def of_four(
        cls, rng: np.random.Generator, *, activation: str = "tanh", angle: float = TETRAHEDRAL
    ) -> "Teacher":
        """Return four units in three dimensions, towards the corners of a tetrahedron turned at random.

        As different as four units can be, but for two of them, ``angle`` degrees apart; the smaller that is, the
        flatter the Hessian.
        """
        corners = 1.5 / math.sqrt(3) * np.array([[1, 1, 1], [1, -1, -1], [-1, 1, -1], [-1, -1, 1]])
        across = corners[2] - corners[0] * (corners[0] @ corners[2]) / (corners[0] @ corners[0])
        across *= np.linalg.norm(corners[0]) / np.linalg.norm(across)
        turn = math.radians(angle)
        corners[2] = math.cos(turn) * corners[0] + math.sin(turn) * across
        first = np.column_stack([[0.3, -0.2, 0.1, -0.4], corners @ stats.special_ortho_group(3, rng).rvs()])
        network = SmallNetwork(inputs=3, hidden=4, activation=activation)
        return cls(network, np.concatenate([first.ravel(), [1.0, -1.2, 1.4, -1.6], [0.2]]))

    def sample(self, rng: np.random.Generator, *shape: int) -> tuple[np.ndarray, np.ndarray]:
        """Draw standard normal features, ``(*shape, p)``, and responses, ``shape``."""
        x = rng.standard_normal((*shape, self.network.inputs))
        return x, self.network.outputs(self.weights, x) + self.noise * rng.standard_normal(shape)


class Optimum(NamedTuple):
    """A network's minimum on a very large sample, with its Hessian, penalty included."""

    network: SmallNetwork
    weights: np.ndarray
    hessian: np.ndarray

    @classmethod
    def of(cls, network: SmallNetwork, start: np.ndarray, x: np.ndarray, y: np.ndarray) -> "Optimum":
        """Descend from ``start``."""
        weights = network.fit(start, x, y).weights
        _, hessian = network.expand(weights, x, y)
        return cls(network, weights, hessian + network.penalty * np.eye(len(weights)))

    def influence(self, x: np.ndarray, y: np.ndarray) -> np.ndarray:
        """Return psi of each example, ``(..., n, d)``; the minimum on n of them is off by about their mean."""
        weights = np.broadcast_to(self.weights, (*y.shape[:-1], len(self.weights)))
        gradients, _ = self.network.expand(weights, x, y)
        return -(gradients + self.network.penalty * self.weights) @ np.linalg.inv(self.hessian)
