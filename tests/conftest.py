import os

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
