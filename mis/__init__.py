"""Membership inference security (MIS) of quantized estimators.

``MIS = 1 - TV(Law(released parameters, member), Law(released parameters) x P)``: how badly the best possible
attacker, known or not, does at telling a training example from a fresh one.

Examples
--------
>>> from mis import theory
>>> law = theory.GaussianLosses(mean=[0.0, 0.3], cov=[[0.0, 0.0], [0.0, 1.0]])
>>> f"{theory.exact(law, 10).value:.8f}"
'0.06504830'
"""

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mis import attacks, figures, models, populations, quantizers, theory, training
    from mis.ranking import Ranking, rank
    from mis.results import Interval

    __version__: str

__all__ = [
    "Interval",
    "Ranking",
    "attacks",
    "figures",
    "models",
    "populations",
    "quantizers",
    "rank",
    "theory",
    "training",
]

_ORIGIN = {"Interval": "mis.results", "Ranking": "mis.ranking", "rank": "mis.ranking"}


def __getattr__(name: str):
    """Import on first use, so that ``mis --help`` need not wait for JAX, nor for git."""
    if name == "__version__":
        return importlib.import_module("mis.version").version()
    if name not in __all__:
        raise AttributeError(f"module 'mis' has no attribute {name!r}")
    if name in _ORIGIN:
        return getattr(importlib.import_module(_ORIGIN[name]), name)
    return importlib.import_module(f"mis.{name}")


def __dir__() -> list[str]:
    return sorted([*__all__, "__version__"])
