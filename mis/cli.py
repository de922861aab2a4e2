"""Functions: the command line. Parses and prints, nothing else; heavy imports wait inside the commands."""

import codecs
import dataclasses
import functools
import json
import os
import shutil
import signal
import sys
import tomllib
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, get_args, get_type_hints

import cyclopts
from cyclopts import Group, Parameter

from mis.version import version

__all__ = ["app", "main"]


def _convert(kind: Any, tokens: Sequence[cyclopts.Token]) -> Any:
    """Read one value, and refuse what is read as something else by default: 1.5 as 2, nothing as this folder."""
    text = tokens[0].value.strip()
    if not text:
        raise ValueError("expected a value, got an empty one.")
    if kind is int and not (text.lstrip("+-").isdecimal() and len(text) < 20 and int(text) < TOO_LARGE):
        raise ValueError(f"expected an integer below 2**32, got {text!r}.")
    return cyclopts.convert(kind, tokens)


def _writable(_: Any, path: Path | None) -> None:
    """Refuse a file that could not be written once everything is computed."""
    if path is None:
        return
    if path.is_dir() or not path.absolute().parent.is_dir():
        raise ValueError("Expected a file in a folder that exists.")
    if not os.access(path if path.exists() else path.absolute().parent, os.W_OK):
        raise ValueError("Expected a file that may be written.")


def _keep(inputs: Sequence[str | Path | None], outputs: Sequence[Path | None]) -> None:
    """Refuse to write into a file that is read, whatever it is called there, or into one file twice."""
    from mis.numerics.checks import InvalidInput

    read, written = ([Path(path) for path in paths if path is not None] for paths in (inputs, outputs))
    for i, output in enumerate(written):
        if any(_same(output, path) for path in read):
            raise InvalidInput(f"{output}: expected another file than the input, which is never written to.")
        if any(_same(output, path) for path in written[:i]):
            raise InvalidInput(f"{output}: expected a file of its own for each output, got it twice.")


def _same(one: Path, other: Path) -> bool:
    """Whether two paths are one file: through links and, where the disk says so, whatever the case."""
    if one.exists() and other.exists():
        return one.is_file() and one.samefile(other)
    return os.path.normcase(os.path.realpath(one)) == os.path.normcase(os.path.realpath(other))


def _drawable(_: Any, path: Path | None) -> None:
    if path is None:
        return
    if path.suffix not in SUFFIXES:
        raise ValueError(f"Expected a name that ends in {', '.join(SUFFIXES)}.")
    caption = path.with_suffix(".txt")
    if caption.exists() and not path.exists():
        raise ValueError(f"Expected another name: its caption would replace {caption}.")


app = cyclopts.App(
    name="mis",
    version=version,
    help="Membership inference security: how much a released, quantized model tells about its training examples.",
    default_parameter=Parameter(converter=_convert),
    # It would end without a word.
    suppress_keyboard_interrupt=False,
)

# No count or seed goes so far; counts beyond it would only run out of memory, or never end.
TOO_LARGE = 2**32

TOO_MUCH = "more was asked for than this machine has memory for."

SUFFIXES = (".pdf", ".png", ".svg")

OutputFile = Annotated[Path | None, Parameter(validator=_writable)]
# Said again where options stand in a class of their own: the default converter does not reach them there.
Whole = Annotated[int | None, Parameter(converter=_convert)]
Real = Annotated[float | None, Parameter(converter=_convert)]
Text = Annotated[str | None, Parameter(converter=_convert)]
Switch = Annotated[bool, Parameter(negative="")]


# What stands for a character that an encoding lacks.
PLAIN = {
    "±": "+-",
    "–": "-",
    "—": "-",
    "−": "-",
    "…": "...",
    "²": "2",
    "×": "x",
    "’": "'",
    "─": "-",
    "━": "-",
}


def _plain(error: UnicodeError) -> tuple[str, int]:
    """Write what an encoding lacks in characters that it has: no number is lost for a sign beside it."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    text = error.object[error.start : error.end]
    return "".join(PLAIN.get(character, "?") for character in text), error.end


codecs.register_error("mis-plain", _plain)


def main(tokens: Sequence[str] | None = None) -> None:
    """Run the command line; bad input is one line on stderr and exit code 2, a figure that fails is exit code 1."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="mis-plain")
    previous = signal.signal(signal.SIGTERM, _terminate)
    try:
        _run(tokens)
    finally:
        signal.signal(signal.SIGTERM, previous)


class _Terminated(KeyboardInterrupt):
    """Asked to end by another process."""


def _terminate(*_: Any) -> None:
    raise _Terminated


def _run(tokens: Sequence[str] | None) -> None:
    try:
        with warnings.catch_warnings():
            warnings.showwarning = _warned
            app(tokens, exit_on_error=False, print_error=False, result_action="return_value")
    except (ValueError, RuntimeError, AssertionError) as error:
        # Imported late, like all that needs NumPy: `mis --help` must not wait for it.
        from mis.numerics.checks import InvalidInput, UnsupportedSetting

        if isinstance(error, InvalidInput | UnsupportedSetting):
            _fail(str(error))
        if type(error).__name__ == "FigureError":
            # Numbers are written before pictures are drawn.
            print(f"mis: {error}", file=sys.stderr)
            sys.exit(1)
        if "RESOURCE_EXHAUSTED" in str(error):
            _fail(TOO_MUCH)
        if not _start_of_jax(error):
            raise
        said = str(error).partition("\n")[0] or "no such device"
        platforms = os.environ.get("JAX_PLATFORMS")
        _fail(f"JAX cannot start{f' (JAX_PLATFORMS={platforms})' if platforms else ''}: {said.rstrip('.')}.")
    except cyclopts.CycloptsError as error:
        _fail(" ".join(str(error).split()))
    except BrokenPipeError:
        # Whoever read the output has enough; what is still buffered must not complain at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except OSError as error:
        _fail(": ".join(str(part) for part in (error.filename, error.strerror or error) if part) + ".")
    except (MemoryError, OverflowError):
        _fail(TOO_MUCH)
    except KeyboardInterrupt as stop:
        print(
            "mis: interrupted; what was done is kept, and the same command goes on from there.",
            file=sys.stderr,
            flush=True,
        )
        # At once: threads that still compute would be waited for, and may crash an interpreter that ends under them.
        os._exit(128 + (signal.SIGTERM if isinstance(stop, _Terminated) else signal.SIGINT))


def _start_of_jax(error: BaseException) -> bool:
    """Whether JAX refuses its own settings or finds no device: no bug, an environment."""
    frame = error.__traceback__
    while frame is not None and frame.tb_next is not None:
        frame = frame.tb_next
    path = Path(frame.tb_frame.f_code.co_filename) if frame else Path()
    return path.parts[-3:-1] == ("jax", "_src") and path.name in ("xla_bridge.py", "config.py")


def _warned(message: Warning | str, *_: Any, **__: Any) -> None:
    """Say a warning in a line, without the code it comes from."""
    print(f"mis: {' '.join(str(message).split())}", file=sys.stderr)


def _fail(message: str) -> None:
    print(f"mis: {message}", file=sys.stderr)
    sys.exit(2)


@Parameter(
    name="*",
    group=Group("Learner options", help="How each network is trained.", sort_key=2),
)
@dataclass(frozen=True, kw_only=True)
class LearnerOptions:
    """How the networks are trained; None leaves it to ``mis.rank``.

    Parameters
    ----------
    pool
        Examples in the pool, half of which train each network [512, of a small task as many as leave 128 held out,
        but at least half].
    steps
        Training steps [600; 300 of convolutional networks].
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
    """

    pool: Annotated[Whole, Parameter(alias="--n")] = None
    steps: Whole = None
    batch: Whole = None
    optimiser: Text = None
    rate: Real = None
    weight_decay: Real = None
    initialisation: Text = None


@Parameter(
    name="*",
    group=Group("Network options", help="Only for networks that have them; see `mis list`.", sort_key=1),
)
@dataclass(frozen=True, kw_only=True)
class ModelOptions:
    """What network is trained; None leaves it to ``mis.rank``.

    Parameters
    ----------
    model
        mlp, lenet, resnet-8, resnet-18, or one of your own as FILE.py:NAME: a function of input_shape and num_classes
        that returns two functions, init(key) -> params and apply(params, features) -> outputs, in JAX [mlp].
    width
        Of mlp: hidden units per layer [32]. Of resnets: channels of the first stage.
    depth
        Of mlp: hidden layers [1]; 0 is linear or logistic regression.
    activation
        Of lenet: relu, or sigmoid, the network of studies of gradient inversion [relu].
    norm
        Of resnets: group or batch normalisation [group].
    """

    model: Text = None
    width: Whole = None
    depth: Whole = None
    activation: Text = None
    norm: Text = None


@Parameter(
    name="*", group=Group("Task options", help="Only for tasks that have them; see `mis list`.", sort_key=3)
)
@dataclass(frozen=True, kw_only=True)
class TaskOptions:
    """What is sampled; None leaves it to the task.

    Parameters
    ----------
    images
        Of digits: keep the pixels as an image, standardised all alike.
    folder
        Of fashion-mnist-full and cifar-10: where their files lie [MIS_DATA, or the system's].
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
    regression
        Of your own file: integers are values, not classes.
    classification
        Of your own file: floats are classes, not values.
    """

    images: Switch = False
    folder: Text = None
    num_modes: Whole = None
    separation: Real = None
    dim: Whole = None
    strength: Real = None
    r_squared: Real = None
    law_seed: Whole = None
    num_heldout: Whole = None
    regression: Switch = False
    classification: Switch = False


@app.command
def rank(
    task: str,
    /,
    *,
    quantizers: str | None = None,
    models: Annotated[int | None, Parameter(name=["--networks", "--models"])] = None,
    seed: int | None = None,
    out: str | None = None,
    replace: Switch = False,
    quick: Switch = False,
    config: Path | None = None,
    shard: str | None = None,
    fresh: Switch = False,
    attacks: str | None = None,
    early: Switch = False,
    within: float | None = None,
    folds: int | None = None,
    level: float | None = None,
    network: ModelOptions = ModelOptions(),
    learner: LearnerOptions = LearnerOptions(),
    law: TaskOptions = TaskOptions(),
) -> None:
    """Rank quantizers on a task by how much what they release leaks about training examples.

    Trains an ensemble of networks, each on a random half of a pool, quantizes it in every way, attacks all, and sets
    the strongest attack beside what theory says without attacking. Writes ranking.csv and .json, the figure as .pdf,
    .png and .svg, and its caption as .txt. An interrupted run goes on where it was.

    Parameters
    ----------
    task
        A name from `mis list`, or the path of an .npz file with features (N, d), or images (N, H, W) or (N, H, W, C),
        and target (N,): integers are classes, floats a regression, unless --regression or --classification says
        otherwise.
    quantizers
        Names with commas between, e.g. sign,ternary-90,uniform-4; full precision is always added.
    models
        Number of networks [512; 64 with --quick].
    seed
        Decides everything random [0].
    out
        Folder for results and trained networks [results/TASK, with -quick and -seedN where those are asked for]. One
        that holds the results of another ranking is refused.
    replace
        Write over the results of another ranking in --out; its networks stay.
    quick
        Attacks with 64 networks, most of them shadows: they reach at least what is printed, and more networks find
        more; wider intervals too.
    config
        A TOML file of these options; the command line wins.
    shard
        i/n: train only the i-th of n parts, e.g. in n processes with the same --out.
    fresh
        Forget what --out holds for this specification.
    attacks
        Names from `mis list` with commas between; whitebox joins those on weights and combined everything; all is
        every attack that the task can serve, slowly [lira, lira_loss in a regression, lira_decoded, whitebox,
        combined].
    early
        Also show what a full-precision network leaks that was stopped early, where it performs as well as the quantized
        one: column early. Doubles the time.
    within
        Loss of performance against full precision that is accepted of a release to choose [0.02].
    folds
        Folds of the cross-fitted attacks [8].
    level
        Level of all intervals [0.95].
    """
    typed = {**locals(), **vars(network), **vars(learner), **vars(law)}
    options = {k: v for k, v in typed.items() if k in _option_types() and v is not None and v is not False}
    if config is not None:
        options = {**_read_config(config), **options}
    if "shard" in options:
        options["shard"] = _read_shard(options["shard"])
    from mis.numerics.checks import InputWarning
    from mis.ranking import ShardsMissing
    from mis.ranking import rank as run

    folder = Path(options.pop("out", None) or _default_folder(task, options))
    _keep([task, config], [folder / f"ranking{suffix}" for suffix in (".csv", ".json", *SUFFIXES, ".txt")])
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("always", InputWarning)
            ranking = run(task, **options, out=folder, progress=True)
    except ShardsMissing as unfinished:
        print(f"{unfinished} Run the others with the same --out; the last one prints the ranking.")
        return
    print(ranking.table())
    written = [f"ranking{suffix}" for suffix in (".csv", ".json", *SUFFIXES, ".txt")]
    drawn = [name for name in written if (Path(folder) / name).exists()]
    print(f"Written to {folder}: {', '.join(drawn)}")
    if drawn != written:
        sys.exit(1)


def _default_folder(task: str, options: dict[str, Any]) -> str:
    """Name a folder by what is ranked, so that a quick look does not meet the results of a full run."""
    model = f"-{options['model'].rpartition(':')[2]}" if options.get("model", "mlp") != "mlp" else ""
    quick = "-quick" if options.get("quick") else ""
    seed = f"-seed{options['seed']}" if options.get("seed") else ""
    return f"results/{Path(task).stem}{model}{quick}{seed}"


OPTIONS = (rank, ModelOptions, LearnerOptions, TaskOptions)


def _option_types() -> dict[str, type]:
    """Name and type of each option of ``rank`` that a config may set."""
    hints = {k: v for part in OPTIONS for k, v in get_type_hints(part).items()}
    for name in ("task", "config", "network", "learner", "law", "return"):
        del hints[name]
    return {k: next(t for t in (*get_args(v), v) if t is not type(None)) for k, v in hints.items()}


def _read_config(path: Path) -> dict[str, Any]:
    from mis.numerics.checks import InvalidInput, known

    try:
        options = tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InvalidInput(f"{path}: not a TOML file: {error}.") from None
    types, read = _option_types(), {}
    for written, value in options.items():
        key = known(str(path), "key", written.replace("-", "_"), types)
        kind = types[key]
        if key in read:
            raise InvalidInput(f"{path}: expected {key} once, got it also as {written}.")
        if kind is str and isinstance(value, list):
            value = ",".join(map(str, value))
        if kind is float and type(value) is int:
            value = float(value)
        if type(value) is not kind or value == "" or (isinstance(value, int) and value >= TOO_LARGE):
            raise InvalidInput(f"{path}: expected {key} {kind.__name__}, got {key}={value!r}.")
        read[key] = value
    return read


def _read_shard(text: str) -> tuple[int, int]:
    from mis.numerics.checks import InvalidInput

    part, slash, parts = text.partition("/")
    if not slash or not part.isdecimal() or not parts.isdecimal() or not 1 <= int(part) <= int(parts):
        raise InvalidInput(f"rank: expected shard i/n with 1 <= i <= n, got shard={text!r}.")
    return int(part), int(parts)


@app.command
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


@app.command
def indicator(
    path: str,
    /,
    *,
    level: float = 0.95,
    seed: int = 0,
    json_file: Annotated[OutputFile, Parameter(name="--json")] = None,
) -> None:
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
    from mis import theory
    from mis.populations.files import read_npz
    from mis.ranking.table import indicator_table

    _keep([path], [json_file])
    arrays: dict[str, Any] = read_npz(path, ["losses"], ["names"])
    law = theory.SampledLosses(**arrays)
    estimate = theory.indicator(law, level=level, seed=seed)
    print(indicator_table(law, estimate))
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
    plot: Annotated[OutputFile, Parameter(validator=(_writable, _drawable))] = None,
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

    _keep([path], [json_file, csv_file, plot])
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


@app.command
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


@app.command
def figure(
    *names: str,
    out: Path = Path("results/figures"),
    quick: Switch = False,
    width: str | None = None,
    style: str | None = None,
) -> None:
    """Compute and draw figures of the theory, or draw again what `mis rank` wrote: .pdf, .png, .svg, captions in .txt.

    Parameters
    ----------
    names
        Names of figures, whose rows are also written as .csv, or paths of ranking.json files; none lists the names.
    out
        Folder they are written to, with all that they keep on the way.
    quick
        Fewer points.
    width
        single or double (3.4in, 7in), or a number with in, cm, mm or pt; else what suits each.
    style
        A matplotlib style sheet on top of ours.
    """
    from mis import figures, studies
    from mis.numerics.checks import InvalidInput, known
    from mis.store import make_folder

    if not names:
        lines = {
            name: (studies.STUDIES[name].__doc__ or "").strip().splitlines()[0] for name in figures.FIGURES
        }
        print("\n".join(f"{name:<24} {line}" for name, line in lines.items()))
        return
    looks = {"style": style} | ({} if width is None else {"width": width})
    figures.inches("figure", "single" if width is None else width)
    figures.check_style("figure", style)
    recorded = {name: figures.recorded_ranking(Path(name)) for name in names if Path(name).suffix == ".json"}
    titles = [recorded[name].name if name in recorded else name for name in names]
    for name in names:
        if name not in recorded:
            known("figure", "name", name, figures.FIGURES)
    if len(set(titles)) < len(titles):
        raise InvalidInput(f"figure: expected names that differ, got {', '.join(titles)}.")
    make_folder("figure", out)
    for name, title in zip(names, titles, strict=True):
        sentence = recorded[name].sentence if name in recorded else None
        figures.refuse_other(out, title, quick=quick, sentence=sentence)
    for name, title in zip(names, titles, strict=True):
        written = []
        if name in recorded:
            draw = functools.partial(recorded[name].draw, **looks)
        else:
            rows = studies.STUDIES[name](quick, *([out / name] if name in studies.KEEPING else []))
            studies.write_rows(rows, out / f"{name}.csv")
            written = [f"{name}.csv"]
            draw = functools.partial(figures.FIGURES[name], rows, **looks)
        written += figures.save(
            draw, out, title, note=figures.QUICK if quick and name not in recorded else ""
        )
        print(f"Written to {out}: {', '.join(written)}")


@app.command(name="list")
def list_names() -> None:
    """List tasks, quantizers, models and attacks, a line each."""
    from rich.console import Console
    from rich.table import Table

    from mis.models import MODELS
    from mis.populations import POPULATIONS
    from mis.quantizers import DEFAULT, QUANTIZERS
    from mis.ranking.columns import ATTACKS

    console = Console(highlight=False, markup=False, emoji=False, width=None if sys.stdout.isatty() else 118)
    for title, registry in (("Tasks", POPULATIONS), ("Quantizers", QUANTIZERS), ("Models", MODELS)):
        grid = Table(title=title, title_justify="left", box=None, show_header=False, pad_edge=False)
        for name, variant in registry.items():
            line = (variant.__doc__ or "").strip().splitlines()[0].replace("``", "")
            grid.add_row(*_usage(name, line, variant))
        console.print(grid, "")
    grid = Table(title="Attacks", title_justify="left", box=None, show_header=False, pad_edge=False)
    for name, column in ATTACKS.items():
        grid.add_row(name, column.what)
    console.print(grid, "")
    console.print("Default quantizers:", ", ".join(q.name for q in DEFAULT))
    console.print(
        "A task may also be the path of an .npz file with features (N, d), or images (N, H, W) or (N, H, W, C), "
        "and target (N,)."
    )


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
            default = field.name.upper() if field.default == "" else field.default
            value = "" if default is False else f" {default}"
            options.append(f"--{field.name.replace('_', '-')}{value}")
    return name, line + (f" Options: {' '.join(options)}" if options else "")
