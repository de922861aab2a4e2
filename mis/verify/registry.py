"""Functions: a registry of claims, each a pair of routes to one number, and the table of how they compare.

To add a claim: write a function of its setting that returns ``(predicted, reference)`` or ``(predicted,
reference, rtol)`` and decorate it with ``claim``. ``predicted`` is what the theory says; ``reference`` is
found another way: a closed form, an enumeration, a quadrature, a simulation with its interval. One row comes
out for each setting.
"""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mis.results import Interval

__all__ = ["CLAIMS", "LEVEL", "Claim", "claim", "claims", "run"]

# Five standard errors: with every simulated row at once, a false alarm has probability below 1e-4.
LEVEL = 1 - 5.8e-7
RELATIONS = ("=", "<=", ">=")


@dataclass(frozen=True)
class Claim:
    """One statement in one setting."""

    statement: str
    source: str
    setting: Mapping[str, Any]
    check: Callable[..., tuple]
    relation: str
    quick: bool

    def row(self) -> dict[str, Any]:
        """Compute both routes and compare them.

        ``=`` holds where the intervals, the reference's widened by the claim's own relative tolerance,
        overlap; ``<=`` and ``>=`` where predicted is not beyond the reference's bounds. The discrepancy is
        relative to the reference: of the values for ``=``, of what is beyond for the others.
        """
        predicted, reference, *tolerance = self.check(**self.setting)
        (p_low, p, p_high), (low, value, high) = _bounds(predicted), _bounds(reference)
        margin = abs(value) * (tolerance[0] if tolerance else 0.0)
        too_low, too_high = p_high < low - margin, p_low > high + margin
        beyond = {"=": p - value, "<=": max(p_low - high, 0.0), ">=": min(p_high - low, 0.0)}[self.relation]
        fails = {"=": too_low or too_high, "<=": too_high, ">=": too_low}[self.relation]
        return {
            "statement": self.statement,
            "source": self.source,
            "setting": ", ".join(f"{name}={value}" for name, value in self.setting.items()),
            "predicted": p,
            "value": value,
            "lower": low,
            "upper": high,
            "discrepancy": abs(beyond / value) if value else abs(beyond),
            "verdict": "fail" if fails or math.isnan(p) else "pass",
        }


CLAIMS: list[Claim] = []


def claim(
    statement: str,
    source: str,
    settings: Sequence[Mapping[str, Any]] = ({},),
    *,
    full: Sequence[Mapping[str, Any]] = (),
    relation: str = "=",
) -> Callable:
    """Register the decorated function once for each setting; a quick run leaves those in ``full`` out."""
    assert relation in RELATIONS

    def register(check):
        for chosen, quick in ((settings, True), (full, False)):
            CLAIMS.extend(Claim(statement, source, setting, check, relation, quick) for setting in chosen)
        return check

    return register


def claims(quick: bool = False) -> Iterator[dict[str, Any]]:
    """Yield one row a claim, computed as it is asked for."""
    for entry in CLAIMS:
        if entry.quick or not quick:
            yield entry.row()


def run(quick: bool = False, progress: Callable[[int, int], Any] | None = None) -> list[dict[str, Any]]:
    """Verify every claim.

    Parameters
    ----------
    quick
        Leave out the expensive settings.
    progress
        Called with (rows done, rows in all) before the first row and after each.

    Returns
    -------
    list of dict
        Keys ``statement, source, setting, predicted, value, lower, upper, discrepancy, verdict``; verdicts
        are ``pass`` and ``fail``. ``value`` in ``[lower, upper]`` is the second route's.
    """
    total = sum(entry.quick or not quick for entry in CLAIMS)
    rows: list[dict[str, Any]] = []
    if progress:
        progress(0, total)
    for row in claims(quick):
        rows.append(row)
        if progress:
            progress(len(rows), total)
    return rows


def _bounds(number: float | Interval) -> tuple[float, float, float]:
    if isinstance(number, Interval):
        return float(number.lower), float(number.value), float(number.upper)
    return float(number), float(number), float(number)
