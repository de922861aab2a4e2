"""What the command line reads and where it may write, refused in words before anything is computed."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import cyclopts
from cyclopts import Parameter

__all__ = ["SUFFIXES", "TOO_LARGE", "OutputFile", "Switch", "convert", "drawable", "keep_apart", "writable"]

# No count or seed goes so far; counts beyond it would only run out of memory, or never end.
TOO_LARGE = 2**32

SUFFIXES = (".pdf", ".png", ".svg")


def convert(kind: Any, tokens: Sequence[cyclopts.Token]) -> Any:
    """Read one value, and refuse what is read as something else by default: 1.5 as 2, nothing as this folder."""
    text = tokens[0].value.strip()
    if not text:
        raise ValueError("expected a value, got an empty one.")
    if kind is int and not (text.lstrip("+-").isdecimal() and len(text) < 20 and int(text) < TOO_LARGE):
        raise ValueError(f"expected an integer below 2**32, got {text!r}.")
    return cyclopts.convert(kind, tokens)


def writable(_: Any, path: Path | None) -> None:
    """Refuse a file that could not be written once everything is computed."""
    if path is None:
        return
    if path.is_dir() or not path.absolute().parent.is_dir():
        raise ValueError("Expected a file in a folder that exists.")
    if not os.access(path if path.exists() else path.absolute().parent, os.W_OK):
        raise ValueError("Expected a file that may be written.")


def keep_apart(inputs: Sequence[str | Path | None], outputs: Sequence[Path | None]) -> None:
    """Refuse to write into a file that is read, whatever it is called there, or into one file twice."""
    from mis.numerics.checks import InvalidInput

    read, written = ([Path(path) for path in paths if path is not None] for paths in (inputs, outputs))
    for i, output in enumerate(written):
        if any(_same(output, path) for path in read):
            raise InvalidInput(f"{output}: expected another file than the input, which is never written to.")
        if any(_same(output, path) for path in written[:i]):
            raise InvalidInput(f"{output}: expected a file of its own for each output, got it twice.")


def _same(one: Path, other: Path) -> bool:
    """Whether two paths are one file: through links and, where the disk says so, whatever the case."""
    if one.exists() and other.exists():
        return one.is_file() and one.samefile(other)
    return os.path.normcase(os.path.realpath(one)) == os.path.normcase(os.path.realpath(other))


def drawable(_: Any, path: Path | None) -> None:
    """Refuse a file that is no picture, or whose caption would replace another file."""
    if path is None:
        return
    if path.suffix not in SUFFIXES:
        raise ValueError(f"Expected a name that ends in {', '.join(SUFFIXES)}.")
    caption = path.with_suffix(".txt")
    if caption.exists() and not path.exists():
        raise ValueError(f"Expected another name: its caption would replace {caption}.")


OutputFile = Annotated[Path | None, Parameter(validator=writable)]
Switch = Annotated[bool, Parameter(negative="")]
