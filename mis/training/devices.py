"""The one place that chooses how many networks are mapped over the hardware, and how hard XLA compiles.

Measured: on a CPU, one network at a time per core (a scan in a shard, one host device a core) keeps each network's
weights in its core's cache and is twice as fast as a wide ``vmap``, which leaves most of its time to memory. On a GPU
only a wide ``vmap`` fills the machine. Convolutions on a CPU are 4 to 10 times slower inside a compiled loop than in
one compiled step that Python calls again and again, one thread a core.
"""

import functools
import os
import warnings
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import jax
from jax.sharding import PartitionSpec

from mis.models import Model
from mis.training import memory

__all__ = ["FEW_RUNS", "convolution_options", "in_one_program", "in_turns", "num_devices", "over_networks"]

# Compiler options for what runs only a few times and spends its time in products, which no compiler makes faster: two
# thirds of the time to compile, the same to run.
FEW_RUNS = {"xla_backend_optimization_level": 1}


@functools.cache
def num_devices() -> int:
    """Return the number of devices the model axis is split over; on a CPU first ask JAX for one a core."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    forced = "xla_force_host_platform_device_count" in os.environ.get("XLA_FLAGS", "")
    try:
        if not forced and jax.config.values["jax_num_cpu_devices"] < cores:
            jax.config.update("jax_num_cpu_devices", cores)
    except RuntimeError:
        # The caller has started JAX already: take the devices there are.
        if jax.default_backend() == "cpu" and jax.local_device_count() < cores:
            warnings.warn(
                f"JAX was started before mis could ask for one CPU device a core; training will use "
                f"{jax.local_device_count()} of {cores}. Set jax_num_cpu_devices before any computation.",
                RuntimeWarning,
                stacklevel=2,
            )
    return jax.local_device_count()


def in_one_program(model: Model) -> bool:
    """Return whether networks are trained in one compiled program, steps included, or step by step from Python."""
    return model.compiled_loop or jax.default_backend() != "cpu"


@functools.cache
def convolution_options() -> dict[str, str]:
    """Return compiler options for a training step of a convolutional network.

    Of what XLA may leave to YNNPACK on a CPU only sums: YNNPACK's gradients with respect to kernels take twice as long
    as XLA's own convolutions. A jaxlib that does not know the option gets none.
    """
    options = {"xla_cpu_experimental_ynn_fusion_type": "LIBRARY_FUSION_TYPE_REDUCE"}
    # Before anything starts JAX.
    num_devices()
    try:
        jax.jit(lambda: 0, compiler_options=options)()
    except jax.errors.JaxRuntimeError:
        return {}
    return options


def in_turns(one: Callable, count: int) -> list:
    """Return ``[one(0), one(1), ...]``, each computed on its device, a thread a device.

    For networks that are not mapped in one program: each call is a few compiled calls, whose results are best fetched
    to the host, where they come together.
    """
    devices = jax.local_devices()[: num_devices()]

    def work(place):
        with jax.default_device(devices[place]):
            return [one(m) for m in range(place, count, len(devices))]

    with memory.kept(), ThreadPoolExecutor(len(devices)) as threads:
        of_device = list(threads.map(work, range(len(devices))))
    return [of_device[m % len(devices)][m // len(devices)] for m in range(count)]


def over_networks(one: Callable, num_shared: int) -> Callable:
    """Map ``one(*shared, *own)`` over the leading axis of every ``own``, split over the devices, as the backend likes.

    The leading axis must be a multiple of ``num_devices()``. Arguments before ``num_shared`` are the same for all.
    """
    mesh = jax.make_mesh((num_devices(),), ("networks",), axis_types=(jax.sharding.AxisType.Auto,))
    replicated, split = PartitionSpec(), PartitionSpec("networks")

    def shard(*args):
        shared, own = args[:num_shared], args[num_shared:]
        mapped = functools.partial(one, *shared)
        if jax.default_backend() == "cpu":
            return jax.lax.map(lambda item: mapped(*item), own)
        return jax.vmap(mapped)(*own)

    def call(*args):
        specs = (replicated,) * num_shared + (split,) * (len(args) - num_shared)
        return jax.shard_map(shard, mesh=mesh, in_specs=specs, out_specs=split, check_vma=False)(*args)

    return call
