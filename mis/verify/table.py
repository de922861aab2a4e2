"""The rows of a verification, and the names of its claims, as text of any width."""

import itertools
import textwrap
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from mis.verify.registry import Claim

__all__ = ["listing", "summary", "table"]


def table(rows: Sequence[Mapping[str, Any]], width: int = 80) -> str:
    """Return each statement with its source and, below, its rows: on a line each, or on more where that is too wide.

    Examples
    --------
    >>> row = {"id": "sum", "group": "counting", "statement": "1 + 1 is 2", "source": "Peano (1889)", "setting": {},
    ...        "relation": "=", "kind": None, "value": 2.0, "truth": 2.0, "error": 0.0, "within": 0.0}
    >>> print(table([row | {"verdict": "pass"}]))
    counting
    --------
    1 + 1 is 2
    [Peano (1889)]
      sum  value 2 = truth 2  error 0.0e+00  pass
    <BLANKLINE>
    1 of 1 rows holds.
    """
    lines: list[str] = []
    for group, members in itertools.groupby(rows, lambda row: row["group"]):
        lines += [group, "-" * len(group)]
        for _, block in itertools.groupby(members, lambda row: row["statement"]):
            lines += [*_block(list(block), width), ""]
    return "\n".join([*lines, summary(rows, width)])


def summary(rows: Sequence[Mapping[str, Any]], width: int = 80) -> str:
    """Return the sentence that says how many rows hold, and which do not."""
    failed = [row["id"] for row in rows if row["verdict"] != "pass"]
    held = len(rows) - len(failed)
    sentence = f"{held} of {len(rows)} rows {'holds' if held == 1 else 'hold'}."
    return "\n".join(_wrap(sentence + (f" Failed: {', '.join(failed)}." if failed else ""), width))


def listing(claims: Iterable[Claim], width: int = 80) -> str:
    """Return the groups, their statements, and below each the ids of its rows with their settings."""
    lines: list[str] = []
    for group, members in itertools.groupby(claims, lambda entry: entry.group):
        lines += [group]
        for statement, block in itertools.groupby(members, lambda entry: entry.statement):
            lines += _wrap(statement, width, "  ")
            for entry in block:
                slow = "" if entry.quick else "  (not with --quick)"
                lines += _wrap(f"{entry.id}  {_setting(entry.setting)}{slow}", width, "    ", "      ")
    return "\n".join(lines)


def _block(rows: Sequence[Mapping[str, Any]], width: int) -> list[str]:
    head = _wrap(rows[0]["statement"], width) + _wrap(f"[{rows[0]['source']}]", width, "", " ")
    names = [f"{row['id']}  {_about(row)}".rstrip() for row in rows]
    found = [f"{_numbers(row)}  {row['verdict']}" for row in rows]
    pad = max(map(len, names))
    if 2 + pad + 2 + max(map(len, found)) <= width:
        return head + [f"  {name:<{pad}}  {numbers}" for name, numbers in zip(names, found, strict=True)]
    for name, numbers in zip(names, found, strict=True):
        head += _wrap(name, width, "  ", "    ") + _wrap(numbers, width, "    ", "      ")
    return head


def _about(row: Mapping[str, Any]) -> str:
    kind = row.get("kind")
    return " ".join(part for part in (_setting(row["setting"]), f"({kind})" if kind else "") if part)


def _setting(setting: Mapping[str, Any]) -> str:
    # What an approximation is held to stands beside its error.
    return ", ".join(f"{name}={value}" for name, value in setting.items() if name != "within")


def _numbers(row: Mapping[str, Any]) -> str:
    """Return what a row compares, each number with its name."""
    if "reason" in row:
        return row["reason"]
    shown = {key: "nan" if x is None else f"{x:.6g}" for key, x in row.items() if isinstance(x, float | None)}
    if row["relation"] == "<=":
        return f"truth {shown['truth']} <= bound {shown['bound']}  slack {_brief(row['slack'])}"
    if row["relation"] == "covers":
        ends = shown["truth_lower"], shown["truth_upper"]
        truth = shown["truth"] if ends[0] == ends[1] else f"[{ends[0]}, {ends[1]}]"
        return f"interval [{shown['lower']}, {shown['upper']}] covers truth {truth}"
    within = f" within {row['within']:.2g}" if row["relation"] == "~" else ""
    error = f"error {_brief(row['error'])}{within}"
    return f"value {shown['value']} {row['relation']} truth {shown['truth']}  {error}"


def _brief(number: float | None) -> str:
    return "nan" if number is None else f"{number:.1e}"


def _wrap(text: str, width: int, first: str = "", later: str | None = None) -> list[str]:
    """Wrap between words only: ids, numbers and references stay in one piece."""
    later = first if later is None else later
    return textwrap.wrap(
        text,
        width,
        initial_indent=first,
        subsequent_indent=later,
        break_long_words=False,
        break_on_hyphens=False,
    )
