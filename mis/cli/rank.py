"""``mis rank``."""

import sys
import warnings
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter

from mis.cli.config import read_config, read_shard
from mis.cli.inputs import SUFFIXES, Switch, keep_apart
from mis.cli.options import options_of, options_of_variants, with_options

__all__ = ["default_folder", "option_types", "rank"]


GROUPS = {
    "Measurement": options_of("ranking/protocol.py", "Protocol"),
    "Network (those that have them: mis list)": options_of_variants(
        "models", "MODELS", without="num_classes"
    ),
    "Training": options_of(
        "training/learner.py",
        "Learner",
        num_steps="600; 300 of convolutional networks",
        learning_rate="0.001 for regression, 0.003 for classification",
    ),
    "Task (those that have them: mis list)": options_of_variants(
        "populations", "POPULATIONS", without="digest", **{"your own .npz": "Npz"}
    ),
}


@with_options(GROUPS)
def rank(
    task: str,
    /,
    *,
    releases: Annotated[str | None, Parameter(name=["--releases", "--quantizers"])] = None,
    model: str | None = None,
    out: str | None = None,
    replace: Switch = False,
    config: Path | None = None,
    shard: str | None = None,
    fresh: Switch = False,
    latex: Switch = False,
    **options: Any,
) -> None:
    """Rank releases of a task's networks by how much they leak about training examples.

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
    model
        A name from `mis list`, or one of your own as FILE.py:NAME: a function of input_shape and num_classes that
        returns two functions, init(key) -> params and apply(params, features) -> outputs, in JAX [mlp].
    out
        Folder for results and trained networks [results/TASK, with -quick and -seedN where those are asked for]. One
        that holds the results of another ranking is refused.
    replace
        Write over the results of another ranking in --out; its networks stay.
    config
        A TOML file of these options; the command line wins.
    shard
        i/n: train only the i-th of n parts, e.g. in n processes with the same --out.
    fresh
        Forget what --out holds for this specification.
    latex
        Print the tables in LaTeX (booktabs), not as text. `mis report --latex` does it of results on disk.
    """
    typed = {
        "releases": releases,
        "model": model,
        "out": out,
        "replace": replace,
        "shard": shard,
        "fresh": fresh,
    }
    options = {k: v for k, v in {**typed, **options}.items() if v is not None and v is not False}
    if config is not None:
        options = {**read_config(config, option_types()), **options}
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
    if latex:
        from mis.report.writing import latex_of

        print(latex_of(ranking.to_json()))
    else:
        print(ranking.table())
    written = [f"ranking{suffix}" for suffix in (".csv", ".json", *SUFFIXES, ".txt")]
    drawn = [name for name in written if (Path(folder) / name).exists()]
    print(f"{'% ' if latex else ''}Written to {folder}: {', '.join(drawn)}")
    if drawn != written:
        sys.exit(1)


def default_folder(task: str, options: dict[str, Any]) -> str:
    """Name a folder by what is ranked, so that a quick look does not meet the results of a full run."""
    model = f"-{options['model'].rpartition(':')[2]}" if options.get("model", "mlp") != "mlp" else ""
    quick = "-quick" if options.get("quick") else ""
    seed = f"-seed{options['seed']}" if options.get("seed") else ""
    return f"results/{Path(task).stem}{model}{quick}{seed}"


def option_types() -> dict[str, type]:
    """Return name and type of each option of ``rank`` that a config may set."""
    own = dict.fromkeys(("releases", "model", "out", "shard"), str) | {"replace": bool, "fresh": bool}
    return own | {option.name: option.kind for options in GROUPS.values() for option in options}
