"""What an attack is, and the arrays it asks for.

An attack turns arrays that a user computed in any framework into scores, larger for likelier members. What it
needs is declared by name, axes and type; missing, surplus and ill-shaped inputs are then refused here, in one
place, and ``evaluate`` meets only float64, bool and integer arrays whose shapes agree.

To add an attack: copy ``entropy.py``, write ``needs`` and ``evaluate``; add it to ``ATTACKS`` in
``__init__.py``; add one row to ``CASES`` in ``tests/contracts/test_attacks.py``.

Axes: ``M`` shadow models, ``T`` target models, ``N`` examples under attack, ``S`` examples that only shadows
use, ``C`` classes. A leading ``M`` or ``T`` axis may be left out where there is one model; an input of shape
``(N,)`` then gives scores of shape ``(N,)``.
"""

import abc
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from mis.numerics.checks import InvalidInput, UnsupportedSetting, unmasked

__all__ = [
    "Attack",
    "Input",
    "finite_scores",
    "read_labels",
    "read_membership",
    "read_scores",
    "refuse_empty",
]

OPTIONAL_AXES = ("M", "T")

# Beyond this size a score counts as infinite: so does the largest number of single precision, which stands for infinity
# where ``nan_to_num`` has been. Squares of what is smaller do not overflow.
SURE = 1e38

# Below this all integers are exact in float64.
EXACT = 2**53


@dataclass(frozen=True)
class Input:
    """One array that an attack asks for.

    Parameters
    ----------
    axes
        Names of its axes, e.g. ``"T N"``; equal names have equal lengths across the inputs of one attack.
    type
        ``float`` (NaN refused, infinities legal: a sure score), ``bool``, ``int`` or ``Callable`` (one function or,
        along its one axis, a list of them).
    """

    axes: str
    type: Any = float

    def read(self, where: str, name: str, value: Any) -> Any:
        """Return ``value`` as an array with all the axes, or refuse it."""
        if self.type is Callable:
            return _read_callables(where, name, value)
        array = CASTS[self.type](where, name, value)
        axes = self.axes.split()
        if array.ndim == len(axes) - 1 and axes[0] in OPTIONAL_AXES:
            array = array[None]
        if array.ndim != len(axes):
            shape = f"({', '.join(axes)})"
            raise InvalidInput(f"{where}: expected {name} of shape {shape}, got {name}.shape={array.shape}.")
        if array.size == 0:
            raise InvalidInput(f"{where}: expected {name} not empty, got {name}.shape={array.shape}.")
        return array


@dataclass(frozen=True, kw_only=True)
class Attack(abc.ABC):
    """A rule that scores examples by how likely they were in the training data.

    A spec: frozen, hashable, numbers and strings only, validated in ``__post_init__``.
    """

    @property
    @abc.abstractmethod
    def needs(self) -> Mapping[str, Input]:
        """The inputs of ``scores``, by name; the one with an axis ``T`` gives the result its shape."""

    @abc.abstractmethod
    def evaluate(self, *args: Any, **inputs: Any) -> np.ndarray:
        """Return scores of shape ``(T, N)`` from checked inputs that have all their axes."""

    def scores(self, **inputs: Any) -> np.ndarray:
        """Return one score per example, larger for likelier members.

        Parameters
        ----------
        **inputs
            The arrays named in ``needs``.

        Returns
        -------
        np.ndarray
            Float64 scores, shape ``(T, N)``, or ``(N,)`` where the target's input came without the axis
            ``T``.

        Raises
        ------
        InvalidInput
            Where an input is missing, unknown, has a NaN, or a shape that does not fit the others.
        """
        where = type(self).__name__
        needs = self.needs
        self._refuse_names(where, inputs)
        arrays = {name: need.read(where, name, inputs[name]) for name, need in needs.items()}
        _match_axes(where, needs, arrays)
        scores = self.evaluate(**arrays)
        if np.isnan(scores).any():
            raise InvalidInput(
                f"{where}: expected inputs of a size that float64 can work with, got an overflow."
            )
        target = next(name for name, need in needs.items() if need.axes.startswith("T"))
        single = callable(inputs[target]) or np.ndim(inputs[target]) < arrays[target].ndim
        return scores[0] if single else scores

    def _refuse_names(self, where, inputs):
        missing = [name for name in self.needs if inputs.get(name) is None]
        if missing:
            raise InvalidInput(f"{where}: expected {', '.join(self.needs)}, got no {', '.join(missing)}.")
        surplus = [name for name in inputs if name not in self.needs]
        if surplus:
            raise InvalidInput(
                f"{where}: expected {', '.join(self.needs)} only, got also {', '.join(surplus)}."
            )


def read_scores(where: str, name: str, value: Any) -> np.ndarray:
    """Return ``value`` as float64 without NaN; infinities are legal, different numbers that become one are not."""
    unmasked(where, name, value)
    try:
        given = np.asarray(value)
        if np.iscomplexobj(given):
            raise InvalidInput(f"{where}: expected {name} real, got complex numbers.")
        # Text that looks like numbers is text; dates and records are no scores.
        objects = given.flat if given.dtype.kind == "O" else ()
        if (
            given.dtype.kind in "USmM"
            or given.dtype.names
            or any(isinstance(x, str | bytes) for x in objects)
        ):
            raise TypeError
        array = np.asarray(given, dtype=np.float64)
    except InvalidInput:
        raise
    except OverflowError:
        raise InvalidInput(f"{where}: expected {name} that float64 can hold, got larger integers.") from None
    except (TypeError, ValueError):
        raise InvalidInput(f"{where}: expected {name} numeric, got {_kind(value)}.") from None
    # One pass over the array in the usual case: a sum is NaN where an element is (or where infinities meet).
    with np.errstate(invalid="ignore", over="ignore"):
        suspect = np.isnan(array.sum())
    missing = np.isnan(array) if suspect else np.zeros(0, bool)
    if missing.any():
        first = ", ".join(str(int(i)) for i in np.argwhere(missing)[0])
        raise InvalidInput(
            f"{where}: expected {name} without NaN, got {int(missing.sum())} NaN, the first {name}[{first}]."
        )
    if _loses_order(value, given, array):
        raise InvalidInput(
            f"{where}: expected {name} that float64 can tell apart, got numbers of more digits; "
            f"subtract one that is near them all, or pass their ranks."
        )
    return array


def _loses_order(value, given, array):
    """Whether rounding to float64 may have made different scores equal, in this array or beside another."""
    large = np.abs(array) >= EXACT
    if (given.dtype.kind in "iuO" or isinstance(value, list | tuple)) and large.any():
        exact = np.asarray(value, dtype=object)[large]
        if any(isinstance(x, int | np.integer) and int(x) != float(x) for x in exact):
            return True
    if given.dtype.kind == "O":
        exact = {x.item() if isinstance(x, np.ndarray | np.generic) else x for x in given.flat}
        return len(exact) > np.unique(array).size
    longer = given.dtype.kind == "f" and given.dtype.itemsize > array.dtype.itemsize
    return longer and np.unique(given).size > np.unique(array).size


def _kind(value):
    """Name what was given: the type of an array's elements, or that of the whole."""
    return f"an array of {value.dtype}" if isinstance(value, np.ndarray) else f"a {type(value).__name__}"


def read_membership(where: str, name: str, value: Any) -> np.ndarray:
    """Return ``value`` as a bool array; numbers must be 0 or 1."""
    unmasked(where, name, value)
    array = np.asarray(value)
    if array.dtype == np.bool_:
        return array
    as_numbers = read_scores(where, name, value)
    if not np.isin(as_numbers, (0, 1)).all():
        raise InvalidInput(f"{where}: expected {name} boolean, got values other than 0 and 1.")
    return as_numbers == 1


def read_labels(where: str, name: str, value: Any) -> np.ndarray:
    """Return ``value`` as integers, 0 or larger; integers exactly, whatever their size."""
    unmasked(where, name, value)
    given = np.asarray(value)
    if given.dtype.kind not in "iu":
        given = read_scores(where, name, value)
    with np.errstate(invalid="ignore"):
        wrong = ~((given >= 0) & (given % 1 == 0) & (given < 2**63))
    if wrong.any():
        bad = given[wrong][0]
        raise InvalidInput(f"{where}: expected {name} class numbers 0, 1, 2, …, got {name} with {bad:g}.")
    return given.astype(np.int64)


def _read_callables(where, name, value):
    """Return one function or a list of them as an array of objects."""
    functions = [value] if callable(value) else list(value) if isinstance(value, list | tuple) else []
    if not functions or not all(map(callable, functions)):
        kind = type(value).__name__
        raise InvalidInput(f"{where}: expected {name} callable or a list of callables, got a {kind}.")
    array = np.empty(len(functions), dtype=object)
    array[:] = functions
    return array


CASTS: dict[Any, Callable[[str, str, Any], np.ndarray]] = {
    float: read_scores,
    bool: read_membership,
    int: read_labels,
}


def _match_axes(where, needs, arrays):
    lengths: dict[str, tuple[int, str]] = {}
    for name, need in needs.items():
        for axis, length in zip(need.axes.split(), arrays[name].shape, strict=True):
            known, giver = lengths.setdefault(axis, (length, name))
            if known != length:
                raise InvalidInput(
                    f"{where}: expected {name} and {giver} with equal {axis}, "
                    f"got {name} with {axis}={length} and {giver} with {axis}={known}."
                )


def finite_scores(reference: np.ndarray, target: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Replace infinite scores by the extremes of the finite ones.

    Those of the reference ``(M, N)`` count as its own extremes; those of the target ``(T, N)`` as the
    extremes of the reference and their own row, so that rows do not influence each other.
    """
    if max(reference.max(), target.max()) < SURE and min(reference.min(), target.min()) > -SURE:
        return reference, target
    low, high = _extremes(reference, axis=None)
    if low > high:
        low, high = np.full_like(low, -1.0), np.full_like(high, 1.0)
    row_low, row_high = _extremes(target, axis=1)
    return np.clip(reference, low, high), np.clip(
        target, np.minimum(low, row_low), np.maximum(high, row_high)
    )


def _extremes(scores, axis):
    """Smallest and largest finite score; where there is none, the wrong way round."""
    finite = np.abs(scores) < SURE
    low = np.where(finite, scores, np.inf).min(axis=axis, keepdims=True)
    high = np.where(finite, scores, -np.inf).max(axis=axis, keepdims=True)
    return low, high


def refuse_empty(where: str, side: str, count: np.ndarray, *, instead: str = "") -> None:
    """Refuse examples without a shadow model that trained on them (``in``) or that did not (``out``).

    ``instead`` of leaving them out: what else the user can do.
    """
    if count.all():
        return
    empty = np.flatnonzero(count == 0)
    advice = f", or {instead}" if instead else ""
    raise UnsupportedSetting(
        where,
        f"{len(empty)} of {len(count)} examples have no '{side}' shadow model, the first is number {empty[0]}; "
        f"leave them out{advice}.",
    )
