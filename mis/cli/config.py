"""Options of ``mis rank`` from a TOML file."""

import tomllib
from pathlib import Path
from typing import Any

from mis.cli.inputs import TOO_LARGE
from mis.cli.options import ALIASES

__all__ = ["read_config", "read_shard"]


# As on the command line.
MEANT = {other: name for name, others in ALIASES.items() for other in others}


def read_config(path: Path, types: dict[str, type]) -> dict[str, Any]:
    """Return the options in a file, of these names and types."""
    from mis.numerics.checks import InvalidInput, known

    try:
        options = tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InvalidInput(f"{path}: not a TOML file: {error}.") from None
    read: dict[str, Any] = {}
    for written, value in options.items():
        plain = written.replace("-", "_")
        key = known(str(path), "key", MEANT.get(plain, plain), types)
        kind = types[key]
        if key in read:
            raise InvalidInput(f"{path}: expected {key} once, got it also as {written}.")
        if kind is str and isinstance(value, list):
            value = ",".join(map(str, value))
        if kind is float and type(value) is int:
            value = float(value)
        if type(value) is not kind or value == "" or (isinstance(value, int) and value >= TOO_LARGE):
            raise InvalidInput(f"{path}: expected {key} {kind.__name__}, got {key}={value!r}.")
        read[key] = value
    return read


def read_shard(text: str) -> tuple[int, int]:
    """Read ``i/n``."""
    from mis.numerics.checks import InvalidInput

    part, slash, parts = text.partition("/")
    if not slash or not part.isdecimal() or not parts.isdecimal() or not 1 <= int(part) <= int(parts):
        raise InvalidInput(f"rank: expected shard i/n with 1 <= i <= n, got shard={text!r}.")
    return int(part), int(parts)
