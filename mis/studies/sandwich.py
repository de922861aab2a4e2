"""What black boxes see, what the strongest attack finds and what is predicted, on every task."""

from pathlib import Path
from typing import Any

__all__ = ["sandwich"]

TASKS = (
    "solubility",
    "freesolv",
    "solubility-3",
    "digits",
    "breast-cancer",
    "modes",
    "logistic",
    "linear",
)
COLUMNS = ("lira", "advantage", "predicted")


def sandwich(quick: bool = False, out: Path | None = None) -> list[dict[str, Any]]:
    """Advantage that black boxes see, that the strongest attack finds and that is predicted, on every task.

    Rows for ``mis.figures.sandwich``: the default ranking of every task, one row a quantizer. *lira* reads outputs,
    *advantage* is that of the strongest attack, which reads the weights, *predicted* the level that the retained
    information and the full-precision advantage predict. Networks are kept in ``out/TASK``, as ``mis rank TASK --out
    out/TASK`` keeps them: what is there is used, and an interrupted study goes on. A quarter of an hour on two cores.
    """
    # Here, so that listing the studies does not start JAX.
    from mis.ranking import rank

    rows = []
    for task in ("breast-cancer",) if quick else TASKS:
        names = ["sign", "ternary-90", "uniform-4"] if quick else None
        small: dict[str, Any] = {"num_networks": 32, "num_steps": 100, "pool": 128} if quick else {}
        folder = None if quick or out is None else out / task
        ranking = rank(task, names, out=folder, progress=not quick, **small)
        rows += [
            {
                "label": task,
                "release": row["release"],
                "bits": row["bits"],
                "performance": row["performance"],
            }
            | {f"{name}{end}": row[f"{name}{end}"] for name in COLUMNS for end in ("", "_lower", "_upper")}
            for row in (one.record() for one in ranking)
        ]
    return rows
