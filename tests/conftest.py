import os

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
