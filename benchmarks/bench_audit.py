"""Script: seconds for an audit of 1e6 scores with every interval, checked against scikit-learn."""

import json
import time

import numpy as np
from sklearn.metrics import roc_auc_score, roc_curve

from mis.attacks import audit


def check(found, scores, membership):
    """Values against scikit-learn; the advantage's upper end against its largest difference."""
    np.testing.assert_allclose(found.auc.value, roc_auc_score(membership, scores), rtol=1e-12)
    fpr, tpr, _ = roc_curve(membership, scores, drop_intermediate=False)
    assert found.advantage.lower <= (tpr - fpr).max() <= found.advantage.upper
    for rate, interval in found.tpr_at_fpr.items():
        np.testing.assert_allclose(interval.value, tpr[fpr <= rate].max(), rtol=1e-12)


def main(records=1_000_000, repeats=5):
    rng = np.random.default_rng(0)
    membership = np.arange(records) % 2 == 0
    scores = rng.normal(size=records) + membership
    check(audit(scores=scores, membership=membership), scores, membership)
    seconds = []
    for _ in range(repeats):
        start = time.perf_counter()
        audit(scores=scores, membership=membership)
        seconds.append(time.perf_counter() - start)
    print(json.dumps({"benchmark": "audit", "records": records, "seconds": min(seconds), "repeats": repeats}))


if __name__ == "__main__":
    main()
