"""Breast cancer diagnoses of scikit-learn."""

from dataclasses import dataclass

from mis.populations.base import DEFAULT_POOL
from mis.populations.table import Table, Tabulated

__all__ = ["BreastCancer"]


@dataclass(frozen=True, kw_only=True)
class BreastCancer(Tabulated):
    """Breast cancer diagnoses of 569 patients from 30 measurements; 2 classes. Comes with scikit-learn.

    Examples
    --------
    >>> BreastCancer().dim
    30
    """

    @property
    def name(self) -> str:
        return "breast-cancer"

    @property
    def default_pool(self) -> int:
        """As in the published results, though it leaves 57 held out."""
        return DEFAULT_POOL

    def read(self) -> Table:
        from sklearn.datasets import load_breast_cancer

        return Table.prepare("breast-cancer", *load_breast_cancer(return_X_y=True))
