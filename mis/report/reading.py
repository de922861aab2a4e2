"""Files of results read back, and refused in a line where they are none or damaged."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from mis.numerics.checks import InvalidInput
from mis.provenance import FORMAT
from mis.report.page import Estimate, Part
from mis.results import KINDS

__all__ = ["estimate", "number", "of_path", "one_part", "optional", "sentence"]

# No result is larger; 100 GB are not read to find that out.
LARGEST = 2**28

Readers = Mapping[str, Callable[[dict[str, Any]], Part]]


def of_path(path: Path, readers: Readers) -> list[Part]:
    """Return what the files of results in a folder say, or one such file.

    Parameters
    ----------
    path
        A folder, whose own ``.json`` files are read and those below are not, or one such file.
    readers
        What reads a file of results, by the name of the result.

    Raises
    ------
    InvalidInput
        Where there is no result, or one that is damaged or of another version.
    """
    if not path.exists():
        raise InvalidInput(f"report: expected a folder of results, got {str(path)!r}, which does not exist.")
    try:
        files = sorted(path.glob("*.json")) if path.is_dir() else [path]
        found = [(file, _document(file)) for file in files if file.is_file()]
    except OSError as error:
        raise InvalidInput(f"report: {str(path)!r} cannot be read: {error.strerror}.") from None
    parts = [
        one_part(str(file), document, readers)
        for file, document in found
        if isinstance(document, dict) and isinstance(document.get("made"), dict)
    ]
    if not parts:
        _refuse(path, [(file, document) for file, document in found])
    return parts


def _document(file: Path) -> Any:
    """Return what a file holds."""
    if file.stat().st_size > LARGEST:
        raise InvalidInput(f"report: expected a file of results, got {str(file)!r} of more than 256 MB.")
    try:
        return json.loads(file.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        said = str(error) if isinstance(error, json.JSONDecodeError) else "no text"
        raise InvalidInput(f"report: {str(file)!r} is damaged: no JSON ({said}).") from None


def _refuse(path: Path, found: list[tuple[Path, Any]]) -> None:
    """Say why there is nothing to report: nothing there, another version's, or something else."""
    of_ours = [
        file
        for file, document in found
        if isinstance(document, dict) and ({"rows", "agreement"} <= set(document) or "advantage" in document)
    ]
    if of_ours:
        raise InvalidInput(
            f"report: {str(of_ours[0])!r} was written by another version of mis, or not by it: it does not say what "
            "made it. Make it again with this one."
        )
    what = "a folder" if path.is_dir() else "a file"
    raise InvalidInput(
        f"report: expected {what} of results (of mis rank, mis attack or mis run, or what --json of mis audit and "
        f"mis inspect wrote), got {str(path)!r}, which holds none."
    )


def one_part(name: str, document: dict[str, Any], readers: Readers) -> Part:
    """Return what one result says.

    Parameters
    ----------
    name
        What a message calls it.
    document
        As its JSON holds it.
    readers
        As of ``of_path``.

    Raises
    ------
    InvalidInput
        Where it is of another version, or what it must hold is missing or no number.
    """
    try:
        document = _printable(document)
    except RecursionError:
        raise InvalidInput(f"report: {name!r} is damaged: too deep.") from None
    made = document["made"]
    known = made.get("result")
    if made.get("format") != FORMAT or not isinstance(known, str) or known not in readers:
        raise InvalidInput(
            f"report: {name!r} was written by another version of mis ({made.get('version', 'it says not which')}; "
            f"this one reads format {FORMAT} of {', '.join(readers)}). Make it again with this one."
        )
    try:
        document = document | {"made": {name: str(made[name]) for name in ("command", "version")}}
        return readers[known](document)
    except (KeyError, ValueError, TypeError, AttributeError, IndexError, ArithmeticError) as error:
        what = f"no {error}" if isinstance(error, KeyError) else str(error)
        raise InvalidInput(f"report: {name!r} is damaged: {what}.") from None


def _printable(value: Any) -> Any:
    """Return JSON without control characters, lone surrogates and marks that turn the direction of what follows."""
    if isinstance(value, str):
        return "".join(c if c.isprintable() or c == "\n" else "?" for c in value)
    if isinstance(value, dict):
        return {_printable(name): _printable(one) for name, one in value.items()}
    return [_printable(one) for one in value] if isinstance(value, list) else value


def optional(found: Any) -> Estimate | None:
    """Read an interval where there is one."""
    return None if found is None else estimate(found)


def estimate(found: Any, *, kind: str | None = None, level: float | None = None) -> Estimate:
    """Read an interval.

    Parameters
    ----------
    found
        An object with ``lower``, ``value``, ``upper``, ``kind`` and ``level``.
    kind, level
        Where the object has none.
    """
    lower, value, upper = (number(found[end]) for end in ("lower", "value", "upper"))
    kind = found["kind"] if kind is None else kind
    if not lower <= value <= upper or kind not in (*KINDS, ""):
        raise ValueError(f"no interval [{lower}, {upper}] of kind {kind!r} around {value}")
    return Estimate(
        lower=lower,
        value=value,
        upper=upper,
        kind=kind,
        level=number(found["level"] if level is None else level),
    )


def number(value: Any) -> Any:
    """Return what is a number, or refuse what is none."""
    real = isinstance(value, int | float) and not isinstance(value, bool)
    # Integers beyond this are no counts, and no floats.
    if not real or value != value or (isinstance(value, int) and abs(value) > 2**63):
        raise ValueError(f"no number {value!r}")
    return value


def sentence(found: Estimate, digits: int = 3) -> str:
    """Return an estimate as it stands in a sentence.

    Examples
    --------
    >>> sentence(Estimate(value=0.5, lower=0.25, upper=0.75, kind="attack", level=0.95))
    '0.500 [0.250, 0.750] (attack, 95%)'
    """
    ends = f" [{found.lower:.{digits}f}, {found.upper:.{digits}f}]" if found.has_ends else ""
    return f"{found.value:.{digits}f}{ends}" + (f" ({found.read_as})" if found.read_as else "")
