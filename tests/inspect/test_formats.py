"""Readers hold against what other packages write, and say in one line what a stranger's file has wrong."""

import io
import json
import os
import struct
import sys
import zipfile

import gguf
import ml_dtypes
import numpy as np
import pytest
from safetensors.numpy import save_file

from mis.inspect.formats import READERS, read
from mis.inspect.formats.base import mapped
from mis.numerics.checks import InvalidInput


def write_npz(path, arrays):
    np.savez(path, **arrays)


def write_gguf(path, arrays):
    writer = gguf.GGUFWriter(path, "test")
    writer.add_array("tokens", ["a", "b\x00c", ""])
    writer.add_array("sizes", [1, 2, 3])
    writer.add_bool("flag", True)
    for name, array in arrays.items():
        writer.add_tensor(name, array)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


WRITERS = {
    ".safetensors": lambda path, arrays: save_file(arrays, path),
    ".npz": write_npz,
    ".gguf": write_gguf,
}


@pytest.fixture
def arrays(rng):
    return {
        "first.weight": rng.normal(size=(5, 3)).astype(np.float32),
        "half": rng.normal(size=(2, 3, 4)).astype(np.float16),
        "codes": rng.integers(-128, 127, size=(7, 2)).astype(np.int8),
        "long": rng.integers(0, 2**40, size=3),
    }


def test_every_reader_has_a_writer():
    """But for .onnx, which needs a package that tests do without where it is missing."""
    assert {*WRITERS, ".onnx"} == set(READERS)


@pytest.mark.parametrize("suffix", WRITERS)
def test_reads_what_others_write(tmp_path, arrays, suffix):
    path = tmp_path / f"w{suffix}"
    WRITERS[suffix](path, arrays)
    before = path.read_bytes()
    found = {tensor.name: tensor for tensor in read(path)}
    assert set(found) == set(arrays)
    for name, array in arrays.items():
        assert found[name].shape == array.shape
        assert found[name].kind == array.dtype.name
        assert found[name].num_bytes == array.nbytes
        np.testing.assert_array_equal(found[name].open(), array)
        assert not found[name].open().flags.writeable
    assert path.read_bytes() == before


def test_safetensors_with_short_floats(tmp_path):
    values = np.array([1.0, -2.0, 0.5], np.float32)
    arrays = {"b": values.astype(ml_dtypes.bfloat16), "e": values.astype(ml_dtypes.float8_e4m3fn)}
    body = b"".join(array.tobytes() for array in arrays.values())
    header = {
        "b": {"dtype": "BF16", "shape": [3], "data_offsets": [0, 6]},
        "e": {"dtype": "F8_E4M3", "shape": [3], "data_offsets": [6, 9]},
    }
    path = tmp_path / "w.safetensors"
    path.write_bytes(safetensors_bytes(header, body))
    for tensor in read(path):
        np.testing.assert_array_equal(tensor.open().astype(np.float32), values)


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
@pytest.mark.parametrize("dtype", ["<f4", ">f4", "<f8"])
def test_npz_in_any_order(tmp_path, rng, order, save, dtype):
    array = np.asarray(rng.normal(size=(4, 6, 2)), dtype, order=order)
    save(tmp_path / "w.npz", w=array)
    (tensor,) = read(tmp_path / "w.npz")
    np.testing.assert_array_equal(tensor.open(), array)


def test_gguf_blocks_stay_bytes(tmp_path, rng):
    rows = rng.normal(size=(3, 64)).astype(np.float32)
    kind = gguf.GGMLQuantizationType.Q4_0
    blocks = gguf.quantize(rows, kind)
    writer = gguf.GGUFWriter(tmp_path / "w.gguf", "test")
    writer.add_tensor("w", blocks, raw_dtype=kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    (tensor,) = read(tmp_path / "w.gguf")
    assert (tensor.shape, tensor.kind, tensor.num_bytes) == ((3, 64), "Q4_0", 3 * 2 * 18)
    np.testing.assert_array_equal(tensor.open().reshape(3, -1), blocks)


def safetensors_bytes(header, body=b""):
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + body


def entry(shape, start, stop, dtype="F32"):
    return {"dtype": dtype, "shape": shape, "data_offsets": [start, stop]}


def gguf_bytes(*, version=3, tensors=1, values=b"", num_values=0, entries=None, body=bytes(64)):
    if entries is None:
        entries = gguf_entry()
    head = b"GGUF" + struct.pack("<IQQ", version, tensors, num_values) + values + entries
    return head + bytes(-len(head) % 32) + body


def gguf_entry(name=b"w", shape=(4, 4), kind=0, offset=0):
    text = struct.pack("<Q", len(name)) + name
    return text + struct.pack(f"<I{len(shape)}QIQ", len(shape), *shape, kind, offset)


def npy_bytes(header, body=b""):
    text = repr(header).encode() + b"\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text + body


def npz_bytes(members, compression=zipfile.ZIP_STORED):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", compression) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return file.getvalue()


def open_all(path):
    for tensor in read(path):
        tensor.open()


def saved_npz(**arrays):
    file = io.BytesIO()
    np.savez(file, **arrays)
    return file.getvalue()


F4 = {"descr": "<f4", "fortran_order": False, "shape": (2,)}
GOOD = safetensors_bytes({"w": entry([2], 0, 8)}, bytes(8))
BAD = {
    "safetensors: empty": ("w.safetensors", b"", "an empty one"),
    "safetensors: magic": ("w.safetensors", b"GGUF" + bytes(60), "expected a .safetensors file"),
    "safetensors: eight bytes": ("w.safetensors", bytes(8), "expected a .safetensors file"),
    "safetensors: header beyond the file": (
        "w.safetensors",
        struct.pack("<Q", 10**11) + b"{}",
        "header of 100000000000",
    ),
    "safetensors: truncated": ("w.safetensors", GOOD[:-1], "truncated or damaged: bytes 0 to 8 of 7"),
    "safetensors: header cut": ("w.safetensors", GOOD[:20], "truncated or damaged: a header"),
    "safetensors: more than it says": ("w.safetensors", GOOD + b"\x00", "fill its 9 bytes, got 8"),
    "safetensors: no JSON": ("w.safetensors", safetensors_bytes(b"{'w': 1}"), "header is damaged"),
    "safetensors: nested": (
        "w.safetensors",
        safetensors_bytes(b'{"a":' + b"[" * 100_000),
        "header is damaged",
    ),
    "safetensors: no text": ("w.safetensors", safetensors_bytes(b'{"\xff": 1}'), "header is damaged"),
    "safetensors: a name twice": (
        "w.safetensors",
        safetensors_bytes(b'{"w": {}, "w": {}}'),
        "stands there twice",
    ),
    "safetensors: no entry": (
        "w.safetensors",
        safetensors_bytes({"w": 3}),
        "expected dtype, shape and data_offsets",
    ),
    "safetensors: dtype": (
        "w.safetensors",
        safetensors_bytes({"w": entry([2], 0, 8, "F31")}, bytes(8)),
        "dtype that is known, got F31",
    ),
    "safetensors: dtype that is none": (
        "w.safetensors",
        safetensors_bytes({"w": entry([2], 0, 8, ["F32"])}, bytes(8)),
        "dtype that is known",
    ),
    "safetensors: overlap": (
        "w.safetensors",
        safetensors_bytes({"w": entry([2], 0, 8), "v": entry([2], 4, 12)}, bytes(12)),
        "do not overlap, got w and v",
    ),
    "safetensors: overflow": (
        "w.safetensors",
        safetensors_bytes({"w": entry([2**32, 2**32], 0, 0)}),
        "does not fit its 0 bytes",
    ),
    "safetensors: negative": (
        "w.safetensors",
        safetensors_bytes({"w": entry([-1, -2], 0, 8)}, bytes(8)),
        "shape of integers >= 0",
    ),
    "safetensors: fraction": (
        "w.safetensors",
        safetensors_bytes({"w": entry([2.0], 0, 8)}, bytes(8)),
        "shape of integers >= 0",
    ),
    "safetensors: 100 GB": (
        "w.safetensors",
        safetensors_bytes({"w": entry([25 * 10**9], 0, 10**11)}, bytes(8)),
        "truncated or damaged",
    ),
    "safetensors: backwards": (
        "w.safetensors",
        safetensors_bytes({"w": entry([2], 8, 0)}, bytes(8)),
        "truncated or damaged",
    ),
    "safetensors: nothing": ("w.safetensors", safetensors_bytes({}), "expected tensors, got none"),
    "npz: empty": ("w.npz", b"", "an empty one"),
    "npz: magic": ("w.npz", b"\x93NUMPY" + bytes(60), "expected an .npz file"),
    "npz: truncated": ("w.npz", saved_npz(w=np.zeros(99))[:-40], "damaged or truncated"),
    "npz: pickled": ("w.npz", saved_npz(w=np.array([{}, None], object)), "got Python objects"),
    "npz: no array": ("w.npz", npz_bytes({"w.npy": b"words"}), "damaged or truncated"),
    "npz: shape": ("w.npz", npz_bytes({"w.npy": npy_bytes(F4, bytes(4))}), "does not fit its 4 bytes"),
    "npz: 100 GB": (
        "w.npz",
        npz_bytes({"w.npy": npy_bytes(F4 | {"shape": (25 * 10**9,)}, bytes(4))}),
        "does not fit its 4 bytes",
    ),
    "npz: overflow": (
        "w.npz",
        npz_bytes({"w.npy": npy_bytes(F4 | {"shape": (2**32, 2**32)}, b"")}),
        "does not fit its 0 bytes",
    ),
    "npz: negative": (
        "w.npz",
        npz_bytes({"w.npy": npy_bytes(F4 | {"shape": (-1, -2)}, bytes(8))}),
        "does not fit its 8 bytes",
    ),
    "npz: code in a header": (
        "w.npz",
        npz_bytes({"w.npy": b"\x93NUMPY\x01\x00\x10\x00__import__('os')"}),
        "damaged or truncated",
    ),
    "npz: nothing": ("w.npz", npz_bytes({}), "expected tensors, got none"),
    "gguf: empty": ("w.gguf", b"", "an empty one"),
    "gguf: magic": ("w.gguf", b"GGML" + bytes(60), "expected a .gguf file"),
    "gguf: four bytes": ("w.gguf", b"GGUF", "truncated or damaged"),
    "gguf: version": ("w.gguf", gguf_bytes(version=1), "version 2 or 3"),
    "gguf: other byte order": ("w.gguf", gguf_bytes(version=3 << 24), "little-endian"),
    "gguf: truncated": ("w.gguf", gguf_bytes(body=bytes(63)), "truncated or damaged"),
    "gguf: tensors without end": ("w.gguf", gguf_bytes(tensors=2**60), "truncated or damaged"),
    "gguf: metadata without end": ("w.gguf", gguf_bytes(num_values=2**60), "damaged"),
    "gguf: a long name": (
        "w.gguf",
        gguf_bytes(entries=struct.pack("<Q", 2**63) + b"w"),
        "truncated or damaged",
    ),
    "gguf: a long array": (
        "w.gguf",
        gguf_bytes(num_values=1, values=struct.pack("<QcIIQ", 1, b"k", 9, 4, 2**62)),
        "truncated or damaged",
    ),
    "gguf: arrays of arrays": (
        "w.gguf",
        gguf_bytes(num_values=1, values=struct.pack("<QcI", 1, b"k", 9) + struct.pack("<IQ", 9, 1) * 50),
        "metadata of type 9",
    ),
    "gguf: metadata": (
        "w.gguf",
        gguf_bytes(num_values=1, values=struct.pack("<QcI", 1, b"k", 77)),
        "metadata of type 77",
    ),
    "gguf: alignment": (
        "w.gguf",
        gguf_bytes(num_values=1, values=struct.pack("<Q17sII", 17, b"general.alignment", 4, 0)),
        "a power of two, got 0",
    ),
    "gguf: type": ("w.gguf", gguf_bytes(entries=gguf_entry(kind=99)), "a type that is known, got type 99"),
    "gguf: axes": ("w.gguf", gguf_bytes(entries=gguf_entry(shape=(1,) * 9)), "at most 8 axes, got 9"),
    "gguf: overflow": (
        "w.gguf",
        gguf_bytes(entries=gguf_entry(shape=(2**33, 2**33))),
        "truncated or damaged",
    ),
    "gguf: 100 GB": ("w.gguf", gguf_bytes(entries=gguf_entry(shape=(25 * 10**9,))), "ends at byte 100000000"),
    "gguf: half a block": (
        "w.gguf",
        gguf_bytes(entries=gguf_entry(shape=(33,), kind=2)),
        "whole Q4_0 blocks of 32",
    ),
    "gguf: a name twice": ("w.gguf", gguf_bytes(tensors=2, entries=2 * gguf_entry()), "names that differ"),
    "gguf: overlap": (
        "w.gguf",
        gguf_bytes(tensors=2, entries=gguf_entry() + gguf_entry(b"v", (2, 2), offset=32)),
        "do not overlap, got w and v",
    ),
    "gguf: nothing": ("w.gguf", gguf_bytes(tensors=0, entries=b""), "expected tensors, got none"),
    "suffix": ("w.pt", b"PK", "expected a file that ends in .safetensors, .npz, .gguf"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_files_are_one_line(tmp_path, case):
    name, content, message = BAD[case]
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InvalidInput) as error:
        open_all(tmp_path / name)
    said = str(error.value)
    assert message in said
    assert str(tmp_path / name) in said
    assert said.isprintable()
    assert len(said) < 400 + len(str(tmp_path))
    assert (tmp_path / name).read_bytes() == content


@pytest.mark.parametrize("suffix", WRITERS)
def test_folders_and_missing_files(tmp_path, suffix):
    (tmp_path / f"w{suffix}").mkdir()
    with pytest.raises(InvalidInput, match="got a folder"):
        read(tmp_path / f"w{suffix}")
    with pytest.raises(InvalidInput, match="No such file"):
        read(tmp_path / f"none{suffix}")
    with pytest.raises(InvalidInput, match="cannot be read"):
        read(f"w\x00{suffix}")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no pipes with names")
def test_a_pipe_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "w.npz")
    with pytest.raises(InvalidInput, match="a device or a pipe"):
        mapped(tmp_path / "w.npz")


@pytest.mark.parametrize("suffix", WRITERS)
def test_no_cut_goes_unnoticed(tmp_path, arrays, suffix):
    """Whatever a file is cut to, it is refused: no byte of it is superfluous, but for padding."""
    path = tmp_path / f"w{suffix}"
    WRITERS[suffix](path, {"w": arrays["first.weight"]})
    content = path.read_bytes()
    for length in [*range(0, len(content) - 1, 17), len(content) - 5]:
        path.write_bytes(content[:length])
        with pytest.raises(InvalidInput):
            open_all(path)


@pytest.mark.parametrize("suffix", WRITERS)
def test_no_changed_byte_goes_astray(tmp_path, arrays, rng, suffix):
    """A changed byte makes other numbers or one line, never another error."""
    path = tmp_path / f"w{suffix}"
    WRITERS[suffix](path, {"w": arrays["first.weight"], "v": arrays["codes"]})
    content = bytearray(path.read_bytes())
    for place in rng.choice(len(content), size=min(len(content), 150), replace=False):
        changed = content.copy()
        changed[place] ^= int(rng.integers(1, 256))
        path.write_bytes(changed)
        try:
            for tensor in read(path):
                assert tensor.open().size >= 0
        except InvalidInput as error:
            assert str(error).isprintable()  # noqa: PT017


def test_a_bomb_is_not_unpacked(tmp_path):
    content = npz_bytes({"w.npy": npy_bytes(F4 | {"shape": (2**22,)}, bytes(2**24))}, zipfile.ZIP_DEFLATED)
    path = tmp_path / "w.npz"
    path.write_bytes(content)
    assert read(path)[0].size == 2**22
    # The directory claims 100 GB; the header agrees with it.
    claimed = content.replace(
        struct.pack("<I", len(npy_bytes(F4 | {"shape": (2**22,)})) + 2**24), b"\xf0" * 4
    )
    path.write_bytes(claimed)
    with pytest.raises(InvalidInput, match="more than its"):
        read(path)


def test_blocks_need_the_package(tmp_path, monkeypatch):
    path = tmp_path / "w.gguf"
    path.write_bytes(gguf_bytes(entries=gguf_entry(shape=(32,), kind=2)))
    assert read(path)[0].kind == "Q4_0"
    monkeypatch.setitem(sys.modules, "gguf", None)
    with pytest.raises(InvalidInput, match=r"pip install \"mis\[formats\]\""):
        read(path)
    path.write_bytes(gguf_bytes())
    assert read(path)[0].kind == "float32"
