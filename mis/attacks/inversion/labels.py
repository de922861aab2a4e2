"""The labels of a batch, read off the last layer's gradient."""

from typing import Any

import numpy as np

from mis.attacks.inversion.gradients import WHERE, check_batch
from mis.numerics.checks import finite

__all__ = ["inferred_labels"]


def inferred_labels(bias_gradient: Any, batch: int) -> np.ndarray:
    r"""Return the labels of a batch from the gradient of the last layer's biases.

    Claim: the gradient of class c is ``mean_i p_ic - n_c / batch`` with ``n_c`` the images of that class, so for one
    image the only negative entry is that of its label, whatever the network: exact, no assumption. For several images
    this takes the least entry, adds ``1 / batch`` to it, and again: right wherever the mean probabilities of two
    classes differ by less than ``1 / batch``, as at an untrained network; else an estimate.

    Parameters
    ----------
    bias_gradient
        ``(..., classes)``.
    batch
        Images in the batch, 1..8.

    Returns
    -------
    np.ndarray
        Labels in ascending order, ``(..., batch)``.

    References
    ----------
    Zhao, Mopuri, Bilen (2020), iDLG: Improved deep leakage from gradients, arXiv:2001.02610 (one image). Wainakh et
    al. (2022), User-level label leakage from gradients in federated learning, arXiv:2105.09369 (the greedy rule).

    Examples
    --------
    >>> inferred_labels([0.2, -0.7, 0.5], batch=1), inferred_labels([-0.4, 0.1, 0.3], batch=2)
    (array([1]), array([0, 0]))
    """
    check_batch(batch)
    left = np.array(finite(WHERE, "bias_gradient", bias_gradient))
    found = []
    for _ in range(batch):
        label = left.argmin(axis=-1)
        np.put_along_axis(left, label[..., None], left.min(axis=-1, keepdims=True) + 1 / batch, axis=-1)
        found.append(label)
    return np.sort(np.stack(found, axis=-1), axis=-1)
