"""Read the scores that ``audit`` takes from a file."""

import os
from typing import Any

import numpy as np

from mis.attacks.score_table import READERS, read_scores_of
from mis.numerics.checks import InvalidInput, known
from mis.populations.files import read_npz

__all__ = ["load"]

FORMS = (("member", "nonmember"), ("scores", "membership"))

# What may stand beside scores and membership.
BESIDE = ("ids", "scored", "folds")

# How mis attack writes the scores of several attacks: which there are, and which of them the folds hold for.
SEVERAL = ("attacks", "fitted", "membership", "known", *BESIDE)


def load(path: str | os.PathLike[str], attack: str | None = None) -> dict[str, Any]:
    r"""Return the arrays of one of the forms that ``audit`` takes, by name; others are ignored.

    Parameters
    ----------
    path
        An ``.npz`` file with member and nonmember; or scores and membership, and ids, scored and folds where they are;
        or ``scores.npz`` of ``mis attack``. Or a table, see ``read_scores_of``, in ``.csv``, ``.tsv`` or, where pyarrow
        is installed, ``.parquet``; ``-`` is CSV from standard input.
    attack
        Whose scores, where the file has those of several.

    Raises
    ------
    InvalidInput
        One line, where there is no such file, it is damaged or of another kind, holds neither or several forms, or
        scores of several attacks and none or another is asked for.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = pathlib.Path(folder, "scores.csv")
    ...     _ = path.write_text("score,member\n2.5,1\n0.5,0\n")
    ...     load(path)
    {'scores': [2.5, 0.5], 'membership': array([ True, False])}
    """
    kind = os.path.splitext(path)[1].lower() if os.fspath(path) != "-" else ".csv"
    if kind in READERS:
        _refuse_attack(path, attack)
        return read_scores_of(path, kind)
    arrays = read_npz(path, [], sorted({*(name for form in FORMS for name in form), *SEVERAL}))
    if all(name in arrays for name in SEVERAL):
        return _of_attack(path, arrays, attack)
    _refuse_attack(path, attack)
    present = [form for form in FORMS if all(name in arrays for name in form)]
    if len(present) != 1:
        raise InvalidInput(
            f"{path}: expected arrays member and nonmember, or scores and membership, but not both, "
            f"got {', '.join(name for form in FORMS for name in form if name in arrays) or 'none of them'}."
        )
    beside = [name for name in BESIDE if name in arrays] if "scores" in present[0] else []
    return {name: arrays[name] for name in (*present[0], *beside)}


def _refuse_attack(path, attack):
    if attack is not None:
        raise InvalidInput(f"{path}: expected no --attack: this file has the scores of one attack only.")


def _of_attack(path, arrays, attack):
    """Return the scores of one attack among several, of the target models whose membership is known."""
    names, fitted = arrays["attacks"], arrays["fitted"]
    if names.ndim != 1 or names.dtype.kind != "U" or fitted.shape != names.shape or not len(names):
        raise InvalidInput(f"{path}: expected attacks names of attacks, and fitted one for each.")
    names = names.tolist()
    if attack is None and len(names) > 1:
        raise InvalidInput(f"{path}: expected --attack, which of {', '.join(names)}; got none.")
    name = attack or names[0]
    known("audit", "attack", name, names)
    scores, rows = read_npz(path, [name])[name], arrays["known"]
    shapes = {key: arrays[key].shape for key in ("membership", "scored")}
    if scores.ndim != 2 or {*shapes.values()} != {scores.shape} or rows.shape != scores.shape[:1]:
        raise InvalidInput(
            f"{path}: expected {name}, membership and scored of one shape (T, N), and known (T,)."
        )
    rows = rows.astype(bool)
    if not rows.any():
        raise InvalidInput(
            f"{path}: expected targets of known membership, got none: there is nothing to audit."
        )
    found = {"scores": scores[rows], "ids": arrays["ids"]}
    found |= {key: arrays[key][rows] for key in ("membership", "scored")}
    folds = arrays["folds"]
    if folds.shape == rows.shape and fitted[names.index(name)] and np.all(folds[rows] >= 0):
        found["folds"] = folds[rows]
    return found
