"""Text in characters that the terminal has."""

__all__ = ["plain"]

# What stands for a character that an encoding lacks.
PLAIN = {
    "±": "+-",
    "–": "-",
    "—": "-",
    "−": "-",
    "…": "...",
    "²": "2",
    "×": "x",
    "’": "'",
    "─": "-",
    "━": "-",
}


def plain(error: UnicodeError) -> tuple[str, int]:
    """Write what an encoding lacks in characters that it has: no number is lost for a sign beside it."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    text = error.object[error.start : error.end]
    return "".join(PLAIN.get(character, "?") for character in text), error.end
