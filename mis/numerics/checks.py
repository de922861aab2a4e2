"""Argument checks, one sentence for every refusal."""

import difflib
from collections.abc import Iterable
from typing import Any

import numpy as np

__all__ = [
    "InputWarning",
    "InvalidInput",
    "UnsupportedSetting",
    "confidence",
    "finite",
    "integer",
    "known",
    "names",
    "number",
    "probability",
    "refuse",
    "unmasked",
]


# Least confidence level, and least probability of error that one may leave: shares of it must still be numbers, and no
# simulation or asymptotic law says anything so far out.
LEAST_LEVEL, LEAST_ERROR = 1e-3, 1e-12


class InvalidInput(ValueError):
    """An argument that cannot be right; the message names the argument, the condition and the value."""


class InputWarning(UserWarning):
    """An input that is taken as it is, though something else may be meant; the message says how to ask for that."""


class UnsupportedSetting(ValueError):
    """A setting that a theorem or a method does not cover.

    Parameters
    ----------
    part
        What refuses, as the user called it, e.g. ``"theory.exact"``.
    reason
        Why, and what to use instead.
    """

    def __init__(self, part: str, reason: str):
        self.part, self.reason = part, reason
        super().__init__(f"{part}: {reason}")

    def __reduce__(self) -> tuple:
        # Processes hand exceptions to each other pickled; the default would call with the message alone.
        return type(self), (self.part, self.reason)


def refuse(where: str, name: str, condition: str, value: Any) -> InvalidInput:
    """Make the error that says: where, expected name condition, got name=value."""
    return InvalidInput(f"{where}: expected {name} {condition}, got {name}={value!r}.")


def integer(where: str, name: str, value: Any, *, at_least: int, at_most: int | None = None) -> int:
    """Return ``value`` as an int, or refuse it."""
    condition = f"an integer >= {at_least}" if at_most is None else f"an integer in {at_least}..{at_most}"
    if isinstance(value, bool) or not isinstance(value, int | np.integer):
        raise refuse(where, name, condition, value)
    if value < at_least or (at_most is not None and value > at_most):
        raise refuse(where, name, condition, value)
    return int(value)


def number(where: str, name: str, value: Any, *, above: float = -np.inf, below: float = np.inf) -> float:
    """Return ``value`` as a finite float strictly between the bounds, or refuse it."""
    condition = "a finite number"
    if above > -np.inf:
        condition += f" > {above:g}"
    if below < np.inf:
        condition += f" and < {below:g}" if above > -np.inf else f" < {below:g}"
    unmasked(where, name, value)
    try:
        as_float = float(value)
    except (TypeError, ValueError, OverflowError):
        raise refuse(where, name, condition, value) from None
    if isinstance(value, bool) or not np.isfinite(as_float) or not above < as_float < below:
        raise refuse(where, name, condition, value)
    return as_float


def probability(where: str, name: str, value: Any) -> float:
    """Return ``value`` as a float strictly between 0 and 1, or refuse it."""
    return number(where, name, value, above=0.0, below=1.0)


def unmasked(where: str, name: str, value: Any) -> None:
    """Refuse masked values, also within lists: an array made of them would show what the mask hides.

    Examples
    --------
    >>> unmasked("here", "losses", [np.ma.array([1.0, 2.0], mask=[False, True])])
    Traceback (most recent call last):
    mis.numerics.checks.InvalidInput: here: expected losses without masked values; leave those examples out.
    """
    if _holds_mask(value):
        raise InvalidInput(f"{where}: expected {name} without masked values; leave those examples out.")


def _holds_mask(value: Any) -> bool:
    if isinstance(value, np.ma.MaskedArray):
        return bool(np.any(np.ma.getmaskarray(value).view(np.bool_)))
    parts: Iterable[Any]
    if isinstance(value, np.ndarray):
        parts = value.flat if value.dtype == object else ()
    else:
        parts = value if isinstance(value, list | tuple) else ()
    return any(_holds_mask(part) for part in parts if isinstance(part, list | tuple | np.ndarray))


def names(where: str, name: str, value: Any, count: int) -> tuple[str, ...]:
    """Return ``count`` different printable names as text, or refuse them.

    Numbers are names as they print, bytes as UTF-8.

    Examples
    --------
    >>> names("here", "names", np.array([b"a", b"b"]), 2), names("here", "names", [8, 4], 2)
    (('a', 'b'), ('8', '4'))
    """
    unmasked(where, name, value)
    # An array without axes has one text, or one number, and nothing to iterate over.
    if isinstance(value, str | bytes) or not isinstance(value, Iterable) or getattr(value, "ndim", 1) == 0:
        raise refuse(where, name, "one name per candidate, in a sequence", value)
    given = value.tolist() if isinstance(value, np.ndarray) else list(value)
    if len(given) != count:
        raise InvalidInput(f"{where}: expected {count} {name}, one per candidate, got {len(given)}.")
    read = [_as_text(where, name, item) for item in given]
    repeated = next((text for i, text in enumerate(read) if text in read[:i]), None)
    if repeated is not None:
        raise InvalidInput(f"{where}: expected {name} that differ, got {repeated!r} twice.")
    return tuple(read)


def _as_text(where: str, name: str, item: Any) -> str:
    if isinstance(item, bytes):
        item = item.decode(errors="backslashreplace")
    text = str(item) if isinstance(item, str | int | float | np.generic) else ""
    if not text.strip() or not text.isprintable():
        raise refuse(where, name, "printable text that is not empty", item)
    return text


def confidence(where: str, level: Any, *, statements: int = 1) -> float:
    """Return a confidence level as a float from 0.001 to ``1 - statements * 1e-12``, or refuse it.

    Next to 1, ``(1 + level) / 2`` is 1 in floating point and the quantile that an interval takes there is infinite;
    long before, intervals rest on tails of approximate laws that nothing has tested. Next to 0 the same quantile
    vanishes, by which others are divided.

    Parameters
    ----------
    where
        Who refuses.
    level
        What was given.
    statements
        Among how many, at most, the error will be divided.

    Examples
    --------
    >>> confidence("here", 0.9999999999999999)
    Traceback (most recent call last):
    mis.numerics.checks.InvalidInput: here: expected level from 0.001 to 1 - 1e-12, got level=0.9999999999999999.
    """
    value, least = probability(where, "level", level), statements * LEAST_ERROR
    if value < LEAST_LEVEL or 1.0 - value < 0.999 * least:
        raise refuse(where, "level", f"from {LEAST_LEVEL:g} to 1 - {least:g}", level)
    return value


def finite(where: str, name: str, value: Any, *, ndim: int | tuple[int, ...] | None = None) -> np.ndarray:
    """Return ``value`` as a finite float64 array of ``ndim`` axes, or refuse it."""
    unmasked(where, name, value)
    try:
        array = np.asarray(value, dtype=np.float64)
    except (TypeError, ValueError):
        raise InvalidInput(f"{where}: expected {name} numeric, got a {type(value).__name__}.") from None
    allowed = (ndim,) if isinstance(ndim, int) else ndim
    if allowed is not None and array.ndim not in allowed:
        axes = " or ".join(str(a) for a in allowed)
        raise InvalidInput(f"{where}: expected {name} with {axes} axes, got {name}.shape={array.shape}.")
    if array.size == 0:
        raise InvalidInput(f"{where}: expected {name} not empty, got {name}.shape={array.shape}.")
    bad = ~np.isfinite(array)
    if bad.any():
        first = tuple(int(i) for i in np.argwhere(bad)[0])
        raise InvalidInput(
            f"{where}: expected {name} finite, got {int(bad.sum())} NaN or infinite values, "
            f"the first {name}[{', '.join(map(str, first))}]={array[first]}."
        )
    return array


def known(where: str, name: str, value: Any, names: Iterable[str]) -> str:
    """Return ``value`` if it is one of ``names``; else refuse it, with the nearest of them."""
    names = list(names)
    if value in names:
        return value
    near = difflib.get_close_matches(str(value), names, n=3, cutoff=0.4)
    hint = f" Nearest: {', '.join(near)}." if near else ""
    raise InvalidInput(f"{where}: expected {name} one of {', '.join(names)}, got {name}={value!r}.{hint}")
