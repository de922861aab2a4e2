"""Weights in .onnx files: as the package writes them, and what a stranger's file has wrong."""

import sys

import ml_dtypes
import numpy as np
import pytest

from mis.inspect.formats import read
from mis.numerics.checks import InvalidInput


def test_without_the_package_a_line_says_what_to_do(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "onnx", None)
    (tmp_path / "w.onnx").write_bytes(b"\x08\x0a")
    with pytest.raises(InvalidInput, match=r'need the package onnx: python -m pip install "mis\[formats\]"'):
        read(tmp_path / "w.onnx")


@pytest.fixture
def onnx():
    return pytest.importorskip("onnx", reason="reads .onnx with the package onnx")


def saved(onnx, path, arrays, change=None):
    weights = [onnx.numpy_helper.from_array(array, name) for name, array in arrays.items()]
    graph = onnx.helper.make_graph([], "g", [], [], weights)
    model = onnx.helper.make_model(graph)
    if change is not None:
        change(model)
    path.write_bytes(model.SerializeToString())
    return path


def test_reads_what_the_package_writes(onnx, tmp_path, rng):
    arrays = {
        "first.weight": rng.normal(size=(5, 3)).astype(np.float32),
        "half": rng.normal(size=(2, 3, 4)).astype(np.float16),
        "short": rng.normal(size=4).astype(ml_dtypes.bfloat16),
        "codes": rng.integers(-128, 127, size=(7, 2)).astype(np.int8),
        "none": np.zeros((0, 3), np.float32),
    }
    found = {tensor.name: tensor for tensor in read(saved(onnx, tmp_path / "w.onnx", arrays))}
    assert list(found) == list(arrays)
    for name, array in arrays.items():
        assert (found[name].shape, found[name].kind, found[name].num_bytes) == (
            array.shape, array.dtype.name, array.nbytes)  # fmt: skip
        np.testing.assert_array_equal(found[name].open(), array)


def elsewhere(model):
    model.graph.initializer[0].data_location = 1


def too_few(model):
    model.graph.initializer[0].dims[0] = 9


@pytest.mark.parametrize(
    ("change", "message"),
    [(elsewhere, "tensor w: lies in another file"), (too_few, "tensor w: the file is damaged")],
)
def test_refuses_weights_that_are_not_there(onnx, tmp_path, change, message):
    path = saved(onnx, tmp_path / "w.onnx", {"w": np.ones((2, 3), np.float32)}, change)
    with pytest.raises(InvalidInput, match=message):
        read(path)


@pytest.mark.usefixtures("onnx")
@pytest.mark.parametrize("content", [b"PK\x03\x04 not this", b"{}", b"\x0a\xff\xff\xff\xff\x0f"])
def test_refuses_other_formats(tmp_path, content):
    (tmp_path / "w.onnx").write_bytes(content)
    with pytest.raises(InvalidInput, match=r"expected an \.onnx file, got another format") as refused:
        read(tmp_path / "w.onnx")
    assert "\n" not in str(refused.value)
