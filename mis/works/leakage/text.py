"""Function: the study as text."""

import math
from collections.abc import Sequence
from typing import Any

from mis.works.leakage.settings import ATTACKERS, Settings

__all__ = ["as_text"]

Rows = Sequence[dict[str, Any]]


def as_text(settings: Settings, rows: Rows, verdicts: Rows, published: Rows, bounds: Rows) -> str:
    """Return tables, verdicts and published numbers in plain lines."""
    parts = []
    for task in settings.tasks:
        title = f"{task}: median over images of the start with the attacker's least objective"
        parts.append(f"{title}\n{_attacks([r for r in rows if r['task'] == task])}")
    parts.append(
        "\n".join(f"{name}: {what}." for name, what in ATTACKERS.items() if name in settings.attackers)
    )
    if bounds:
        parts.append(f"Membership in a gradient (MIS is one minus the advantage)\n{_bounds(bounds)}")
    parts.append(f"Published, one chosen seed, beside ours\n{_published(published)}")
    lines = [[v["verdict"], v["task"], v["claim"], v["rests_on"]] for v in verdicts]
    parts.append(f"Verdicts\n{_table(('verdict', 'task', 'claim', 'rests on'), lines)}")
    return "\n\n".join(parts)


def _attacks(rows: Rows) -> str:
    lines = [
        [
            r["network"], str(r["batch"]), r["defence"], f"{r['bits']:.2f}", r["attacker"],
            f"{r['squared_error']:.4f} [{r['squared_error_lower']:.4f}, {r['squared_error_upper']:.4f}]",
            f"{r['psnr']:.1f}", f"{r['ssim']:.2f}", f"{r['recovered']:.2f}", f"{r['label_recovered']:.2f}",
        ]
        for r in rows
    ]  # fmt: skip
    head = (
        "net",
        "batch",
        "defence",
        "bits",
        "attacker",
        "squared error",
        "PSNR",
        "SSIM",
        "recovered",
        "label",
    )
    return _table(head, lines)


def _bounds(bounds: Rows) -> str:
    lines = [
        [
            b["task"], b["defence"], b["release"], b["assumes"], _ends(b["lower"], b["upper"]),
            "" if math.isnan(b["attack"]) else f"{b['attack']:.3f}", b["note"],
        ]
        for b in bounds
    ]  # fmt: skip
    return _table(("task", "defence", "release", "assumes", "advantage", "attack finds", "note"), lines)


def _published(published: Rows) -> str:
    lines = []
    for p in published:
        ours = [f"{value:.3g} ({name})" for name, value in p.items() if name.startswith("ours")]
        what = f"{p['quantity']} after {p['after']}"
        lines.append([p["defence"], what, f"{p['value']:g}", ", ".join(ours) or "not here"])
    return _table(("defence", "what", "theirs", "ours"), lines)


def _ends(lower: float, upper: float) -> str:
    return f"{lower:.4f}" if f"{lower:.4f}" == f"{upper:.4f}" else f"{lower:.4f} to {upper:.4f}"


def _table(head: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    widths = [max(len(line[i]) for line in [head, *lines]) for i in range(len(head))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in [head, *lines]
    )
