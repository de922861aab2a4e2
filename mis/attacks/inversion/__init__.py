"""Attack on gradients: images and labels whose gradient is the one that was shared.

Deep leakage from gradients (DLG: dummy image and soft label), iDLG (label inferred first), L-BFGS or Adam with cosine
distance and total variation; naive, or adapted to how the gradient was released.
"""

from mis.attacks.inversion.gradients import MOST_IMAGES, check_gradient, first_layer_input, shared_gradient
from mis.attacks.inversion.invert import Objective, Reconstruction, invert
from mis.attacks.inversion.labels import inferred_labels
from mis.attacks.inversion.methods import LBFGS, Adam
from mis.attacks.inversion.quality import (
    absolute_error,
    matched,
    peak_signal_to_noise,
    squared_error,
    structural_similarity,
)
from mis.attacks.inversion.target import Target, adapted, naive, stack

__all__ = [
    "LBFGS",
    "MOST_IMAGES",
    "Adam",
    "Objective",
    "Reconstruction",
    "Target",
    "absolute_error",
    "adapted",
    "check_gradient",
    "first_layer_input",
    "inferred_labels",
    "invert",
    "matched",
    "naive",
    "peak_signal_to_noise",
    "shared_gradient",
    "squared_error",
    "stack",
    "structural_similarity",
]
