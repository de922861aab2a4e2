"""Finding and reading files: every way a file can be wrong is one clear line."""

import zipfile

import numpy as np
import pytest

from mis.numerics.checks import InvalidInput
from mis.populations import Npz
from mis.populations.files import PACKAGED, locate, read_npz


@pytest.fixture
def good(tmp_path, rng):
    path = tmp_path / "good.npz"
    np.savez_compressed(path, features=rng.normal(size=(50, 3)), target=rng.normal(size=50))
    return path


def read(path):
    return read_npz(path, ["features", "target"], ["test"])


def test_reads_back_what_was_written(good):
    assert set(read(good)) == {"features", "target"}
    assert read(good)["features"].shape == (50, 3)


def test_float16_is_read_as_written():
    features = read(locate("freesolv", "freesolv.npz"))["features"]
    assert features.dtype == np.float16
    assert features[0, 2] == np.float16(0.597)


def test_every_truncation_is_refused(good):
    content = good.read_bytes()
    for length in [*range(0, 200, 7), *range(200, len(content), 97), len(content) - 1]:
        good.write_bytes(content[:length])
        with pytest.raises(
            InvalidInput, match=r"good\.npz: (the file is damaged|expected an \.npz file)"
        ) as refusal:
            read(good)
        assert "\n" not in str(refusal.value)


def test_every_flipped_byte_is_refused_or_harmless(good):
    content, expected = good.read_bytes(), read(good)
    for position in range(0, len(content), 13):
        broken = bytearray(content)
        broken[position] ^= 0xFF
        good.write_bytes(broken)
        try:
            arrays = read(good)
        except InvalidInput:
            continue
        for name, array in expected.items():
            assert np.array_equal(arrays[name], array), position


@pytest.mark.parametrize(("offset", "value"), [(8, 1), (10, 12), (10, 14), (10, 99)])
def test_encrypted_and_unknown_compression_are_refused(good, offset, value):
    content = bytearray(good.read_bytes())
    # The flags and the method of each entry stand in the central directory too.
    for entry in range(content.find(b"PK\x01\x02"), len(content)):
        if content[entry : entry + 4] == b"PK\x01\x02":
            content[entry + offset] = value
    content[offset - 2] = value
    good.write_bytes(content)
    with pytest.raises(InvalidInput, match=r"good\.npz: "):
        read(good)


@pytest.mark.parametrize("content", [b"", b"features,target\n1,2\n", b"\x93NUMPY\x01\x00", b"\x80\x04K\x01."])
def test_other_formats_are_refused(good, content):
    good.write_bytes(content)
    with pytest.raises(
        InvalidInput, match=r"expected an \.npz file \(written by numpy\.savez\), got another format\.$"
    ):
        read(good)


def test_a_zip_of_something_else_is_refused(good):
    with zipfile.ZipFile(good, "w") as archive:
        archive.writestr("features.npy", "not an array")
        archive.writestr("target.npy", "not an array")
    with pytest.raises(
        InvalidInput, match=r"good\.npz: the file is damaged or truncated: features is not an array\.$"
    ):
        read(good)


def test_an_array_larger_than_its_file_is_refused(good):
    header = b"{'descr': '<f8', 'fortran_order': False, 'shape': (1000000000000, 8), }"
    header += b" " * (117 - len(header)) + b"\n"
    with zipfile.ZipFile(good, "w") as archive:
        archive.writestr("features.npy", b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header)
        archive.writestr("target.npy", b"")
    with pytest.raises(InvalidInput, match="the file is damaged or truncated"):
        read(good)


@pytest.mark.parametrize("objects", ["features", "target", "test"])
def test_objects_are_refused_unread(good, objects):
    arrays = {"features": np.zeros((3, 2)), "target": np.zeros(3), "test": np.zeros(3, dtype=bool)}
    np.savez(good, **arrays | {objects: np.array([{}, [], None], dtype=object)})
    with pytest.raises(
        InvalidInput, match=f"expected {objects} numeric, got Python objects; save it with a numeric dtype"
    ):
        read(good)


def test_missing_arrays_are_named(good):
    np.savez(good, features=np.zeros((3, 2)), targets=np.zeros(3))
    with pytest.raises(
        InvalidInput, match="expected arrays features, target, lacks target; it has features, targets"
    ):
        read(good)
    np.savez(good)
    with pytest.raises(InvalidInput, match="lacks features, target; it has none"):
        read(good)


def test_missing_file_directory_and_unreadable(tmp_path, monkeypatch):
    with pytest.raises(InvalidInput, match=r"none\.npz: cannot be read: No such file or directory\.$"):
        read(tmp_path / "none.npz")
    with pytest.raises(InvalidInput, match=r"cannot be read: Is a directory\.$"):
        read(tmp_path)
    with pytest.raises(InvalidInput, match=r"none\.npz: cannot be read: No such file or directory\.$"):
        Npz(path=tmp_path / "none.npz")
    with pytest.raises(InvalidInput, match=r"cannot be read: Is a directory\.$"):
        Npz(path=tmp_path)

    # Root may read everything, so permissions cannot be taken away for real.
    def refuse(*_):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("builtins.open", refuse)
    with pytest.raises(InvalidInput, match=r"cannot be read: Permission denied\.$"):
        read(tmp_path / "locked.npz")


def test_npz_is_bound_to_its_content(good):
    spec = Npz(path=good)
    assert len(spec.digest) == 16
    assert Npz(path=str(good), digest=spec.digest) == spec
    np.savez(good, features=np.zeros((3, 2)), target=np.zeros(3))
    assert Npz(path=good) != spec
    with pytest.raises(InvalidInput, match="the file changed since it was named"):
        spec.read()
    with pytest.raises(
        InvalidInput, match=f"expected content of digest {spec.digest}, got {Npz(path=good).digest}"
    ):
        Npz(path=good, digest=spec.digest)


def test_locate_tries_package_then_named_then_system(tmp_path, monkeypatch):
    named, system = tmp_path / "named", tmp_path / "system"
    for folder in (named, system):
        folder.mkdir()
        (folder / "set.bin").touch()
        (folder / "freesolv.npz").touch()
    monkeypatch.setenv("MIS_DATA", str(named))
    assert locate("x", "freesolv.npz") == PACKAGED / "freesolv.npz"
    assert locate("x", "set.bin", system=str(system)) == named / "set.bin"
    assert locate("x", "set.bin", directory=str(system)) == system / "set.bin"
    monkeypatch.delenv("MIS_DATA")
    assert locate("x", "set.bin", system=str(system)) == system / "set.bin"
    with pytest.raises(
        InvalidInput, match=r"^x: expected a data file, found none of .*set\.bin\. Set MIS_DATA to the"
    ):
        locate("x", "set.bin")
    with pytest.raises(
        InvalidInput, match=r"found none of .*data/other\.bin, .*named/other\.bin\. Install it with apt\.$"
    ):
        locate("x", "other.bin", directory=str(named), remedy="Install it with apt.")
