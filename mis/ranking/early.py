"""The full-precision network that performs as a quantized one, by stopping early, and what it leaks.

A quantizer that hurts performance also hurts attacks; stopping the training early does both too. What a quantizer is
worth is what it leaks less than the full-precision network stopped where it performs as well.
"""

import dataclasses
from collections.abc import Sequence

from mis.ranking.spec import FEWEST_STEPS
from mis.results import Interval
from mis.training import Learner

__all__ = ["early", "early_stops"]

# Each stop halves the training.
HALVINGS = 6


def early_stops(learner: Learner) -> list[Learner]:
    """Return the learner with its steps halved again and again, fewest steps first, itself not included.

    No fewer steps than a ranking takes.

    Examples
    --------
    >>> [stopped.num_steps for stopped in early_stops(Learner(num_steps=20))]
    [10]
    """
    steps = {learner.num_steps // 2**k for k in range(1, HALVINGS + 1)}
    return [dataclasses.replace(learner, num_steps=count) for count in sorted(steps) if count >= FEWEST_STEPS]


def early(performance: float, stops: Sequence[tuple[int, float, Interval]]) -> tuple[Interval, float] | None:
    """Return the advantage at the first stop that performs as well, interpolated from the one before, and its steps.

    Parameters
    ----------
    performance
        Performance to be reached.
    stops
        Steps, performance and advantage of full precision at each stop, fewest steps first.

    Returns
    -------
    tuple or None
        Linear between two stops; the first stop itself where even that performs better, which overstates what is
        needed; None where no stop performs as well. The interval is that of the stops and leaves the interpolation and
        the error of performances out.

    Examples
    --------
    >>> ends = {"lower": 0.0, "upper": 1.0, "kind": "attack", "level": 0.95}
    >>> stops = [(10, 0.2, Interval(value=0.1, **ends)), (20, 0.6, Interval(value=0.5, **ends))]
    >>> advantage, steps = early(0.4, stops)
    >>> round(advantage.value, 6), round(steps, 6)
    (0.3, 15.0)
    """
    for i, (steps, reached, advantage) in enumerate(stops):
        if reached >= performance:
            steps_before, before, advantage_before = stops[max(i - 1, 0)]
            gap = reached - before
            share = (performance - before) / gap if gap > 0.0 else 1.0
            ends = {
                end: getattr(advantage_before, end)
                + share * (getattr(advantage, end) - getattr(advantage_before, end))
                for end in ("lower", "value", "upper")
            }
            return dataclasses.replace(advantage, **ends), steps_before + share * (steps - steps_before)
    return None
