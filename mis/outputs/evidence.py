"""What attacks on outputs are served, computed in one pass over a file larger than memory."""

import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from mis.attacks import Attack
from mis.attacks.statistics import logit_confidence, signed_residual
from mis.numerics.checks import InputWarning, InvalidInput
from mis.outputs.read import Outputs
from mis.ranking.progress import track

__all__ = ["Evidence", "gather", "logits_of"]

# How far from 1 the sum of probabilities may be: half precision and many classes.
SUM = 0.02


@dataclass(frozen=True)
class Evidence:
    """What networks say of each record, in one number.

    Parameters
    ----------
    scores
        Log-odds of the true class or, in a regression, residuals with their sign, ``(R, N)``.
    regression
        Whether it is one.
    direct
        Scores of attacks that fit nothing and look at every output, by name, ``(R, N)``; NaN for what is no target.
    sample
        Which records a classifier of outputs is trained on, ascending, ``(S,)``.
    sampled_logits
        Logits of these, ``(R, S, C)``; empty where no attack asks for them.
    public_scores
        As ``scores``, of the targets on public records; None where there are none.
    """

    scores: np.ndarray
    regression: bool
    direct: Mapping[str, np.ndarray]
    sample: np.ndarray
    sampled_logits: np.ndarray
    public_scores: np.ndarray | None = None

    @cached_property
    def losses(self) -> np.ndarray:
        """Cross-entropies, or squared errors, ``(R, N)``."""
        return np.square(self.scores) if self.regression else np.logaddexp(0.0, -self.scores)

    @cached_property
    def negative_losses(self) -> np.ndarray:
        """Minus the losses."""
        return -self.losses

    @cached_property
    def probabilities(self) -> np.ndarray:
        """Probabilities of the true class, ``(R, N)``."""
        return np.exp(-self.losses)


def gather(
    outputs: Outputs, direct: Mapping[str, Attack], sample: np.ndarray, *, progress: bool = False
) -> Evidence:
    """Read the outputs once and keep what attacks need of them.

    Parameters
    ----------
    outputs
        The file.
    direct
        Attacks that need nothing but a target's logits and the labels, by name.
    sample
        Records whose logits are kept, ascending; none if empty.
    progress
        Show it.
    """
    labels = outputs.labels
    size = len(outputs.membership), len(labels)
    scores = np.empty(size)
    of_attack = {name: np.full(size, np.nan) for name in direct}
    kept = np.empty((len(outputs.membership), len(sample), outputs.classes or 0))
    if outputs.kind == "weights":
        return Evidence(scores[:, :0], True, of_attack, sample[:0], kept)
    statistic = signed_residual if outputs.classes is None else logit_confidence
    for row, records, values in logits_of(outputs, progress=progress):
        scores[row, records] = statistic(values, labels[records])
        if outputs.is_target[row]:
            for name, attack in direct.items():
                inputs = {"target_logits": values, "labels": labels[records]}
                of_attack[name][row, records] = attack.scores(**{need: inputs[need] for need in attack.needs})
        if len(sample):
            inside = slice(*np.searchsorted(sample, (records.start, records.stop)))
            kept[row, inside] = values[sample[inside] - records.start]
    public = None
    if outputs.public is not None:
        public = np.empty(outputs.public.shape[:2])
        for row, records, values in _blocks(outputs, outputs.public.name, outputs.public.shape, progress):
            public[row, records] = statistic(values, outputs.public.labels[records])
    return Evidence(scores, outputs.classes is None, of_attack, sample, kept, public)


def logits_of(outputs: Outputs, *, progress: bool) -> Iterator[tuple[int, slice, np.ndarray]]:
    """Yield network, records and their logits (or predictions) as float64, checked, as they lie in the file.

    Raises
    ------
    InvalidInput
        That names the network and the record of what is no output: NaN, a largest logit that is infinite, probabilities
        outside [0, 1] or that do not sum to 1.
    """
    before = 0
    for part in outputs.networks:
        for row, records, values in _blocks(outputs, part.name, part.shape, progress):
            yield before + row, records, values
        before += len(part)


def _blocks(outputs, name, shape, progress):
    """Yield one array's networks, records and their logits."""
    networks = iter(track(range(shape[0]), name, progress))
    last = -1
    for row, records, values in outputs.arrays.blocks(name, shape):
        last = next(networks) if row != last else last
        where = f"{outputs.arrays.path}: expected {name}"
        yield row, records, _checked(where, outputs.kind, values, row, records.start)
    # Ends the bar.
    next(networks, None)


def _checked(where, kind, values, row, start):
    """Return a block of outputs as logits (or predictions) in float64."""
    values = values.astype(np.float64)

    def refuse(wrong, condition, got):
        if wrong.any():
            record = start + int(np.argmax(wrong))
            raise InvalidInput(f"{where} {condition}, got {got} in network {row}, record {record}.")

    table = values.reshape(len(values), -1)
    with np.errstate(invalid="ignore", over="ignore"):
        total = table.sum(axis=1)
    if np.isnan(total).any():
        refuse(np.isnan(table).any(axis=1), "without NaN", "NaN")
    if kind == "predictions":
        refuse(~np.isfinite(values), "finite", "an infinite one")
        return values
    if kind == "probabilities":
        refuse((table < 0).any(axis=1) | (table > 1).any(axis=1), "in [0, 1]", "another number")
        refuse(np.abs(total - 1) > SUM, "that sum to 1 over the classes", "another sum")
        with np.errstate(divide="ignore"):
            return np.log(values)
    refuse(~np.isfinite(table.max(axis=1)), "with a finite largest one", "an infinite one")
    if row == start == 0 and (table >= 0).all() and np.allclose(total, 1.0, atol=1e-4):
        warnings.warn(
            f"{where}, got numbers that sum to 1: if these are probabilities, call them so.",
            InputWarning,
            stacklevel=2,
        )
    return values
