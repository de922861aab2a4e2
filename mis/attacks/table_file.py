"""Read the columns of a table of text or of Parquet; what is wrong with it is said with its line."""

import csv
import importlib
import io
import os
import stat
import sys
from collections.abc import Callable
from typing import Any, NamedTuple

from mis.numerics.checks import InvalidInput

__all__ = ["READERS", "Table", "clipped"]

CHUNK = 1 << 20


class Table(NamedTuple):
    """Columns by name, lower case, with the file as it is called in messages and where each row stands in it."""

    name: str
    columns: dict[str, list[Any]]
    places: list[str] | list[int]
    unit: str

    def where(self, row: int) -> str:
        """Return the place of a row, as messages start with it."""
        return f"{self.name}, {self.unit} {self.places[row]}"


def clipped(value: Any) -> str:
    """Return a value as a message shows it: printable, and not a page of it."""
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:56]}…{text[0]}"


def _read_text(path: str | os.PathLike[str], delimiter: str) -> Table:
    name = "standard input" if os.fspath(path) == "-" else os.fspath(path)
    text = _decoded(name, _bytes(path, name))
    reader = csv.reader(
        io.StringIO(text, newline=""), delimiter=delimiter, strict=True, skipinitialspace=True
    )
    header: list[str] = []
    rows: list[list[str]] = []
    lines: list[int] = []
    try:
        for row in reader:
            if len(row) < 2 and not "".join(row).strip():
                continue
            if not header:
                header = row
                columns = _header(f"{name}, line {reader.line_num}", row)
                continue
            if len(row) != len(header):
                raise InvalidInput(
                    f"{name}, line {reader.line_num}: expected {len(header)} fields as in the header, got {len(row)}: "
                    f"{clipped(delimiter.join(row))}."
                )
            rows.append(row)
            lines.append(reader.line_num)
    except csv.Error as error:
        raise InvalidInput(
            f"{name}, line {max(reader.line_num, 1)}: expected a table of text, {error}."
        ) from None
    if not header:
        raise InvalidInput(f"{name}: expected a header and records, got an empty file.")
    fields = zip(*rows, strict=True) if rows else [()] * len(columns)
    return Table(
        name,
        {key: [field.strip() for field in column] for key, column in zip(columns, fields, strict=True)},
        lines,
        "line",
    )


def _read_parquet(path: str | os.PathLike[str]) -> Table:
    try:
        # By name: pyarrow is no dependency.
        parquet = importlib.import_module("pyarrow.parquet")
    except ImportError:
        raise InvalidInput(
            f"{path}: expected pyarrow to read .parquet; install it (pip install pyarrow), or write .csv."
        ) from None
    content = _bytes(path, os.fspath(path), text=False)
    try:
        table = parquet.read_table(io.BytesIO(content))
        # A list is no score and no name: as text it is refused like any other.
        values = [
            [str(value) if isinstance(value, list | dict) else value for value in column.to_pylist()]
            for column in table.columns
        ]
    # pyarrow's errors are those of Python, of many kinds.
    except (OSError, ValueError, TypeError, NotImplementedError, KeyError, RuntimeError) as error:
        said = " ".join(str(error).split()).rstrip(".")
        raise InvalidInput(f"{path}: expected a .parquet file, cannot be read: {said}.") from None
    names = _header(f"{path}", table.column_names)
    return Table(
        os.fspath(path),
        dict(zip(names, values, strict=True)),
        list(range(1, table.num_rows + 1)),
        "row",
    )


READERS: dict[str, Callable[[str | os.PathLike[str]], Table]] = {
    ".csv": lambda path: _read_text(path, ","),
    ".tsv": lambda path: _read_text(path, "\t"),
    ".parquet": _read_parquet,
}


def _header(where, fields):
    """Return the names of the columns, lower case; refuse one that stands there twice."""
    names = [field.strip().lower() for field in fields]
    repeated = next((name for i, name in enumerate(names) if name and name in names[:i]), None)
    if repeated is not None:
        raise InvalidInput(f"{where}: expected names of columns that differ, got {clipped(repeated)} twice.")
    # Columns without a name, as pandas writes its index, are not read; they must not replace each other.
    return [name or f"column {i + 1}" for i, name in enumerate(names)]


def _bytes(path, name, *, text=True):
    """Return the content of a file or of standard input; stop where it is clearly no text."""
    if os.fspath(path) == "-":
        if sys.stdin is None:
            raise InvalidInput("standard input: expected a table, got none; it is closed.")
        return _drained(name, sys.stdin.buffer, text)
    try:
        with open(path, "rb") as file:
            if stat.S_ISDIR(os.fstat(file.fileno()).st_mode):
                raise IsADirectoryError(21, "Is a directory")
            return _drained(name, file, text)
    except OSError as error:
        raise InvalidInput(f"{name}: cannot be read: {error.strerror or error}.") from None


def _drained(name, file, text):
    parts = []
    while part := file.read(CHUNK):
        if text and b"\0" in part:
            raise InvalidInput(f"{name}: expected a table of text in UTF-8, got a binary file.")
        parts.append(part)
    return b"".join(parts)


def _decoded(name, content):
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        byte = content[error.start : error.start + 1]
        raise InvalidInput(f"{name}, line {line}: expected text in UTF-8, got the byte {byte!r}.") from None
