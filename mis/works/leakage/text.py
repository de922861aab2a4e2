"""Function: the study as text."""

from collections.abc import Sequence
from typing import Any

from mis.works.leakage.settings import ATTACKERS, Settings

__all__ = ["as_text"]

Rows = Sequence[dict[str, Any]]


def as_text(settings: Settings, rows: Rows, verdicts: Rows, published: Rows, bounds: Rows) -> str:
    """Return tables, verdicts and published numbers in plain lines."""
    parts = []
    for task in settings.tasks:
        own = [r for r in rows if r["task"] == task]
        lines = [
            (
                r["network"], str(r["batch"]), r["defence"], f"{r['bits']:.2f}", r["attacker"],
                f"{r['squared_error']:.4f} [{r['squared_error_lower']:.4f}, {r['squared_error_upper']:.4f}]",
                f"{r['psnr']:.1f}", f"{r['ssim']:.2f}", f"{r['recovered']:.2f}", f"{r['label_recovered']:.2f}",
            )
            for r in own
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
        parts.append(
            f"{task}: median over images of the start with the attacker's least objective\n{_table(head, lines)}"
        )
    parts.append(
        "\n".join(f"{name}: {what}." for name, what in ATTACKERS.items() if name in settings.attackers)
    )
    lines = [
        (
            b["task"], b["defence"], b["release"], b["assumes"], _ends(b["lower"], b["upper"]), b["attack"],
        )
        for b in bounds
    ]  # fmt: skip
    if lines:
        head = ("task", "defence", "release", "assumes", "advantage", "attack finds")
        parts.append(f"Membership in a gradient (MIS is one minus the advantage)\n{_table(head, lines)}")
    lines = [
        (
            p["defence"], f"{p['quantity']} after {p['after']}", f"{p['value']:g}",
            ", ".join(f"{value:.3g} ({name})" for name, value in p.items() if name.startswith("ours")) or "not here",
        )
        for p in published
    ]  # fmt: skip
    parts.append(
        f"Published, one chosen seed, beside ours\n{_table(('defence', 'what', 'theirs', 'ours'), lines)}"
    )
    lines = [(v["verdict"], v["task"], v["claim"], v["rests_on"]) for v in verdicts]
    parts.append(f"Verdicts\n{_table(('verdict', 'task', 'claim', 'rests on'), lines)}")
    return "\n\n".join(parts)


def _ends(lower: float, upper: float) -> str:
    return f"{lower:.4f}" if f"{lower:.4f}" == f"{upper:.4f}" else f"{lower:.4f} to {upper:.4f}"


def _table(head: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    widths = [max(len(line[i]) for line in [head, *lines]) for i in range(len(head))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in [head, *lines]
    )
