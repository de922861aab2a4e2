"""``mis report``."""

from mis.cli.inputs import Switch

__all__ = ["report"]


def report(path: str, /, *, out: str | None = None, latex: Switch = False) -> None:
    """Turn results into a page for people who decide: report.html, which needs nothing else, and report.md.

    First the answer in plain words, then which questions of EDPB Opinion 28/2024 the numbers speak to, then tables,
    figures, and what ran.

    Parameters
    ----------
    path
        Folder that `mis rank`, `mis attack` or `mis run` wrote, or with what `--json` of `mis audit` or `mis inspect`
        wrote; or one such file.
    out
        Folder for the page [that of the results].
    latex
        Print the tables in LaTeX (booktabs) instead, and write nothing.
    """
    from mis.report.writing import parts_of
    from mis.report.writing import report as run

    if latex:
        from mis.report.latex import latex as tables

        print(tables([table for part in parts_of(path) for table in part.tables()]))
        return
    print(f"Written: {', '.join(map(str, run(path, out)))}")
