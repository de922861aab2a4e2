"""``mis inspect``."""

import json
from typing import Annotated

from cyclopts import Parameter

from mis.cli.inputs import OutputFile, Switch, keep_apart

__all__ = ["inspect"]


def inspect(
    path: str,
    /,
    *others: str,
    against: str | None = None,
    spread: Annotated[list[str] | None, Parameter(negative="", consume_multiple=True)] = None,
    full_advantage: float | None = None,
    level: float = 0.95,
    seed: int = 0,
    json_file: Annotated[OutputFile, Parameter(name="--json")] = None,
    csv_file: Annotated[OutputFile, Parameter(name="--csv")] = None,
    latex: Switch = False,
) -> None:
    """Say what released files of weights are, and what they let through: no data, no training.

    Parameters
    ----------
    path
        A .gguf, .safetensors or .npz file.
    others
        Other releases of the same network: are they nested, and what do they tell together?
    against
        File with the weights before the release, under the same names: error, and weights outside their cells.
    spread
        Files of other snapshots or retrainings, under the same names, at least two with --against: the information that
        passes.
    full_advantage
        Advantage of the strongest attack at full precision: the level that theory predicts here.
    level
        Level of all intervals.
    seed
        Decides which weights are looked at where they are many.
    json_file
        Write all numbers to this file.
    csv_file
        Write one line a tensor to this file.
    latex
        Print the tables in LaTeX (booktabs), not as text.
    """
    import csv

    from mis.inspect import inspect as run
    from mis.provenance import made

    releases, files = [path, *others], spread or []
    keep_apart([*releases, against, *files], [json_file, csv_file])
    found = run(*releases, full=against, spread=files, full_advantage=full_advantage, level=level, seed=seed)
    document = {"made": made("inspection"), **found.to_json()}
    if latex:
        from mis.report.writing import latex_of

        print(latex_of(document))
    else:
        print(found.table())
    if json_file is not None:
        json_file.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
    if csv_file is not None:
        records = found.records()
        with open(csv_file, "w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, list(records[0]))
            writer.writeheader()
            writer.writerows(records)
