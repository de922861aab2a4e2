"""The fields of quantizer specs, their checks and their place in the name.

A name is a family, then the numbers and words of its fields, joined by dashes: ``uniform-4``,
``ternary-33.3``, ``uniform-4-asymmetric-channel-clip-80``. A field at its default is not written, unless it
is the number that belongs to the family.
"""

from collections.abc import Iterator, Mapping
from dataclasses import Field, field, fields
from decimal import Decimal, InvalidOperation
from typing import Any

from mis.numerics.checks import InvalidInput, integer, known, number, refuse

__all__ = [
    "POWER_OF_TWO",
    "check",
    "choice_field",
    "flag",
    "grammar",
    "integer_field",
    "read",
    "scale_field",
    "share_field",
    "written",
]

POWER_OF_TWO = "power-of-two"


def integer_field(default: int, word: str | None = None, *, at_least: int, at_most: int) -> Any:
    """Declare a whole number: right after the family, e.g. the bits of ``uniform-4``, or after a word.

    The default of one after a word may lie outside the bounds, where it stands for none.
    """
    return field(default=default, metadata={"kind": "integer", "word": word, "within": (at_least, at_most)})


def choice_field(default: float, among: tuple[float, ...]) -> Any:
    """Declare a number right after the family that is one of a few."""
    return field(default=default, metadata={"kind": "choice", "word": None, "among": among})


def share_field(default: float, word: str | None = None, *, within: str = "(0, 1)") -> Any:
    """Declare a share, in percent: ``ternary-90`` has it after the family, ``clip-80`` after a word.

    ``within`` is an interval from 0 to 1, or ``"> 0"``.
    """
    return field(default=default, metadata={"kind": "share", "word": word, "within": within})


def flag(word: str) -> Any:
    """Declare a switch that is off unless ``word`` stands in the name."""
    return field(default=False, metadata={"kind": "flag", "word": word})


def scale_field() -> Any:
    """Declare a scale: fitted unless the name says ``pow2``, or ``scale-`` and a number."""
    return field(default="fit", metadata={"kind": "scale", "word": "scale"})


def check(spec: Any) -> None:
    """Refuse a field that is not of its kind or not within its bounds."""
    where = type(spec).__name__
    for f in fields(spec):
        kind, value = f.metadata["kind"], getattr(spec, f.name)
        if kind == "integer":
            at_least, at_most = f.metadata["within"]
            if f.metadata["word"] is None or value != f.default:
                integer(where, f.name, value, at_least=at_least, at_most=at_most)
        elif kind == "choice" and (isinstance(value, bool) or value not in f.metadata["among"]):
            raise refuse(where, f.name, f"one of {', '.join(map(str, f.metadata['among']))}", value)
        elif kind == "share":
            within = f.metadata["within"]
            share = number(where, f.name, value)
            ends = (share == 0 and within[0] == "[") or (share == 1 and within[-1] == "]")
            if not (0 < share < 1 or ends or (share > 0 and within == "> 0")):
                raise refuse(where, f.name, within if within == "> 0" else f"in {within}", value)
        elif kind == "flag" and not isinstance(value, bool):
            raise refuse(where, f.name, "True or False", value)
        elif kind == "scale" and value not in ("fit", POWER_OF_TWO):
            if isinstance(value, str):
                raise refuse(where, f.name, f"'fit', '{POWER_OF_TWO}' or a number > 0", value)
            number(where, f.name, value, above=0.0)


def plain(value: Decimal) -> str:
    """Write all digits without an exponent, whose sign would read as a dash."""
    return f"{value.normalize():f}"


def written(spec: Any) -> Iterator[str]:
    """Yield the parts of the name that a spec's fields ask for, the number of the family first."""
    for f in fields(spec):
        kind, word, value = f.metadata["kind"], f.metadata["word"], getattr(spec, f.name)
        if word is not None and value == f.default:
            continue
        if value == POWER_OF_TWO:
            yield "pow2"
            continue
        if word is not None:
            yield word
        if kind in ("integer", "choice"):
            yield f"{value:g}" if kind == "choice" else str(value)
        elif kind == "share":
            # The shortest decimal that gives the float back, moved by two digits: exact both ways.
            yield plain(Decimal(repr(float(value))).scaleb(2))
        elif kind == "scale":
            yield plain(Decimal(repr(float(value))))


def grammar(cls: Any) -> str:
    """Return the form of a family's names, e.g. ``ternary-PERCENT``; brackets hold what may be left out."""
    parts = [cls.family]
    for f in fields(cls):
        kind, word = f.metadata["kind"], f.metadata["word"]
        numeral = {"integer": f"-{f.name.upper()}", "share": "-PERCENT", "flag": "", "scale": "-NUMBER|-pow2"}
        if kind == "choice":
            numeral["choice"] = f"-{'|'.join(f'{one:g}' for one in f.metadata['among'])}"
        value = numeral[kind]
        parts.append(value if word is None else f"[-{word}{value}]")
    return "".join(parts)


def number_of(f: Field, text: str) -> int | float:
    """Read one number of a name; ValueError where it is none."""
    if f.metadata["kind"] == "integer":
        return int(text)
    if f.metadata["kind"] == "choice":
        among = {f"{one:g}": one for one in f.metadata["among"]}
        if text not in among:
            raise ValueError(text)
        return among[text]
    try:
        return float(Decimal(text).scaleb(-2 if f.metadata["kind"] == "share" else 0))
    except InvalidOperation:
        raise ValueError(text) from None


def read(name: str, families: Mapping[str, type]) -> Any:
    """Return the spec that ``name`` spells; refuses an unknown name with the nearest known ones."""
    where = "quantizers.parse"
    matching = [family for family in families if name == family or name.startswith(family + "-")]
    if not matching:
        known(where, "name", name, [cls().name for cls in families.values()])
    family = max(matching, key=len)
    cls: Any = families[family]
    by_word = {f.metadata["word"]: f for f in fields(cls)}
    by_word |= {"pow2": by_word["scale"]} if "scale" in by_word else {}
    words = name[len(family) :].split("-")[1:]
    values: dict[str, Any] = {}
    try:
        if None in by_word:
            f = by_word.pop(None)
            values[f.name] = number_of(f, words.pop(0))
        while words:
            word = words.pop(0)
            f = by_word[word]
            if f.name in values:
                raise ValueError(word)
            if f.metadata["kind"] == "flag":
                values[f.name] = True
            else:
                values[f.name] = POWER_OF_TWO if word == "pow2" else number_of(f, words.pop(0))
    except (KeyError, ValueError, IndexError):
        raise InvalidInput(f"{where}: expected name of the form {grammar(cls)}, got name={name!r}.") from None
    return cls(**values)
