"""In a process of its own: what other tests have freed is there to be used again without asking the system."""

import platform
import subprocess
import sys

import pytest

SCRIPT = """
import pathlib, resource
from mis.training import memory

def faults():
    # The pages that the system gave while a large buffer was filled, freed and filled again.
    _ = b"x" * 2**26
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(8):
        _ = b"x" * 2**26
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

def resident():
    return int(pathlib.Path("/proc/self/statm").read_text().split()[1])

before = resident()
with memory.kept():
    print(faults(), resident() - before)
print(faults(), resident() - before)
try:
    with memory.kept():
        1 / 0
except ZeroDivisionError:
    print(faults())
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only GNU's C library is told anything")
def test_freed_memory_is_not_fetched_again_and_given_back_at_the_end():
    done = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, check=True)
    kept, held, fetched, left, after_an_error = map(int, done.stdout.split())
    assert fetched > 20 * max(kept, 1)
    assert held > 10_000 > left
    assert after_an_error > 1000
