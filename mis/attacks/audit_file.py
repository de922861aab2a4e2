"""Function: read the scores that ``audit`` takes from an ``.npz`` file."""

import os

import numpy as np

from mis.numerics.checks import InvalidInput
from mis.populations.files import read_npz

__all__ = ["load"]

FORMS = (("member", "nonmember"), ("scores", "membership"))


def load(path: str | os.PathLike[str]) -> dict[str, np.ndarray]:
    """Return the arrays of one of the two forms that ``audit`` takes, by name; others are ignored.

    Raises
    ------
    InvalidInput
        One line, where there is no such file, it is damaged or no ``.npz``, or holds neither or both forms.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = os.path.join(folder, "scores.npz")
    ...     np.savez(path, member=[1.0, 2.0], nonmember=[0.0, 1.0])
    ...     sorted(load(path))
    ['member', 'nonmember']
    """
    arrays = read_npz(path, [], [name for form in FORMS for name in form])
    present = [form for form in FORMS if all(name in arrays for name in form)]
    if len(present) != 1:
        raise InvalidInput(
            f"{path}: expected arrays member and nonmember, or scores and membership, but not both, "
            f"got {', '.join(arrays) or 'none of them'}."
        )
    return {name: arrays[name] for name in present[0]}
