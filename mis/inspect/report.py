"""What an inspection found, as a table, lines and numbers."""

import math
from dataclasses import dataclass
from typing import Any

from mis.inspect.measure import ROUNDING
from mis.inspect.released import Release, Row, Together
from mis.ranking.text import fit, grid, terminal_width
from mis.results import Interval

__all__ = ["Inspection"]

NOTHING = "–"
# Files below which the spread of a single weight is known to a factor only.
FEW_FILES = 8
ENDS = ("value", "lower", "upper", "kind", "level")


@dataclass(frozen=True, kw_only=True)
class Inspection:
    """What was found in one or several released files.

    Parameters
    ----------
    releases, predicted
        Each file, and its predicted advantage where the one at full precision was given.
    together
        What they tell together; None for one.
    num_spread
        Files that gave the spread.
    full_advantage
        Advantage at full precision.
    level
        Of the intervals.
    """

    releases: tuple[Release, ...]
    predicted: tuple[Interval | None, ...]
    together: Together | None
    num_spread: int
    full_advantage: float | Interval | None
    level: float

    def records(self) -> list[dict[str, Any]]:
        """Return one flat row a tensor, and one for each file; an interval takes four columns."""
        found = []
        for release, predicted in zip(self.releases, self.predicted, strict=True):
            found += [{"file": release.path, **_record(row), "predicted": None} for row in release.rows]
            found.append({"file": release.path, **_record_of_all(release), "predicted": predicted})
        return [_flat(record) for record in found]

    def to_json(self) -> dict[str, Any]:
        """Return what ``json.dump`` can write; a number that is not known is null."""
        together = self.together
        return {
            "releases": [
                {
                    "file": release.path,
                    "tensors": [_plain(_record(row)) for row in release.rows],
                    "all": _plain({**_record_of_all(release), "predicted": predicted}),
                    "quantizers": dict(release.quantizers),
                }
                for release, predicted in zip(self.releases, self.predicted, strict=True)
            ],
            "together": together
            and {
                "inside": [
                    {"cells": self.releases[i].path, "within": self.releases[j].path, "holds": value}
                    for (i, j), value in together.inside.items()
                ],
                "entropy": together.entropy,
                "apart": together.apart,
                **_plain({"information": together.information}),
                "num_weights": together.num_weights,
            },
            "num_spread": self.num_spread,
            **_plain({"full_advantage": self.full_advantage}),
            "level": self.level,
        }

    def table(self, width: int | None = None) -> str:
        """Return the tables and what is to be said below them, as text."""
        width = terminal_width() if width is None else width
        parts = []
        for k, release in enumerate(self.releases):
            parts.append("\n".join([release.path, "", _table(release, width)]))
            parts.append("\n".join(fit(f"- {line}", width, hanging=2) for line in self._lines(k)))
        if self.together is not None:
            parts.append(
                "\n".join(fit(f"- {line}", width, hanging=2) for line in self._lines_together(self.together))
            )
        return "\n\n".join(parts)

    def _lines(self, k: int) -> list[str]:
        release = self.releases[k]
        shares = "; ".join(f"{name} ({_percent(share)} of the weights)" for name, share in release.quantizers)
        lines = [f"Released as {shares}." if shares else "No weights."]
        hidden = sum(row.size * row.stored for row in release.rows if not row.is_weights)
        share = hidden / max(sum(row.size * row.stored for row in release.rows), 1)
        if share > 0.01:
            lines.append(f"{_percent(share)} of the bytes are not decoded: nothing here counts them.")
        lines += sorted({f"{row.quantizer}: {row.note}." for row in release.rows if row.note})
        if any(row.quantizer.startswith("ternary") for row in release.rows):
            lines.append("ternary: uniform-2 has the same levels.")
        if release.information is not None:
            lines += self._lines_of_information(release, self.predicted[k])
        return lines

    def _lines_of_information(self, release: Release, predicted: Interval | None) -> list[str]:
        passed = release.information
        assert passed is not None
        rest = (
            ""
            if release.share_known == 1
            else f", of the {_percent(release.share_known)} of them that it is known of"
        )
        lines = [
            f"Of the information about each weight its code passes {_interval(passed)} on average{rest}: a shift that "
            f"full precision shows shrinks to {math.sqrt(passed.value):.3g} of it. Scales and codebooks tell more."
        ]
        if self.num_spread < FEW_FILES:
            lines.append(
                f"The spread comes from {self.num_spread} files: that of a single weight is known to a factor only, "
                "which the interval does not count."
            )
        if predicted is not None:
            full = self.full_advantage
            known = full.value if isinstance(full, Interval) else full
            lines.append(
                f"Where the best attack on full precision reaches {known:g}, this predicts {_interval(predicted)} "
                "here: a level that theory predicts, no bound."
            )
        return lines

    def _lines_together(self, together: Together) -> list[str]:
        lines = []
        names = [release.path for release in self.releases]
        for (i, j), value in together.inside.items():
            if value:
                lines.append(
                    f"Each cell of {names[i]} lies inside a cell of {names[j]}, which tells nothing more."
                )
        for i in range(len(names)):
            for j in range(i):
                both = {together.inside.get((i, j)), together.inside.get((j, i))}
                if both == {False}:
                    lines.append(
                        f"{names[j]} and {names[i]} are not nested: together they tell more than either."
                    )
                elif True not in both:
                    lines.append(f"Whether {names[j]} and {names[i]} are nested does not show.")
        if together.apart is not None and together.apart > ROUNDING:
            lines.append(
                f"The cells of {_percent(together.apart)} of the weights do not meet: these are no releases of "
                "the same weights."
            )
        if together.entropy is not None:
            lines.append(f"Together their codes have an entropy of {together.entropy:.3g} bits a weight.")
        if together.information is not None:
            lines.append(
                f"Together they pass {_interval(together.information)} of the information about each weight."
            )
            if self.full_advantage is not None:
                from mis.theory import predicted_advantage

                predicted = predicted_advantage(together.information, self.full_advantage)
                lines.append(f"Together they are predicted to reach {_interval(predicted)}.")
        return lines


def _table(release: Release, width: int) -> str:
    rows = [_record(row) for row in release.rows] + [_record_of_all(release)]
    optional = ("error", "outside", "information")
    shown = [name for name in optional if any(row[name] is not None for row in rows)]
    columns = ["weights", "quantizer", "per", "bits", "stored", "zeros", "entropy", *shown]
    body = [[row["tensor"], *(_cell(name, row[name]) for name in columns)] for row in rows]
    return grid(["tensor", *columns], body, width)


def _cell(name: str, value: Any) -> str:
    if value is None or value == "":
        return NOTHING
    if isinstance(value, Interval):
        return f"{value.value:.3f} ± {value.width / 2:.3f}"
    if isinstance(value, str | int):
        return str(value)
    if name in ("zeros", "outside"):
        return _percent(value)
    return f"{value:.3g}" if name == "error" else f"{value:.2f}"


def _record(row: Row) -> dict[str, Any]:
    return {
        "tensor": row.name,
        "shape": list(row.shape),
        "weights": row.size,
        "quantizer": row.quantizer,
        "per": row.per,
        "bits": row.bits if row.is_weights else None,
        "stored": row.stored if row.is_weights else None,
        "zeros": row.zeros,
        "entropy": row.entropy,
        "error": row.error,
        "outside": row.outside,
        "information": row.information,
        "note": row.note,
    }


def _record_of_all(release: Release) -> dict[str, Any]:
    main = release.quantizers[0][0] if release.quantizers else ""
    several = len(release.quantizers) > 1
    known = all(row.bits is not None for row in release.weights)
    return {
        "tensor": "all",
        "shape": [],
        "weights": release.num_weights,
        "quantizer": f"{len(release.quantizers)} kinds" if several else main.partition(" per ")[0],
        "per": "",
        "bits": release.mean(lambda row: row.bits) if known else None,
        "stored": release.mean(lambda row: row.stored),
        "zeros": release.mean(lambda row: row.zeros),
        "entropy": release.mean(lambda row: row.entropy),
        "error": release.error,
        "outside": release.mean(lambda row: row.outside),
        "information": release.information,
        "note": "",
    }


def _plain(record: dict[str, Any]) -> dict[str, Any]:
    return {
        name: {end: getattr(value, end) for end in ENDS} if isinstance(value, Interval) else value
        for name, value in record.items()
    }


def _flat(record: dict[str, Any]) -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for name, value in record.items():
        if name in ("information", "predicted"):
            for end in ENDS[:4]:
                flat[name if end == "value" else f"{name}_{end}"] = value and getattr(value, end)
        else:
            flat[name] = "x".join(map(str, value)) if isinstance(value, list) else value
    return flat


def _percent(share: float) -> str:
    """Return a share as text; never 0% of what there is, nor all of what is not."""
    text = f"{100 * share:.1f}".removesuffix(".0")
    if text == "0" and share > 0:
        return "<0.1%"
    return ">99.9%" if text == "100" and share < 1 else f"{text}%"


def _interval(value: Interval) -> str:
    if value.lower == value.upper:
        return f"{value.value:.3f} ({value.kind})"
    return f"{value.value:.3f} [{value.lower:.3f}, {value.upper:.3f}] ({value.kind}, {100 * value.level:g}%)"
