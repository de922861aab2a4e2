import gzip
import os
import struct

import jax
import numpy as np
import pytest

from mis.training.devices import num_devices

jax.config.update("jax_numpy_rank_promotion", "raise")

# Before any test starts JAX: one CPU device a core, as training wants it.
num_devices()


@pytest.fixture
def rng():
    return np.random.default_rng(20251)


@pytest.fixture
def sweep_seed():
    """Seed of the random laws and null draws that a sweep goes through: fixed here, another every week."""
    return int(os.environ.get("MIS_SWEEP_SEED", "0"))


@pytest.fixture(scope="session")
def data_folder(tmp_path_factory):
    """Return a folder with small sets in the formats of Fashion-MNIST and of CIFAR-10, for ``MIS_DATA``."""
    folder, rng = tmp_path_factory.mktemp("data"), np.random.default_rng(7)
    for prefix, num in (("train", 120), ("t10k", 40)):
        write_idx(folder / f"{prefix}-images-idx3-ubyte.gz", rng.integers(0, 256, size=(num, 28, 28)))
        write_idx(folder / f"{prefix}-labels-idx1-ubyte.gz", np.arange(num) % 10)
    batches = folder / "cifar-10-batches-bin"
    batches.mkdir()
    for name in [*(f"data_batch_{i}" for i in range(1, 6)), "test_batch"]:
        records = rng.integers(0, 256, size=(20, 3073), dtype=np.uint8)
        records[:, 0] = np.arange(20) % 10
        (batches / f"{name}.bin").write_bytes(records.tobytes())
    return folder


def write_idx(path, values):
    head = bytes([0, 0, 8, values.ndim]) + struct.pack(f">{values.ndim}I", *values.shape)
    path.write_bytes(gzip.compress(head + values.astype(np.uint8).tobytes()))
