"""What a work found, as plain lines."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from mis.results import Interval

if TYPE_CHECKING:
    from mis.works.base import Study

__all__ = ["columns", "number", "text_of"]


def text_of(study: "Study") -> str:
    """Return a study's own text, then theirs beside ours, then the verdicts."""
    parts = [study.text]
    if study.published:
        lines = [[row["what"], number(row["theirs"]), _ours(row["ours"])] for row in study.published]
        parts.append(f"Published, and ours\n{columns(('what', 'theirs', 'ours'), lines)}")
    if study.verdicts:
        claims = [[row["verdict"], row["claim"], row["rests_on"]] for row in study.verdicts]
        parts.append(
            f"Verdicts, each from its own interval\n{columns(('verdict', 'claim', 'rests on'), claims)}"
        )
    return "\n\n".join(parts)


def _ours(found: Mapping[str, Any]) -> str:
    return ", ".join(f"{number(value)} ({name})" for name, value in found.items()) or "not here"


def number(value: Any) -> str:
    """Return a number, an interval with its ends, or a text, in few digits."""
    if isinstance(value, Interval):
        return f"{value.value:.3g} [{value.lower:.3g}, {value.upper:.3g}]"
    return value if isinstance(value, str) else f"{value:.4g}"


def columns(head: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    """Return lines in columns as wide as their widest cell, no number ever cut.

    Examples
    --------
    >>> print(columns(("what", "bits"), [["sign", "1"], ["full", "32"]]))
    what  bits
    sign  1
    full  32
    """
    widths = [max(len(line[i]) for line in [head, *lines]) for i in range(len(head))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in [head, *lines]
    )
