"""Function: read the scores that ``audit`` takes from a file."""

import os
from typing import Any

from mis.attacks.score_table import READERS, read_scores_of
from mis.numerics.checks import InvalidInput
from mis.populations.files import read_npz

__all__ = ["load"]

FORMS = (("member", "nonmember"), ("scores", "membership"))


def load(path: str | os.PathLike[str]) -> dict[str, Any]:
    r"""Return the arrays of one of the forms that ``audit`` takes, by name; others are ignored.

    Parameters
    ----------
    path
        An ``.npz`` file with member and nonmember, or scores and membership; or a table, see ``read_scores_of``, in
        ``.csv``, ``.tsv`` or, where pyarrow is installed, ``.parquet``; ``-`` is CSV from standard input.

    Raises
    ------
    InvalidInput
        One line, where there is no such file, it is damaged or of another kind, or holds neither or several forms.

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
        return read_scores_of(path, kind)
    arrays = read_npz(path, [], [name for form in FORMS for name in form])
    present = [form for form in FORMS if all(name in arrays for name in form)]
    if len(present) != 1:
        raise InvalidInput(
            f"{path}: expected arrays member and nonmember, or scores and membership, but not both, "
            f"got {', '.join(arrays) or 'none of them'}."
        )
    return {name: arrays[name] for name in present[0]}
