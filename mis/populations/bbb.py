"""Which molecules pass the blood-brain barrier."""

from dataclasses import dataclass

from mis.populations.files import locate, read_npz
from mis.populations.table import Table, Tabulated

__all__ = ["BBB"]


@dataclass(frozen=True, kw_only=True)
class BBB(Tabulated):
    """Which of 1909 molecules pass the blood-brain barrier (76% do), from 512 pretrained features; 2 classes.

    Provenance and licences: ``mis/populations/data/NOTICE.md``.

    Examples
    --------
    >>> f"{BBB().table.examples.targets.mean():.2f}"
    '0.76'
    """

    @property
    def name(self) -> str:
        return "bbb"

    def read(self) -> Table:
        path = locate("bbb", "bbb.npz")
        arrays = read_npz(path, ["features", "target"])
        return Table.prepare(str(path), arrays["features"], arrays["target"])
