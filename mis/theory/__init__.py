"""Floor 2: what theory says about membership inference security. NumPy and SciPy in float64."""

from mis.theory.exact import exact
from mis.theory.indicator import indicator
from mis.theory.laws import DiscreteLosses, GaussianLosses, SampledLosses
from mis.theory.rate import rate
from mis.theory.retained import code_entropy, predicted_advantage, retained_information, weight_error
from mis.theory.sharp import sharp

__all__ = [
    "DiscreteLosses",
    "GaussianLosses",
    "SampledLosses",
    "code_entropy",
    "exact",
    "indicator",
    "predicted_advantage",
    "rate",
    "retained_information",
    "sharp",
    "weight_error",
]
