"""Errors of reconstructions, and rows with intervals over images."""

from typing import Any

import numpy as np
from scipy import stats

from mis.attacks import inversion
from mis.numerics.seeds import generator
from mis.results import Interval
from mis.works.leakage.attacked import Case, Clients

__all__ = ["RECOVERED", "best_start", "bootstrapped", "errors", "row", "share"]

# A squared error below this, 20 decibels: the picture is recognised.
RECOVERED = 0.01
LEVEL, RESAMPLES = 0.95, 2000
MEASURES = ("squared_error", "absolute_error", "psnr", "ssim")
TRACED = (0, 10, 20, 40, 90)


def errors(held: Clients, found: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Return the measures of each image at each start, ``(clients, starts, B)``, images matched within their batch."""
    num, starts, batch = found["images"].shape[:3]
    true = np.broadcast_to(held.images[:, None], found["images"].shape)
    pictures = np.clip(found["images"], 0.0, 1.0)
    labels = found["labels"].argmax(axis=-1)
    if batch > 1:
        order = np.array(
            [[inversion.matched(pictures[i, s], true[i, s]) for s in range(starts)] for i in range(num)]
        )
        pictures = np.take_along_axis(pictures, order[..., None, None, None], axis=2)
    # Labels of a batch are recovered as a collection, whatever their order.
    hits = np.stack(
        [[_common(labels[i, s], held.labels[i]) for s in range(starts)] for i in range(num)]
    ) * np.ones((1, 1, batch))
    return {
        "squared_error": inversion.squared_error(pictures, true),
        "absolute_error": inversion.absolute_error(pictures, true),
        "psnr": inversion.peak_signal_to_noise(pictures, true),
        "ssim": inversion.structural_similarity(pictures, true),
        "label": hits,
    }


def _common(found: np.ndarray, true: np.ndarray) -> np.ndarray:
    """Return the share of a batch's labels that were found, each as often as it occurs."""
    size = int(max(found.max(), true.max())) + 1
    counts = np.minimum(np.bincount(found, minlength=size), np.bincount(true, minlength=size))
    return np.array([counts.sum() / len(true)])


def best_start(found: dict[str, np.ndarray]) -> np.ndarray:
    """Return which start each attacker takes: the one with his own least objective, not the one nearest the truth."""
    return np.nan_to_num(found["objective"], nan=np.inf).argmin(axis=1)


def bootstrapped(values: Any, statistic: Any, seed: int) -> Interval:
    """Return a statistic of clients, ``values (clients, ...)``, with its percentile bootstrap interval.

    Clients are drawn again with all their starts and images: those are not independent.
    """
    rng = generator("leakage", seed)
    drawn = rng.integers(len(values), size=(RESAMPLES, len(values)))
    found = np.array([statistic(values[rows]) for rows in drawn])
    value = float(statistic(values))
    low, high = np.quantile(found, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    # A median of few lies at the end of its own resamples.
    return Interval(
        lower=min(float(low), value),
        value=value,
        upper=max(float(high), value),
        kind="bootstrap",
        level=LEVEL,
    )


def share(hits: np.ndarray) -> Interval:
    """Return a share of clients with the exact binomial interval (Clopper and Pearson)."""
    count, num = int(np.sum(hits)), len(hits)
    ends = stats.binomtest(count, num).proportion_ci(LEVEL, method="exact")
    return Interval(
        lower=float(ends.low), value=count / num, upper=float(ends.high), kind="monte-carlo", level=LEVEL
    )


def row(case: Case, held: Clients, found: dict[str, np.ndarray], seed: int) -> dict[str, Any]:
    """Return a row of the table.

    Errors are medians over images of the start that the attacker takes. ``recovered``: the share of clients of which
    that start shows all images; ``starts_recovered``: the mean share of starts; ``every_start_recovered``: the share of
    clients of which every start does. ``converged``: the share of starts whose objective reached the tolerance;
    ``iterations_q50`` and so on: quantiles over all starts, as of the squared error.
    """
    measured = errors(held, found)
    chosen = best_start(found)
    rows = np.arange(len(chosen))
    record: dict[str, Any] = {**case._asdict(), "bits": float(found["bits"])}
    for name in MEASURES:
        record[name] = bootstrapped(measured[name][rows, chosen], np.median, seed)
    hits = np.all(measured["squared_error"] < RECOVERED, axis=-1)
    record["recovered"] = share(hits[rows, chosen])
    record["starts_recovered"] = bootstrapped(hits, np.mean, seed)
    record["every_start_recovered"] = share(hits.all(axis=1))
    record["label_recovered"] = share((measured["label"][rows, chosen] == 1).all(axis=-1))
    record["converged"] = bootstrapped(found["converged"].astype(float), np.mean, seed)
    for name, values in (("squared_error", measured["squared_error"]), ("iterations", found["iterations"])):
        for percent in (10, 50, 90):
            record[f"{name}_q{percent}"] = float(np.quantile(values, percent / 100))
    record["evaluations"] = float(found["evaluations"].mean())
    if case.attacker in ("dlg", "naive"):
        for after in TRACED:
            record[f"matching_loss_{after}"] = bootstrapped(_matching(found, after), np.median, seed)
    return record


def _matching(found: dict[str, np.ndarray], after: int) -> np.ndarray:
    """Return the squared distance to the release after some iterations, or after the last, ``(clients, starts)``."""
    trace = found["trace"]
    last = np.minimum(found["iterations"], min(after, trace.shape[-1] - 1))
    return np.take_along_axis(trace, np.maximum(last, 0)[..., None], axis=-1)[..., 0] * found["norm"][:, None]
