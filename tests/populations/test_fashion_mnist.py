"""The whole Fashion-MNIST: where it is looked for, and every way an idx file can be wrong."""

import gzip
import pathlib
import re
import shutil

import numpy as np
import pytest

from mis.numerics.checks import InvalidInput
from mis.populations import FashionMnist, FashionMnistFull
from mis.populations import fashion_mnist as module
from mis.populations.files import PACKAGED
from mis.populations.idx import read_idx

STEM = "train-images-idx3-ubyte"


@pytest.fixture
def folder(data_folder, tmp_path):
    for path in data_folder.glob("*.gz"):
        shutil.copy(path, tmp_path)
    return tmp_path


@pytest.fixture(autouse=True)
def nothing_installed(monkeypatch, tmp_path):
    monkeypatch.delenv("MIS_DATA", raising=False)
    monkeypatch.setattr(module, "SYSTEM", str(tmp_path / "system"))


def test_reads_what_was_written(folder):
    task = FashionMnistFull(folder=folder)
    table, raw = task.table, np.random.default_rng(7).integers(0, 256, size=(120, 28, 28))
    assert (table.test.sum(), len(table.test), task.num_classes) == (40, 160, 10)
    assert np.array_equal(table.examples.features.stored[:120, :, :, 0], raw)
    assert table.examples.targets.tolist() == [*(i % 10 for i in range(120)), *(i % 10 for i in range(40))]


def test_plain_files_are_as_good_as_compressed_ones(folder, tmp_path):
    plain = tmp_path / "plain"
    plain.mkdir()
    for path in folder.glob("*.gz"):
        (plain / path.stem).write_bytes(gzip.decompress(path.read_bytes()))
    one, other = (FashionMnistFull(folder=f).table.examples.features.stored for f in (folder, plain))
    assert np.array_equal(one, other)


def test_looked_for_where_named_then_in_mis_data_then_in_the_system(folder, monkeypatch, tmp_path):
    monkeypatch.setattr(module, "SYSTEM", "")
    with pytest.raises(InvalidInput, match="none: neither folder nor MIS_DATA") as refusal:
        FashionMnistFull()
    assert "Install the Debian package dataset-fashion-mnist" in str(refusal.value)
    system = tmp_path / "system"
    shutil.copytree(folder, system)
    monkeypatch.setattr(module, "SYSTEM", str(system))
    assert FashionMnistFull().source == str(system)
    (tmp_path / "mine" / "FashionMNIST").mkdir(parents=True)
    shutil.copytree(system, tmp_path / "mine" / "FashionMNIST" / "raw")
    monkeypatch.setenv("MIS_DATA", str(tmp_path / "mine"))
    assert FashionMnistFull().source == str(tmp_path / "mine" / "FashionMNIST" / "raw")
    assert FashionMnistFull(folder=str(folder)).source == str(folder)
    # Other data than the user named is never read instead.
    with pytest.raises(
        InvalidInput, match=rf"fashion-mnist-full: expected a folder with {STEM}.gz or {STEM}, found"
    ):
        FashionMnistFull(folder=tmp_path / "nowhere")
    with pytest.raises(InvalidInput, match="expected folder a path, got folder=3"):
        FashionMnistFull(folder=3)


def test_the_excerpt_does_not_depend_on_what_is_installed(folder, monkeypatch):
    before = FashionMnist().split(seed=0, pool=32).pool.features
    monkeypatch.setenv("MIS_DATA", str(folder))
    shutil.copy(PACKAGED / "freesolv.npz", folder / "fashion-mnist.npz")
    assert np.array_equal(
        FashionMnist().read().examples.features[FashionMnist().split(0, 32).pool_rows], before
    )
    assert "excerpt" in FashionMnist().source


@pytest.mark.skipif(not pathlib.Path(module.SYSTEM).is_dir(), reason="dataset-fashion-mnist is not installed")
def test_the_recipe_of_the_notice_makes_the_excerpt(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    exec(re.search(r"```python\n(.*?)```", next(PACKAGED.glob("NOTICE*")).read_text(), re.DOTALL)[1])
    made, shipped = np.load("fashion-mnist.npz"), np.load(PACKAGED / "fashion-mnist.npz")
    for name in ("features", "target", "test"):
        assert np.array_equal(made[name], shipped[name])


def head(*shape, kind=8):
    return bytes([0, 0, kind, len(shape)]) + b"".join(size.to_bytes(4, "big") for size in shape)


GOOD = head(3, 2, 2) + bytes(range(12))


@pytest.mark.parametrize("content", [GOOD, gzip.compress(GOOD)], ids=["plain", "gzip"])
def test_every_truncation_is_refused(content, tmp_path):
    path = tmp_path / "x"
    path.write_bytes(content)
    assert np.array_equal(read_idx(path, 3), np.arange(12).reshape(3, 2, 2))
    for length in range(len(content)):
        path.write_bytes(content[:length])
        with pytest.raises(
            InvalidInput, match=r"x: (the file is damaged or truncated: |expected an idx file)"
        ) as refusal:
            read_idx(path, 3)
        assert "\n" not in str(refusal.value)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "expected an idx file of bytes with 3 axes (00 00 08 03 first), got an empty file."),
        (GOOD + b"\0", "expected 12 values of shape (3, 2, 2), got 13."),
        (head(3) + bytes(3), "got 00 00 08 01."),
        (head(3, 2, 2, kind=13) + bytes(48), "got 00 00 0d 03."),
        (b"PK\3\4" + bytes(60), "expected an idx file of bytes"),
        (head(2**32 - 1, 2**32 - 1, 2**32 - 1), "expected 79228162458924105385300197375 values"),
        (gzip.compress(GOOD, mtime=0)[:-9] + bytes(9), "the file is damaged or truncated: "),
        (gzip.compress(GOOD, mtime=0)[:12] + b"\xff" * 20, "the file is damaged or truncated: "),
        (gzip.compress(b"", mtime=0), "got an empty file."),
    ],
)
def test_other_files_are_refused(content, message, tmp_path):
    path = tmp_path / "x"
    path.write_bytes(content)
    with pytest.raises(InvalidInput, match=re.escape(message)):
        read_idx(path, 3)


def test_every_flipped_byte_is_refused_or_harmless(tmp_path):
    content, path = gzip.compress(GOOD, mtime=0), tmp_path / "x"
    refused = 0
    for position in range(len(content)):
        broken = bytearray(content)
        broken[position] ^= 0xFF
        path.write_bytes(broken)
        try:
            assert np.array_equal(read_idx(path, 3), np.arange(12).reshape(3, 2, 2))
        except InvalidInput:
            refused += 1
    # Time, level and system of the head say nothing of the content.
    assert refused > len(content) - 10


def test_missing_and_unreadable(tmp_path):
    with pytest.raises(InvalidInput, match=r"none: cannot be read: No such file or directory\.$"):
        read_idx(tmp_path / "none", 1)
    with pytest.raises(InvalidInput, match=r"cannot be read: Is a directory\.$"):
        read_idx(tmp_path, 1)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("train-labels-idx1", head(119) + bytes(119), "a label for each image, got 119 for 120 images"),
        ("t10k-labels-idx1", head(40) + bytes([10] * 40), r"expected labels 0\.\.9, got 10"),
        ("t10k-images-idx3", head(40, 8, 8) + bytes(2560), r"images of shape \(28, 28\), got \(8, 8\)"),
        ("train-labels-idx1", head(120) + bytes(120), "at least 2 classes outside test, got only 0"),
        ("t10k-labels-idx1", None, "t10k-labels-idx1-ubyte: cannot be read: No such file"),
    ],
)
def test_files_that_do_not_fit_together(name, content, message, folder):
    path = folder / f"{name}-ubyte.gz"
    path.unlink()
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(InvalidInput, match=message):
        _ = FashionMnistFull(folder=folder).table
