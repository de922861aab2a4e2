"""What every computation of ``mis`` returns. Knows nothing of how it was computed."""

from dataclasses import dataclass, field
from typing import Any

from mis.numerics.checks import UnsupportedSetting

__all__ = ["KINDS", "Interval"]

KINDS = ("exact", "certified", "asymptotic", "monte-carlo", "bootstrap", "attack")


@dataclass(frozen=True, kw_only=True)
class Interval:
    """A number with its bounds and what they mean.

    Parameters
    ----------
    lower, value, upper
        ``lower <= value <= upper``. Unless the docstring of what made it says otherwise, a probability or an
        advantage, hence unitless.
    kind
        ``exact``: equal to the quantity up to the stated rounding error. ``certified``: the quantity lies
        between the bounds, proved, rounding included. ``asymptotic``: a limit formula, no guarantee at finite n; its
        bounds are the value itself, or carry the uncertainty of what went in.
        ``monte-carlo`` and ``bootstrap``: the bounds hold with probability ``level``. ``attack``: one attack's
        advantage, with probability ``level``; a *lower* bound on what the optimal attack reaches.
    level
        Confidence level; 1 for ``exact`` and ``certified``.
    effective_samples
        Effective sample size behind a Monte Carlo value, where it has one.
    curve
        The optimal ROC that belongs to the value, where there is one, or what ``roc()`` calls to compute it: a
        function of a module, or a ``functools.partial`` of one, so that an ``Interval`` can be pickled.
    details
        Other quantities of the same computation, by name.

    Examples
    --------
    >>> Interval(lower=0.1, value=0.2, upper=0.4, kind="monte-carlo", level=0.95)
    Interval(0.2 in [0.1, 0.4], monte-carlo, level=0.95)
    """

    lower: float
    value: float
    upper: float
    kind: str
    level: float = 1.0
    effective_samples: float | None = None
    curve: Any = field(default=None, compare=False)
    details: dict[str, Any] = field(default_factory=dict, compare=False)

    def __post_init__(self):
        if self.kind not in KINDS:
            raise ValueError(f"Interval: expected kind one of {', '.join(KINDS)}, got kind={self.kind!r}.")
        # A NaN fails this too: no number without its bounds.
        if not self.lower <= self.value <= self.upper:
            raise ValueError(
                f"Interval: expected lower <= value <= upper, got {self.lower!r}, {self.value!r}, {self.upper!r}."
            )

    @classmethod
    def point(cls, value: float, kind: str) -> "Interval":
        """Return a value whose bounds are itself, as of a limit formula."""
        return cls(lower=value, value=value, upper=value, kind=kind)

    def __repr__(self) -> str:
        if self.kind == "asymptotic" and self.lower == self.upper:
            return f"Interval({self.value:.6g}, asymptotic, no bounds)"
        return f"Interval({self.value:.6g} in [{self.lower:.6g}, {self.upper:.6g}], {self.kind}, level={self.level:g})"

    @property
    def width(self) -> float:
        """Upper minus lower."""
        return self.upper - self.lower

    def roc(self) -> Any:
        """Return the optimal attack's ROC, where the computation behind this value has one."""
        if self.curve is None:
            raise UnsupportedSetting("Interval.roc", f"this {self.kind} value carries no ROC.")
        return self.curve() if callable(self.curve) else self.curve
