"""What a work is and returns, and how it is run from a name to files."""

import dataclasses
import importlib
import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mis.numerics.checks import integer, known
from mis.provenance import code, made, versions
from mis.provenance import settings as jax_settings
from mis.store import Store, fingerprint, make_folder
from mis.training import num_devices
from mis.works.settings import changed
from mis.works.text import text_of
from mis.works.writing import document, refuse_other, write

__all__ = ["SIZES", "Study", "Work", "run"]

SIZES = ("quick", "default", "full")


@dataclass(frozen=True, kw_only=True)
class Work:
    """A published work that can be run again.

    Parameters
    ----------
    place
        Module with ``settings`` and ``study``, loaded when asked for.
    asks
        Its question.
    work
        What was published.
    takes
        How long each size takes, on two idle cores.
    needs
        Beside the package.
    """

    place: str
    asks: str
    work: str
    takes: Mapping[str, str]
    needs: str


@dataclass(frozen=True, kw_only=True)
class Study:
    """What a work found. Values may be ``Interval``: files keep their ends, kind and level.

    Parameters
    ----------
    rows
        Of ``table.csv`` and ``table.json``.
    verdicts
        Claims, as ``verdict`` makes them.
    published
        Theirs beside ours: ``what``, ``theirs``, ``ours`` (by name) and ``source``.
    text
        What is printed above the published numbers and the verdicts.
    details
        What else ``study.json`` holds, by name.
    figures
        By the name of the file what draws it, after the numbers are written.
    """

    rows: Sequence[Mapping[str, Any]]
    verdicts: Sequence[Mapping[str, Any]]
    published: Sequence[Mapping[str, Any]]
    text: str
    details: Mapping[str, Any] = field(default_factory=dict)
    figures: Mapping[str, Callable[..., Any]] = field(default_factory=dict)


def run(
    name: str,
    *,
    size: str = "default",
    seed: int = 0,
    folder: str | None = None,
    assignments: Sequence[str] = (),
    out: Path | str | None = None,
    replace: bool = False,
    progress: bool = False,
    tell: Callable[[str], None] | None = None,
) -> Study:
    """Run a work and write table.csv, table.json and study.json, then its figures, into a folder.

    ``study.json`` also says on which device it ran, and how many seconds this call took. Parts that the folder holds
    from the same settings, code and machine are read: what was interrupted goes on.

    Parameters
    ----------
    name
        A key of ``WORKS``.
    size
        ``quick``, ``default`` or ``full``.
    seed
        Decides everything random.
    folder
        Where data lie that do not come with the package.
    assignments
        Settings changed by hand, ``NAME=VALUE``.
    out
        The folder [results/NAME, with -quick, -full, -seedN].
    replace
        Write over the results of another run.
    progress
        Show how far it is, on stderr.
    tell
        Called with the tables before the figures are drawn, then with the names of the files.

    Raises
    ------
    InvalidInput
        An unknown name, size or setting; a folder that holds the results of another run.
    """
    from mis import figures
    from mis.works import WORKS

    known("run", "name", name, WORKS)
    known("run", "size", size, SIZES)
    integer("run", "seed", seed, at_least=0)
    # Before anything starts JAX, which the settings below do.
    num_devices()
    module = importlib.import_module(WORKS[name].place)
    settings = changed(module.settings(size, seed, folder), assignments)
    target, begun = Path(out or default_folder(name, size, seed)), time.monotonic()
    asked = {"work": name, "settings": json.loads(json.dumps(dataclasses.asdict(settings)))}
    make_folder("run", target)
    refuse_other(target, asked, replace=replace)
    place = "/".join(WORKS[name].place.split(".")[1:3])
    own = code(place, f"{place}.py", "works/base.py")
    store = Store(
        target / "parts" / fingerprint({"settings": settings, "code": [code(), own]}, jax_settings())
    )
    found = module.study(settings, store, progress)
    about = {"made": made("work")} | asked | {"size": size, "versions": versions("jax", "numpy", "scipy")}
    about |= {"device": jax_settings()["device"], "seconds": time.monotonic() - begun}
    written = write(target, found.rows, document(about, found))
    tell = tell or (lambda _: None)
    tell(text_of(found))
    for title, draw in found.figures.items():
        written += figures.save(draw, target, title)
    tell(f"Written to {target}: {', '.join(written)}")
    return found


def default_folder(name: str, size: str, seed: int) -> str:
    """Return where results go by themselves, so that a quick look does not meet those of a longer run.

    Examples
    --------
    >>> default_folder("leakage", "quick", 1), default_folder("leakage", "default", 0)
    ('results/leakage-quick-seed1', 'results/leakage')
    """
    return f"results/{name}{f'-{size}' if size != 'default' else ''}{f'-seed{seed}' if seed else ''}"
