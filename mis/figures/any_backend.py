"""Imports matplotlib whatever backend the environment names, known or not: these figures need none."""

import contextlib
import os
import sys


def _import_matplotlib() -> None:
    backend = os.environ.pop("MPLBACKEND", None)
    try:
        import matplotlib
    finally:
        if backend is not None:
            os.environ["MPLBACKEND"] = backend
    if backend:
        # As matplotlib does itself, but for a backend that it does not know.
        with contextlib.suppress(ValueError):
            matplotlib.rcParams["backend"] = backend


if "matplotlib" not in sys.modules:
    _import_matplotlib()
