"""Script: milliseconds for online LiRA, 64 shadow models x 5000 examples, checked against a naive loop."""

import json
import statistics
import time

import numpy as np
from scipy.stats import norm

from mis.attacks import LiRA


def naive(shadow_scores, shadow_membership, target_scores):
    scores = np.empty(len(target_scores))
    for i, score in enumerate(target_scores):
        into = shadow_scores[shadow_membership[:, i], i]
        out = shadow_scores[~shadow_membership[:, i], i]
        scores[i] = norm.logpdf(score, into.mean(), into.std(ddof=1))
        scores[i] -= norm.logpdf(score, out.mean(), out.std(ddof=1))
    return scores


def main(models=64, examples=5000, repeats=50):
    rng = np.random.default_rng(0)
    shadow_membership = rng.random((models, examples)) < 0.5
    arrays = {
        "shadow_scores": rng.normal(size=(models, examples)) + shadow_membership,
        "shadow_membership": shadow_membership,
        "target_scores": rng.normal(size=examples),
    }
    np.testing.assert_allclose(LiRA().scores(**arrays), naive(**arrays), rtol=1e-9, atol=1e-9)
    seconds = []
    for _ in range(repeats):
        start = time.perf_counter()
        LiRA().scores(**arrays)
        seconds.append(time.perf_counter() - start)
    result = {
        "benchmark": "lira",
        "models": models,
        "examples": examples,
        "milliseconds": 1e3 * min(seconds),
        "median_milliseconds": 1e3 * statistics.median(seconds),
        "repeats": repeats,
    }
    print(json.dumps(result))


if __name__ == "__main__":
    main()
