"""Function: ``mis rank``."""

import sys
import warnings
from pathlib import Path
from typing import Annotated, Any, get_args, get_type_hints

from cyclopts import Parameter

from mis.cli.config import read_config, read_shard
from mis.cli.inputs import SUFFIXES, Switch, keep_apart
from mis.cli.options import LEARNER, MODEL, TASK, LearnerOptions, ModelOptions, TaskOptions

__all__ = ["default_folder", "rank"]


def rank(
    task: str,
    /,
    *,
    releases: Annotated[str | None, Parameter(name=["--releases", "--quantizers"])] = None,
    num_networks: Annotated[int | None, Parameter(name=["--networks", "--models"])] = None,
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
    num_folds: Annotated[int | None, Parameter(name=["--num-folds", "--folds"])] = None,
    level: float | None = None,
    network: ModelOptions = MODEL,
    learner: LearnerOptions = LEARNER,
    law: TaskOptions = TASK,
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
    releases
        What is published: names from `mis list` with commas between, e.g. sign,ternary-90,uniform-4; with words before
        a colon, e.g. qat:uniform-4, tune-100:prune-90, exact-vectors:sign, stop-150; sign/uniform-4 is both of each
        network. Full precision is always added.
    num_networks
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
    num_folds
        Folds of the cross-fitted attacks [8].
    level
        Level of all intervals [0.95].
    """
    typed = {**locals(), **vars(network), **vars(learner), **vars(law)}
    options = {k: v for k, v in typed.items() if k in _option_types() and v is not None and v is not False}
    if config is not None:
        options = {**read_config(config, _option_types()), **options}
    if "shard" in options:
        options["shard"] = read_shard(options["shard"])
    from mis.numerics.checks import InputWarning
    from mis.ranking import ShardsMissing
    from mis.ranking import rank as run

    folder = Path(options.pop("out", None) or default_folder(task, options))
    keep_apart(
        [task, config], [folder / f"ranking{suffix}" for suffix in (".csv", ".json", *SUFFIXES, ".txt")]
    )
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


def default_folder(task: str, options: dict[str, Any]) -> str:
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
