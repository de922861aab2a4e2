"""Aqueous solubility of molecules in three levels."""

from dataclasses import dataclass

from mis.populations.files import locate, read_npz
from mis.populations.table import Table, Tabulated

__all__ = ["SolubilityLevels"]


@dataclass(frozen=True, kw_only=True)
class SolubilityLevels(Tabulated):
    """Aqueous solubility of 1282 molecules, low, medium or high (cut at -3 and -1 log10 mol/L); 3 classes.

    The molecules, features and test part of ``Solubility``.

    Examples
    --------
    >>> SolubilityLevels().split(seed=0, pool=512).labels.tolist()
    ['(A) low', '(B) medium', '(C) high']
    """

    @property
    def name(self) -> str:
        return "solubility-3"

    def read(self) -> Table:
        path = locate("solubility-3", "solubility.npz")
        arrays = read_npz(path, ["features", "level", "test"])
        return Table.prepare(str(path), arrays["features"], arrays["level"], arrays["test"])
