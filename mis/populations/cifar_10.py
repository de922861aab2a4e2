"""Small photographs of ten kinds of things."""

import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mis.numerics.checks import InvalidInput
from mis.populations.batches import read_binary, read_pickled
from mis.populations.folders import find
from mis.populations.table import Table, Tabulated

__all__ = ["Cifar10"]

TRAINING = [f"data_batch_{i}" for i in range(1, 6)]
REMEDY = (
    "Unpack cifar-10-binary.tar.gz or cifar-10-python.tar.gz of https://www.cs.toronto.edu/~kriz/cifar.html, and name "
    "the folder by folder (--folder) or MIS_DATA."
)


@dataclass(frozen=True, kw_only=True)
class Cifar10(Tabulated):
    """Photographs, 32x32 in three colours: 50000 and 10000 for testing, from your own folder; 10 classes.

    Parameters
    ----------
    folder
        Where the official batches lie, binary or pickled, or the folder above; if not given where ``MIS_DATA`` says.
        Binary are ``data_batch_1.bin`` to ``data_batch_5.bin`` and ``test_batch.bin``, pickled those without ``.bin``.
        Once made, the one that has them.

    Raises
    ------
    InvalidInput
        Where it has none.

    References
    ----------
    Krizhevsky (2009), Learning multiple layers of features from tiny images, technical report, University of Toronto.
    """

    folder: str | os.PathLike = ""

    def __post_init__(self):
        found = find(
            self.name,
            self.folder,
            marks=[f"{TRAINING[0]}.bin", TRAINING[0]],
            subfolders=["cifar-10", "cifar-10-batches-bin", "cifar-10-batches-py"],
            remedy=REMEDY,
        )
        object.__setattr__(self, "folder", found)

    @property
    def name(self) -> str:
        return "cifar-10"

    @property
    def source(self) -> str:
        return os.fspath(self.folder)

    def read(self) -> Table:
        folder = Path(self.folder)
        binary = (folder / f"{TRAINING[0]}.bin").is_file()
        reader, suffix = (read_binary, ".bin") if binary else (read_pickled, "")
        batches = [reader(folder / f"{stem}{suffix}") for stem in [*TRAINING, "test_batch"]]
        sizes = [len(labels) for _, labels in batches]
        if len(set(sizes)) > 1:
            raise InvalidInput(
                f"{folder}: expected batches of one size, got {', '.join(map(str, sizes))} images."
            )
        images, labels = (np.concatenate(part) for part in zip(*batches, strict=True))
        return Table.prepare(self.source, images, labels, np.arange(len(labels)) >= len(TRAINING) * sizes[0])
