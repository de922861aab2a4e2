"""The populations by name."""

import dataclasses
import os
from typing import Any

from mis.numerics.checks import InvalidInput, known, refuse
from mis.populations.ames import Ames
from mis.populations.base import Examples, Law, Population, Split
from mis.populations.bbb import BBB
from mis.populations.breast_cancer import BreastCancer
from mis.populations.cifar_10 import Cifar10
from mis.populations.digits import Digits
from mis.populations.fashion_mnist import FashionMnist, FashionMnistFull
from mis.populations.finite_support import FiniteSupport
from mis.populations.freesolv import FreeSolv
from mis.populations.linear import LinearTeacher
from mis.populations.logistic import LogisticTeacher
from mis.populations.modes import Modes
from mis.populations.npz import Npz
from mis.populations.part import Part
from mis.populations.solubility import Solubility
from mis.populations.solubility_levels import SolubilityLevels
from mis.populations.table import Table, Tabulated

__all__ = [
    "BBB",
    "POPULATIONS",
    "Ames",
    "BreastCancer",
    "Cifar10",
    "Digits",
    "Examples",
    "FashionMnist",
    "FashionMnistFull",
    "FiniteSupport",
    "FreeSolv",
    "Law",
    "LinearTeacher",
    "LogisticTeacher",
    "Modes",
    "Npz",
    "Part",
    "Population",
    "Solubility",
    "SolubilityLevels",
    "Split",
    "Table",
    "Tabulated",
    "get",
]

POPULATIONS: dict[str, type[Population]] = {
    "solubility": Solubility,
    "solubility-3": SolubilityLevels,
    "freesolv": FreeSolv,
    "bbb": BBB,
    "ames": Ames,
    "digits": Digits,
    "fashion-mnist": FashionMnist,
    "fashion-mnist-full": FashionMnistFull,
    "cifar-10": Cifar10,
    "breast-cancer": BreastCancer,
    "modes": Modes,
    "logistic": LogisticTeacher,
    "linear": LinearTeacher,
}


def get(name: str | os.PathLike, **options: Any) -> Population:
    """Return a population by its registry name, or a user's by the path of its ``.npz`` file.

    Parameters
    ----------
    name
        A key of ``POPULATIONS``; a path object, and a string that ends in ``.npz`` or contains a path separator, is a
        path.
    options
        Fields of that population's spec.

    Raises
    ------
    InvalidInput
        Unknown name or option, with the nearest ones; a file that cannot be read.

    Examples
    --------
    >>> get("modes", separation=3.0).separation
    3.0
    """
    if not isinstance(name, str | os.PathLike):
        raise refuse("populations", "name", "a name or a path", name)
    spec: type[Population] = Npz
    if isinstance(name, str) and not (
        name.endswith(".npz") or os.sep in name or (os.altsep or os.sep) in name
    ):
        spec = POPULATIONS[known("populations", "name", name, POPULATIONS)]
    else:
        options = {"path": name, **options}
    fields = [field.name for field in dataclasses.fields(spec)]
    if options and not fields:
        raise InvalidInput(f"{name}: expected no options, got {', '.join(options)}.")
    for option in options:
        known(str(name), "option", option, fields)
    return spec(**options)
