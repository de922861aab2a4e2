"""Function: ``mis audit``."""

import json
from typing import Annotated, Any

from cyclopts import Parameter

from mis.cli.inputs import OutputFile, drawable, keep_apart, writable

__all__ = ["audit"]


def audit(
    path: str,
    /,
    *,
    level: float = 0.95,
    delta: float = 1e-5,
    seed: int = 0,
    plot: Annotated[OutputFile, Parameter(validator=(writable, drawable))] = None,
    json_file: Annotated[OutputFile, Parameter(name="--json")] = None,
    csv_file: Annotated[OutputFile, Parameter(name="--csv")] = None,
    width: str = "single",
    style: str | None = None,
) -> None:
    """Measure what scores of any attack prove, with intervals that hold.

    Parameters
    ----------
    path
        An .npz file with arrays member and nonmember, or scores and membership; rows are target models. Larger
        scores are likelier members.
    level
        Level of all intervals.
    delta
        Delta of the bound on epsilon.
    seed
        Decides the halves on which thresholds are chosen.
    plot
        Draw the ROC, on logarithmic axes with its band, into this .pdf, .png or .svg file, its caption beside it in
        .txt.
    json_file
        Write the metrics to this file.
    csv_file
        Write one line per record to this file.
    width
        Of the figure: single or double (3.4in, 7in), or a number with in, cm, mm or pt.
    style
        A matplotlib style sheet for the figure, on top of ours.
    """
    import csv

    from mis.attacks.audit import audit as run
    from mis.attacks.audit_file import load
    from mis.numerics.checks import InvalidInput

    keep_apart([path], [json_file, csv_file, plot])
    if plot is not None:
        from mis.figures import check_style, inches

        if plot.with_suffix(".txt") in (json_file, csv_file):
            raise InvalidInput(
                f"audit: expected another name for {plot.with_suffix('.txt')}, the caption of {plot}."
            )
        inches("audit", width)
        check_style("audit", style)
    arrays: dict[str, Any] = load(path)
    found = run(**arrays, level=level, delta=delta, seed=seed)
    print(found.table())
    if json_file is not None:
        json_file.write_text(json.dumps(found.to_json(), indent=1) + "\n")
    if csv_file is not None:
        columns = found.records()
        with open(csv_file, "w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            writer.writerow(columns)
            writer.writerows(zip(*(column.tolist() for column in columns.values()), strict=True))
    if plot is not None:
        from mis.figures import save
        from mis.figures.audit import audit_roc

        save(
            lambda: audit_roc(found.roc(), level=level, width=width, style=style),
            plot.parent,
            plot.stem,
            [plot.suffix],
        )
