"""Saddlepoint of a sampled law of 1e5 losses.

Correctness first: on quantiles of a normal law it must agree with the exact normal value. Prints one JSON
line.
"""

import json
import time

import numpy as np
from scipy import stats

from mis import theory

NUM_LOSSES, N = 100_000, 100


def main():
    quantiles = 0.3 + stats.norm.ppf((np.arange(NUM_LOSSES) + 0.5) / NUM_LOSSES)
    law = theory.SampledLosses(losses=np.stack([np.zeros(NUM_LOSSES), quantiles]))
    exact = theory.exact(theory.GaussianLosses(mean=[0.0, 0.3], cov=[[0.0, 0.0], [0.0, 1.0]]), N).value
    value = theory.saddlepoint(law, N).value
    assert abs(value / exact - 1) < 2e-3, f"saddlepoint {value:.5e}, exact {exact:.5e}"
    times = []
    for _ in range(20):
        start = time.perf_counter()
        theory.saddlepoint(law, N)
        times.append(time.perf_counter() - start)
    row = {
        "benchmark": "saddlepoint",
        "num_losses": NUM_LOSSES,
        "n": N,
        "milliseconds": 1e3 * min(times),
        "value": value,
        "relative_error": value / exact - 1,
    }
    print(json.dumps(row))


if __name__ == "__main__":
    main()
