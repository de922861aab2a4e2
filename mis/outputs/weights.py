"""Released weights of several networks, from arrays or from a folder of checkpoints."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from mis.inspect.formats import READERS
from mis.inspect.run import read_codings
from mis.numerics.checks import InvalidInput
from mis.outputs.arrays import ANY, NUMBERS, Arrays, open_arrays
from mis.outputs.network import Network

__all__ = ["EXAMPLES", "Held", "Weights", "is_checkpoints", "open_checkpoints", "read_weights"]

# What stands beside the networks in a folder of checkpoints.
EXAMPLES = "examples.npz"

# Shadows over which gradients are averaged.
REFERENCES = 4


@dataclass(frozen=True)
class Held:
    """Arrays by name, in memory; read as ``Arrays`` are.

    Parameters
    ----------
    path
        Where they come from, as the user called it.
    stored
        The arrays.
    layout
        Shape of each tensor of the weights by its name, in order; None where they have no names.
    """

    path: str
    stored: dict[str, np.ndarray]
    layout: dict[str, tuple[int, ...]] | None = None

    def __contains__(self, name: str) -> bool:
        return name in self.stored

    def shape(self, name: str) -> tuple[int, ...]:
        """Return an array's shape."""
        return self.stored[name].shape

    def read(self, name: str, kinds: str = NUMBERS) -> np.ndarray:
        """Return an array of these kinds of types."""
        found = self.stored[name]
        if found.dtype.kind not in kinds:
            what = "real numbers" if "f" in kinds else "integers or text"
            raise InvalidInput(f"{self.path}: expected {name} {what}, got an array of {found.dtype}.")
        return found

    def blocks(self, name: str, shape: tuple[int, ...]) -> Iterator[tuple[int, slice, np.ndarray]]:
        """Yield an array as of this shape, row by row."""
        for row, values in enumerate(self.read(name).reshape(shape)):
            yield row, slice(0, len(values)), values


@dataclass(frozen=True)
class Weights:
    """Released weights, and what else is known of the networks inside.

    Parameters
    ----------
    released
        Of every network, shadows first, ``(R, P)``.
    full
        The same before their release, ``(R, P)``; those of targets are not used.
    lower, upper
        Ends of the cells that weights were released in, ``(R, P)``.
    given
        Gradients of the examples' losses, ``(N, P)``, at weights that tell nothing of the targets.
    network
        What computes them where they are not given.
    """

    released: np.ndarray
    full: np.ndarray | None
    lower: np.ndarray | None
    upper: np.ndarray | None
    given: np.ndarray | None
    network: Network | None

    @cached_property
    def inputs(self) -> frozenset[str]:
        """Names of the inputs of attacks that they serve."""
        names = {"shadow_params", "target_params", "shadow_membership"}
        names |= {"gradients"} if self.network is not None or self.given is not None else set()
        names |= {"factors", "target_gradients"} if self.network is not None else set()
        names |= {"shadow_full"} if self.full is not None else set()
        names |= {"shadow_full", "target_lower", "target_upper"} if self.lower is not None else set()
        return frozenset(names)

    def input(self, need: str, shadows: np.ndarray, targets: np.ndarray) -> np.ndarray:
        """Return an input of an attack on these targets with these shadows."""
        if need == "gradients":
            return self._gradients(shadows)
        if need == "factors":
            assert self.network is not None
            return self.network.factors(self.released[shadows[0]], np.random.default_rng(0))
        if need == "shadow_full":
            return (self.released if self.full is None else self.full)[shadows]
        tables = {"params": self.released, "lower": self.lower, "upper": self.upper}
        side, _, what = need.partition("_")
        table = tables[what]
        assert table is not None
        return table[shadows if side == "shadow" else targets]

    def _gradients(self, shadows):
        if self.given is not None:
            return self.given
        full = self.released if self.full is None else self.full
        assert self.network is not None
        return self.network.mean_gradients(full[shadows[:REFERENCES]])


def is_checkpoints(path: Any) -> bool:
    """Return whether this is a folder of networks with their examples."""
    return Path(path, EXAMPLES).is_file()


def open_checkpoints(path: Any) -> Held:
    """Return the examples of a folder, and the weights of the networks in it: one a file, in the order of their names.

    Raises
    ------
    InvalidInput
        One line, where there are no networks, they differ in a tensor, or one cannot be read or decoded.
    """
    folder = Path(path)
    files = sorted(
        (f for f in folder.iterdir() if f.suffix.lower() in READERS and f.name != EXAMPLES), key=_natural
    )
    if not files:
        raise InvalidInput(f"{path}: expected networks ({', '.join(READERS)}) beside {EXAMPLES}, got none.")
    examples = open_arrays(folder / EXAMPLES)
    arrays = {name: examples.read(name, ANY) for name in examples.stored}
    if "weights" in arrays:
        raise InvalidInput(f"{path}: expected weights in files of their own, got some in {EXAMPLES}.")
    tensors = [_tensors(file) for file in files]
    layout = {name: values.shape for name, values in tensors[0].items()}
    for file, found in zip(files, tensors, strict=True):
        shapes = {name: values.shape for name, values in found.items()}
        if shapes != layout:
            name = min(name for name in {**shapes, **layout} if shapes.get(name) != layout.get(name))
            raise InvalidInput(
                f"{file}: expected tensors as in {files[0].name}, got {name} of shape {shapes.get(name)}, "
                f"there {layout.get(name)}."
            )
    rows = [np.concatenate([found[name].reshape(-1) for name in layout]) for found in tensors]
    return Held(str(path), arrays | {"weights": np.stack(rows)}, layout)


def _natural(file: Path) -> list[Any]:
    """Sort by name, with 10 after 9."""
    return [(0, int(part), "") if part.isdigit() else (1, 0, part) for part in re.split(r"(\d+)", file.name)]


def _tensors(file: Path) -> dict[str, np.ndarray]:
    """Return the weights in a file by name, codes and blocks decoded, as float32."""
    found = {}
    for name, coding in sorted(read_codings(file).items()):
        if coding.read is None or not coding.is_scaled:
            if coding.is_weights and coding.tensor.size:
                raise InvalidInput(
                    f"{file}: tensor {name} cannot be decoded: {coding.note or coding.tensor.kind}."
                )
            continue
        values = coding.read(0, coding.tensor.size)
        found[name] = values.astype(np.float32).reshape(coding.tensor.shape)
    if not found:
        raise InvalidInput(f"{file}: expected weights, got none.")
    return found


def read_weights(
    arrays: Arrays | Held, names: list[str], sizes: list[int], records: int, model: str | None
) -> Weights:
    """Return the weights and what stands beside them, checked.

    Parameters
    ----------
    arrays
        All of the file's.
    names
        Of the arrays of weights: one, or those of shadows and of targets.
    sizes
        How many networks each has.
    records
        Number of records.
    model
        ``FILE.py:NAME`` of the function that applies them.

    Raises
    ------
    InvalidInput
        One line, for shapes that do not fit, and numbers that are not finite.
    """
    released = _table(arrays, names, sizes, None)
    shape = released.shape
    of = {}
    for what in ("full", "lower", "upper"):
        asked = [name.replace("weights", what) for name in names]
        if all(name in arrays for name in asked):
            of[what] = _table(arrays, asked, sizes, shape[1])
    if len({"lower", "upper"} & set(of)) == 1:
        raise InvalidInput(f"{arrays.path}: expected lower and upper ends of cells, got one of them.")
    if "lower" in of:
        wrong = ~(of["lower"] <= of["upper"]) | (np.isinf(of["lower"]) & (of["lower"] == of["upper"]))
        if wrong.any():
            network, weight = np.argwhere(wrong)[0]
            raise InvalidInput(
                f"{arrays.path}: expected lower <= upper, not both infinite with one sign, got "
                f"{of['lower'][network, weight]} and {of['upper'][network, weight]} in network {network}, "
                f"weight {weight}."
            )
    given = None
    if "gradients" in arrays:
        given = arrays.read("gradients")
        if given.shape != (records, shape[1]):
            raise InvalidInput(
                f"{arrays.path}: expected gradients of shape ({records}, {shape[1]}), records by weights, "
                f"got gradients.shape={given.shape}."
            )
        _refuse_infinite(arrays.path, "gradients", given, "record")
    network = None if model is None else _network(arrays, records, model)
    return Weights(released, of.get("full"), of.get("lower"), of.get("upper"), given, network)


def _network(arrays, records, model):
    for name in ("features", "labels"):
        other = {"labels": "targets"}.get(name, name)
        if name not in arrays and other not in arrays:
            raise InvalidInput(f"{arrays.path}: expected {name} of the records for --model, got none.")
    features = arrays.read("features")
    if features.shape[:1] != (records,):
        raise InvalidInput(
            f"{arrays.path}: expected features of {records} records, got features.shape={features.shape}."
        )
    _refuse_infinite(arrays.path, "features", features.reshape(records, -1), "record")
    labels = arrays.read("labels" if "labels" in arrays else "targets")
    if features.dtype.kind == "f":
        features = features.astype(np.float32)
    return Network(model, getattr(arrays, "layout", None), features, labels)


def _table(arrays, names, sizes, weights):
    """Return weights (R, P) of the shadows and of the targets, one below the other."""
    found: list[np.ndarray] = []
    for name, size in zip(names, sizes, strict=True):
        values = arrays.read(name)
        values = values[None] if size == 1 and values.ndim == 1 else values
        columns = weights or (found[0].shape[1] if found else values.shape[-1])
        if values.ndim != 2 or values.shape != (size, columns) or not columns:
            raise InvalidInput(
                f"{arrays.path}: expected {name} of shape ({size}, {columns or 'P'}), one row a network, "
                f"got {name}.shape={arrays.shape(name)}."
            )
        if name.endswith("weights") or name.endswith("full"):
            _refuse_infinite(arrays.path, name, values, "network")
        found.append(values)
    return np.concatenate(found)


def _refuse_infinite(path, name, values, what):
    wrong = ~np.isfinite(values).all(axis=1)
    if wrong.any():
        raise InvalidInput(
            f"{path}: expected {name} finite, got NaN or infinite ones in {what} {int(np.argmax(wrong))}."
        )
