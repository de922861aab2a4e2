"""``mis audit``."""

import json
from typing import Annotated, Any

from cyclopts import Parameter

from mis.cli.inputs import OutputFile, Switch, drawable, keep_apart, writable

__all__ = ["audit"]


def _no_option(_: Any, path: str) -> None:
    """Refuse a mistyped option where the path stands; a hyphen alone is standard input."""
    if path.startswith("-") and path != "-":
        raise ValueError(f"Unknown option: {path}. A file of that name is ./{path}.")


def audit(
    path: Annotated[str, Parameter(allow_leading_hyphen=True, validator=_no_option)],
    /,
    *,
    attack: str | None = None,
    level: float = 0.95,
    delta: float = 1e-5,
    seed: int = 0,
    top: int | None = None,
    plot: Annotated[OutputFile, Parameter(validator=(writable, drawable))] = None,
    json_file: Annotated[OutputFile, Parameter(name="--json")] = None,
    csv_file: Annotated[OutputFile, Parameter(name="--csv")] = None,
    latex: Switch = False,
    width: str = "single",
    style: str | None = None,
) -> None:
    """Measure what scores of any attack prove, with intervals that hold.

    Parameters
    ----------
    path
        A .csv, .tsv or .parquet file, or - for CSV from standard input, with columns score, member and optional target,
        id; or one row a record with columns score_K, member_K for every target model K, and optional id. Or an .npz
        file with arrays member and nonmember, or scores and membership; rows are target models, ids (N,) name the
        records. Or scores.npz of mis attack. Larger scores are likelier members.
    attack
        Whose scores, where mis attack wrote those of several.
    level
        Level of all intervals.
    delta
        Delta of the bound on epsilon.
    seed
        Decides the halves on which thresholds are chosen.
    top
        List so many records, most at risk first: 10, where there are several target models and each record can be told
        from the others. The intervals of all records hold together.
    plot
        Draw the ROC, on logarithmic axes with its band, into this .pdf, .png or .svg file, its caption beside it in
        .txt.
    json_file
        Write the metrics to this file.
    csv_file
        Write one line per score to this file, those of the records most at risk first.
    latex
        Print the tables in LaTeX (booktabs), not as text.
    width
        Of the figure: single or double (3.4in, 7in), or a number with in, cm, mm or pt.
    style
        A matplotlib style sheet for the figure, on top of ours.
    """
    import csv

    from mis.attacks.audit import audit as run
    from mis.attacks.audit_file import load
    from mis.attacks.risk import risk_table, with_risks
    from mis.numerics.checks import InvalidInput
    from mis.provenance import made

    if top is not None and top < 0:
        raise InvalidInput(f"audit: expected top an integer >= 0, got top={top}.")
    # What is redirected to the standard input has a name too.
    keep_apart(["/dev/stdin" if path == "-" else path], [json_file, csv_file, plot])
    if plot is not None:
        from mis.figures import check_style, inches

        if plot.with_suffix(".txt") in (json_file, csv_file):
            raise InvalidInput(
                f"audit: expected another name for {plot.with_suffix('.txt')}, the caption of {plot}."
            )
        inches("audit", width)
        check_style("audit", style)
    arrays: dict[str, Any] = load(path, attack)
    found = run(**arrays, level=level, delta=delta, seed=seed)
    risks = found.risks()
    if top and not risks:
        raise InvalidInput(
            "audit: expected with --top several target models, scores with ids (in .npz: scores and membership), and "
            "records that are members for some target models and not for others."
        )
    listed = 10 if top is None else top
    document = {
        "made": made("audit"),
        "kind": found.advantage.kind,
        **found.to_json(),
        "roc": found.roc() if latex or json_file is not None else [],
        "most_at_risk": {name: column[:listed].tolist() for name, column in risks.items()},
        "num_at_risk": len(risks["id"]) if risks else 0,
    }
    if latex:
        from mis.report.writing import latex_of

        print(latex_of(document))
    else:
        print(found.table())
        if risks and listed:
            print(f"\n{risk_table(risks, listed, level=level)}")
    if json_file is not None:
        json_file.write_text(json.dumps(document, indent=1) + "\n")
    if csv_file is not None:
        columns = with_risks(found.records(), risks)
        with open(csv_file, "w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            writer.writerow(columns)
            # What is not known is empty; no score is NaN.
            for row in zip(*(column.tolist() for column in columns.values()), strict=True):
                writer.writerow(["" if value != value else value for value in row])
    if plot is not None:
        from mis.figures import save
        from mis.figures.audit import audit_roc

        save(
            lambda: audit_roc(found.roc(), level=level, width=width, style=style),
            plot.parent,
            plot.stem,
            [plot.suffix],
        )
