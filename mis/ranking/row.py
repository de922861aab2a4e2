"""One release of a ranking, intervals with their kind from the measurement to the last file."""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any

from mis.ranking.columns import COLUMNS
from mis.results import Interval

__all__ = ["Row", "mis_of"]

ENDS = ("lower", "value", "upper", "kind", "level")


@dataclass(frozen=True, kw_only=True)
class Row:
    """What is known of one release.

    Each field is a column; ``mis explain`` and ``mis.ranking.columns.COLUMNS`` say what it is. ``row["lira"]`` gives
    any column by name, those of the attacks too.

    Parameters
    ----------
    release, bits, zeros, train_performance, num_candidates, indicator_naive, weight_error, code_entropy
        Text and plain numbers.
    performance, indicator, retained, retained_ensemble, local, predicted, limit, early, given_performance
        Intervals; None where there is none, and ``missing`` says why.
    advantage, tpr_at_fpr_01, fpr_realised
        What the strongest attack reached.
    attacks
        The advantage of every attack that was asked for, by name.
    early_steps
        Steps that belong to ``early``.
    tpr_of
        The true positive rate of every attack at a false positive rate of 1%, by name; in JSON alone.
    tied_with
        Names of releases that cannot be told from this one.
    level
        Level of the intervals.
    missing
        For columns without a number, why.
    """

    release: str
    bits: float
    zeros: float
    performance: Interval
    train_performance: float
    indicator: Interval | None
    num_candidates: int | None
    indicator_naive: float | None
    retained: Interval | None
    retained_ensemble: Interval | None
    local: Interval | None
    weight_error: float | None
    code_entropy: float | None
    attacks: Mapping[str, Interval]
    advantage: Interval
    tpr_at_fpr_01: Interval
    fpr_realised: float
    limit: Interval | None
    level: float
    predicted: Interval | None = None
    early: Interval | None = None
    early_steps: float | None = None
    given_performance: Interval | None = None
    tpr_of: Mapping[str, Interval] = field(default_factory=dict)
    tied_with: tuple[str, ...] = ()
    missing: Mapping[str, str] = field(default_factory=dict)

    @property
    def mis(self) -> Interval:
        """What the strongest attack leaves of membership inference security; see ``mis_of``."""
        return mis_of(self.advantage)

    def __getitem__(self, name: str) -> Any:
        if name not in COLUMNS:
            raise KeyError(name)
        return self.attacks.get(name) if name not in self.__dict__ and name != "mis" else getattr(self, name)

    def record(self) -> dict[str, Any]:
        """Return the row as ``ranking.csv`` has it: ``advantage``, ``advantage_lower`` and so on; None where unknown.

        Examples
        --------
        >>> from mis.results import Interval
        >>> found = Interval(lower=0.1, value=0.2, upper=0.3, kind="attack", level=0.95)
        >>> names = [f.name for f in fields(Row) if f.name not in ("attacks", "missing", "tied_with", "tpr_of")]
        >>> row = Row(**dict.fromkeys(names) | {"release": "sign", "advantage": found, "attacks": {"lira": found}})
        >>> [row.record()[name] for name in ("release", "lira", "advantage_lower", "advantage_kind")]
        ['sign', 0.2, 0.1, 'attack']
        """
        flat: dict[str, Any] = {}
        for name, column in COLUMNS.items():
            value = self[name]
            if column.kind is None:
                flat[name] = " ".join(value) if isinstance(value, tuple) else value
                continue
            for part in ("value", "lower", "upper", "kind"):
                flat[name if part == "value" else f"{name}_{part}"] = value and getattr(value, part)
        return flat

    def to_json(self) -> dict[str, Any]:
        """Return the row as ``ranking.json`` has it: intervals as objects, attacks that were not asked for left out."""
        plain = {}
        for name in COLUMNS:
            value = self[name]
            if name not in self.__dict__ and value is None:
                continue
            plain[name] = _plain(value) if isinstance(value, Interval) else value
        tpr_of = {name: _plain(value) for name, value in self.tpr_of.items()}
        return plain | {"tied_with": list(self.tied_with), "missing": dict(self.missing), "tpr_of": tpr_of}

    @classmethod
    def from_json(cls, plain: Mapping[str, Any]) -> "Row":
        """Read what ``to_json`` returned."""
        nested = ("missing", "tpr_of")
        values = {
            k: Interval(**v) if isinstance(v, dict) and k not in nested else v for k, v in plain.items()
        }
        # Records of earlier versions have none.
        values["tpr_of"] = {k: Interval(**v) for k, v in plain.get("tpr_of", {}).items()}
        own = {f.name for f in fields(cls)}
        attacks = {k: v for k, v in values.items() if k not in own and k != "mis"}
        kept: dict[str, Any] = {k: v for k, v in values.items() if k in own}
        return cls(**kept | {"attacks": attacks, "tied_with": tuple(plain["tied_with"])})


def _plain(value: Interval) -> dict[str, Any]:
    return {end: getattr(value, end) for end in ENDS}


def mis_of(advantage: Interval) -> Interval:
    """Return what an attack's advantage leaves of membership inference security.

    ``MIS = 1 - TV <= 1 - advantage`` of any attack, so the upper end is one minus the advantage's lower end. An attack
    proves nothing from below: the lower end is 0, whatever the advantage's upper end.

    Examples
    --------
    >>> mis_of(Interval(lower=0.25, value=0.5, upper=0.625, kind="attack", level=0.95))
    Interval(0.5 in [0, 0.75], attack, level=0.95)
    """
    upper, value = (min(max(1.0 - end, 0.0), 1.0) for end in (advantage.lower, advantage.value))
    return Interval(lower=0.0, value=value, upper=upper, kind="attack", level=advantage.level)
