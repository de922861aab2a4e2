"""What decides stored numbers besides the spec: the code that ran, the packages under it, JAX's settings."""

import functools
import hashlib
import inspect
import os
import uuid
from collections.abc import Iterator
from contextvars import ContextVar
from importlib import resources
from importlib.metadata import version
from typing import Any

__all__ = ["COMMAND", "FORMAT", "code", "made", "settings", "source_of", "versions"]

# Raised whenever a file of results means something else: a reader then refuses the older ones.
FORMAT = 1

# What the command line was asked for, as a shell takes it; empty where Python was.
COMMAND: ContextVar[str] = ContextVar("COMMAND", default="")

# Whatever can change a random draw, a dtype or a rounding. Where one of them is not known to a version of JAX it is
# left out. Keys are made with an algorithm of their own (``numerics.seeds``), so its default decides nothing.
SETTINGS = (
    "jax_allow_f16_reductions",
    "jax_default_matmul_precision",
    "jax_disable_jit",
    "jax_disable_most_optimizations",
    "jax_enable_x64",
    "jax_exec_time_optimization_effort",
    "jax_high_dynamic_range_gumbel",
    "jax_numpy_dtype_promotion",
    "jax_optimization_level",
    "jax_random_seed_offset",
    "jax_softmax_custom_jvp",
    "jax_threefry_gpu_kernel_lowering",
    "jax_threefry_partitionable",
    "jax_use_direct_linearize",
)

# What says where to compute, or what to write down of it, not what comes out.
SILENT_FLAGS = ("--xla_force_host_platform_device_count", "--xla_dump", "--xla_cpu_multi_thread_eigen")

# Rooms whose code computes nothing that a ranking keeps.
SHOWING = ("cli", "figures", "report", "studies", "verify", "works", "version.py")


@functools.cache
def code(*rooms: str) -> str:
    """Return a hash of the package's source in these rooms (folders or files), by default all that computes.

    Read once in a process: what ran is what was imported.

    Examples
    --------
    >>> code("training", "models") == code("training"), len(code())
    (False, 16)
    """
    digest = hashlib.sha256()
    for name, content in sorted(_sources(resources.files("mis"), "")):
        inside = [name == room or name.startswith(f"{room}/") for room in rooms or SHOWING]
        if any(inside) == bool(rooms):
            digest.update(f"|{name} {len(content)}|".encode() + content)
    return digest.hexdigest()[:16]


def _sources(folder: Any, path: str) -> Iterator[tuple[str, bytes]]:
    """Yield relative path and content of every source file in a folder of the package, zipped or not."""
    for entry in folder.iterdir():
        if entry.name.endswith(".py"):
            yield path + entry.name, entry.read_bytes()
        elif entry.is_dir():
            yield from _sources(entry, f"{path}{entry.name}/")


def source_of(kind: type) -> str:
    """Return a hash of the source of a class from outside the package, with that of the files it stands in.

    Code that cannot be read, such as a class typed at a prompt, is never the same twice. Empty for the package's own
    classes: ``code`` knows them.
    """
    parts = []
    for base in kind.__mro__:
        room = base.__module__.partition(".")[0]
        if room in ("mis", "builtins", "abc", "typing"):
            continue
        try:
            parts.append(inspect.getsource(inspect.getmodule(base) or base))
        except (OSError, TypeError):
            parts.append(uuid.uuid4().hex)
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16] if parts else ""


def settings() -> dict[str, str]:
    """Return JAX's settings, flags and hardware that change numbers, by name; starts JAX."""
    import jax

    found = {name: str(getattr(jax.config, name)) for name in SETTINGS if hasattr(jax.config, name)}
    device = jax.devices()[0]
    flags = os.environ.get("XLA_FLAGS", "").split()
    return {
        **found,
        "device": f"{device.platform} {device.device_kind}",
        "XLA_FLAGS": " ".join(sorted(flag for flag in flags if not flag.startswith(SILENT_FLAGS))),
        "NVIDIA_TF32_OVERRIDE": os.environ.get("NVIDIA_TF32_OVERRIDE", ""),
    }


def versions(*names: str) -> dict[str, str]:
    """Return the versions of installed packages.

    Examples
    --------
    >>> list(versions("numpy", "scipy"))
    ['numpy', 'scipy']
    """
    return {name: version(name) for name in names}


def made(result: str) -> dict[str, Any]:
    """Return what heads a file of results: what it holds, in which format, and what made it.

    Examples
    --------
    >>> list(made("audit"))
    ['result', 'format', 'command', 'version']
    """
    from mis.version import version as of_mis

    return {"result": result, "format": FORMAT, "command": COMMAND.get(), "version": of_mis()}
