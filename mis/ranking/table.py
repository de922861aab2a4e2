"""A ranking as text that a person can read."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from mis.attacks import crossfit
from mis.ranking.agreement import COVERS, FEWEST
from mis.ranking.answer import Answer
from mis.ranking.columns import ATTACKS, COLUMNS
from mis.ranking.row import Row
from mis.ranking.text import fit, grid, terminal_width
from mis.results import Interval
from mis.theory import SampledLosses

__all__ = ["indicator_table", "table"]

# Columns of the first and of the third table, most wanted first; one that no row has is named below instead.
LEAKS = (
    *("bits", "zeros", "performance", "train_performance", "advantage", "mis", "predicted"),
    *("limit", "early"),
)
THEORY = (
    *(
        "indicator",
        "num_candidates",
        "retained",
        "retained_ensemble",
        "local",
        "weight_error",
        "code_entropy",
    ),
)

# How to read a tau.
ORDER = "+1 is the same order, 0 none, -1 the reverse."

# Competitors shown of an indicator's candidates.
SHOWN = 10


def table(
    rows: Sequence[Row],
    agreements: Sequence[Mapping[str, Any]],
    about: Mapping[str, Any],
    choice: Answer,
    *,
    width: int | None = None,
) -> str:
    """Return what leaks, attack by attack, what is known without attacking, how far the two agree, and the answer.

    Parameters
    ----------
    rows
        The releases, least advantage first.
    agreements
        As ``mis.ranking.agreement`` returns them.
    about
        As ``Ranking.about``.
    choice
        The answer.
    width
        Columns that a line may take: that of the terminal if None, 80 where there is none.
    """
    width = terminal_width() if width is None else width
    run = [name for name in ATTACKS if any(row[name] is not None for row in rows)]
    tables = [
        ("What is released, and what the strongest attack finds", [*LEAKS]),
        ("Attack by attack", [*run, "tpr_at_fpr_01"]),
        ("What is known without attacking", [*THEORY]),
    ]
    blocks = [*_head(about, width)]
    for title, names in tables:
        blocks.append(_table(title, rows, names, width))
    blocks.append(_ties(rows, width))
    if agreements:
        blocks.append(_agreement(agreements, width))
    else:
        blocks.append(f"No agreement between orders: that takes {FEWEST} quantizers.")
    said = [fit(f"- {sentence}", width, hanging=2) for sentence in choice.sentences()]
    blocks.append("\n".join(["What to release", *said]))
    return "\n\n".join(blocks) + "\n"


def _head(about, width) -> list[str]:
    """Say what was run, how to read the order, and what an interval covers."""
    spec, networks = about["spec"], about["num_networks"]
    learner = spec["learner"]
    classes = about["classes"]
    # A ranking stored before tasks had one lacks it.
    source = f" ({about['source']})" if about.get("source") else ""
    task = "a regression" if classes is None else f"{classes} classes"
    shadows = (networks - len(about["excluded"])) * (about["num_folds"] - 2) // about["num_folds"]
    lines = [
        f"{about['task']}{source}: {task}; {networks} networks ({about['model']}, {learner['num_steps']} steps of "
        f"{learner['optimiser']}), each trained on n = {spec['pool'] // 2} of a pool of {spec['pool']} examples; "
        f"{about['heldout']} held out; seed {spec['seed']}. Performance is {about['performance']}.",
        f"Least advantage first. It is a lower bound: attacks with {shadows} shadow networks ({networks} less "
        "those they are tried and tuned on) reach at least this; with more networks they find more.",
        f"± and [ ] are {100 * about['level']:g}% intervals. {crossfit.COVERS} performance is over networks and "
        "held-out examples.",
    ]
    if about.get("doubt"):
        lines.append(about["doubt"])
    if about["excluded"]:
        lines.append(f"Excluded because they diverged: {', '.join(about['excluded'])}.")
    return ["\n".join(fit(line, width) for line in lines)]


def _table(title, rows, names, width) -> str:
    """One table, what its columns are, and why a number is missing."""
    shown = [name for name in names if any(row[name] is not None for row in rows)]
    cells = [[row.release, *(_cell(row, name) for name in shown)] for row in rows]
    legend = [fit(f"  {name}: {COLUMNS[name].what}", width, hanging=4) for name in shown]
    notes = []
    for name in names:
        reasons = dict.fromkeys(
            row.missing[name] for row in rows if row[name] is None and name in row.missing
        )
        for reason in reasons:
            lacking = [row.release for row in rows if row[name] is None and row.missing.get(name) == reason]
            whose = "" if len(lacking) == len(rows) else f" of {', '.join(lacking)}"
            notes.append(fit(f"  no {name}{whose}: {reason}.", width, hanging=4))
    return "\n".join([fit(title, width), grid(["release", *shown], cells, width), *legend, *notes])


def _cell(row, name) -> str:
    value = row[name]
    if value is None:
        return "–"
    if name in FORMATS:
        return FORMATS[name](value)
    half = (value.upper - value.lower) / 2
    return f"{_short(value.value)} ±{_short(half)}"


def _short(value: float) -> str:
    """Three decimals, without a leading zero: many columns have to stand beside each other."""
    return f"{value:.3f}".replace("0.", ".", 1) if abs(value) < 1.0 else f"{value:.3f}"


def _ends(found: Interval) -> str:
    return f"{found.value:.2g} [{found.lower:.2g}, {found.upper:.2g}]"


# All others are ``value ± half the interval``.
FORMATS: dict[str, Callable[[Any], str]] = {
    "bits": lambda value: f"{value:.3g}",
    "zeros": lambda value: f"{value:.2f}",
    "train_performance": _short,
    "mis": lambda found: f"≤{_short(found.upper)}",
    "predicted": lambda found: _short(found.value),
    "indicator": _ends,
    "num_candidates": str,
    "retained": _ends,
    "retained_ensemble": lambda found: f"{found.value:.3f}",
    "local": lambda found: f"{found.value:.3f}",
    "weight_error": lambda value: f"{value:.3f}",
    "code_entropy": lambda value: f"{value:.2f}",
}


def _ties(rows, width) -> str:
    """For each release those further down that the paired comparison, corrected for all pairs, cannot tell from it."""
    groups = []
    for i, row in enumerate(rows):
        later = [other.release for other in rows[i + 1 :] if other.release in row.tied_with]
        groups += [f"{row.release} from {', '.join(later)}"] if later else []
    text = "; ".join(groups) or "none"
    return fit(f"Advantages that cannot be told apart (paired by network, Holm): {text}.", width, hanging=2)


def _agreement(agreements, width) -> str:
    cells: dict[str, dict[str, str]] = {}
    for found in agreements:
        text = f"{found['tau']:.2f} [{found['lower']:.2f}, {found['upper']:.2f}] {found['p_value']:.3f}"
        cells.setdefault(found["indicator"], {})[found["given"]] = text
    given = {"": "tau, p", "performance": "given performance, p", "weight_error": "given weight_error, p"}
    lines = [[name, *(of_name.get(which, "–") for which in given)] for name, of_name in cells.items()]
    return "\n".join(
        [
            fit("Does it order the quantizers as the advantage does? (Kendall tau)", width),
            grid(["column", *given.values()], lines, width),
            fit(f"  {ORDER} {COVERS}", width, hanging=2),
        ]
    )


def indicator_table(law: SampledLosses, estimate: Interval, width: int | None = None) -> str:
    """Return the indicator with its interval, and the strongest competitors of the best candidate."""
    width = terminal_width() if width is None else width
    best, losses = law.best(), law.losses
    names = law.names or [str(k) for k in range(law.num_losses)]
    differences = losses - losses[best]
    spread = differences.std(axis=1)
    others = np.flatnonzero(spread > 0.0)
    ratios = differences.mean(axis=1)[others] ** 2 / (2.0 * spread[others] ** 2)
    order = np.argsort(ratios, kind="stable")[:SHOWN]
    lines = []
    for k, ratio in zip(others[order], ratios[order], strict=True):
        numbers = losses[k].mean(), differences[k].mean(), spread[k], ratio
        lines.append([names[k], *(f"{value:.4g}" for value in numbers)])
    found = f"r_Q = {estimate.value:.4g} nats per example, {100 * estimate.level:g}% interval "
    counted = f"{estimate.details['num_candidates']} distinct candidates on {losses.shape[1]} examples"
    return "\n".join(
        [
            fit(f"{found}[{estimate.lower:.4g}, {estimate.upper:.4g}]; larger is more private.", width),
            fit(f"{counted}; the plain minimum, biased low, is {estimate.details['naive']:.4g}.", width),
            fit(f"Strongest of {len(others)} competitors of {names[best]}", width),
            grid(["candidate", "mean loss", "worse by", "sd of that", "ratio (nats)"], lines, width),
        ]
    )
