"""Rankings with planted numbers, for what studies conclude from them."""

from dataclasses import fields
from types import SimpleNamespace

import numpy as np
import pytest

from mis.ranking import Ranking, Row
from mis.ranking.measure import Measurement
from mis.ranking.performance import Performance
from mis.results import Interval

FOLDS = 8


def interval(value, half=0.01, kind="attack"):
    return Interval(lower=value - half, value=value, upper=value + half, kind=kind, level=0.95)


def row(release, *, advantage, performance=0.9, zeros=0.0, attacks=(), tpr_of=(), **more):
    """A row with these numbers, each with an interval; what is left out is None."""
    given = {
        "release": release,
        "zeros": zeros,
        "performance": interval(performance, kind="monte-carlo"),
        "advantage": interval(advantage),
        "tpr_at_fpr_01": interval(0.1 * advantage),
        "level": 0.95,
        "attacks": {name: interval(value) for name, value in dict(attacks).items()},
        "tpr_of": {name: interval(value) for name, value in dict(tpr_of).items()},
        **more,
    }
    names = [f.name for f in fields(Row) if f.name not in ("missing", "tied_with")]
    return Row(**dict.fromkeys(names) | given)


def measurement(of, rng, networks=64):
    """The row, with values by network whose means are the row's."""

    def around(value, count):
        noise = 0.02 * rng.normal(size=count)
        return value + noise - noise.mean()

    return Measurement(
        row=of,
        advantages=around(of.advantage.value, networks),
        performance=Performance(
            of_networks=around(of.performance.value, networks), of_examples=around(of.performance.value, 200)
        ),
    )


def ranking(rows, rng, stops=()):
    """Rows as a ranking; ``stops`` are steps and rows of dense networks stopped early."""
    found = [measurement(one, rng) for one in rows]
    return Ranking(
        rows=tuple(rows),
        advantages=np.stack([one.advantages for one in found]),
        performances=tuple(one.performance for one in found),
        stops=tuple((steps, measurement(one, rng)) for steps, one in stops),
        about={"num_folds": FOLDS, "level": 0.95},
    )


@pytest.fixture
def planted(rng):
    """``row``, ``ranking`` and ``interval`` of planted numbers."""
    return SimpleNamespace(
        row=row, interval=interval, ranking=lambda rows, stops=(): ranking(rows, rng, stops)
    )
