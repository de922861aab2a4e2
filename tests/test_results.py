"""Intervals: what they refuse, and that they go to other processes and come back."""

import copy
import pickle

import numpy as np
import pytest

from mis import quantizers, theory
from mis.numerics.checks import UnsupportedSetting
from mis.results import Interval

PAIR = theory.GaussianLosses(mean=[0.0, 0.3], cov=[[0.0, 0.0], [0.0, 1.0]])
THREE = theory.GaussianLosses(mean=[0.0, 0.1, 0.3], cov=np.diag([0.2, 1.0, 0.7]))
ATOMS = theory.DiscreteLosses(losses=[[0.0, 0.0, 0.0], [-0.9, 0.15, 0.6]], probs=[0.2, 0.5, 0.3])
LOSSES = theory.DiscreteLosses(losses=[[0, 1, 2], [1, 0.3, 1.1], [0.5, 1, 1]], probs=[0.2, 0.5, 0.3])


def local(method):
    rng = np.random.default_rng(0)
    spec = quantizers.parse("sign")
    return theory.local(
        influence=rng.standard_normal((20, 3)),
        covariance=np.eye(3) if method == "linear" else np.ones(3),
        mean=np.array([0.1, -0.2, 0.05]),
        quantizer=spec,
        n=50,
        method=method,
        num_samples=200,
    )


MADE = {
    "exact, two normal": lambda: theory.exact(PAIR, 100),
    "exact, three normal": lambda: theory.exact(THREE, 5),
    "exact, lattice": lambda: theory.exact(ATOMS, 100),
    "exact, counts": lambda: theory.exact(LOSSES, 8),
    "simulate": lambda: theory.simulate(0, LOSSES, 8, 400),
    "indicator": lambda: theory.indicator(LOSSES),
    "product": lambda: theory.product([theory.Cells(edges=(0.0,), count=3)], n=20),
    "quantized_mean": lambda: theory.quantized_mean(100, 2, 0.5),
    "full_precision_mean": lambda: theory.full_precision_mean(3, 20),
    "full_precision_mean, n=1": lambda: theory.full_precision_mean(3, 1),
    "finite_support_limit": lambda: theory.finite_support_limit([0.5, 0.5], 10),
    "enumerate_learner": lambda: theory.enumerate_learner(lambda counts: int(counts.argmax()), [0.5, 0.5], 4),
    "local, diagonal": lambda: local("diagonal"),
    "local, cells": lambda: local("cells"),
    "implied_epsilon": lambda: theory.implied_epsilon(theory.exact(PAIR, 10)),
    "bayes_security": lambda: theory.bayes_security(theory.exact(PAIR, 10).roc()),
}


@pytest.mark.parametrize("name", MADE)
def test_an_interval_can_be_sent_and_copied(name):
    made = MADE[name]()
    for found in (pickle.loads(pickle.dumps(made)), copy.deepcopy(made), copy.copy(made)):
        assert found == made
        assert found.details == made.details
    sent, rates = pickle.loads(pickle.dumps(made)), np.linspace(0, 1, 21)
    if made.curve is None:
        with pytest.raises(UnsupportedSetting, match="carries no ROC"):
            sent.roc()
    else:
        assert np.array_equal(sent.roc().bounds(rates), made.roc().bounds(rates))


def test_a_refusal_can_be_sent():
    with pytest.raises(UnsupportedSetting) as refused:
        theory.exact(theory.SampledLosses(losses=[[0, 1], [1, 0]]), 5)
    found = pickle.loads(pickle.dumps(refused.value))
    assert (found.part, found.reason, str(found)) == (
        refused.value.part,
        refused.value.reason,
        str(refused.value),
    )


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"lower": 0.2, "value": 0.1, "upper": 0.3, "kind": "exact"}, "expected lower <= value <= upper"),
        ({"lower": 0.1, "value": float("nan"), "upper": 0.3, "kind": "exact"}, "expected lower <= value"),
        ({"lower": 0.1, "value": 0.2, "upper": 0.3, "kind": "guess"}, "expected kind one of exact"),
    ],
)
def test_refuses(values, message):
    with pytest.raises(ValueError, match=message):
        Interval(**values)
