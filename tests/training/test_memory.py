import pathlib
import platform
import resource

import pytest

from mis.training import memory

pytestmark = pytest.mark.skipif(
    platform.libc_ver()[0] != "glibc", reason="only GNU's C library is told anything"
)


def faults(megabytes=64, times=8):
    """Return the pages that the system gave while a large buffer was filled, freed and filled again."""
    _ = b"x" * (megabytes << 20)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(times):
        _ = b"x" * (megabytes << 20)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before


def resident():
    """Return the pages that the process holds."""
    return int(pathlib.Path("/proc/self/statm").read_text().split()[1])


def test_freed_memory_is_not_fetched_again_and_given_back_at_the_end():
    before = resident()
    with memory.kept():
        kept = faults()
        held = resident()
    assert held > before + 10_000 > resident()
    assert faults() > 20 * max(kept, 1)


def test_an_error_ends_it():
    with pytest.raises(ZeroDivisionError), memory.kept():
        1 / 0  # noqa: B018
    assert faults() > 1000
