"""Function: ``mis run``."""

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

    Writes table.csv, study.json, and figures as .pdf, .png and .svg with captions in .txt. An interrupted run goes on
    where it was. Without a name: the works there are.

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
        Where cifar-10 lies, if the work reads it [MIS_DATA].
    assignments
        NAME=VALUE changes one of the work's settings; may be repeated.
    replace
        Write over the results of another run in --out.
    """
    import dataclasses
    import json

    from mis import figures, works
    from mis.numerics.checks import InvalidInput, integer, known
    from mis.store import make_folder
    from mis.studies import write_rows

    if name is None:
        print("\n\n".join(_line(title, work) for title, work in works.WORKS.items()))
        return
    known("run", "name", name, works.WORKS)
    if quick and full:
        raise InvalidInput("run: expected one of --quick and --full, got both.")
    integer("run", "seed", seed, at_least=0)
    size = "quick" if quick else "full" if full else "default"
    module = works.load(works.WORKS[name])
    settings = works.changed(module.settings(size, seed, folder), assignments or [])
    suffix = f"-{size}" if size != "default" else ""
    target = out or Path(f"results/{name}{suffix}{f'-seed{seed}' if seed else ''}")
    asked = json.loads(json.dumps(dataclasses.asdict(settings), default=str))
    make_folder("run", target)
    _refuse_other(target / "study.json", {"work": name, "settings": asked}, replace)
    study = module.run(settings, target, True)
    document = {"work": name, "settings": asked, **study.document, "rows": list(study.rows)}
    write_rows(study.rows, target / "table.csv")
    (target / "study.json").write_text(json.dumps(document, indent=1, default=float) + "\n", encoding="utf-8")
    print(study.text)
    written = ["table.csv", "study.json"]
    for title, draw in study.figures.items():
        written += figures.save(draw, target, title)
    print(f"Written to {target}: {', '.join(written)}")


def _line(title, work):
    takes = ", ".join(
        f"{'no option' if size == 'default' else f'--{size}'}: {time}" for size, time in work.takes.items()
    )
    return f"{title}\n  {work.asks}\n  After {work.work}.\n  Takes {takes}. Needs {work.needs}."


def _refuse_other(path, asked, replace):
    """Refuse a folder with the results of a run that was asked for otherwise."""
    import json

    from mis.numerics.checks import InvalidInput

    if replace or not path.exists():
        return
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        same = {name: found.get(name) for name in asked} == asked
    except (ValueError, AttributeError):
        same = False
    if not same:
        raise InvalidInput(
            f"run: expected out without the results of another run, got out={str(path.parent)!r}; use another out, or "
            "--replace."
        )
