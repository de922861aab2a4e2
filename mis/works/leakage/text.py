"""The study as text."""

from collections.abc import Mapping, Sequence
from typing import Any

from mis.results import Interval
from mis.works.leakage.settings import ATTACKERS, Settings
from mis.works.text import columns

__all__ = ["as_text"]

Rows = Sequence[Mapping[str, Any]]
ATTACKS = ("net", "batch", "defence", "bits", "attacker", "squared error", "PSNR", "SSIM", "recovered",
           "every start", "converged", "label")  # fmt: skip
BOUNDS = (
    "defence",
    "rounds",
    "advantage at most",
    "kind",
    "attack finds",
    "image recovered",
    "epsilon",
    "what it rests on",
    "",
)


def as_text(settings: Settings, rows: Rows, bounds: Rows, tests: Rows) -> str:
    """Return tables of reconstructions and of membership, and how the assumptions of the estimates fare."""
    parts = []
    for task in settings.tasks:
        title = (
            f"{task}: medians over images, of the start with the attacker's least objective; shares of images"
        )
        parts.append(f"{title}\n{columns(ATTACKS, [_attack(r) for r in rows if r['task'] == task])}")
    parts.append(
        "\n".join(f"{name}: {what}." for name, what in ATTACKERS.items() if name in settings.attackers)
    )
    for task in settings.tasks:
        title = f"{task}: membership in a gradient of 64 examples (MIS is one minus the advantage)"
        of_task = [b for b in bounds if b["task"] == task]
        parts.append(f"{title}\n{columns(BOUNDS, [_bound(b) for b in of_task])}\n{_assumptions(tests, task)}")
    return "\n\n".join(parts)


def _attack(row: Mapping[str, Any]) -> list[str]:
    error = row["squared_error"]
    return [
        row["network"], str(row["batch"]), row["defence"], f"{row['bits']:.2f}", row["attacker"],
        f"{error.value:.4f} [{error.lower:.4f}, {error.upper:.4f}]",
        f"{row['psnr'].value:.1f}", f"{row['ssim'].value:.2f}",
        *(f"{row[name].value:.2f}" for name in
          ("recovered", "every_start_recovered", "converged", "label_recovered")),
    ]  # fmt: skip


def _bound(row: Mapping[str, Any]) -> list[str]:
    attack: Interval = row["attack"]
    return [
        row["defence"], str(row["rounds"]), f"{row['advantage'].upper:.4f}", row["advantage"].kind,
        f"{attack.value:.3f} [{attack.lower:.3f}, {attack.upper:.3f}]",
        f"{row['recovered'].value:.2f}" if row["recovered"] else "",
        "" if row["epsilon"] is None else f"{row['epsilon']:.4g}", row["basis"],
        "REFUTED by the attack" if row["exceeded"] else "",
    ]  # fmt: skip


def _assumptions(tests: Rows, task: str) -> str:
    lines = ["Tests of what the estimates assume, on these gradients:"]
    for test in (t for t in tests if t["task"] == task):
        far = f", {test['deviations']:.0f} standard deviations off" if test["deviations"] is not None else ""
        found = f"{test['measured']} {test['value']:.3f}, {test['if_it_held']:g} if it held{far}"
        lines.append(f"  {test['assumption']}: {found}.")
    return "\n".join(lines)
