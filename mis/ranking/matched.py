"""Functions: the full-precision network that performs as a quantized one, by stopping early, and what it leaks.

A quantizer that hurts performance also hurts attacks; stopping the training early does both too. What a quantizer is
worth is what it leaks less than the full-precision network stopped where it performs as well.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from mis.ranking.spec import FEWEST_STEPS
from mis.training import Learner

__all__ = ["early_stops", "matched"]

# Each stop halves the training.
HALVINGS = 6


def early_stops(learner: Learner) -> list[Learner]:
    """Return the learner with its steps halved again and again, fewest steps first, itself not included.

    No fewer steps than a ranking takes.

    Examples
    --------
    >>> [stopped.steps for stopped in early_stops(Learner(steps=20))]
    [10]
    """
    steps = {learner.steps // 2**k for k in range(1, HALVINGS + 1)}
    return [dataclasses.replace(learner, steps=count) for count in sorted(steps) if count >= FEWEST_STEPS]


def matched(performance: float, stops: Sequence[Mapping[str, Any]]) -> dict[str, float | None]:
    """Return the advantage at the first stop that performs as well, interpolated from the one before.

    Parameters
    ----------
    performance
        Performance to be matched.
    stops
        Full-precision rows with ``steps``, ``performance``, ``advantage``, ``advantage_lower`` and
        ``advantage_upper``, fewest steps first.

    Returns
    -------
    dict
        ``matched``, ``matched_lower``, ``matched_upper`` and ``matched_steps``. Linear between two stops; at the first
        stop itself where even that performs better, which overstates what is needed; None where no stop performs as
        well. The interval is that of the stops and leaves the interpolation and the error of performances out.

    Examples
    --------
    >>> ends = {"advantage_lower": 0.0, "advantage_upper": 1.0}
    >>> stops = [{"steps": 10, "performance": 0.2, "advantage": 0.1, **ends}]
    >>> stops += [{"steps": 20, "performance": 0.6, "advantage": 0.5, **ends}]
    >>> found = matched(0.4, stops)
    >>> round(found["matched"], 6), round(found["matched_steps"], 6)
    (0.3, 15.0)
    """
    names = ("matched", "matched_lower", "matched_upper", "matched_steps")
    columns = ("advantage", "advantage_lower", "advantage_upper", "steps")
    for i, stop in enumerate(stops):
        if stop["performance"] >= performance:
            before = stops[max(i - 1, 0)]
            gap = stop["performance"] - before["performance"]
            share = (performance - before["performance"]) / gap if gap > 0.0 else 1.0
            values = (before[column] + share * (stop[column] - before[column]) for column in columns)
            return dict(zip(names, values, strict=True))
    return dict.fromkeys(names)
