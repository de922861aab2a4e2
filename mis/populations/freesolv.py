"""Hydration free energy of molecules."""

from dataclasses import dataclass

from mis.populations.files import locate, read_npz
from mis.populations.table import Table, Tabulated

__all__ = ["FreeSolv"]


@dataclass(frozen=True, kw_only=True)
class FreeSolv(Tabulated):
    """Hydration free energy (kcal/mol) of 642 molecules from 512 pretrained features; regression.

    Provenance and licences: ``mis/populations/data/NOTICE.md``.

    Examples
    --------
    >>> split = FreeSolv().split(seed=0, pool=512)
    >>> len(split.pool), len(split.heldout), f"{split.target_mean:.2f} +- {split.target_scale:.2f} kcal/mol"
    (512, 130, '-3.80 +- 3.84 kcal/mol')
    """

    @property
    def name(self) -> str:
        return "freesolv"

    def read(self) -> Table:
        path = locate("freesolv", "freesolv.npz")
        arrays = read_npz(path, ["features", "target"])
        return Table.prepare(str(path), arrays["features"], arrays["target"])
