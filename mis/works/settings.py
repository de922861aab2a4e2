"""Settings of a work changed by hand."""

import dataclasses
import typing
from collections.abc import Sequence
from typing import Any

from mis.numerics.checks import InvalidInput, known

__all__ = ["changed"]


def changed(settings: Any, assignments: Sequence[str]) -> Any:
    """Return settings with some fields set by hand, as ``NAME=VALUE``; commas between several values, none for none.

    Raises
    ------
    InvalidInput
        An unknown name, a name given twice, or a value of another type.

    Examples
    --------
    >>> @dataclasses.dataclass(frozen=True)
    ... class Few:
    ...     images: int = 3
    ...     tasks: tuple[str, ...] = ("digits",)
    >>> changed(Few(), ["images=8", "tasks=digits,fashion-mnist"])
    Few(images=8, tasks=('digits', 'fashion-mnist'))
    """
    kinds = typing.get_type_hints(type(settings))
    found: dict[str, Any] = {}
    for assignment in assignments:
        name, sign, text = (part.strip() for part in assignment.partition("="))
        if not sign:
            raise InvalidInput(f"run: expected --set NAME=VALUE, got {assignment!r}.")
        known("run", "setting", name, [f.name for f in dataclasses.fields(settings)])
        if name in found:
            raise InvalidInput(f"run: expected {name} once, got it twice.")
        found[name] = _read(name, kinds[name], text)
    return dataclasses.replace(settings, **found)


def _read(name: str, kind: Any, text: str) -> Any:
    several = typing.get_origin(kind) is tuple
    each = typing.get_args(kind)[0] if several else kind
    try:
        if several:
            return tuple(each(part.strip()) for part in text.split(",")) if text else ()
        return each(text)
    except ValueError:
        raise InvalidInput(
            f"run: expected {name} of type {each.__name__}{', commas between' if several else ''}, got {text!r}."
        ) from None
