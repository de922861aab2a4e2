"""Functions: a ranking as text that a person can read."""

from collections.abc import Mapping, Sequence
from io import StringIO
from typing import Any

import numpy as np
from rich.console import Console, Group
from rich.table import Table

from mis.ranking.agreement import FEWEST
from mis.results import Interval
from mis.theory import SampledLosses

__all__ = ["indicator_table", "table"]

WIDTH = 120
# Attacks that have a column, with its title; others are in ranking.csv.
ATTACKS = {
    "lira": "LiRA",
    "rmia": "RMIA",
    "loss": "loss",
    "calibrated_loss": "calibrated",
    "lira_decoded": "decoded",
    "whitebox": "white box",
    "combined": "joined",
}
# Those whose interval is in ranking.csv only.
BRIEF = ("loss", "calibrated_loss", "lira_decoded")
MORE = {"limit": "limit", "tpr_at_fpr_01": "TPR at 1%", "matched": "early stop"}

# Columns from which on one space stands between them, not two.
MANY = 11
# Columns that leave no room for one more interval.
MOST = 13

# Competitors shown of an indicator's candidates.
SHOWN = 10


def table(
    rows: Sequence[Mapping[str, Any]], agreements: Sequence[Mapping[str, Any]], about: Mapping[str, Any]
) -> str:
    """Return three tables: what leaks, what theory says, and how far the two agree."""
    out = StringIO()
    # Names are text: brackets and colons in them mean nothing.
    console = Console(file=out, width=WIDTH, force_terminal=False, highlight=False, markup=False, emoji=False)
    level = f"{100 * about.get('level', 0.95):g}%"
    excluded = about.get("excluded") or []
    console.print(
        f"{about.get('task', 'ranking')}: {about.get('models', '?')} networks, most private first; "
        f"± and [ ] are {level} intervals",
        style=None,
    )
    pool = about.get("asked", {}).get("pool")
    if pool:
        console.print(
            f"Pool of {pool} examples, half of them in each network; {about.get('heldout', '?')} held out."
        )
    if about.get("doubt"):
        console.print(about["doubt"])
    if excluded:
        console.print(f"Excluded because they diverged: {', '.join(excluded)}.")
    console.print(_attacks(rows, about.get("performance", "performance")))
    console.print(_theory(rows))
    for reason in dict.fromkeys(row.get("indicator_reason") for row in rows):
        if reason:
            names = ", ".join(row["quantizer"] for row in rows if row.get("indicator_reason") == reason)
            console.print(f"No r_Q of {names}: {reason}")
    console.print(_ties(rows))
    if agreements:
        console.print(_agreement(agreements))
    else:
        console.print(f"No agreement between orders: that takes {FEWEST} quantizers.\n")
    return out.getvalue()


def _grid(title: str, columns: list[str]) -> Table:
    narrow = len(columns) > MANY
    grid = Table(
        title=title,
        title_justify="left",
        box=None,
        pad_edge=False,
        collapse_padding=narrow,
        title_style="bold",
    )
    for i, name in enumerate(columns):
        grid.add_column(name, justify="left" if i == 0 else "right", no_wrap=True)
    return grid


def _half(row, name) -> str:
    if row.get(name) is None:
        return "–"
    half = (row[f"{name}_upper"] - row[f"{name}_lower"]) / 2
    return f"{_short(row[name])} ±{_short(half)}"


def _value(row, name) -> str:
    return "–" if row.get(name) is None else _short(row[name])


def _short(value: float) -> str:
    """Three decimals, without a leading zero: many columns have to stand beside each other."""
    return f"{value:.3f}".replace("0.", ".", 1) if abs(value) < 1.0 else f"{value:.3f}"


def _ends(row, name) -> str:
    if row.get(name) is None:
        return "–"
    return f"{row[name]:.2g} [{row[f'{name}_lower']:.2g}, {row[f'{name}_upper']:.2g}]"


def _attacks(rows, performance) -> Table:
    def some(name):
        return any(row.get(name) is not None for row in rows)

    shown = {name: title for name, title in ATTACKS.items() if some(name)}
    # What is not asked for is not known: the limit takes many networks, the early stop a second training.
    more = {name: title for name, title in MORE.items() if some(name)}
    columns = [
        "quantizer",
        "bits",
        "zeros",
        performance,
        "train",
        *shown.values(),
        "advantage",
        *more.values(),
    ]
    brief = BRIEF if len(columns) < MOST else (*BRIEF, "combined")
    grid = _grid(
        "What the attacks reach (advantage of the strongest, chosen on other networks; TPR at 1% FPR)",
        columns,
    )
    for row in rows:
        grid.add_row(
            row["quantizer"],
            f"{row['bits']:.3g}",
            f"{row['zeros']:.2f}",
            _half(row, "performance"),
            _short(row["train_performance"]),
            *(_value(row, name) if name in brief else _half(row, name) for name in shown),
            _half(row, "advantage"),
            *(_half(row, name) for name in more),
        )
    return grid


def _ties(rows) -> str:
    """Neighbours that the paired comparison, corrected for all pairs, cannot tell apart."""
    pairs = [
        f"{row['quantizer']} and {other['quantizer']}"
        for i, row in enumerate(rows)
        for other in rows[i + 1 :]
        if other["quantizer"] in (row.get("tied_with") or "").split()
    ]
    return f"Cannot be told apart (paired by network, Holm): {'; '.join(pairs) or 'none'}.\n"


def _theory(rows) -> Table:
    columns = [
        "quantizer",
        "r_Q (nats)",
        "of",
        "retained, one run",
        "ensemble",
        "predicted",
        "advantage",
        "error",
        "entropy",
    ]
    # Where local asymptotics apply they stand beside the other prediction.
    local = any(row.get("local") is not None for row in rows)
    columns[6:6] = ["local"] if local else []
    grid = _grid("What is known without attacking", columns)
    for row in rows:
        grid.add_row(
            row["quantizer"],
            _ends(row, "indicator"),
            str(row["num_candidates"]),
            _ends(row, "retained"),
            f"{row['retained_ensemble']:.3f}",
            f"{row['predicted']:.3f}",
            *([f"{row['local']:.3f}"] if local else []),
            f"{row['advantage']:.3f}",
            f"{row['weight_error']:.3f}",
            f"{row['code_entropy']:.2f}",
        )
    return grid


def _agreement(agreements) -> Table:
    grid = _grid(
        "Does it order the quantizers as the advantage does? (Kendall tau; +1 yes, 0 not at all, -1 the reverse)",
        ["from", "tau", "p", "given performance", "p", "given weight error", "p"],
    )
    cells: dict[str, dict[str, Mapping[str, Any]]] = {}
    for found in agreements:
        cells.setdefault(found["indicator"], {})[found["given"]] = found
    for name, by_given in cells.items():
        line = [name]
        for given in ("", "performance", "weight_error"):
            found = by_given.get(given)
            line += (
                ["–", ""]
                if found is None
                else [
                    f"{found['tau']:.2f} [{found['lower']:.2f}, {found['upper']:.2f}]",
                    f"{found['p_value']:.3f}",
                ]
            )
        grid.add_row(*line)
    return grid


def indicator_table(law: SampledLosses, estimate: Interval) -> Group:
    """Return the indicator with its interval, and the strongest competitors of the best candidate."""
    best, losses = law.best(), law.losses
    names = law.names or [str(k) for k in range(law.num_losses)]
    differences = losses - losses[best]
    spread = differences.std(axis=1)
    others = np.flatnonzero(spread > 0.0)
    ratios = differences.mean(axis=1)[others] ** 2 / (2.0 * spread[others] ** 2)
    order = np.argsort(ratios, kind="stable")[:SHOWN]
    grid = _grid(
        f"Strongest of {len(others)} competitors of {names[best]}",
        ["candidate", "mean loss", "worse by", "sd of that", "ratio (nats)"],
    )
    for k, ratio in zip(others[order], ratios[order], strict=True):
        row = losses[k].mean(), differences[k].mean(), spread[k], ratio
        grid.add_row(names[k], *(f"{value:.4g}" for value in row))
    found = f"r_Q = {estimate.value:.4g} nats per example, {100 * estimate.level:g}% interval "
    counted = f"{estimate.details['num_candidates']} distinct candidates on {losses.shape[1]} examples"
    return Group(
        f"{found}[{estimate.lower:.4g}, {estimate.upper:.4g}]; larger is more private.",
        f"{counted}; the plain minimum, biased low, is {estimate.details['naive']:.4g}.",
        grid,
    )
