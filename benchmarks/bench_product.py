"""Script: seconds for a certified advantage at dimension 1000, and how many times dp-accounting takes for the same gap.

*Distinct* coordinates have 1 to 16 edges, a mean and a scale of their own, no two alike.

dp-accounting gets the same classes of outcomes. Its upper estimate connects the dots at the interval where it is
best (on finer ones it loses to rounding); the interval of its lower one shrinks until the two are no further
apart than ours, and that last run is timed.
"""

import time

START = time.perf_counter()

import json  # noqa: E402
import math  # noqa: E402

import numpy as np  # noqa: E402
from dp_accounting.pld import pld_pmf  # noqa: E402
from dp_accounting.pld import privacy_loss_distribution as pld  # noqa: E402

from mis import theory  # noqa: E402
from mis.theory import coordinate  # noqa: E402

N, DIM, WIDTH = 100, 1000, 0.5
DOTS = 1e-4


def seconds(function, repeats):
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        function()
        times.append(time.perf_counter() - start)
    return min(times)


def classes(step):
    edges = np.arange(-16, 17) * WIDTH * math.sqrt(N)
    whole = coordinate.Coordinate(edges, np.ones(len(edges) + 1, bool))
    return coordinate.outcomes([whole], 1 / math.sqrt(N), step)


def distinct():
    rng = np.random.default_rng(0)
    edges = [tuple(np.sort(rng.uniform(-1, 1, rng.integers(1, 17))).tolist()) for _ in range(DIM)]
    means, scales = (0.2 * rng.standard_normal(DIM)).tolist(), np.exp(0.3 * rng.standard_normal(DIM)).tolist()
    return [theory.Cells(edges=e, mean=m, scale=s) for e, m, s in zip(edges, means, scales, strict=True)]


def theirs(seen, interval):
    """Optimistic rounding, and the pessimistic estimate that connects the dots, both composed by dp-accounting."""
    members, others = (dict(enumerate(np.log(mass))) for mass in (seen.members, seen.others))
    below = pld.from_two_probability_mass_functions(others, members, False, interval, symmetric=False)
    # Ends of the classes, masses kept: their ratios are known, so the hockey-stick at every lattice point is.
    ends = np.exp(np.concatenate([seen.low, seen.high]))
    ratio, share = seen.members / seen.others, seen.others / (np.exp(seen.high) - np.exp(seen.low))
    part = np.concatenate([share * (np.exp(seen.high) - ratio), share * (ratio - np.exp(seen.low))])
    order = np.argsort(ends)
    points = np.arange(math.floor(seen.low.min() / DOTS), math.ceil(seen.high.max() / DOTS) + 1)
    first = np.searchsorted(ends[order], np.exp(points * DOTS))
    tails = [np.append(np.cumsum(m[order][::-1])[::-1], 0.0)[first] for m in (part * ends, part)]
    deltas = np.maximum(tails[0] - np.exp(points * DOTS) * tails[1], 0.0)
    above = pld_pmf.create_pmf_pessimistic_connect_dots(DOTS, points, deltas)
    low = below._pmf_remove.self_compose(DIM).get_delta_for_epsilon(0.0)
    return float(low), float(above.self_compose(DIM).get_delta_for_epsilon(0.0))


def main():
    first = time.perf_counter()
    theory.quantized_mean(N, DIM, WIDTH)
    record = {"benchmark": "product", "n": N, "dim": DIM, "import_and_first_run": time.perf_counter() - START}
    record["first_run"] = time.perf_counter() - first
    reference = theory.quantized_mean(N, DIM, WIDTH, tolerance=1e-6)
    for tolerance in (1e-3, 1e-4):
        bounds = theory.quantized_mean(N, DIM, WIDTH, tolerance=tolerance)
        assert bounds.lower <= reference.lower <= reference.upper <= bounds.upper
        assert bounds.width <= tolerance
        took = seconds(lambda t=tolerance: theory.quantized_mean(N, DIM, WIDTH, tolerance=t), 20)
        record[f"tolerance_{tolerance:g}"] = {"seconds": took, "gap": bounds.width}
    cells = distinct()
    reference_of_distinct = theory.product(cells, N, tolerance=1e-5)
    for tolerance in (1e-3, 1e-4):
        bounds = theory.product(cells, N, tolerance=tolerance)
        assert bounds.lower <= reference_of_distinct.lower <= reference_of_distinct.upper <= bounds.upper
        assert bounds.width <= tolerance
        took = seconds(lambda t=tolerance: theory.product(cells, N, tolerance=t), 5)
        record[f"distinct_tolerance_{tolerance:g}"] = {"seconds": took, "gap": bounds.width}
    wanted, interval, gap = record["tolerance_0.001"], 5e-5, math.inf
    while gap > wanted["gap"]:
        interval *= 0.75
        low, high = theirs(classes(0.02), interval)
        assert low <= reference.upper
        assert reference.lower <= high
        gap = high - low
    took = seconds(lambda: theirs(classes(0.02), interval), 1)
    record["dp_accounting"] = {"seconds": took, "gap": gap, "interval": interval}
    record["dp_accounting_ratio"] = took / wanted["seconds"]
    print(json.dumps(record))


if __name__ == "__main__":
    main()
