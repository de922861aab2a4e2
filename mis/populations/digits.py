"""Spec: handwritten digits of scikit-learn."""

from dataclasses import dataclass

from mis.populations.table import Table, Tabulated

__all__ = ["Digits"]


@dataclass(frozen=True, kw_only=True)
class Digits(Tabulated):
    """Handwritten digits, 1797 images of 8x8 grey values; 10 classes. Comes with scikit-learn.

    Examples
    --------
    >>> Digits().num_classes
    10
    """

    @property
    def name(self) -> str:
        return "digits"

    def read(self) -> Table:
        from sklearn.datasets import load_digits

        return Table.prepare("digits", *load_digits(return_X_y=True))
