"""Memory that a program frees and needs again at once stays with the process."""

import contextlib
import ctypes
from collections.abc import Iterator

__all__ = ["kept"]

# Parameters of the C library's ``mallopt``, and what they are by themselves in a process that has freed much.
TRIM_THRESHOLD, MMAP_THRESHOLD, MMAP_MAX = -1, -3, -4
DEFAULTS = {TRIM_THRESHOLD: 2**26, MMAP_THRESHOLD: 2**25, MMAP_MAX: 65536}
# Never: no allocation is mapped apart, nothing is given back.
NEVER = {TRIM_THRESHOLD: 2**31 - 1, MMAP_MAX: 0}


@contextlib.contextmanager
def kept() -> Iterator[None]:
    """Have the C library keep what is freed; at the end the system gets it back.

    Each call of a compiled step allocates its buffers anew. Large ones the C library maps apart and gives back when
    they are freed, so that the system clears every page of them again at every step, which takes a seventh of the time
    of a small residual network. Where the C library is not GNU's, nothing is changed.
    """
    try:
        library = ctypes.CDLL(None)
        mallopt, trim = library.mallopt, library.malloc_trim
    except (OSError, TypeError, AttributeError):
        yield
        return
    for parameter, value in NEVER.items():
        mallopt(parameter, value)
    try:
        yield
    finally:
        for parameter, value in DEFAULTS.items():
            mallopt(parameter, value)
        trim(0)
