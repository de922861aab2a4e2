"""``mis verify``."""

import json
import shutil
import sys
from typing import Annotated

from cyclopts import Parameter

from mis.cli.inputs import OutputFile, Switch

__all__ = ["verify"]


def verify(
    *names: str,
    quick: Switch = False,
    list_only: Annotated[Switch, Parameter(name="--list")] = False,
    json_file: Annotated[OutputFile, Parameter(name="--json")] = None,
) -> None:
    """Check statements of the theory against a truth found another way; exit code 1 if any fails.

    Parameters
    ----------
    names
        Groups, claims or rows, as --list shows them, e.g. rare-events [all].
    quick
        Smaller settings, a few seconds.
    list_only
        List groups, statements and the ids of their rows; compute nothing.
    json_file
        Also write the rows to this file.
    """
    from rich.console import Console
    from rich.progress import Progress

    from mis.verify import listing, run, select, table

    width = min(shutil.get_terminal_size().columns, 150)
    if list_only:
        print(listing(select(names, quick), width))
        return
    terminal = sys.stderr.isatty()
    with Progress(console=Console(stderr=True), transient=True, disable=not terminal) as bar:
        task = bar.add_task("claims")

        def tell(done: int, total: int) -> None:
            bar.update(task, completed=done, total=total)
            if not terminal and (done % 10 == 0 or done == total):
                print(f"mis: {done} of {total} rows verified", file=sys.stderr, flush=True)

        rows = run(names, quick=quick, progress=tell)
    if json_file is not None:
        json_file.write_text(json.dumps(rows, indent=1, allow_nan=False) + "\n")
    print(table(rows, width))
    if any(row["verdict"] != "pass" for row in rows):
        sys.exit(1)
