"""Records that no target was trained on, and features of all: what an attack without shadows learns from."""

from dataclasses import dataclass, field

import numpy as np

from mis.numerics.checks import InvalidInput
from mis.outputs.arrays import Arrays
from mis.outputs.weights import Held

__all__ = ["Public", "read_public"]


@dataclass(frozen=True)
class Public:
    """Records that no target was trained on, and what all are described by.

    Parameters
    ----------
    name, shape
        Of the targets' outputs on them, ``(T, S, C)`` or ``(T, S)``.
    labels
        Their classes or the targets of a regression, ``(S,)``, not yet checked against the classes.
    public_features, features
        Of these records and of those under attack, ``(S, D)`` and ``(N, D)``.
    """

    name: str
    shape: tuple[int, ...]
    labels: np.ndarray = field(repr=False)
    public_features: np.ndarray = field(repr=False)
    features: np.ndarray = field(repr=False)


def read_public(
    arrays: Arrays | Held, kind: str, like: tuple[int, ...], targets: int, labels_of
) -> Public | None:
    """Return the public records of a file, None if it has none.

    Parameters
    ----------
    arrays
        The file.
    kind
        ``logits``, ``probabilities`` or ``predictions``.
    like
        Shape of the outputs on the records under attack, ``(., N, C)`` or ``(., N)``.
    targets
        Number of targets.
    labels_of
        Reads labels: called with names and how many there should be.

    Raises
    ------
    InvalidInput
        For some of these arrays without the others, and for shapes that do not fit together.
    """
    name = f"public_{kind}"
    if not any(known.startswith("public_") for known in arrays.stored):
        return None
    for needed in (name, "public_features", "features"):
        if needed not in arrays:
            raise InvalidInput(
                f"{arrays.path}: expected {name}, public_labels, public_features and features, all or none of "
                f"the public ones, got no {needed}."
            )
    shape = arrays.shape(name)
    shape = (1, *shape) if targets == 1 and len(shape) == len(like) - 1 else shape
    if len(shape) != len(like) or shape[0] != targets or shape[2:] != like[2:] or shape[1] < 2:
        raise InvalidInput(
            f"{arrays.path}: expected {name} of shape {(targets, 'S', *like[2:])} with S at least 2, outputs of the "
            f"targets, got {name}.shape={arrays.shape(name)}."
        )
    features = [
        _features(arrays, known, count)
        for known, count in (("public_features", shape[1]), ("features", like[1]))
    ]
    if features[0].shape[1] != features[1].shape[1]:
        raise InvalidInput(
            f"{arrays.path}: expected public_features and features of as many numbers a record, "
            f"got {features[0].shape[1]} and {features[1].shape[1]}."
        )
    return Public(name, shape, labels_of(("public_labels", "public_targets"), shape[1]), *features)


def _features(arrays, name, count):
    shape = arrays.shape(name)
    if len(shape) < 2 or shape[0] != count or 0 in shape:
        raise InvalidInput(
            f"{arrays.path}: expected {name} of shape ({count}, D), one row a record, got {name}.shape={shape}."
        )
    found = arrays.read(name).reshape(count, -1).astype(np.float64)
    if not np.isfinite(found).all():
        raise InvalidInput(f"{arrays.path}: expected {name} finite, got NaN or infinite ones.")
    return found
