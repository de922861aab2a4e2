"""Script: milliseconds for online RMIA, 64 shadow models x 5000 examples and 5000 of a population."""

import json
import statistics
import time

import numpy as np

from mis.attacks import RMIA


def naive(arrays):
    """Every pair of example and population, one example at a time."""

    def ratio(target, shadow, membership):
        expected = [(p[m].mean() + p[~m].mean()) / 2 for p, m in zip(shadow.T, membership.T, strict=True)]
        return target / np.array(expected)

    x = ratio(arrays["target_probabilities"], arrays["shadow_probabilities"], arrays["shadow_membership"])
    z = ratio(arrays["population_target"], arrays["population_shadow"], arrays["population_membership"])
    return np.array([np.mean(r > z) + np.mean(r == z) / 2 for r in x])


def main(models=64, examples=5000, population=5000, repeats=50):
    rng = np.random.default_rng(0)
    arrays = {
        "target_probabilities": rng.random(examples),
        "shadow_probabilities": rng.random((models, examples)),
        "shadow_membership": rng.random((models, examples)) < 0.5,
        "population_target": rng.random(population),
        "population_shadow": rng.random((models, population)),
        "population_membership": rng.random((models, population)) < 0.5,
    }
    np.testing.assert_allclose(RMIA().scores(**arrays), naive(arrays), atol=2 / population)
    seconds = []
    for _ in range(repeats):
        start = time.perf_counter()
        RMIA().scores(**arrays)
        seconds.append(time.perf_counter() - start)
    result = {
        "benchmark": "rmia",
        "models": models,
        "examples": examples,
        "population": population,
        "milliseconds": 1e3 * min(seconds),
        "median_milliseconds": 1e3 * statistics.median(seconds),
        "repeats": repeats,
    }
    print(json.dumps(result))


if __name__ == "__main__":
    main()
