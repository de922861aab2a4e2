"""Values and functions: what a work is, what it returns, and how its settings are changed by hand."""

import dataclasses
import importlib
import types
import typing
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from mis.numerics.checks import InvalidInput, known

__all__ = ["SIZES", "Study", "Work", "changed", "load"]

SIZES = ("quick", "default", "full")


@dataclass(frozen=True, kw_only=True)
class Work:
    """A published work that can be run again.

    Parameters
    ----------
    place
        Module with ``settings`` and ``run``, loaded when asked for.
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
    """What a work found.

    Parameters
    ----------
    rows
        Of ``table.csv``.
    document
        Of ``study.json``, with the rows.
    text
        What is printed: a table, verdicts.
    figures
        By the name of the file what draws it, after the numbers are written.
    """

    rows: Sequence[Mapping[str, Any]]
    document: Mapping[str, Any]
    text: str
    figures: Mapping[str, Callable[..., Any]] = field(default_factory=dict)


def load(work: Work) -> types.ModuleType:
    """Return the module of a work."""
    return importlib.import_module(work.place)


def changed(settings: Any, assignments: Sequence[str]) -> Any:
    """Return settings with some fields set by hand, as ``NAME=VALUE``; of several values commas between them.

    Raises
    ------
    InvalidInput
        An unknown name, or a value of another type.

    Examples
    --------
    >>> @dataclass(frozen=True)
    ... class Few:
    ...     images: int = 3
    ...     tasks: tuple[str, ...] = ("digits",)
    >>> changed(Few(), ["images=8", "tasks=digits,fashion-mnist"])
    Few(images=8, tasks=('digits', 'fashion-mnist'))
    """
    kinds = typing.get_type_hints(type(settings))
    found: dict[str, Any] = {}
    for assignment in assignments:
        name, sign, text = assignment.partition("=")
        if not sign or not text:
            raise InvalidInput(f"run: expected --set NAME=VALUE, got {assignment!r}.")
        known("run", "setting", name, [f.name for f in dataclasses.fields(settings)])
        found[name] = _read(name, kinds[name], text)
    return dataclasses.replace(settings, **found)


def _read(name: str, kind: Any, text: str) -> Any:
    each = typing.get_args(kind)[0] if typing.get_origin(kind) is tuple else kind
    try:
        values = tuple(each(part.strip()) for part in text.split(",")) if each is not kind else each(text)
    except ValueError:
        raise InvalidInput(f"run: expected {name} {each.__name__} values, got {name}={text!r}.") from None
    return values
