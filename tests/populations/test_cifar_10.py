"""CIFAR-10 from a user's folder: both official forms, damage, and pickles that would do harm."""

import os
import pickle
import pickletools
import re
import shutil

import numpy as np
import pytest

from mis.numerics.checks import InvalidInput
from mis.populations import Cifar10
from mis.populations.batches import read_binary, read_pickled

NAMES = [*(f"data_batch_{i}" for i in range(1, 6)), "test_batch"]


@pytest.fixture
def binary(data_folder, tmp_path, monkeypatch):
    monkeypatch.delenv("MIS_DATA", raising=False)
    return shutil.copytree(data_folder / "cifar-10-batches-bin", tmp_path / "binary")


def records(folder, name):
    return np.frombuffer((folder / f"{name}.bin").read_bytes(), dtype=np.uint8).reshape(-1, 3073)


def pickled(binary, folder, write):
    folder.mkdir()
    for name in NAMES:
        (folder / name).write_bytes(write(records(binary, name)))
    return folder


def python_2(rows):
    """Write what Python 2 and an old NumPy wrote, opcode by opcode: the official files are of this form."""

    def text(value):
        return b"U" + bytes([len(value)]) + value

    def integers(values):
        return b"](" + b"".join(b"K" + bytes([value]) for value in values) + b"e"

    data = rows[:, 1:].tobytes()
    shape = b"(M" + len(rows).to_bytes(2, "little") + b"M\x00\x0ct"
    kind = (
        b"cnumpy\ndtype\n"
        + text(b"u1")
        + b"K\x00K\x01\x87R(K\x03"
        + text(b"|")
        + b"NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb"
    )
    array = b"cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85" + text(b"b") + b"\x87R"
    array += b"(K\x01" + shape + kind + b"\x89" + b"T" + len(data).to_bytes(4, "little") + data + b"tb"
    items = text(b"data") + array + text(b"labels") + integers(rows[:, 0].tolist())
    items += (
        text(b"batch_label")
        + text(b"training batch 1 of 5")
        + text(b"filenames")
        + b"]("
        + text(b"a.png")
        + b"e"
    )
    return b"\x80\x02}(" + items + b"u."


def python_3(protocol, key=str.encode, order="C"):
    def write(rows):
        data = np.array(rows[:, 1:], order=order)
        return pickle.dumps({key("labels"): rows[:, 0].tolist(), key("data"): data}, protocol=protocol)

    return write


@pytest.mark.parametrize(
    "write",
    [
        python_2,
        *(python_3(protocol) for protocol in range(2, 6)),
        python_3(2, key=str),
        python_3(5, order="F"),
    ],
    ids=["python 2", *(f"protocol {p}" for p in range(2, 6)), "text keys", "columns first"],
)
def test_pickled_batches_say_the_same_as_binary_ones(binary, tmp_path, write):
    one = Cifar10(folder=binary).table
    other = Cifar10(folder=pickled(binary, tmp_path / "pickled", write)).table
    assert np.array_equal(one.examples.features.stored, other.examples.features.stored)
    assert np.array_equal(one.examples.targets, other.examples.targets)
    assert np.array_equal(one.test, other.test)


def test_red_green_blue_by_rows(binary):
    table, raw = Cifar10(folder=binary).table, records(binary, "data_batch_2")
    image = table.examples.features.stored[20]
    assert image.shape == (32, 32, 3)
    for channel in range(3):
        for row in (0, 31):
            begin = 1 + 1024 * channel + 32 * row
            assert np.array_equal(image[row, :, channel], raw[0, begin : begin + 32])
    assert table.examples.targets[20] == raw[0, 0]
    assert np.array_equal(np.flatnonzero(table.test), np.arange(100, 120))


def test_looked_for_where_named_or_in_mis_data(binary, monkeypatch, tmp_path):
    missing = "cifar-10: expected a folder with data_batch_1.bin or data_batch_1, found none"
    with pytest.raises(
        InvalidInput, match=rf"^{missing}: neither folder nor MIS_DATA.*cifar-10-binary\.tar\.gz.*--folder"
    ):
        Cifar10()
    binary.rename(tmp_path / "cifar-10-batches-bin")
    assert Cifar10(folder=tmp_path).source == str(tmp_path / "cifar-10-batches-bin")
    monkeypatch.setenv("MIS_DATA", str(tmp_path))
    assert Cifar10() == Cifar10(folder=tmp_path)
    (tmp_path / "empty").mkdir()
    with pytest.raises(InvalidInput, match=f"found none: looked in {tmp_path}/empty, "):
        Cifar10(folder=tmp_path / "empty")


@pytest.mark.parametrize("length", [0, 1, 3072, 3074, 20 * 3073 - 1])
def test_truncated_binary_batches_are_refused(binary, length):
    path = binary / "data_batch_3.bin"
    path.write_bytes((path.read_bytes() + b"\0")[:length])
    with pytest.raises(
        InvalidInput, match=rf"data_batch_3.bin: the file is damaged .* got {length} bytes\.$"
    ):
        _ = Cifar10(folder=binary).table


def test_batches_that_do_not_fit_together(binary):
    path = binary / "data_batch_3.bin"
    content = path.read_bytes()
    path.write_bytes(content[: 19 * 3073])
    with pytest.raises(InvalidInput, match="batches of one size, got 20, 20, 19, 20, 20, 20 images"):
        _ = Cifar10(folder=binary).table
    path.write_bytes(b"\x0a" + content[1:])
    with pytest.raises(InvalidInput, match=r"data_batch_3.bin: expected labels 0\.\.9, got 10"):
        _ = Cifar10(folder=binary).table
    path.unlink()
    with pytest.raises(InvalidInput, match=r"data_batch_3\.bin: cannot be read: No such file or directory"):
        _ = Cifar10(folder=binary).table


class Calls:
    """A pickle of this calls a function when it is loaded."""

    def __init__(self, function, *arguments):
        self.call = function, arguments

    def __reduce__(self):
        return self.call


def batch(**changed):
    rows = np.zeros((4, 3072), dtype=np.uint8)
    return {"data": rows, "labels": [0, 1, 2, 3]} | changed


def harmful():
    made = "harm-was-done"
    return {
        "os.system": Calls(os.system, f"touch {made}"),
        "in a value": batch(labels=Calls(os.mkdir, made)),
        "in a key": {Calls(os.mkdir, made): 1},
        "eval": Calls(eval, f"open({made!r}, 'w')"),
        "open": Calls(open, made, "w"),
        "getattr": Calls(getattr, os, "system"),
        "numpy.load": Calls(np.load, made, None, True),
        "numpy.fromfile": Calls(np.memmap, made, np.uint8, "w+", 0, (4,)),
        "numpy.frombuffer": Calls(np.frombuffer, b"1234"),
        "an array of objects": batch(data=np.array([Calls(os.mkdir, made)], dtype=object)),
    }


@pytest.mark.parametrize("protocol", range(6))
@pytest.mark.parametrize("case", harmful())
def test_harmful_pickles_are_refused_before_anything_happens(case, protocol, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    content = harmful()[case]
    try:
        written = pickle.dumps(content, protocol=protocol)
    except TypeError:
        # A module cannot be pickled: by its name then.
        written = b"cbuiltins\ngetattr\n(cos\nsystem\nU\x04nameo."
    (tmp_path / "x").write_bytes(written)
    with pytest.raises(
        InvalidInput, match=r"expected a batch of CIFAR-10, refused to load '[\w.]+', which none needs\.$"
    ):
        read_pickled("x")
    assert os.listdir() == ["x"]


HAND_MADE = {
    "inst": b"(S'touch harm'\nios\nsystem\n.",
    "obj": b"(cos\nsystem\nU\x04harmo.",
    "dotted name": b"\x80\x04\x8c\x05numpy\x8c\x0cndarray.dump\x93.",
    "a name with lines": b"\x80\x04\x8c\x05a\nb\x1bc\x8c\x01d\x93.",
    "extension": b"\x82\x01.",
    "persistent": b"P1\n.",
    "state of a class": b"cnumpy\nndarray\n}U\x01aU\x01bsb.",
    "slots of a class": b"cnumpy\nndarray\nN}U\x0c__setstate__K\x01s\x86b.",
    "a class called wrongly": b"c_codecs\nencode\n(K\x01tR.",
    "nothing": b"\x80\x02N.",
    "endless": b"\x80\x02(((((((",
}


@pytest.mark.parametrize("content", HAND_MADE.values(), ids=HAND_MADE)
def test_hand_made_pickles_are_one_line(content, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "x").write_bytes(content)
    with pytest.raises(InvalidInput, match=r"^x: (expected|the file is damaged)") as refusal:
        read_pickled("x")
    assert str(refusal.value).isprintable()
    assert os.listdir() == ["x"]


def test_a_refused_pickle_leaves_nothing_behind(binary, tmp_path):
    for content in HAND_MADE.values():
        (tmp_path / "x").write_bytes(content)
        with pytest.raises(InvalidInput):
            read_pickled(tmp_path / "x")
    rows = records(binary, "data_batch_1")
    (tmp_path / "x").write_bytes(python_3(2)(rows))
    images, labels = read_pickled(tmp_path / "x")
    assert np.array_equal(images, read_binary(binary / "data_batch_1.bin")[0])
    assert np.array_equal(labels, rows[:, 0])


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ([1, 2], "a dictionary with data and labels, got a list"),
        (batch(data=None), "data to be bytes of shape (N, 3072)"),
        (batch(data=b"1234"), "data to be bytes of shape (N, 3072)"),
        (batch(data=np.zeros((4, 3072), dtype=np.int8)), "data to be bytes of shape (N, 3072)"),
        (batch(data=np.zeros((4, 3072))), "data to be bytes of shape (N, 3072)"),
        (batch(data=np.zeros((4, 3071), dtype=np.uint8)), "data to be bytes of shape (N, 3072)"),
        (batch(data=np.zeros((4, 32, 32, 3), dtype=np.uint8)), "data to be bytes of shape (N, 3072)"),
        (batch(labels=None), "labels to be a list of integers"),
        (batch(labels=[0, 1, 2, 3.0]), "labels to be a list of integers"),
        (batch(labels=[0, 1, 2, True]), "labels to be a list of integers"),
        (batch(labels=[0, 1, 2]), "4 labels, one for each image, got 3"),
        (batch(labels=[0, 1, 2, 10]), "labels 0..9, got 10"),
        (batch(labels=[0, 1, 2, -1]), "labels 0..9, got -1"),
        (batch(labels=[0, 1, 2, 10**30]), "labels 0..9, got 1000000000000000000000000000000"),
    ],
)
@pytest.mark.parametrize("protocol", [2, 5])
def test_other_content_is_refused(content, message, protocol, tmp_path):
    (tmp_path / "x").write_bytes(pickle.dumps(content, protocol=protocol))
    with pytest.raises(InvalidInput, match=re.escape(f"x: expected {message}")):
        read_pickled(tmp_path / "x")


def test_an_empty_batch_is_refused(tmp_path):
    empty = {"data": np.zeros((0, 3072), dtype=np.uint8), "labels": []}
    (tmp_path / "x").write_bytes(pickle.dumps(empty, protocol=5))
    with pytest.raises(InvalidInput, match=r"x: expected data to be bytes of shape \(N, 3072\)\.$"):
        read_pickled(tmp_path / "x")


@pytest.mark.parametrize("write", [python_2, python_3(2), python_3(5)], ids=["python 2", "2", "5"])
def test_truncated_and_damaged_pickles_are_refused_or_harmless(write, binary, tmp_path):
    content = write(records(binary, "data_batch_1")[:1])
    assert sum(1 for _ in pickletools.genops(content)) > 20
    path = tmp_path / "x"
    for length in [*range(0, 200, 3), *range(200, len(content), 97), len(content) - 1]:
        path.write_bytes(content[:length])
        with pytest.raises(InvalidInput, match=r"x: (the file is damaged|expected)"):
            read_pickled(path)
    # The structure of the pickle stands before and after the pixels.
    for position in [*range(0, 260, 3), *range(len(content) - 160, len(content), 3)]:
        broken = bytearray(content)
        broken[position] ^= 0xFF
        path.write_bytes(broken)
        try:
            images, _ = read_pickled(path)
        except InvalidInput:
            continue
        assert images.shape == (1, 32, 32, 3)
