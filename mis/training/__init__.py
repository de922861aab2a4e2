"""Training. One fit is a scan; thousands are a shard, a map and a loop over chunks."""

from mis.training.compression import VECTORS, Compression
from mis.training.devices import FEW_RUNS, num_devices
from mis.training.ensemble import CHUNK, Ensemble, joined, memberships, train, train_chunk
from mis.training.gradients import mean_gradients
from mis.training.learner import OPTIMISERS, Learner
from mis.training.outputs import predict
from mis.training.refits import NotConverged, Refits, Regression, refit, refit_weighted
from mis.training.tuning import Tuning, tune_chunk

__all__ = [
    "CHUNK",
    "FEW_RUNS",
    "OPTIMISERS",
    "VECTORS",
    "Compression",
    "Ensemble",
    "Learner",
    "NotConverged",
    "Refits",
    "Regression",
    "Tuning",
    "joined",
    "mean_gradients",
    "memberships",
    "num_devices",
    "predict",
    "refit",
    "refit_weighted",
    "train",
    "train_chunk",
    "tune_chunk",
]
