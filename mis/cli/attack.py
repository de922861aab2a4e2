"""``mis attack``."""

import contextlib
import warnings
from pathlib import Path

from mis.cli.inputs import Switch

__all__ = ["attack"]


def attack(
    path: str,
    /,
    *,
    attacks: str = "all",
    model: str | None = None,
    out: Path | None = None,
    replace: Switch = False,
    folds: int = 8,
    level: float = 0.95,
    delta: float = 1e-5,
    seed: int = 0,
    top: int = 10,
    latex: Switch = False,
    width: str = "single",
    style: str | None = None,
) -> None:
    """Attack networks of any framework by their outputs, or by their released weights.

    Every network is attacked with the others as shadows, by every attack that the file serves, and what that finds is
    audited. Writes scores.npz, table.csv and .json, records.csv, and the ROC as .csv, .pdf, .png and .svg with its
    caption in .txt.

    Parameters
    ----------
    path
        An .npz file, or a folder of .npy files: logits or probabilities (T, N, C) of T networks on N records, or
        predictions (T, N) of a regression; labels (N,); membership (T, N), who was trained on what, a row of NaN where
        that is unknown; ids (N,) if you like. Or shadow_logits, shadow_membership, target_logits and, if known,
        target_membership. It may be larger than memory. For quantile regression, records that no target was trained
        on: public_logits (T, S, C) or the like, public_labels (S,), public_features (S, D) and features (N, D). Beside
        or instead of outputs weights (T, P), and gradients (N, P) of the records' losses. Or a folder with one
        .safetensors, .npz, .gguf or .onnx a network, in the order of membership, and the other arrays in examples.npz.
    attacks
        Names with commas between, or all that the file serves.
    model
        FILE.py:NAME of a JAX function apply(weights, features) that returns outputs (N, C), or (N,) of a regression.
        Weights are a dict of the file's tensors, or a row (P,) of the array; features (N, ...) stand beside them.
    out
        Folder for the results; one that has some is refused.
    replace
        Write over the results in --out.
    folds
        Networks are dealt to so many folds, each attacked with all the others as shadows.
    level
        Level of all intervals.
    delta
        Delta of the bound on epsilon.
    seed
        Decides what is drawn at random.
    top
        How many records to list, most at risk first.
    latex
        Print the tables in LaTeX (booktabs), not as text.
    width
        Of the figure: single or double (3.4in, 7in), or a number with in, cm, mm or pt.
    style
        A matplotlib style sheet for the figure, on top of ours.
    """
    from mis.attacks.risk import risk_table
    from mis.figures import check_style, inches
    from mis.numerics.checks import InputWarning, InvalidInput, integer
    from mis.outputs import attack as run
    from mis.outputs import read_outputs
    from mis.outputs.saving import FILES, document, keeping, prepare, save_tables
    from mis.outputs.serve import choose

    integer("attack", "top", top, at_least=0)
    inches("attack", width)
    check_style("attack", style)
    outputs = read_outputs(path, model)
    choose(attacks, outputs)
    if out is None and not (outputs.known & outputs.is_target).any():
        raise InvalidInput(
            "attack: expected --out: of targets of unknown membership there are only scores to keep."
        )
    if out is not None:
        prepare(out, path, replace=replace)
    with contextlib.ExitStack() as stack, warnings.catch_warnings():
        warnings.simplefilter("always", InputWarning)
        keep = stack.enter_context(keeping(out)) if out is not None else None
        found = run(
            path,
            attacks,
            model=model,
            num_folds=folds,
            level=level,
            delta=delta,
            seed=seed,
            progress=True,
            keep=keep,
        )
    if latex:
        from mis.report.writing import latex_of

        print(latex_of(document(found)))
    else:
        print(found.table())
        if found.risks and top:
            print(f"\n{risk_table(found.risks, top, level=level)}")
    if out is None:
        return
    for name in FILES[1:]:
        (out / name).unlink(missing_ok=True)
    save_tables(found, out)
    if found.rows:
        from mis.figures import save
        from mis.figures.audit import attack_rocs

        save(lambda: attack_rocs(found.rocs, level=level, width=width, style=style), out, "roc")
    print(
        f"{'% ' if latex else ''}Written to {out}: {', '.join(name for name in FILES if (out / name).exists())}"
    )
