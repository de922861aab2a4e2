import dataclasses
import os
from pathlib import Path

import numpy as np
import pytest

from mis.models import MLP
from mis.numerics.checks import InvalidInput
from mis.quantizers import Sign
from mis.store import Store, fingerprint
from mis.training import Compression, Learner


@dataclasses.dataclass(frozen=True)
class Inner:
    size: int = 1


@dataclasses.dataclass(frozen=True)
class Twin:
    size: int = 1


@dataclasses.dataclass(frozen=True)
class Outer:
    inner: Inner | Twin


def test_reads_what_was_written(tmp_path):
    for store in (Store(tmp_path / "a" / "b"), Store(None)):
        assert store.read("part", ["x"]) is None
        store.write("part", x=np.arange(3.0), text=np.array('{"a": 1}'))
        found = store.read("part", ["x", "text"])
        np.testing.assert_array_equal(found["x"], np.arange(3.0))
        assert str(found["text"]) == '{"a": 1}'
        store.write("part", x=np.arange(2))
        np.testing.assert_array_equal(store.read("part", ["x"])["x"], np.arange(2))


def test_memory_is_of_one_store():
    Store(None).write("part", x=np.zeros(1))
    assert Store(None).read("part", ["x"]) is None


def test_fresh_forgets_this_folder_only(tmp_path):
    for name in ("mine", "other"):
        Store(tmp_path / name).write("part", x=np.zeros(1))
    assert Store(tmp_path / "mine").read("part", ["x"]) is not None
    assert Store(tmp_path / "mine", fresh=True).read("part", ["x"]) is None
    assert Store(tmp_path / "other").read("part", ["x"]) is not None


def test_no_damage_goes_unnoticed(tmp_path):
    """Every byte turned over in turn, and every truncation: the arrays as written, or none."""
    store, keys = Store(tmp_path), ["x", "row"]
    store.write("part", x=np.arange(3, dtype=np.float32), row=np.array('{"a": 1}'))
    path = tmp_path / "part.npz"
    content, written = path.read_bytes(), store.read("part", keys)

    def unharmed(found):
        return all(np.array_equal(found[k], written[k]) and found[k].dtype == written[k].dtype for k in keys)

    noticed = 0
    for position in range(len(content)):
        path.write_bytes(content[:position] + bytes([content[position] ^ 0xFF]) + content[position + 1 :])
        found = store.read("part", keys)
        assert found is None or unharmed(found), position
        noticed += found is None
        path.write_bytes(content[:position])
        assert store.read("part", keys) is None, position
    # The rest are dates and other things that are not read.
    assert noticed > len(content) / 2
    store.write("part", **written)
    assert unharmed(store.read("part", keys))


def test_a_missing_array_is_no_result(tmp_path):
    store = Store(tmp_path)
    store.write("part", x=np.zeros(1))
    assert store.read("part", ["x", "y"]) is None


class Killed(BaseException):
    pass


def test_a_writer_that_dies_leaves_the_old_content(tmp_path, monkeypatch):
    store = Store(tmp_path)
    store.write("part", x=np.zeros(1))

    def die(*_):
        raise Killed

    monkeypatch.setattr(os, "replace", die)
    with pytest.raises(Killed):
        store.write("part", x=np.ones(1))
    assert store.read("part", ["x"])["x"] == 0.0
    assert [path.name for path in tmp_path.iterdir()] == ["part.npz"]


def test_a_folder_that_cannot_be_written_is_refused(tmp_path):
    (tmp_path / "file").write_text("")
    for fresh in (False, True):
        with pytest.raises(
            InvalidInput, match=r"store: expected out a folder that can be written, got out='.*file/sub'"
        ):
            Store(tmp_path / "file" / "sub", fresh=fresh)


ARRAY = np.arange(6, dtype=np.float32)


@pytest.mark.parametrize(
    "parts",
    [
        (Learner(), ARRAY[::-1]),
        (Learner(), ARRAY.reshape(2, 3)),
        (Learner(), ARRAY.astype(np.float64)),
        (Learner(), ARRAY.view(np.int32)),
        (Learner(), np.nextafter(ARRAY, np.float32(9))),
        (ARRAY, Learner()),
        (Learner(),),
        (MLP(input_shape=(1,)), ARRAY),
        *((dataclasses.replace(Learner(), **{k: v}), ARRAY) for k, v in {
            "optimiser": "sgd", "learning_rate": 2e-3, "num_steps": 601, "batch_size": 63, "weight_decay": 1e-9,
            "initialisation": "random", "forward": Compression(quantizer=Sign())}.items()),
    ],
    ids=str,
)  # fmt: skip
def test_fingerprint_sees_every_difference(parts):
    assert fingerprint(*parts) != fingerprint(Learner(), ARRAY)


def test_every_field_of_the_learner_was_varied():
    assert len(dataclasses.fields(Learner)) == 7


def test_fingerprint_sees_boundaries_and_inner_types():
    assert fingerprint(1, 23) != fingerprint(12, 3)
    assert fingerprint("a", "b") != fingerprint("ab")
    assert fingerprint(Outer(Inner())) != fingerprint(Outer(Twin()))
    assert fingerprint(1) != fingerprint("1") != fingerprint(1.0)


def test_fingerprint_of_equal_content_is_equal():
    strided = np.repeat(ARRAY, 2)[::2]
    assert fingerprint(Learner(num_steps=np.int64(600)), strided) == fingerprint(Learner(), ARRAY)
    assert fingerprint({"a": 1, "b": [2.0]}) == fingerprint({"b": [2.0], "a": 1})


def test_fingerprint_refuses_what_it_cannot_read():
    with pytest.raises(TypeError, match="expected specs and arrays, got a set"):
        fingerprint({1, 2})


@pytest.mark.parametrize(("mask", "mode"), [(0o022, 0o644), (0o002, 0o664), (0o077, 0o600)])
def test_stored_files_follow_the_umask(mask, mode, tmp_path):
    before = os.umask(mask)
    try:
        Store(tmp_path).write("part", x=np.zeros(1))
    finally:
        os.umask(before)
    assert (tmp_path / "part.npz").stat().st_mode & 0o777 == mode


def test_a_file_that_may_not_be_read_is_neither_missing_nor_damaged(tmp_path, monkeypatch):
    store = Store(tmp_path)
    store.write("part", x=np.zeros(1))

    # Root may read everything, so permissions cannot be taken away for real.
    def refuse(*_):
        raise PermissionError(13, "Permission denied")

    with monkeypatch.context() as patch:
        patch.setattr(Path, "read_bytes", refuse)
        with pytest.raises(
            InvalidInput,
            match=r"^store: expected a file that can be read, got '.*part\.npz' \(Permission denied\)",
        ):
            store.read("part", ["x"])
    (tmp_path / "folder.npz").mkdir()
    with pytest.raises(InvalidInput, match=r"folder\.npz' \(Is a directory\)"):
        store.read("folder", ["x"])
    assert store.read("part", ["x"])["x"] == 0.0
    assert store.read("none", ["x"]) is None


def test_any_path_is_a_folder(tmp_path):
    Store(str(tmp_path)).write("part", x=np.ones(1))
    assert Store(tmp_path).read("part", ["x"])["x"] == 1.0
