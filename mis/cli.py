"""Functions: the command line. Parses and prints, nothing else; heavy imports wait inside the commands."""

import dataclasses
import json
import sys
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, get_args, get_type_hints

import cyclopts
from cyclopts import Group, Parameter

from mis import __version__

__all__ = ["app", "main"]

app = cyclopts.App(
    name="mis",
    version=__version__,
    help="Membership inference security: how much a released, quantized model tells about its training examples.",
)

TASK = Group("Task options", help="Only for tasks that have them; see `mis list`.", sort_key=2)
LEARNER = Group("Learner options", help="Defaults: one hidden layer of 32, 600 steps of Adam.", sort_key=1)


def main(tokens: Sequence[str] | None = None) -> None:
    """Run the command line; bad input is one line on stderr and exit code 2."""
    try:
        app(tokens, exit_on_error=False, print_error=False, result_action="return_value")
    except ValueError as error:
        # Imported late, like all that needs NumPy: `mis --help` must not wait for it.
        from mis.numerics.checks import InvalidInput, UnsupportedSetting

        if not isinstance(error, InvalidInput | UnsupportedSetting):
            raise
        _fail(str(error))
    except cyclopts.CycloptsError as error:
        _fail(" ".join(str(error).split()))
    except OSError as error:
        _fail(f"{error.filename or 'mis'}: {error.strerror or error}.")
    except KeyboardInterrupt:
        print(
            "mis: interrupted; what was done is kept, and the same command goes on from there.",
            file=sys.stderr,
        )
        sys.exit(130)


def _fail(message: str) -> None:
    print(f"mis: {message}", file=sys.stderr)
    sys.exit(2)


@app.command
def rank(
    task: str,
    /,
    *,
    quantizers: str | None = None,
    models: int | None = None,
    seed: int | None = None,
    out: str | None = None,
    quick: Annotated[bool, Parameter(negative="")] = False,
    config: Path | None = None,
    shard: str | None = None,
    fresh: Annotated[bool, Parameter(negative="")] = False,
    attacks: str | None = None,
    early: Annotated[bool, Parameter(negative="")] = False,
    folds: int | None = None,
    level: float | None = None,
    pool: Annotated[int | None, Parameter(alias="--n", group=LEARNER)] = None,
    width: Annotated[int | None, Parameter(group=LEARNER)] = None,
    depth: Annotated[int | None, Parameter(group=LEARNER)] = None,
    steps: Annotated[int | None, Parameter(group=LEARNER)] = None,
    batch: Annotated[int | None, Parameter(group=LEARNER)] = None,
    optimiser: Annotated[str | None, Parameter(group=LEARNER)] = None,
    rate: Annotated[float | None, Parameter(group=LEARNER)] = None,
    weight_decay: Annotated[float | None, Parameter(group=LEARNER)] = None,
    initialisation: Annotated[str | None, Parameter(group=LEARNER)] = None,
    num_modes: Annotated[int | None, Parameter(group=TASK)] = None,
    separation: Annotated[float | None, Parameter(group=TASK)] = None,
    dim: Annotated[int | None, Parameter(group=TASK)] = None,
    strength: Annotated[float | None, Parameter(group=TASK)] = None,
    r_squared: Annotated[float | None, Parameter(group=TASK)] = None,
    law_seed: Annotated[int | None, Parameter(group=TASK)] = None,
    num_heldout: Annotated[int | None, Parameter(group=TASK)] = None,
) -> None:
    """Rank quantizers on a task by how much what they release leaks about training examples.

    Trains an ensemble of networks, each on a random half of a pool, quantizes it in every way, attacks all, and sets
    the strongest attack beside what theory says without attacking. Writes ranking.csv, .json, .pdf and .png. An
    interrupted run goes on where it was.

    Parameters
    ----------
    task
        A name from `mis list`, or the path of an .npz file with features (N, d) and target (N,): integers are
        classes, floats a regression.
    quantizers
        Names with commas between, e.g. sign,ternary-90,uniform-4; full precision is always added.
    models
        Number of networks [512; 64 with --quick].
    seed
        Decides everything random [0].
    out
        Folder for results and trained networks [results/TASK].
    quick
        Fewer networks, wider intervals.
    config
        A TOML file of these options; the command line wins.
    shard
        i/n: train only the i-th of n parts, e.g. in n processes with the same --out.
    fresh
        Forget what --out holds for this specification.
    attacks
        Of lira, lira_loss, loss, calibrated_loss, rmia, lira_decoded, whitebox and combined, with commas between
        [lira, lira_loss in a regression, lira_decoded, whitebox, combined].
    early
        Also show what a full-precision network leaks that was stopped early, where it performs as well as the quantized
        one. Doubles the time.
    folds
        Folds of the cross-fitted attacks [8].
    level
        Level of all intervals [0.95].
    pool
        Examples in the pool, half of which train each network [512, or as many as the task has].
    width
        Hidden units per layer [32].
    depth
        Hidden layers [1]; 0 is linear or logistic regression.
    steps
        Training steps [600].
    batch
        Examples per step [64].
    optimiser
        adam, momentum or sgd [adam].
    rate
        Step size [0.001 for regression, 0.003 for classification].
    weight_decay
        Decoupled weight decay [0].
    initialisation
        fixed: one initial point for all networks; random: one each [fixed].
    num_modes
        Of modes: number of Gaussian modes, one class each.
    separation
        Of modes: distance between two of them in standard deviations.
    dim
        Of modes, logistic and linear: number of features.
    strength
        Of logistic: length of the coefficient vector.
    r_squared
        Of linear: share of the target's variance that the features explain.
    law_seed
        Of modes, logistic and linear: decides the law itself.
    num_heldout
        Of modes, logistic and linear: held-out examples.
    """
    options = {
        k: v for k, v in locals().items() if k not in ("task", "config") and v is not None and v is not False
    }
    if config is not None:
        options = {**_read_config(config), **options}
    if "shard" in options:
        options["shard"] = _read_shard(options["shard"])
    from mis.ranking import ShardsMissing
    from mis.ranking import rank as run

    folder = options.pop("out", None) or f"results/{Path(task).stem}"
    try:
        ranking = run(task, **options, out=folder, progress=sys.stderr.isatty())
    except ShardsMissing as unfinished:
        print(f"{unfinished} Run the others with the same --out; the last one prints the ranking.")
        return
    print(ranking.table())
    print(f"Written to {folder}: ranking.csv, ranking.json, ranking.pdf, ranking.png")


def _read_config(path: Path) -> dict[str, Any]:
    from mis.numerics.checks import InvalidInput, known

    try:
        options = tomllib.loads(path.read_text())
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InvalidInput(f"{path}: not a TOML file: {error}.") from None
    hints = {k: v for k, v in get_type_hints(rank).items() if k not in ("task", "config", "return")}
    options = {key.replace("-", "_"): value for key, value in options.items()}
    for key, value in options.items():
        known(str(path), "key", key, hints)
        kind = next(t for t in (*get_args(hints[key]), hints[key]) if t is not type(None))
        if isinstance(value, list):
            options[key] = ",".join(map(str, value))
        elif kind is float and type(value) is int:
            options[key] = float(value)
        elif type(value) is not kind:
            raise InvalidInput(f"{path}: expected {key} {kind.__name__}, got {key}={value!r}.")
    return options


def _read_shard(text: str) -> tuple[int, int]:
    from mis.numerics.checks import InvalidInput

    part, slash, parts = text.partition("/")
    if not slash or not part.isdecimal() or not parts.isdecimal() or not 1 <= int(part) <= int(parts):
        raise InvalidInput(f"rank: expected shard i/n with 1 <= i <= n, got shard={text!r}.")
    return int(part), int(parts)


@app.command
def indicator(path: str, /, *, level: float = 0.95, seed: int = 0, json_file: Annotated[
    Path | None, Parameter(name="--json")
] = None) -> None:  # fmt: skip
    """Compute the indicator r_Q from losses measured in any framework.

    Parameters
    ----------
    path
        An .npz file with losses (K, N): candidate k's loss on held-out example i; optionally names (K,).
    level
        Level of the bootstrap interval.
    seed
        Seed of the bootstrap.
    json_file
        Also write the numbers to this file.
    """
    from rich.console import Console

    from mis import theory
    from mis.populations.files import read_npz
    from mis.ranking.table import indicator_table

    arrays = read_npz(path, ["losses"], ["names"])
    names = [str(name) for name in arrays["names"]] if "names" in arrays else None
    law = theory.SampledLosses(losses=arrays["losses"], names=names)
    estimate = theory.indicator(law, level=level, seed=seed)
    Console(highlight=False).print(indicator_table(law, estimate))
    if json_file is not None:
        document = {"lower": estimate.lower, "value": estimate.value, "upper": estimate.upper, "level": level}
        json_file.write_text(json.dumps({**document, **estimate.details}, default=float) + "\n")


@app.command
def audit(
    path: str,
    /,
    *,
    level: float = 0.95,
    delta: float = 1e-5,
    seed: int = 0,
    plot: Path | None = None,
    json_file: Annotated[Path | None, Parameter(name="--json")] = None,
    csv_file: Annotated[Path | None, Parameter(name="--csv")] = None,
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
        Draw the ROC, on logarithmic axes with its band, into this .pdf, .png or .svg file.
    json_file
        Write the metrics to this file.
    csv_file
        Write one line per record to this file.
    """
    import csv

    from mis.attacks.audit import audit as run
    from mis.attacks.audit_file import load

    arrays: dict[str, Any] = load(path)
    found = run(**arrays, level=level, delta=delta, seed=seed)
    print(found.table())
    if json_file is not None:
        json_file.write_text(json.dumps(found.to_json(), indent=1) + "\n")
    if csv_file is not None:
        columns = found.records()
        with open(csv_file, "w", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(columns)
            writer.writerows(zip(*(column.tolist() for column in columns.values()), strict=True))
    if plot is not None:
        from mis.figures.audit import audit_roc

        _save(audit_roc(found.roc(), level=level), plot)


def _save(figure: Any, path: Path) -> None:
    from mis.numerics.checks import known

    known(str(path), "suffix", path.suffix, [".pdf", ".png", ".svg"])
    figure.savefig(path)


@app.command
def verify(
    *,
    quick: Annotated[bool, Parameter(negative="")] = False,
    json_file: Annotated[Path | None, Parameter(name="--json")] = None,
) -> None:
    """Check every statement of the theory against a truth found another way; exit code 1 if any fails.

    Parameters
    ----------
    quick
        Smaller settings, under a minute.
    json_file
        Also write the rows to this file.
    """
    from rich.console import Console
    from rich.progress import Progress

    from mis.verify import run, table

    with Progress(console=Console(stderr=True), transient=True, disable=not sys.stderr.isatty()) as bar:
        task = bar.add_task("claims")
        rows = run(quick=quick, progress=lambda done, total: bar.update(task, completed=done, total=total))
    print(table(rows))
    if json_file is not None:
        json_file.write_text(json.dumps(rows, indent=1, default=float) + "\n")
    if any(row["verdict"] != "pass" for row in rows):
        sys.exit(1)


@app.command
def figure(
    *names: str, out: Path = Path("results/figures"), quick: Annotated[bool, Parameter(negative="")] = False
) -> None:
    """Compute and draw figures of the theory, as .csv, .pdf and .png.

    Parameters
    ----------
    names
        Names of figures; none lists them.
    out
        Folder they are written to.
    quick
        Fewer points.
    """
    from mis.figures import FIGURES
    from mis.numerics.checks import known
    from mis.studies import STUDIES, write_rows

    if not names:
        print(
            "\n".join(
                f"{name:<24} {(STUDIES[name].__doc__ or '').strip().splitlines()[0]}" for name in FIGURES
            )
        )
    for name in names:
        known("figure", "name", name, FIGURES)
    for name in names:
        rows = STUDIES[name](quick)
        out.mkdir(parents=True, exist_ok=True)
        write_rows(rows, out / f"{name}.csv")
        for suffix in (".pdf", ".png"):
            FIGURES[name](rows).savefig(out / f"{name}{suffix}")
        print(f"Written to {out}: {name}.csv, {name}.pdf, {name}.png")


@app.command(name="list")
def list_names() -> None:
    """List tasks, quantizers and models, a line each."""
    from rich.console import Console
    from rich.table import Table

    from mis.models import MODELS
    from mis.populations import POPULATIONS
    from mis.quantizers import DEFAULT, QUANTIZERS

    console = Console(highlight=False, width=None if sys.stdout.isatty() else 118)
    for title, registry in (("Tasks", POPULATIONS), ("Quantizers", QUANTIZERS), ("Models", MODELS)):
        grid = Table(title=title, title_justify="left", box=None, show_header=False, pad_edge=False)
        for name, variant in registry.items():
            line = (variant.__doc__ or "").strip().splitlines()[0].replace("``", "")
            grid.add_row(*_usage(name, line, variant))
        console.print(grid, "")
    console.print("Default quantizers:", ", ".join(q.name for q in DEFAULT))
    console.print("A task may also be the path of an .npz file with features (N, d) and target (N,).")


def _usage(name: str, line: str, variant: Any) -> tuple[str, str]:
    """Name of a variant with its number, and its line with the words or options that may follow it."""
    options = []
    for field in dataclasses.fields(variant):
        word, kind = field.metadata.get("word"), field.metadata.get("kind")
        number = {"integer": f"-{field.name.upper()}", "share": "-PERCENT", "scale": "-S"}.get(kind or "", "")
        if kind and word is None:
            name += number
        elif kind:
            options.append(f"-{word}{number}")
        elif field.default not in (dataclasses.MISSING, None):
            options.append(f"--{field.name.replace('_', '-')} {field.default}")
    return name, line + (f" Options: {' '.join(options)}" if options else "")
