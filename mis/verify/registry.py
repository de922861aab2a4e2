"""A registry of claims, each a pair of routes to one number, and how they compare.

To add a claim: write a function of its setting that returns two numbers or `Interval` and decorate it with ``claim``.
The first is what the theory says, the second the truth, found another way: a closed form, an enumeration, a quadrature,
a simulation with its interval. One row comes out for each setting. The relation says what the two are to each other:

- ``=``: ``(value, truth, within)``, two routes to one number, apart by no more than rounding and quadrature leave;
- ``~``: ``(value, truth, within)``, an approximation or a limit, within the relative error that is claimed;
- ``<=``: ``(bound, truth)``, the truth lies below the bound;
- ``covers``: ``(interval, truth)``, the interval holds the truth, or meets the truth's own interval.
"""

import difflib
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mis.numerics.checks import InvalidInput, refuse
from mis.results import Interval

__all__ = ["CLAIMS", "LEVEL", "RELATIONS", "Claim", "claim", "claims", "groups", "run", "select"]

# Five standard errors: with every simulated row at once, a false alarm has probability below 1e-4.
LEVEL = 1 - 5.8e-7
RELATIONS = ("=", "~", "<=", "covers")


@dataclass(frozen=True, kw_only=True)
class Claim:
    """One statement in one setting."""

    name: str
    label: str
    group: str
    statement: str
    source: str
    setting: Mapping[str, Any]
    check: Callable[..., tuple]
    relation: str
    quick: bool

    @property
    def id(self) -> str:
        """Name of the row: of the claim, and of the setting where there are several."""
        return f"{self.name}-{self.label}" if self.label else self.name

    def row(self) -> dict[str, Any]:
        """Compute both routes and compare them; a route that raises fails its row and no other."""
        about = {
            "id": self.id,
            "group": self.group,
            "statement": self.statement,
            "source": self.source,
            "setting": dict(self.setting),
            "relation": self.relation,
        }
        try:
            found, truth, *within = self.check(**self.setting)
        except Exception as error:
            return about | {"verdict": "fail", "reason": f"{type(error).__name__}: {error}"}
        kind = found.kind if isinstance(found, Interval) else None
        numbers, holds = _compare(self.relation, _ends(found), _ends(truth), *within)
        # JSON has no NaN and no infinity.
        plain = {key: x if math.isfinite(x) else None for key, x in numbers.items()}
        return about | {"kind": kind} | plain | {"verdict": "pass" if holds else "fail"}


CLAIMS: list[Claim] = []


def claim(
    group: str,
    name: str,
    statement: str,
    source: str,
    settings: Mapping[str, Mapping[str, Any]],
    *,
    full: Mapping[str, Mapping[str, Any]] | None = None,
    relation: str = "=",
) -> Callable:
    """Register the decorated function once for each setting; a quick run leaves those in ``full`` out.

    ``settings`` maps a label, which ends the row's id, to the setting; the only one may have the label "".
    """
    assert relation in RELATIONS

    def register(check):
        for chosen, quick in ((settings, True), (full or {}, False)):
            for label, setting in chosen.items():
                CLAIMS.append(
                    Claim(
                        name=name,
                        label=label,
                        group=group,
                        statement=statement,
                        source=source,
                        setting=setting,
                        check=check,
                        relation=relation,
                        quick=quick,
                    )
                )
        return check

    return register


def groups() -> list[str]:
    """Names of the groups of claims, in their order."""
    return list(dict.fromkeys(entry.group for entry in CLAIMS))


def select(names: Sequence[str] = (), quick: bool = False) -> list[Claim]:
    """Return the claims that ``names`` mean: groups, claims or ids of rows; all of them where there is no name.

    Examples
    --------
    >>> [entry.id for entry in select(["tie"], quick=True)]
    ['tie-1', 'tie-10', 'tie-1000']
    """
    known = {word for entry in CLAIMS for word in (entry.group, entry.name, entry.id)}
    for name in names:
        if name not in known:
            near = difflib.get_close_matches(name, sorted(known), n=1)
            hint = f" (the nearest is {near[0]})" if near else ""
            condition = f"one of the groups {', '.join(groups())}, or an id that --list shows{hint}"
            raise refuse("verify", "name", condition, name)
    chosen = [e for e in CLAIMS if not names or {e.group, e.name, e.id} & set(names)]
    found = [entry for entry in chosen if entry.quick or not quick]
    if not found:
        raise InvalidInput(f"verify: expected a quick setting among {', '.join(names)}; leave --quick out.")
    return found


def claims(names: Sequence[str] = (), quick: bool = False) -> Iterator[dict[str, Any]]:
    """Yield one row a claim, computed as it is asked for."""
    for entry in select(names, quick):
        yield entry.row()


def run(
    names: Sequence[str] = (), *, quick: bool = False, progress: Callable[[int, int], Any] | None = None
) -> list[dict[str, Any]]:
    """Verify the claims that are named, by default every one.

    Parameters
    ----------
    names
        Groups, claims or ids of rows; see `select`.
    quick
        Leave out the expensive settings.
    progress
        Called with (rows done, rows in all) before the first row and after each.

    Returns
    -------
    list of dict
        Keys ``id, group, statement, source, setting, relation, kind``; then ``value, truth, error, within`` (relative
        error) for ``=`` and ``~``, ``bound, truth, slack`` for ``<=``, ``lower, upper, truth, truth_lower,
        truth_upper`` for ``covers``; then ``verdict``, ``pass`` or ``fail``. ``kind`` is the interval's, None of a
        plain number. A row whose computation raised has a ``reason`` in the place of numbers.
    """
    total = len(select(names, quick))
    rows: list[dict[str, Any]] = []
    if progress:
        progress(0, total)
    for row in claims(names, quick):
        rows.append(row)
        if progress:
            progress(len(rows), total)
    return rows


def _ends(number: float | Interval) -> tuple[float, float, float]:
    if isinstance(number, Interval):
        return float(number.lower), float(number.value), float(number.upper)
    return float(number), float(number), float(number)


def _compare(
    relation: str, found: tuple[float, float, float], truth: tuple[float, float, float], within: float = 0.0
) -> tuple[dict[str, float], bool]:
    """Return the numbers of a row, and whether the relation holds: what is NaN holds nowhere."""
    (lower, value, upper), (truth_lower, true, truth_upper) = found, truth
    if relation == "<=":
        return {"bound": value, "truth": true, "slack": value - true}, truth_lower <= upper
    if relation == "covers":
        numbers = {"lower": lower, "upper": upper, "truth": true}
        ends = {"truth_lower": truth_lower, "truth_upper": truth_upper}
        return numbers | ends, lower <= truth_upper and truth_lower <= upper
    error = abs(value - true) / abs(true) if true else abs(value)
    return {"value": value, "truth": true, "error": error, "within": within}, error <= within
