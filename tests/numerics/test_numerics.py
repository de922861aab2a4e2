"""Sums of exponentials, seeds, and the sentence of every refusal."""

import jax
import numpy as np
import pytest
from scipy import special

from mis import quantizers, theory, training
from mis.models import MLP
from mis.numerics import checks
from mis.numerics.logspace import normalise
from mis.numerics.seeds import generator, jax_key
from mis.populations import FiniteSupport


@pytest.mark.parametrize("shift", [-5000.0, 0.0, 5000.0])
def test_normalise(rng, shift):
    log_weights = rng.normal(size=100) * 50 + shift
    log_sum, weights = normalise(log_weights)
    assert log_sum == pytest.approx(special.logsumexp(log_weights), rel=1e-14, abs=0)
    assert weights == pytest.approx(special.softmax(log_weights), rel=1e-12, abs=0)


def test_normalise_has_nothing_to_say_of_no_weight():
    with pytest.raises(FloatingPointError, match="largest weight is zero or infinite"):
        normalise(np.array([-np.inf, -np.inf]))


def test_one_key_one_stream():
    typed, raw = jax.random.key(3), jax.random.PRNGKey(3)
    assert generator("here", typed).random() == generator("here", raw).random()
    assert generator("here", jax.random.key(4)).random() != generator("here", typed).random()
    assert generator("here", 3).random() == np.random.default_rng(3).random()
    assert generator("here", np.int64(3)).random() == generator("here", 3).random()


@pytest.mark.parametrize(
    "key", [-1, 1.5, True, "seed", None, np.zeros(2), jax.random.split(jax.random.key(0), 2)]
)
def test_refuses_what_is_no_key(key):
    with pytest.raises(
        checks.InvalidInput, match="here: expected key an int >= 0 or a single JAX key, got key="
    ):
        generator("here", key)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: checks.integer("f", "n", 0, at_least=1), "f: expected n an integer >= 1, got n=0."),
        (lambda: checks.integer("f", "n", 9, at_least=1, at_most=8), r"n an integer in 1\.\.8, got n=9\."),
        (lambda: checks.integer("f", "n", True, at_least=0), "n an integer >= 0, got n=True"),
        (lambda: checks.integer("f", "n", 2.0, at_least=0), r"n an integer >= 0, got n=2\.0"),
        (lambda: checks.number("f", "x", "a"), "x a finite number, got x='a'"),
        (lambda: checks.number("f", "x", np.nan), "x a finite number, got x=nan"),
        (lambda: checks.number("f", "x", 0, above=0), "x a finite number > 0, got x=0"),
        (lambda: checks.number("f", "x", 3, below=2), "x a finite number < 2, got x=3"),
        (lambda: checks.probability("f", "p", 1.0), r"p a finite number > 0 and < 1, got p=1\.0"),
        (lambda: checks.number("f", "x", 10**400), "x a finite number, got x=1000"),
        (lambda: checks.confidence("f", 1.0), r"level a finite number > 0 and < 1, got level=1\.0"),
        (
            lambda: checks.confidence("f", 1 - 1e-16),
            r"level from 0\.001 to 1 - 1e-12, got level=0\.9999999999999999",
        ),
        (
            lambda: checks.confidence("f", 1 - 1e-12, statements=9),
            r"level from 0\.001 to 1 - 9e-12, got level",
        ),
        (lambda: checks.confidence("f", 1e-9), r"level from 0\.001 to 1 - 1e-12, got level=1e-09"),
        (lambda: checks.finite("f", "a", "text"), "a numeric, got a str"),
        (lambda: checks.finite("f", "a", [[1.0]], ndim=1), r"a with 1 axes, got a\.shape=\(1, 1\)"),
        (lambda: checks.finite("f", "a", 1.0, ndim=(1, 2)), "a with 1 or 2 axes"),
        (lambda: checks.finite("f", "a", []), "a not empty"),
        (
            lambda: checks.finite("f", "a", [1, np.inf, np.nan]),
            r"2 NaN or infinite values, the first a\[1\]=inf",
        ),
        (
            lambda: checks.known("f", "q", "sing", ["sign", "full"]),
            r"one of sign, full, got q='sing'\. Nearest: sign\.",
        ),
        (lambda: checks.known("f", "q", "zzz", ["sign"]), r"got q='zzz'\.$"),
    ],
)
def test_refusals_name_argument_condition_and_value(call, message):
    with pytest.raises(checks.InvalidInput, match=message):
        call()


def test_what_is_right_comes_back():
    assert checks.integer("f", "n", np.int32(3), at_least=1) == 3
    assert checks.number("f", "x", "1.5") == 1.5
    assert checks.finite("f", "a", [1, 2], ndim=1).dtype == np.float64
    assert checks.known("f", "q", "sign", ["sign"]) == "sign"
    error = checks.UnsupportedSetting("theory.exact", "no route.")
    assert (error.part, error.reason, str(error)) == ("theory.exact", "no route.", "theory.exact: no route.")


def hidden(values):
    return np.ma.array(values, mask=np.arange(np.size(values)).reshape(np.shape(values)) == 0)


@pytest.mark.parametrize(
    "value",
    [
        hidden(np.zeros(3)),
        hidden(np.zeros((2, 2))),
        hidden([True, False]),
        hidden([1, 2]),
        [hidden([1.0, 2.0]), np.zeros(2)],
        ([[1.0, np.ma.masked]],),
        np.ma.masked,
        np.array([[np.ma.masked, 1.0]], dtype=object),
        np.ma.array([(1, 2.0)], dtype=[("a", int), ("b", float)], mask=[(False, True)]),
    ],
    ids=repr,
)
def test_masks_are_refused(value):
    with pytest.raises(
        checks.InvalidInput, match="here: expected x without masked values; leave those examples out"
    ):
        checks.unmasked("here", "x", value)


def test_masks_that_hide_nothing_are_none():
    for value in (
        np.ma.array([1.0, 2.0]),
        np.ma.array([1, 2], mask=False),
        [np.ma.array([1.0])],
        [1, [2]],
        3,
        None,
    ):
        checks.unmasked("here", "x", value)


QUANTITIES = {
    "weights of a quantizer": lambda: quantizers.Sign()(hidden([1.0, 2.0])),
    "weights of a network": lambda: quantizers.quantize(quantizers.Sign(), [hidden([[1.0, 2.0]])]),
    "weights": lambda: theory.retained_information(hidden([1.0, 2.0]), 0.1, quantizers.Sign()),
    "layers": lambda: theory.weight_error([hidden([1.0, 2.0]), np.ones(2)], quantizers.Sign()),
    "spread": lambda: theory.retained_information(np.ones(2), hidden([1.0, 2.0]), quantizers.Sign()),
    "one spread": lambda: theory.retained_information(np.ones(2), np.ma.masked, quantizers.Sign()),
    "losses": lambda: theory.SampledLosses(losses=hidden(np.eye(2))),
    "names": lambda: theory.SampledLosses(losses=np.eye(2), names=hidden(["a", "b"])),
    "atoms": lambda: theory.DiscreteLosses(losses=hidden(np.eye(2)), probs=[0.5, 0.5]),
    "probs": lambda: theory.DiscreteLosses(losses=np.eye(2), probs=hidden([0.5, 0.5])),
    "cov": lambda: theory.GaussianLosses(mean=[0.0, 1.0], cov=hidden(np.eye(2))),
    "gradients": lambda: theory.sandwich(hidden(np.eye(2)), np.eye(2)),
    "features": lambda: training.refit_weighted(
        training.Regression(), hidden(np.eye(2)), [0, 1], np.ones((1, 2))
    ),
    "targets": lambda: training.refit_weighted(
        training.Regression(), np.eye(2), hidden([0, 1]), np.ones((1, 2))
    ),
    "which have weight": lambda: training.refit_weighted(
        training.Regression(), np.eye(2), [0, 1], hidden(np.ones((1, 2), bool))
    ),
    "pool": lambda: training.train_chunk(
        MLP(input_shape=(1,)),
        training.Learner(),
        hidden(np.ones((8, 1))),
        np.ones(8),
        seed=0,
        indices=np.arange(2),
    ),
    "targets of a pool": lambda: training.train_chunk(
        MLP(input_shape=(1,)),
        training.Learner(),
        np.ones((8, 1)),
        hidden(np.ones(8)),
        seed=0,
        indices=np.arange(2),
    ),
    "support": lambda: FiniteSupport(atoms=hidden([[0.0], [1.0]]), targets=[0.0, 1.0], probs=[0.5, 0.5]),
    "a number": lambda: checks.number("here", "x", np.ma.masked),
}


@pytest.mark.parametrize("name", QUANTITIES)
def test_masks_are_refused_everywhere(name):
    with pytest.raises(checks.InvalidInput, match="without masked values"):
        QUANTITIES[name]()


def test_names_of_any_kind():
    for given in (["a", "b"], ("a", "b"), np.array(["a", "b"]), np.array([b"a", b"b"]), (x for x in "ab")):
        assert checks.names("here", "names", given, 2) == ("a", "b")


def test_keys_have_one_algorithm():
    with jax.default_prng_impl("rbg"):
        key = jax_key(3)
    assert np.asarray(jax.random.key_data(key)).tolist() == [0, 3]
    assert str(jax.random.key_impl(key)) == "threefry2x32"


@pytest.mark.parametrize("level", [0.001, 0.95, 1 - 1e-12, np.float32(0.5)])
def test_levels_that_intervals_can_have(level):
    assert checks.confidence("f", level) == level
