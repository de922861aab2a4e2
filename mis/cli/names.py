"""``mis list``."""

import dataclasses
import sys
from typing import Any

__all__ = ["names"]


def names() -> None:
    """List tasks, quantizers, models and attacks, a line each."""
    from rich.console import Console
    from rich.table import Table

    from mis.models import MODELS
    from mis.populations import POPULATIONS
    from mis.quantizers import DEFAULT, QUANTIZERS
    from mis.ranking.columns import ATTACKS
    from mis.ranking.releases import GRAMMAR

    console = Console(highlight=False, markup=False, emoji=False, width=None if sys.stdout.isatty() else 118)
    for title, registry in (("Tasks", POPULATIONS), ("Quantizers", QUANTIZERS), ("Models", MODELS)):
        grid = Table(title=title, title_justify="left", box=None, show_header=False, pad_edge=False)
        for name, variant in registry.items():
            line = (variant.__doc__ or "").strip().splitlines()[0].replace("``", "")
            grid.add_row(*_usage(name, line, variant))
        console.print(grid, "")
    grid = Table(title="Attacks", title_justify="left", box=None, show_header=False, pad_edge=False)
    for name, column in ATTACKS.items():
        grid.add_row(name, column.what)
    console.print(grid, "")
    grid = Table(
        title="Words before a release", title_justify="left", box=None, show_header=False, pad_edge=False
    )
    for word, what in GRAMMAR.items():
        grid.add_row(word, what)
    console.print(grid, "")
    console.print(
        "prune-90+uniform-4: the survivors, quantized. noise-like-NAME: noise of the squared error of NAME."
    )
    console.print("Default quantizers:", ", ".join(q.name for q in DEFAULT))
    console.print(
        "A task may also be the path of an .npz file with features (N, d), or images (N, H, W) or (N, H, W, C), "
        "and target (N,)."
    )


def _usage(name: str, line: str, variant: Any) -> tuple[str, str]:
    """Name of a variant with its number, and its line with the words or options that may follow it."""
    options = []
    for field in dataclasses.fields(variant):
        word, kind = field.metadata.get("word"), field.metadata.get("kind")
        named = f"-{field.name.upper()}"
        numbers = {"integer": named, "choice": named, "share": "-PERCENT", "scale": "-S"}
        number = numbers.get(kind or "", "")
        if kind and word is None:
            name += number
        elif kind:
            options.append(f"-{word}{number}")
        elif field.default not in (dataclasses.MISSING, None):
            default = field.name.upper() if field.default == "" else field.default
            value = "" if default is False else f" {default}"
            options.append(f"--{field.name.replace('_', '-')}{value}")
    return name, line + (f" Options: {' '.join(options)}" if options else "")
