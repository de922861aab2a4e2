"""Handwritten digits of scikit-learn."""

from dataclasses import dataclass, replace

from mis.populations.table import Table, Tabulated

__all__ = ["Digits"]


@dataclass(frozen=True, kw_only=True)
class Digits(Tabulated):
    """Handwritten digits, 1797 images of 8x8 grey values; 10 classes. Comes with scikit-learn.

    Parameters
    ----------
    images
        Keep the 8x8 pixels as an image, standardised all alike. Otherwise each is a column of a table, standardised
        on its own; those that hardly vary are dropped.

    Examples
    --------
    >>> Digits().shape, Digits().as_images().shape
    ((59,), (8, 8, 1))
    """

    images: bool = False

    @property
    def name(self) -> str:
        return "digits"

    def as_images(self) -> "Digits":
        return replace(self, images=True)

    def read(self) -> Table:
        from sklearn.datasets import load_digits

        digits = load_digits()
        return Table.prepare("digits", digits.images if self.images else digits.data, digits.target)
