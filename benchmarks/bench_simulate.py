"""Tilted simulation of two candidates, n = 100, 1e5 samples: normal losses beside plain Monte Carlo, and measured ones.

Correctness first: the simulated value must be within 3% of the exact one, 5.9e-24, and for 1e5 measured losses of the
saddlepoint. Prints one JSON line.
"""

import json
import time
import warnings

import numpy as np

from mis import theory

NUM_SAMPLES = 100_000


def best_of(call, repeats=5):
    """Smallest wall time of several calls, in seconds."""
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        call()
        times.append(time.perf_counter() - start)
    return min(times)


def main():
    law = theory.GaussianLosses(mean=[0.0, 1.0], cov=[[0.0, 0.0], [0.0, 1.0]])
    exact = theory.exact(law, 100).value
    tilted = theory.simulate(0, law, 100, NUM_SAMPLES)
    error = abs(tilted.value / exact - 1)
    assert error < 0.03, f"simulated {tilted.value:.4e}, exact {exact:.4e}"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", theory.FewEffectiveSamples)
        plain = theory.simulate(0, law, 100, NUM_SAMPLES, tilted=False)
        plain_seconds = best_of(lambda: theory.simulate(0, law, 100, NUM_SAMPLES, tilted=False))
    losses = np.random.default_rng(0).normal([[0.0], [0.5]], size=(2, 100_000))
    measured = theory.SampledLosses(losses=losses)
    formula, sampled = theory.saddlepoint(measured, 100).value, theory.simulate(0, measured, 100, NUM_SAMPLES)
    assert abs(sampled.value / formula - 1) < 0.03, (
        f"simulated {sampled.value:.4e}, saddlepoint {formula:.4e}"
    )
    row = {
        "benchmark": "simulate",
        "num_samples": NUM_SAMPLES,
        "seconds": best_of(lambda: theory.simulate(0, law, 100, NUM_SAMPLES)),
        "measured_seconds": best_of(lambda: theory.simulate(0, measured, 100, NUM_SAMPLES)),
        "exact": exact,
        "value": tilted.value,
        "relative_error": error,
        "relative_standard_error": tilted.details["standard_error"] / exact,
        "effective_samples": tilted.effective_samples,
        "plain_seconds": plain_seconds,
        "plain_value": plain.value,
        "plain_effective_samples": plain.effective_samples,
    }
    print(json.dumps(row))


if __name__ == "__main__":
    main()
