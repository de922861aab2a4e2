"""Training on after a release, under what it fixed: once or in rounds, from where the weights are or rewound."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from mis.models import Model
from mis.numerics.checks import UnsupportedSetting, integer
from mis.quantizers import Prune
from mis.training.compression import Compression
from mis.training.ensemble import Ensemble, initial_points, train_chunk
from mis.training.learner import Learner

__all__ = ["Tuning", "tune_chunk"]


@dataclass(frozen=True, kw_only=True)
class Tuning:
    """What networks are trained on under, and how often.

    Parameters
    ----------
    compression
        What they are released by before they are trained on; no step leaves what that fixed: zeros and codes.
    num_steps
        Steps after each release.
    rounds
        Of pruning: each round sets the same share of the surviving weights to zero, and is followed by ``num_steps``.
        After the last round as many weights are zero as one pruning would set.
    rewind
        Of pruning: after each round the survivors go back to where they were after so many steps of their first
        training, 0 to their initial values, instead of going on from where they are.

    References
    ----------
    Han, Pool, Tran, Dally (2015), arXiv:1506.02626 (iterative pruning). Frankle, Carbin (2019), The lottery ticket
    hypothesis, arXiv:1803.03635 (rewinding to the initial values). Frankle, Dziugaite, Roy, Carbin (2020), Linear mode
    connectivity, arXiv:1912.05671 (rewinding to an early step).

    Examples
    --------
    >>> tuning = Tuning(compression=Compression(quantizer=Prune(zeros=0.75)), num_steps=100, rounds=2)
    >>> [stage.quantizer.name for stage in tuning.stages]
    ['prune-50', 'prune-75']
    """

    compression: Compression
    num_steps: int
    rounds: int = 1
    rewind: int | None = None

    def __post_init__(self):
        integer("Tuning", "num_steps", self.num_steps, at_least=1)
        integer("Tuning", "rounds", self.rounds, at_least=1)
        if self.rewind is not None:
            integer("Tuning", "rewind", self.rewind, at_least=0)
        if (self.rounds > 1 or self.rewind is not None) and not isinstance(self.compression.quantizer, Prune):
            raise UnsupportedSetting(
                "Tuning", f"rounds and rewinding are for pruning, not for {self.compression.quantizer.name}."
            )

    @property
    def stages(self) -> list[Compression]:
        """What each round releases by."""
        if self.rounds == 1:
            return [self.compression]
        pruning: Any = self.compression.quantizer
        kept = 1.0 - pruning.zeros
        shares = [1.0 - kept ** (k / self.rounds) for k in range(1, self.rounds)]
        earlier = [replace(self.compression, quantizer=replace(pruning, zeros=share)) for share in shares]
        return [*earlier, self.compression]


def tune_chunk(
    model: Model,
    learner: Learner,
    features: np.ndarray,
    targets: np.ndarray,
    *,
    tuning: Tuning,
    begin: Sequence[np.ndarray],
    seed: int,
    indices: np.ndarray,
    num_snapshots: int = 0,
) -> Ensemble:
    """Train networks on after a release; arguments as in ``train_chunk``.

    Parameters
    ----------
    learner
        How they were trained: where they are rewound to is trained again.
    tuning
        What they are trained on under.
    begin
        The trained networks, by layer ``(M, rows, channels)``.
    num_snapshots
        Of the last round.
    """
    data: dict[str, Any] = {"features": features, "targets": targets, "seed": seed, "indices": indices}
    rewound = None
    if tuning.rewind == 0:
        rewound = initial_points(seed, indices, model, learner)
    elif tuning.rewind is not None:
        rewound = train_chunk(model, replace(learner, num_steps=tuning.rewind), **data).params
    further = replace(learner, num_steps=tuning.num_steps, forward=None)
    *earlier, last = tuning.stages
    for stage in earlier:
        begin = train_chunk(model, further, begin=begin, tuning=stage, rewound=rewound, **data).params
    options: dict[str, Any] = {"begin": begin, "tuning": last, "rewound": rewound}
    return train_chunk(model, further, num_snapshots=num_snapshots, **options, **data)
