"""Inspect released files."""

import os
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from mis.inspect.coding import Coding, chunks, plain
from mis.inspect.formats import Tensor, read
from mis.inspect.formats.base import shown
from mis.inspect.information import Shares, Weights, shares, total
from mis.inspect.integers import companions
from mis.inspect.measure import Measured, against, measure
from mis.inspect.recognise import FLOATS, recognise
from mis.inspect.released import Release, Row, Together
from mis.inspect.report import Inspection
from mis.inspect.several import union
from mis.numerics.checks import InvalidInput, confidence, integer, number
from mis.results import Interval
from mis.theory import predicted_advantage

__all__ = ["inspect", "read_codings"]

WHERE = "inspect"


def inspect(
    *releases: Any,
    full: Any = None,
    spread: Sequence[Any] = (),
    full_advantage: float | Interval | None = None,
    level: float = 0.95,
    seed: int = 0,
) -> Inspection:
    """Say what released files are, and what they let through; no data, no training.

    Parameters
    ----------
    releases
        Paths of files of one network, ``.safetensors``, ``.npz`` or ``.gguf``; at least one.
    full
        File with the weights before they were released, under the same names.
    spread
        Files of other snapshots or retrainings of the network, under the same names. With ``full`` at least two in
        all; each weight's spread is its standard deviation over them.
    full_advantage
        Advantage of the strongest attack at full precision, from which the level of a release is predicted.
    level
        Of the intervals.
    seed
        Decides which weights are looked at where they are many.

    Returns
    -------
    Inspection
        Its information is that about the weights given their levels, as of `mis.theory.retained_information`: scales
        and codebooks tell more, and a tensor at full precision passes all, its rounding not counted.

    Raises
    ------
    InvalidInput
        One line, for a file that is not what its name says or does not belong to the others.

    Examples
    --------
    >>> import tempfile
    >>> from mis.quantizers import Sign
    >>> weights = np.random.default_rng(0).normal(size=(64, 8))
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     np.savez(f"{folder}/full.npz", w=weights)
    ...     np.savez(f"{folder}/sign.npz", w=Sign()(weights))
    ...     found = inspect(f"{folder}/sign.npz", full=f"{folder}/full.npz")
    >>> row = found.releases[0].rows[0]
    >>> row.quantizer, round(row.error, 2), row.outside
    ('sign', 0.36, 0.0)
    """
    if not releases:
        raise InvalidInput(f"{WHERE}: expected a file, got none.")
    level, seed = confidence(WHERE, level), integer(WHERE, "seed", seed, at_least=0)
    if full_advantage is not None and not isinstance(full_advantage, Interval):
        full_advantage = number(WHERE, "full_advantage", full_advantage, above=-1.0)
        if full_advantage > 1:
            raise InvalidInput(
                f"{WHERE}: expected full_advantage at most 1, got full_advantage={full_advantage!r}."
            )
    sources = [*([] if full is None else [full]), *spread]
    if spread and len(sources) < 2:
        raise InvalidInput(
            f"{WHERE}: expected two files that differ at least to give a spread, --against among them, got one."
        )
    _distinct(sources)
    if full_advantage is not None and not spread:
        raise InvalidInput(
            f"{WHERE}: expected files that give the spread (--spread) where full_advantage is given."
        )
    before = _Before(full, spread)
    codings = [read_codings(path) for path in releases]
    found = []
    all_shares: list[dict[str, Shares]] = []
    for path, coded in zip(releases, codings, strict=True):
        rows, passed = [], {}
        for name, coding in coded.items():
            row, coded[name] = _row(coding, before, level, seed)
            rows.append(row)
            if row.shares is not None:
                passed[name] = row.shares
        before.check(path, coded)
        all_shares.append(passed)
        information = total(list(passed.values()), level) if passed else None
        found.append(Release(path=str(path), rows=tuple(rows), information=information))
    together = _together(codings, before, level, seed) if len(releases) > 1 else None
    return Inspection(
        releases=tuple(found),
        together=together,
        num_spread=len(sources) if spread else 0,
        full_advantage=full_advantage,
        predicted=tuple(_predict(release.information, full_advantage) for release in found),
        level=level,
    )


def _predict(information: Interval | None, full_advantage: float | Interval | None) -> Interval | None:
    return (
        None
        if information is None or full_advantage is None
        else predicted_advantage(information, full_advantage)
    )


def _distinct(paths: Sequence[Any]) -> None:
    """Refuse one file twice: weights that seem not to move would seem to tell nothing."""
    for i, path in enumerate(paths):
        for other in paths[:i]:
            if os.path.exists(path) and os.path.exists(other) and os.path.samefile(path, other):
                raise InvalidInput(f"{path}: expected files that differ to give a spread, got one twice.")


def read_codings(path: Any) -> dict[str, Coding]:
    """Return what each tensor of a file was released as; what stands beside codes is counted there."""
    tensors = {tensor.name: tensor for tensor in read(path)}
    beside = companions(tensors)
    counted = {other.name for roles in beside.values() for other in roles.values()}
    return {
        name: recognise(str(path), tensor, beside.get(name, {}))
        for name, tensor in tensors.items()
        if name not in counted
    }


class _Before:
    """The weights before a release, from files of the same names."""

    def __init__(self, full: Any, spread: Sequence[Any]):
        self.full = None if full is None else self._read(full)
        self.spread = [self._read(path) for path in spread]
        self.paths = [*([] if full is None else [full]), *spread]
        self.moved = False

    @staticmethod
    def _read(path: Any) -> tuple[Any, dict[str, Tensor]]:
        return path, {tensor.name: tensor for tensor in read(path)}

    def check(self, path: Any, coded: dict[str, Coding]) -> None:
        """Refuse files that have nothing to do with a release, or whose weights never differ."""
        for source, tensors in [*([] if self.full is None else [self.full]), *self.spread]:
            if not set(tensors) & set(coded):
                raise InvalidInput(f"{source}: expected tensors of the names of {path}, got none of them.")
        if self.spread and not self.moved:
            raise InvalidInput(
                f"{self.paths[-1]}: expected weights that differ from those of the other files."
            )

    def full_of(self, tensor: Tensor) -> np.ndarray | None:
        return None if self.full is None else self._array(self.full, tensor)

    def weights_of(self, tensor: Tensor) -> Weights | None:
        """Return the tensor and its spread, where all files have it."""
        if not self.spread:
            return None
        arrays = [self._array(source, tensor) for source in self.spread]
        full = self.full_of(tensor)
        given = [*([] if self.full is None else [full]), *arrays]
        present = [array for array in given if array is not None]
        if len(present) < len(given):
            return None
        weights = Weights(centre=present[:1] if self.full is not None else present, spread=present)
        if not self.moved:
            first = present[0].reshape(-1)
            self.moved = any(
                bool((other.reshape(-1)[a:b] != first[a:b]).any())
                for other in present[1:]
                for a, b in chunks(tensor.size)
            )
        return weights

    @staticmethod
    def _array(source: tuple[Any, dict[str, Tensor]], tensor: Tensor) -> np.ndarray | None:
        path, tensors = source
        other = tensors.get(tensor.name)
        if other is None:
            return None
        where = f"{path}: tensor {shown(tensor.name)}"
        if other.shape != tensor.shape:
            raise InvalidInput(f"{where}: expected shape {tensor.shape}, as released, got {other.shape}.")
        if other.kind not in FLOATS:
            raise InvalidInput(f"{where}: expected weights that are floats, got {other.kind}.")
        array = other.open()
        flat = array.reshape(-1)
        if not all(np.isfinite(flat[start:stop]).all() for start, stop in chunks(len(flat))):
            raise InvalidInput(f"{where}: expected finite weights, got NaN or infinite ones.")
        return array


def _row(coding: Coding, before: _Before, level: float, seed: int) -> tuple[Row, Coding]:
    """Return the numbers of one tensor, and its coding with the cells that were seen."""
    (measured, coding), passed = measure(coding), None
    if coding.is_weights and coding.tensor.size:
        full = before.full_of(coding.tensor)
        if before.full is not None and full is None:
            missing = "not among the weights given"
            coding = replace(coding, note="; ".join(filter(None, (coding.note, missing))))
        if full is not None:
            measured, coding = against(coding, measured, plain(full))
        weights = before.weights_of(coding.tensor)
        if weights is not None and coding.read is not None and coding.is_scaled:
            passed = shares([coding], weights, seed=seed)
    return _as_row(coding, measured, passed, level), coding


def _as_row(coding: Coding, measured: Measured, passed: Shares | None, level: float) -> Row:
    tensor = coding.tensor
    return Row(
        name=shown(tensor.name),
        shape=tensor.shape,
        quantizer=coding.quantizer,
        per=coding.per,
        bits=None if np.isnan(coding.bits) else coding.bits,
        stored=coding.stored,
        measured=measured,
        shares=passed,
        information=None if passed is None else total([passed], level),
        is_weights=coding.is_weights,
        note=coding.note,
    )


def _together(codings: list[dict[str, Coding]], before: _Before, level: float, seed: int) -> Together:
    """Return what the tensors that all releases have tell together."""
    names = [name for name in codings[0] if all(name in coded for coded in codings[1:])]
    if not names:
        raise InvalidInput(
            f"{WHERE}: expected releases of one network, got no name of a tensor in all of them; "
            "inspect the parts of one network one by one."
        )
    weights_seen, passed, entropies, apart = 0, [], [], []
    inside: dict[tuple[int, int], list[bool | None]] = {}
    for name in names:
        several = [coded[name] for coded in codings]
        if any(not coding.is_weights or coding.read is None or not coding.tensor.size for coding in several):
            continue
        if len({coding.tensor.shape for coding in several}) > 1:
            raise InvalidInput(f"{WHERE}: expected releases of one network, got two shapes of {shown(name)}.")
        size = several[0].tensor.size
        weights_seen += size
        found = union(several)
        for pair, value in found.inside.items():
            inside.setdefault(pair, []).append(value)
        entropies.append((size, found.entropy))
        apart.append((size, found.apart))
        weights = before.weights_of(several[0].tensor)
        shared = None if weights is None else shares(several, weights, seed=seed)
        passed.append((size, shared))
    known = [share for _, share in passed if share is not None]
    return Together(
        inside={pair: _all(values) for pair, values in inside.items()},
        entropy=_mean(entropies),
        apart=_mean([(size, value) for size, value in apart if value is not None]),
        information=total(known, level) if known and len(known) == len(passed) else None,
        num_weights=weights_seen,
    )


def _all(values: list[bool | None]) -> bool | None:
    """Whether it holds of every tensor: one that does not is enough, one that is not known leaves it open."""
    return False if False in values else None if None in values else True


def _mean(pairs: Sequence[tuple[int, float | None]]) -> float | None:
    if not pairs or any(value is None for _, value in pairs):
        return None
    return sum(size * value for size, value in pairs if value is not None) / sum(size for size, _ in pairs)
