"""Floor 2: training. One fit is a scan; thousands are a shard, a map and a loop over chunks."""

from mis.training.devices import num_devices
from mis.training.ensemble import CHUNK, Ensemble, joined, memberships, train, train_chunk
from mis.training.learner import OPTIMISERS, Learner

__all__ = [
    "CHUNK",
    "OPTIMISERS",
    "Ensemble",
    "Learner",
    "joined",
    "memberships",
    "num_devices",
    "train",
    "train_chunk",
]
