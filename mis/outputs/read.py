"""Outputs of several networks on one set of records, with who was trained on what."""

import os
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np

from mis.attacks.base import read_labels
from mis.numerics.checks import InvalidInput
from mis.outputs.arrays import NAMES, Arrays, open_arrays
from mis.outputs.public import Public, read_public
from mis.outputs.weights import Held, Weights, is_checkpoints, open_checkpoints, read_weights

__all__ = ["Networks", "Outputs", "read_outputs"]

# What a file may hold, and how many axes come after networks and records.
KINDS = {"logits": 1, "probabilities": 1, "predictions": 0}

FORM = (
    "logits or probabilities (T, N, C), or predictions (T, N) of a regression, with labels (N,) and membership (T, N); "
    "or weights (T, P) with membership; or shadow_ and target_ before each but labels"
)


@dataclass(frozen=True)
class Networks:
    """Networks whose outputs stand in one array.

    Parameters
    ----------
    name
        Of the array.
    shape
        Of the array, with the axis of networks even if there is only one.
    membership
        Which records each was trained on, bool ``(T, N)``; False throughout a row where it is unknown.
    known
        Of which networks that is known, bool ``(T,)``.
    """

    name: str
    shape: tuple[int, ...]
    membership: np.ndarray
    known: np.ndarray

    def __len__(self) -> int:
        return len(self.membership)


@dataclass(frozen=True)
class Outputs:
    """What is known of networks under attack, and where their outputs are.

    Parameters
    ----------
    arrays
        The file.
    kind
        ``logits``, ``probabilities`` or ``predictions``; ``weights`` where there are no outputs.
    labels
        True classes, or the targets of a regression, ``(N,)``; zeros where there are no outputs.
    networks
        All networks; or first the shadows and then the targets, where these are apart.
    ids
        Names of the records, ``(N,)``.
    weights
        The networks' weights, where they are known.
    public
        Records that no target was trained on, where there are some.
    """

    arrays: Arrays | Held
    kind: str
    labels: np.ndarray
    networks: tuple[Networks, ...]
    ids: np.ndarray = field(repr=False)
    weights: Weights | None = None
    public: Public | None = None

    @property
    def apart(self) -> bool:
        """Whether the shadows are networks of their own."""
        return len(self.networks) == 2

    @property
    def classes(self) -> int | None:
        """Number of classes, None of a regression and without outputs."""
        return None if self.kind in ("predictions", "weights") else self.networks[0].shape[-1]

    @cached_property
    def membership(self) -> np.ndarray:
        """Which records every network was trained on, ``(R, N)``, shadows first."""
        return np.concatenate([part.membership for part in self.networks])

    @cached_property
    def known(self) -> np.ndarray:
        """Of which networks that is known, ``(R,)``."""
        return np.concatenate([part.known for part in self.networks])

    @cached_property
    def is_target(self) -> np.ndarray:
        """Which networks are attacked, ``(R,)``."""
        return np.concatenate([np.full(len(part), part is self.networks[-1]) for part in self.networks])

    @cached_property
    def may_shadow(self) -> np.ndarray:
        """Which networks an attack on others may be fitted to, ``(R,)``."""
        return self.known & ~self.is_target if self.apart else self.known


def read_outputs(path: str | os.PathLike[str], model: str | None = None) -> Outputs:
    """Open a file of outputs or of weights and check all but the outputs themselves, which are larger than the rest.

    Parameters
    ----------
    path
        An ``.npz`` file, or a folder of ``.npy`` files, with ``logits`` or ``probabilities`` ``(T, N, C)``, or
        ``predictions`` ``(T, N)`` of a regression; ``labels`` or ``targets`` ``(N,)``; ``membership`` ``(T, N)``, a row
        of NaN for a network of which it is unknown; and ``ids`` ``(N,)`` if you like. Or ``shadow_logits``,
        ``shadow_membership``, ``target_logits`` and, if known, ``target_membership``; a single target needs no axis of
        its own. Beside or instead of outputs ``weights`` ``(T, P)`` as released, and if you like ``gradients``
        ``(N, P)`` of the records' losses, ``full`` ``(T, P)``, the weights before their release, and ``lower`` and
        ``upper``, the ends of their cells. For attacks that learn from records which no target was trained on
        ``public_logits`` (or the like) ``(T, S, C)`` of the targets, ``public_labels`` ``(S,)``, ``public_features``
        ``(S, D)`` and ``features`` ``(N, D)``. Or a folder with one file of weights a network, and ``examples.npz``
        with the other arrays.
    model
        ``FILE.py:NAME`` of a JAX function of weights and ``features``, see ``Network``, which computes outputs and
        gradients; then ``features`` ``(N, …)`` are read too.

    Raises
    ------
    InvalidInput
        In one line, for whatever does not fit.
    """
    arrays = open_checkpoints(path) if is_checkpoints(path) else open_arrays(path)
    kind, names, weights = _form(arrays)
    if model is not None and kind != "weights":
        raise InvalidInput(f"{arrays.path}: expected --model with weights and without {kind}, got both.")
    if kind == "weights":
        return _of_weights(arrays, names, model)
    shapes = [_shape(arrays, name, KINDS[kind]) for name in names]
    records, *classes = shapes[0][1:]
    for name, shape in zip(names, shapes, strict=True):
        if shape[1:] != shapes[0][1:]:
            raise InvalidInput(
                f"{arrays.path}: expected {names[0]} and {name} with equal records and classes, "
                f"got shapes {shapes[0]} and {shape}."
            )
        if 0 in shape or (classes and classes[0] < 2):
            least = "networks, records and at least 2 classes" if classes else "networks and records"
            raise InvalidInput(f"{arrays.path}: expected {name} of {least}, got shape {shape}.")
    networks = tuple(_networks(arrays, name, kind, shape) for name, shape in zip(names, shapes, strict=True))
    labels, ids = _labels(arrays, records, classes), _ids(arrays, records)
    read = None
    if weights:
        read = read_weights(arrays, weights, [len(part) for part in networks], records, None)

    def labels_of(names, count):
        return _labels(arrays, count, classes, names)

    public = read_public(arrays, kind, shapes[-1], len(networks[-1]), labels_of)
    return Outputs(arrays, kind, labels, networks, ids, read, public)


def _of_weights(arrays, names, model):
    """Return the networks of a file without outputs, computed where there is a model."""
    of = [name.replace("weights", "membership") for name in names]
    if of[0] not in arrays or len(arrays.shape(of[0])) != 2:
        got = f"shape {arrays.shape(of[0])}" if of[0] in arrays else "none"
        raise InvalidInput(f"{arrays.path}: expected {of[0]} (T, N), who was trained on what, got {got}.")
    records = arrays.shape(of[0])[1]
    counts = [arrays.shape(name)[0] if len(arrays.shape(name)) > 1 else 1 for name in names]
    if not records or not all(counts):
        raise InvalidInput(
            f"{arrays.path}: expected networks and records, got {names[0]} or {of[0]} without."
        )
    networks = tuple(
        _networks(arrays, name, "weights", (count, records))
        for name, count in zip(names, counts, strict=True)
    )
    ids, weights = _ids(arrays, records), read_weights(arrays, names, counts, records, model)
    if weights.network is None:
        return Outputs(arrays, "weights", np.zeros(records), networks, ids, weights)
    outputs = weights.network.outputs(weights.released)
    kind = "predictions" if outputs.ndim == 2 else "logits"
    labels = _labels(arrays, records, list(outputs.shape[2:]))
    parts = np.split(outputs, np.cumsum(counts)[:-1])
    held = Held(arrays.path, dict(zip(names, parts, strict=True)))
    networks = tuple(replace(part, shape=held.shape(part.name)) for part in networks)
    weights = replace(weights, network=replace(weights.network, labels=labels))
    return Outputs(held, kind, labels, networks, ids, weights)


def _form(arrays):
    """Which outputs the file has, under which names; and the names of weights."""
    one, apart = ([kind for kind in (*KINDS, "weights") if any(name in arrays for name in forms(kind))]
                  for forms in (lambda kind: [kind], lambda kind: [f"shadow_{kind}", f"target_{kind}"]))  # fmt: skip
    kinds = [kind for kind in one + apart if kind != "weights"] or one + apart
    if len(kinds) != 1 or (one and apart):
        has = ", ".join(arrays.stored) or "no arrays"
        raise InvalidInput(f"{arrays.path}: expected {FORM}; got {has[:200]}.")
    found = {}
    for kind in {*one, *apart}:
        found[kind] = [kind] if one else [f"{side}_{kind}" for side in ("shadow", "target")]
        missing = [name for name in found[kind] if name not in arrays]
        if missing:
            raise InvalidInput(f"{arrays.path}: expected {' and '.join(found[kind])}, got no {missing[0]}.")
    return kinds[0], found[kinds[0]], found.get("weights", [])


def _shape(arrays, name, more):
    """Return the shape (T, N) or (T, N, C) of outputs."""
    shape = arrays.shape(name)
    single = name.startswith("target_") and len(shape) == 1 + more
    if len(shape) != 2 + more and not single:
        axes = "(T, N, C)" if more else "(T, N)"
        hint = "; outputs of a regression are predictions (T, N)" if more and len(shape) == 2 else ""
        raise InvalidInput(f"{arrays.path}: expected {name} of shape {axes}, got {name}.shape={shape}{hint}.")
    return (1, *shape) if single else shape


def _networks(arrays, name, kind, shape):
    of = name.removesuffix(kind) + "membership"
    if of not in arrays:
        if name.startswith("target_"):
            return Networks(name, shape, np.zeros(shape[:2], bool), np.zeros(shape[0], bool))
        raise InvalidInput(f"{arrays.path}: expected {of} {shape[:2]}, who was trained on what, got none.")
    single = shape[0] == 1 and arrays.shape(of) == shape[1:2]
    if arrays.shape(of) != shape[:2] and not single:
        raise InvalidInput(
            f"{arrays.path}: expected {of} of shape {shape[:2]}, as the first axes of {name}, "
            f"got {of}.shape={arrays.shape(of)}."
        )
    membership = arrays.read(of).reshape(shape[:2])
    missing = np.isnan(membership) if membership.dtype.kind == "f" else np.zeros(membership.shape, bool)
    known = np.logical_not(missing.all(axis=1))
    wrong = ~np.isin(membership, (0, 1)) & known[:, None]
    if wrong.any():
        network, record = np.argwhere(wrong)[0]
        raise InvalidInput(
            f"{arrays.path}: expected {of} 0 or 1 (or a row of NaN, unknown), "
            f"got {membership[network, record]} for network {network}, record {record}."
        )
    membership = np.where(known[:, None], membership, 0).astype(bool)
    _refuse_one_kind(arrays.path, of, membership, known)
    return Networks(name, shape, membership, known)


def _refuse_one_kind(path, of, membership, known):
    """Refuse networks trained on every record, and targets trained on none."""
    shadows = of.startswith("shadow_")
    for network in np.flatnonzero(known):
        row = membership[network]
        if row.all() or (not row.any() and not shadows):
            which = "a member of all records" if row.all() else "a member of none"
            unknown = "" if shadows else "; where it is unknown, make it a row of NaN"
            raise InvalidInput(
                f"{path}: expected {of} with records that each network was trained on and others, "
                f"got network {network} as {which}{unknown}."
            )


def _labels(arrays, records, classes, names=("labels", "targets")):
    given = [name for name in names if name in arrays]
    if len(given) != 1:
        got = "both" if given else "neither"
        raise InvalidInput(f"{arrays.path}: expected {' or '.join(names)}, of shape ({records},), got {got}.")
    name = given[0]
    if arrays.shape(name) != (records,):
        raise InvalidInput(
            f"{arrays.path}: expected {name} of shape ({records},), one a record, "
            f"got {name}.shape={arrays.shape(name)}."
        )
    labels = arrays.read(name)
    if not np.isfinite(labels).all():
        raise InvalidInput(f"{arrays.path}: expected {name} finite, got NaN or infinite ones.")
    if not classes:
        return labels.astype(np.float64)
    labels = read_labels(arrays.path, name, labels)
    if labels.max() >= classes[0]:
        raise InvalidInput(
            f"{arrays.path}: expected {name} below the {classes[0]} classes of the outputs, got {labels.max()}."
        )
    return labels


def _ids(arrays, records):
    if "ids" not in arrays:
        return np.arange(records)
    if arrays.shape("ids") != (records,):
        raise InvalidInput(f"{arrays.path}: expected ids of shape ({records},), got {arrays.shape('ids')}.")
    ids = arrays.read("ids", NAMES)
    if ids.dtype.kind == "S":
        ids = np.char.decode(ids, "utf-8", "replace")
    if ids.dtype.kind == "U" and not all(name.isprintable() and name.strip() for name in ids.tolist()):
        raise InvalidInput(
            f"{arrays.path}: expected ids printable text or integers, got text that is not printable."
        )
    if len(np.unique(ids)) < records:
        raise InvalidInput(f"{arrays.path}: expected ids that differ, got some twice.")
    return ids
