"""Aqueous solubility of molecules."""

from dataclasses import dataclass

from mis.populations.files import locate, read_npz
from mis.populations.table import Table, Tabulated

__all__ = ["Solubility"]


@dataclass(frozen=True, kw_only=True)
class Solubility(Tabulated):
    """Aqueous solubility (log10 mol/L) of 1282 molecules from 512 pretrained features; regression.

    1025 molecules for the pool and 257 for testing, as the set has them. Provenance and licences:
    ``mis/populations/data/NOTICE.md``.

    Examples
    --------
    >>> split = Solubility().split(seed=0, pool=512)
    >>> len(split.pool), len(split.heldout), f"{split.target_mean:.2f} +- {split.target_scale:.2f} log mol/L"
    (512, 770, '-2.71 +- 2.04 log mol/L')
    """

    @property
    def name(self) -> str:
        return "solubility"

    def read(self) -> Table:
        path = locate("solubility", "solubility.npz")
        arrays = read_npz(path, ["features", "target", "test"])
        return Table.prepare(str(path), arrays["features"], arrays["target"], arrays["test"])
