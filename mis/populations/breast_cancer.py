"""Spec: breast cancer diagnoses of scikit-learn."""

from dataclasses import dataclass

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

    def read(self) -> Table:
        from sklearn.datasets import load_breast_cancer

        return Table.prepare("breast-cancer", *load_breast_cancer(return_X_y=True))
