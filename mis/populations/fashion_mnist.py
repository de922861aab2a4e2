"""Pictures of clothes, the shipped excerpt and the whole set."""

import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mis.numerics.checks import InvalidInput
from mis.populations.files import locate, read_npz
from mis.populations.folders import find
from mis.populations.idx import read_idx
from mis.populations.table import Table, Tabulated

__all__ = ["FashionMnist", "FashionMnistFull"]

SIDE, CLASSES = 28, 10
SYSTEM = "/usr/share/datasets/fashion-mnist"
REMEDY = (
    "Install the Debian package dataset-fashion-mnist, or name a folder with its four idx files by folder (--folder) "
    "or MIS_DATA; fashion-mnist is a shipped excerpt."
)


@dataclass(frozen=True, kw_only=True)
class FashionMnist(Tabulated):
    """Clothes, 28x28 grey values: an excerpt of 4000 images and 1000 for testing; 10 balanced classes.

    The same on every machine: it comes with this package, whatever else is installed. Provenance, licence and how the
    excerpt was made: ``mis/populations/data/NOTICE.md``. The whole set is ``FashionMnistFull``.

    References
    ----------
    Xiao, Rasul, Vollgraf (2017), Fashion-MNIST: a novel image dataset for benchmarking machine learning algorithms,
    arXiv:1708.07747.

    Examples
    --------
    >>> task = FashionMnist()
    >>> task.shape, task.largest_pool
    ((28, 28, 1), 4000)
    """

    @property
    def name(self) -> str:
        return "fashion-mnist"

    @property
    def source(self) -> str:
        return "excerpt of 4000 + 1000 images"

    def read(self) -> Table:
        path = locate("fashion-mnist", "fashion-mnist.npz")
        arrays = read_npz(path, ["features", "target", "test"])
        return Table.prepare(str(path), arrays["features"], arrays["target"], arrays["test"])


@dataclass(frozen=True, kw_only=True)
class FashionMnistFull(Tabulated):
    """Clothes, 28x28 grey values: all 60000 images and 10000 for testing, from a folder or Debian's; 10 classes.

    Parameters
    ----------
    folder
        Where the four idx files lie, compressed or not; if not given where ``MIS_DATA`` says, or the Debian package
        ``dataset-fashion-mnist`` puts them. Once made, the one that has them.

    Raises
    ------
    InvalidInput
        Where none has them.
    """

    folder: str | os.PathLike = ""

    def __post_init__(self):
        stem = "train-images-idx3-ubyte"
        found = find(
            self.name,
            self.folder,
            marks=[f"{stem}.gz", stem],
            subfolders=["fashion-mnist", "FashionMNIST/raw"],
            system=SYSTEM,
            remedy=REMEDY,
        )
        object.__setattr__(self, "folder", found)

    @property
    def name(self) -> str:
        return "fashion-mnist-full"

    @property
    def source(self) -> str:
        return os.fspath(self.folder)

    def read(self) -> Table:
        parts = [_part(Path(self.folder), prefix) for prefix in ("train", "t10k")]
        images, labels = (np.concatenate(both) for both in zip(*parts, strict=True))
        return Table.prepare(self.source, images, labels, np.arange(len(labels)) >= len(parts[0][1]))


def _part(folder, prefix):
    """Return images ``(N, 28, 28)`` and labels ``(N,)`` of the training or of the test part."""
    paths = []
    for stem in (f"{prefix}-images-idx3-ubyte", f"{prefix}-labels-idx1-ubyte"):
        compressed = folder / f"{stem}.gz"
        paths.append(compressed if compressed.is_file() else folder / stem)
    images, labels = read_idx(paths[0], 3), read_idx(paths[1], 1)
    if images.shape[1:] != (SIDE, SIDE):
        raise InvalidInput(f"{paths[0]}: expected images of shape (28, 28), got {images.shape[1:]}.")
    if len(images) != len(labels):
        raise InvalidInput(
            f"{paths[1]}: expected a label for each image, got {len(labels)} for {len(images)} images."
        )
    if labels.size and labels.max() >= CLASSES:
        raise InvalidInput(f"{paths[1]}: expected labels 0..9, got {labels.max()}.")
    return images, labels
