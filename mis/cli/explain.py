"""``mis explain``."""

__all__ = ["explain"]


def explain(*columns: str) -> None:
    """Say what a column of the tables, or of ranking.csv, is: unit, kind, and in which direction it errs.

    Parameters
    ----------
    columns
        Names of columns; all if none.
    """
    from mis.ranking.columns import COLUMNS
    from mis.ranking.columns import explain as of
    from mis.ranking.text import fit, terminal_width

    lines = [line for name in columns or COLUMNS for line in of(name).splitlines()]
    print("\n".join([fit(line, terminal_width(), hanging=4) for line in lines]))
