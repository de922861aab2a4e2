import gzip
import itertools
import os
import struct

# Before NumPy and JAX are loaded: a worker is one of several, and threads of each would wait for those of the others.
for threads in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(threads, "1")

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


@pytest.fixture
def check_drawn():
    """Hold a figure against its own boxes: all within it, nothing over anything else, readable as it is printed."""
    # Here: few tests draw.
    from matplotlib.text import Text

    from mis.figures.style import styled

    def check(figure, width):
        # Some sizes are looked up when they are asked for.
        with styled(figure.style):
            held(figure, width)

    def held(figure, width):
        figure.draw_without_rendering()
        assert figure.get_figwidth() == pytest.approx(width)
        assert figure.get_figheight() < 9.5, "higher than a page"
        drawn = figure.get_tightbbox()
        assert drawn.x0 >= -0.01
        assert drawn.y0 >= -0.01
        assert drawn.x1 <= width + 0.01
        assert drawn.y1 <= figure.get_figheight() + 0.01
        for text in figure.findobj(Text):
            assert text.get_fontsize() >= 6, text
            assert not text.get_text() or not text.get_parse_math(), text
            assert not text.get_usetex(), text
        shown = [axes for axes in figure.axes if axes.axison]
        boxes = [axes.get_tightbbox() for axes in shown]
        # A pixel: neighbours may touch.
        for one, other in itertools.combinations([box.padded(-1) for box in boxes], 2):
            assert not one.overlaps(other)
        for legend in figure.legends:
            assert not any(legend.get_window_extent().padded(-1).overlaps(box) for box in boxes)
        for axes in shown:
            assert axes.get_legend() is None
            for axis in (axes.xaxis, axes.yaxis):
                low, high = sorted(axis.get_view_interval())
                ticks = zip(axis.get_majorticklocs(), axis.get_majorticklabels(), strict=False)
                labels = [label for place, label in ticks if low <= place <= high and label.get_visible()]
                for one, other in itertools.combinations([label.get_window_extent() for label in labels], 2):
                    assert not one.overlaps(other), [label.get_text() for label in labels]
        assert figure.caption.endswith(".")
        assert "None" not in figure.caption

    return check


@pytest.hookimpl(tryfirst=True)
def pytest_cmdline_main(config):
    """Spread the whole suite over all cores; a path that is named, ``-n 0`` and ``--pdb`` stay in one process."""
    # A worker must never start workers of its own.
    if "PYTEST_XDIST_WORKER" in os.environ or not config.pluginmanager.hasplugin("xdist"):
        return
    options = config.option
    whole = config.args_source is pytest.Config.ArgsSource.TESTPATHS
    workers = min(num_devices(), 8)
    if whole and workers > 1 and options.numprocesses is None and not options.usepdb:
        options.numprocesses, options.dist = workers, "worksteal"
