"""Which molecules are mutagenic."""

from dataclasses import dataclass

from mis.populations.files import locate, read_npz
from mis.populations.table import Table, Tabulated

__all__ = ["Ames"]


@dataclass(frozen=True, kw_only=True)
class Ames(Tabulated):
    """Which of 7255 molecules are mutagenic in the Ames test (54%), from 512 pretrained features; 2 classes.

    Provenance and licences: ``mis/populations/data/NOTICE.md``.

    Examples
    --------
    >>> Ames().largest_pool
    7239
    """

    @property
    def name(self) -> str:
        return "ames"

    def read(self) -> Table:
        path = locate("ames", "ames.npz")
        arrays = read_npz(path, ["features", "target"])
        return Table.prepare(str(path), arrays["features"], arrays["target"])
