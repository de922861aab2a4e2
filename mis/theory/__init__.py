"""What theory says about membership inference security. NumPy and SciPy in float64."""

from mis.theory.boundary import boundary_information
from mis.theory.exact import exact
from mis.theory.full_precision import full_precision_mean
from mis.theory.gradients import (
    discrete_product,
    gaussian_delta,
    gaussian_epsilon,
    gaussian_release,
    laplace_release,
    rounded_release,
)
from mis.theory.indicator import indicator
from mis.theory.interpretations import bayes_security, implied_epsilon, private_advantage
from mis.theory.laws import DiscreteLosses, GaussianLosses, SampledLosses
from mis.theory.limits import (
    enumerate_learner,
    finite_support_asymptote,
    finite_support_bound,
    finite_support_limit,
)
from mis.theory.local import local
from mis.theory.product import Cells, ToleranceNotMet, product, quantized_mean
from mis.theory.rate import rate
from mis.theory.retained import code_entropy, predicted_advantage, retained_information, weight_error
from mis.theory.roc import Roc
from mis.theory.saddlepoint import NearLattice, saddlepoint
from mis.theory.sandwich import sandwich
from mis.theory.several import common_refinement, offset_information, offset_releases
from mis.theory.sharp import sharp
from mis.theory.simulate import FewEffectiveSamples, simulate

__all__ = [
    "Cells",
    "DiscreteLosses",
    "FewEffectiveSamples",
    "GaussianLosses",
    "NearLattice",
    "Roc",
    "SampledLosses",
    "ToleranceNotMet",
    "bayes_security",
    "boundary_information",
    "code_entropy",
    "common_refinement",
    "discrete_product",
    "enumerate_learner",
    "exact",
    "finite_support_asymptote",
    "finite_support_bound",
    "finite_support_limit",
    "full_precision_mean",
    "gaussian_delta",
    "gaussian_epsilon",
    "gaussian_release",
    "implied_epsilon",
    "indicator",
    "laplace_release",
    "local",
    "offset_information",
    "offset_releases",
    "predicted_advantage",
    "private_advantage",
    "product",
    "quantized_mean",
    "rate",
    "retained_information",
    "rounded_release",
    "saddlepoint",
    "sandwich",
    "sharp",
    "simulate",
    "weight_error",
]
