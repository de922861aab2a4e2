"""``mis run``."""

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from mis.cli.inputs import Switch

__all__ = ["run"]


def run(
    name: str | None = None,
    /,
    *,
    quick: Switch = False,
    full: Switch = False,
    out: Path | None = None,
    seed: int = 0,
    folder: str | None = None,
    assignments: Annotated[list[str] | None, Parameter(name="--set", negative="")] = None,
    replace: Switch = False,
) -> None:
    """Do a published work again, with intervals, the attacks it lacks, and a verdict on each of its claims.

    Writes table.csv, table.json, study.json, and figures as .pdf, .png and .svg with captions in .txt. An interrupted
    run goes on where it was. Without a name: the works there are.

    Parameters
    ----------
    name
        Of the work; none lists them.
    quick
        A small version, to see what comes.
    full
        As large as was published, or larger.
    out
        Folder for results and what is kept on the way [results/NAME, with -quick, -full, -seedN].
    seed
        Decides everything random [0].
    folder
        Where data lie that do not come with the package, if the work reads any [MIS_DATA].
    assignments
        NAME=VALUE changes one of the work's settings, which study.json lists; may be repeated.
    replace
        Write over the results of another run in --out.
    """
    from mis import works
    from mis.numerics.checks import InvalidInput

    if name is None:
        print("\n\n".join(_lines(title, work) for title, work in works.WORKS.items()))
        return
    if quick and full:
        raise InvalidInput("run: expected one of --quick and --full, got both.")
    works.run(
        name,
        size="quick" if quick else "full" if full else "default",
        seed=seed,
        folder=folder,
        assignments=assignments or (),
        out=out,
        replace=replace,
        progress=True,
        tell=print,
    )


def _lines(title, work):
    takes = ", ".join(
        f"{time} ({'as it is' if size == 'default' else f'--{size}'})" for size, time in work.takes.items()
    )
    return f"{title}\n  {work.asks}\n  After {work.work}.\n  Takes {takes}. Needs {work.needs}."
