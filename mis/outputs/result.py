"""What attacks on the outputs of networks found, as text, columns and JSON."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from mis.attacks.audit import Audit
from mis.results import Interval

__all__ = ["Result", "Row"]

# What to print under several attacks.
COVERS = (
    "Each interval holds by itself; that of the strongest allows for its choice, made on other networks. They are for "
    "networks trained like these on these records; more networks, or better attacks, find more."
)


@dataclass(frozen=True)
class Row:
    """What one attack reaches: fields as of ``Audit``."""

    attack: str
    advantage: Interval
    auc: Interval
    tpr_at_fpr: dict[float, Interval | None]
    epsilon_lower: Interval
    num_folds: int
    unresolved: dict[str, str]
    warning: str

    @classmethod
    def of(cls, name: str, found: Audit) -> "Row":
        """Return what an audit found, without the scores."""
        return cls(
            name,
            found.advantage,
            found.auc,
            found.tpr_at_fpr,
            found.epsilon_lower,
            found.num_folds,
            found.unresolved,
            found.warning,
        )

    @property
    def intervals(self) -> dict[str, Interval | None]:
        """Every two-sided number by its name in files."""
        rates = {f"tpr_at_fpr_{fpr:g}": tpr for fpr, tpr in self.tpr_at_fpr.items()}
        return {"advantage": self.advantage, "auc": self.auc, **rates}

    def columns(self) -> dict[str, Any]:
        """Return the row of ``table.csv``: an interval takes four columns, empty where it cannot be resolved."""
        flat: dict[str, Any] = {"attack": self.attack}
        for name, interval in self.intervals.items():
            ends = (interval.value, interval.lower, interval.upper, interval.kind) if interval else ("",) * 4
            flat |= dict(zip((name, f"{name}_lower", f"{name}_upper", f"{name}_kind"), ends, strict=True))
        return flat | {"epsilon_lower": self.epsilon_lower.lower, "level": self.advantage.level}

    def to_json(self) -> dict[str, Any]:
        """Return what ``json.dump`` can write."""
        return {
            "attack": self.attack,
            **{name: plain(interval) for name, interval in self.intervals.items()},
            "epsilon_lower": self.epsilon_lower.lower,
            "num_folds": self.num_folds,
            "unresolved": self.unresolved,
            "warning": self.warning,
        }


@dataclass(frozen=True, kw_only=True)
class Result:
    """What was found.

    Parameters
    ----------
    about
        What was attacked, and how: names and numbers.
    notes
        What else must be known to read the numbers, in sentences.
    left_out
        Attacks that the outputs do not serve, with the reason.
    rows
        The attacks, by what they reach; none where no target's membership is known.
    strongest, chosen
        Advantage of the strongest attack, chosen on other networks, and which that was for each group of targets.
    rocs
        ROC of each attack with its band, as ``Audit.roc``.
    risks
        One row a record, as ``record_risks`` returns them, by the strongest attack; no columns for a single target.
    """

    about: dict[str, Any]
    notes: list[str]
    left_out: dict[str, str]
    rows: list[Row] = field(default_factory=list)
    strongest: Interval | None = None
    chosen: list[str] = field(default_factory=list)
    rocs: dict[str, list[dict[str, float]]] = field(default_factory=dict)
    risks: dict[str, np.ndarray] = field(default_factory=dict)

    def __getitem__(self, name: str) -> Row:
        return next(row for row in self.rows if row.attack == name)

    def table(self) -> str:
        """Return the attacks as aligned text, with what must be known to read it."""
        lines = []
        if self.rows:
            lines = [f"{'':<20}{'advantage':<24}{'AUC':<22}TPR at 1% FPR"]
            if self.strongest is not None and len(self.rows) > 1:
                lines.append(f"{'strongest':<20}{_shown(self.strongest)}")
            for row in self.rows:
                cells = (row.advantage, row.auc, row.tpr_at_fpr.get(0.01))
                shown = (_shown(cell).ljust(size) for cell, size in zip(cells, (24, 22, 0), strict=True))
                lines.append(f"{row.attack:<20}{''.join(shown)}".rstrip())
            lines.append(f"{100 * self.rows[0].advantage.level:g}% intervals. {COVERS}")
            lines += [f"{row.attack}: {row.warning}" for row in self.rows if row.warning]
        lines += self.notes
        if self.left_out:
            lines.append(f"Attacks that this file does not serve: {', '.join(self.left_out)}.")
        return "\n".join(lines)

    def to_json(self) -> dict[str, Any]:
        """Return what ``json.dump`` can write."""
        return {
            **self.about,
            "strongest": plain(self.strongest),
            "strongest_chosen": self.chosen,
            "attacks": [row.to_json() for row in self.rows],
            "left_out": self.left_out,
            "notes": self.notes,
        }


def _shown(interval):
    return f"{interval.value:.3f} [{interval.lower:.3f}, {interval.upper:.3f}]" if interval else "-"


def plain(interval: Interval | None) -> dict[str, Any] | None:
    """Return an interval for JSON."""
    if interval is None:
        return None
    return {name: getattr(interval, name) for name in ("lower", "value", "upper", "kind", "level")}
